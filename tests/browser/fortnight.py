"""What two weeks leave in a mall: nightly backups, one that failed, one by hand, a verification, a restore, a drill.

``live_through`` runs inside the project. The backups are real and can be restored; the clock is set back for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from unittest.mock import patch

from django.contrib.auth.models import User
from django.utils import timezone

from apps.store.models import Shop
from backup_center import signals
from backup_center.engine.errors import StorageFailed
from backup_center.models import BackupLog, BackupRecord, Job
from backup_center.services import BackupService, DrillService, RestoreService, jobs
from backup_center.tasks import queue

NIGHTS = 14
FULL_DISK, VERIFIED_UNTIL, BY_HAND, RESTORED = 9, 2, 6, 4  # nights ago
LASTED = timedelta(seconds=7)

backups = BackupService()


def live_through() -> dict[str, int]:
    """Keys of what pages show: ``backup``, ``shop``, ``pinned``, ``failed``, ``safety``, ``job`` and ``entry``."""
    person, _new = User.objects.get_or_create(
        username="chen.xiao", defaults={"first_name": "晓", "last_name": "陈", "is_staff": True}
    )
    for nights_ago in range(NIGHTS, 0, -1):
        night(nights_ago)
        if nights_ago == BY_HAND:
            by_hand(person, nights_ago)
        if nights_ago == RESTORED:
            restore(person, nights_ago)
    newest = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS).first()
    DrillService().drill(newest, person)
    return {
        "backup": newest.pk,
        "shop": Shop.objects.earliest("pk").pk,
        "pinned": BackupRecord.objects.get(pinned=True).pk,
        "failed": BackupRecord.objects.get(status=BackupRecord.Status.FAILED).pk,
        "safety": BackupRecord.objects.get(trigger=BackupRecord.Trigger.SAFETY).pk,
        "job": verify_again(newest),
        "entry": BackupLog.objects.filter(operation=BackupLog.Operation.RESTORE).first().pk,
    }


def night(nights_ago: int) -> None:
    with clock_at(nights_ago, hour=2):
        if nights_ago == FULL_DISK:
            fail()
            return
        record = backups.create_backup(description="夜间备份", trigger=BackupRecord.Trigger.SCHEDULE)
        settle_times(record)
    if nights_ago > VERIFIED_UNTIL:
        with clock_at(nights_ago, hour=5):
            backups.verify_backup(record, deep=True)


def fail() -> None:
    def refuse(**_facts: object) -> None:
        raise StorageFailed("磁盘空间不足：无法写入 backups/（No space left on device）。")

    signals.pre_backup.connect(refuse)
    try:
        backups.create_backup(description="夜间备份", trigger=BackupRecord.Trigger.SCHEDULE)
    except StorageFailed:
        pass
    finally:
        signals.pre_backup.disconnect(refuse)


def verify_again(record: BackupRecord) -> int:
    """As a page asks for it."""
    return queue.submit(jobs.ask(Job.Action.VERIFY, record=record)).pk


def by_hand(person: User, nights_ago: int) -> None:
    with clock_at(nights_ago, hour=16):
        record = backups.create_backup(["SHOP", "CONTRACT", "FINANCE"], user=person, description="续签合约之前")
        settle_times(record)
    BackupRecord.objects.filter(pk=record.pk).update(pinned=True)


def restore(person: User, nights_ago: int) -> None:
    with clock_at(nights_ago, hour=9):
        record = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS).first()
        RestoreService().restore_from_backup(record, user=person, data_types=["FINANCE"])
        settle_times(BackupRecord.objects.get(trigger=BackupRecord.Trigger.SAFETY))


def settle_times(record: BackupRecord) -> None:
    """The end comes from the manifest, which was written today."""
    BackupRecord.objects.filter(pk=record.pk).update(backup_end_time=record.backup_start_time + LASTED)


@contextmanager
def clock_at(days_ago: int, *, hour: int) -> Iterator[None]:
    then = timezone.localtime().replace(hour=hour, minute=0, second=2, microsecond=0) - timedelta(days=days_ago - 1)

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return then.astimezone(tz)

    # Names come from the one clock, times from the other.
    with (
        patch("backup_center.services.catalogue.datetime", Then),
        patch("django.utils.timezone.now", lambda: then),
    ):
        yield
