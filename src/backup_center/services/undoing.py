"""Taking a restore back: to its safety backup, knowing what was written since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..engine.compare import TableChange
from ..engine.errors import BackupCenterError, NotFound, Refused
from ..models import BackupLog, BackupRecord
from . import selecting
from .restores import RestoreService

Progress = Callable[[str, int, int], None]  # phase, rows done, rows in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """A restore (its entry in the log) and the safety backup that it took."""

    entry: BackupLog
    safety: BackupRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSince:
    """What was written after a restore, which taking it back would lose.

    ``tables`` tell what the restored backup would do to them now: what it would remove was inserted since, what it
    would add was deleted since. ``unknown``: why nobody can tell; empty if somebody can.
    """

    tables: tuple[TableChange, ...] = ()
    unknown: str = ""


def latest(record: BackupRecord | None = None) -> Undo:
    """The latest restore, or the latest of this backup. Raises ``NotFound`` or ``Refused`` if nothing leads back."""
    entries = BackupLog.objects.filter(operation=BackupLog.Operation.RESTORE, log_level=BackupLog.Level.SUCCESS)
    if record is not None:
        entries = entries.filter(backup_record=record)
    entry = entries.first()
    if entry is None:
        raise NotFound(_("There is no restore to undo."))
    return of(entry)


def of(entry: BackupLog) -> Undo:
    """The way back from this restore. Raises ``Refused`` or ``NotFound`` if there is none."""
    name = entry.details.get("safety_backup")
    if not name:
        raise Refused(_("The restore of %(name)s took no safety backup: there is no way back.") % _name_of(entry))
    safety = BackupRecord.objects.filter(backup_name=name).first()
    if safety is None:
        raise NotFound(_("The safety backup %(name)s was deleted: there is no way back.") % {"name": name})
    return Undo(entry=entry, safety=safety)


def written_since(undo: Undo, progress: Progress | None = None) -> WrittenSince:
    """By what the restored backup says of the tables now."""
    details, restored = undo.entry.details, undo.entry.backup_record
    if details.get("mode") == selecting.MISSING:
        return WrittenSince(unknown=_("That restore only brought back rows that were gone."))
    if record := details.get("one_record"):
        return WrittenSince(unknown=_("That restore only brought back one record (%(record)s).") % {"record": record})
    if restored is None:
        return WrittenSince(unknown=_("The backup that was restored is gone."))
    models = details.get("models")
    try:
        plan = RestoreService().plan(
            restored, None if models else details.get("data_types"), models=models, progress=progress
        )
    except BackupCenterError as error:
        return WrittenSince(unknown=str(error))
    return WrittenSince(tables=tuple(table for table in plan.plan.tables if not table.same and not table.added_to))


def _name_of(entry: BackupLog) -> dict[str, str]:
    return {"name": entry.backup_name}
