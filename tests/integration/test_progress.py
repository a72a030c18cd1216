"""While a backup runs, its record shows how far it is and that it is alive."""

import time

import pytest

from backup_center.models import BackupRecord
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)


def test_progress_and_a_sign_of_life_are_on_the_record_while_it_runs(backups):
    Keeper.objects.create(name="李")
    seen = []

    def look(phase: str, done: int, total: int) -> None:
        if not seen:
            time.sleep(1.5)  # longer than a heartbeat
            seen.append(BackupRecord.objects.get())

    record = backups.create_backup(progress=look)

    assert seen[0].status == BackupRecord.Status.RUNNING
    assert seen[0].heartbeat_at > seen[0].backup_start_time
    assert set(seen[0].progress) == {"phase", "done", "total", "size", "seconds"}
    record.refresh_from_db()
    assert record.progress == {"phase": "done", "done": record.row_count, "total": record.row_count}
