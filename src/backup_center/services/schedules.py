"""What is due: a job for each slot of a schedule, once, however many processes look and however clocks go.

A slot is taken by making its job: the database knows one for each. ``next_run_at`` only tells when to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cronsim import CronSimError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import slots
from ..models import BackupLog, BackupRecord, Installation, Job, Schedule
from . import jobs, journal, lineage
from .catalogue import as_stored
from .connecting import home_alias
from .running import running

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

LATE = timedelta(minutes=5)  # a slot that is done later than this was missed, and the log says so
DONE_AS = {
    Schedule.Action.FULL: Job.Action.BACKUP,
    Schedule.Action.INCREMENTAL: Job.Action.BACKUP,
    Schedule.Action.CLEANUP: Job.Action.CLEANUP,
    Schedule.Action.VERIFY: Job.Action.VERIFY,
    Schedule.Action.DRILL: Job.Action.DRILL,
    Schedule.Action.COPY: Job.Action.COPY,
}


def due(now: datetime | None = None) -> list[Job]:
    """Make a job for the latest slot of each schedule that has one not done yet; those skipped are CANCELLED."""
    moment = slots.aware(now or timezone.now())
    made = []
    for schedule in Schedule.objects.filter(enabled=True).order_by("next_run_at", "pk"):
        try:
            job = _due(schedule, moment)
        except CronSimError as error:  # written past every form; the others must run all the same
            journal.logger.error("schedule %d (%s) never runs: %s", schedule.pk, schedule.cron, error)
            continue
        if job is not None:
            made.append(job)
    return made


def take(schedule: Schedule, slot: datetime, now: datetime) -> Job | None:
    """The job for this slot; ``None`` if somebody has made it already. The schedule looks past it from now on."""
    following = as_stored(slots.after(schedule.cron, max(slot, now)))
    with transaction.atomic(using=home_alias()):  # both or neither: a slot must not be lost between them
        seen = Schedule.objects.filter(pk=schedule.pk, next_run_at=schedule.next_run_at, enabled=True)
        if not seen.update(next_run_at=following):
            return None
        job = jobs.create(DONE_AS[Schedule.Action(schedule.action)], schedule=schedule, slot=as_stored(slot), **what_of(schedule))
    if job is None:
        return None
    if now - slot > LATE:
        _note(schedule, job, _("Caught up on the run of %(slot)s that was missed."), BackupLog.Level.WARNING)
    if schedule.overlap == Schedule.Overlap.SKIP and (reason := _in_the_way(job)):
        if jobs.end(job, Job.Status.CANCELLED, reason, only=Job.Status.PENDING):
            _note(schedule, job, _("Skipped the run of %(slot)s: %(reason)s"), BackupLog.Level.WARNING, reason=reason)
    return job


def latest(actions: Sequence[str], now: datetime) -> tuple[Schedule, datetime] | None:
    """Of the enabled schedules that do one of these: whose slot comes last up to ``now``, and that slot."""
    found = []
    for schedule in Schedule.objects.filter(enabled=True, action__in=actions):
        if slot := slots.latest(schedule.cron, now):
            found.append((slot, schedule))
    if not found:
        return None
    slot, schedule = max(found, key=lambda pair: (pair[0], -pair[1].pk))
    return schedule, slot


def run_now(schedule: Schedule, user: AbstractBaseUser | None) -> Job:
    """What it does, at once and besides its slots."""
    return jobs.ask(DONE_AS[Schedule.Action(schedule.action)], user=user, schedule=schedule, **what_of(schedule, user))


def what_of(schedule: Schedule, user: AbstractBaseUser | None = None) -> dict[str, Any]:
    """The arguments of its jobs; of those that a person asks for, ``user``."""
    if DONE_AS[Schedule.Action(schedule.action)] != Job.Action.BACKUP:
        return {}
    facts = {"backup_type": schedule.action, "data_types": schedule.data_types}
    return facts if user else {**facts, "trigger": BackupRecord.Trigger.SCHEDULE}


def prefer_full(job: Job) -> None:
    """An incremental backup that a schedule asks for becomes a full one where there is nothing to borrow from.

    Decided when it is done, not when it is due: meanwhile a full one may have been taken.
    """
    if job.schedule_id is None or job.arguments.get("backup_type") != BackupRecord.Type.INCREMENTAL:
        return
    if reason := lineage.why_none(job.arguments.get("data_types") or []):
        asked_for = job.arguments["backup_type"]
        job.arguments |= {"backup_type": BackupRecord.Type.FULL, "instead_of": asked_for, "reason": reason}
        job.save(update_fields=["arguments"])
        text = _("A full backup instead of an incremental one: %(reason)s") % {"reason": reason}
        journal.write(BackupLog.Operation.SCHEDULE, BackupLog.Level.INFO, text, job=job.pk, schedule=job.schedule_id)


def _due(schedule: Schedule, now: datetime) -> Job | None:
    following = slots.after(schedule.cron, now)
    planned = slots.aware(schedule.next_run_at) if schedule.next_run_at else None
    if planned and planned <= now and (slot := slots.latest(schedule.cron, now)) and slot >= planned:
        return take(schedule, slot, now)
    # New; or a clock, the time zone or the expression was changed behind our back: looked at afresh, never for years.
    if planned is None or planned <= now or planned > following:
        seen = Schedule.objects.filter(pk=schedule.pk, next_run_at=schedule.next_run_at)
        seen.update(next_run_at=as_stored(following))
    return None


def _in_the_way(job: Job) -> str:
    """Why a run that doesn't wait is skipped; empty if nothing is in its way."""
    before = Job.objects.filter(schedule=job.schedule, status__in=jobs.UNFINISHED, pk__lt=job.pk)
    if before.exists():
        return _("the run before it is not over yet.")
    found = running()
    return f"{found}." if found else ""


def _note(schedule: Schedule, job: Job, text: str, level: BackupLog.Level, **facts: str) -> None:
    slot = timezone.localtime(slots.aware(job.slot), timezone.get_default_timezone()) if job.slot else None
    message = f"{schedule}: " + text % {"slot": f"{slot:%Y-%m-%d %H:%M}", **facts}
    journal.write(BackupLog.Operation.SCHEDULE, level, message, job=job.pk, schedule=schedule.pk)
