"""The plan: what a restore would do to the live tables, and what stands in its way. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from . import ranges
from .chunks import ReadStored
from .contents import chunk_rows, column_values
from .dialects.base import Connection, LiveTable, Load, Piece
from .differences import Differences, FieldChange, RowChange
from .manifest import Table
from .references import BrokenReference, broken_references
from .selection import Selection, digest_of, digests_compare, match

__all__ = ["FieldChange", "Plan", "RowChange", "TableChange", "make_plan"]

Progress = Callable[[str, int, int], None]  # phase, rows done, rows in all


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """One table of a plan. ``added_to``: rows only join those that are there, none is changed or removed."""

    label: str
    data_type: str
    rows_in_backup: int
    rows_now: int
    added_to: bool
    added: int
    changed: int
    removed: int
    examples: tuple[RowChange, ...]

    @property
    def same(self) -> bool:
        """The restore would change nothing here."""
        return not (self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    tables: tuple[TableChange, ...]
    references: tuple[BrokenReference, ...]
    notes: tuple[str, ...]

    @property
    def added(self) -> int:
        return sum(table.added for table in self.tables)

    @property
    def changed(self) -> int:
        return sum(table.changed for table in self.tables)

    @property
    def removed(self) -> int:
        return sum(table.removed for table in self.tables)


def make_plan(selection: Selection, connection: Connection, read_stored: ReadStored, progress: Progress) -> Plan:
    """Inside a transaction. Raises ``SchemaDiffers`` or ``Unsupported``: then there is nothing to plan."""
    live = match(selection, connection)
    _refuse_unknown_ids(selection, read_stored)
    done, total = 0, sum(table.rows for table in selection.tables)
    changes = []
    for table in selection.tables:
        comparison = _Comparison(table, live[table.label], selection, connection, read_stored)
        for rows in comparison.run():
            done += rows
            progress("compare", done, total)
        changes.append(comparison.result())
    loads = [
        Load(table=live[table.label], rows=table.rows, add=table.label in selection.added, bodies=())
        for table in selection.tables
    ]
    references = broken_references(selection, connection, live, read_stored)
    return Plan(tables=tuple(changes), references=tuple(references), notes=tuple(connection.notes(loads)))


class _Comparison:
    """One table, range by range. What the digests show to be equal is not read out of the archive."""

    def __init__(
        self, table: Table, live: LiveTable, selection: Selection, connection: Connection, read_stored: ReadStored
    ) -> None:
        self.table, self.live, self.connection = table, live, connection
        self.manifest, self.read_stored = selection.manifest, read_stored
        self.maps = {table.names.index(column): ids for column, ids in selection.maps.get(table.label, {}).items()}
        self.added_to = table.label in selection.added
        self.rows_now = connection.count(live)
        self.differences = Differences(table, only_added=self.added_to)

    def run(self) -> Iterator[int]:
        """Compares; yields, now and then, how many more of the backup's rows are done."""
        chunks = self.table.chunks
        hashed = not self.maps and digests_compare(self.manifest, self.connection)
        if hashed and self.connection.digest(self.live) == (self.table.rows, digest_of(self.table)):
            yield self.table.rows
            return
        if self.table.collations != self.live.collations:
            yield from self._beside()
            return
        wanted = ranges.differing(self.table, self.live, self.connection) if hashed else range(len(chunks))
        yield sum(chunk.rows for chunk in chunks) - sum(chunks[number].rows for number in wanted)
        chosen = None if len(wanted) == len(chunks) else wanted
        # Closed before anything else is asked of this connection, whatever goes wrong.
        with closing(self.connection.pieces(self.live, ranges.borders(self.table), chosen)) as pieces:
            for number, own in ranges.by_range(pieces, wanted):
                self._compare(number, own)
                yield chunks[number].rows

    def result(self) -> TableChange:
        found = self.differences
        return TableChange(
            label=self.table.label,
            data_type=self.table.data_type,
            rows_in_backup=self.table.rows,
            rows_now=self.rows_now,
            added_to=self.added_to,
            added=found.added,
            changed=found.changed,
            removed=found.removed,
            examples=found.examples,
        )

    def _beside(self) -> Iterator[int]:
        """The keys are not sorted as they were: the ranges of the chunks are none of the live table's."""
        rows = chain.from_iterable(map(self._backup_rows, range(len(self.table.chunks))))
        with closing(self.connection.beside(self.live, rows)) as slices:
            for backup, live in slices:
                self.differences.compare(backup, iter(live))
                yield len(backup)

    def _compare(self, number: int, pieces: Iterator[Piece]) -> None:
        """The chunk is only unpacked if the live rows' JSON isn't, byte for byte, what was backed up.

        At most as many rows as the chunk has are held, however many are live.
        """
        chunk = self.table.chunks[number]
        held: list[bytes] = []
        rows = 0
        for piece in pieces:
            held.append(piece.body)
            rows += piece.rows
            if rows > chunk.rows:
                break
        if rows == chunk.rows and not self.maps and ranges.sha256_of(held) == chunk.sha256:
            return
        bodies = chain(held, (piece.body for piece in pieces))
        live = chain.from_iterable(map(orjson.loads, bodies))
        self.differences.compare(self._backup_rows(number), live)

    def _backup_rows(self, number: int) -> list[list[Any]]:
        """As they would be restored: with ids that mean something else here mapped."""
        rows = chunk_rows(self.table, number, self.manifest, self.read_stored)
        for index, ids in self.maps.items():
            for row in rows:
                row[index] = ids[row[index]]
        return rows


def _refuse_unknown_ids(selection: Selection, read_stored: ReadStored) -> None:
    """Ids that stand for nothing here refuse the restore when they are asked for: ask for each that is used."""
    for table in selection.tables:
        for column, ids in selection.maps.get(table.label, {}).items():
            for (value,) in column_values(table, [column], selection.manifest, read_stored):
                ids[value]
