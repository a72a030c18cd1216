"""The key ranges of a manifest's table, held against the live one: what both comparing and borrowing are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from .dialects.base import Connection, LiveTable, Piece
from .manifest import Table


def borders(table: Table) -> Iterator[list[Any]]:
    """The last keys of all ranges but the last."""
    return (chunk.upto for chunk in table.chunks if chunk.upto is not None)


def differing(table: Table, live: LiveTable, connection: Connection) -> Collection[int]:
    """The ranges that the database's digests show to differ. Only where digests mean the same as they did."""
    found = connection.range_digests(live, borders(table))
    theirs = [(chunk.rows, int(chunk.digest or 0)) for chunk in table.chunks]
    return [number for number, expected in enumerate(theirs) if found.get(number, (0, 0)) != expected]


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


def sha256_of(bodies: Iterable[bytes]) -> str:
    """Of the chunk that these pieces make up."""
    return hashlib.sha256(joined(bodies)).hexdigest()


def joined(bodies: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(body[1:-1] for body in bodies) + b"]"
