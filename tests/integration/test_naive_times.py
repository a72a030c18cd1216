"""A project without USE_TZ keeps naive times, in its own time zone: everything works there as well."""

from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.utils import timezone

from backup_center.models import Job
from backup_center.services import cleanup, troubles
from tests.integration.pages import a_record

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_backup_is_taken_listed_judged_and_restored(settings, backups, restores, capsys):
    settings.USE_TZ = False
    record = backups.create_backup()
    record.refresh_from_db()

    now = datetime.now(timezone.get_default_timezone()).replace(tzinfo=None)
    assert now - timedelta(minutes=1) < record.backup_end_time <= now
    call_command("list_backups")
    assert f"{record.backup_name}  {record.created_at:%Y-%m-%d %H:%M:%S}" in capsys.readouterr().out
    assert [verdict.delete for verdict in cleanup.plan(days=0)] == [False]
    assert restores.restore_from_backup(record)["animals"] == 0


def test_incremental_backups_and_cleanups_work_too(settings, small_zoo, backups, restores):
    settings.USE_TZ = False
    lender = backups.create_backup()
    rows, record = small_zoo.rows(), backups.create_backup(backup_type="INCREMENTAL")

    assert record.needs == [str(record.backup_id), str(lender.backup_id)]
    assert backups.delete_old_backups(days=0) == 0
    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == rows


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Lima"])
def test_a_job_that_gives_signs_of_life_is_alive_whatever_the_time_zone(settings, zone):
    settings.USE_TZ, settings.TIME_ZONE = False, zone
    job = Job.objects.create(action="BACKUP", status="RUNNING", started_at=timezone.now() - timedelta(minutes=20))
    a_record(1, hours=0.1, status="FAILED", error_message="The disk is full.")
    mine = Job.objects.filter(pk=job.pk)

    mine.update(heartbeat_at=Now())
    assert troubles.find(50) == []
    mine.update(heartbeat_at=Now() - troubles.ALIVE - timedelta(minutes=1))
    assert [trouble.kind for trouble in troubles.find(50)] == ["FAILED"]
