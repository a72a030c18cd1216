"""Rows out of SQLite: as the driver gives them, which is by storage class, so nothing is lost on the way."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from ... import values
from ...errors import NotExact
from ..base import CHUNK_BYTES, CHUNK_ROWS, LiveTable, RawChunk
from .catalog import quote

PROBE = 32  # rows read before the first chunk is sized

Row = tuple[Any, ...]


def select_statement(table: LiveTable) -> str:
    columns = ", ".join(quote(name) for name in table.names)
    order = ", ".join(quote(name) for name in table.key)
    return f"SELECT {columns} FROM {table.sql} ORDER BY {order}"


def read_chunks(session: sqlite3.Connection, table: LiveTable) -> Iterator[RawChunk]:
    keys = [table.names.index(name) for name in table.key]
    cursor = session.cursor()
    try:
        cursor.execute(select_statement(table))
        rows: list[Row] = cursor.fetchmany(PROBE)
        size = _rows_that_fit(len(rows), len(_encode(rows, table)))
        while rows or (rows := cursor.fetchmany(size)):
            rows += cursor.fetchmany(size + 1 - len(rows))
            cut = _end_of_chunk(rows, size, keys, cursor)
            chunk, rows = rows[:cut], rows[cut:]
            body = _encode(chunk, table)
            size = _rows_that_fit(len(chunk), len(body))
            last = values.encode_key([chunk[-1][index] for index in keys])
            yield RawChunk(body=body, rows=len(chunk), last=last, digest=None)
    except sqlite3.OperationalError as error:
        if "decode" not in str(error).lower():
            raise
        raise NotExact(_undecodable(session, table)) from error
    finally:
        cursor.close()


def _end_of_chunk(rows: list[Row], size: int, keys: list[int], cursor: sqlite3.Cursor) -> int:
    """Where to cut: after ``size`` rows, but never between equal keys."""
    cut = min(size, len(rows))
    while cut < len(rows) and all(rows[cut][index] == rows[cut - 1][index] for index in keys):
        cut += 1
        if cut == len(rows):
            rows += cursor.fetchmany(CHUNK_ROWS)
    return cut


def _rows_that_fit(rows: int, size: int) -> int:
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES * rows // max(size, 1)))


def _encode(rows: list[Row], table: LiveTable) -> bytes:
    if rows and table.extra.may_hold_reals:
        for name, column in zip(table.names, zip(*rows, strict=True), strict=True):
            if name in table.extra.may_hold_reals and float in set(map(type, column)) and _has_infinity(column):
                return values.encode_rows([[values.tag_real(value) for value in row] for row in rows])
    return values.encode_rows(rows)


def _has_infinity(column: tuple[Any, ...]) -> bool:
    return math.inf in column or -math.inf in column


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
                    key = [found[table.names.index(part)] for part in table.key]
                    return _(
                        "%(table)s, column %(column)s, key %(key)s: the text is not valid UTF-8 and can't be carried"
                        " exactly. Correct that row, or exclude the model (BACKUP_EXCLUDE)."
                    ) % {"table": table.sql, "column": name, "key": ", ".join(map(str, key))}
    finally:
        session.text_factory = str
    return _("%(table)s holds text that is not valid UTF-8.") % {"table": table.sql}


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
