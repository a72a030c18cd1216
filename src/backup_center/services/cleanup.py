"""Which backups may go, and for each the reason why it goes or stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine.errors import Refused
from ..models import BackupRecord

Status = BackupRecord.Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    record: BackupRecord
    delete: bool
    reason: str


def plan(days: int | None = None) -> list[Verdict]:
    """A verdict on every backup, the newest first. ``days`` defaults to BACKUP_RETENTION_DAYS."""
    days = get_settings().retention_days if days is None else days
    if days < 0:
        raise Refused(_("The number of days can't be negative."))
    records = list(BackupRecord.objects.order_by("-sequence"))
    cutoff = timezone.now() - timedelta(days=days)
    last_good = _last_good_ids(records)
    candidates = {record.pk for record in records if _kept_for(record, cutoff, days, last_good) is None}
    needed = _needed_by(record for record in records if record.pk not in candidates)
    return [_verdict(record, cutoff, days, last_good, needed) for record in records]


def why_not_deletable(record: BackupRecord) -> str:
    """Why one backup can't be deleted by hand; empty if it can."""
    others = BackupRecord.objects.exclude(pk=record.pk)
    if record.status in {Status.PENDING, Status.RUNNING}:
        return _("It is still running.")
    if record.pinned:
        return _("It is pinned; release it first.")
    borrowers = _needed_by(others).get(str(record.backup_id))
    return _("It is needed by %(names)s.") % {"names": borrowers} if borrowers else ""


def _verdict(
    record: BackupRecord, cutoff: datetime, days: int, last_good: dict[int, str], needed: dict[str, str]
) -> Verdict:
    reason = _kept_for(record, cutoff, days, last_good)
    if reason is None and (borrowers := needed.get(str(record.backup_id))):
        reason = _("needed by %(names)s") % {"names": borrowers}
    if reason is not None:
        return Verdict(record=record, delete=False, reason=reason)
    return Verdict(record=record, delete=True, reason=_("older than %(days)d days") % {"days": days})


def _kept_for(record: BackupRecord, cutoff: datetime, days: int, last_good: dict[int, str]) -> str | None:
    if record.status in {Status.PENDING, Status.RUNNING}:
        return _("still running")
    if record.pinned:
        return _("pinned")
    if record.created_at >= cutoff:
        return _("not older than %(days)d days") % {"days": days}
    if record.pk in last_good:
        return _("the last good backup of %(types)s") % {"types": last_good[record.pk]}
    return None


def _last_good_ids(records: list[BackupRecord]) -> dict[int, str]:
    """For each data type of each database, the newest good backup that has it: never removed."""
    newest: dict[tuple[str, str], int] = {}
    for record in records:  # newest first
        if record.status == Status.SUCCESS and not record.is_damaged:
            for name in record.data_types:
                newest.setdefault((record.database, name), record.pk)
    kept: dict[int, str] = {}
    for (_database, name), pk in newest.items():
        kept[pk] = f"{kept[pk]}, {name}" if pk in kept else name
    return kept


def _needed_by(keepers: Iterable[BackupRecord]) -> dict[str, str]:
    """Archive ids to the names of the backups that need them (other than their own)."""
    found: dict[str, str] = {}
    for record in keepers:
        if record.status == Status.SUCCESS:
            for archive in record.needs:
                if archive != str(record.backup_id):
                    found[archive] = (
                        f"{found[archive]}, {record.backup_name}" if archive in found else record.backup_name
                    )
    return found
