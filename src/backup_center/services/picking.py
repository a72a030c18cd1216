"""The rows that make up one record in a backup, and those that belonged to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from .. import registry
from ..engine.contents import chunk_rows
from ..engine.dialects.base import Connection, ForeignKey
from ..engine.errors import NotFound
from ..engine.manifest import Manifest, Table
from ..engine.selection import Key, Picked, hashable
from ..engine.sources import Source
from .records import looking_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One record of ``app.Model``; ``with_related``: with what pointed to it, and what pointed to that."""

    label: str
    key: str
    with_related: bool = False


def pick(wanted: Wanted, manifest: Manifest, connection: Connection, source: Source) -> dict[str, Picked]:
    """Per table. The record itself becomes what it was; of the rows related to it, those that are gone come back,
    and those that are there get their emptied references to it back.

    Raises ``NotFound`` if the backup does not have it.
    """
    rows = _Rows(manifest, source)
    with looking_for(wanted.label, wanted.key, manifest.database["alias"]) as record:
        for table in filter(None, map(manifest.table, record.labels)):
            for number, row in record.places(table, manifest, source):
                rows.add(table, number, row)
    if not rows.found:
        facts = {"model": wanted.label, "key": wanted.key, "name": manifest.name}
        raise NotFound(_("There is no %(model)s %(key)s in %(name)s.") % facts)
    own = {label: frozenset(keys) for label, keys in rows.keys.items()}
    if wanted.with_related:
        rows.follow(_references(manifest, connection))
    return {
        label: Picked(
            ranges=tuple(sorted(rows.ranges[label])),
            replaced=own.get(label, frozenset()),
            missing=frozenset(keys) - own.get(label, frozenset()),
            pointing={key: frozenset(columns) for key, columns in rows.pointing[label].items()},
        )
        for label, keys in rows.keys.items()
    }


def _references(manifest: Manifest, connection: Connection) -> dict[str, list[tuple[str, ForeignKey]]]:
    """By the table that is referred to: the tables that refer to it, as far as the backup has both."""
    tables, _missing = connection.describe(registry.table_specs(manifest.database["alias"]))
    labels = {table.sql: table.label for table in tables if manifest.table(table.label) is not None}
    found: defaultdict[str, list[tuple[str, ForeignKey]]] = defaultdict(list)
    for key in connection.foreign_keys(tables):
        if key.child in labels and key.parent in labels:
            found[labels[key.parent]].append((labels[key.child], key))
    return found


@dataclass(slots=True)
class _Rows:
    manifest: Manifest
    source: Source
    found: list[tuple[Table, list[Any]]] = field(default_factory=list)
    keys: defaultdict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))
    ranges: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    pointing: defaultdict[str, defaultdict[Key, set[tuple[str, ...]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )

    def add(self, table: Table, number: int, row: list[Any]) -> None:
        key = _values(table, row, table.key)
        if key not in self.keys[table.label]:
            self.keys[table.label].add(key)
            self.ranges[table.label].add(number)
            self.found.append((table, row))

    def follow(self, references: Mapping[str, list[tuple[str, ForeignKey]]]) -> None:
        """All rows that point to those that were found, and on from there."""
        level = self.found
        while level:
            before, self.found = level, []
            for parent in {table.label for table, _row in before}:
                for child, key in references.get(parent, ()):
                    values = {_values(table, row, key.parent_columns) for table, row in before if table.label == parent}
                    self._pointing(child, key, values)
            level = self.found

    def _pointing(self, label: str, key: ForeignKey, values: set[Key]) -> None:
        table = self._table(label)
        for number in range(len(table.chunks)):
            for row in chunk_rows(table, number, self.source):
                if _values(table, row, key.columns) in values:
                    self.add(table, number, row)
                    self.pointing[label][_values(table, row, table.key)].add(key.columns)

    def _table(self, label: str) -> Table:
        table = self.manifest.table(label)
        assert table is not None  # noqa: S101  # for the type checker: only asked for tables that the manifest has
        return table


def _values(table: Table, row: list[Any], columns: Iterable[str]) -> Key:
    return hashable(row[table.names.index(column)] for column in columns)
