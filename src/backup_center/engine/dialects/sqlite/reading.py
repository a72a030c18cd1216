"""Rows out of SQLite: as the driver gives them, which is by storage class, so nothing is lost on the way."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import orjson
from django.utils.translation import gettext as _

from ... import values
from ...errors import NotExact
from ..base import CHUNK_BYTES, CHUNK_ROWS, KeyRange, LiveTable, Piece, RawChunk, key_range, runs
from .catalog import quote

STEP = 50  # rows fetched at once
BORDERS = "backup_center_borders"  # a temporary table: the last key of each range but the last
BESIDE = "backup_center_beside"  # a temporary table: a backup's rows
INFINITIES = frozenset({math.inf, -math.inf})

Row = tuple[Any, ...]


def select_statement(table: LiveTable) -> str:
    columns = ", ".join(quote(name) for name in table.names)
    order = ", ".join(quote(name) for name in table.key)
    return f"SELECT {columns} FROM {table.sql} ORDER BY {order}"


def read_chunks(session: sqlite3.Connection, table: LiveTable) -> Iterator[RawChunk]:
    """A few rows at a time, so that a chunk ends when it is large enough, however wide its rows turn out to be."""
    keys = [table.names.index(name) for name in table.key]
    cursor = session.cursor()
    try:
        cursor.execute(select_statement(table))
        rows: list[Row] = cursor.fetchmany(STEP)
        while rows:
            parts, count, size, last = [], 0, 0, rows[0]
            # Never cut between equal keys: a "primary key" that a model only claims may repeat.
            while rows and ((count < CHUNK_ROWS and size < CHUNK_BYTES) or _same_key(rows[0], last, keys)):
                part = encode(rows)[1:-1]
                parts.append(part)
                count, size, last = count + len(rows), size + len(part), rows[-1]
                rows = cursor.fetchmany(_step(len(rows), len(part)))
            body = b"[" + b",".join(parts) + b"]"
            yield RawChunk(body=body, rows=count, last=values.encode_key([last[index] for index in keys]), digest=None)
    except sqlite3.OperationalError as error:
        if "decode" not in str(error).lower():
            raise
        raise NotExact(_undecodable(session, table)) from error
    finally:
        cursor.close()


def read_pieces(
    session: sqlite3.Connection,
    table: LiveTable,
    borders: Iterable[Sequence[Any]],
    wanted: Collection[int] | None = None,
) -> Iterator[Piece]:
    """Of a table whose keys find their rows, what lies between the wanted ranges is not read."""
    if wanted is None:
        yield from _read_part(session, table, borders, KeyRange(after=None, upto=None), 0)
    elif table.keyed:
        ends = list(borders)
        for first, last in runs(wanted):
            yield from _read_part(session, table, ends[first:last], key_range(ends, first, last), first)
    else:
        chosen = frozenset(wanted)
        pieces = _read_part(session, table, borders, KeyRange(after=None, upto=None), 0)
        yield from (piece for piece in pieces if piece.range in chosen)


def _read_part(
    session: sqlite3.Connection, table: LiveTable, borders: Iterable[Sequence[Any]], part: KeyRange, number: int
) -> Iterator[Piece]:
    """Rows and borders in the table's own order: SQLite merges two sorted streams; the borders number the ranges."""
    stage(session, BORDERS, table.key, borders)
    cursor = session.cursor()
    keys = [table.names.index(name) for name in table.key]
    try:
        cursor.execute(*_pieces_statement(table, part))
        step = STEP
        while found := cursor.fetchmany(step):
            for is_border, own in groupby(found, itemgetter(-1)):
                rows = [row[:-1] for row in own]
                if is_border:
                    number += len(rows)
                else:
                    body = encode(rows)
                    first, last = (values.encode_key([row[index] for index in keys]) for row in (rows[0], rows[-1]))
                    yield Piece(range=number, body=body, rows=len(rows), first=first, last=last)
                    step = _step(len(rows), len(body))
    except sqlite3.OperationalError as error:
        if "decode" not in str(error).lower():
            raise
        raise NotExact(_undecodable(session, table)) from error
    finally:
        cursor.close()


