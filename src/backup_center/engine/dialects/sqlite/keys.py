"""Single keys in SQLite: what a column makes of one, which others sort before it, which rows have it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from ... import values
from ..base import LiveTable
from . import reading
from .catalog import quote

KEY, OTHERS = "backup_center_key", "backup_center_others"  # temporary tables
BELOW_OR_EQUAL, SOUGHT, BELOW = range(3)


def compared(
    session: sqlite3.Connection, table: LiveTable, key: Sequence[Any], others: Iterable[Sequence[Any]]
) -> list[int]:
    """Every other key is sorted twice, once to come before its equals and once to come after them.

    So nothing but ORDER BY is needed, which by position takes the table's own collations.
    """
    reading.stage(session, KEY, table.key, [key])
    reading.stage(session, OTHERS, table.key, others)
    columns = ", ".join(f"c{index}" for index in range(len(table.key)))
    order = ", ".join(str(index + 1) for index in range(len(table.key) + 1))
    found = session.execute(
        f"SELECT {', '.join(map(quote, table.key))}, 0, 0 FROM {table.sql} WHERE 0"
        f" UNION ALL SELECT {columns}, {BELOW_OR_EQUAL}, rowid FROM temp.{OTHERS}"
        f" UNION ALL SELECT {columns}, {SOUGHT}, 0 FROM temp.{KEY}"
        f" UNION ALL SELECT {columns}, {BELOW}, rowid FROM temp.{OTHERS} ORDER BY {order}"
    ).fetchall()
    signs: dict[int, int] = {}
    before = True
    for *_key, role, place in found:
        if role == SOUGHT:
            before = False
        else:
            signs[place] = signs.get(place, 1) - before
    return [signs[place] for place in sorted(signs)]


def rows_with_key(session: sqlite3.Connection, table: LiveTable, key: Sequence[Any]) -> list[list[Any]]:
    same = " AND ".join(f"{quote(name)} = ?" for name in table.key)
    columns = ", ".join(map(quote, table.names))
    rows = session.execute(f"SELECT {columns} FROM {table.sql} WHERE {same}", [values.decode(part) for part in key])
    found: list[list[Any]] = orjson.loads(reading.encode(rows.fetchall()))
    return found
