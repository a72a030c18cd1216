"""What somebody learns from an encrypted backup's files, and what he gains by changing or forging them: nothing."""

from __future__ import annotations

import gzip
import json

import pytest

from backup_center.engine.errors import BadSignature, Damaged
from backup_center.services import catalogue
from tests.integration.encrypting import Operator, encrypt_to
from tests.zoo.models import Animal

SECRET = "only the board knows"


@pytest.fixture
def operator(tmp_path, settings) -> Operator:
    found = Operator(tmp_path)
    encrypt_to(settings, found)
    return found


def needles(sidecar) -> set[str]:
    """All that is said of tables and rows: names, columns, labels, values, plain digests, key bounds."""
    record = sidecar.manifest
    found = {
        sidecar.manifest.tables[0].chunks[0].sha256,
        "keeper 2",
        "猫 7",
        "django_version",
        SECRET,
        "ZOO",
        "Animals",
    }
    for table in record.tables:
        found |= {table.label, table.table, table.data_type}
        found |= {column.name for column in table.columns if len(column.name) > 4}
        found |= {column.field for column in table.columns if column.field}
        for chunk in table.chunks:
            found |= {chunk.sha256, f'"upto":{json.dumps(chunk.upto)}'}
    return found


def test_an_encrypted_backup_tells_nothing_of_tables_rows_keys_or_descriptions(small_zoo, operator, backups, settings):
    sealed = backups.create_backup(description=SECRET)
    sealed_two = backups.create_backup(backup_type="INCREMENTAL", description=SECRET)
    with operator.present():
        words = needles(catalogue.open_sidecar(sealed, catalogue.get_vault()))
    contents = b"".join(path.read_bytes() for path in small_zoo.vault.iterdir())
    assert [word for word in words if word.encode() in contents] == []
    assert len(list(small_zoo.vault.iterdir())) == 6
    cover = json.loads((small_zoo.vault / f"{sealed_two.backup_name}.manifest.json").read_bytes().partition(b"\n")[0])
    assert set(cover) == {"archive", "needs", "manifest_sha256", "cover", "sealed"}
    assert set(cover["cover"]) == {
        "format", "project", "id", "sequence", "name", "type", "parent", "codec", "started_at", "finished_at",
        "recipient", "chunks",
    }  # fmt: skip
    assert {len(chunk) for chunk in cover["cover"]["chunks"]} == {4}
    # … and the search would have found them: in a plain one they stand.
    settings.BACKUP_ENCRYPTION = False
    plain = backups.create_backup()
    readable = (small_zoo.vault / f"{plain.backup_name}.manifest.json").read_bytes()
    readable += gzip.decompress((small_zoo.vault / plain.file_path).read_bytes())
    unseen = {word for word in words if word.encode() not in readable}
    assert unseen <= {SECRET, "django_version"} | {word for word in words if word.startswith('"upto"')}


def test_an_archive_forged_with_the_public_recipient_is_refused(small_zoo, operator, backups, restores, settings):
    ours = settings.SECRET_KEY
    settings.SECRET_KEY = "the attacker's"
    Animal.objects.update(name="owned")
    forged = backups.create_backup()
    Animal.objects.update(name="free")
    free = small_zoo.rows()
    settings.SECRET_KEY = ours
    with operator.present():
        for attempt in (restores.plan, restores.restore_from_backup):
            with pytest.raises(BadSignature):
                attempt(forged)
        assert "not signed by this project" in backups.verify_backup(forged)[0]
    assert small_zoo.rows() == free


def test_files_that_change_places_are_refused(small_zoo, operator, backups, restores):
    first, second = backups.create_backup(), backups.create_backup()
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    for suffix, words in ((".key.age", "belongs to another backup"), (".manifest.json", "belongs to another backup"),
                          (".age.tar", "is damaged")):  # fmt: skip
        one, other = (small_zoo.vault / (record.backup_name + suffix) for record in (first, second))
        mine, others = one.read_bytes(), other.read_bytes()
        one.write_bytes(others)
        with operator.present():
            with pytest.raises(Damaged) as raised:
                restores.restore_from_backup(first)
            told = [str(raised.value), *raised.value.findings, *backups.verify_backup(first)]
        assert any(words in line for line in told), (suffix, told)
        one.write_bytes(mine)
    assert small_zoo.rows() == spoiled
    with operator.present():
        assert backups.verify_backup(first) == []
