"""The first thing to know: could one restore right now, to when, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import quantities, registry
from ..models import BackupRecord
from . import copies, drills, keys, lineage

GOOD, LOOK, BAD = "good", "look", "bad"
STALE = timedelta(days=2)
LOOKED_AT = 100  # good backups looked through for one that holds every data type

Status, Trigger = BackupRecord.Status, BackupRecord.Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``state``: ``good``, ``look`` (restorable, but read ``evidence``) or ``bad``. ``record``: what to go back to."""

    state: str
    headline: str
    evidence: tuple[str, ...]
    record: BackupRecord | None = None


def verdict() -> Verdict:
    """Looks at the catalogue and at the files that the backup it names needs; their content is for verification."""
    good = list(_good_records())
    if not good:
        return _none_at_all()
    wanted = {spec.data_type for spec in registry.table_specs(DEFAULT_DB_ALIAS)}
    missing: list[str] = []
    for record in sorted(good, key=lambda record: not wanted <= set(record.data_types)):
        if problems := lineage.problems(record):
            missing += problems
            continue
        return _restorable(record, wanted - set(record.data_types), missing)
    return Verdict(
        state=BAD, headline=_("You can't restore: the files of the backups are gone."), evidence=tuple(missing)
    )


def _good_records() -> Iterator[BackupRecord]:
    """The newest first, but safety backups last: they hold what a restore replaced, mostly a bad state."""
    found = BackupRecord.objects.filter(status=Status.SUCCESS, is_damaged=False, database=DEFAULT_DB_ALIAS)
    found = found.filter(is_unsigned=False)
    newest = list(found.defer("contents", "progress")[:LOOKED_AT])
    yield from (record for record in newest if record.trigger != Trigger.SAFETY)
    yield from (record for record in newest if record.trigger == Trigger.SAFETY)


def _none_at_all() -> Verdict:
    failed = BackupRecord.objects.filter(status=Status.FAILED).first()
    if failed is not None:
        evidence = _("The last attempt failed: %(error)s") % {"error": failed.error_message}
        return Verdict(state=BAD, headline=_("You can't restore: no backup has succeeded."), evidence=(evidence,))
    evidence = _("A backup holds all data of one moment. It takes seconds, and people can go on working.")
    return Verdict(state=BAD, headline=_("You can't restore yet: there is no backup."), evidence=(evidence,))


def _restorable(record: BackupRecord, lacking: set[str], missing: Sequence[str]) -> Verdict:
    moment = _moment(record)
    age = quantities.ago(moment)
    checked = _("verified") if record.verified_at else _("not verified yet")
    evidence = [_("Last good backup %(age)s, %(checked)s.") % {"age": age, "checked": checked}]
    if record.is_encrypted and (locked := keys.why_locked()):
        evidence.append(_("It is encrypted. %(reason)s") % {"reason": locked})
    if proven := drills.last_proven():
        evidence.append(
            _("Last proven restorable %(age)s, in %(span)s.")
            % {"age": quantities.ago(proven.started_at), "span": quantities.duration(proven.restore_seconds or 0)}
        )
    worries = list(missing)
    if (drill := drills.last_ended()) and not drill.ok:
        worries.append(_("The last drill failed: %(error)s") % {"error": drill.error})
    if lacking:
        labels = [str(found) for name, found in registry.data_types().items() if name in lacking]
        worries.append(_("It does not hold: %(types)s.") % {"types": ", ".join(labels)})
    if timezone.now() - moment > STALE:
        worries.append(_("That is long ago: what was entered since can't be brought back."))
    later = BackupRecord.objects.filter(sequence__gt=record.sequence)
    if failed := later.filter(status=Status.FAILED).defer("contents").first():
        worries.append(_("The last attempt failed: %(error)s") % {"error": failed.error_message})
    if damaged := later.filter(is_damaged=True).defer("contents").first():
        worries.append(_("%(name)s is damaged.") % {"name": damaged.backup_name})
    for state in copies.states():
        if state.missing:
            facts = {"count": state.missing, "name": state.name}
            worries.append(_("Backups without a good copy in the vault %(name)s: %(count)d.") % facts)
    text = _("Only a part can be restored, to %(moment)s.") if lacking else _("You can go back to %(moment)s.")
    return Verdict(
        state=LOOK if worries else GOOD,
        headline=text % {"moment": quantities.moment(moment)},
        evidence=(*evidence, *worries),
        record=record,
    )


def _moment(record: BackupRecord) -> datetime:
    return record.backup_start_time or record.created_at
