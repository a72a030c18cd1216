"""Rows into PostgreSQL: what must be taken down, the load, and what is put up again. All inside one transaction.

Small tables are emptied by DELETE, with their keys and indexes in place. Large ones that we own are emptied by TRUNCATE
and loaded without secondary indexes and foreign keys, which are built again after. A foreign key is also taken down if
PostgreSQL would not wait for the new rows: one that isn't deferrable, or that deletes or nulls the referring rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from ...errors import Refused
from ..base import ForeignKey, LiveTable, Load, Staged, is_large
from . import catalog, statements

if TYPE_CHECKING:
    from .connection import PostgresConnection

STAGED = "backup_center_add"
MODES = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


@dataclass(frozen=True, slots=True)
class Constraint:
    """A foreign key with what it takes to put it up again."""

    foreign_key: ForeignKey
    waits: bool  # it is checked at the end, and leaves referring rows alone
    definition: str
    comment: str | None
    child: int
    parent: int
    owned: bool


def constraints(connection: PostgresConnection, tables: Sequence[LiveTable]) -> list[Constraint]:
    oids = [table.extra.oid for table in tables]
    return [
        Constraint(
            ForeignKey(name=row[0], child=row[1], columns=tuple(row[2]), parent=row[3], parent_columns=tuple(row[4])),
            waits=row[5] and row[6] == "a",
            definition=row[7],
            comment=row[8],
            child=row[9],
            parent=row[10],
            owned=row[11],
        )
        for row in connection.query(catalog.FOREIGN_KEYS, [oids, oids])
    ]


def loaded_whole(load: Load) -> bool:
    relation: catalog.Relation = load.table.extra
    large = is_large(max(load.rows, relation.estimate))
    return large and relation.owned and relation.kind == "r" and load.empties


def taken_down(connection: PostgresConnection, loads: Sequence[Load]) -> list[Constraint]:
    """The foreign keys that can't stay while these loads run."""
    whole = {load.table.extra.oid for load in loads if loaded_whole(load)}
    found = [
        constraint
        for constraint in constraints(connection, [load.table for load in loads])
        if not constraint.waits or constraint.child in whole or constraint.parent in whole
    ]
    for constraint in found:
        if not constraint.owned:
            raise Refused(
                _("%(table)s belongs to another database user, and its foreign key %(key)s is in the way.")
                % {"table": constraint.foreign_key.child, "key": constraint.foreign_key.name}
            )
    return found


def notes(connection: PostgresConnection, loads: Sequence[Load]) -> list[str]:
    found = [
        _("%(table)s is emptied and loaded whole; readers wait until it is done.") % {"table": load.table.sql}
        for load in loads
        if loaded_whole(load)
    ]
    locked = {constraint.foreign_key.parent for constraint in taken_down(connection, loads)}
    locked -= {load.table.sql for load in loads}
    text = _("%(table)s is locked meanwhile, since a foreign key to it is rebuilt.")
    return found + [text % {"table": name} for name in sorted(locked)]


@contextmanager
def replacing(connection: PostgresConnection, loads: Sequence[Load]) -> Iterator[None]:
    """DDL before DML: PostgreSQL refuses ALTER TABLE while checks of changed rows are pending."""
    whole = [load for load in loads if loaded_whole(load)]
    keys = taken_down(connection, loads)
    touched = {name for key in keys for name in (key.foreign_key.child, key.foreign_key.parent)}
    connection.lock_fully(sorted(touched | {load.table.sql for load in whole}))
    triggers = _disable_triggers(connection, loads)
    for key in keys:
        connection.execute(f"ALTER TABLE {key.foreign_key.child} DROP CONSTRAINT {catalog.quote(key.foreign_key.name)}")
    indexes = [row for load in whole for row in _drop_indexes(connection, load.table)]
    connection.execute("SET CONSTRAINTS ALL DEFERRED")
    _empty(connection, loads, whole)
    for load in loads:
        _load(connection, load)
    yield
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table, row in indexes:
        _build_index(connection, table, row)
    for key in keys:
        _add_key(connection, key)
    for statement in triggers:
        connection.execute(statement)


def _empty(connection: PostgresConnection, loads: Sequence[Load], whole: Sequence[Load]) -> None:
    if whole:
        connection.execute("TRUNCATE " + ", ".join(f"ONLY {load.table.sql}" for load in whole))
    for load in loads:
        if load.staged is not None:
            _take_away(connection, load.table, load.staged)
        elif load not in whole and load.empties:
            connection.execute(f"DELETE FROM {statements.from_clause(load.table)}")


