"""How long a restore would take: at the pace of those in the log."""

import pytest

from backup_center.models import BackupLog
from backup_center.services import durations
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def remember(backups):
    record = backups.create_backup()

    def write(**details) -> None:
        BackupLog.objects.create(
            operation="RESTORE", log_level="SUCCESS", backup_record=record, message="", details=details
        )

    return write


def test_a_restore_logs_its_rows_and_seconds(backups, restores):
    Keeper.objects.bulk_create(Keeper(name=str(number)) for number in range(300))
    record = backups.create_backup(["ZOO"])
    Keeper.objects.all().delete()
    restores.restore_from_backup(record)
    details = BackupLog.objects.get(operation="RESTORE").details

    assert details["rows"] == 300
    assert 0 <= details["seconds"] < 60
    assert details["seconds"] == round(details["seconds"], 1)


def test_without_a_log_the_pace_is_a_careful_one():
    assert durations.restore_seconds("default", 5 * durations.ROWS_PER_SECOND, 0) == 5


def test_rows_that_are_only_compared_take_their_time_too():
    assert durations.restore_seconds("default", 0, 3 * durations.LOOKED_AT_PER_SECOND) == 3


def test_the_latest_restores_tell_the_pace(remember):
    remember(rows=1_000_000, seconds=1.0)
    for seconds in (10.0, 20.0, 30.0):
        remember(rows=100_000, seconds=seconds)

    assert durations.restore_seconds("default", 10_000, 0) == pytest.approx(2)
    assert durations.restore_seconds("other", durations.ROWS_PER_SECOND, 0) == 1


def test_small_restores_tell_nothing(remember):
    remember(rows=100_000, seconds=10.0)
    remember(rows=5, seconds=3.0)
    remember(rows=100_000, seconds=0.0)
    remember()

    assert durations.restore_seconds("default", 10_000, 0) == pytest.approx(1)


def test_a_plan_expects_only_the_rows_that_would_come(backups, restores, remember, settings):
    settings.BACKUP_DATA_TYPES = {
        "KEEPER": {"models": ["zoo.Keeper"], "mode": "add"},
        "REST": {"models": ["*"]},
    }
    remember(rows=10_000, seconds=10_000.0)
    Keeper.objects.bulk_create(Keeper(name=str(number)) for number in range(5))
    record = backups.create_backup(["KEEPER"])
    Keeper.objects.first().delete()

    assert restores.plan(record).seconds == pytest.approx(1, rel=0.01)
