"""Put a backup's rows back, in one transaction: everything that was selected, or nothing."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial

from django.utils.translation import gettext as _

from . import backup, changes, chunks, compare, parents, ranges, replacements, verify
from .backup import BackupRequest
from .chunks import Chunk
from .compare import Plan, Progress
from .dialects.base import Connection, Load
from .errors import Damaged, ReferencesInTheWay
from .manifest import Manifest
from .references import Nulling, broken_references, left_behind
from .replacements import Replacement, Way
from .selection import Selection, digest_of, digests_compare, match
from .sidecar import Sidecar
from .sources import Source
from .threads import partner

EMPTY = b"[]"
AHEAD = 4  # chunks read and unpacked before the database asks for them


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """``safety``: the backup to take of what will be replaced, under the same locks. ``source`` has its chunks,
    and the vault for the safety backup.

    ``after_load`` runs when the rows are in place; ``guard`` last before COMMIT, and raises if we may not commit.
    """

    sidecar: Sidecar
    selection: Selection
    source: Source
    safety: BackupRequest | None = None
    after_load: Callable[[Connection], None] = field(default=lambda connection: None)
    guard: Callable[[Connection], None] = field(default=lambda connection: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """Per table label the rows that are as in the backup now (of a table only added to: that came), and the safety
    backup's sidecar. ``written``: how many rows that took, in the tables that differed; ``left_out``: of the rows
    related to a record those that could not come, in words.
    """

    rows: Mapping[str, int]
    written: Mapping[str, int]
    safety: Sidecar | None
    left_out: tuple[str, ...] = ()


def preview(
    request: RestoreRequest,
    connection: Connection,
    progress: Progress = lambda phase, done, total: None,
) -> Plan:
    """What ``apply`` would do. Advisory: ``apply`` looks again under its locks."""
    with connection.snapshot(request.selection.specs):
        return compare.make_plan(request.selection, connection, request.source, progress)


def apply(request: RestoreRequest, connection: Connection, progress: Progress) -> RestoreResult:
    """Replace the selected tables' rows. Raises, and leaves everything as it was, unless all of it succeeds."""
    verify.require_whole(request.sidecar, request.source)
    try:
        return _apply(request, connection, progress)
    except ReferencesInTheWay:
        # The database found it and rolled back; the plan knows the tables' and data types' names.
        found = [str(problem) for problem in preview(request, connection).references]
        if found:
            raise ReferencesInTheWay(_("Rows would point to nothing; nothing was changed."), found) from None
        raise


def _apply(request: RestoreRequest, connection: Connection, progress: Progress) -> RestoreResult:
    source = request.source
    selection = request.selection
    with connection.exclusive(selection.specs):
        live = match(selection, connection)
        passing, safety = changes.Passing(selection, source), None
        if request.safety is not None:
            ordered = request.safety
            if ordered.parent is not None and ordered.parent.id == selection.manifest.id:
                ordered = replace(ordered, watch=passing.watch)
            safety = backup.write(ordered, connection, source.vault, partial(_phase, progress, "safety"))
        progress("compare", 0, 0)
        found = replacements.find(selection, connection, live, safety.manifest if safety else None, guess=True)
        settled = parents.settle(selection, connection, found, source)
        if settled.broken:
            raise ReferencesInTheWay(_("Rows would point to nothing; nothing was changed."))
        found = settled.found
        nulled = [] if selection.picked else _mend_references(selection, connection, found, source)
        result = _Replacing(request, connection, found, nulled, passing, progress).run()
        dangling = connection.check_references(list(live.values()))
        if dangling:
            raise ReferencesInTheWay(_("Rows would point to nothing; nothing was changed."), dangling)
        request.guard(connection)
    return replace(result, safety=safety, left_out=tuple(settled.left_out))


def _phase(progress: Progress, phase: str, _label: str, done: int, total: int, _size: int) -> None:
    progress(phase, done, total)


def _mend_references(
    selection: Selection, connection: Connection, found: Sequence[Replacement], source: Source
) -> list[Nulling]:
    """The references to be emptied. Raises ``ReferencesInTheWay`` where rows would be left behind.

    That is cheap to find now; that the restored rows find their parents, the database itself checks when they are in
    place, unless they are not even meant to.
    """
    look = broken_references if selection.set_null else left_behind
    broken = look(selection, connection, found, source)
    if any(reference.nulling is None for reference in broken):
        raise ReferencesInTheWay(_("Rows would point to nothing; nothing was changed."))
    return [reference.nulling for reference in broken if reference.nulling is not None]


