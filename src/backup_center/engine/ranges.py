"""The key ranges of a manifest's table, held against the live one: what comparing, borrowing and rewinding share."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

import orjson

from .chunks import Chunk
from .dialects.base import Connection, LiveTable, Piece
from .manifest import Table


def borders(table: Table) -> Iterator[list[Any]]:
    """The last keys of all ranges but the last."""
    return (chunk.upto for chunk in table.chunks if chunk.upto is not None)


def differing(table: Table, live: LiveTable, connection: Connection, *, hashed: bool) -> list[int]:
    """The numbers of the ranges whose live rows are not the chunks'.

    ``hashed``: by the database's digests, where they mean the same as they did; else every row is read, and compared.
    """
    return differing_among(range(len(table.chunks)), table, live, connection, hashed=hashed)


def differing_among(
    numbers: Collection[int], table: Table, live: LiveTable, connection: Connection, *, hashed: bool = False
) -> list[int]:
    """As ``differing``, of these ranges only."""
    wanted = None if len(numbers) == len(table.chunks) else numbers
    if hashed:
        found = connection.range_digests(live, borders(table), wanted)
        theirs = ((number, table.chunks[number]) for number in numbers)
        return [n for n, chunk in theirs if found.get(n, (0, 0)) != (chunk.rows, int(chunk.digest or 0))]
    with closing(connection.pieces(live, borders(table), wanted)) as pieces:
        read = by_range(pieces, numbers)
        return [number for number, own in read if not is_chunk(table.chunks[number], held(table.chunks[number], own))]


def by_range(pieces: Iterable[Piece], numbers: Collection[int]) -> Iterator[tuple[int, Iterator[Piece]]]:
    """Every range in its turn, with its pieces; without any, if none of its rows are left."""
    groups = groupby(pieces, attrgetter("range"))
    following = next(groups, None)
    for number in numbers:
        if following is not None and following[0] == number:
            yield number, following[1]
            following = next(groups, None)
        else:
            yield number, iter(())


def held(chunk: Chunk, pieces: Iterator[Piece]) -> list[Piece]:
    """The pieces of its range, or so many that they can't be the chunk: at most its rows and one more piece."""
    found: list[Piece] = []
    rows = 0
    for piece in pieces:
        found.append(piece)
        rows += piece.rows
        if rows > chunk.rows:
            break
    return found


def is_chunk(chunk: Chunk, pieces: Collection[Piece]) -> bool:
    """Whether these pieces make up the chunk, byte for byte."""
    rows = sum(piece.rows for piece in pieces)
    return rows == chunk.rows and sha256_of(piece.body for piece in pieces) == chunk.sha256


def unequal(body: bytes, rows: int, pieces: Iterator[Piece]) -> tuple[list[list[Any]], Iterator[list[Any]]]:
    """The rows of a chunk and the live ones of its range, without those that are written alike, place by place.

    Those are nearly all, where rows were only changed, and of them none is parsed.
    """
    ours = _texts(body, rows)
    kept: list[bytes] = []
    others: list[bytes] = []
    place = 0
    for piece in pieces:
        theirs = _texts(piece.body, piece.rows)
        for one, other in zip(ours[place:], theirs, strict=False):
            if one != other:
                kept.append(one)
                others.append(other)
        others += theirs[len(ours) - place :]
        place += len(theirs)
        if place >= len(ours):
            break
    live = chain.from_iterable(orjson.loads(piece.body) for piece in pieces)
    return _rows(kept + ours[place:]), chain(_rows(others), live)


def _texts(body: bytes, rows: int) -> list[bytes]:
    """What is written between the brackets of each row.

    PostgreSQL's rows end with a newline, which can't stand inside of a string: what looks like the end of one is one.
    """
    texts = body[2:-3].split(b"\n],[")
    if len(texts) == rows and body.endswith(b"\n]]"):
        return texts
    return [orjson.dumps(row)[1:-1] for row in orjson.loads(body)]


def _rows(texts: list[bytes]) -> list[list[Any]]:
    rows: list[list[Any]] = orjson.loads(b"[[" + b"],[".join(texts) + b"]]") if texts else []
    return rows


def sha256_of(bodies: Iterable[bytes]) -> str:
    """Of the chunk that these pieces make up."""
    return hashlib.sha256(joined(bodies)).hexdigest()


def joined(bodies: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(body[1:-1] for body in bodies) + b"]"
