"""References across the edge of a restore: rows that would point to nothing, found before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from django.utils.translation import gettext as _

from . import ranges
from .contents import column_values
from .dialects.base import Connection, ForeignKey, KeyRange, LiveTable, key_range, runs
from .manifest import Table
from .replacements import Replacement, Way
from .selection import Key, Selection, hashable, in_order, is_same
from .sources import Source

STAGED = "backup_center_keys"
VANISHED = "backup_center_vanished"
NULLED = "backup_center_nulled"
EXAMPLES = 3
HELD = 5_000  # values of one key; with more, the chunks are read again instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Nulling:
    """References to be emptied: rows of ``child`` whose ``columns`` are in ``values`` get NULL in ``emptied``."""

    child: LiveTable
    columns: tuple[str, ...]
    emptied: tuple[str, ...]
    values: str  # a temporary table

    def apply(self, connection: Connection) -> None:
        nulls = ", ".join(f"{quote(column)} = NULL" for column in self.emptied)
        same = equal("v", [f"c{index}" for index in range(len(self.columns))], self.child.sql, self.columns)
        connection.execute(
            f"UPDATE {self.child.sql} SET {nulls} WHERE EXISTS (SELECT 1 FROM {self.values} v WHERE {same})"  # noqa: S608
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenReference:
    """Rows of ``child`` that would point to rows of ``parent`` that would not be there."""

    child: str
    parent: str
    rows: int
    examples: tuple[str, ...]
    add_types: tuple[str, ...]  # restoring these too would mend it
    child_stays: bool  # the child's rows stay, the parent's vanish; otherwise the child's come, the parent's are gone
    nullable: bool  # emptying the references would mend it
    nulling: Nulling | None = None  # … and this is how, since it was asked for
    single: bool = False  # the child is a record that was asked for by itself

    def __str__(self) -> str:
        if self.nulling is not None:
            return self._text() + " " + _("The references are set to NULL.")
        if self.single:
            return self._text() + " " + _("Bring that one back first.")
        advice = [
            _("Restore %(types)s too.") % {"types": ", ".join(self.add_types)}
            if self.add_types
            else _("Leave the data type of %(table)s out.") % {"table": self.parent}
        ]
        if self.nullable:
            advice.append(_("Or let the references be set to NULL (--set-null)."))
        return " ".join([self._text(), *advice])

    def _text(self) -> str:
        text = (
            _("%(rows)d rows of %(child)s refer to rows of %(parent)s that the backup does not have (%(examples)s).")
            if self.child_stays
            else _(
                "%(rows)d values in the backup of %(child)s refer to rows of %(parent)s that are gone (%(examples)s)."
            )
        )
        facts = {"rows": self.rows, "child": self.child, "parent": self.parent, "examples": ", ".join(self.examples)}
        return text % facts


class Coming:
    """The values through which one table's rows that come refer to others, none of them twice, if they can be held.

    A row that stays as it is needs no look: the database knows what it refers to.
    """

    def __init__(self, live: LiveTable, keys: Iterable[ForeignKey]) -> None:
        own = {key.columns for key in keys if key.child == live.sql and set(key.columns) <= set(live.names)}
        self._places = {columns: [live.names.index(name) for name in columns] for columns in own}
        self._values: dict[tuple[str, ...], dict[Key, tuple[Any, ...]]] = {columns: {} for columns in own}

    def add(self, row: Sequence[Any]) -> None:
        for columns, places in self._places.items():
            known = self._values[columns]
            value = tuple(row[place] for place in places)
            if len(known) <= HELD and None not in value:
                known[hashable(value)] = value

    def values(self, columns: tuple[str, ...]) -> Collection[tuple[Any, ...]] | None:
        known = self._values.get(columns)
        return known.values() if known is not None and len(known) <= HELD else None


def broken_references(
    selection: Selection,
    connection: Connection,
    found: Sequence[Replacement],
    source: Source,
    coming: Mapping[str, Coming] | None = None,
) -> list[BrokenReference]:
    """References across the edge of the selection, both ways, that the restore would leave pointing to nothing.

    ``coming``: what is known already of the rows that come, by the tables' labels; the others' chunks are read for it.
    """
    references = _References(selection, connection, found, source, coming)
    keys = connection.foreign_keys([replacement.live for replacement in found])
    return [*references.left_behind(keys), *references.without_parents(keys)]


def left_behind(
    selection: Selection, connection: Connection, found: Sequence[Replacement], source: Source
) -> list[BrokenReference]:
    """Only those whose rows stay while the rows that they refer to vanish: the part that needs no child's chunks."""
    references = _References(selection, connection, found, source)
    return list(references.left_behind(connection.foreign_keys([replacement.live for replacement in found])))


