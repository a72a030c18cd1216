"""An archive whose key file is lost is lost itself: verification says so, with a key and without one."""

from __future__ import annotations

import pytest

from backup_center.engine.errors import BackupCenterError, Damaged, Locked, NotFound
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import keyring
from backup_center.services.rescan import rescan
from backup_center.services.verdict import verdict
from tests.integration.encrypting import key_path
from tests.integration.forging import sidecar_path
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pair(small_zoo, backups, operator) -> tuple[BackupRecord, BackupRecord]:
    """A full backup, and one that borrows from it."""
    full = backups.create_backup()
    Animal.objects.filter(weight=500).update(name="a change")
    return full, backups.create_backup(backup_type="INCREMENTAL")


def cut(data: bytes) -> bytes:
    return data[:-1]


def header_alone(data: bytes) -> bytes:
    return data[: data.index(b"\n--- ")]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (None, "is not in"),
        (cut, "ends early"),
        (header_alone, "ends early"),
        (lambda data: b"", "no age file"),
        (lambda data: b"x" * 200, "no age file"),
        (lambda data: data + bytes(70_000), "larger than any key file"),
    ],
    ids=["gone", "cut", "header alone", "empty", "garbage", "huge"],
)
def test_a_key_file_that_nothing_can_open_is_damage_of_all_that_need_it(
    small_zoo,
    backups,
    restores,
    operator,
    pair,
    spoil,
    words,
):
    path = key_path(pair[0])
    path.write_bytes(spoil(path.read_bytes())) if spoil else path.unlink()
    for _key in ("without it", "with it"):
        for record in pair:
            assert any(words in line and path.name in line for line in backups.verify_backup(record))
            assert BackupRecord.objects.get(pk=record.pk).is_damaged
        operator.opens()
    before = (small_zoo.rows(), small_zoo.files())
    for record in pair:
        for attempt in (restores.plan, restores.restore_from_backup):
            with pytest.raises((Damaged, NotFound), match=words):
                attempt(record)
    assert (small_zoo.rows(), small_zoo.files()) == before


def test_another_archives_key_file_is_found_out_by_who_has_the_key(small_zoo, backups, operator, pair):
    full, second = pair
    own = key_path(full).read_bytes()
    key_path(full).write_bytes(key_path(second).read_bytes())
    operator.opens()
    for record in pair:
        assert any("the key of another archive" in line for line in backups.verify_backup(record))
    key_path(full).write_bytes(own)
    for record in pair:
        assert backups.verify_backup(record) == []
        assert not BackupRecord.objects.get(pk=record.pk).is_damaged


def test_a_lender_that_this_server_cannot_open_refuses_a_restore_before_anything_is_begun(
    small_zoo,
    backups,
    restores,
    operator,
    people,
    settings,
):
    backups.create_backup()
    successor = people()
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [successor.recipient]
    Animal.objects.filter(weight=500).update(name="a change")
    second = backups.create_backup(backup_type="INCREMENTAL")
    successor.opens()
    small_zoo.spoil()
    spoiled, files = small_zoo.rows(), small_zoo.files()
    for attempt in (restores.plan, restores.restore_from_backup):
        with pytest.raises(Locked):
            attempt(second)
    assert (small_zoo.rows(), small_zoo.files()) == (spoiled, files)  # … not even a safety backup
    assert backups.verify_backup(second) == []  # whole it is


def test_the_verdict_says_that_the_key_has_to_be_brought(small_zoo, backups, operator, pair):
    assert any("no key" in line for line in verdict().evidence)
    operator.opens()
    assert not any("no key" in line for line in verdict().evidence)


@pytest.fixture
def copied(small_zoo, backups, operator, disk, offsite):
    """An encrypted backup in two vaults."""
    offsite(disk)
    return backups.create_backup()


def test_a_key_file_is_taken_from_the_copy_that_has_a_sound_one(small_zoo, copied, backups, restores, operator, disk):
    operator.opens()
    good = key_path(copied).read_bytes()
    for bad in (b"garbage", good[:-3], flipped(good)):
        key_path(copied).write_bytes(bad)
        small_zoo.spoil()
        restores.restore_from_backup(copied, safety_backup=False)
    key_path(copied).write_bytes(b"garbage")
    assert "no age file" in " ".join(backups.verify_backup(copied))
    copied.refresh_from_db()
    assert not copied.is_damaged  # the other copy has it
    assert backups.verify_backup(copied, repair=True) == []
    assert key_path(copied).read_bytes() == good


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_a_sound_key_file_is_never_replaced_by_what_is_none(small_zoo, copied, backups, operator, disk):
    """The archive offsite is damaged, and the key file here: each is healed from the other."""
    good = key_path(copied).read_bytes()
    key_path(copied).write_bytes(b"garbage")
    archive = disk.folder / copied.file_path
    archive.write_bytes(b"x" + archive.read_bytes()[1:])
    assert backups.verify_backup(copied, repair=True) == []
    assert key_path(copied).read_bytes() == (disk.folder / key_path(copied).name).read_bytes() == good


def test_rekeying_names_the_vaults_in_which_older_keys_stay(small_zoo, copied, operator, people, settings):
    successor = people()
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [successor.recipient]
    settings.BACKUP_VAULT_MODES = {"offsite": "append-only"}
    operator.opens()
    names, older = keyring.rekey([copied])
    assert (names, older) == ([copied.backup_name], ["offsite"])
    assert BackupLog.objects.filter(log_level="WARNING", message__contains="Only older identities").exists()


def test_one_whose_lender_is_not_known_is_refused_by_name(small_zoo, pair, restores, operator):
    lender, borrower = pair
    BackupRecord.objects.filter(pk=lender.pk).delete()
    operator.opens()
    with pytest.raises(BackupCenterError, match="is damaged") as caught:
        restores.plan(borrower)
    assert f"Archive {lender.backup_id} is needed and not known here." in caught.value.findings


def test_a_kept_manifest_that_is_damaged_only_means_that_the_key_is_needed(
    small_zoo, pair, restores, operator, settings
):
    for path in settings.BACKUP_MANIFESTS_DIR.iterdir():
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(Locked):
        restores.plan(pair[1])
    operator.opens()
    assert restores.plan(pair[1]).changed == 0


def test_what_needs_no_key_is_read_from_the_copy_that_is_signed(small_zoo, copied, disk, settings):
    """A rescan without a key, where the sidecar here was altered and the one offsite was not."""
    for path in (sidecar_path(copied), *settings.BACKUP_MANIFESTS_DIR.iterdir()):
        path.write_bytes(b"{}\n" + b"0" * 64 + b"\n")
    BackupRecord.objects.all().delete()
    report = rescan()
    assert [record.backup_id for record in report.added] == [copied.backup_id]
    assert {finding.kind for finding in report.findings} == {"locked"}
