"""What monitors ask for: figures of the catalogue, the jobs and the schedules, and whether all is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import quantities
from ..models import Alarm, BackupRecord, Job, Schedule
from . import alarms, copies, drills, overview
from .verdict import BAD, LOOK, Verdict, verdict

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3  # the exit codes that Nagios and its kind know
NAMES = {OK: "OK", WARNING: "WARNING", CRITICAL: "CRITICAL", UNKNOWN: "UNKNOWN"}
GRAVE = (Alarm.Kind.OVERDUE, Alarm.Kind.DAMAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFigures:
    schedule: Schedule
    last_run_at: datetime | None
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """``status``: one of Nagios' codes. ``problems``: one line each, the gravest first."""

    status: int
    problems: tuple[str, ...]
    verdict: Verdict
    last_good: BackupRecord | None
    alarms: tuple[Alarm, ...]
    copies_missing: int

    @property
    def name(self) -> str:
        return NAMES[self.status]

    @property
    def age_seconds(self) -> int | None:
        return age(self.last_good)


def health(max_age_hours: float | None = None) -> Health:
    """Looks for alarms first, so that it is what opens and tells them where no scheduler does."""
    alarms.evaluate()
    found, last, opened = verdict(), last_good(), tuple(alarms.open_alarms())
    missing = sum(state.missing for state in copies.states())
    grave = [str(alarm) for alarm in opened if alarm.kind in GRAVE]
    if found.state == BAD:
        grave.insert(0, found.headline)
    seconds = age(last)
    if max_age_hours is not None and (seconds is None or seconds > max_age_hours * quantities.HOUR):
        text = _("The last good backup is older than %(hours)g hours.") if last else _("There is no good backup.")
        grave.append(text % {"hours": max_age_hours} if last else text)
    light = [str(alarm) for alarm in opened if alarm.kind not in GRAVE]
    if found.state == LOOK:
        light.insert(0, " ".join(found.evidence[1:]) or found.headline)
    elif missing:  # a verdict of LOOK says so itself
        light.append(_("Copies are missing: %(count)d.") % {"count": missing})
    status = CRITICAL if grave else WARNING if light else OK
    return Health(
        status=status,
        problems=(*grave, *light),
        verdict=found,
        last_good=last,
        alarms=opened,
        copies_missing=missing,
    )


def last_good() -> BackupRecord | None:
    """The newest that everyday work can go back to."""
    found = BackupRecord.objects.filter(
        status=BackupRecord.Status.SUCCESS, is_damaged=False, is_unsigned=False, database=DEFAULT_DB_ALIAS
    )
    return found.exclude(trigger=BackupRecord.Trigger.SAFETY).defer("needs", "progress").first()


def age(record: BackupRecord | None) -> int | None:
    """In seconds, of what it holds."""
    if record is None:
        return None
    return int((timezone.now() - (record.backup_start_time or record.created_at)).total_seconds())


def counted() -> list[Any]:
    """Backups by status and type, with the bytes of their archives."""
    groups = BackupRecord.objects.order_by().values("status", "backup_type")
    return list(groups.annotate(count=Count("pk"), size=Sum("file_size", default=0)))


def jobs() -> dict[str, int]:
    """How many wait and how many run."""
    status = Job.Status
    return Job.objects.aggregate(
        pending=Count("pk", filter=Q(status=status.PENDING)), running=Count("pk", filter=Q(status=status.RUNNING))
    )


def open_alarms() -> dict[str, int]:
    """Of each kind."""
    groups = Alarm.objects.filter(closed_at=None).order_by().values_list("kind").annotate(Count("pk"))
    return dict.fromkeys(Alarm.Kind.values, 0) | dict(groups)


def schedules() -> Sequence[ScheduleFigures]:
    jobs_of = Job.objects.exclude(schedule=None).order_by().values("schedule")
    known: dict[int, Any] = {
        row["schedule"]: row
        for row in jobs_of.annotate(last=Max("started_at"), failures=Count("pk", filter=Q(status=Job.Status.FAILED)))
    }
    return [
        ScheduleFigures(
            schedule=schedule,
            last_run_at=known.get(schedule.pk, {}).get("last"),
            failures=known.get(schedule.pk, {}).get("failures", 0),
        )
        for schedule in Schedule.objects.all()
    ]


def statistics() -> dict[str, Any]:
    """What /backup/stats/ answers: the guide's figures, and whether all goes as it should."""
    found, last, work, proven = verdict(), last_good(), jobs(), drills.last_proven()
    return {
        **overview.statistics(),
        "restorable": found.state != BAD,
        "verdict": found.headline,
        "state": found.state,
        "restorable_to": found.record and (found.record.backup_start_time or found.record.created_at),
        "open_alarms": sum(open_alarms().values()),
        "last_backup_seconds": last and overview.seconds_of(last),
        "jobs_pending": work["pending"],
        "jobs_running": work["running"],
        "next_run_at": Schedule.objects.filter(enabled=True).aggregate(at=Min("next_run_at"))["at"],
        "copies_missing": sum(state.missing for state in copies.states()),
        "last_proven_at": proven and proven.started_at,
        "last_proven_restore_seconds": proven and proven.restore_seconds,
    }