class _References:
    def __init__(
        self,
        selection: Selection,
        connection: Connection,
        found: Sequence[Replacement],
        source: Source,
        coming: Mapping[str, Coming] | None = None,
    ) -> None:
        self.selection, self.connection, self.source = selection, connection, source
        self.coming = coming or {}
        known, _missing = connection.describe(selection.known)
        self.known = {table.sql: table for table in known}
        self.types = {spec.label: spec.data_type for spec in selection.known}
        self.replaced = {replacement.live.sql: replacement for replacement in found}
        self.written = {*selection.labels, *(spec.label for spec in selection.also)}
        self.numbers = count()

    def left_behind(self, keys: Sequence[ForeignKey]) -> Iterator[BrokenReference]:
        for key in keys:
            child, parent = self.replaced.get(key.child), self.replaced.get(key.parent)
            child_stays = child is None or child.way is Way.ADD
            vanishing = parent is not None and parent.way is not Way.ADD and len(parent.ranges) > 0
            if parent is not None and vanishing and child_stays and key.child != key.parent:
                yield from self._left_behind(key, parent)

    def without_parents(self, keys: Sequence[ForeignKey]) -> Iterator[BrokenReference]:
        for key in keys:
            child = self.replaced.get(key.child)
            if child is not None and child.ranges and key.parent not in self.replaced:
                yield from self._without_parent(key, child)

    def _left_behind(self, key: ForeignKey, parent: Replacement) -> Iterator[BrokenReference]:
        """Rows that stay and refer to parents that the backup does not have."""
        filled = " AND ".join(f"{quote(column)} IS NOT NULL" for column in key.columns)
        if not self.connection.query(f"SELECT 1 FROM {key.child} WHERE {filled} LIMIT 1"):  # noqa: S608
            return
        self._stage_vanished(key, parent)
        if not self.connection.query(f"SELECT 1 FROM {VANISHED} LIMIT 1"):  # noqa: S608
            return
        vanished = equal("p", key.parent_columns, "v", [f"c{index}" for index in range(len(key.columns))])
        # The parent's own columns say what is equal: collations may differ.
        referred = equal("p", key.parent_columns, "r", key.columns)
        yield from self._broken(
            key,
            f"{key.child} r WHERE {filled} AND EXISTS"  # noqa: S608
            f" (SELECT 1 FROM {VANISHED} v, {key.parent} p WHERE {vanished} AND {referred})",
            key.columns,
            True,
        )

    def _stage_vanished(self, key: ForeignKey, parent: Replacement) -> None:
        """What is referred to in the ranges that differ, and is not in the backup's."""
        live, columns = self.known[key.parent], key.parent_columns
        self._stage(key.parent, columns, parent.table, parent.ranges)
        self.connection.stage(VANISHED, live, columns, [])
        kept = equal("p", columns, "k", [f"c{index}" for index in range(len(columns))])
        listed = ", ".join(f"p.{quote(column)}" for column in columns)
        for part in _runs(parent):
            where, params = self.connection.within(live, part)
            self.connection.execute(
                f"INSERT INTO {VANISHED} SELECT {listed} FROM {key.parent} p"  # noqa: S608
                f" WHERE {where} AND NOT EXISTS (SELECT 1 FROM {STAGED} k WHERE {kept})",
                params,
            )

    def _without_parent(self, key: ForeignKey, child: Replacement) -> Iterator[BrokenReference]:
        """Rows that come and refer to parents that are gone."""
        staged = [f"c{index}" for index in range(len(key.columns))]
        gone = f"{STAGED} r WHERE NOT EXISTS (SELECT 1 FROM {key.parent} k WHERE "  # noqa: S608
        gone += equal("k", key.parent_columns, "r", staged) + ")"
        coming = self.coming.get(child.table.label)
        if coming is not None and (values := coming.values(key.columns)) is not None:
            self.connection.stage(STAGED, child.live, key.columns, values)
            yield from self._broken(key, gone, staged, False)
            return
        # All of a large table's chunks are only read if some parent is gone.
        if child.everywhere and (parent := self._in_manifest(key.parent)) is not None:
            ordered = in_order(self.known[key.parent], parent.names)
            if is_same(parent, ordered, self.selection.manifest, self.connection):
                return
            self._stage(key.parent, key.parent_columns, parent)
            if not self.connection.query(f"SELECT 1 FROM {gone} LIMIT 1"):  # noqa: S608
                return
        columns = list(key.columns)
        if child.way is Way.ADD:  # rows whose key is there don't come
            columns += child.live.key
            keys = [f"c{index}" for index in range(len(key.columns), len(columns))]
            same_key = equal("t", child.live.key, "r", keys)
            gone += f" AND NOT EXISTS (SELECT 1 FROM {key.child} t WHERE {same_key})"  # noqa: S608
        self._stage(key.child, columns, child.table, child.ranges)
        yield from self._broken(key, gone, staged, False)

    def _broken(
        self, key: ForeignKey, rows: str, columns: Sequence[str], child_stays: bool
    ) -> Iterator[BrokenReference]:
        [(found,)] = self.connection.query(f"SELECT count(*) FROM {rows}")  # noqa: S608
        if not found:
            return
        listed = ", ".join(f"r.{quote(column)}" for column in columns)
        examples = self.connection.query(f"SELECT DISTINCT {listed} FROM {rows} LIMIT {EXAMPLES}")  # noqa: S608
        # The other side's type helps only if it is not selected already and the backup has it.
        other = self.known.get(key.child if child_stays else key.parent)
        in_backup = other is not None and self.selection.manifest.table(other.label) is not None
        helps = in_backup and other is not None and other.label not in self.selection.labels
        emptied = self._nullable(key)
        yield BrokenReference(
            child=self._name(key.child),
            parent=self._name(key.parent),
            rows=found,
            examples=tuple(", ".join(map(str, row)) for row in examples),
            add_types=(self.types[other.label],) if helps and other is not None else (),
            child_stays=child_stays,
            nullable=bool(emptied),
            nulling=self._nulling(key, emptied, f"SELECT DISTINCT {listed} FROM {rows}"),  # noqa: S608
        )

    def _nullable(self, key: ForeignKey) -> tuple[str, ...]:
        """The columns that may be emptied; NULL in one of them is enough."""
        child = self.known.get(key.child)
        if child is None:
            return ()
        null = {column.name for column in child.columns if column.null and column.name not in child.key}
        return tuple(column for column in key.columns if column in null)

    def _nulling(self, key: ForeignKey, emptied: tuple[str, ...], values: str) -> Nulling | None:
        child = self.known.get(key.child)
        if not self.selection.set_null or not emptied or child is None or child.label not in self.written:
            return None
        name = f"{NULLED}_{next(self.numbers)}"
        self.connection.stage(name, child, key.columns, [])
        self.connection.execute(f"INSERT INTO {name} {values}")
        return Nulling(child=child, columns=key.columns, emptied=emptied, values=name)

    def _in_manifest(self, sql: str) -> Table | None:
        live = self.known.get(sql)
        table = self.selection.manifest.table(live.label) if live else None
        return table if table is not None and live is not None and set(table.names) == set(live.names) else None

    def _name(self, sql: str) -> str:
        return self.known[sql].label if sql in self.known else sql

    def _stage(self, sql: str, columns: Sequence[str], table: Table, numbers: Sequence[int] | None = None) -> None:
        """The backup's values of these columns as they will be: mapped, without NULLs, in a temporary table."""
        values: Iterable[tuple[Any, ...]] = column_values(table, columns, self.source, numbers)
        if maps := self.selection.maps.get(table.label):
            values = (
                tuple(
                    maps[column][part] if column in maps else part for column, part in zip(columns, value, strict=True)
                )
                for value in values
            )
        self.connection.stage(STAGED, self.known[sql], columns, values)


def _runs(replacement: Replacement) -> Iterator[KeyRange]:
    """The ranges that differ, neighbours together; of a table whose keys don't tell, all of it."""
    numbers = replacement.ranges
    if replacement.everywhere or not replacement.sorted_alike or not replacement.live.keyed:
        yield KeyRange(after=None, upto=None)
        return
    ends = list(ranges.borders(replacement.table))
    for first, last in runs(numbers):
        yield key_range(ends, first, last)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def equal(left: str, left_columns: Iterable[str], right: str, right_columns: Iterable[str]) -> str:
    pairs = zip(left_columns, right_columns, strict=True)
    return " AND ".join(f"{left}.{quote(one)} = {right}.{quote(other)}" for one, other in pairs)
