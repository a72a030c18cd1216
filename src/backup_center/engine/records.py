"""One record in one backup: its chunk is found by the borders of the key ranges, so that no other is read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import orjson

from . import ranges
from .contents import chunk_rows
from .dialects.base import Connection, LiveTable
from .manifest import Manifest, Table
from .sources import Source

WHOLE_NUMBERS = {"smallint", "integer", "bigint"}
NULL, NUMBER, OTHER, OPEN = range(4)  # how SQLite sorts its storage classes; the last range is open above

Key = Sequence[Any]
Row = list[Any]


class Seeker:
    """Looks for one key of one table, in one manifest after another.

    ``key`` as it stands in chunks (``Connection.stored_key``), or as text for a table that is gone: then ``live`` is
    ``None``. Of what it saw it keeps what it found: a chunk that several backups share is read once.
    """

    def __init__(self, key: Key, live: LiveTable | None, connection: Connection) -> None:
        self._key, self._live, self._connection = key, live, connection
        self._found: dict[tuple[str, int, str], list[Row]] = {}
        self._signs: dict[bytes, int] = {}

    def rows(self, table: Table, manifest: Manifest, source: Source) -> list[Row]:
        """Its rows there: one or none, but for keys that a model only claims."""
        return [row for _number, row in self.places(table, manifest, source)]

    def places(self, table: Table, manifest: Manifest, source: Source) -> list[tuple[int, Row]]:
        """The same, each with the number of its chunk."""
        found = []
        for number in self._ranges(table, manifest):
            chunk = table.chunks[number]
            place = (chunk.archive, chunk.offset, chunk.sha256)
            if place not in self._found:
                rows = chunk_rows(table, number, source)
                matching = self._matching(rows, table, manifest)
                self._found[place] = [row for row, is_it in zip(rows, matching, strict=True) if is_it]
            found += [(number, row) for row in self._found[place]]
        return found

    def position(self, table: Table, manifest: Manifest, source: Source) -> int | None:
        """How many rows of the table come before its first one; ``None`` if it is not there."""
        for number in self._ranges(table, manifest):
            matching = self._matching(chunk_rows(table, number, source), table, manifest)
            if True in matching:
                return sum(chunk.rows for chunk in table.chunks[:number]) + matching.index(True)
        return None

    def _ranges(self, table: Table, manifest: Manifest) -> Sequence[int]:
        """The one that holds the key; all of them, where the database doesn't sort as it did."""
        number = as_number(self._key, table, manifest)
        if number is not None:
            return [bisect_left(table.chunks, (NUMBER, number), key=lambda chunk: _rank(chunk.upto, table, manifest))]
        if self._live is not None and sorted_alike(table, self._live, manifest, self._connection):
            return [sum(sign < 0 for sign in self._compared(list(ranges.borders(table))))]
        return range(len(table.chunks))

    def _matching(self, rows: list[Row], table: Table, manifest: Manifest) -> list[bool]:
        positions = [table.names.index(name) for name in table.key]
        keys = [[row[position] for position in positions] for row in rows]
        number = as_number(self._key, table, manifest)
        if number is not None:
            return [as_number(key, table, manifest) == number for key in keys]
        if self._live is not None and typed_alike(table, self._live, manifest, self._connection):
            return [sign == 0 for sign in self._connection.compared(self._live, self._key, keys)]
        sought = key_texts(self._key)
        return [key_texts(key) == sought for key in keys]

    def _compared(self, borders: list[list[Any]]) -> list[int]:
        """Borders mostly stay as they are from backup to backup: the database is asked about each once."""
        assert self._live is not None  # noqa: S101  # for the type checker
        named = {orjson.dumps(border): border for border in borders}
        new = {name: border for name, border in named.items() if name not in self._signs}
        if new:
            signs = self._connection.compared(self._live, self._key, new.values())
            self._signs.update(zip(new, signs, strict=True))
        return [self._signs[name] for name in named]


def as_number(key: Key, table: Table, manifest: Manifest) -> float | None:
    """A key that Python compares as the database does: a number in SQLite, a whole number in PostgreSQL."""
    if len(key) != 1:
        return None
    [value] = key
    if manifest.database["vendor"] == "sqlite":
        return value if isinstance(value, int | float) else None
    [column] = [column for column in table.columns if column.name == table.key[0]]
    if column.type not in WHOLE_NUMBERS or column.null:
        return None
    try:
        return int(value)
    except ValueError:  # text, for a table that is gone
        return None


def _rank(key: Key | None, table: Table, manifest: Manifest) -> tuple[int, float]:
    """Where a border is beside numbers. SQLite sorts them after NULL and before everything else."""
    if key is None:
        return (OPEN, 0)
    number = as_number(key, table, manifest)
    if number is not None:
        return (NUMBER, number)
    match key:
        case [None]:
            return (NULL, 0)
        case [{"$real": "-inf"}]:
            return (NUMBER, float("-inf"))
        case [{"$real": "inf"}]:
            return (NUMBER, float("inf"))
    return (OTHER, 0)


def typed_alike(table: Table, live: LiveTable, manifest: Manifest, connection: Connection) -> bool:
    """Whether the live key has the columns and types of the backup's."""
    return manifest.database["vendor"] == connection.vendor and _key_types(table) == _key_types(live)


def sorted_alike(table: Table, live: LiveTable, manifest: Manifest, connection: Connection) -> bool:
    return typed_alike(table, live, manifest, connection) and table.collations == live.collations


def _key_types(table: Table | LiveTable) -> list[tuple[str, str]]:
    types = {column.name: column.type for column in table.columns}
    return [(name, types.get(name, "")) for name in table.key]


def key_texts(key: Key) -> list[str]:
    """What people call a key, part by part: text as it is, a tagged value by what is in it."""
    return [_text(next(iter(part.values())) if isinstance(part, dict) else part) for part in key]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
