"""Grandfather, father, son: of each of the last days, weeks, months and years, the last good backup (BACKUP_KEEP)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import BackupRecord

PERIODS: dict[str, Callable[[date], str]] = {
    "daily": lambda day: f"{day:%Y-%m-%d}",
    "weekly": lambda day: f"{day:%G-W%V}",
    "monthly": lambda day: f"{day:%Y-%m}",
    "yearly": lambda day: f"{day:%Y}",
}
EXAMPLE = '{"daily": 7, "weekly": 4, "monthly": 12, "yearly": 3}'


def problem(keep: Any) -> str:
    """What is wrong with BACKUP_KEEP; empty if nothing is."""
    if keep is None:
        return ""
    if not isinstance(keep, Mapping):
        return _("BACKUP_KEEP must be a dict such as %(example)s.") % {"example": EXAMPLE}
    if unknown := [str(name) for name in keep if name not in PERIODS]:
        facts = {"unknown": ", ".join(unknown), "known": ", ".join(PERIODS)}
        return _("BACKUP_KEEP has unknown keys: %(unknown)s; there are: %(known)s.") % facts
    wrong = [name for name, number in keep.items() if isinstance(number, bool) or not isinstance(number, int)]
    wrong += [name for name, number in keep.items() if name not in wrong and number < 0]
    return _("BACKUP_KEEP must have whole numbers, 0 or more: %(keys)s.") % {"keys": ", ".join(wrong)} if wrong else ""


def survivors(records: Iterable[BackupRecord], keep: Mapping[str, int]) -> dict[int, str]:
    """The keys of those that stay, each with the periods of which it is the last, by database and set of data types.

    What is dated in the future stays by itself: it must not take the place of what there really was.
    """
    now = timezone.now()
    groups: dict[tuple[str, frozenset[str]], list[BackupRecord]] = {}
    for record in sorted(records, key=lambda record: (record.created_at, record.sequence), reverse=True):
        if _counts(record) and record.created_at <= now:
            groups.setdefault((record.database, frozenset(record.data_types)), []).append(record)
    periods: dict[int, list[str]] = {}
    for group in groups.values():
        for name, number in keep.items():
            for period, pk in islice(_newest_of_each(group, PERIODS[name]).items(), number):
                periods.setdefault(pk, []).append(period)
    return {pk: ", ".join(names) for pk, names in periods.items()}


def _newest_of_each(group: Iterable[BackupRecord], period: Callable[[date], str]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for record in group:
        newest.setdefault(period(_day(record.created_at)), record.pk)
    return newest


def _counts(record: BackupRecord) -> bool:
    good = record.status == BackupRecord.Status.SUCCESS and not record.is_damaged
    ours = record.sequence > 0 and not record.is_unsigned
    return good and ours and record.trigger != BackupRecord.Trigger.SAFETY


def _day(moment: datetime) -> date:
    """In the project's time zone, whoever looks; without USE_TZ, times are there already."""
    zone = timezone.get_default_timezone()
    return (timezone.localtime(moment, zone) if timezone.is_aware(moment) else moment).date()
