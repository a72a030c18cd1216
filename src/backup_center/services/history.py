"""One record's past: what it was in each backup, when it changed, and what it is now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from django.utils.translation import gettext as _

from ..engine.dialects.base import Column
from ..engine.errors import BackupCenterError, DatabaseFailed, NotFound
from ..models import BackupRecord
from .masking import secret_columns
from .records import Record, Row, holding, looking_for

SAME, DIFFERS, GONE, NEW, ABSENT, UNKNOWN = "same", "differs", "gone", "new", "absent", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A column of a row, as it stands in chunks. ``masked``: it is not shown, and ``value`` is ``None``."""

    label: str
    column: Column
    value: Any
    masked: bool = False

    @property
    def name(self) -> str:
        return self.column.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A column that differs. ``old`` or ``new`` is ``None`` where there was no such column, or no such row."""

    label: str
    name: str
    old: Value | None
    new: Value | None

    @property
    def masked(self) -> bool:
        return any(value is not None and value.masked for value in (self.old, self.new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What it was in some backups on end, from ``first`` to ``last``. No ``values``: it was not there.

    ``changes``: against the version before, if both were there. ``before``: the last backup of that one, so that it
    changed after ``before`` and no later than ``first``.
    """

    values: tuple[Value, ...]
    changes: tuple[Change, ...]
    before: BackupRecord | None
    first: BackupRecord
    last: BackupRecord
    backups: int

    @property
    def is_there(self) -> bool:
        return bool(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    record: BackupRecord
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The live record beside the newest version.

    ``same``, ``differs`` (then with ``changes``), ``gone``, ``new`` (only in the database), ``absent`` (in neither) or
    ``unknown`` (the database has no such table).
    """

    state: str
    values: tuple[Value, ...]
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return {
            SAME: _("as in the newest backup"),
            DIFFERS: _("it differs from the newest backup"),
            GONE: _("it is gone"),
            NEW: _("it is there, and not in the newest backup"),
            ABSENT: _("it is not there"),
            UNKNOWN: _("the database has no such table"),
        }[self.state]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHistory:
    """``versions``: the newest first. ``older``: how many more backups hold the table that were not looked at."""

    label: str
    key: str
    database: str
    versions: tuple[Version, ...]
    now: Now
    unreadable: tuple[Unreadable, ...]
    looked_at: int
    older: int

    @property
    def is_known(self) -> bool:
        """Whether it is, or ever was, anywhere that was looked at."""
        return bool(self.now.values) or any(version.is_there for version in self.versions)


def versions(label: str, key: str, database: str = "default", *, newest: int | None = None) -> RecordHistory:
    """The past of the record of ``app.Model`` with this key, in all good backups (or so many of the ``newest``).

    Parts of a composite key have commas between them. Raises ``NotFound`` for a model that is nowhere.
    """
    with looking_for(label, key, database) as record:
        backups = list(holding(record.labels[0], database))
        if not backups and not record.lives:
            raise NotFound(_("%(label)s is in no backup.") % {"label": label})
        chosen = backups if newest is None else backups[:newest]
        found: list[tuple[BackupRecord, tuple[Row, ...]]] = []
        unreadable = []
        for backup in reversed(chosen):
            try:
                found.append((backup, record.in_backup(backup)))
            except DatabaseFailed:  # not the backup's fault
                raise
            except BackupCenterError as error:
                unreadable.append(Unreadable(record=backup, reason=str(error)))
        folded = list(_folded(found))
        return RecordHistory(
            label=record.labels[0],
            key=key,
            database=database,
            versions=tuple(reversed(folded)),
            now=_now(record, found[-1][1] if found else ()),
            unreadable=tuple(reversed(unreadable)),
            looked_at=len(chosen),
            older=len(backups) - len(chosen),
        )


def _folded(found: Sequence[tuple[BackupRecord, tuple[Row, ...]]]) -> Iterator[Version]:
    """The oldest first, what is equal on end as one."""
    start = 0
    for end in range(1, len(found) + 1):
        if end < len(found) and _same(found[end][1], found[start][1]):
            continue
        before, rows_before = found[start - 1] if start else (None, ())
        rows = found[start][1]
        yield Version(
            values=shown(rows),
            changes=_changes(rows_before, rows),
            before=before,
            first=found[start][0],
            last=found[end - 1][0],
            backups=end - start,
        )
        start = end


def _now(record: Record, newest: tuple[Row, ...]) -> Now:
    if not record.lives:
        return Now(state=UNKNOWN, values=(), changes=())
    live = record.now()
    match bool(newest), bool(live):
        case True, True:
            state = SAME if _same(newest, live) else DIFFERS
        case True, False:
            state = GONE
        case False, True:
            state = NEW
        case _:
            state = ABSENT
    return Now(state=state, values=shown(live), changes=_changes(newest, live))


def _same(one: tuple[Row, ...], other: tuple[Row, ...]) -> bool:
    """Whatever the order and the types of the columns. Python calls 1 and 1.0 equal, JSON doesn't."""
    return _spelled(one) == _spelled(other)


def _spelled(rows: tuple[Row, ...]) -> list[tuple[str, dict[str, bytes]]]:
    return [(row.label, dict(zip(row.names, map(orjson.dumps, row.values), strict=True))) for row in rows]


def _changes(old: tuple[Row, ...], new: tuple[Row, ...]) -> tuple[Change, ...]:
    """Column by column, where both are there."""
    if not old or not new:
        return ()
    were, are = ({(value.label, value.name): value for value in _values(rows)} for rows in (old, new))
    secret = {key for rows in (old, new) for key in _secrets(rows)}
    return tuple(
        Change(label=key[0], name=key[1], old=_masked(were.get(key), secret), new=_masked(are.get(key), secret))
        for key in {**are, **were}
        if not _equal(were.get(key), are.get(key))
    )


def _equal(one: Value | None, other: Value | None) -> bool:
    return one is not None and other is not None and orjson.dumps(one.value) == orjson.dumps(other.value)


def shown(rows: Sequence[Row]) -> tuple[Value, ...]:
    """Everything of these rows that people may see."""
    secret = _secrets(rows)
    return tuple(value for found in _values(rows) if (value := _masked(found, secret)) is not None)


def _values(rows: Sequence[Row]) -> Iterator[Value]:
    for row in rows:
        for column, value in zip(row.columns, row.values, strict=True):
            yield Value(label=row.label, column=column, value=value)


def _secrets(rows: Sequence[Row]) -> set[tuple[str, str]]:
    return {(row.label, name) for row in rows for name in secret_columns(row.label, row.names)}


def _masked(value: Value | None, secret: set[tuple[str, str]]) -> Value | None:
    if value is None or (value.label, value.name) not in secret:
        return value
    return replace(value, value=None, masked=True)
