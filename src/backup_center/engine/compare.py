"""The plan: what a restore would do to the live tables, and what stands in its way. Nothing is changed here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from operator import itemgetter
from typing import Any

import orjson
from django.utils.translation import gettext as _

from . import chunks
from .chunks import ReadStored
from .codecs import CODECS
from .dialects.base import Column, Connection, ForeignKey, LiveTable, Load, TableSpec
from .errors import SchemaDiffers, Unsupported
from .manifest import Manifest, Table

STAGED = "backup_center_keys"
EXAMPLES = 3
REMEMBERED = 100_000  # values remembered while removing repetitions; more only costs time


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of a manifest's tables a restore takes. ``known``: every table of the project, selected or not.

    ``added`` are the labels that are only added to. ``maps``: per label and column, old ids to new ones.
    """

    manifest: Manifest
    labels: Sequence[str]
    known: Sequence[TableSpec]
    added: frozenset[str] = frozenset()
    maps: Mapping[str, Mapping[str, Mapping[Any, Any]]] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        return [table for table in self.manifest.tables if table.label in self.labels]

    @property
    def specs(self) -> list[TableSpec]:
        return [spec for spec in self.known if spec.label in self.labels]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """One table of a plan. ``same``: its live rows are those of the backup already."""

    label: str
    data_type: str
    rows_in_backup: int
    rows_now: int
    added_to: bool
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenReference:
    """Rows of ``child`` that would point to rows of ``parent`` that would not be there."""

    child: str
    parent: str
    rows: int
    examples: tuple[str, ...]
    add_types: tuple[str, ...]  # restoring these too would mend it
    child_stays: bool  # the child's rows stay, the parent's vanish; otherwise the child's come, the parent's are gone

    def __str__(self) -> str:
        text = (
            _("%(rows)d rows of %(child)s refer to rows of %(parent)s that the backup does not have (%(examples)s).")
            if self.child_stays
            else _(
                "%(rows)d values in the backup of %(child)s refer to rows of %(parent)s that are gone (%(examples)s)."
            )
        ) % {"rows": self.rows, "child": self.child, "parent": self.parent, "examples": ", ".join(self.examples)}
        if self.add_types:
            return text + " " + _("Restore %(types)s too.") % {"types": ", ".join(self.add_types)}
        return text + " " + _("Leave the data type of %(table)s out.") % {"table": self.parent}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    tables: tuple[TableChange, ...]
    references: tuple[BrokenReference, ...]
    notes: tuple[str, ...]


def make_plan(selection: Selection, connection: Connection, read_stored: ReadStored) -> Plan:
    """Inside a transaction. Raises ``SchemaDiffers`` or ``Unsupported``: then there is nothing to plan."""
    live = match(selection, connection)
    changes = [
        TableChange(
            label=table.label,
            data_type=table.data_type,
            rows_in_backup=table.rows,
            rows_now=connection.count(live[table.label]),
            added_to=table.label in selection.added,
            same=is_same(table, live[table.label], selection.manifest, connection),
        )
        for table in selection.tables
    ]
    loads = [
        Load(table=live[table.label], rows=table.rows, add=table.label in selection.added, bodies=())
        for table in selection.tables
    ]
    references = broken_references(selection, connection, live, read_stored)
    return Plan(tables=tuple(changes), references=tuple(references), notes=tuple(connection.notes(loads)))


def match(selection: Selection, connection: Connection) -> dict[str, LiveTable]:
    """The selected tables as they live, their columns in the manifest's order. Refuses another engine or schema."""
    vendor = selection.manifest.database["vendor"]
    if vendor != connection.vendor:
        raise Unsupported(
            _("The backup is of %(theirs)s and the database is %(ours)s. Restoring across engines is not possible yet.")
            % {"theirs": vendor, "ours": connection.vendor}
        )
    tables, missing = connection.describe(selection.specs)
    live = {table.label: table for table in tables}
    differences = [line for table in selection.tables for line in _differences(table, live.get(table.label), missing)]
    if differences:
        raise SchemaDiffers(
            _("The tables are not those of the backup; nothing was changed. Migrate to the backup's schema first."),
            differences,
        )
    return {table.label: _in_order(live[table.label], table.names) for table in selection.tables}


def is_same(table: Table, live: LiveTable, manifest: Manifest, connection: Connection) -> bool:
    """Whether the live rows are those of the backup: by the database's own digests, or by reading as a backup does."""
    if digests_compare(manifest, connection):
        return connection.digest(live) == (table.rows, digest_of(table))
    found = (hashlib.sha256(raw.body).hexdigest() for raw in connection.chunks(live))
    expected = (chunk.sha256 for chunk in table.chunks if chunk.rows)
    return all(one == other for one, other in zip_longest(found, expected))


