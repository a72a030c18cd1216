"""Tables that live: one under each kind of key of ``histories``, one under numbers, one under a composite key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection, models

from backup_center.engine import contents, values
from backup_center.engine.chunks import Source
from backup_center.engine.manifest import Manifest
from tests.integration.histories import KEYS, POSTGRESQL
from tests.zoo.models import Seat

Row = tuple[Any, ...]
Key = tuple[str, ...]  # the literals of its columns

TYPES = {"WORDS": {"models": ["zoo.Legacy", "zoo.LegacyNote"]}, "SEATS": {"models": ["zoo.Seat"]}}
DISTINCT = "PRIMARY KEY"
NARROW, WIDE = "text", "varchar(200)"


@dataclass(frozen=True)
class Shape:
    """What a migration changes of a table: whether it has one more column, and the type of another."""

    extra: bool = False
    type: str = NARROW


@dataclass(kw_only=True)
class LiveTable:
    """A table, and what can happen to it. ``columns`` has ``… text`` where the type is to change."""

    label: str
    data_type: str
    table: str
    key: tuple[str, ...]
    keys: Sequence[Key]
    column: str  # what is updated
    columns: str
    run: Callable[..., None]
    shape: Shape = field(default_factory=Shape)

    @property
    def repeats(self) -> bool:
        return DISTINCT not in self.columns

    def some(self, place: int, count: int) -> Sequence[Key]:
        """Keys that lie beside each other, in the order in which they were listed."""
        first = place % len(self.keys)
        return self.keys[first : first + count]

    def create(self) -> None:
        self.run(f"CREATE TABLE {self.table} ({self._definition(self.shape)})")

    def drop(self) -> None:
        self.run(f"DROP TABLE {self.table}")

    def put(self, keys: Iterable[Key], value: str) -> None:
        """Rows under these keys, instead of those that are there if there can only be one."""
        for key in keys:
            if not self.repeats:
                self.delete([key])
            self.run(
                f"INSERT INTO {self.table} ({', '.join(self.key)}, {self.column}) VALUES ({', '.join(key)}, {value})"
            )

    def update(self, keys: Iterable[Key], value: str) -> None:
        self.run(f"UPDATE {self.table} SET {self.column} = {value} WHERE {self._any_of(keys)}")

    def delete(self, keys: Iterable[Key]) -> None:
        self.run(f"DELETE FROM {self.table} WHERE {self._any_of(keys)}")

    def delete_from(self, key: Key) -> None:
        """This key and all above it: the last ranges are empty then."""
        self.run(f"DELETE FROM {self.table} WHERE ({', '.join(self.key)}) >= ({', '.join(key)})")

    def move(self, one: Key, other: Key) -> None:
        """A row gets another key, perhaps one of another range."""
        if not self.repeats and one != other:
            self.delete([other])
        changes = ", ".join(f"{name} = {value}" for name, value in zip(self.key, other, strict=True))
        self.run(f"UPDATE {self.table} SET {changes} WHERE {self._any_of([one])}")

    def empty(self) -> None:
        self.run(f"TRUNCATE {self.table}" if POSTGRESQL else f"DELETE FROM {self.table}")

    def alter(self, shape: Shape) -> None:
        if shape.extra != self.shape.extra:
            self._add_or_drop_column(shape.extra)
        self.shape = Shape(shape.extra, self.shape.type)
        if shape.type != self.shape.type:
            self._change_type(shape)
        self.shape = shape

    def rows(self) -> list[Row]:
        """As plain SQL reads them, by the columns' names: every value as text, or in its own storage class."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self.table} LIMIT 0")
            names = sorted(column[0] for column in cursor.description)
            cursor.execute(f"SELECT {', '.join(f'{n}::text' if POSTGRESQL else n for n in names)} FROM {self.table}")
            return sorted(map(_printed, cursor.fetchall()), key=repr)

    def _any_of(self, keys: Iterable[Key]) -> str:
        return " OR ".join(f"({self._is(key)})" for key in keys)

    def _is(self, key: Key) -> str:
        pairs = zip(self.key, key, strict=True)
        return " AND ".join(f"{name} IS NULL" if value == "NULL" else f"{name} = {value}" for name, value in pairs)

    def _definition(self, shape: Shape) -> str:
        columns = self.columns.replace(f"{self.column} text", f"{self.column} {shape.type}")
        return columns + (", extra integer DEFAULT 7" if shape.extra else "")

    def _add_or_drop_column(self, add: bool) -> None:
        self.run(f"ALTER TABLE {self.table} " + ("ADD COLUMN extra integer DEFAULT 7" if add else "DROP COLUMN extra"))

    def _change_type(self, shape: Shape) -> None:
        if POSTGRESQL:
            self.run(f"ALTER TABLE {self.table} ALTER COLUMN {self.column} TYPE {shape.type}")
            return
        names = ", ".join([*self.key, self.column, *(["extra"] if shape.extra else [])])
        self.run(
            f"CREATE TABLE remade ({self._definition(shape)})",
            f"INSERT INTO remade ({names}) SELECT {names} FROM {self.table}",
            f"DROP TABLE {self.table}",
            f"ALTER TABLE remade RENAME TO {self.table}",
        )


class Seats(LiveTable):
    """A table of Django's own, altered by its schema editor."""

    def create(self) -> None:
        pass

    def drop(self) -> None:
        self.alter(Shape())
        self.run(f"DELETE FROM {self.table}")

    def alter(self, shape: Shape) -> None:
        super().alter(replace(shape, type=NARROW))

    def _add_or_drop_column(self, add: bool) -> None:
        column = models.IntegerField(null=True)
        column.set_attributes_from_name("extra")
        column.model = Seat
        with connection.schema_editor() as editor:
            (editor.add_field if add else editor.remove_field)(Seat, column)


def live_tables(kind: str, run: Callable[..., None]) -> dict[str, LiveTable]:
    """By label. ``kind``: of the keys of the first, one of ``histories.KEYS``."""
    columns, keys = KEYS[kind]
    seats = [(f"'{row}'", str(number)) for row in "aÄBc" for number in range(12)]
    found = (
        LiveTable(
            label="zoo.legacy", data_type="WORDS", table="legacy", key=("id",), keys=[(key,) for key in keys],
            column="name", columns=columns, run=run,
        ),
        LiveTable(
            label="zoo.legacynote", data_type="WORDS", table="legacy_note", key=("id",),
            keys=[(str(number),) for number in range(-10, 40)],
            column="note", columns="id integer PRIMARY KEY, legacy_id integer, note text", run=run,
        ),
        Seats(
            label="zoo.seat", data_type="SEATS", table="zoo_seat", key=("row", "number"), keys=seats,
            column="guest", columns=DISTINCT, run=run,
        ),
    )  # fmt: skip
    return {table.label: table for table in found}


def rows_in_archives(manifest: Manifest, source: Source) -> dict[str, list[Row]]:
    """What a backup holds, in the same form as ``LiveTable.rows``."""
    found = {}
    for table in manifest.tables:
        order = sorted(range(len(table.names)), key=table.names.__getitem__)
        rows = contents.rows_of(table, source)
        found[table.label] = sorted((_printed([row[index] for index in order]) for row in rows), key=repr)
    return found


def _printed(row: Iterable[Any]) -> Row:
    if POSTGRESQL:
        return tuple(None if value is None else str(value) for value in row)
    return tuple(repr(values.decode(value)) for value in row)
