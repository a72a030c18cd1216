"""Single keys in PostgreSQL: what a column makes of one, which others sort before it, which rows have it."""

from __future__ import annotations

from ..base import LiveTable
from .catalog import quote
from .statements import from_clause

KEY, OTHERS = "backup_center_key", "backup_center_others"  # temporary tables, typed and collated like the key's columns


def stored_key(table: LiveTable) -> str:
    """``KEY`` is filled already."""
    return f"SELECT {_columns(table)} FROM pg_temp.{KEY}"


def compared(table: LiveTable) -> str:
    """``KEY`` and ``OTHERS`` are filled already. By rank: it knows where NULLs go, and which texts are equal."""
    columns = _columns(table)
    return f"""
        WITH ranked AS (
            SELECT sought, place, rank() OVER (ORDER BY {columns}) AS rank
            FROM (SELECT {columns}, false AS sought, ctid AS place FROM pg_temp.{OTHERS}
                  UNION ALL SELECT {columns}, true, ctid FROM pg_temp.{KEY}) s)
        SELECT sign(rank - (SELECT rank FROM ranked WHERE sought))::int FROM ranked WHERE NOT sought ORDER BY place
    """


def rows_with_key(table: LiveTable) -> str:
    """``KEY`` is filled already. Column by column, which finds them by their index."""
    same = " AND ".join(f"{quote(name)} = (SELECT c{index} FROM pg_temp.{KEY})" for index, name in enumerate(table.key))
    return f"SELECT {', '.join(map(quote, table.names))} FROM {from_clause(table)} WHERE {same}"


def _columns(table: LiveTable) -> str:
    return ", ".join(f"c{index}" for index in range(len(table.key)))
