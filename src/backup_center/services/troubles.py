"""What is wrong right now, told by the catalogue, the log, the jobs and the schedules; no file is looked at.

Whatever finds a trouble also finds that it is over: it isn't among those found any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Max, Min, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import quantities, registry
from ..conf import get_alarm_settings
from ..models import Alarm, BackupCopy, BackupLog, BackupRecord, Drill, Job
from . import overdue, shrinking, vaults
from .jobs import LOGGED_AS

Kind, Status, Level, Operation = Alarm.Kind, BackupRecord.Status, BackupLog.Level, BackupLog.Operation

REMEMBERED = timedelta(days=14)  # for so long a failure that nobody repeats is a trouble
ALIVE = timedelta(minutes=5)  # a job without a heartbeat for so long tries nothing any more
MOST = 100  # backups or drills looked at
ASKED_FOR = (Job.Action.RESTORE, Job.Action.DELETE)  # by people, who see for themselves that it was refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """``subject`` stays the same while it lasts; ``happened_at`` moves on each time that it happens again."""

    kind: str
    subject: str
    message: str
    happened_at: datetime


def find(shrunk_percent: int) -> list[Trouble]:
    """One for each kind and subject. Of the same failure, a backup's record and its job both tell: the later counts."""
    found: dict[tuple[str, str], Trouble] = {}
    for trouble in (
        *_failed_backups(), *_failed_jobs(), *_failed_by_the_log(), *_failed_drills(), *_overdue(),
        *_shrunk(shrunk_percent), *_damaged(), *_missing_copies(),
    ):  # fmt: skip
        known = found.get((trouble.kind, trouble.subject))
        if known is None or known.happened_at < trouble.happened_at:
            found[trouble.kind, trouble.subject] = trouble
    return list(found.values())


def _failed_backups() -> Iterator[Trouble]:
    """The newest failure for each database, unless a later backup holds all that it should have held."""
    since = timezone.now() - REMEMBERED
    newest = BackupRecord.objects.filter(created_at__gt=since, status__in=(Status.SUCCESS, Status.FAILED))
    newest = newest.exclude(trigger=BackupRecord.Trigger.SAFETY).exclude(created_at__gte=_trying_since())
    newest = newest.defer("contents", "needs", "progress")
    later: dict[str, list[set[str]]] = {}
    told: set[str] = set()
    for record in newest[:MOST]:
        types = set(record.data_types)
        if record.status == Status.SUCCESS:
            later.setdefault(record.database, []).append(types)
        elif record.database not in told and not any(types <= held for held in later.get(record.database, [])):
            told.add(record.database)
            yield _failed(
                f"{Job.Action.BACKUP} {record.database}",
                _("The backup %(name)s failed: %(error)s")
                % {"name": record.backup_name, "error": record.error_message},
                record.backup_end_time or record.created_at,
            )


def _trying_since() -> datetime:
    """Since when a job tries to back up. What fails meanwhile it tries again, and tells itself when it gives up."""
    # By the database's clock, as heartbeats are: without USE_TZ, SQLite's is in UTC and ours is not.
    running = Job.objects.filter(action=Job.Action.BACKUP, status=Job.Status.RUNNING, heartbeat_at__gt=Now() - ALIVE)
    return running.aggregate(first=Min("started_at"))["first"] or timezone.now() + timedelta(days=1)


def _failed_jobs() -> Iterator[Trouble]:
    """Of each action the last that ended, if it failed: also those that never came to a record or an entry."""
    ended = Job.objects.filter(status__in=(Job.Status.SUCCESS, Job.Status.FAILED)).order_by()
    ended = ended.filter(~Q(action__in=ASKED_FOR) | Q(result__refused__isnull=True))
    last = ended.values("action").annotate(last=Max("pk")).values("last")
    failed = Job.objects.filter(pk__in=last, status=Job.Status.FAILED, ended_at__gt=timezone.now() - REMEMBERED)
    for job in failed.select_related("record"):
        at = job.ended_at or job.created_at
        if _is_told_otherwise(job) or _is_made_up_for(job, at):
            continue
        name = f" {job.backup_name}" if job.backup_name else ""
        message = f"{job.get_action_display()}{name}: {job.error}"
        if job.action == Job.Action.DRILL:
            yield Trouble(kind=Kind.DRILL, subject=job.action, message=message, happened_at=at)
        else:
            yield _failed(_subject(job.action), message, at)


