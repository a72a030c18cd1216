"""Encrypted backups: a server makes them, incrementals too, and can't read them; with the key they are as any other."""

from __future__ import annotations

import sys

import pytest

from backup_center.engine.errors import NoKey, NotFound, Refused, Unsupported, WrongKey
from backup_center.models import BackupLog, BackupRecord, KeptManifest
from backup_center.services import catalogue, rekeying
from tests.integration.encrypting import Operator, encrypt_to
from tests.zoo.models import Animal

SUFFIXES = (".age.tar", ".key.age", ".manifest.json")


@pytest.fixture
def operator(tmp_path, settings) -> Operator:
    found = Operator(tmp_path)
    encrypt_to(settings, found)
    return found


def reason_for_a_full_one() -> str:
    return BackupLog.objects.filter(operation="BACKUP", log_level="INFO").first().message


def test_a_server_without_a_key_takes_incrementals_and_only_the_key_brings_rows_back(
    small_zoo, operator, backups, restores
):
    before = small_zoo.rows()
    full = backups.create_backup()
    Animal.objects.filter(weight=500).update(name="a change")
    changed = small_zoo.rows()
    second = backups.create_backup(backup_type="INCREMENTAL")
    assert (full.is_encrypted, second.is_encrypted, second.parent) == (True, True, full)
    assert set(second.needs) == {str(full.backup_id), str(second.backup_id)}
    assert second.file_size < full.file_size
    assert small_zoo.files() == {record.backup_name + suffix for record in (full, second) for suffix in SUFFIXES}
    assert {path.stat().st_mode & 0o777 for path in small_zoo.vault.iterdir()} == {0o600}
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    for attempt in (restores.plan, restores.restore_from_backup):
        with pytest.raises(NoKey, match="BACKUP_ENCRYPTION_IDENTITY_FILE"):
            attempt(second)
    assert small_zoo.rows() == spoiled
    with operator.present():
        restores.restore_from_backup(second)
        assert small_zoo.rows() == changed
        safety = BackupRecord.objects.get(trigger="safety")
        assert (safety.is_encrypted, safety.parent) == (True, second)
        restores.restore_from_backup(full, safety_backup=False)
        assert small_zoo.rows() == before
        restores.restore_from_backup(safety, safety_backup=False)
        assert small_zoo.rows() == spoiled
        for record in BackupRecord.objects.all():
            assert backups.verify_backup(record, deep=True) == []
    backups.delete_backup(safety)
    assert not any(name.startswith(safety.backup_name) for name in small_zoo.files())
    assert KeptManifest.objects.count() == 2


def test_an_uncompressed_one_comes_back_too(small_zoo, operator, backups, restores, settings):
    settings.BACKUP_COMPRESSION = False
    before = small_zoo.rows()
    record = backups.create_backup()
    small_zoo.spoil()
    with operator.present():
        restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == before


def test_wrong_lost_and_rotated_keys_are_told_apart_and_the_target_is_untouched(
    small_zoo, operator, backups, restores, settings, tmp_path
):
    before = small_zoo.rows()
    old = backups.create_backup()
    successor = Operator(tmp_path, "successor")
    encrypt_to(settings, successor)
    Animal.objects.filter(weight=500).update(name="a change")
    changed = small_zoo.rows()
    new = backups.create_backup(backup_type="INCREMENTAL")  # borrows from one that only the old key opens
    small_zoo.spoil()
    spoiled = small_zoo.rows()

    def refused(error: type[Exception], words: str, record: BackupRecord) -> None:
        for attempt in (restores.plan, restores.restore_from_backup):
            with pytest.raises(error) as raised:
                attempt(record)
            assert words in " ".join([str(raised.value), *getattr(raised.value, "findings", ())])
        assert small_zoo.rows() == spoiled

    with operator.present():
        refused(WrongKey, "other keys than this server has", new)
    with successor.present():
        refused(WrongKey, f"{old.backup_name}.key.age was encrypted to other keys", new)
        assert backups.verify_backup(new) == []
    both = operator.joined(successor)
    with both.present():
        restores.restore_from_backup(new, safety_backup=False)
        assert small_zoo.rows() == changed
        rekeying.rekey([old])
    with successor.present():
        restores.restore_from_backup(old, safety_backup=False)
        assert small_zoo.rows() == before
        small_zoo.spoil()
        assert small_zoo.rows() == spoiled
        key_file = small_zoo.vault / f"{old.backup_name}.key.age"
        key_file.rename(tmp_path / "elsewhere")
        refused(NotFound, "nobody can decrypt", old)
        assert [f"{old.backup_name}.key.age is not in" in line for line in backups.verify_backup(new)] == [True]


