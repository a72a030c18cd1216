"""The rows that a rewind takes away and brings, staged in temporary tables before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from . import ranges
from .contents import chunk_body
from .dialects.base import Connection, Piece, Staged, key_range
from .differences import Pairing, Row
from .manifest import Table
from .replacements import Replacement
from .selection import Picked, Selection
from .sources import Source

AT_ONCE = 48  # ranges compared before their rows are staged: so many chunks are held at most
HELD = 4_000  # rows that go and come, held while a safety backup is taken
OVERGROWN = 2_000  # rows to take away from one range, from which on all of them go: their keys are not worth holding


@dataclass(slots=True)
class Found:
    """What is not as it was in these ranges: keys of rows that go, rows that come; of those ``emptied`` all rows go."""

    ranges: list[int] = field(default_factory=list)
    gone: list[tuple[Any, ...]] = field(default_factory=list)
    come: list[Row] = field(default_factory=list)
    emptied: list[int] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.gone) + len(self.come) > HELD


class Passing:
    """Compares the ranges of tables while a safety backup reads them: the rewind that follows need not read them again.

    As long as few enough rows differ; the other ranges are left to the rewind.
    """

    def __init__(self, selection: Selection, source: Source) -> None:
        """Where single rows are picked, it is only known later which of them come."""
        tables = [] if selection.picked else selection.tables
        self._comparing = {
            table.label: _Comparing(table, source)
            for table in tables
            if table.label not in selection.added and table.label not in selection.maps
        }
        self._found = {label: Found() for label in self._comparing}

    def watch(self, label: str, number: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """A ``Watch`` for a backup whose parent is the backup that is restored."""
        if label not in self._found or self._found[label].is_full:
            yield from pieces
            return
        comparing, held = self._comparing[label], list[Piece]()
        rows, most = 0, comparing.table.chunks[number].rows + OVERGROWN
        for piece in pieces:
            rows += piece.rows
            if rows <= most:
                held.append(piece)
            yield piece
        if rows <= most:
            comparing.compare(number, iter(held), self._found[label])

    def found(self, label: str) -> Found:
        """To be used up: it is not kept."""
        return self._found.pop(label, Found())


def stage(
    replacement: Replacement, number: int, connection: Connection, source: Source, passed: Found | None = None
) -> Staged:
    """``number`` tells the temporary tables of one restore apart; ``passed``: what is known without looking."""
    live, table = replacement.live, replacement.table
    gone, come = f"backup_center_gone_{number}", f"backup_center_come_{number}"
    connection.stage(gone, live, live.key, [])
    connection.stage(come, live, live.names, [])
    rows, emptied = 0, list[int]()
    for found in _found(replacement, connection, source, passed):
        connection.stage_more(gone, live.key, found.gone)
        connection.stage_more(come, live.names, found.come)
        rows += len(found.come)
        emptied += found.emptied
    ends = list(ranges.borders(table)) if emptied else []
    return Staged(gone=gone, come=come, rows=rows, emptied=tuple(key_range(ends, each, each) for each in emptied))


def are_left(replacement: Replacement, connection: Connection, source: Source) -> bool:
    """Whether any row of the ranges that differed is not as it was backed up. Values count, not their spelling."""
    return any(found.gone or found.come or found.emptied for found in _found(replacement, connection, source))


def coming(replacement: Replacement, connection: Connection, source: Source) -> dict[tuple[Any, ...], Row]:
    """The rows that single rows become which are not so yet, by their keys as ``Picked`` has them."""
    pairing = Pairing(replacement.table, only_added=False)
    return {pairing.comparable(row): row for found in _found(replacement, connection, source) for row in found.come}


def _found(
    replacement: Replacement, connection: Connection, source: Source, passed: Found | None = None
) -> Iterator[Found]:
    """Between two of them the connection is free: what was found is staged on it."""
    comparing = _Comparing(replacement.table, source, replacement.picked)
    known: frozenset[int] = frozenset()
    if passed is not None:
        yield passed
        known = frozenset(passed.ranges)
    numbers = (number for number in replacement.ranges if number not in known)
    while some := list(islice(numbers, AT_ONCE)):
        found = Found()
        borders = ranges.borders(replacement.table)
        with closing(connection.pieces(replacement.live, borders, some)) as pieces:
            for number, own in ranges.by_range(pieces, some):
                comparing.compare(number, own, found)
        yield found


class _Comparing:
    """The live rows of one table's ranges against the backup's."""

    def __init__(self, table: Table, source: Source, picked: Picked | None = None) -> None:
        self.table, self._source = table, source
        self._pairing = Pairing(table, only_added=False, picked=picked)

    def compare(self, number: int, pieces: Iterator[Piece], found: Found) -> None:
        body = chunk_body(self.table, number, self._source)
        backup, live = ranges.unequal(body, self.table.chunks[number].rows, pieces)
        gone: list[tuple[Any, ...]] = []
        come: list[Row] = []
        for old, new in self._pairing.pairs(backup, live):
            if old is not None:
                gone.append(self._pairing.key(old))
            if new is not None:
                come.append(new)
            if len(gone) > OVERGROWN:
                found.emptied.append(number)
                gone, come = [], orjson.loads(body)
                break
        found.ranges.append(number)
        found.gone += gone
        found.come += come
