"""Which backups may go, and for each the reason why it goes or stays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine.errors import Refused
from ..engine.vault import Vault
from ..models import BackupRecord
from . import catalogue, drills, generations, vaults

Status, Trigger = BackupRecord.Status, BackupRecord.Trigger
ENDED = {Status.SUCCESS, *BackupRecord.BROKEN_OFF}  # whatever else a status says, it is not ours to delete
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
    survivors = generations.survivors(records, rules.keep)
    last = {pk: _("the last of %(periods)s") % {"periods": periods} for pk, periods in survivors.items()}
    last |= _last_good(records)
    taken = _taken(records, rules.now)
    reasons = {record.pk: _kept_for(record, taken[record.pk], rules) or last.get(record.pk) for record in records}
    reasons |= {record.pk: None for record in records if _is_rubbish(record, rules)}
    reasons |= dict.fromkeys(drills.records_in_use(), _("a drill reads it"))
    kept = {pk: reason for pk, reason in reasons.items() if reason}
    kept |= _needed_by(kept, records)
    return [
        Verdict(record=record, delete=record.pk not in kept, reason=kept.get(record.pk) or _gone_for(record, rules))
        for record in records
    ]


def outlook(record: BackupRecord) -> Verdict | None:
    """What the next cleanup would do with this backup; ``None`` if it is gone."""
    return next((verdict for verdict in plan() if verdict.record.pk == record.pk), None)


def why_not_deletable(record: BackupRecord) -> str:
    """Why one backup can't be deleted by hand; empty if it can."""
    if record.status not in ENDED:
        return _("It is still running.")
    if record.pinned:
        return _("It is pinned; release it first.")
    if record.pk in drills.records_in_use():
        return _("A drill reads it; wait until it is done.")
    names = borrowers(record)
    return _("It is needed by %(names)s.") % {"names": ", ".join(names)} if names else ""


def borrowers(record: BackupRecord) -> list[str]:
    """Names of the backups, running ones too, that need this one's archive."""
    others = BackupRecord.objects.exclude(pk=record.pk).defer("contents", "progress")
    listed = others.annotate(listed=Cast("needs", TextField()))  # the ids are found in the list's text on any engine
    found = listed.filter(listed__contains=str(record.backup_id))
    return [other.backup_name for other in found if needs_of(other)]


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
            vault=vaults.at_hand(),
        )

    def kept_for_age(self, record: BackupRecord, taken: datetime) -> str | None:
        safety = record.trigger == Trigger.SAFETY
        days = self.safety_days if safety else self.days
        if taken < self.now - timedelta(days=min(days, CENTURY)):
            return None
        text = _("a safety backup, not older than %(days)d days") if safety else _("not older than %(days)d days")
        return text % {"days": days}


def _taken(records: Iterable[BackupRecord], now: datetime) -> dict[int, datetime]:
    """When each was taken. A clock that was set back must not make a backup older than those before it."""
    taken: dict[int, datetime] = {}
    latest: datetime | None = None
    for record in sorted(records, key=lambda record: record.sequence):
        taken[record.pk] = max(record.created_at, latest or record.created_at)
        if record.created_at <= now and record.sequence > 0:
            latest = taken[record.pk]
    return taken


def _kept_for(record: BackupRecord, taken: datetime, rules: _Rules) -> str | None:
    if record.status not in ENDED:
        return _("still running")
    if record.pinned:
        return _("pinned")
    return rules.kept_for_age(record, taken)


def _is_rubbish(record: BackupRecord, rules: _Rules) -> bool:
    """What is left of a failed backup goes at once, unless somebody pinned it; nothing from the future goes."""
    return not record.pinned and record.created_at <= rules.now and catalogue.is_left_over(record, rules.vault)


def _gone_for(record: BackupRecord, rules: _Rules) -> str:
    if catalogue.is_left_over(record, rules.vault):
        return _("what is left of it can't be used")
    if record.trigger == Trigger.SAFETY:
        return _("a safety backup, older than %(days)d days") % {"days": rules.safety_days}
    return _("older than %(days)d days") % {"days": rules.days}


def _last_good(records: Sequence[BackupRecord]) -> dict[int, str]:
    """For each data type of each database, the newest good backup that has it: never removed.

    One whose files are not all there doesn't end the search, but stays: perhaps a disk is not mounted. A safety backup
    holds what a restore replaced, mostly a bad state: it only counts where there is nothing else.
    """
    missing = _missing(records)
    found: dict[tuple[str, str], bool] = {}
    last: dict[int, list[str]] = {}
    for record in sorted(records, key=lambda record: (record.trigger == Trigger.SAFETY, -record.sequence)):
        if record.status != Status.SUCCESS or record.is_damaged or record.is_unsigned:
            continue
        for name in record.data_types:
            if not found.get((record.database, name)):
                found[record.database, name] = not missing(record)
                last.setdefault(record.pk, []).append(name)
    sure = _("the last good backup of %(types)s")
    unsure = _("perhaps the last good backup of %(types)s: files of it or of others are missing now")
    texts = {record.pk: unsure if record.pk in last and missing(record) else sure for record in records}
    return {pk: texts[pk] % {"types": ", ".join(names)} for pk, names in last.items()}


def _missing(records: Sequence[BackupRecord]) -> Callable[[BackupRecord], bool]:
    """Whether a backup's own files, or archives that it borrows from, are not there as they should be."""
    known = {str(record.backup_id): record for record in records}
    is_there = cache(lambda key: key in known and not catalogue.not_in_vault(known[key]))
    return lambda record: not all(map(is_there, {str(record.backup_id), *record.needs}))


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
    """Ids of the archives that hold its chunks; a running one may borrow from what it has named already.

    A failed one needs nothing, unless its sidecar is there: perhaps it can be read again.
    """
    return (
        set() if record.status in BackupRecord.BROKEN_OFF and not catalogue.has_sidecar(record) else set(record.needs)
    )