def digests_compare(manifest: Manifest, connection: Connection) -> bool:
    """Digests of one major version say nothing about another's."""
    theirs = manifest.database["digests"]
    return theirs is not None and theirs == connection.server()["digests"]


def digest_of(table: Table) -> int:
    return sum(int(chunk.digest or 0) for chunk in table.chunks)


def broken_references(
    selection: Selection, connection: Connection, live: Mapping[str, LiveTable], read_stored: ReadStored
) -> list[BrokenReference]:
    """References across the edge of the selection, both ways, that the restore would leave pointing to nothing."""
    references = _References(selection, connection, live, read_stored)
    keys = connection.foreign_keys(list(live.values()))
    return [*references.left_behind(keys), *references.without_parents(keys)]


def left_behind(
    selection: Selection, connection: Connection, live: Mapping[str, LiveTable], read_stored: ReadStored
) -> list[BrokenReference]:
    """Only those whose rows stay while the rows that they refer to vanish: the part that needs no child's chunks."""
    references = _References(selection, connection, live, read_stored)
    return list(references.left_behind(connection.foreign_keys(list(live.values()))))


class _References:
    def __init__(
        self, selection: Selection, connection: Connection, live: Mapping[str, LiveTable], read_stored: ReadStored
    ) -> None:
        self.selection, self.connection, self.read_stored = selection, connection, read_stored
        known, _missing = connection.describe(selection.known)
        self.known = {table.sql: table for table in known}
        self.types = {spec.label: spec.data_type for spec in selection.known}
        self.selected = {table.sql: selection.manifest.table(label) for label, table in live.items()}

    def left_behind(self, keys: Sequence[ForeignKey]) -> Iterator[BrokenReference]:
        for key in keys:
            child, parent = self.selected.get(key.child), self.selected.get(key.parent)
            child_stays = child is None or child.label in self.selection.added
            parent_replaced = parent is not None and parent.label not in self.selection.added
            if parent is not None and parent_replaced and child_stays and key.child != key.parent:
                yield from self._left_behind(key, parent)

    def without_parents(self, keys: Sequence[ForeignKey]) -> Iterator[BrokenReference]:
        for key in keys:
            child = self.selected.get(key.child)
            if child is not None and key.parent not in self.selected:
                yield from self._without_parent(key, child)

    def _left_behind(self, key: ForeignKey, parent: Table) -> Iterator[BrokenReference]:
        """Rows that stay and refer to parents that the backup does not have."""
        filled = " AND ".join(f"{quote(column)} IS NOT NULL" for column in key.columns)
        if not self.connection.query(f"SELECT 1 FROM {key.child} WHERE {filled} LIMIT 1"):  # noqa: S608
            return
        self._stage(key.parent, key.parent_columns, parent)
        same = _equal("k", [f"c{index}" for index in range(len(key.columns))], "r", key.columns)
        there = _equal("p", key.parent_columns, "r", key.columns)  # SQLite may hold rows that point to nothing already
        yield from self._broken(
            key,
            f"{key.child} r WHERE {filled} AND NOT EXISTS (SELECT 1 FROM {STAGED} k WHERE {same})"  # noqa: S608
            f" AND EXISTS (SELECT 1 FROM {key.parent} p WHERE {there})",
            key.columns,
            True,
        )

    def _without_parent(self, key: ForeignKey, child: Table) -> Iterator[BrokenReference]:
        """Rows that come and refer to parents that are gone; the child's chunks are only read if some parent is."""
        staged = [f"c{index}" for index in range(len(key.columns))]
        gone = f"{STAGED} r WHERE NOT EXISTS (SELECT 1 FROM {key.parent} k WHERE "  # noqa: S608
        gone += _equal("k", key.parent_columns, "r", staged) + ")"
        parent = self._in_manifest(key.parent)
        mapped = self.selection.maps.get(child.label, {}).keys() & set(key.columns)
        if parent is not None and not mapped:
            live = self.known[key.parent]
            in_order = _in_order(live, parent.names)
            if is_same(parent, in_order, self.selection.manifest, self.connection):
                return
            self._stage(key.parent, key.parent_columns, parent)
            if not self.connection.query(f"SELECT 1 FROM {gone} LIMIT 1"):  # noqa: S608
                return
        self._stage(key.child, key.columns, child)
        yield from self._broken(key, gone, staged, False)

    def _broken(
        self, key: ForeignKey, rows: str, columns: Sequence[str], child_stays: bool
    ) -> Iterator[BrokenReference]:
        [(count,)] = self.connection.query(f"SELECT count(*) FROM {rows}")  # noqa: S608
        if not count:
            return
        listed = ", ".join(f"r.{quote(column)}" for column in columns)
        examples = self.connection.query(f"SELECT DISTINCT {listed} FROM {rows} LIMIT {EXAMPLES}")  # noqa: S608
        # The other side's type helps only if it is not selected already and the backup has it.
        other = self.known.get(key.child if child_stays else key.parent)
        in_backup = other is not None and self.selection.manifest.table(other.label) is not None
        helps = in_backup and other is not None and other.label not in self.selection.labels
        yield BrokenReference(
            child=self._name(key.child),
            parent=self._name(key.parent),
            rows=count,
            examples=tuple(", ".join(map(str, row)) for row in examples),
            add_types=(self.types[other.label],) if helps and other is not None else (),
            child_stays=child_stays,
        )

    def _in_manifest(self, sql: str) -> Table | None:
        live = self.known.get(sql)
        table = self.selection.manifest.table(live.label) if live else None
        return table if table is not None and live is not None and set(table.names) == set(live.names) else None

    def _name(self, sql: str) -> str:
        return self.known[sql].label if sql in self.known else sql

    def _stage(self, sql: str, columns: Sequence[str], table: Table) -> None:
        """The backup's values of these columns as they will be: mapped, not repeated, without NULLs, in a temporary table."""
        values: Iterable[tuple[Any, ...]] = column_values(table, columns, self.selection.manifest, self.read_stored)
        if maps := self.selection.maps.get(table.label):
            values = (
                tuple(maps[column][part] if column in maps else part for column, part in zip(columns, value, strict=True))
                for value in values
            )
        self.connection.stage(STAGED, self.known[sql], columns, values)


