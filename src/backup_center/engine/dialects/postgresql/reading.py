"""Rows out of PostgreSQL: its own text, printed as JSON by COPY itself.

Under the engine's session settings COPY prints every value exactly, so each value is a JSON string of PostgreSQL's own
text (or null). COPY's CSV with every value quoted, backslash as the escape and ``null`` for NULL *is* the inside of a
JSON array, but for control characters, which are mended where there are any. So no value ever becomes a Python object,
and a backup runs at the speed of COPY.
"""

from __future__ import annotations

import re
import select
from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import orjson
import psycopg
from psycopg import pq

from ..base import CHUNK_BYTES, CHUNK_ROWS, LiveTable, Piece, RawChunk
from .statements import beside_statement, copy_statement, pieces_statements

CONTROL = bytes(range(32))  # CSV leaves them bare, JSON forbids them
CONTROL_IN_ROW = re.compile(rb"[\x00-\x1f](?!\Z)")  # the last one ends the row
COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def read_chunks(connection: psycopg.Connection, table: LiveTable) -> Iterator[RawChunk]:
    keys = _key_positions(table)
    with _copying(connection, copy_statement(table)) as session:
        for lines in _slices(session, keys):
            yield _chunk(lines, keys)


def read_beside(connection: psycopg.Connection, table: LiveTable) -> Iterator[tuple[list[list[Any]], list[list[Any]]]]:
    """``BESIDE`` is filled already."""
    with _copying(connection, beside_statement(table)) as session:
        for lines in _slices(session, _key_positions(table)):
            sides: tuple[list[bytes], list[bytes]] = [], []
            for line in lines:
                side, _comma, values = line.partition(b",")
                sides[int(side)].append(values)
            beside, live = (orjson.loads(to_json(side)) if side else [] for side in sides)
            yield beside, live


def _key_positions(table: LiveTable) -> list[int]:
    """In a line, whose first value is not the table's."""
    return [table.names.index(name) + 1 for name in table.key]


def _slices(session: pq.abc.PGconn, keys: list[int]) -> Iterator[list[bytes]]:
    """Never cut between equal keys: a "primary key" that a model only claims may repeat."""
    pending: list[bytes] = []
    for lines in _batches(session):
        cut = _end_of_chunk(pending, lines[0], keys)
        if cut:
            yield pending[:cut]
        pending = pending[cut:] + lines
    if pending:
        yield pending


def read_rows(connection: psycopg.Connection, query: str) -> list[list[Any]]:
    """A few rows, as in chunks."""
    with _copying(
        connection, f"COPY ({query}) TO STDOUT (FORMAT csv, FORCE_QUOTE *, ESCAPE '\\', NULL 'null')"
    ) as session:
        return [row for lines in _batches(session) for row in orjson.loads(to_json(lines))]


def read_pieces(
    connection: psycopg.Connection, table: LiveTable, wanted: Collection[int] | None, last: int, *, hashed: bool
) -> Iterator[Piece]:
    """``BORDERS`` is filled already."""
    keys = [table.names.index(name) for name in table.key]
    for statement in pieces_statements(table, wanted, last, hashed=hashed):
        with _copying(connection, statement) as session:
            for lines in _batches(session):
                for number, own in _by_range(lines):
                    parts = [line.split(b",", 2 if hashed else 1) for line in own]
                    values = [part[-1] for part in parts]
                    yield Piece(
                        range=number,
                        body=to_json(values),
                        rows=len(values),
                        first=_key(values[0], keys),
                        last=_key(values[-1], keys),
                        digest=sum([int(part[1]) for part in parts]) if hashed else None,
                    )


def _by_range(lines: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Lines that begin with the same number; the numbers never fall."""
    start = 0
    while start < len(lines):
        number = _range_of(lines[start])
        end = bisect_right(lines, number, lo=start, key=_range_of)
        yield number, lines[start:end]
        start = end


def _range_of(line: bytes) -> int:
    return int(line[: line.index(b",")])


def _end_of_chunk(lines: list[bytes], following: bytes, keys: list[int]) -> int:
    """How many lines end before the key of the line that follows them begins."""
    cut, key = len(lines), _key(following, keys)
    while cut and _key(lines[cut - 1], keys) == key:
        cut -= 1
    return cut


def _batches(session: pq.abc.PGconn) -> Iterator[list[bytes]]:
    """COPY's lines, as many as make up a chunk. Straight from libpq: one call a row, one chunk in memory."""
    lines: list[bytes] = []
    size = 0
    next_row = session.get_copy_data
    while True:
        length, data = next_row(1)
        if length > 0:
            lines.append(bytes(data))
            size += length
            if size >= CHUNK_BYTES or len(lines) >= CHUNK_ROWS:
                yield lines
                lines, size = [], 0
        elif length == 0:
            select.select([session.socket], [], [])
            session.consume_input()
        else:
            break
    if lines:
        yield lines


@contextmanager
def _copying(connection: psycopg.Connection, statement: str) -> Iterator[pq.abc.PGconn]:
    """A COPY under way; one that is left early is cancelled, so that the session stays usable."""
    session = connection.pgconn
    session.send_query(statement.encode())
    session.flush()
    result = session.get_result()
    if result is None or result.status != pq.ExecStatus.COPY_OUT:
        _raise(connection, result)
    try:
        yield session
    except BaseException:
        with suppress(psycopg.OperationalError):  # all lines have come already: there is nothing left to cancel
            if session.get_copy_data(1)[0] >= 0:
                session.get_cancel().cancel()
                while session.get_copy_data(0)[0] > 0:
                    pass
        _last_result(session)
        raise
    error = _last_result(session)
    if error is not None:
        _raise(connection, error)


def _last_result(session: pq.abc.PGconn) -> pq.abc.PGresult | None:
    """Read the session free; the error that it ended with, if it did."""
    error = None
    while (result := session.get_result()) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = result
    return error


def _chunk(lines: list[bytes], keys: list[int]) -> RawChunk:
    parts = [line.partition(b",") for line in lines]
    return RawChunk(
        body=to_json([values for _digest, _comma, values in parts]),
        rows=len(lines),
        last=_key(lines[-1], keys),
        digest=sum([int(digest) for digest, _comma, _values in parts]),
    )


def _key(line: bytes, keys: list[int]) -> list[Any]:
    values = orjson.loads(to_json([line]))[0]
    return [values[index] for index in keys]


def to_json(lines: list[bytes]) -> bytes:
    """COPY's lines, newlines and all, as a JSON array of arrays (where a newline is but white space)."""
    text = b"],[".join(lines)
    if len(text.translate(None, CONTROL)) + len(lines) != len(text):
        text = b"],[".join([CONTROL_IN_ROW.sub(_escape, line) for line in lines])
    return b"".join((b"[[", text, b"]]"))


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % match[0][0]


def to_copy(rows: list[list[str | None]], *, escaped: bool) -> str:
    """The way back. ``escaped``: their JSON had a backslash, so COPY's text may need some too."""
    if escaped:
        rows = [[value and value.translate(COPY_ESCAPES) for value in row] for row in rows]
    lines = ["\t".join(["\\N" if value is None else value for value in row]) for row in rows]
    return "\n".join(lines) + "\n"


def _raise(connection: psycopg.Connection, result: pq.abc.PGresult | None) -> None:
    if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result, encoding=connection.info.encoding)
    raise psycopg.OperationalError("COPY did not start")
