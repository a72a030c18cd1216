"""Rows against rows: what a restore would add, change and remove, counted, with a few examples field by field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

import orjson

from .manifest import Table
from .selection import Picked, hashable

ADDED: Literal["added"] = "added"
CHANGED: Literal["changed"] = "changed"
REMOVED: Literal["removed"] = "removed"
KINDS = (ADDED, CHANGED, REMOVED)
EXAMPLES = 3  # of each kind, per table

Row = list[Any]
Pair = tuple[Row | None, Row | None]  # live, backup


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A column of a row, in chunks' values: as it is (``old``) and as it would be. ``masked``: neither is shown."""

    name: str
    old: Any
    new: Any
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row that a restore would add, change or remove. ``fields``: of a changed row only those that differ."""

    kind: str  # "added", "changed" or "removed"
    key: tuple[Any, ...]
    fields: tuple[FieldChange, ...]


class Pairing:
    """Tells which live row each row of a backup meets, range by range; only one chunk's rows are held at a time.

    Where ``only_added``, rows of the backup whose key is there already leave the live row alone, and none is removed.
    """

    def __init__(self, table: Table, *, only_added: bool, picked: Picked | None = None) -> None:
        self._picked = picked
        self._places = {name: index for index, name in enumerate(table.names)}
        self._positions = [table.names.index(name) for name in table.key]
        self._pick: Callable[[Row], Any] = itemgetter(*self._positions)
        self._only_added = only_added

    def pairs(self, backup: list[Row], live: Iterator[Row]) -> Iterator[Pair]:
        """What is not the same in one range, of the backup and live; each row with one of their keys is among them.

        Of a table of which only some rows were ``picked``, no others.
        """
        picked = self._picked
        for old, new in self._all(backup, live):
            if picked is None:
                yield old, new
            elif new is not None:
                outcome = picked.outcome(self.comparable(new), old, new, self._places)
                if outcome is not None:
                    yield old, outcome

    def _all(self, backup: list[Row], live: Iterator[Row]) -> Iterator[Pair]:
        if self._only_added:
            waiting = self._by_key(backup)
            for row in live:
                waiting.pop(self._hashable(row), None)
        else:
            backup, live = _unequal(backup, live)
            waiting = self._by_key(backup)
            yield from self._match(waiting, live)
        for rows in waiting.values():
            for row in rows:
                yield None, row

    def key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[position] for position in self._positions)

    def comparable(self, row: Row) -> tuple[Any, ...]:
        """Its key as ``Picked`` has it."""
        return hashable(self.key(row))

    def _by_key(self, rows: Iterable[Row]) -> defaultdict[Hashable, list[Row]]:
        found: defaultdict[Hashable, list[Row]] = defaultdict(list)
        for row in rows:
            found[self._hashable(row)].append(row)
        return found

    def _match(self, waiting: defaultdict[Hashable, list[Row]], live: Iterable[Row]) -> Iterator[Pair]:
        """Takes out of ``waiting`` what has a live row of its key; a key that a model only claims may repeat."""
        room = {key: len(rows) for key, rows in waiting.items()}
        others: defaultdict[Hashable, list[Row]] = defaultdict(list)
        for row in live:
            key = self._hashable(row)
            if key not in room:
                yield row, None
            elif not _take(waiting[key], row):
                # More than the backup has of this key find no partner, whatever comes.
                if len(others[key]) < room[key]:
                    others[key].append(row)
                else:
                    yield row, None
        for key, rows in others.items():
            for row in rows:
                yield row, waiting[key].pop(0) if waiting[key] else None

    def _hashable(self, row: Row) -> Hashable:
        key: Hashable = self._pick(row)  # of one column its value, of more a tuple
        try:
            hash(key)
        except TypeError:  # a tagged value (a blob, an infinity) is a dict
            parts = key if isinstance(key, tuple) else (key,)
            return tuple(tuple(part.items()) if isinstance(part, dict) else part for part in parts)
        return key


class Differences:
    """The differences of one table, counted, with a few examples of each kind. ``coming`` is told of all that comes."""

    def __init__(
        self,
        table: Table,
        *,
        only_added: bool,
        picked: Picked | None = None,
        coming: Callable[[Row], None] = lambda row: None,
    ) -> None:
        self._names, self._coming = table.names, coming
        self._pairing = Pairing(table, only_added=only_added, picked=picked)
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[RowChange]] = {kind: [] for kind in KINDS}

    @property
    def added(self) -> int:
        return self._counts[ADDED]

    @property
    def changed(self) -> int:
        return self._counts[CHANGED]

    @property
    def removed(self) -> int:
        return self._counts[REMOVED]

    @property
    def examples(self) -> tuple[RowChange, ...]:
        return tuple(example for kind in KINDS for example in self._examples[kind])

    def compare(self, backup: list[Row], live: Iterator[Row]) -> None:
        """As ``Pairing.pairs``."""
        for old, new in self._pairing.pairs(backup, live):
            kind = ADDED if old is None else REMOVED if new is None else CHANGED
            self._counts[kind] += 1
            if new is not None:
                self._coming(new)
            row = new if old is None else old
            if row is not None and len(self._examples[kind]) < EXAMPLES:
                fields = tuple(self._fields(old, new))
                self._examples[kind].append(RowChange(kind=kind, key=self._pairing.key(row), fields=fields))

    def _fields(self, old: Row | None, new: Row | None) -> Iterator[FieldChange]:
        for index, name in enumerate(self._names):
            was, becomes = (None if row is None else row[index] for row in (old, new))
            if old is None or new is None or not _same([was], [becomes]):
                yield FieldChange(name=name, old=was, new=becomes)


def _unequal(backup: list[Row], live: Iterator[Row]) -> tuple[list[Row], Iterator[Row]]:
    """Without what is equal place by place: nearly all, where rows were only changed. Keys are found for the rest."""
    kept: list[Row] = []
    others: list[Row] = []
    for index, row in enumerate(backup):
        other = next(live, None)
        if other is None:
            return kept + backup[index:], iter(others)
        if not _same(row, other):
            kept.append(row)
            others.append(other)
    return kept, chain(others, live)


def _take(rows: list[Row], row: Row) -> bool:
    """Remove one that is equal from ``rows``, if there is one."""
    for index, other in enumerate(rows):
        if _same(other, row):
            del rows[index]
            return True
    return False


def _same(one: Row, other: Row) -> bool:
    """Python calls 1 and 1.0 equal, and 0.0 and -0.0; JSON doesn't."""
    if one != other:
        return False
    return (float not in map(type, one) and float not in map(type, other)) or orjson.dumps(one) == orjson.dumps(other)
