"""Single rows that come back, and what they refer to: a row whose parent is gone can't come.

One that was asked for stands in the way of all; one that was only related is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from . import changes
from .dialects.base import Connection, ForeignKey, LiveTable
from .references import EXAMPLES, STAGED, BrokenReference, equal
from .replacements import Replacement
from .selection import Key, Picked, Selection, hashable
from .sources import Source

COMING = "backup_center_coming"


@dataclass(slots=True)
class Settled:
    """What can come. ``broken``: rows that were asked for and can't; ``left_out``: what stays away, in words."""

    found: list[Replacement]
    broken: list[BrokenReference] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def settle(selection: Selection, connection: Connection, found: Sequence[Replacement], source: Source) -> Settled:
    """Takes rows out until all that is left refers to what is there or comes too."""
    if not selection.picked:
        return Settled(found=list(found))
    references = connection.foreign_keys([each.live for each in found])
    coming = _Coming(found, connection, source)
    lost: dict[tuple[str, str], _Orphans] = {}  # by child and parent
    while orphans := list(coming.orphans(references)):
        for some in orphans:
            coming.drop(some)
            lost.setdefault((some.child.live.sql, some.parent), replace(some, keys={})).keys.update(some.keys)
    settled = Settled(found=[replace(each, picked=coming.left(each)) for each in found])
    if lost:
        known, _missing = connection.describe(selection.known)
        names = {table.sql: table.label for table in known}
        for some in lost.values():
            _tell(some, names.get(some.parent, some.parent), settled)
    return settled


@dataclass(frozen=True, slots=True, kw_only=True)
class _Orphans:
    """Rows of one table, by their keys, with the values through which they refer to rows that are gone."""

    child: Replacement
    parent: str  # its SQL name
    keys: dict[Key, Key]


class _Coming:
    """The rows that are about to come, by table."""

    def __init__(self, found: Sequence[Replacement], connection: Connection, source: Source) -> None:
        self.connection = connection
        self.tables = {each.live.sql: each for each in found}
        self.rows = {each.live.sql: changes.coming(each, connection, source) for each in found}
        self.dropped: defaultdict[str, set[Key]] = defaultdict(set)

    def orphans(self, references: Sequence[ForeignKey]) -> Iterator[_Orphans]:
        for reference in references:
            child = self.tables.get(reference.child)
            if child is None:
                continue
            referring = {
                key: value
                for key, row in self.rows[reference.child].items()
                if None not in (value := _values(child.live, row, reference.columns))
            }
            gone = self._gone(
                reference, child.live, list({hashable(value): value for value in referring.values()}.values())
            )
            if found := {key: value for key, value in referring.items() if hashable(value) in gone}:
                yield _Orphans(child=child, parent=reference.parent, keys=found)

    def drop(self, orphans: _Orphans) -> None:
        self.dropped[orphans.child.live.sql].update(orphans.keys)
        for key in orphans.keys:
            self.rows[orphans.child.live.sql].pop(key, None)

    def left(self, each: Replacement) -> Picked | None:
        return each.picked.without(self.dropped[each.live.sql]) if each.picked else None

    def _gone(self, reference: ForeignKey, child: LiveTable, values: list[Key]) -> set[Key]:
        """Those of the values that neither live nor come. The database compares: it knows what it calls equal."""
        parent = self.tables.get(reference.parent)
        if parent is not None:
            rows = self.rows[reference.parent].values()
            columns = reference.parent_columns
            self.connection.stage(COMING, parent.live, columns, [_values(parent.live, row, columns) for row in rows])
        suspects, gone = [values], set[Key]()
        while suspects:  # halved until each value that is gone stands alone
            some = suspects.pop()
            if not some or not self._any_gone(reference, child, some, comes=parent is not None):
                continue
            if len(some) == 1:
                gone.add(hashable(some[0]))
            else:
                suspects += [some[: len(some) // 2], some[len(some) // 2 :]]
        return gone

    def _any_gone(self, reference: ForeignKey, child: LiveTable, values: Sequence[Key], *, comes: bool) -> bool:
        self.connection.stage(STAGED, child, reference.columns, values)
        staged = [f"c{index}" for index in range(len(reference.columns))]
        lives = equal("p", reference.parent_columns, "r", staged)
        gone = f"NOT EXISTS (SELECT 1 FROM {reference.parent} p WHERE {lives})"  # noqa: S608
        if comes:
            gone += f" AND NOT EXISTS (SELECT 1 FROM {COMING} p WHERE {equal('p', staged, 'r', staged)})"  # noqa: S608
        return bool(self.connection.query(f"SELECT 1 FROM {STAGED} r WHERE {gone} LIMIT 1"))  # noqa: S608


def _tell(orphans: _Orphans, parent: str, settled: Settled) -> None:
    child, picked = orphans.child.table.label, orphans.child.picked
    asked = picked.replaced if picked else frozenset()
    if wanted := [value for key, value in orphans.keys.items() if key in asked]:
        settled.broken.append(
            BrokenReference(
                child=child,
                parent=parent,
                rows=len(wanted),
                examples=_examples(wanted),
                add_types=(),
                child_stays=False,
                nullable=False,
                single=True,
            )
        )
    if related := [key for key in orphans.keys if key not in asked]:
        text = _("%(rows)d rows of %(child)s are left out (%(keys)s): they refer to rows of %(parent)s that are gone.")
        facts = {"rows": len(related), "child": child, "keys": ", ".join(_examples(related)), "parent": parent}
        settled.left_out.append(text % facts)


def _examples(keys: Collection[Key]) -> tuple[str, ...]:
    return tuple(",".join(map(str, key)) for key in islice(keys, EXAMPLES))


def _values(live: LiveTable, row: Sequence[Any], columns: Sequence[str]) -> Key:
    return tuple(row[live.names.index(column)] for column in columns)
