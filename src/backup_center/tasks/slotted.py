"""For schedulers with a clock of their own (Celery Beat): their wake-up is one for the slot of a schedule.

So it makes no difference which of them comes first, or whether the tick does: each slot is done once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from .. import slots
from ..engine.errors import BackupCenterError
from ..models import Job, Schedule
from ..services import jobs, schedules, timetable, working

AT_ONCE = timedelta(minutes=1)
EARLY = timedelta(seconds=5)  # another machine's clock may be ahead of ours


def perform(action: str) -> str:
    """Do what is due for this ``Schedule.Action`` in this process, and wait for other operations before.

    Returns what was done, for whoever reads results. Raises ``BackupCenterError`` if it failed.
    """
    timetable.fill()
    now = slots.aware(timezone.now())
    if not Schedule.objects.filter(action=action).exists():
        return _do(jobs.ask(schedules.DONE_AS[Schedule.Action(action)], **schedules.what_of(Schedule(action=action))))
    found = schedules.latest([action], now + EARLY)
    if found is None:
        return _("Nothing was done: the schedule is turned off.")
    is_past = schedules.is_past(*found, now) and not _is_first(*found)
    job = None if is_past else schedules.take(*found, now)
    return _do(schedules.who_does(job)) if job else _("Nothing was done: somebody has done it, or does it.")


def _is_first(schedule: Schedule, slot: datetime) -> bool:
    """A project that has just been given its schedules, and is woken: that is meant, though planned from now on."""
    unchanged = schedule.planned_at - schedule.created_at < AT_ONCE
    return unchanged and slot < slots.aware(schedule.created_at)


def _do(job: Job) -> str:
    if not job.is_over:
        working.run(job.pk, patient=True)
        job.refresh_from_db()
    if job.status == Job.Status.FAILED:
        raise BackupCenterError(job.error)
    return f"{job}: {job.get_status_display()} {job.error}".rstrip()
