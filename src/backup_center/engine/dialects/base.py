"""What the engine needs of a database, as facts (dataclasses) and as one connection class per vendor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, ClassVar, Self

CHUNK_ROWS = 500
CHUNK_BYTES = 128 * 1024

# From here on, loading a table whole (emptied, indexes rebuilt) beats deleting and inserting its rows.
WHOLE_LOAD_ROWS = 50_000


def is_large(rows: int) -> bool:
    return rows > WHOLE_LOAD_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A stored column. ``type`` is the database's own word; ``field`` Django's internal type where a model knows it."""

    name: str
    type: str
    field: str | None
    null: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """A table that the caller wants: its model's label, its name as Django quotes it, what the models know of it."""

    label: str
    table: str
    data_type: str
    key: tuple[str, ...]
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTable:
    """A table as the database has it now. ``sql`` is its quoted, qualified name.

    ``keyed``: the key is the database's own primary key, so it neither repeats nor is NULL, and finds rows quickly.
    """

    label: str
    table: str
    sql: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    keyed: bool
    collations: Mapping[str, str] = field(default_factory=dict)
    extra: Any = None  # what its own dialect keeps of it

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A constraint in the database, from ``child`` to ``parent``; both by their quoted SQL names."""

    name: str
    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawChunk:
    """A range of rows, read: JSON, number of rows, last key (as it stands in a manifest), the database's digest."""

    body: bytes
    rows: int
    last: list[Any] | None
    digest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some rows of one key range, in key order, as JSON. A range comes in as many pieces as it takes, or in none.

    ``first`` and ``last``: their keys' ends. ``digest``: the sum of their digests, where the database has them.
    """

    range: int
    body: bytes
    rows: int
    first: list[Any]
    last: list[Any]
    digest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """Keys above ``after`` up to ``upto``, as they stand in a manifest; ``None``: without that end."""

    after: Sequence[Any] | None
    upto: Sequence[Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Changes of one table that wait in temporary tables: keys of rows that go, rows that come.

    All rows in the ranges ``emptied`` go too. ``rows``: how many come.
    """

    gone: str
    come: str
    rows: int
    emptied: tuple[KeyRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is done to one table: ``staged`` changes, or else ``bodies`` (chunks' JSON, read once) are loaded.

    ``add`` only brings rows whose key is not there; otherwise the rows of ``bodies`` replace all that are there.
    """

    table: LiveTable
    rows: int
    add: bool = False
    bodies: Iterable[bytes] = ()
    maps: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)  # column → old id → new id
    staged: Staged | None = None

    @property
    def empties(self) -> bool:
        """The table is emptied first."""
        return not self.add and self.staged is None


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each group of neighbours."""
    for _gap, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        found = [number for _index, number in group]
        yield found[0], found[-1]


def key_range(borders: Sequence[Sequence[Any]], first: int, last: int) -> KeyRange:
    """From the range ``first`` to the range ``last`` of those that the borders divide a table into."""
    return KeyRange(
        after=borders[first - 1] if first else None,
        upto=borders[last] if last < len(borders) else None,
    )


class Connection(ABC):
    """An engine connection: our own, never Django's; one transaction, for reading or for replacing."""

    vendor: ClassVar[str]
    placeholder: ClassVar[str]

    # What the tables are

    @abstractmethod
    def server(self) -> dict[str, Any]:
        """Version, encoding and the like: facts for the manifest."""

    @abstractmethod
    def plain_tables(self) -> list[str]:
        """All tables that hold rows, by name."""

    @abstractmethod
    def describe(self, specs: Sequence[TableSpec]) -> tuple[list[LiveTable], dict[str, str]]:
        """The specs' tables that exist, and for each label that can't be read as a table the reason."""

    @abstractmethod
    def foreign_keys(self, tables: Sequence[LiveTable]) -> list[ForeignKey]:
        """Every foreign key out of or into these tables."""

    @abstractmethod
    def sequences(self, table: LiveTable) -> dict[str, int]:
        """The last value that each column's generator handed out."""

    # Reading

    @abstractmethod
    def snapshot(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """A read transaction that sees one moment of these tables, whatever others write."""

    @abstractmethod
    def chunks(self, table: LiveTable) -> Iterator[RawChunk]:
        """All rows in key order, cut into chunks; none for an empty table."""

    @abstractmethod
    def pieces(
        self,
        table: LiveTable,
        borders: Iterable[Sequence[Any]],
        wanted: Collection[int] | None = None,
        *,
        hashed: bool = False,
    ) -> Generator[Piece, None, None]:
        """The rows of the key ranges that ``borders`` (the last keys of all ranges but the last) divide the table into.

        In the database's own order, whatever the keys' types and collations; NULLs are where it sorts them. ``wanted``:
        the numbers of the ranges to read, in order, from 0; all without it. ``hashed``: with digests, where the
        database has them; nobody else shall wait for them.
        """

    @abstractmethod
    def range_digests(
        self, table: LiveTable, borders: Iterable[Sequence[Any]], wanted: Collection[int] | None = None
    ) -> dict[int, tuple[int, int]]:
        """As ``digest``, for each of these ranges that has rows; only asked where ``digest`` answers."""

    @abstractmethod
    def beside(
        self, table: LiveTable, rows: Iterable[Sequence[Any]]
    ) -> Generator[tuple[list[list[Any]], list[list[Any]]], None, None]:
        """These rows and the live ones, both as in chunks, slice by slice: all of one key are in the same slice.

        In the order of the keys' bytes: for keys that the database doesn't sort any more as these rows are sorted.
        """

    @abstractmethod
    def count(self, table: LiveTable) -> int: ...

    def estimate(self, table: LiveTable) -> int:
        """About how many rows; what progress is measured against."""
        return self.count(table)

    @abstractmethod
    def digest(self, table: LiveTable) -> tuple[int, int] | None:
        """Rows and the sum of their digests, computed inside the database; ``None`` where it can't."""

    @abstractmethod
    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows that it changed."""

    @abstractmethod
    def stage(self, name: str, like: LiveTable, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Make a temporary table ``name`` (columns ``c0``, ``c1`` …, typed like ``columns``) of chunk values."""

    @abstractmethod
    def stage_more(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """More rows into a table that ``stage`` made of these columns."""

    @abstractmethod
    def within(self, table: LiveTable, part: KeyRange) -> tuple[str, Sequence[Any]]:
        """SQL for "the key lies in this range", as the database sorts, and its parameters. Only for keyed tables."""

    # Single keys

    @abstractmethod
    def asking(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """For a few quick questions about these tables; what follows is only asked inside."""

    @abstractmethod
    def stored_key(self, table: LiveTable, values: Sequence[Any]) -> list[Any] | None:
        """A key as its columns would store it and as it stands in chunks; ``None`` if they can't hold it.

        ``values``: as they stand in chunks, or as Django would send them.
        """

    @abstractmethod
    def compared(self, table: LiveTable, key: Sequence[Any], others: Iterable[Sequence[Any]]) -> list[int]:
        """For each of these keys whether the table sorts it before ``key`` (-1), equals it (0) or after it (1)."""

    @abstractmethod
    def rows_with_key(self, table: LiveTable, key: Sequence[Any]) -> list[list[Any]]:
        """The live rows with this key, as in chunks: one or none, but for keys that a model only claims."""

    # Replacing

    @abstractmethod
    def exclusive(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """A write transaction; others can read these tables, not write them. Commits when the block ends well."""

    @abstractmethod
    def notes(self, loads: Sequence[Load]) -> list[str]:
        """What replacing will do to others (tables locked, triggers kept from firing …), in words for people."""

    @abstractmethod
    def replacing(self, loads: Sequence[Load]) -> AbstractContextManager[None]:
        """Put the rows in place, then run the block, then mend what was taken down (indexes, keys, triggers).

        All that goes is gone before anything comes. The host's triggers don't fire.
        """

    @abstractmethod
    def check_references(self, tables: Sequence[LiveTable]) -> list[str]:
        """References from or into these tables that point to nothing and did not before; one line each."""

    @abstractmethod
    def raise_sequences(self, table: LiveTable, at_least: Mapping[str, int]) -> None:
        """Set each generator to the highest of its own value, ``at_least`` and the highest key; never lower."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
