"""Rows out of PostgreSQL: its own text, printed as JSON by COPY itself.

Under the engine's session settings COPY prints every value exactly, so each value is a JSON string of PostgreSQL's own
text (or null). COPY's CSV with every value quoted, backslash as the escape and ``null`` for NULL *is* the inside of a
JSON array, but for control characters, which are mended where there are any. So no value ever becomes a Python object,
and a backup runs at the speed of COPY.
"""

from __future__ import annotations

import re
import select
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson
import psycopg
from psycopg import pq, sql

from ..base import CHUNK_BYTES, CHUNK_ROWS, KeyRange, LiveTable, Piece, RawChunk
from .catalog import Relation, quote

DIGEST = "backup_center_digest"
DIGEST_VERSION = 2  # of what row_digest computes; 1 had no second hash
BORDERS = "backup_center_borders"  # a temporary table: the last key of each range but the last
BESIDE = "backup_center_beside"  # a temporary table: a backup's rows
BORDER, RANGE = "backup_center_border", "backup_center_range"
CONTROL = bytes(range(32))  # CSV leaves them bare, JSON forbids them
CONTROL_IN_ROW = re.compile(rb"[\x00-\x1f](?!\Z)")  # the last one ends the row
COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def copy_statement(table: LiveTable) -> str:
    """The row's digest and everything else, in key order."""
    columns = ", ".join(quote(name) for name in table.names)
    order = ", ".join(quote(name) for name in table.key)
    rows = f"SELECT {row_digest(table)} AS {DIGEST}, {columns} FROM {from_clause(table)} ORDER BY {order}"
    return f"COPY ({rows}) TO STDOUT (FORMAT csv, FORCE_QUOTE ({columns}), ESCAPE '\\', NULL 'null')"


def pieces_statements(table: LiveTable, wanted: Collection[int] | None, last: int) -> list[str]:
    """The number of the row's range, its digest and everything else, in key order; ``last``: the number of the last.

    Some ranges of a table with an index on its key are looked up; otherwise all of its rows are numbered.
    """
    if wanted is not None and table.keyed:
        return [_pieces(table, query) for query in _looked_up(table, wanted, last)]
    chosen = f"NOT {BORDER}"
    if wanted is not None:
        chosen += f" AND {RANGE} = ANY ({_array(wanted)})"
    rows = _numbered(table, _with_digest(table))
    listed = ", ".join(quote(name) for name in table.names)
    return [
        _pieces(table, f"SELECT {RANGE}, {DIGEST}, {listed} FROM ({rows}) r WHERE {chosen} ORDER BY {_order(table)}")
    ]


def _pieces(table: LiveTable, query: str) -> str:
    listed = ", ".join(quote(name) for name in table.names)
    return f"COPY ({query}) TO STDOUT (FORMAT csv, FORCE_QUOTE ({listed}), ESCAPE '\\', NULL 'null')"


def _looked_up(table: LiveTable, wanted: Collection[int], last: int) -> Iterator[str]:
    """The first range, those between two borders, the last: each reads just its rows.

    Those between are ordered where they are joined: then only the rows of one range at a time are sorted.
    """
    columns = ", ".join([f"{row_digest(table)} AS {DIGEST}", *(quote(name) for name in table.names)])
    order = ", ".join(quote(name) for name in table.key)
    key = f"({', '.join(quote(name) for name in table.key)})"
    ends = [f"c{index}" for index in range(len(table.key))]
    listed = ", ".join(ends)
    numbered = f"SELECT *, row_number() OVER (ORDER BY {listed}) - 1 AS n FROM pg_temp.{BORDERS}"
    below, above = (f"({', '.join(f'{side}.{end}' for end in ends)})" for side in ("b", "a"))
    if 0 in wanted:
        first = f"{key} <= (SELECT {listed} FROM pg_temp.{BORDERS} ORDER BY {listed} LIMIT 1)" if last else "true"
        yield f"SELECT 0, {columns} FROM {from_clause(table)} WHERE {first} ORDER BY {order}"
    if between := [number for number in wanted if 0 < number < last]:
        yield (
            f"WITH n AS MATERIALIZED ({numbered}) SELECT a.n, r.* FROM n b JOIN n a ON a.n = b.n + 1,"
            f" LATERAL (SELECT {columns} FROM {from_clause(table)} WHERE {key} > {below} AND {key} <= {above}) r"
            f" WHERE a.n = ANY ({_array(between)}) ORDER BY a.n, {', '.join(f'r.{quote(name)}' for name in table.key)}"
        )
    if last and last in wanted:
        descending = ", ".join(f"{end} DESC" for end in ends)
        border = f"(SELECT {listed} FROM pg_temp.{BORDERS} ORDER BY {descending} LIMIT 1)"
        yield f"SELECT {last}, {columns} FROM {from_clause(table)} WHERE {key} > {border} ORDER BY {order}"


def _array(numbers: Collection[int]) -> str:
    return f"'{{{','.join(map(str, numbers))}}}'::int8[]"


def _with_digest(table: LiveTable) -> list[str]:
    return [*(quote(name) for name in table.names), f"{row_digest(table)} AS {DIGEST}"]


