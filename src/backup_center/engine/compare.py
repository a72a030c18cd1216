"""The plan: what a restore would do to the live tables, and what stands in its way. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

import orjson

from . import parents, ranges, replacements
from .contents import chunk_body, chunk_rows, column_values
from .dialects.base import Connection, Piece
from .differences import Differences, FieldChange, Row, RowChange
from .references import BrokenReference, Coming, broken_references
from .replacements import Replacement, Way
from .selection import Selection, match
from .sources import Source

__all__ = ["FieldChange", "Plan", "RowChange", "TableChange", "Way", "make_plan"]

Progress = Callable[[str, int, int], None]  # phase, rows done, rows in all


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """One table of a plan. ``ranges`` of its ``of_ranges`` key ranges differ; ``stored``: their bytes in the archives.

    ``way``: their rows that differ are replaced, the table is emptied and loaded, or rows are only added to it.
    """

    label: str
    data_type: str
    rows_in_backup: int
    rows_now: int
    way: Way
    ranges: int
    of_ranges: int
    stored: int
    added: int
    changed: int
    removed: int
    examples: tuple[RowChange, ...]

    @property
    def same(self) -> bool:
        """The restore would change nothing here."""
        return not (self.added or self.changed or self.removed)

    @property
    def unchanged(self) -> int:
        """Rows that stay as they are."""
        return self.rows_now - self.changed - self.removed

    @property
    def added_to(self) -> bool:
        """Rows only join those that are there, none is changed or removed."""
        return self.way is Way.ADD

    @property
    def whole(self) -> bool:
        """All rows are written again, since most of them differ."""
        return self.way is Way.WHOLE and not self.same

    @property
    def written(self) -> int:
        """Rows that the restore writes."""
        return self.rows_in_backup if self.whole else self.added + self.changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``references`` are in the way; those ``nulled`` are emptied, since that was asked for."""

    tables: tuple[TableChange, ...]
    references: tuple[BrokenReference, ...]
    nulled: tuple[BrokenReference, ...]
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

    @property
    def ranges(self) -> int:
        return sum(table.ranges for table in self.tables)

    @property
    def of_ranges(self) -> int:
        return sum(table.of_ranges for table in self.tables)

    @property
    def stored(self) -> int:
        """Bytes of the archives that are read for the ranges that differ."""
        return sum(table.stored for table in self.tables)


def make_plan(selection: Selection, connection: Connection, source: Source, progress: Progress) -> Plan:
    """Inside a transaction. Raises ``SchemaDiffers`` or ``Unsupported``: then there is nothing to plan."""
    live = match(selection, connection)
    _refuse_unknown_ids(selection, source)
    settled = parents.settle(selection, connection, replacements.find(selection, connection, live), source)
    found = settled.found
    done, total = 0, sum(table.rows for table in selection.tables)
    restored = {replacement.live.sql: replacement.live for replacement in found}
    keys = [key for key in connection.foreign_keys(list(restored.values())) if key.parent not in restored]
    coming = {replacement.table.label: Coming(replacement.live, keys) for replacement in found}
    changes = []
    for replacement in found:
        done += replacement.table.rows - sum(replacement.table.chunks[number].rows for number in replacement.ranges)
        progress("compare", done, total)
        comparison = _Comparison(replacement, selection, connection, source, coming[replacement.table.label])
        for rows in comparison.run():
            done += rows
            progress("compare", done, total)
        changes.append(comparison.result())
    touching = [found for found, change in zip(found, changes, strict=True) if not change.same]
    # Where single rows come back, none vanish.
    broken = settled.broken if selection.picked else broken_references(selection, connection, found, source, coming)
    return Plan(
        tables=tuple(changes),
        references=tuple(reference for reference in broken if reference.nulling is None),
        nulled=tuple(reference for reference in broken if reference.nulling is not None),
        notes=(*settled.left_out, *connection.notes([replacement.load() for replacement in touching])),
    )


class _Comparison:
    """One table's ranges that differ, row by row."""

    def __init__(
        self,
        replacement: Replacement,
        selection: Selection,
        connection: Connection,
        source: Source,
        coming: Coming,
    ) -> None:
        self.replacement, self.table, self.live = replacement, replacement.table, replacement.live
        self.connection, self.manifest, self.source = connection, selection.manifest, source
        maps = selection.maps.get(self.table.label, {})
        self.maps = {self.table.names.index(column): ids for column, ids in maps.items()}
        self.rows_now = connection.count(self.live)
        self.differences = Differences(
            self.table, only_added=replacement.way is Way.ADD, picked=replacement.picked, coming=coming.add
        )

    def run(self) -> Iterator[int]:
        """Compares; yields, now and then, how many more of the backup's rows are done."""
        if not self.replacement.sorted_alike:
            yield from self._beside()
            return
        numbers = self.replacement.ranges
        if not numbers:
            return
        wanted = None if self.replacement.everywhere else numbers
        # Closed before anything else is asked of this connection, whatever goes wrong.
        with closing(self.connection.pieces(self.live, ranges.borders(self.table), wanted)) as pieces:
            for number, own in ranges.by_range(pieces, numbers):
                self.differences.compare(*self._sides(number, own))
                yield self.table.chunks[number].rows

    def result(self) -> TableChange:
        found, replacement = self.differences, self.replacement
        return TableChange(
            label=self.table.label,
            data_type=self.table.data_type,
            rows_in_backup=self.table.rows,
            rows_now=self.rows_now,
            way=replacement.way,
            ranges=len(replacement.ranges),
            of_ranges=len(self.table.chunks),
            stored=replacement.stored,
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

    def _sides(self, number: int, own: Iterator[Piece]) -> tuple[list[Row], Iterator[Row]]:
        """The backup's rows of a range and the live ones; where that is all that matters, only what is not the same."""
        if self.maps or self.replacement.way is Way.ADD:
            return self._backup_rows(number), chain.from_iterable(orjson.loads(piece.body) for piece in own)
        body = chunk_body(self.table, number, self.source)
        return ranges.unequal(body, self.table.chunks[number].rows, own)

    def _backup_rows(self, number: int) -> list[Row]:
        """As they would be restored: with ids that mean something else here mapped."""
        rows = chunk_rows(self.table, number, self.source)
        for index, ids in self.maps.items():
            for row in rows:
                row[index] = ids[row[index]]
        return rows


def _refuse_unknown_ids(selection: Selection, source: Source) -> None:
    """Ids that stand for nothing here refuse the restore when they are asked for: ask for each that is used."""
    for table in selection.tables:
        for column, ids in selection.maps.get(table.label, {}).items():
            for (value,) in column_values(table, [column], source):
                ids[value]
