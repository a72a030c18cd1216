"""Rows into SQLite: triggers (and, for large tables, secondary indexes) are dropped first and created again after."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain
from typing import Any

import orjson
from django.utils.translation import gettext as _

from ... import values
from ..base import ForeignKey, LiveTable, Load, Staged, is_large
from . import catalog, reading

TAG = b'{"$'  # inside a JSON string the quote would be escaped, so this is a tagged value

# One statement for many rows takes two thirds of the time, and leaves the interpreter to the unpacking thread.
ROWS_AT_ONCE = 50

# SQLite sorts an index in pieces of its cache's size: those that fit the processor's cache take half the time.
SORT_KIB = 2048


def notes(loads: Sequence[Load]) -> list[str]:
    found = [_("Nothing else can write to this database until the restore is done.")]
    if any(load.empties and is_large(load.rows) for load in loads):
        found.append(_("Indexes of large tables are dropped and built again."))
    return found


@contextmanager
def replacing(session: sqlite3.Connection, loads: Sequence[Load]) -> Iterator[None]:
    taken_down = [definition for load in loads for definition in _take_down(session, load)]
    for load in loads:
        if load.staged is not None:
            _take_away(session, load.table, load.staged)
        elif load.empties:
            session.execute(f"DELETE FROM {load.table.sql}")
    for load in loads:
        _insert(session, load)
    yield
    with _cache_of(session, SORT_KIB):
        for definition in taken_down:
            session.execute(definition)


@contextmanager
def _cache_of(session: sqlite3.Connection, kib: int) -> Iterator[None]:
    [(before,)] = session.execute("PRAGMA cache_size")
    session.execute(f"PRAGMA cache_size = -{kib}")
    yield
    session.execute(f"PRAGMA cache_size = {before}")


def _take_down(session: sqlite3.Connection, load: Load) -> list[str]:
    """Drop what would fire or slow the load down; returns the statements that bring it back, indexes first."""
    large = load.empties and is_large(load.rows)
    indexes = catalog.rebuildable_indexes(session, load.table) if large else []
    triggers = catalog.triggers(session, load.table)
    statistics = [statement for name, _sql in indexes for statement in catalog.statistics(session, name)]
    for name, _sql in indexes:
        session.execute(f"DROP INDEX {catalog.quote(name)}")
    for name, _sql in triggers:
        session.execute(f"DROP TRIGGER {catalog.quote(name)}")
    return [*(sql for _name, sql in (*indexes, *triggers)), *statistics]


def _take_away(session: sqlite3.Connection, table: LiveTable, staged: Staged) -> None:
    key = [catalog.quote(name) for name in table.key]
    gone = ", ".join(f"c{index}" for index in range(len(key)))
    session.execute(f"DELETE FROM {table.sql} WHERE ({', '.join(key)}) IN (SELECT {gone} FROM temp.{staged.gone})")
    for emptied in staged.emptied:
        where, params = reading.within(table, emptied)
        session.execute(f"DELETE FROM {table.sql} WHERE {where}", params)


def _insert(session: sqlite3.Connection, load: Load) -> None:
    if load.staged is not None:
        names = load.table.names
        come = ", ".join(f"c{index}" for index in range(len(names)))
        into = f"{load.table.sql} ({', '.join(map(catalog.quote, names))})"
        session.execute(f"INSERT INTO {into} SELECT {come} FROM temp.{load.staged.come} ORDER BY rowid")
        return
    most = session.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(load.table.names)
    at_once = 1 if load.add else max(1, min(ROWS_AT_ONCE, most))
    statement = cache(partial(_insert_statement, load))
    for rows in _chunks_of_rows(load):
        for start in range(0, len(rows), at_once):
            batch = rows[start : start + at_once]
            session.execute(statement(len(batch)), list(chain.from_iterable(batch)))


def _insert_statement(load: Load, rows: int) -> str:
    names = load.table.names
    statement = f"INSERT INTO {load.table.sql} ({', '.join(map(catalog.quote, names))}) "
    if not load.add:
        marks = f"({', '.join('?' * len(names))})"
        return f"{statement}VALUES {', '.join([marks] * rows)}"
    marks = ", ".join(f"?{index + 1}" for index in range(len(names)))
    same_key = " AND ".join(f"{catalog.quote(name)} IS ?{names.index(name) + 1}" for name in load.table.key)
    return f"{statement}SELECT {marks} WHERE NOT EXISTS (SELECT 1 FROM {load.table.sql} WHERE {same_key})"


def _chunks_of_rows(load: Load) -> Iterator[list[list[Any]]]:
    maps = [(load.table.names.index(column), mapping) for column, mapping in load.maps.items()]
    for body in load.bodies:
        rows = orjson.loads(body)
        if TAG in body:
            rows = [[values.decode(value) for value in row] for row in rows]
        for index, mapping in maps:
            for row in rows:
                row[index] = mapping[row[index]]
        yield rows


def dangling(session: sqlite3.Connection, keys: Sequence[ForeignKey]) -> set[tuple[str, str, str]]:
    """References that point to nothing: child table, what it refers to, parent table.

    Not by ``PRAGMA foreign_key_check``, which names rows by numbers that a restore may change, or not at all.
    """
    return {
        (key.child, ", ".join(map(str, row)), key.parent) for key in keys for row in _pointing_nowhere(session, key)
    }


def _pointing_nowhere(session: sqlite3.Connection, key: ForeignKey) -> list[tuple[Any, ...]]:
    """Each value is looked up once, since many rows refer to few; values are told apart as bytes, whatever the column's
    own collation makes of them, since it is the parent's that decides.
    """
    columns = [f"c{index}" for index in range(len(key.columns))]
    named = zip(key.columns, columns, strict=True)
    once = ", ".join(f"{catalog.quote(name)} COLLATE BINARY AS {column}" for name, column in named)
    filled = " AND ".join(f"c.{column} IS NOT NULL" for column in columns)
    pairs = zip(key.parent_columns, columns, strict=True)
    same = " AND ".join(f"p.{catalog.quote(name)} = c.{column}" for name, column in pairs)
    return session.execute(
        f"SELECT {', '.join(columns)} FROM (SELECT DISTINCT {once} FROM {key.child}) c"
        f" WHERE {filled} AND NOT EXISTS (SELECT 1 FROM {key.parent} p WHERE {same})"
    ).fetchall()


def raise_generator(session: sqlite3.Connection, table: LiveTable, at_least: int | None) -> None:
    if not catalog.is_autoincrement(session, table):
        return
    live = catalog.generator(session, table)
    [(highest,)] = session.execute(f"SELECT max(rowid) FROM {table.sql}")
    floor = max((value for value in (live, at_least, highest) if value is not None), default=None)
    if floor is None:
        return
    name = table.extra.name
    if live is None:
        session.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [name, floor])
    else:
        session.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", [floor, name])
