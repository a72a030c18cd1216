"""The table of schedules: filled once from the settings, then edited by people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import registry, slots
from ..conf import get_schedule
from ..models import BackupLog, Installation, Job, Schedule
from . import journal
from .catalogue import as_stored
from .connecting import home_alias

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

EXAMPLE = 'BACKUP_SCHEDULE = [{"action": "FULL", "cron": "0 2 * * *"}, {"action": "CLEANUP", "cron": "0 3 * * *"}]'
PATIENCE = timedelta(minutes=5)
DECISIVE = ("action", "cron", "data_types", "enabled")  # a change of these makes it a new plan
KEYS = {"action", "cron", "data_types", "overlap", "enabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A schedule, and the last job that was made for it; ``None`` before the first."""

    schedule: Schedule
    last: Job | None


def lines() -> list[Line]:
    """Two queries, however many jobs there were."""
    newest = Job.objects.filter(schedule=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    found = list(Schedule.objects.annotate(last_job=Subquery(newest)))
    jobs = Job.objects.select_related("record").in_bulk([schedule.last_job for schedule in found if schedule.last_job])
    return [Line(schedule=schedule, last=jobs.get(schedule.last_job)) for schedule in found]


def fill() -> list[Schedule]:
    """From BACKUP_SCHEDULE, once in the life of an installation: what somebody deleted must not come back.

    Raises ``ImproperlyConfigured`` for a setting that can't be read; nothing is filled then.
    """
    ours = Installation.objects.filter(pk=Installation.SINGLETON)
    if ours.filter(schedules_filled=True).exists():
        return []
    wanted = list(_configured())
    Installation.objects.get_or_create(pk=Installation.SINGLETON)
    with transaction.atomic(using=home_alias()):
        if not ours.filter(schedules_filled=False).update(schedules_filled=True):
            return []  # somebody else was quicker
        for schedule in wanted:
            _plan(schedule)
            schedule.save()
    return wanted


def overdue() -> list[Schedule]:
    """Whose time has come and gone: nobody looks at the schedules, or whoever does is busy with an earlier one."""
    return list(Schedule.objects.filter(enabled=True, next_run_at__lt=timezone.now() - PATIENCE))


def save(schedule: Schedule, user: AbstractBaseUser | None) -> None:
    """New or changed. What it would have done before is not made up for."""
    text = _("Changed: %(schedule)s.") if schedule.pk else _("Added: %(schedule)s.")
    _plan(schedule)
    schedule.save()
    _note(schedule, text, user)


def switch(schedule: Schedule, user: AbstractBaseUser | None, *, on: bool) -> None:
    schedule.enabled = on
    _plan(schedule)
    schedule.save(update_fields=["enabled", "next_run_at", "planned_at"])
    _note(schedule, _("Turned on: %(schedule)s.") if on else _("Turned off: %(schedule)s."), user)


def delete(schedule: Schedule, user: AbstractBaseUser | None) -> None:
    """Its jobs stay, and what they made."""
    _note(schedule, _("Deleted: %(schedule)s."), user)
    schedule.delete()


def problem(entries: Any) -> str:
    """What is wrong with BACKUP_SCHEDULE; empty if nothing is."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return _("BACKUP_SCHEDULE must be a list.")
    for number, entry in enumerate(entries, 1):
        if wrong := _entry_problem(entry):
            return _("BACKUP_SCHEDULE, entry %(number)d: %(problem)s") % {"number": number, "problem": wrong}
    return ""


def _entry_problem(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return _("it must be a dict.")
    if unknown := set(entry) - KEYS:
        return _("unknown: %(names)s.") % {"names": ", ".join(sorted(map(str, unknown)))}
    choices: tuple[tuple[str, Any, Sequence[Any]], ...] = (
        ("action", entry.get("action"), Schedule.Action.values),
        ("overlap", entry.get("overlap", Schedule.Overlap.WAIT), Schedule.Overlap.values),
        ("enabled", entry.get("enabled", True), (True, False)),
    )
    for name, value, allowed in choices:
        if value not in allowed:
            return _('"%(name)s" is one of: %(values)s.') % {"name": name, "values": ", ".join(map(str, allowed))}
    names = entry.get("data_types", ())
    if not isinstance(names, list | tuple):
        return _('"data_types" must be a list.')
    if strange := [str(name) for name in names if name not in registry.data_types()]:
        return _("there is no data type %(names)s.") % {"names": ", ".join(strange)}
    return slots.problem(entry.get("cron", ""))


def _configured() -> Iterable[Schedule]:
    entries = get_schedule()
    if wrong := problem(entries):
        raise ImproperlyConfigured(wrong)
    for entry in entries:
        yield Schedule(**{**entry, "data_types": list(entry.get("data_types", ()))})


def _plan(schedule: Schedule) -> None:
    now = slots.aware(timezone.now())
    schedule.next_run_at = as_stored(slots.after(schedule.cron, now)) if schedule.enabled else None
    before = Schedule.objects.filter(pk=schedule.pk).values(*DECISIVE).first()
    if before != {name: getattr(schedule, name) for name in DECISIVE}:
        schedule.planned_at = as_stored(now)


def _note(schedule: Schedule, text: str, user: AbstractBaseUser | None) -> None:
    facts: dict[str, Any] = {
        "action": schedule.action,
        "cron": schedule.cron,
        "data_types": schedule.data_types,
        "overlap": schedule.overlap,
        "enabled": schedule.enabled,
    }
    message = text % {"schedule": schedule}
    journal.write(BackupLog.Operation.SCHEDULE, BackupLog.Level.INFO, message, user=user, schedule=schedule.pk, **facts)