def _is_told_otherwise(job: Job) -> bool:
    """A failed backup by its record, missing copies by their vault, damage by its backup, the others by the log."""
    if job.action == Job.Action.BACKUP:
        return job.record is not None and job.record.status == Status.FAILED
    if job.action == Job.Action.VERIFY:
        return bool(job.result.get("lines"))
    if job.action in {Job.Action.RESTORE, Job.Action.DRILL}:
        since = job.started_at or job.created_at
        # A drill that was stopped is a warning there; of one that found no place another drill tells.
        levels = (Level.ERROR, Level.WARNING) if job.action == Job.Action.DRILL else (Level.ERROR,)
        told = BackupLog.objects.filter(operation=job.action, log_level__in=levels, created_at__gte=since)
        return told.exists() or (job.action == Job.Action.DRILL and "busy" in job.result)
    return job.action == Job.Action.COPY


def _is_made_up_for(job: Job, at: datetime) -> bool:
    """By a backup that holds as much, or by what a command did."""
    if job.action != Job.Action.BACKUP:
        operation = LOGGED_AS.get(Job.Action(job.action), job.action)
        return BackupLog.objects.filter(operation=operation, log_level=Level.SUCCESS, created_at__gt=at).exists()
    wanted = set(job.arguments.get("data_types") or registry.data_types())
    good = BackupRecord.objects.filter(
        status=Status.SUCCESS, database=DEFAULT_DB_ALIAS, sequence__gt=0, backup_start_time__gte=at
    )
    held = good.exclude(trigger=BackupRecord.Trigger.SAFETY).values_list("data_types", flat=True)
    return any(wanted <= set(types) for types in held[:MOST])


def _failed_by_the_log() -> Iterator[Trouble]:
    """Restores and drills, whoever did them: the last entry says how the last one ended."""
    for operation, kind in ((Operation.RESTORE, Kind.FAILED), (Operation.DRILL, Kind.DRILL)):
        ended = BackupLog.objects.filter(operation=operation, log_level__in=(Level.ERROR, Level.SUCCESS))
        last = ended.exclude(operation__in=ASKED_FOR, refused=True).first()
        if last is None or last.log_level != Level.ERROR or last.created_at < timezone.now() - REMEMBERED:
            continue
        text = _("The restore of %(name)s failed: %(error)s")
        if kind == Kind.DRILL:
            text = _("The drill with %(name)s failed: %(error)s")
        message = text % {"name": last.backup_name or "–", "error": last.message}
        yield Trouble(kind=kind, subject=operation, message=message, happened_at=last.created_at)


def _failed_drills() -> Iterator[Trouble]:
    """The newest, unless one that proved as much succeeded since: a lesser drill doesn't make up for it."""
    drills = Drill.objects.filter(started_at__gt=timezone.now() - REMEMBERED).exclude(seconds=None)
    proofs: list[Drill] = []
    for drill in drills.select_related("record").defer("report", "record__contents", "record__needs")[:MOST]:
        if drill.ok:
            proofs.append(drill)
        elif not any(_proves_as_much(proof, drill) for proof in proofs):
            message = _("The drill with %(name)s failed: %(error)s") % {"name": drill.backup_name, "error": drill.error}
            at = drill.started_at + timedelta(seconds=drill.seconds or 0)
            yield Trouble(kind=Kind.DRILL, subject=Operation.DRILL, message=message, happened_at=at)
            return