def _take_away(connection: PostgresConnection, table: LiveTable, staged: Staged) -> None:
    key = [catalog.quote(name) for name in table.key]
    same_key = " AND ".join(f"t.{name} = g.c{index}" for index, name in enumerate(key))
    connection.execute(f"ANALYZE pg_temp.{staged.gone}")
    connection.execute(f"DELETE FROM {statements.from_clause(table)} t USING pg_temp.{staged.gone} g WHERE {same_key}")
    for emptied in staged.emptied:
        where, params = connection.within(table, emptied)
        connection.execute(f"DELETE FROM {statements.from_clause(table)} WHERE {where}", params)


def _load(connection: PostgresConnection, load: Load) -> None:
    columns = ", ".join(catalog.quote(name) for name in load.table.names)
    if load.empties:
        connection.load_bodies(f"COPY {load.table.sql} ({columns}) FROM STDIN", load)
        return
    come = STAGED if load.staged is None else load.staged.come
    if load.staged is None:
        connection.stage(come, load.table, load.table.names, [])
        connection.load_bodies(f"COPY pg_temp.{come} FROM STDIN", load)
    insert = (
        f"INSERT INTO {load.table.sql} ({columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT {', '.join(f's.c{index}' for index in range(len(load.table.names)))} FROM pg_temp.{come} s"
    )
    same_key = " AND ".join(f"t.{catalog.quote(name)} = s.c{load.table.names.index(name)}" for name in load.table.key)
    missing = f" WHERE NOT EXISTS (SELECT 1 FROM {load.table.sql} t WHERE {same_key})" if load.add else ""
    connection.execute(insert + missing)


def _disable_triggers(connection: PostgresConnection, loads: Sequence[Load]) -> list[str]:
    """Triggers and rules; returns the statements that put each one back into the state that it was in."""
    oids = [load.table.extra.oid for load in loads]
    triggers = connection.query(catalog.TRIGGERS, [oids, oids])
    for table, kind, name, _enabled, owned in triggers:
        if not owned:
            raise Refused(
                _("%(table)s belongs to another database user, and its %(kind)s %(name)s would act.")
                % {"table": table, "kind": kind.lower(), "name": name}
            )
        connection.execute(f"ALTER TABLE ONLY {table} DISABLE {kind} {name}")
    return [
        f"ALTER TABLE ONLY {table} {MODES[enabled]} {kind} {name}" for table, kind, name, enabled, _owned in triggers
    ]


def _drop_indexes(connection: PostgresConnection, table: LiveTable) -> list[tuple[LiveTable, tuple[Any, ...]]]:
    rows = connection.query(catalog.REBUILDABLE_INDEXES, [table.extra.oid])
    for row in rows:
        connection.execute(f"DROP INDEX {row[0]}")
    return [(table, row) for row in rows]


def _build_index(connection: PostgresConnection, table: LiveTable, row: tuple[Any, ...]) -> None:
    """The same index: definition, tablespace, comment, statistics targets, and whether the table clusters on it."""
    name, definition, tablespace, comment, clustered, bare_name, statistics = row
    quoted = catalog.quote(tablespace) if tablespace else "''"
    connection.execute(f"SET LOCAL default_tablespace = {quoted}")
    connection.execute(definition)
    if comment is not None:
        _comment(connection, f"INDEX {name}", comment)
    for pair in statistics:
        column, _separator, target = pair.partition(" ")
        connection.execute(f"ALTER INDEX {name} ALTER COLUMN {column} SET STATISTICS {target}")
    if clustered:
        connection.execute(f"ALTER TABLE {table.sql} CLUSTER ON {bare_name}")


def _add_key(connection: PostgresConnection, key: Constraint) -> None:
    name, child = catalog.quote(key.foreign_key.name), key.foreign_key.child
    connection.execute(f"ALTER TABLE {child} ADD CONSTRAINT {name} {key.definition}")
    if key.comment is not None:
        _comment(connection, f"CONSTRAINT {name} ON {child}", key.comment)


def _comment(connection: PostgresConnection, what: str, text: str) -> None:
    quoted = text.replace("'", "''")
    connection.execute(f"COMMENT ON {what} IS E'{quoted.replace(chr(92), chr(92) * 2)}'")
