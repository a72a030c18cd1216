"""What PostgreSQL is asked for rows: every statement that reads a table, its ranges or its digests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import psycopg
from psycopg import sql

from ..base import KeyRange, LiveTable
from .catalog import Relation, quote

DIGEST = "backup_center_digest"
DIGEST_VERSION = 2  # of what row_digest computes; 1 had no second hash
BORDERS = "backup_center_borders"  # a temporary table: the last key of each range but the last
BESIDE = "backup_center_beside"  # a temporary table: a backup's rows
BORDER, RANGE = "backup_center_border", "backup_center_range"


def copy_statement(table: LiveTable) -> str:
    """The row's digest and everything else, in key order."""
    columns = ", ".join(quote(name) for name in table.names)
    order = ", ".join(quote(name) for name in table.key)
    rows = f"SELECT {row_digest(table)} AS {DIGEST}, {columns} FROM {from_clause(table)} ORDER BY {order}"
    return f"COPY ({rows}) TO STDOUT (FORMAT csv, FORCE_QUOTE ({columns}), ESCAPE '\\', NULL 'null')"


def pieces_statements(table: LiveTable, wanted: Collection[int] | None, last: int, *, hashed: bool) -> list[str]:
    """The number of the row's range, its digest where ``hashed``, and everything else, in key order.

    ``last``: the number of the last. Some ranges of a table with an index on its key are looked up; otherwise all of
    its rows are numbered.
    """
    names = [quote(name) for name in table.names]
    if wanted is not None and table.keyed:
        order = ", ".join(quote(name) for name in table.key)
        columns = [f"{row_digest(table)} AS {DIGEST}", *names] if hashed else names
        return [_pieces(table, query) for query in _looked_up(table, wanted, last, columns, order)]
    chosen = f"NOT {BORDER}"
    if wanted is not None:
        chosen += f" AND {RANGE} = ANY ({_array(wanted)})"
    listed = ", ".join([DIGEST, *names] if hashed else names)
    rows = _numbered(table, [*names, f"{row_digest(table)} AS {DIGEST}"] if hashed else names)
    return [_pieces(table, f"SELECT {RANGE}, {listed} FROM ({rows}) r WHERE {chosen} ORDER BY {_order(table)}")]


def _pieces(table: LiveTable, query: str) -> str:
    listed = ", ".join(quote(name) for name in table.names)
    return f"COPY ({query}) TO STDOUT (FORMAT csv, FORCE_QUOTE ({listed}), ESCAPE '\\', NULL 'null')"


def _looked_up(
    table: LiveTable, wanted: Collection[int], last: int, names: Iterable[str], order: str = ""
) -> Iterator[str]:
    """The first range, those between two borders, the last: each reads just its rows.

    Those between are ordered where they are joined: then only the rows of one range at a time are sorted.
    """
    columns = ", ".join(names)
    ordered = f" ORDER BY {order}" if order else ""
    key = f"({', '.join(quote(name) for name in table.key)})"
    ends = [f"c{index}" for index in range(len(table.key))]
    listed = ", ".join(ends)
    numbered = f"SELECT *, row_number() OVER (ORDER BY {listed}) - 1 AS n FROM pg_temp.{BORDERS}"
    below, above = (f"({', '.join(f'{side}.{end}' for end in ends)})" for side in ("b", "a"))
    if 0 in wanted:
        first = f"{key} <= (SELECT {listed} FROM pg_temp.{BORDERS} ORDER BY {listed} LIMIT 1)" if last else "true"
        yield f"SELECT 0, {columns} FROM {from_clause(table)} WHERE {first}{ordered}"
    if between := [number for number in wanted if 0 < number < last]:
        yield (
            f"WITH n AS MATERIALIZED ({numbered}) SELECT a.n, r.* FROM n b JOIN n a ON a.n = b.n + 1,"
            f" LATERAL (SELECT {columns} FROM {from_clause(table)} WHERE {key} > {below} AND {key} <= {above}) r"
            f" WHERE a.n = ANY ({_array(between)}){ordered.replace('BY ', 'BY a.n, ', 1)}"
        )
    if last and last in wanted:
        descending = ", ".join(f"{end} DESC" for end in ends)
        border = f"(SELECT {listed} FROM pg_temp.{BORDERS} ORDER BY {descending} LIMIT 1)"
        yield f"SELECT {last}, {columns} FROM {from_clause(table)} WHERE {key} > {border}{ordered}"


def _array(numbers: Collection[int]) -> str:
    return f"'{{{','.join(map(str, numbers))}}}'::int8[]"


def range_digests(table: LiveTable, wanted: Collection[int] | None, last: int) -> list[str]:
    """Per range its number, how many rows, and the sum of their digests; the ranges as in ``pieces_statements``."""
    digest = f"{row_digest(table)} AS {DIGEST}"
    if wanted is not None and table.keyed:
        return [_summed(f"({query}) r ({RANGE}, {DIGEST})") for query in _looked_up(table, wanted, last, [digest])]
    numbered = _numbered(table, [*(quote(name) for name in table.key), digest])
    return [_summed(f"({numbered}) r WHERE NOT {BORDER}")]


def all_range_digests(table: LiveTable, borders: str | None) -> str:
    """The same for all ranges of a table whose borders are ``borders``; several of the server's processes share it.

    They can't where the borders are in a temporary table. OFFSET keeps the planner from taking the number of a range
    for as good as the key: it would expect as many ranges as rows, and sort them. Not any 0 will do: where the planner
    decides whether this may run in several processes, it only sees through a literal of the very type.
    """
    number = _number(table, "NULL::int8[]" if borders is None else f"'{borders}'::int8[]")
    rows = f"SELECT {row_digest(table)} AS {DIGEST}, {number} AS {RANGE} FROM {from_clause(table)} OFFSET '0'"
    return _summed(f"({rows}) r")


def _summed(rows: str) -> str:
    return f"SELECT {RANGE}, count(*), sum({DIGEST})::text FROM {rows} GROUP BY {RANGE}"


def _numbered(table: LiveTable, columns: list[str]) -> str:
    """Rows, and perhaps borders, each with the number of its range."""
    return _counted(table, columns) if has_whole_numbers_for_keys(table) else _merged(table, columns)


def has_whole_numbers_for_keys(table: LiveTable) -> bool:
    keys = [column for column in table.columns if column.name in table.key]
    return len(keys) == 1 and keys[0].type in {"smallint", "integer", "bigint"} and not keys[0].null


def border_array() -> str:
    """One more than each border: a row with a border's key belongs before it."""
    return f"SELECT array_agg(c0::int8 + 1 ORDER BY c0) FROM pg_temp.{BORDERS}"


def _number(table: LiveTable, borders: str) -> str:
    """How many borders lie below a whole number is found without any order: nothing is merged, nothing sorted."""
    [key] = map(quote, table.key)
    return f"coalesce(width_bucket({key}::int8, {borders}), 0)::int8"


def _counted(table: LiveTable, columns: list[str]) -> str:
    number = _number(table, f"({border_array()})")
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
