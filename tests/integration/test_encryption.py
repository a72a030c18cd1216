"""Encrypted backups: made and borrowed from without a key, read with one, and telling nothing to who has none."""

from __future__ import annotations

import base64
import re
import tarfile

import orjson
import pytest

from backup_center.engine import backup
from backup_center.engine.errors import BackupCenterError, BadSignature, Damaged, Locked, Refused
from backup_center.engine.recovery import RECOVERY_TEXT
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import catalogue, keys
from backup_center.services.connecting import engine_connection
from backup_center.services.ordering import request_for
from tests.integration.encrypting import key_path
from tests.integration.forging import archive_path, flip, sidecar_path
from tests.projects import once
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)


def forget_kept(settings) -> None:
    for path in settings.BACKUP_MANIFESTS_DIR.iterdir():
        path.unlink()


@pytest.mark.parametrize("compression", [True, False])
def test_a_server_without_a_key_takes_full_and_incremental_backups(
    small_zoo, backups, restores, operator, settings, compression
):
    settings.BACKUP_COMPRESSION = compression
    moments = []
    for kind in ("FULL", "INCREMENTAL", "INCREMENTAL"):
        record = backups.create_backup(backup_type=kind)
        assert (record.is_encrypted, record.file_path.endswith(".age.tar")) == (True, True)
        assert backups.verify_backup(record) == []
        moments.append((record, small_zoo.rows()))
        Animal.objects.filter(weight=len(moments)).update(name="changed")
    full, _second, third = (record for record, _rows in moments)
    assert third.parent is not None
    assert set(third.needs) > {str(full.backup_id)}
    assert third.file_size < full.file_size
    for action in (
        restores.plan,
        restores.restore_from_backup,
        lambda record: backups.verify_backup(record, deep=True),
    ):
        with pytest.raises(Locked, match="this server has no key"):
            action(third)

    operator.opens()
    for record, rows in moments:
        restores.restore_from_backup(record)
        assert small_zoo.rows() == rows
        assert backups.verify_backup(record, deep=True) == []
    assert BackupRecord.objects.filter(trigger="safety", is_encrypted=True).count() == 3


def test_nothing_is_told_to_who_has_no_key(small_zoo, backups, operator, settings):
    Animal.objects.filter(weight__lt=3).update(name="a very secret name")
    record = backups.create_backup(description="about the secret merger")
    plain = catalogue.open_sidecar(record, catalogue.get_vault()).manifest
    files = [archive_path(record), sidecar_path(record), key_path(record)]
    assert small_zoo.files() == {path.name for path in files}
    # What stands to be read: age files are noise, in which any three letters turn up by chance.
    told = b"".join(path.read_bytes() for path in files).replace(RECOVERY_TEXT.encode(), b"").lower()
    hidden = {"secret", "merger", "keeper", "Animals", "zoo.", "zoo_", "django", *plain.software.values()}
    columns = {column.name for table in plain.tables for column in table.columns if len(column.name) > 3}
    hidden |= columns - {"name"}  # that is what the backup's own name is called, too
    chunks = [chunk for table in plain.tables for chunk in table.chunks]
    hidden |= {value for chunk in chunks for value in (chunk.sha256, chunk.digest) if value}
    hidden |= {orjson.dumps({"upto": chunk.upto})[1:-1].decode() for chunk in chunks}
    assert len(chunks) > 4
    for word in hidden:
        assert word.lower().encode() not in told, word
    with tarfile.open(archive_path(record)) as tar:
        names = tar.getnames()
    numbered = [f"data/{number:06d}.json.gz.age" for number in range(1, len(chunks) + 1)]
    assert names == ["RECOVERY.txt", *numbered, "manifest.json.gz.age"]
    facts = orjson.loads(sidecar_path(record).read_bytes().splitlines()[0])
    assert set(facts) == {"archive", "needs", "clear", "sealed"}
    assert set(facts["clear"]) == {
        "format", "project", "id", "sequence", "name", "type", "parent", "codec", "started_at", "finished_at", "keys",
        "stored",
    }  # fmt: skip
    assert all(len(entry) == 4 for entry in facts["clear"]["stored"])
    assert base64.b64decode(facts["sealed"]).startswith(b"age-encryption.org/v1")


def test_without_the_manifests_that_are_kept_a_backup_is_read_afresh_and_a_key_still_opens_it(
    small_zoo, backups, restores, operator, settings
):
    record, rows = backups.create_backup(), small_zoo.rows()
    forget_kept(settings)
    assert backups.verify_backup(record) == []  # by what is told in clear
    afresh = backups.create_backup(backup_type="INCREMENTAL")
    assert afresh.parent is None
    assert "this server has no key" in BackupLog.objects.filter(log_level="INFO", operation="BACKUP").first().message

    operator.opens()
    forget_kept(settings)
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == rows


