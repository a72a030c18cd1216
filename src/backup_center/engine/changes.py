"""The rows that a rewind takes away and brings, staged in temporary tables before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson

from . import ranges
from .contents import chunk_body
from .dialects.base import CHUNK_ROWS, Connection, Piece, Staged, key_range
from .differences import Pairing, Row
from .manifest import Manifest
from .replacements import Replacement
from .sources import Source

AT_ONCE = 64 * CHUNK_ROWS  # rows that wait to be staged, and one range more
OVERGROWN = 2_000  # rows to take away from one range, from which on all of them go: their keys are not worth holding


@dataclass(slots=True)
class _Batch:
    gone: list[tuple[Any, ...]] = field(default_factory=list)  # keys
    come: list[Row] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.gone) + len(self.come) > AT_ONCE


def stage(replacement: Replacement, number: int, manifest: Manifest, connection: Connection, source: Source) -> Staged:
    """``number`` tells the temporary tables of one restore apart."""
    live, table = replacement.live, replacement.table
    gone, come = f"backup_center_gone_{number}", f"backup_center_come_{number}"
    connection.stage(gone, live, live.key, [])
    connection.stage(come, live, live.names, [])
    changes = _Changes(replacement, manifest, connection, source)
    rows = 0
    for batch in changes.batches():
        connection.stage_more(gone, live.key, batch.gone)
        connection.stage_more(come, live.names, batch.come)
        rows += len(batch.come)
    ends = list(ranges.borders(table)) if changes.emptied else []
    emptied = tuple(key_range(ends, number, number) for number in changes.emptied)
    return Staged(gone=gone, come=come, rows=rows, emptied=emptied)


def are_left(replacement: Replacement, manifest: Manifest, connection: Connection, source: Source) -> bool:
    """Whether any row of the ranges that differed is not as it was backed up. Values count, not their spelling."""
    batches = _Changes(replacement, manifest, connection, source).batches()
    return any(batch.gone or batch.come for batch in batches)


def coming(
    replacement: Replacement, manifest: Manifest, connection: Connection, source: Source
) -> dict[tuple[Any, ...], Row]:
    """The rows that single rows become which are not so yet, by their keys as ``Picked`` has them."""
    changes = _Changes(replacement, manifest, connection, source)
    return {changes.pairing.comparable(row): row for batch in changes.batches() for row in batch.come}


class _Changes:
    def __init__(self, replacement: Replacement, manifest: Manifest, connection: Connection, source: Source) -> None:
        self.replacement, self.manifest = replacement, manifest
        self.connection, self.source = connection, source
        self.pairing = Pairing(replacement.table, only_added=False, picked=replacement.picked)
        self.emptied: list[int] = []

    def batches(self) -> Iterator[_Batch]:
        """Between two batches the connection is free: what was found is staged on it."""
        table, live = self.replacement.table, self.replacement.live
        numbers = self.replacement.ranges
        while numbers:
            batch, done = _Batch(), 0
            with closing(self.connection.pieces(live, ranges.borders(table), numbers)) as pieces:
                for number, own in ranges.by_range(pieces, numbers):
                    self._compare(number, own, batch)
                    done += 1
                    if batch.is_full:
                        break
            yield batch
            numbers = numbers[done:]

    def _compare(self, number: int, pieces: Iterator[Piece], batch: _Batch) -> None:
        table = self.replacement.table
        body = chunk_body(table, number, self.source)
        backup, live = ranges.unequal(body, table.chunks[number].rows, pieces)
        gone: list[tuple[Any, ...]] = []
        come: list[Row] = []
        for old, new in self.pairing.pairs(backup, live):
            if old is not None:
                gone.append(self.pairing.key(old))
            if new is not None:
                come.append(new)
            if len(gone) > OVERGROWN:
                self.emptied.append(number)
                gone, come = [], orjson.loads(body)
                break
        batch.gone += gone
        batch.come += come