def column_values(
    table: Table, columns: Sequence[str], manifest: Manifest, read_stored: ReadStored
) -> Iterator[tuple[Any, ...]]:
    """The backup's values of these columns; without NULLs, and with few repetitions."""
    getters = [itemgetter(table.names.index(column)) for column in columns]
    seen: set[tuple[Any, ...]] = set()
    for rows in chunks_of_rows(table, manifest, read_stored):
        values = list(zip(*(map(getter, rows) for getter in getters), strict=True))
        try:
            fresh = set(values) - seen
        except TypeError:  # a tagged value (a blob as a key) is no member of sets; then repetitions stay
            yield from (value for value in values if None not in value)
            continue
        seen = fresh if len(seen) > REMEMBERED else seen.union(fresh)
        yield from (value for value in fresh if None not in value)


def rows_of(table: Table, manifest: Manifest, read_stored: ReadStored) -> Iterator[list[Any]]:
    """A table's rows out of the archive, as the manifest's columns."""
    for rows in chunks_of_rows(table, manifest, read_stored):
        yield from rows


def chunks_of_rows(table: Table, manifest: Manifest, read_stored: ReadStored) -> Iterator[list[list[Any]]]:
    """The same, chunk by chunk; each is checked before it is used."""
    for index, chunk in enumerate(table.chunks):
        name = chunks.entry_name(table.label, index)
        yield orjson.loads(chunks.read(chunk, read_stored, CODECS[manifest.codec], name))


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _equal(left: str, left_columns: Iterable[str], right: str, right_columns: Iterable[str]) -> str:
    pairs = zip(left_columns, right_columns, strict=True)
    return " AND ".join(f"{left}.{quote(one)} = {right}.{quote(other)}" for one, other in pairs)


def _in_order(live: LiveTable, names: Sequence[str]) -> LiveTable:
    columns = {column.name: column for column in live.columns}
    return replace(live, columns=tuple(columns[name] for name in names))


def _differences(table: Table, live: LiveTable | None, missing: Mapping[str, str]) -> Iterator[str]:
    if live is None:
        yield f"{table.label}: {missing.get(table.label) or _('this project has no such model any more')}"
        return
    ours = {column.name: column for column in live.columns}
    theirs = {column.name: column for column in table.columns}
    for name in sorted(theirs.keys() - ours.keys()):
        yield _("%(table)s.%(column)s is in the backup, not in the database.") % {"table": table.label, "column": name}
    for name in sorted(ours.keys() - theirs.keys()):
        yield _("%(table)s.%(column)s is in the database, not in the backup.") % {"table": table.label, "column": name}
    for name in sorted(ours.keys() & theirs.keys()):
        was, now = _shape(theirs[name]), _shape(ours[name])
        if was != now:
            facts = {"table": table.label, "column": name, "was": was, "now": now}
            yield _("%(table)s.%(column)s was %(was)s and is %(now)s.") % facts


def _shape(column: Column) -> str:
    return column.type + ("" if column.null else " NOT NULL")
