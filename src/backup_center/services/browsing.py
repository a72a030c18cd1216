"""The rows of a backup, to look at: page by page, by key, by what they say. No more is read than is shown."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from ..addresses import key_of
from ..engine.contents import rows_between
from ..engine.errors import Busy, NotFound
from ..engine.manifest import Manifest, Table
from ..engine.records import key_texts
from ..engine.sources import Source
from ..models import BackupLog, BackupRecord
from . import catalogue, journal
from .masking import secret_columns
from .records import Record, Row, looking_for

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

SEARCH_SECONDS = 2.0  # of one request
SEARCH_STEP = 500  # rows between two looks at the clock
LOGGED_KEY = 200  # characters
LOGGED_ANEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedRow:
    """A row of a backup and its number, from 1. ``key``: as people write it; ``None`` if it is secret or has a NULL."""

    number: int
    row: Row
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What was found among the rows from number ``start`` (from 0) up to ``stop``; the rest was not looked at."""

    rows: tuple[NumberedRow, ...]
    start: int
    stop: int
    total: int

    @property
    def first(self) -> int:
        """The number of the first row that was looked at, from 1."""
        return min(self.start + 1, self.total)

    @property
    def next(self) -> int:
        return self.stop + 1

    @property
    def is_complete(self) -> bool:
        return self.stop >= self.total


class OpenTable(Sequence[NumberedRow]):
    """One table of a backup. A slice reads the chunks that hold it, and no others."""

    def __init__(self, table: Table, manifest: Manifest, source: Source) -> None:
        self.table, self._manifest, self._source = table, manifest, source
        self.secret = secret_columns(table.label, table.names)
        self._key = [table.names.index(name) for name in table.key]

    def __len__(self) -> int:
        return self.table.rows

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            return self[index : index + 1][0]
        start, stop, _step = index.indices(len(self))
        rows = rows_between(self.table, start, stop, self._source)
        return [self._numbered(number, row) for number, row in enumerate(rows, start + 1)]

    def search(self, text: str, start: int, most: int) -> Search:
        """Rows with ``text`` in a value that may be seen, in any case; at most so many, and not for long."""
        sought, found = text.casefold(), []
        started = time.monotonic()
        number = start = max(0, min(start, len(self)))
        for number, row in enumerate(self._rows_from(start), start + 1):
            if self._says(row, sought):
                found.append(self._numbered(number, row))
            too_long = number % SEARCH_STEP == 0 and time.monotonic() - started > SEARCH_SECONDS
            if len(found) == most or too_long:
                break
        return Search(rows=tuple(found), start=start, stop=number, total=len(self))

    def position(self, record: Record) -> int | None:
        return record.position(self.table, self._manifest, self._source)

    def _rows_from(self, start: int) -> Iterator[list[Any]]:
        return rows_between(self.table, start, len(self), self._source)

    def _says(self, row: Sequence[Any], sought: str) -> bool:
        seen = [
            value
            for name, value in zip(self.table.names, row, strict=True)
            if name not in self.secret and value is not None
        ]
        return any(sought in text.casefold() for text in key_texts(seen))

    def _numbered(self, number: int, values: Sequence[Any]) -> NumberedRow:
        key = [values[position] for position in self._key]
        hidden = None in key or self.secret.intersection(self.table.key)
        row = Row(label=self.table.label, columns=self.table.columns, values=tuple(values))
        return NumberedRow(number=number, row=row, key=None if hidden else key_of(key_texts(key)))


def open_table(record: BackupRecord, label: str) -> OpenTable:
    """A table of a backup, by its model's label. Raises ``NotFound``, and what opening a backup raises."""
    catalogue.restorable(record)
    sidecar = catalogue.open_sidecar(record, catalogue.get_vault())
    table = sidecar.manifest.table(label)
    if table is None:
        raise NotFound(_("%(name)s does not hold the table %(label)s.") % {"name": record.backup_name, "label": label})
    source = catalogue.source(sidecar.manifest, catalogue.get_vault())
    return OpenTable(table, sidecar.manifest, source)


def position(opened: OpenTable, key: str, database: str) -> int | None:
    """The number of a record's row, from 0; ``None`` if the backup doesn't have it."""
    with looking_for(opened.table.label, key, database) as record:
        return opened.position(record)


def note(user: AbstractBaseUser, label: str, *, record: BackupRecord | None = None, key: str = "") -> None:
    """Into the log: who looked at which table or record. Once an hour for the same, or the log would be full of it.

    Raises ``Busy`` where the database takes no entry now: what isn't logged isn't shown.
    """
    details: dict[str, Any] = {"table": label, **({"key": key[:LOGGED_KEY].replace("\0", "␀")} if key else {})}
    try:
        if not _is_noted(user, details, record):
            text = (
                _("Rows of %(table)s were looked at.") if record else _("The past of %(table)s %(key)s was looked at.")
            )
            journal.write(
                BackupLog.Operation.BROWSE,
                BackupLog.Level.INFO,
                text % {"key": "", **details},
                record=record,
                user=user,
                **details,
            )
    except DatabaseError as error:
        raise Busy(
            _("Looking at rows is logged, and the database takes no entry now (%(error)s). Try again later.")
            % {"error": error}
        ) from error


def _is_noted(user: AbstractBaseUser, details: dict[str, Any], record: BackupRecord | None) -> bool:
    since = timezone.now() - LOGGED_ANEW
    lately = BackupLog.objects.filter(operation=BackupLog.Operation.BROWSE, created_at__gte=since)
    return lately.filter(backup_record=record, operated_by=user.pk, details=details).exists()
