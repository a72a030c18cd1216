"""References across the edge of a restore: rows that would point to nothing, found before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from .chunks import ReadStored
from .contents import column_values
from .dialects.base import Connection, ForeignKey, LiveTable
from .manifest import Table
from .selection import Selection, in_order, is_same

STAGED = "backup_center_keys"
EXAMPLES = 3


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
        if parent is not None:
            live = self.known[key.parent]
            ordered = in_order(live, parent.names)
            if is_same(parent, ordered, self.selection.manifest, self.connection):
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
        """The backup's values of these columns as they will be: mapped, without NULLs, in a temporary table."""
        values: Iterable[tuple[Any, ...]] = column_values(table, columns, self.selection.manifest, self.read_stored)
        if maps := self.selection.maps.get(table.label):
            values = (
                tuple(
                    maps[column][part] if column in maps else part for column, part in zip(columns, value, strict=True)
                )
                for value in values
            )
        self.connection.stage(STAGED, self.known[sql], columns, values)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _equal(left: str, left_columns: Iterable[str], right: str, right_columns: Iterable[str]) -> str:
    pairs = zip(left_columns, right_columns, strict=True)
    return " AND ".join(f"{left}.{quote(one)} = {right}.{quote(other)}" for one, other in pairs)
