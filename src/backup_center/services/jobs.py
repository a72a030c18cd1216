"""Jobs: asked for, cancelled, over, or taken to be dead with their worker. ``working`` does them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import signals
from ..models import BackupLog, BackupRecord, Installation, Job, Schedule
from . import journal, origin
from .connecting import database_file, home_alias
from .lease import BEAT_SECONDS, PERIOD
from .running import restoring, running

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

KEPT_DAYS = 90
MOST_SHOWN = 20
UNFINISHED = (Job.Status.PENDING, Job.Status.RUNNING)
# What whoever asks for it must be allowed to do, when it is asked for and again when it is done.
PERMISSIONS = {
    Job.Action.BACKUP: "add",
    Job.Action.RESTORE: "restore",
    Job.Action.VERIFY: "verify",
    Job.Action.DELETE: "delete",
    Job.Action.CLEANUP: "delete",
    Job.Action.COPY: "add",
    Job.Action.DRILL: "verify",
}
LOGGED_AS = {
    Job.Action.CLEANUP: BackupLog.Operation.DELETE,
}


def create(
    action: str,
    *,
    user: AbstractBaseUser | None = None,
    record: BackupRecord | None = None,
    schedule: Schedule | None = None,
    slot: datetime | None = None,
    **arguments: Any,
) -> Job | None:
    """A job that waits for a worker; ``None`` if this slot of the schedule has one already.

    ``arguments`` are JSON: what ``performing`` takes for this action.
    """
    asker = journal.still_there(user)  # before the transaction: SQLite lets no reader become a writer late
    try:
        with transaction.atomic(using=home_alias()):
            return Job.objects.create(
                action=action,
                arguments=arguments,
                record=record,
                backup_name=record.backup_name if record else "",
                requested_by=asker,
                requested_by_name=journal.actor_name(user),
                origin=origin.current(),
                schedule=schedule,
                slot=slot,
            )
    except IntegrityError:
        if schedule is not None and Job.objects.filter(schedule=schedule, slot=slot).exists():
            return None
        raise


def ask(action: str, **facts: Any) -> Job:
    """``create`` without a slot, which always makes one."""
    job = create(action, **facts)
    assert job is not None  # noqa: S101  # only a slot can be taken
    return job


def unfinished() -> list[Job]:
    """What waits or runs, the oldest first, as far as a page has room."""
    return list(Job.objects.filter(status__in=UNFINISHED).select_related("record").order_by("pk")[:MOST_SHOWN])


def permission_for(action: str) -> str:
    """``app.codename``, as ``has_perm`` takes it."""
    return f"{BackupRecord._meta.app_label}.{PERMISSIONS[Job.Action(action)]}_backuprecord"


def cancel(job: Job, user: AbstractBaseUser | None = None) -> None:
    """At once while it waits; a running one stops at its next step, and what it began is taken back."""
    who = journal.actor_name(user) or origin.current()
    reason = _("Cancelled by %(who)s.") % {"who": who}
    try:
        if end(job, Job.Status.CANCELLED, reason, started_at=None):
            note(job, BackupLog.Level.WARNING, reason, user)
        elif Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING).update(cancel_requested=True):
            note(job, BackupLog.Level.WARNING, _("%(who)s asked to cancel it.") % {"who": who}, user)
    except OperationalError:  # SQLite takes no other writes while a restore writes
        if (path := cancel_file()) is None:
            raise
        path.write_text(str(job.pk), encoding="ascii")
    job.refresh_from_db()


def cancel_file() -> Path | None:
    """Where beside a SQLite database the number of the job stands that is to be cancelled."""
    database = database_file(home_alias())
    return database.with_name(database.name + ".backup-cancel") if database else None


def end(job: Job, status: str, error: str = "", result: dict[str, Any] | None = None, **only: Any) -> bool:
    """Settle it, unless it is over, or not (``only``) as it was; whether it was us who did."""
    open_ones = Job.objects.filter(pk=job.pk, status__in=UNFINISHED).filter(**only)
    changed = open_ones.update(status=status, error=error, result=result or {}, ended_at=timezone.now())
    job.refresh_from_db()
    if changed:
        signals.job_ended.send_robust(Job, job=job)
    return bool(changed)


def note(job: Job, level: BackupLog.Level, message: str, user: AbstractBaseUser | None = None) -> None:
    operation = LOGGED_AS.get(Job.Action(job.action)) or BackupLog.Operation(job.action)
    journal.write(operation, level, message, record=job.record, user=user, job=job.pk)


def settle_dead() -> list[Job]:
    """What claims to run and gives no sign of life becomes FAILED; returns those jobs.

    A restore on SQLite lets nobody write meanwhile, its own heartbeat neither: who holds the lease is alive, and
    who has just let it go is given the time to say so.
    """
    suspects = list(_silent())
    if not suspects or (database_file(home_alias()) and restoring()):
        return []
    time.sleep(2 * BEAT_SECONDS)
    dead = [job for job in _silent() if job.pk in {suspect.pk for suspect in suspects} and not _holds_the_lease(job)]
    return [job for job in dead if _bury(job)]


def forget_old() -> int:
    """Delete what ended long ago, so that the table does not grow for ever; the log keeps what was done."""
    before = timezone.now() - timedelta(days=KEPT_DAYS)
    deleted, _per_model = Job.objects.exclude(status__in=UNFINISHED).filter(ended_at__lt=before).delete()
    return deleted


def _silent() -> Any:
    """A sign of life from the future is one that a wrong clock has written."""
    silent = Q(heartbeat_at__lt=Now() - PERIOD) | Q(heartbeat_at__gt=Now() + PERIOD)
    return Job.objects.filter(silent, status=Job.Status.RUNNING).select_related("record")


def _holds_the_lease(job: Job) -> bool:
    if running() is None:
        return False
    holder = Installation.objects.get(pk=Installation.SINGLETON).holder
    return holder.rpartition(":")[0] == job.worker.rpartition(":")[0]


def _bury(job: Job) -> bool:
    """Unless it gave a sign of life after all. Work that was complete when its worker died succeeded."""
    if _was_complete(job):
        level, status = BackupLog.Level.WARNING, Job.Status.SUCCESS
        reason = _("Its worker died after the work was complete.")
    else:
        level, status = BackupLog.Level.ERROR, Job.Status.FAILED
        reason = _("Its worker died. What it had begun is completed or taken back by whoever writes next.")
    if not end(job, status, "" if status == Job.Status.SUCCESS else reason, heartbeat_at=job.heartbeat_at):
        return False
    note(job, level, reason)
    return True


def _was_complete(job: Job) -> bool:
    """By the record of a backup, and the log of a restore: it is written with the outcome."""
    if job.record is None or job.started_at is None:
        return False
    if job.action == Job.Action.BACKUP:
        return job.record.status == BackupRecord.Status.SUCCESS
    entries = job.record.logs.filter(operation=BackupLog.Operation.RESTORE, created_at__gte=job.started_at)
    return job.action == Job.Action.RESTORE and entries.filter(log_level=BackupLog.Level.SUCCESS).exists()