def test_a_kept_manifest_of_another_backup_is_not_believed(small_zoo, backups, restores, operator, settings):
    older = backups.create_backup()
    Keeper.objects.update(name="changed")
    record, rows = backups.create_backup(), small_zoo.rows()
    kept = settings.BACKUP_MANIFESTS_DIR
    (kept / f"{record.backup_name}.manifest.json").write_bytes(
        (kept / f"{older.backup_name}.manifest.json").read_bytes()
    )
    with pytest.raises(Locked):
        restores.plan(record)
    operator.opens()
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == rows


def test_wrong_lost_and_swapped_keys_are_told_apart_and_change_nothing(
    small_zoo, backups, restores, operator, people, settings
):
    record, other = backups.create_backup(), backups.create_backup()
    small_zoo.spoil()
    rows = small_zoo.rows()

    def refused(error, words):
        with pytest.raises(error, match=words):
            restores.restore_from_backup(record)
        assert small_zoo.rows() == rows
        assert BackupLog.objects.filter(operation="RESTORE", log_level="ERROR").exists()

    people().opens()
    refused(Locked, "it was encrypted for others")
    operator.opens()
    right = key_path(record).read_bytes()
    key_path(record).write_bytes(key_path(other).read_bytes())
    refused(Damaged, "the key of another archive")
    key_path(record).write_bytes(right[:-1])
    refused(Damaged, "ends early")
    key_path(record).write_bytes(b"no age file")
    refused(Damaged, "no age file")
    key_path(record).unlink()
    refused(BackupCenterError, re.escape(f"{record.backup_name}.key.age is not in"))
    key_path(record).write_bytes(right)
    restores.restore_from_backup(record)


def test_damage_is_found_without_a_key_and_never_restored(small_zoo, backups, restores, operator):
    record, rows = backups.create_backup(), small_zoo.rows()
    whole = archive_path(record).read_bytes()
    spots = range(0, len(whole), len(whole) // 12)
    for spot in spots:
        flip(archive_path(record), spot)
        assert "its SHA-256 is not the one that was signed" in backups.verify_backup(record)[0], spot
        archive_path(record).write_bytes(whole[:spot])
        assert "incomplete" in backups.verify_backup(record)[0], spot
        archive_path(record).write_bytes(whole)
    operator.opens()
    for damaged in (bytes([*whole[:-2000], whole[-2000] ^ 1, *whole[-1999:]]), whole[:-512]):
        archive_path(record).write_bytes(damaged)
        with pytest.raises(Damaged):
            restores.restore_from_backup(record)
        assert small_zoo.rows() == rows


def test_damage_to_a_lender_is_found_without_a_key(small_zoo, backups, operator, settings):
    lender = backups.create_backup()
    borrower = backups.create_backup(backup_type="INCREMENTAL")
    chunk = catalogue.open_sidecar(lender, catalogue.get_vault()).manifest.table("zoo.animal").chunks[1]
    flip(archive_path(lender), chunk.offset + 700)
    assert backups.verify_backup(borrower) == [
        "data/zoo.animal/000001.json is damaged: its bytes are not those that were written."
    ]
    forget_kept(settings)
    [found] = backups.verify_backup(borrower)
    assert "is damaged: its bytes are not those that were written." in found


def test_what_was_forged_with_the_public_recipient_is_refused(small_zoo, backups, restores, operator, settings):
    """Who only knows the recipient makes a backup of his own rows, whole and decryptable; only he can't sign it."""
    record = backups.create_backup()
    names = {path.name for path in small_zoo.vault.iterdir()}
    stolen = {name: (small_zoo.vault / name).read_bytes() for name in names}
    _take_as_somebody_else(record, settings, backups)
    assert all((small_zoo.vault / name).read_bytes() != stolen[name] for name in names)
    operator.opens()
    for look in (restores.plan, restores.restore_from_backup):
        rows = small_zoo.rows()
        with pytest.raises(BadSignature):
            look(record)
        assert small_zoo.rows() == rows
    assert "signed with a key that is not known here" in backups.verify_backup(record)[0]


def _take_as_somebody_else(record: BackupRecord, settings, backups) -> None:
    """Put another backup, made with another SECRET_KEY under the same id and name, in the place of this one."""
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "the forger's own"
    Animal.objects.update(name="forged")
    for path in (archive_path(record), sidecar_path(record), key_path(record)):
        path.unlink()
    forget_kept(settings)
    with engine_connection(record.database) as connection:
        request = request_for(record, connection)
        backup.take(request, connection, catalogue.get_vault(), lambda phase, done, total, size: None)
    Animal.objects.update(name="ours")
    settings.SECRET_KEY = before


def test_backups_of_before_a_change_of_recipients_stay_readable(
    small_zoo, backups, restores, operator, people, settings
):
    older, rows = backups.create_backup(), small_zoo.rows()
    successor = people()
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [successor.recipient]
    small_zoo.spoil()
    newer = backups.create_backup(backup_type="INCREMENTAL")
    spoilt = small_zoo.rows()
    assert newer.parent == older

    both = operator.file.with_name("both.txt")
    both.write_text(operator.file.read_text() + successor.file.read_text())
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = both
    restores.restore_from_backup(older)
    assert small_zoo.rows() == rows
    restores.restore_from_backup(newer)
    assert small_zoo.rows() == spoilt


@once
@pytest.mark.slow
def test_a_passphrase_alone_opens_what_it_closed_also_after_recipients_took_its_place(
    small_zoo, backups, restores, people, settings, monkeypatch
):
    settings.BACKUP_ENCRYPTION = True
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "correct horse")
    older, rows = backups.create_backup(), small_zoo.rows()
    small_zoo.spoil()
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "wrong horse")
    with pytest.raises(Locked):
        restores.plan(older)
    successor = people()
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [successor.recipient]
    newer = backups.create_backup()
    successor.opens()
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "correct horse")
    assert restores.plan(newer).changed == 0
    restores.restore_from_backup(older, safety_backup=False)
    assert small_zoo.rows() == rows
    monkeypatch.delenv("BACKUP_ENCRYPTION_PASSPHRASE")
    with pytest.raises(Locked, match="it was encrypted for others"):
        restores.plan(older)


