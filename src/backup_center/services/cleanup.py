"""Which backups may go, and for each the reason why it goes or stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine.errors import Refused
from ..models import BackupRecord

Status, Trigger = BackupRecord.Status, BackupRecord.Trigger
UNFINISHED = {Status.PENDING, Status.RUNNING}
CENTURY = 36_525  # in days; more would leave the calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    record: BackupRecord
    delete: bool
    reason: str


def plan(days: int | None = None) -> list[Verdict]:
    """A verdict on every backup, the newest first. ``days`` defaults to BACKUP_RETENTION_DAYS."""
    days = get_settings().retention_days if days is None else days
    if not isinstance(days, int) or days < 0:
        raise Refused(_("The number of days must be a whole number, 0 or more."))
    records = list(BackupRecord.objects.order_by("-sequence").defer("contents", "progress"))
    cutoff = timezone.now() - timedelta(days=min(days, CENTURY))
    last_good = _last_good_ids(records)
    kept = {record.pk: reason for record in records if (reason := _kept_for(record, cutoff, days, last_good))}
    kept |= _needed_by(kept, records)
    old = _("older than %(days)d days") % {"days": days}
    return [Verdict(record=record, delete=record.pk not in kept, reason=kept.get(record.pk, old)) for record in records]


def why_not_deletable(record: BackupRecord) -> str:
    """Why one backup can't be deleted by hand; empty if it can."""
    if record.status in UNFINISHED:
        return _("It is still running.")
    if record.pinned:
        return _("It is pinned; release it first.")
    names = borrowers(record)
    return _("It is needed by %(names)s.") % {"names": ", ".join(names)} if names else ""


def borrowers(record: BackupRecord) -> list[str]:
    """Names of the backups, running ones too, that need this one's archive."""
    others = BackupRecord.objects.exclude(pk=record.pk).exclude(status=Status.FAILED)
    listed = others.annotate(listed=Cast("needs", TextField()))  # the ids are found in the list's text on any engine
    return list(listed.filter(listed__contains=str(record.backup_id)).values_list("backup_name", flat=True))


def _kept_for(record: BackupRecord, cutoff: datetime, days: int, last_good: dict[int, str]) -> str | None:
    if record.status in UNFINISHED:
        return _("still running")
    if record.pinned:
        return _("pinned")
    if record.created_at >= cutoff:
        return _("not older than %(days)d days") % {"days": days}
    if record.pk in last_good:
        return _("the last good backup of %(types)s") % {"types": last_good[record.pk]}
    return None


def _last_good_ids(records: list[BackupRecord]) -> dict[int, str]:
    """For each data type of each database, the newest good backup that has it: never removed.

    A safety backup holds what a restore replaced, mostly a bad state: it only counts where there is nothing else.
    """
    newest: dict[tuple[str, str], int] = {}
    for record in sorted(records, key=lambda record: (record.trigger == Trigger.SAFETY, -record.sequence)):
        if record.status == Status.SUCCESS and not record.is_damaged:
            for name in record.data_types:
                newest.setdefault((record.database, name), record.pk)
    kept: dict[int, str] = {}
    for (_database, name), pk in newest.items():
        kept[pk] = f"{kept[pk]}, {name}" if pk in kept else name
    return kept


def _needed_by(kept: Collection[int], records: list[BackupRecord]) -> dict[int, str]:
    """What is not among the kept but lends to them; and what lends to those, since they stay whole too."""
    borrowers: dict[int, list[str]] = {}
    waiting = [record for record in records if record.pk in kept]
    while waiting:
        borrower = waiting.pop()
        needs = _needs(borrower)
        for lender in records:
            if str(lender.backup_id) in needs and lender.pk not in kept and lender.pk != borrower.pk:
                if lender.pk not in borrowers:
                    waiting.append(lender)
                borrowers.setdefault(lender.pk, []).append(borrower.backup_name)
    return {pk: _("needed by %(names)s") % {"names": ", ".join(names)} for pk, names in borrowers.items()}


def _needs(record: BackupRecord) -> set[str]:
    """Ids of the archives that hold its chunks; a running one may borrow from what it has named already."""
    return set() if record.status == Status.FAILED else set(record.needs)
