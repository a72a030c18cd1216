"""An archive whose key file is lost is lost itself: verification says so, with a key and without one."""

from __future__ import annotations

import pytest

from backup_center.engine.errors import Damaged, Locked, NotFound
from backup_center.models import BackupRecord
from backup_center.services.verdict import verdict
from tests.integration.encrypting import key_path
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