def test_without_the_key_every_byte_can_be_verified_and_no_row(small_zoo, operator, backups):
    full = backups.create_backup()
    Animal.objects.filter(weight=500).update(name="a change")
    second = backups.create_backup(backup_type="INCREMENTAL")
    assert backups.verify_backup(full) == []
    assert backups.verify_backup(second) == []
    with pytest.raises(NoKey):
        backups.verify_backup(full, deep=True)
    assert not BackupRecord.objects.get(pk=full.pk).is_damaged
    cover = catalogue.read_cover(full, catalogue.get_vault())
    lent = {
        chunk.offset
        for chunk in catalogue.read_cover(second, catalogue.get_vault()).chunks
        if chunk.archive == cover.id
    }
    path = small_zoo.vault / full.file_path
    data = bytearray(path.read_bytes())
    for chunk, borrowed in ((c, c.offset in lent) for c in cover.chunks[:2] + cover.chunks[-1:]):
        damaged = bytearray(data)
        damaged[chunk.offset + chunk.length - 1] ^= 1
        path.write_bytes(damaged)
        number = cover.chunks.index(chunk)
        assert any(f"Chunk {number} of {full.backup_name}" in line for line in backups.verify_backup(full))
        assert bool(backups.verify_backup(second)) == borrowed
    path.write_bytes(data[:-700])
    assert "incomplete" in backups.verify_backup(full)[0]


def test_encryption_that_is_not_possible_is_refused_logged_and_never_plain(
    small_zoo, backups, restores, settings, tmp_path, monkeypatch
):
    plain = backups.create_backup()
    files, rows = small_zoo.files(), small_zoo.rows()
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    settings.BACKUP_ENCRYPTION = True
    for recipients, error in ((["age1nobody"], Refused), ([], Refused), ([Operator(tmp_path).recipient], Unsupported)):
        settings.BACKUP_ENCRYPTION_RECIPIENTS = recipients
        if error is Unsupported:
            monkeypatch.setitem(sys.modules, "pyrage", None)
        with pytest.raises(error) as raised:
            backups.create_backup()
        assert BackupLog.objects.filter(log_level="ERROR").first().message == str(raised.value)
        with pytest.raises(error):
            restores.restore_from_backup(plain)  # its safety backup would be plain
        assert small_zoo.rows() == spoiled
        assert small_zoo.files() == files
    restores.restore_from_backup(plain, safety_backup=False)
    assert small_zoo.rows() == rows


def test_plain_and_encrypted_backups_do_not_borrow_from_each_other(small_zoo, operator, backups, settings):
    sealed = backups.create_backup()
    settings.BACKUP_ENCRYPTION = False
    plain = backups.create_backup(backup_type="INCREMENTAL")
    assert (plain.parent, reason_for_a_full_one()) == (
        None,
        f"Everything is read afresh: {sealed.backup_name} is encrypted.",
    )
    settings.BACKUP_ENCRYPTION = True
    again = backups.create_backup(backup_type="INCREMENTAL")
    assert (again.parent, reason_for_a_full_one()) == (
        None,
        f"Everything is read afresh: {plain.backup_name} is not encrypted.",
    )


@pytest.mark.parametrize("loss", ["gone", "not its own", "damaged"])
def test_without_the_kept_manifest_everything_is_read_afresh_unless_there_is_a_key(small_zoo, operator, backups, loss):
    other = backups.create_backup()
    full = backups.create_backup()
    kept = KeptManifest.objects.filter(record=full)
    if loss == "gone":
        kept.delete()
    else:
        kept.update(body=KeptManifest.objects.get(record=other).body if loss == "not its own" else b"damaged")
    afresh = backups.create_backup(backup_type="INCREMENTAL")
    assert afresh.parent is None
    assert "no key to decrypt with" in reason_for_a_full_one()
    BackupRecord.objects.filter(pk=afresh.pk).delete()
    with operator.present():
        assert backups.create_backup(backup_type="INCREMENTAL").parent == full


def test_a_backup_whose_process_died_after_its_sidecar_is_kept_without_the_key(small_zoo, operator, backups, restores):
    before = small_zoo.rows()
    died = backups.create_backup()
    KeptManifest.objects.all().delete()
    BackupRecord.objects.filter(pk=died.pk).update(
        status="RUNNING", file_path="", file_hash="", is_encrypted=False, needs=[], contents={}, row_count=0
    )
    backups.create_backup()
    died.refresh_from_db()
    assert (died.status, died.is_encrypted, died.needs) == ("SUCCESS", True, [str(died.backup_id)])
    small_zoo.spoil()
    with operator.present():
        restores.restore_from_backup(died, safety_backup=False)
    assert small_zoo.rows() == before


def test_a_passphrase_in_the_environment_may_stand_for_keys(small_zoo, backups, restores, settings, monkeypatch):
    settings.BACKUP_ENCRYPTION = True
    settings.BACKUP_ENCRYPTION_RECIPIENTS = ["passphrase"]
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "正确的 horse")
    before = small_zoo.rows()
    record = backups.create_backup()
    small_zoo.spoil()
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "wrong")
    with pytest.raises(WrongKey):
        restores.restore_from_backup(record)
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "正确的 horse")
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == before
