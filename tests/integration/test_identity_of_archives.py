"""Whose backup it is, and which (reliability 7 and 14): signatures, swapped files, damage, permissions."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from backup_center.engine.errors import BadSignature, Damaged
from backup_center.services import catalogue
from tests.integration.forging import archive_path, flip, sidecar_path
from tests.integration.killing import stop_at
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def refused(small_zoo, restores):
    def check(record, error) -> str:
        rows = small_zoo.rows()
        with pytest.raises(error) as caught:
            restores.restore_from_backup(record)
        assert small_zoo.rows() == rows
        return str(caught.value)

    return check


def swap(one, other) -> None:
    one.rename(one.with_suffix(".tmp"))
    other.rename(one)
    one.with_suffix(".tmp").rename(other)


def test_another_projects_signature_is_refused(small_zoo, backups, refused, settings):
    record = backups.create_backup()
    settings.SECRET_KEY = "another project's"

    assert "SECRET_KEY_FALLBACKS" in refused(record, BadSignature)
    assert "SECRET_KEY_FALLBACKS" in backups.verify_backup(record)[0]


def test_a_rotated_key_still_verifies_and_the_new_one_signs(small_zoo, backups, restores, settings):
    rows, record = small_zoo.rows(), backups.create_backup()
    settings.SECRET_KEY_FALLBACKS = ["older still", settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one"
    small_zoo.spoil()

    restores.restore_from_backup(record)
    newer = backups.create_backup()
    settings.SECRET_KEY_FALLBACKS = []

    assert small_zoo.rows() == rows
    assert backups.verify_backup(newer) == []
    assert backups.verify_backup(record) != []


def test_swapped_archives_are_noticed(small_zoo, backups, refused):
    one = backups.create_backup()
    small_zoo.spoil()
    other = backups.create_backup()
    swap(archive_path(one), archive_path(other))

    for record in (one, other):
        refused(record, Damaged)
        assert backups.verify_backup(record)


def test_swapped_pairs_are_noticed(small_zoo, backups, refused):
    """Both files of a backup under the names of another: whole and signed, but not what the record says."""
    one = backups.create_backup()
    small_zoo.spoil()
    other = backups.create_backup()
    swap(archive_path(one), archive_path(other))
    swap(sidecar_path(one), sidecar_path(other))

    for record in (one, other):
        assert "another backup" in refused(record, Damaged)
        assert "another backup" in backups.verify_backup(record)[0]


def test_an_older_archive_rolled_back_under_a_newer_name_is_noticed(small_zoo, backups, refused):
    older, newer = backups.create_backup(), backups.create_backup()
    archive_path(newer).write_bytes(archive_path(older).read_bytes())
    sidecar_path(newer).write_bytes(sidecar_path(older).read_bytes())

    refused(newer, Damaged)


def borrowing(small_zoo, backups):
    """An older backup, and one that lends all its chunks to an incremental one."""
    older = backups.create_backup()
    Animal.objects.update(name="of the lender")
    Keeper.objects.update(name="of the lender")
    lender = backups.create_backup()
    borrower = backups.create_backup(backup_type="INCREMENTAL")
    assert borrower.needs == [str(borrower.backup_id), str(lender.backup_id)]
    return older, lender, borrower


def roll_back(older, lender) -> None:
    archive_path(lender).write_bytes(archive_path(older).read_bytes())
    sidecar_path(lender).write_bytes(sidecar_path(older).read_bytes())


def swap_pairs(older, lender) -> None:
    swap(archive_path(older), archive_path(lender))
    swap(sidecar_path(older), sidecar_path(lender))


def rename(older, lender) -> None:
    archive_path(lender).rename(archive_path(lender).with_name("backup_full_20200101_000000.tar.gz"))


@pytest.mark.parametrize("replace", [roll_back, swap_pairs, rename])
def test_a_lender_replaced_by_another_whole_archive_is_noticed_by_what_borrows(
    small_zoo, backups, restores, refused, replace
):
    """The other is signed, and as it was written: but it is not the one whose chunks were borrowed."""
    older, lender, borrower = borrowing(small_zoo, backups)
    rows = small_zoo.rows()
    files = {path: path.read_bytes() for path in small_zoo.vault.iterdir()}
    changed = len(animals(lender))
    replace(older, lender)

    found = backups.verify_backup(borrower)
    assert len(found) >= changed
    assert len(found) <= sum(len(chunks) for chunks in borrowed(borrower))  # one that never changed may lie there too
    assert backups.verify_backup(borrower, deep=True) == found
    refused(borrower, Damaged)
    afresh = backups.create_backup(backup_type="INCREMENTAL")
    assert (afresh.parent, afresh.needs) == (None, [str(afresh.backup_id)])
    assert backups.verify_backup(afresh, deep=True) == []

    for path, data in files.items():
        path.write_bytes(data)
    small_zoo.spoil()
    assert backups.verify_backup(borrower) == []
    restores.restore_from_backup(borrower, safety_backup=False)
    assert small_zoo.rows() == rows


def test_a_chunk_rolled_back_to_what_an_older_backup_has_is_noticed(small_zoo, backups, refused):
    """Bytes of the same table and range, whole in themselves, in the place of those that were borrowed."""
    older, lender, borrower = borrowing(small_zoo, backups)
    was, is_now = animals(older)[0], animals(lender)[0]
    old = archive_path(older).read_bytes()[was.offset : was.offset + was.length]
    data = archive_path(lender).read_bytes()
    archive_path(lender).write_bytes(data[: is_now.offset] + old + data[is_now.offset + is_now.length :])

    assert any("data/zoo.animal/000000.json" in line for line in backups.verify_backup(borrower))
    assert backups.verify_backup(older) == []
    refused(borrower, Damaged)


def animals(record):
    return catalogue.open_sidecar(record, catalogue.get_vault()).manifest.table("zoo.animal").chunks


def borrowed(record):
    """Of each table, the chunks that lie elsewhere."""
    tables = catalogue.open_sidecar(record, catalogue.get_vault()).manifest.tables
    return [[chunk for chunk in table.chunks if chunk.archive != str(record.backup_id)] for table in tables]


def test_a_damaged_chunk_is_named_and_other_backups_restore(small_zoo, backups, restores, refused, capsys):
    rows = small_zoo.rows()
    first, damaged, last = (backups.create_backup() for _ in range(3))
    small_zoo.spoil()
    flip(archive_path(damaged), archive_path(damaged).stat().st_size // 2)

    with pytest.raises(CommandError) as caught:
        call_command("verify_backups", "--deep")

    assert caught.value.returncode == Damaged.exit_code
    shown = capsys.readouterr().out
    assert "data/zoo.animal/" in shown
    assert [first.backup_name in shown, damaged.backup_name in shown, last.backup_name in shown] == [True] * 3
    for record in (first, damaged, last):
        record.refresh_from_db()
    assert [first.is_damaged, damaged.is_damaged, last.is_damaged] == [False, True, False]
    refused(damaged, Damaged)
    for record in (first, last):
        small_zoo.spoil()
        restores.restore_from_backup(record)
        assert small_zoo.rows() == rows


def test_the_last_good_backup_is_kept_when_a_newer_one_is_damaged(small_zoo, backups):
    good, damaged = backups.create_backup(), backups.create_backup()
    flip(archive_path(damaged), 5_000)
    backups.verify_backup(damaged)

    backups.delete_old_backups(days=0)

    assert archive_path(good).exists()
    assert backups.verify_backup(good) == []


def test_nobody_else_can_read_what_is_written(small_zoo, backups):
    """Not even while it is written, and whatever the umask is."""
    usual = os.umask(0)
    try:
        halfway = stop_at("half a write", backups.create_backup)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in small_zoo.vault.iterdir()}
        assert halfway.resume() == 0
    finally:
        os.umask(usual)

    assert [name for name in modes if name.endswith(".partial")] != []
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(small_zoo.vault.stat().st_mode) == 0o700
    if connection.vendor == "sqlite":
        lock = Path(connection.settings_dict["NAME"] + ".backup-lock")
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
