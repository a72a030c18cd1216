"""Backups that the schedule says there should be, and that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from .. import registry
from ..models import BackupRecord, Schedule

BACKUPS = {
    Schedule.Action.FULL: (BackupRecord.Type.FULL,),
    Schedule.Action.INCREMENTAL: (BackupRecord.Type.FULL, BackupRecord.Type.INCREMENTAL),  # a full one is more
}
EARLY = timedelta(seconds=1)  # by so much a backup may begin before its slot, on a clock that is set


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """``slot``: the last time for which a backup was due."""

    schedule: Schedule
    slot: datetime
    last_good_at: datetime | None


def find(grace: timedelta) -> Iterator[Overdue]:
    """Of each enabled schedule of backups the last slot that is longer ago than ``grace``, if nothing good followed."""
    for schedule in Schedule.objects.filter(enabled=True, action__in=BACKUPS):
        slot = last_slot(schedule, timezone.now() - grace)
        if slot is None or slot < schedule.planned_at:
            continue
        last = _last_good(schedule)
        if last is None or last < slot - EARLY:
            yield Overdue(schedule=schedule, slot=slot, last_good_at=last)


def last_slot(schedule: Schedule, until: datetime) -> datetime | None:
    """In the project's time zone; ``None`` for an expression that can't be read or never comes."""
    zone = timezone.get_default_timezone()
    local = timezone.localtime(until, zone) if timezone.is_aware(until) else until
    try:
        return next(CronSim(schedule.cron, local, reverse=True), None)
    except CronSimError:
        return None


def _last_good(schedule: Schedule) -> datetime | None:
    """When the newest began that holds what the schedule asks for."""
    wanted = set(schedule.data_types or registry.data_types())
    good = BackupRecord.objects.filter(
        status=BackupRecord.Status.SUCCESS,
        database=DEFAULT_DB_ALIAS,
        sequence__gt=0,
        is_damaged=False,
        is_unsigned=False,
        backup_type__in=BACKUPS[Schedule.Action(schedule.action)],
    ).exclude(trigger=BackupRecord.Trigger.SAFETY)
    for record in good.only("data_types", "backup_start_time", "created_at").iterator():
        if wanted <= set(record.data_types):
            return record.backup_start_time or record.created_at
    return None
