"""Rows out of PostgreSQL: COPY's text, turned into JSON without ever becoming Python values.

Under the engine's session settings COPY prints every value exactly, so each value is a JSON string of PostgreSQL's own
text (or null). COPY's escapes (``\\\\`` ``\\n`` ``\\t`` ``\\r`` ``\\b`` ``\\f``) are JSON's too; only quotes, ``\\v``
and other control characters differ. That turns the translation into a few replacements over a whole chunk, and a backup
runs at the speed of COPY itself.
"""

from __future__ import annotations

import re
import select
from collections.abc import Iterator

import orjson
import psycopg
from psycopg import pq

from ..base import CHUNK_BYTES, CHUNK_ROWS, LiveTable, RawChunk
from .catalog import Relation, quote

# Control characters that COPY leaves bare and JSON forbids (tab and newline are COPY's own separators).
BARE_CONTROL = bytes(code for code in range(32) if code not in (9, 10))
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def copy_statement(table: LiveTable) -> str:
    """Everything in key order; the row's digest as a last column."""
    columns = ", ".join(quote(name) for name in table.names)
    order = ", ".join(quote(name) for name in table.key)
    return f"COPY (SELECT {columns}, {row_digest(table)} FROM {from_clause(table)} ORDER BY {order}) TO STDOUT"


def row_digest(table: LiveTable) -> str:
    relation: Relation = table.extra
    return f"hash_record_extended(ROW({', '.join(relation.digested[name] for name in table.names)}), 0)"


def from_clause(table: LiveTable) -> str:
    """A partitioned table means its partitions; a plain one never means the tables that inherit from it."""
    relation: Relation = table.extra
    return table.sql if relation.kind == "p" else f"ONLY {table.sql}"


def read_chunks(connection: psycopg.Connection, table: LiveTable) -> Iterator[RawChunk]:
    keys = [table.names.index(name) for name in table.key]
    lines: list[bytes] = []
    size = digest = 0
    for row in copied_rows(connection, copy_statement(table)):
        cut = row.rindex(b"\t")
        line = row[:cut]
        # Never cut between equal keys: a "primary key" that a model only claims may repeat.
        if (len(lines) >= CHUNK_ROWS or size >= CHUNK_BYTES) and _key(line, keys) != _key(lines[-1], keys):
            yield _chunk(lines, keys, digest)
            lines, size, digest = [], 0, 0
        lines.append(line)
        size += cut
        digest += int(row[cut + 1 :])
    if lines:
        yield _chunk(lines, keys, digest)


def copied_rows(connection: psycopg.Connection, statement: str) -> Iterator[bytes]:
    """COPY's lines, straight from libpq: one Python call a row, one row in memory."""
    session = connection.pgconn
    session.send_query(statement.encode())
    session.flush()
    result = session.get_result()
    if result is None or result.status != pq.ExecStatus.COPY_OUT:
        _raise(connection, result)
    finished = False
    try:
        while True:
            length, data = session.get_copy_data(1)
            if length > 0:
                yield bytes(data)
            elif length == 0:
                select.select([session.socket], [], [])
                session.consume_input()
            else:
                break
        finished = True
    finally:
        if not finished:
            session.get_cancel().cancel()
            while session.get_copy_data(0)[0] > 0:
                pass
        error = None
        while (result := session.get_result()) is not None:
            error = result if result.status == pq.ExecStatus.FATAL_ERROR else error
        if finished and error is not None:
            _raise(connection, error)


def to_json(lines: list[bytes]) -> bytes:
    """COPY's lines (without their newlines) as a JSON array of arrays of strings and nulls."""
    text = b"\n".join(lines)
    if b"\\v" in text or len(text.translate(None, BARE_CONTROL)) != len(text):
        return orjson.dumps([[unescape(value) for value in line.split(b"\t")] for line in lines])
    text = text.replace(b'"', b'\\"').replace(b"\t", b'","').replace(b"\n", b'"],["')
    # A bare \N is COPY's NULL; inside a value a backslash is always doubled or part of another escape.
    return b"".join((b'[["', text, b'"]]')).replace(b'"\\N"', b"null")


def unescape(value: bytes) -> str | None:
    """One COPY field as the text that it stands for; ``None`` for NULL."""
    if value == b"\\N":
        return None
    return ESCAPE.sub(lambda match: ESCAPED.get(match[1], match[1]), value.decode())


def _key(line: bytes, keys: list[int]) -> list[bytes]:
    fields = line.split(b"\t")
    return [fields[index] for index in keys]


def _chunk(lines: list[bytes], keys: list[int], digest: int) -> RawChunk:
    last = [unescape(value) for value in _key(lines[-1], keys)]
    return RawChunk(body=to_json(lines), rows=len(lines), last=last, digest=digest)


def _raise(connection: psycopg.Connection, result: pq.abc.PGresult | None) -> None:
    if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result, encoding=connection.info.encoding)
    raise psycopg.OperationalError("COPY did not start")