def read_beside(
    session: sqlite3.Connection, table: LiveTable, beside: Iterable[Sequence[Any]]
) -> Iterator[tuple[list[list[Any]], list[list[Any]]]]:
    """As ``Connection.beside``."""
    stage(session, BESIDE, table.names, beside)
    columns = ", ".join(quote(name) for name in table.names)
    order = ", ".join(f"{table.names.index(name) + 1} COLLATE BINARY" for name in table.key)
    keys = [table.names.index(name) for name in table.key]
    statement = f"SELECT {columns}, 1 FROM {table.sql} UNION ALL SELECT *, 0 FROM temp.{BESIDE} ORDER BY {order}"
    with closing(session.execute(statement)) as cursor:
        rows: list[Row] = []
        while found := cursor.fetchmany(STEP):
            if rows and not _same_key(rows[-1], found[0], keys):
                yield _sides(rows)
                rows = []
            rows += found
        yield _sides(rows)


def _sides(rows: list[Row]) -> tuple[list[list[Any]], list[list[Any]]]:
    beside, live = ([row[:-1] for row in rows if row[-1] == side] for side in (0, 1))
    return orjson.loads(encode(beside)), orjson.loads(encode(live))


def stage(session: sqlite3.Connection, name: str, like: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """In columns without a type, which leave every value as it is."""
    columns = [f"c{index}" for index in range(len(like))]
    session.execute(f"DROP TABLE IF EXISTS temp.{name}")
    session.execute(f"CREATE TEMP TABLE {name} ({', '.join(columns)})")
    session.executemany(
        f"INSERT INTO temp.{name} VALUES ({', '.join('?' for _column in columns)})",
        ([values.decode(value) for value in row] for row in rows),
    )


def _pieces_statement(table: LiveTable, part: KeyRange) -> tuple[str, list[Any]]:
    """Sorted by position, which takes the table's own collations; rows come before a border with their key."""
    columns = ", ".join(quote(name) for name in table.names)
    keys = {name: f"c{index}" for index, name in enumerate(table.key)}
    border = ", ".join(keys.get(name, "NULL") for name in table.names)
    order = [table.names.index(name) + 1 for name in table.key] + [len(table.names) + 1]
    where, params = within(table, part)
    statement = (
        f"SELECT {columns}, 0 FROM {table.sql} WHERE {where}"
        f" UNION ALL SELECT {border}, 1 FROM temp.{BORDERS} ORDER BY {', '.join(map(str, order))}"
    )
    return statement, params


def within(table: LiveTable, part: KeyRange) -> tuple[str, list[Any]]:
    """The condition for a key range, and its parameters."""
    key = ", ".join(quote(name) for name in table.key)
    marks = ", ".join("?" for _name in table.key)
    parts = [f"({key}) {sign} ({marks})" for sign, end in ((">", part.after), ("<=", part.upto)) if end is not None]
    return " AND ".join(parts) or "true", [values.decode(value) for value in (*(part.after or ()), *(part.upto or ()))]


def _same_key(row: Row, other: Row, keys: list[int]) -> bool:
    return all(row[index] == other[index] for index in keys)


def _step(rows: int, size: int) -> int:
    """How many rows to fetch next, if they are as wide as those before."""
    return max(1, min(STEP, CHUNK_BYTES * rows // size))


def encode(rows: list[Row]) -> bytes:
    encoded = values.encode_rows(rows)
    if b"null" in encoded and not INFINITIES.isdisjoint(chain.from_iterable(rows)):  # orjson writes them as null
        return values.encode_rows([[values.tag_real(value) for value in row] for row in rows])
    return encoded


def _undecodable(session: sqlite3.Connection, table: LiveTable) -> str:
    """Which row holds text that is not UTF-8: found by reading the table again, text as bytes."""
    types = ", ".join(f"typeof({quote(name)})" for name in table.names)
    session.text_factory = bytes
    try:
        statement = select_statement(table).replace(" FROM ", f", {types} FROM ", 1)
        for row in session.execute(statement):
            found = row[: len(table.names)]
            for name, value, kind in zip(table.names, found, row[len(table.names) :], strict=True):
                if kind == b"text" and not _is_utf8(value):
                    key = (found[table.names.index(part)] for part in table.key)
                    return _(
                        "%(table)s, column %(column)s, key %(key)s: the text is not valid UTF-8 and can't be carried"
                        " exactly. Correct that row, or exclude the model (BACKUP_EXCLUDE)."
                    ) % {"table": table.sql, "column": name, "key": ", ".join(map(_readable, key))}
    finally:
        session.text_factory = str
    return _("%(table)s holds text that is not valid UTF-8.") % {"table": table.sql}


def _readable(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
