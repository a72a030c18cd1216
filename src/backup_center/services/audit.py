"""Is the log as it was written? By its chain of hashes, and by the heads that signed manifests noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Subquery
from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError
from ..engine.sidecar import SIDECAR_SUFFIX
from ..models import BackupLog, BackupRecord, LogHead
from . import catalogue, chain, journal

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

BATCH = 500
MOST_FINDINGS = 1000  # a log that was replaced altogether needs no more lines than that

Progress = Callable[[str, int, int], None]  # a word, entries or manifests done, and in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What a backup's manifest says of the log at its time."""

    backup: str
    entries: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogVerdict:
    """``findings``: what was edited, removed, inserted or cut off, a line each; empty if the log is whole.

    ``manifests`` were compared; ``unread`` could not be, with the reasons. ``entry`` of the log says all this, too.
    """

    entries: int
    manifests: int
    findings: tuple[str, ...]
    unread: tuple[str, ...]
    entry: BackupLog


def verify_log(user: AbstractBaseUser | None = None, progress: Progress | None = None) -> LogVerdict:
    """Read the whole log and every manifest that is there. What was found is logged."""
    report = progress or (lambda phase, done, total: None)
    there = LogHead.objects.filter(pk=LogHead.SINGLETON).exists()
    headless = not there and BackupLog.objects.exclude(number=None).exists()
    chain.catch_up()
    if headless:
        chain.make_head()
    head = LogHead.objects.filter(pk=LogHead.SINGLETON).first() or LogHead()
    findings = [_("The head of the log was removed.")] if headless else []
    findings += [*_broken_links(head, report), *_strangers()]
    noted, unread = _noted(report)
    findings += _contradictions(noted)
    findings = findings[:MOST_FINDINGS]
    message = (
        _("The log was tampered with, or damaged.")
        if findings
        else _("The log is whole: %(entries)d entries, as %(manifests)d manifests noted them.")
        % {"entries": head.entries, "manifests": len(noted)}
    )
    level = BackupLog.Level.ERROR if findings else BackupLog.Level.SUCCESS
    facts: dict[str, Any] = {"entries": head.entries, "manifests": len(noted), "findings": findings, "unread": unread}
    entry = journal.write(BackupLog.Operation.AUDIT, level, message, user=user, **facts)
    return LogVerdict(
        entries=head.entries, manifests=len(noted), findings=tuple(findings), unread=tuple(unread), entry=entry
    )


def _broken_links(head: LogHead, report: Progress) -> Iterator[str]:
    """Up to the head as it was when we began: others go on writing."""
    entries = BackupLog.objects.filter(number__lte=head.entries).order_by("number", "pk")
    expected, before = 1, ""
    for entry in entries.iterator(chunk_size=BATCH):
        number = entry.number or 0
        if number < expected:
            yield _("Number %(number)d is there twice: %(entry)s") % {"number": number, "entry": entry}
            continue
        if number > expected:
            yield _removed(expected, number - 1)
        elif entry.previous_hash != before:
            yield _("The entry before number %(number)d was edited or replaced, and sealed anew.") % {"number": number}
        if chain.seal(entry) != entry.hash:
            yield _("Entry number %(number)d was edited: %(entry)s") % {"number": number, "entry": entry}
        expected, before = number + 1, entry.hash
        report(_("Log"), number, head.entries)
    if expected <= head.entries:
        yield _("The end was cut off: %(removed)s") % {"removed": _removed(expected, head.entries)}
    elif head.hash != before:
        yield _("The last entry, number %(number)d, was edited or replaced, and sealed anew.") % {
            "number": head.entries
        }


def _removed(first: int, last: int) -> str:
    if first == last:
        return _("Entry number %(number)d was removed.") % {"number": first}
    return _("The entries number %(first)d to %(last)d were removed.") % {"first": first, "last": last}


def _strangers() -> Iterator[str]:
    """In one query, so that what others write meanwhile is seen whole, or not at all."""
    counted = LogHead.objects.filter(pk=LogHead.SINGLETON).values("entries")
    for entry in BackupLog.objects.filter(number__gt=Subquery(counted)).order_by("number")[:MOST_FINDINGS]:
        yield _("Entry number %(number)d was inserted past the chain: %(entry)s") % {
            "number": entry.number,
            "entry": entry,
        }


def _noted(report: Progress) -> tuple[list[Noted], list[str]]:
    """From all signed sidecars, also where the record is gone: who cuts off the log may delete records, too.

    Those of before the chain noted nothing.
    """
    noted, unread = [], []
    vault = catalogue.get_vault()
    good = set(BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS).values_list("backup_name", flat=True))
    ours_to_tell = good - _came_from_elsewhere()
    names = {name + SIDECAR_SUFFIX for name in good}
    for one in vault.copies(""):
        try:
            names |= {name for name in one.names() if name.endswith(SIDECAR_SUFFIX)}
        except BackupCenterError as error:  # one that is out of reach keeps nobody from the others
            unread.append(str(error))
    ours = set(BackupLog.objects.filter(number=1).values_list("hash", flat=True))
    for done, name in enumerate(sorted(names), 1):
        backup = name.removesuffix(SIDECAR_SUFFIX)
        try:
            facts = catalogue.read_sidecar(name, vault).manifest.facts.get("audit")
        except BackupCenterError as error:
            unread.append(f"{backup}: {error}")
            continue
        if facts and facts["entries"]:
            if ours and facts["log"] not in ours and backup not in ours_to_tell:
                unread.append(
                    f"{backup}: " + _("It noted another log, such as that of an installation before this one.")
                )
            else:
                noted.append(Noted(backup=backup, entries=facts["entries"], head=facts["head"]))
        report(_("Manifests"), done, len(names))
    return noted, unread


def _came_from_elsewhere() -> set[str]:
    """Backups that, as the log says, a rescan found or somebody imported: they may have noted another log."""
    operations = (BackupLog.Operation.RESCAN, BackupLog.Operation.IMPORT)
    return set(BackupLog.objects.filter(operation__in=operations).values_list("backup_name", flat=True))


def _contradictions(noted: list[Noted]) -> Iterator[str]:
    """With the head of now: a backup may have noted it since we began."""
    last = LogHead.objects.filter(pk=LogHead.SINGLETON).values_list("entries", flat=True).first() or 0
    numbers = [found.entries for found in noted]
    there: set[tuple[int | None, str]] = set()
    for start in range(0, len(numbers), BATCH):
        some = BackupLog.objects.filter(number__in=numbers[start : start + BATCH])
        there.update(some.values_list("number", "hash"))
    for found in noted:
        facts = {"backup": found.backup, "number": found.entries, "last": last}
        if found.entries > last:
            yield _("The end was cut off: %(backup)s noted %(number)d entries, the log ends with %(last)d.") % facts
        elif (found.entries, found.head) not in there:
            yield _("Entry number %(number)d is not the one that %(backup)s noted: the log was written anew.") % facts
