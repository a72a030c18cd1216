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
from ..models import BackupLog, BackupRecord, Job, Schedule
from ..quantities import exactly
from . import jobs, journal, lineage
from .catalogue import as_stored
from .connecting import home_alias
from .running import running

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

LATE = timedelta(minutes=5)  # a slot that is done later than this was missed, and the log says so
LEFT_TO = "left_to"  # in the result of a job that was cancelled: the one that still waits
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
        job = jobs.create(
            DONE_AS[Schedule.Action(schedule.action)], schedule=schedule, slot=as_stored(slot), **what_of(schedule)
        )
    if job is not None:
        if now - slot > LATE:
            _note(job, _("Caught up on the run of %(slot)s that was missed."))
        if schedule.overlap == Schedule.Overlap.SKIP:
            _skip_if_in_the_way(job)
        else:
            _leave_it_to_who_waits(job)
    return job


def is_past(schedule: Schedule, slot: datetime, now: datetime) -> bool:
    """Whether it looks further already: the slot was done, if only by a job long forgotten, or never was one."""
    if schedule.next_run_at is None:
        return False
    following = slots.after(schedule.cron, max(slot, now))  # what is planned beyond it a wrong clock has planned
    return slot < slots.aware(schedule.next_run_at) <= following


def latest(actions: Sequence[str], now: datetime) -> tuple[Schedule, datetime] | None:
    """Of the enabled schedules that do one of these: whose slot comes last up to ``now``, and that slot."""
    enabled = Schedule.objects.filter(enabled=True, action__in=actions)
    found = [(slot, schedule) for schedule in enabled if (slot := slots.latest(schedule.cron, now))]
    if not found:
        return None
    slot, schedule = max(found, key=lambda pair: pair[0])
    return schedule, slot


def who_does(job: Job) -> Job:
    """The job that does the work of this one: itself, or the one that it was left to."""
    return Job.objects.filter(pk=job.result.get(LEFT_TO)).first() or job


def run_now(schedule: Schedule, user: AbstractBaseUser | None) -> Job:
    """What it does, at once and besides its slots."""
    return jobs.ask(DONE_AS[Schedule.Action(schedule.action)], user=user, schedule=schedule, **what_of(schedule, user))


def what_of(schedule: Schedule, user: AbstractBaseUser | None = None) -> dict[str, Any]:
    """The arguments of its jobs; of those that a person asks for, ``user``."""
    if not schedule.is_backup:
        return {}
    facts = {"backup_type": schedule.action, "data_types": schedule.data_types}
    return facts if user else {**facts, "trigger": BackupRecord.Trigger.SCHEDULE}


def type_for(job: Job) -> tuple[str, str]:
    """The type of the backup, and why it isn't the one that was asked for.

    An incremental one that a schedule asks for becomes a full one where there is nothing to borrow from. That is
    looked at when it begins, not when it is due: what runs meanwhile may be a full one.
    """
    kind = job.arguments.get("backup_type", BackupRecord.Type.FULL)
    if kind != BackupRecord.Type.INCREMENTAL or job.schedule_id is None:
        return kind, ""
    reason = lineage.why_none(job.arguments.get("data_types") or [])
    return (BackupRecord.Type.FULL if reason else kind), reason


def note_full(job: Job, record: BackupRecord, reason: str) -> None:
    """What ``type_for`` has decided, in the job and in the log."""
    job.arguments = {**job.arguments, "backup_type": record.backup_type, "instead_of": "INCREMENTAL", "reason": reason}
    job.save(update_fields=["arguments"])
    text = _("A full backup instead of an incremental one: %(reason)s.") % {"reason": reason.rstrip(".")}
    info = BackupLog.Level.INFO
    journal.write(BackupLog.Operation.SCHEDULE, info, text, record=record, job=job.pk, schedule=job.schedule_id)


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


def _skip_if_in_the_way(job: Job) -> None:
    """If nothing is, or only from now on: whoever does the job skips it then."""
    before = Job.objects.filter(schedule=job.schedule, status__in=jobs.UNFINISHED, pk__lt=job.pk)
    found = running()
    if before.exists():
        reason = _("The run before it is not over yet.")
    elif found is not None:
        reason = f"{found}."
    else:
        return
    if jobs.end(job, Job.Status.CANCELLED, reason, started_at=None):
        _note(job, _("Skipped the run of %(slot)s. %(reason)s"), reason=reason)


def _leave_it_to_who_waits(job: Job) -> None:
    """Of slots that nobody has begun, one is enough: the first, so that none is passed over for ever where workers are
    always behind. The log says so once, however many follow one another.
    """
    before = Job.objects.filter(schedule=job.schedule, slot__isnull=False, status=Job.Status.PENDING, pk__lt=job.pk)
    waiting = before.order_by("pk").first()
    if waiting is None:
        return
    told = Job.objects.filter(schedule=job.schedule, **{f"result__{LEFT_TO}": waiting.pk}).exists()
    reason = _("The run of %(slot)s still waits for a worker, and makes up for it.") % {"slot": _slot_of(waiting)}
    if jobs.end(job, Job.Status.CANCELLED, reason, {LEFT_TO: waiting.pk}, started_at=None) and not told:
        _note(job, _("Skipped the run of %(slot)s. %(reason)s"), reason=reason)


def _note(job: Job, text: str, **facts: str) -> None:
    message = f"{job.schedule}: " + text % {"slot": _slot_of(job), **facts}
    warning = BackupLog.Level.WARNING
    journal.write(BackupLog.Operation.SCHEDULE, warning, message, job=job.pk, schedule=job.schedule_id)


def _slot_of(job: Job) -> str:
    return exactly(job.slot) if job.slot else ""