def _proves_as_much(proof: Drill, failed: Drill) -> bool:
    """Of the same backup or a newer one of its database, and of all the data types; of one that is gone, any."""
    if proof.backup_name != failed.backup_name and failed.record is not None:
        if proof.record is None or proof.record.database != failed.record.database:
            return False
        if proof.record.sequence < failed.record.sequence:
            return False
    return _types_of(failed) <= _types_of(proof)


def _types_of(drill: Drill) -> set[str]:
    return set(drill.data_types or (drill.record.data_types if drill.record else registry.data_types()))


def _overdue() -> Iterator[Trouble]:
    for found in overdue.find(timedelta(minutes=get_alarm_settings().grace_minutes)):
        message = _("%(schedule)s was due %(due)s, and there is no good backup since.")
        facts: dict[str, Any] = {"schedule": found.schedule, "due": quantities.moment(found.slot)}
        if found.last_good_at:
            message = _("%(schedule)s was due %(due)s; the last good backup is of %(last)s.")
            facts["last"] = quantities.moment(found.last_good_at)
        yield Trouble(
            kind=Kind.OVERDUE, subject=str(found.schedule.pk), message=message % facts, happened_at=found.slot
        )


def _shrunk(percent: int) -> Iterator[Trouble]:
    for found in shrinking.find(percent, timezone.now() - REMEMBERED):
        message = _("%(name)s is much smaller than the ones before: %(what)s.")
        facts = {"name": found.name, "what": "; ".join(found.falls)}
        yield Trouble(kind=Kind.SHRUNK, subject=found.subject, message=message % facts, happened_at=found.taken_at)


def _damaged() -> Iterator[Trouble]:
    """Each backup by itself: what is lost, and what is damaged in one place only."""
    hurt = Q(is_damaged=True) | Q(copies__state=BackupCopy.State.DAMAGED)
    records = BackupRecord.objects.filter(hurt, status=Status.SUCCESS).distinct().prefetch_related("copies")
    for record in records.defer("contents", "needs", "progress")[:MOST]:
        places = [copy.vault for copy in record.copies.all() if copy.state == BackupCopy.State.DAMAGED]
        message = _("%(name)s is damaged.") % {"name": record.backup_name}
        if not record.is_damaged:
            facts = {"name": record.backup_name, "vaults": ", ".join(places)}
            message = _("The copy of %(name)s in %(vaults)s is damaged; another one is good.") % facts
        at = record.verified_at or record.created_at
        yield Trouble(kind=Kind.DAMAGED, subject=record.backup_name, message=message, happened_at=at)


def _missing_copies() -> Iterator[Trouble]:
    """Vaults that have been without a good copy for longer than it takes to make one."""
    until = timezone.now() - timedelta(minutes=get_alarm_settings().grace_minutes)
    complete = BackupRecord.objects.filter(status=Status.SUCCESS, backup_end_time__lt=until)
    for name in vaults.writable():
        good = BackupCopy.objects.filter(vault=name, state=BackupCopy.State.GOOD)
        # What is damaged there is told as damage.
        known_bad = BackupCopy.objects.filter(vault=name, state=BackupCopy.State.DAMAGED)
        missing = complete.exclude(pk__in=good.values("record")).exclude(pk__in=known_bad.values("record"))
        facts = missing.order_by().aggregate(last=Max("backup_end_time"), tried=Max("copies__checked_at"))
        if facts["last"] is None:
            continue
        message = _("Backups without a good copy in the vault %(name)s: %(count)d.")
        message %= {"name": name, "count": missing.count()}
        tried = BackupCopy.objects.filter(vault=name, record__in=missing).exclude(error="").order_by("-checked_at")
        error = tried.values_list("error", flat=True).first()
        yield Trouble(
            kind=Kind.COPY,
            subject=name,
            message=f"{message} {error}" if error else message,
            happened_at=max(filter(None, facts.values())),
        )


def _subject(action: str) -> str:
    """A backup that failed as a job and as a record is one trouble."""
    return f"{action} default" if action == Job.Action.BACKUP else action


def _failed(subject: str, message: str, at: datetime) -> Trouble:
    return Trouble(kind=Kind.FAILED, subject=subject, message=message, happened_at=at)
