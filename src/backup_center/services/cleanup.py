"""Which backups may go, and for each the reason why it goes or stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine.errors import Refused
from ..engine.vault import Vault
from ..models import BackupRecord
from . import catalogue, generations

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
    rules = _Rules.from_settings(days)
    records = list(BackupRecord.objects.order_by("-sequence").defer("contents", "progress"))
    last_good = _last_good_ids(records)
    last_of = generations.survivors(records, rules.keep)
    reasons = {record.pk: _kept_for(record, rules, last_good, last_of) for record in records}
    kept = {pk: reason for pk, reason in reasons.items() if reason}
    kept |= _needed_by(kept, records)
    return [
        Verdict(record=record, delete=record.pk not in kept, reason=kept.get(record.pk) or _gone_for(record, rules))
        for record in records
    ]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """The settings, as they are applied to every backup at one moment."""

    now: datetime
    days: int
    safety_days: int
    keep: Mapping[str, int]
    vault: Vault

    @classmethod
    def from_settings(cls, days: int | None) -> _Rules:
        """Raises ``Refused`` for what can't be understood: nothing is deleted by a rule that isn't one."""
        settings = get_settings()
        days = settings.retention_days if days is None else days
        for number in (days, settings.safety_retention_days):
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise Refused(_("The number of days must be a whole number, 0 or more."))
        if wrong := generations.problem(settings.keep):
            raise Refused(wrong)
        return cls(
            now=timezone.now(),
            days=days,
            safety_days=settings.safety_retention_days,
            keep=settings.keep or {},
            vault=catalogue.get_vault(),
        )

    def kept_for_age(self, record: BackupRecord) -> str | None:
        safety = record.trigger == Trigger.SAFETY
        days = self.safety_days if safety else self.days
        if record.created_at < self.now - timedelta(days=min(days, CENTURY)):
            return None
        text = _("a safety backup, not older than %(days)d days") if safety else _("not older than %(days)d days")
        return text % {"days": days}


def _kept_for(
    record: BackupRecord, rules: _Rules, last_good: Mapping[int, str], last_of: Mapping[int, str]
) -> str | None:
    if record.status in UNFINISHED:
        return _("still running")
    if record.pinned:
        return _("pinned")
    if record.created_at <= rules.now and catalogue.is_left_over(record, rules.vault):
        return None
    return rules.kept_for_age(record) or _kept_as_the_last(record, last_good, last_of)


def _kept_as_the_last(record: BackupRecord, last_good: Mapping[int, str], last_of: Mapping[int, str]) -> str | None:
    if record.pk in last_good:
        return _("the last good backup of %(types)s") % {"types": last_good[record.pk]}
    if record.pk in last_of:
        return _("the last of %(periods)s") % {"periods": last_of[record.pk]}
    return None


def _gone_for(record: BackupRecord, rules: _Rules) -> str:
    if catalogue.is_left_over(record, rules.vault):
        return _("what is left of it can't be used")
    if record.trigger == Trigger.SAFETY:
        return _("a safety backup, older than %(days)d days") % {"days": rules.safety_days}
    return _("older than %(days)d days") % {"days": rules.days}


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
    lenders = {str(record.backup_id): record for record in records if record.pk not in kept}
    borrowers: dict[int, list[str]] = {}
    waiting = [record for record in records if record.pk in kept]
    while waiting:
        borrower = waiting.pop()
        for lender in (lenders[key] for key in needs_of(borrower) if key in lenders):
            if lender.pk == borrower.pk:
                continue
            if lender.pk not in borrowers:
                waiting.append(lender)
            borrowers.setdefault(lender.pk, []).append(borrower.backup_name)
    return {pk: _("needed by %(names)s") % {"names": ", ".join(names)} for pk, names in borrowers.items()}


def needs_of(record: BackupRecord) -> set[str]:
    """Ids of the archives that hold its chunks; a running one may borrow from what it has named already."""
    return set() if record.status == Status.FAILED else set(record.needs)