class _Replacing:
    """One restore's writes: what differs is staged first, then all of it is put in place, and looked at again."""

    def __init__(
        self,
        request: RestoreRequest,
        connection: Connection,
        found: Sequence[Replacement],
        nulled: Sequence[Nulling],
        passing: changes.Passing,
        progress: Progress,
    ) -> None:
        self.request, self.connection, self.source, self.progress = request, connection, request.source, progress
        self.found, self.nulled, self.passing = found, nulled, passing
        self.manifest, self.maps = request.selection.manifest, request.selection.maps
        self.counter = _Counter(progress, sum(each.rows for each in found if each.way is not Way.ROWS))
        self.hashed = not digests_compare(self.manifest, connection)
        self.sources: dict[str, _Loaded] = {}

    def run(self) -> RestoreResult:
        added_to = [each for each in self.found if each.way is Way.ADD]
        before = {each.table.label: self.connection.count(each.live) for each in added_to}
        loads = self._loads()
        with self.connection.replacing([*loads.values(), *self._only_nulled()]):
            for each in self.found:
                self._check(each)
            for each in self.found:  # before anything else is given a number
                self.connection.raise_sequences(each.live, each.table.sequences)
            for nulling in self.nulled:
                nulling.apply(self.connection)
            self.request.after_load(self.connection)
        added = {each.table.label: self.connection.count(each.live) - before[each.table.label] for each in added_to}
        written = {label: load.staged.rows if load.staged else load.rows for label, load in loads.items()}
        return RestoreResult(
            rows={each.table.label: self._rows(each, written) for each in self.found} | added,
            written={**written, **added},
            safety=None,
        )

    def _rows(self, each: Replacement, written: Mapping[str, int]) -> int:
        return each.table.rows if each.picked is None else written.get(each.table.label, 0)

    def _loads(self) -> dict[str, Load]:
        """Of the tables that differ at all."""
        loads = {}
        for number, each in enumerate(self.found):
            label = each.table.label
            if not each.ranges:
                continue
            if each.way is Way.ROWS:
                staged = changes.stage(each, number, self.connection, self.source, self.passing.found(label))
                loads[label] = each.load(staged=staged)
            else:
                source = _Loaded(each, self.manifest, self.source, self.counter, hashed=self.hashed)
                self.sources[label] = source
                loads[label] = each.load(bodies=source, maps=self.maps.get(label, {}))
        return loads

    def _only_nulled(self) -> Iterator[Load]:
        """Tables that only lose references: the host's triggers must not fire there either."""
        loaded = {each.live.sql for each in self.found if each.ranges}
        for table in {nulling.child.sql: nulling.child for nulling in self.nulled}.values():
            if table.sql not in loaded:
                yield Load(table=table, rows=0, add=True)

    def _check(self, each: Replacement) -> None:
        """What is in the table now is what the backup holds: the rows that differed, or all of a table loaded whole."""
        if each.way is Way.ADD or each.table.label in self.maps or not each.ranges:
            return  # rows of ours stand among others, or were changed on purpose, or nothing was done
        self.progress("check", 0, self.counter.total)
        if each.way is Way.ROWS:
            right = self._is_as_written(each) or not changes.are_left(each, self.connection, self.source)
        else:
            right = _is_loaded(each, self.sources[each.table.label], self.connection)
        if not right:
            raise Damaged(
                _("%(table)s did not arrive as it was backed up; nothing was changed.") % {"table": each.table.label}
            )

    def _is_as_written(self, each: Replacement) -> bool:
        """Quickly: by digests, or byte for byte. Other bytes may still be the same values."""
        if each.picked is not None:
            return False
        differ = ranges.differing_among(each.ranges, each.table, each.live, self.connection, hashed=not self.hashed)
        return not differ


class _Counter:
    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, rows: int) -> None:
        self.done += rows
        self.progress("load", self.done, self.total)


class _Loaded:
    """A table's chunks on their way into the database, unpacked ahead in a thread; ``hashed`` as they pass."""

    def __init__(
        self, each: Replacement, manifest: Manifest, source: Source, counter: _Counter, *, hashed: bool
    ) -> None:
        self.table, self.numbers = each.table, each.ranges
        self.manifest, self.source, self.counter = manifest, source, counter
        self.hash = hashlib.sha256() if hashed else None
        if each.way is Way.WHOLE:
            self.numbers = range(len(each.table.chunks))

    def __iter__(self) -> Iterator[bytes]:
        pending: deque[tuple[int, Future[bytes]]] = deque()
        with partner("restore-unpack") as unpacker:
            for number in self.numbers:
                chunk = self.table.chunks[number]
                pending.append((chunk.rows, unpacker.submit(self._read, number, chunk)))
                if len(pending) > AHEAD:
                    yield self._next(pending)
            while pending:
                yield self._next(pending)

    def _read(self, index: int, chunk: Chunk) -> bytes:
        name = chunks.entry_name(self.table.label, index)
        body = self.source.body(chunk, name)
        if self.hash is not None:
            _feed(self.hash, body)
        return body

    def _next(self, pending: deque[tuple[int, Future[bytes]]]) -> bytes:
        rows, future = pending.popleft()
        body = future.result()
        self.counter.add(rows)
        return body


def _is_loaded(each: Replacement, loaded: _Loaded, connection: Connection) -> bool:
    """By the database's digests, or by reading all of it again."""
    if loaded.hash is None:
        return connection.digest(each.live) == (each.table.rows, digest_of(each.table))
    again = hashlib.sha256()
    for raw in connection.chunks(each.live):
        _feed(again, raw.body)
    return again.digest() == loaded.hash.digest()


def _feed(digest: hashlib._Hash, body: bytes) -> None:
    """A digest over rows, wherever the chunks are cut."""
    if body != EMPTY:
        digest.update(body[1:-1])
        digest.update(b",")
