"""What a restore has to touch: for each table the key ranges whose rows are not the backup's, and how they get there.

A preview shows it, a restore applies it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.utils.translation import gettext as _

from . import ranges
from .dialects.base import Connection, LiveTable, Load, Staged, is_large
from .errors import Refused
from .incremental import lendable
from .manifest import Manifest, Table
from .selection import Picked, Selection, digests_compare

NOTHING = Staged(gone="", come="", rows=0)
PROBES = 24  # ranges


class Way(Enum):
    ROWS = "rows"  # in the ranges that differ, the rows that differ are replaced
    WHOLE = "whole"  # the table is emptied and loaded
    ADD = "add"  # rows of the ranges that differ join those that are there; none is changed or removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """``ranges``: the numbers of the chunks to look at; the rows of all others are as in the backup, or not asked for.

    ``sorted_alike``: the chunks' borders divide the live table too.
    """

    table: Table
    live: LiveTable
    ranges: Sequence[int]
    way: Way
    sorted_alike: bool = True
    picked: Picked | None = None

    def load(
        self,
        bodies: Iterable[bytes] = (),
        maps: Mapping[str, Mapping[Any, Any]] | None = None,
        staged: Staged = NOTHING,
    ) -> Load:
        """What the database is told to do: these bodies, or what is staged."""
        return Load(
            table=self.live,
            rows=self.rows,
            add=self.way is Way.ADD,
            bodies=bodies,
            maps=maps or {},
            staged=staged if self.way is Way.ROWS else None,
        )

    @property
    def everywhere(self) -> bool:
        return len(self.ranges) == len(self.table.chunks)

    @property
    def rows(self) -> int:
        """Rows that the backup has in these ranges; in all, where the table is loaded whole."""
        if self.way is Way.WHOLE and self.ranges:
            return self.table.rows
        return sum(self.table.chunks[number].rows for number in self.ranges)

    @property
    def stored(self) -> int:
        """Bytes of these ranges in the archives."""
        return sum(self.table.chunks[number].length for number in self.ranges)


def find(
    selection: Selection,
    connection: Connection,
    live: Mapping[str, LiveTable],
    safety: Manifest | None = None,
    *,
    guess: bool = False,
) -> list[Replacement]:
    """One for each selected table. ``safety``: a backup of what is live, taken in this very transaction.

    ``guess``: a large table of which a few ranges already show that it is not what it was is not looked at in full.
    """
    if selection.picked:
        return [_of_single_rows(table, live[table.label], selection) for table in selection.tables]
    hashed = digests_compare(selection.manifest, connection)
    found = []
    for table in selection.tables:
        now = live[table.label]
        alike = table.collations == now.collations
        if not alike or table.label in selection.maps:
            numbers: Sequence[int] = range(len(table.chunks))
        elif safety is not None and safety.parent == selection.manifest.id and _was_lent(selection, now, connection):
            numbers = _not_borrowed(table, safety.table(table.label))
        elif guess and _seems_to_differ(table, now, connection):
            numbers = range(len(table.chunks))
        else:
            numbers = ranges.differing(table, now, connection, hashed=hashed)
        way = _way(table, now, numbers, selection, alike=alike)
        found.append(Replacement(table=table, live=now, ranges=numbers, way=way, sorted_alike=alike))
    return found


def _of_single_rows(table: Table, live: LiveTable, selection: Selection) -> Replacement:
    if not live.keyed or table.collations != live.collations or table.label in selection.maps:
        text = _("Single rows of %(table)s can't be told apart any more; restore the table (--models).")
        raise Refused(text % {"table": table.label})
    picked = selection.picked[table.label]
    return Replacement(table=table, live=live, ranges=picked.ranges, way=Way.ROWS, picked=picked)


def _seems_to_differ(table: Table, live: LiveTable, connection: Connection) -> bool:
    """By a few ranges from all over a large table: a wrong guess costs time, nothing else."""
    if not is_large(table.rows) or not live.keyed or len(table.chunks) < PROBES:
        return False
    numbers = [index * len(table.chunks) // PROBES for index in range(PROBES)]
    return 4 * len(ranges.differing_among(numbers, table, live, connection)) > 3 * PROBES


def _was_lent(selection: Selection, live: LiveTable, connection: Connection) -> bool:
    return lendable(selection.manifest, live, connection) is not None


def _not_borrowed(table: Table, safety: Table | None) -> list[int]:
    """A safety backup borrows exactly the chunks whose rows are still as they were: nothing is read twice."""
    borrowed = {(chunk.archive, chunk.offset) for chunk in safety.chunks} if safety is not None else set()
    return [number for number, chunk in enumerate(table.chunks) if (chunk.archive, chunk.offset) not in borrowed]


def _way(table: Table, live: LiveTable, numbers: Collection[int], selection: Selection, *, alike: bool) -> Way:
    if table.label in selection.added:
        return Way.ADD
    if not alike or table.label in selection.maps or not live.keyed:
        return Way.WHOLE
    touched = sum(table.chunks[number].rows for number in numbers)
    mostly = is_large(touched) and 2 * touched > table.rows
    return Way.WHOLE if mostly else Way.ROWS
