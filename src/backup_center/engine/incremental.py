"""Which chunks of a parent still hold: ranges whose rows are as they were are borrowed, the others are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain

from . import ranges
from .chunks import Chunk
from .dialects.base import CHUNK_BYTES, CHUNK_ROWS, Connection, LiveTable, Piece, RawChunk
from .manifest import Manifest, Table
from .selection import digests_compare

# Label, number of the range, its live rows → the same rows, looked at on their way
Watch = Callable[[str, int, Iterator[Piece]], Iterator[Piece]]


def lendable(parent: Manifest | None, live: LiveTable, connection: Connection) -> Table | None:
    """The parent's table, if its chunks can stand for live rows: the same columns and key, sorted as they were."""
    if parent is None or parent.database["vendor"] != connection.vendor:
        return None
    was = parent.table(live.label)
    if was is None:
        return None
    same = (was.table, was.columns, was.key, was.collations) == (live.table, live.columns, live.key, live.collations)
    return was if same else None


def scan(
    was: Table, live: LiveTable, parent: Manifest, connection: Connection, watch: Watch | None = None
) -> Iterator[Chunk | RawChunk]:
    """The live table in key order: the parent's chunks where they still hold, otherwise what is there now.

    By the database's own digests, where it has them; else every row is read, and compared byte for byte. Only ranges
    that are known to differ before they are read are given to ``watch``.
    """
    total = len(was.chunks)
    hashed = digests_compare(parent, connection)
    wanted = ranges.differing(was, live, connection, hashed=True) if hashed else range(total)
    if not wanted:
        yield from was.chunks
        return
    some = None if len(wanted) == total else wanted
    with closing(connection.pieces(live, ranges.borders(was), some, hashed=True)) as pieces:
        read = ranges.by_range(pieces, wanted)
        following = next(read, None)
        for number, chunk in enumerate(was.chunks):
            if following is not None and following[0] == number:
                own = following[1]
                # What the digests tell apart is not the same; the rows need not be compared once more.
                if hashed:
                    yield from _cut(watch(was.label, number, own) if watch else own)
                else:
                    yield from _as_it_is(chunk, own)
                following = next(read, None)
            else:
                yield chunk


def _as_it_is(chunk: Chunk, pieces: Iterator[Piece]) -> Iterator[Chunk | RawChunk]:
    """One range: its chunk, if the rows make it up byte for byte."""
    held = ranges.held(chunk, pieces)
    if ranges.is_chunk(chunk, held):
        yield chunk
    else:
        yield from _cut(chain(held, pieces))


def _cut(pieces: Iterable[Piece]) -> Iterator[RawChunk]:
    """Chunks of the usual size; never cut between equal keys."""
    held: list[Piece] = []
    rows = size = 0
    for piece in pieces:
        full = rows + piece.rows > CHUNK_ROWS or size + len(piece.body) > CHUNK_BYTES
        if held and full and piece.first != held[-1].last:
            yield _chunk(held)
            held, rows, size = [], 0, 0
        held.append(piece)
        rows, size = rows + piece.rows, size + len(piece.body)
    if held:
        yield _chunk(held)


def _chunk(pieces: Sequence[Piece]) -> RawChunk:
    digests = [piece.digest for piece in pieces if piece.digest is not None]
    return RawChunk(
        body=ranges.joined(piece.body for piece in pieces),
        rows=sum(piece.rows for piece in pieces),
        last=pieces[-1].last,
        digest=sum(digests) if digests else None,
    )
