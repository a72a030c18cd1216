"""A full disk (reliability 12), for real: a small tmpfs. A clear failure, nothing left behind, and then it works."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, connections

from backup_center.engine.errors import BackupCenterError, DatabaseFailed, StorageFailed
from backup_center.models import BackupLog, BackupRecord
from backup_center.services.lease import hold
from tests.integration.killing import Child
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = 4096
KIB = 1024
Status = BackupRecord.Status
only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="Only a SQLite database is a file of ours.")


class Disk:
    """A file system of its own that can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, *, but: int) -> None:
        """Leave so many bytes free."""
        state = os.statvfs(self.folder)
        with (self.folder / "ballast").open("ab") as file:
            file.write(bytes(state.f_bavail * state.f_frsize - but))

    def clear(self) -> None:
        (self.folder / "ballast").unlink()


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = f"A full disk needs the right to mount a tmpfs: {getattr(error, 'stderr', error)!r}"
        (pytest.fail if os.environ.get("REQUIRE") == "all" else pytest.skip)(reason)
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)  # whatever still has a file open on it


@pytest.fixture
def database_on_disk(small_zoo, disk) -> Iterator[Path]:
    """The SQLite database, grown to a few MiB and moved to the small disk; without what other tests left behind."""
    Animal.objects.update(notes="x" * 2_000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
    home = connection.settings_dict["NAME"]
    connections.close_all()
    moved = Path(shutil.copy(home, disk.folder))
    connection.settings_dict["NAME"] = str(moved)
    yield moved
    connections.close_all()
    connection.settings_dict["NAME"] = home


def rooms(archive: int, sidecar: int) -> dict[str, int]:
    """How much to leave free, so that it ends within the archive, at its last bytes, and within the sidecar."""
    pages = -(-archive // PAGE) * PAGE
    return {"nothing": 0, "half of it": archive // 2 // PAGE * PAGE, "nearly": pages - PAGE, "sidecar": pages + PAGE}


def test_a_full_vault(small_zoo, disk, backups, settings):
    settings.BACKUP_DIR = small_zoo.vault = disk.folder / "backups"
    first = backups.create_backup()
    files = small_zoo.files()
    size = (small_zoo.vault / first.file_path).stat().st_size
    sidecar = (small_zoo.vault / f"{first.backup_name}.manifest.json").stat().st_size
    assert sidecar > PAGE
    for where, room in rooms(size, sidecar).items():
        disk.fill(but=room)

        with pytest.raises(StorageFailed, match=f"disk of {small_zoo.vault} is full"):
            backups.create_backup()

        record = BackupRecord.objects.latest("sequence")
        assert (record.status, "is full" in record.error_message) == (Status.FAILED, True), where
        assert record.logs.get().log_level == BackupLog.Level.ERROR, where
        assert small_zoo.files() == files, where
        disk.clear()
    assert backups.verify_backup(backups.create_backup(), deep=True) == []
    assert backups.verify_backup(first, deep=True) == []


def test_no_room_for_the_safety_backup(small_zoo, disk, backups, restores, settings):
    rows, record = small_zoo.rows(), backups.create_backup()
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    for file in small_zoo.vault.iterdir():
        (disk.folder / "backups").mkdir(exist_ok=True)
        shutil.copy(file, disk.folder / "backups")
    settings.BACKUP_DIR = disk.folder / "backups"
    disk.fill(but=PAGE)

    with pytest.raises(StorageFailed, match="is full"):
        restores.restore_from_backup(record)

    assert small_zoo.rows() == spoiled
    assert BackupRecord.objects.latest("sequence").status == Status.FAILED
    disk.clear()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == rows


@only_sqlite
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_no_room_for_the_rows_that_a_restore_brings(
    small_zoo, disk, database_on_disk, in_journal_mode, backups, restores, mode
):
    with in_journal_mode(mode):
        rows, record = small_zoo.rows(), backups.create_backup()
        Animal.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spoiled = small_zoo.rows()
        disk.fill(but=700 * KIB)

        with pytest.raises(DatabaseFailed, match="full"):
            restores.restore_from_backup(record)

        assert small_zoo.rows() == spoiled
        log = BackupLog.objects.filter(operation=BackupLog.Operation.RESTORE).latest("id")
        assert (log.log_level, "full" in log.message) == (BackupLog.Level.ERROR, True)
        assert not BackupRecord.objects.filter(status=Status.RUNNING).exists()
        disk.clear()
        restores.restore_from_backup(record)
        assert small_zoo.rows() == rows


@only_sqlite
def test_a_sign_of_life_that_cannot_be_written_is_left_to_the_next(small_zoo):
    def work() -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        with hold("backup"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
            time.sleep(1.2)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert "backup-heartbeat" in {thread.name for thread in threading.enumerate()}

    assert Child(work).wait() == 0


@only_sqlite
def test_no_room_for_a_copy_of_the_pages(small_zoo, disk, database_on_disk, in_journal_mode, backups):
    with in_journal_mode("DELETE"):
        disk.fill(but=700 * KIB)

        with pytest.raises(DatabaseFailed, match="full"):
            backups.create_backup()

        assert BackupRecord.objects.get().status == Status.FAILED
        assert "full" in BackupRecord.objects.get().error_message
        assert small_zoo.files() == set()
        assert list(disk.folder.glob("*.backup-copy*")) == []
        disk.clear()
        assert backups.verify_backup(backups.create_backup(), deep=True) == []
        assert list(disk.folder.glob("*.backup-copy*")) == []


@only_sqlite
def test_no_room_at_all_beside_the_database(small_zoo, disk, database_on_disk, backups):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    disk.fill(but=0)

    with pytest.raises(BackupCenterError, match="full"):
        backups.create_backup()

    disk.clear()
    assert backups.verify_backup(backups.create_backup(), deep=True) == []
    assert not BackupRecord.objects.filter(status=Status.RUNNING).exists()
