"""Which of a backup's tables a restore takes, and the live tables that answer to them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from django.utils.translation import gettext as _

from .dialects.base import Column, Connection, LiveTable, TableSpec
from .errors import SchemaDiffers, Unsupported
from .manifest import Manifest, Table

Key = tuple[Any, ...]


def hashable(values: Iterable[Any]) -> Key:
    """Of chunks' values: a tagged one (a blob) is a dict."""
    return tuple(tuple(value.items()) if isinstance(value, dict) else value for value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """Single rows of a table, by their keys as in chunks; ``ranges``: the numbers of their chunks.

    Those ``replaced`` become what they were; those ``missing`` come back if they are gone. If they are there, they only
    get references back (their columns, in ``pointing``) that were emptied since.
    """

    ranges: tuple[int, ...]
    replaced: frozenset[Key]
    missing: frozenset[Key]
    pointing: Mapping[Key, frozenset[tuple[str, ...]]] = field(default_factory=dict)

    def outcome(
        self, key: Key, live: list[Any] | None, backup: list[Any], positions: Mapping[str, int]
    ) -> list[Any] | None:
        """What a row becomes that is not as it was; ``None`` if it is left alone."""
        if key in self.replaced:
            return backup
        if live is None:
            return backup if key in self.missing else None
        row = list(live)
        for columns in self.pointing.get(key, ()):
            places = [positions[column] for column in columns]
            if all(live[place] is None or live[place] == backup[place] for place in places):
                for place in places:
                    row[place] = backup[place]
        return row if row != live else None

    def without(self, keys: Collection[Key]) -> Picked:
        """Of those that are not ``replaced``, all but these."""
        pointing = {key: columns for key, columns in self.pointing.items() if key not in keys}
        return replace(self, missing=self.missing.difference(keys), pointing=pointing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of a manifest's tables a restore takes. ``known``: every table of the project, selected or not.

    ``added`` are the labels that are only added to. ``maps``: per label and column, old ids to new ones. ``set_null``:
    references that would point to nothing are emptied where their columns allow it, also in the tables ``also``.
    ``picked``: of these tables only some rows; where there are any, of all.
    """

    manifest: Manifest
    labels: Sequence[str]
    known: Sequence[TableSpec]
    added: frozenset[str] = frozenset()
    maps: Mapping[str, Mapping[str, Mapping[Any, Any]]] = field(default_factory=dict)
    set_null: bool = False
    also: Sequence[TableSpec] = ()
    picked: Mapping[str, Picked] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        return [table for table in self.manifest.tables if table.label in self.labels]

    @property
    def specs(self) -> list[TableSpec]:
        """The tables that the restore may write to."""
        return [spec for spec in self.known if spec in self.also or spec.label in self.labels]

    @property
    def own(self) -> list[TableSpec]:
        return [spec for spec in self.known if spec.label in self.labels]


def match(selection: Selection, connection: Connection) -> dict[str, LiveTable]:
    """The selected tables as they live, their columns in the manifest's order. Refuses another engine or schema."""
    vendor = selection.manifest.database["vendor"]
    if vendor != connection.vendor:
        raise Unsupported(
            _("The backup is of %(theirs)s and the database is %(ours)s. Restoring across engines is not possible yet.")
            % {"theirs": vendor, "ours": connection.vendor}
        )
    tables, missing = connection.describe(selection.own)
    live = {table.label: table for table in tables}
    differences = [line for table in selection.tables for line in _differences(table, live.get(table.label), missing)]
    if differences:
        raise SchemaDiffers(
            _("The tables are not those of the backup; nothing was changed. Migrate to the backup's schema first."),
            differences,
        )
    return {table.label: in_order(live[table.label], table.names) for table in selection.tables}


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


def in_order(live: LiveTable, names: Sequence[str]) -> LiveTable:
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