def test_an_identity_may_come_from_the_environment(small_zoo, backups, restores, operator, monkeypatch):
    record = backups.create_backup()
    monkeypatch.setenv("BACKUP_ENCRYPTION_IDENTITY", operator.secret)
    assert restores.plan(record).changed == 0


@pytest.mark.parametrize(
    ("recipients", "words"),
    [([], "nobody could open"), (["age1nonsense"], "no age recipient"), (["AGE-SECRET-KEY-1ABC"], "no age recipient")],
)
def test_encryption_that_is_not_possible_is_never_replaced_by_a_plain_backup(
    small_zoo, backups, settings, recipients, words
):
    settings.BACKUP_ENCRYPTION, settings.BACKUP_ENCRYPTION_RECIPIENTS = True, recipients
    with pytest.raises(Refused, match=words) as caught:
        backups.create_backup()
    assert "1ABC" not in str(caught.value)
    assert not small_zoo.files()
    assert BackupLog.objects.get().log_level == "ERROR"


def test_without_the_library_the_error_says_what_to_install(small_zoo, backups, operator, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyrage", None)
    with pytest.raises(Refused, match=re.escape("pip install 'django-backup-center[encryption]'")):
        backups.create_backup()
    assert not small_zoo.files()


def test_plain_and_encrypted_backups_do_not_borrow_from_each_other(small_zoo, backups, operator, settings):
    encrypted = backups.create_backup()
    settings.BACKUP_ENCRYPTION = False
    plain = backups.create_backup(backup_type="INCREMENTAL")
    assert (plain.parent, plain.is_encrypted) == (None, False)
    settings.BACKUP_ENCRYPTION = True
    again = backups.create_backup(backup_type="INCREMENTAL")
    assert (again.parent, again.is_encrypted) == (None, True)
    messages = [entry.message for entry in BackupLog.objects.filter(log_level="INFO", operation="BACKUP")]
    assert f"Everything is read afresh: {plain.backup_name} is not encrypted." in messages
    assert f"Everything is read afresh: {encrypted.backup_name} is encrypted." in messages


def test_all_its_files_are_private_and_go_together(small_zoo, backups, operator, settings):
    record = backups.create_backup()
    kept = settings.BACKUP_MANIFESTS_DIR
    for path in (archive_path(record), sidecar_path(record), key_path(record), *kept.iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600
    assert kept.stat().st_mode & 0o777 == 0o700
    backups.delete_backup(record)
    assert not small_zoo.files()
    assert not list(kept.iterdir())


def test_secrets_are_not_in_the_settings_repr_nor_in_errors(operator, settings, monkeypatch):
    from backup_center.conf import get_settings

    monkeypatch.setenv("BACKUP_ENCRYPTION_IDENTITY", operator.secret)
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "open sesame")
    shown = repr(get_settings()) + repr(keys.identities()) + repr(keys.recipients())
    assert operator.secret not in shown
    assert "sesame" not in shown