def range_digests(table: LiveTable) -> str:
    columns = [*(quote(name) for name in table.key), f"{row_digest(table)} AS {DIGEST}"]
    return (
        f"SELECT {RANGE}, count(*), sum({DIGEST})::text FROM ({_numbered(table, columns)}) r"
        f" WHERE NOT {BORDER} GROUP BY {RANGE}"
    )


def _numbered(table: LiveTable, columns: list[str]) -> str:
    """Rows, and perhaps borders, each with the number of its range."""
    return _counted(table, columns) if _has_whole_numbers_for_keys(table) else _merged(table, columns)


def _has_whole_numbers_for_keys(table: LiveTable) -> bool:
    keys = [column for column in table.columns if column.name in table.key]
    return len(keys) == 1 and keys[0].type in {"smallint", "integer", "bigint"} and not keys[0].null


def _counted(table: LiveTable, columns: list[str]) -> str:
    """How many borders lie below a whole number is found without any order: nothing is merged, nothing sorted."""
    [key] = map(quote, table.key)
    # One more than each border: a row with a border's key belongs before it.
    borders = f"(SELECT array_agg(c0::int8 + 1 ORDER BY c0) FROM pg_temp.{BORDERS})"
    number = f"coalesce(width_bucket({key}::int8, {borders}), 0)::int8"
    return f"SELECT {', '.join(columns)}, false AS {BORDER}, {number} AS {RANGE} FROM {from_clause(table)}"


def _merged(table: LiveTable, columns: list[str]) -> str:
    """Rows and borders in the database's own order, each with the number of borders before it: that of its range.

    Rows sort before a border with their key. Where the key has an index, two sorted streams are merged; nothing is
    sorted.
    """
    keys = {quote(name): f"c{index}" for index, name in enumerate(table.key)}
    borders = ", ".join(keys.get(column, "NULL") for column in columns)
    before = f"(ORDER BY {_order(table)} ROWS UNBOUNDED PRECEDING)"
    return (
        f"SELECT *, count(*) FILTER (WHERE {BORDER}) OVER {before} AS {RANGE}"
        f" FROM (SELECT {', '.join(columns)}, false AS {BORDER} FROM {from_clause(table)}"
        f" UNION ALL SELECT {borders}, true FROM pg_temp.{BORDERS}) s"
    )


def _order(table: LiveTable) -> str:
    return ", ".join([*(quote(name) for name in table.key), BORDER])


def beside_statement(table: LiveTable) -> str:
    """Live rows (1) and those beside them (0) in the order of their keys' bytes."""
    columns = [quote(name) for name in table.names]
    listed = ", ".join(columns)
    beside = ", ".join(f"c{index}" for index in range(len(columns)))
    order = ", ".join(f'{quote(name)}::text COLLATE "C"' for name in table.key)
    rows = (
        f"SELECT * FROM (SELECT 1 AS {RANGE}, {listed} FROM {from_clause(table)}"
        f" UNION ALL SELECT 0, {beside} FROM pg_temp.{BESIDE}) s ORDER BY {order}"
    )
    return f"COPY ({rows}) TO STDOUT (FORMAT csv, FORCE_QUOTE ({listed}), ESCAPE '\\', NULL 'null')"


def row_digest(table: LiveTable) -> str:
    """Hashed once more: a record's hash is a sum over its columns, and a sum of such sums would not change when two
    rows of a range swapped a value.
    """
    relation: Relation = table.extra
    row = f"ROW({', '.join(relation.digested[name] for name in table.names)})"
    return f"hashint8extended(hash_record_extended({row}, 0), 0)"


def within(connection: psycopg.Connection, table: LiveTable, part: KeyRange) -> str:
    """The condition for a key range; a range's ends are literals, so that names with a % stay what they are."""
    key = ", ".join(quote(name) for name in table.key)
    parts = [
        f"({key}) {sign} ({', '.join(sql.Literal(value).as_string(connection) for value in end)})"
        for sign, end in ((">", part.after), ("<=", part.upto))
        if end is not None
    ]
    return " AND ".join(parts) or "true"


def from_clause(table: LiveTable) -> str:
    relation: Relation = table.extra
    return named(table.sql, relation.kind)


def named(table: str, kind: str) -> str:
    """A partitioned table means its partitions; a plain one never means the tables that inherit from it."""
    return table if kind == "p" else f"ONLY {table}"


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
    connection: psycopg.Connection, table: LiveTable, wanted: Collection[int] | None, last: int
) -> Iterator[Piece]:
    """``BORDERS`` is filled already."""
    keys = [table.names.index(name) for name in table.key]
    for statement in pieces_statements(table, wanted, last):
        with _copying(connection, statement) as session:
            for lines in _batches(session):
                for number, own in groupby((line.partition(b",") for line in lines), itemgetter(0)):
                    rows = [rest.partition(b",") for _number, _comma, rest in own]
                    begin, end = (_key(row[2], keys) for row in (rows[0], rows[-1]))
                    yield Piece(
                        range=int(number),
                        body=to_json([values for _digest, _comma, values in rows]),
                        rows=len(rows),
                        first=begin,
                        last=end,
                        digest=sum([int(digest) for digest, _comma, _values in rows]),
                    )


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
    while True:
        length, data = session.get_copy_data(1)
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
