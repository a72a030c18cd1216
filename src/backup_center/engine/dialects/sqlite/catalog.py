"""What SQLite's schema says of our tables."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from ..base import Column, ForeignKey, LiveTable, TableSpec

NORMAL_COLUMN = 0  # PRAGMA table_xinfo's "hidden": 2 and 3 are generated columns, 1 is a virtual table's


@dataclass(frozen=True, slots=True)
class Stored:
    """A table's own facts: what ``LiveTable.extra`` keeps for SQLite."""

    name: str  # as the schema spells it


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def plain_tables(session: sqlite3.Connection) -> list[str]:
    return [
        name
        for name, kind, sql in _objects(session)
        if kind == "table" and not _is_virtual(sql) and not name.startswith("sqlite_")
    ]


def describe(session: sqlite3.Connection, specs: Sequence[TableSpec]) -> tuple[list[LiveTable], dict[str, str]]:
    objects = {name.lower(): (name, kind, sql) for name, kind, sql in _objects(session)}
    tables, missing = [], {}
    for spec in specs:
        name, kind, sql = objects.get(spec.table.strip('"').lower(), ("", "", ""))
        if not name:
            missing[spec.label] = _("the database has no such table")
        elif kind == "view":
            missing[spec.label] = _("it is a view")
        elif _is_virtual(sql):
            missing[spec.label] = _("it is a virtual table")
        else:
            tables.append(_table(session, spec, name))
    return tables, missing


def _table(session: sqlite3.Connection, spec: TableSpec, name: str) -> LiveTable:
    rows = [row for row in session.execute(f"PRAGMA table_xinfo({quote(name)})") if row[6] == NORMAL_COLUMN]
    columns = tuple(
        Column(name=row[1], type=row[2], field=spec.fields.get(row[1]), null=not row[3] and not row[5]) for row in rows
    )
    return LiveTable(
        label=spec.label, table=spec.table, sql=quote(name), columns=columns, key=spec.key, keyed=_is_keyed(rows, spec),
        collations=_collations(session, name), extra=Stored(name),
    )  # fmt: skip


def _is_keyed(rows: Sequence[Sequence[Any]], spec: TableSpec) -> bool:
    """Only of a rowid's alias is a primary key free of NULLs without saying so."""
    key = [row for row in rows if row[5]]
    is_rowid = len(key) == 1 and key[0][2].upper() == "INTEGER"
    return {row[1] for row in key} == set(spec.key) and (is_rowid or all(row[3] for row in key))


def _collations(session: sqlite3.Connection, table: str) -> dict[str, str]:
    """Of the primary key's columns, where they are not compared by their bytes."""
    indexes = [row[1] for row in session.execute(f"PRAGMA index_list({quote(table)})") if row[3] == "pk"]
    columns = [row for index in indexes for row in session.execute(f"PRAGMA index_xinfo({quote(index)})")]
    return {row[2]: row[4] for row in columns if row[5] and row[4] != "BINARY"}


def foreign_keys(session: sqlite3.Connection, tables: Sequence[LiveTable]) -> list[ForeignKey]:
    wanted = {table.sql for table in tables}
    plain = plain_tables(session)
    spelled = {name.lower(): name for name in plain}
    return [
        key for name in plain for key in _keys_of(session, name, spelled) if key.child in wanted or key.parent in wanted
    ]


def _keys_of(session: sqlite3.Connection, child: str, spelled: Mapping[str, str]) -> Iterator[ForeignKey]:
    """Names as the tables spell them: a key may write them in another case. One that refers to no key is none."""
    rows = session.execute(f"PRAGMA foreign_key_list({quote(child)})").fetchall()
    for number in sorted({row[0] for row in rows}):
        own = sorted((row for row in rows if row[0] == number), key=lambda row: row[1])
        parent = spelled.get(own[0][2].lower(), "")
        info = session.execute(f"PRAGMA table_info({quote(parent)})").fetchall()
        targets = [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]
        if own[0][4] is not None:  # a key without columns means the parent's primary key
            columns = {row[1].lower(): row[1] for row in info}
            targets = [columns[row[4].lower()] for row in own if row[4].lower() in columns]
        if len(targets) != len(own):
            continue
        yield ForeignKey(
            name=f"{child}.{','.join(row[3] for row in own)}",
            child=quote(child),
            columns=tuple(row[3] for row in own),
            parent=quote(parent),
            parent_columns=tuple(targets),
        )


def triggers(session: sqlite3.Connection, table: LiveTable) -> list[tuple[str, str]]:
    """Name and definition of each trigger on the table."""
    return _definitions(session, "trigger", table)


def rebuildable_indexes(session: sqlite3.Connection, table: LiveTable) -> list[tuple[str, str]]:
    """Name and definition of each index that holds no constraint."""
    unique = {row[1] for row in session.execute(f"PRAGMA index_list({table.sql})") if row[2]}
    return [(name, sql) for name, sql in _definitions(session, "index", table) if name not in unique]


def statistics(session: sqlite3.Connection, index: str) -> list[str]:
    """The statement that puts back what ANALYZE found out about an index, which goes when the index is dropped."""
    if not session.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
        return []
    rows = session.execute("SELECT quote(tbl), quote(idx), quote(stat) FROM sqlite_stat1 WHERE idx = ?", [index])
    return [f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ({', '.join(row)})" for row in rows]


def generator(session: sqlite3.Connection, table: LiveTable) -> int | None:
    """The highest key that AUTOINCREMENT handed out, if the table has one."""
    if "sqlite_sequence" not in {name for name, _kind, _sql in _objects(session)}:
        return None
    row = session.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table.extra.name]).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def is_autoincrement(session: sqlite3.Connection, table: LiveTable) -> bool:
    [(sql,)] = session.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", [table.extra.name])
    return re.search(r"\bAUTOINCREMENT\b", sql, re.IGNORECASE) is not None


def _definitions(session: sqlite3.Connection, kind: str, table: LiveTable) -> list[tuple[str, str]]:
    return session.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = ? AND lower(tbl_name) = lower(?) AND sql IS NOT NULL"
        " ORDER BY name",
        [kind, table.extra.name],
    ).fetchall()


def _objects(session: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return session.execute(
        "SELECT name, type, coalesce(sql, '') FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    ).fetchall()


def _is_virtual(sql: str) -> bool:
    return sql.upper().startswith("CREATE VIRTUAL")
