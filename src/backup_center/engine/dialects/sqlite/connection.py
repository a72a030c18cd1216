"""A SQLite connection of our own."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from ... import values
from ...errors import DatabaseFailed, Refused
from ...values import encode_key
from ..base import Connection, ForeignKey, KeyRange, LiveTable, Load, Piece, RawChunk, TableSpec
from . import catalog, keys, reading, replacing

BUSY_SECONDS = 10
CACHE_KIB = 48 * 1024

# Opens a database file with whatever functions and collations its schema uses; in autocommit, without type detection.
Opener = Callable[[Path], sqlite3.Connection]


class SqliteConnection(Connection):
    vendor: ClassVar[str] = "sqlite"
    placeholder: ClassVar[str] = "?"

    def __init__(self, path: Path, opener: Opener) -> None:
        self._path, self._opener = path, opener
        with failing_clearly():
            self._session = self._open(path)

    # What the tables are

    def server(self) -> dict[str, Any]:
        [(encoding,)] = self.query("PRAGMA encoding")
        return {"version": sqlite3.sqlite_version, "digests": None, "encoding": encoding, "collation": "BINARY"}

    def plain_tables(self) -> list[str]:
        with failing_clearly():
            return catalog.plain_tables(self._session)

    def describe(self, specs: Sequence[TableSpec]) -> tuple[list[LiveTable], dict[str, str]]:
        with failing_clearly():
            return catalog.describe(self._session, specs)

    def foreign_keys(self, tables: Sequence[LiveTable]) -> list[ForeignKey]:
        with failing_clearly():
            return catalog.foreign_keys(self._session, tables)

    def sequences(self, table: LiveTable) -> dict[str, int]:
        with failing_clearly():
            value = catalog.generator(self._session, table)
        return {} if value is None else {table.key[0]: value}

    # Reading

    @contextmanager
    def snapshot(self, specs: Sequence[TableSpec]) -> Iterator[None]:
        """WAL readers disturb nobody. In other journal modes they hold up writers, so a copy of the pages is read."""
        [(mode,)] = self.query("PRAGMA journal_mode")
        if mode == "wal":
            with self._transaction("BEGIN"):
                self.query("SELECT count(*) FROM sqlite_master")  # a deferred BEGIN sees what its first query sees
                yield
            return
        copy = self._path.with_name(self._path.name + ".backup-copy")
        live = self._session
        with failing_clearly():
            self._session = self._copy_pages(copy)
        try:
            yield
        finally:
            self._session.close()
            self._session = live
            copy.unlink(missing_ok=True)

    def chunks(self, table: LiveTable) -> Iterator[RawChunk]:
        with failing_clearly():
            yield from reading.read_chunks(self._session, table)

    def pieces(
        self,
        table: LiveTable,
        borders: Iterable[Sequence[Any]],
        wanted: Collection[int] | None = None,
        *,
        hashed: bool = False,
    ) -> Generator[Piece, None, None]:
        with failing_clearly():
            yield from reading.read_pieces(self._session, table, borders, wanted)

    def beside(
        self, table: LiveTable, rows: Iterable[Sequence[Any]]
    ) -> Generator[tuple[list[list[Any]], list[list[Any]]], None, None]:
        with failing_clearly():
            yield from reading.read_beside(self._session, table, rows)

    def range_digests(
        self, table: LiveTable, borders: Iterable[Sequence[Any]], wanted: Collection[int] | None = None
    ) -> dict[int, tuple[int, int]]:
        return {}

    def count(self, table: LiveTable) -> int:
        [(rows,)] = self.query(f"SELECT count(*) FROM {table.sql}")
        return int(rows)

    def digest(self, table: LiveTable) -> tuple[int, int] | None:
        return None

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with failing_clearly():
            return self._session.execute(sql, params).fetchall()

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        with failing_clearly():
            return self._session.execute(sql, params).rowcount

    def stage(self, name: str, like: LiveTable, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        types = {column.name: column.type for column in like.columns}
        listed = ", ".join(f"c{index} {types[column]}" for index, column in enumerate(columns))
        self.execute(f"DROP TABLE IF EXISTS temp.{name}")
        self.execute(f"CREATE TEMP TABLE {name} ({listed})")
        self.stage_more(name, columns, rows)

    def stage_more(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        marks = ", ".join("?" for _column in columns)
        with failing_clearly():
            self._session.executemany(
                f"INSERT INTO temp.{name} VALUES ({marks})",
                ([values.decode(value) for value in row] for row in rows),
            )

    def within(self, table: LiveTable, part: KeyRange) -> tuple[str, Sequence[Any]]:
        return reading.within(table, part)

    # Single keys

    def asking(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """No transaction: in some journal modes it would hold up writers."""
        return nullcontext()

    def stored_key(self, table: LiveTable, values: Sequence[Any]) -> list[Any] | None:
        try:
            self.stage(keys.KEY, table, table.key, [values])
        except (OverflowError, UnicodeEncodeError):
            return None
        [key] = self.query(f"SELECT * FROM temp.{keys.KEY}")
        return encode_key(key)

    def compared(self, table: LiveTable, key: Sequence[Any], others: Iterable[Sequence[Any]]) -> list[int]:
        with failing_clearly():
            return keys.compared(self._session, table, key, others)

    def rows_with_key(self, table: LiveTable, key: Sequence[Any]) -> list[list[Any]]:
        with failing_clearly():
            return keys.rows_with_key(self._session, table, key)

    # Replacing

    @contextmanager
    def exclusive(self, specs: Sequence[TableSpec]) -> Iterator[None]:
        self.execute("PRAGMA foreign_keys = OFF")  # inside a transaction this would do nothing
        self.execute("PRAGMA synchronous = FULL")
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    def notes(self, loads: Sequence[Load]) -> list[str]:
        return replacing.notes(loads)

    @contextmanager
    def replacing(self, loads: Sequence[Load]) -> Iterator[None]:
        with failing_clearly(), replacing.replacing(self._session, loads):
            yield

    def check_references(self, tables: Sequence[LiveTable]) -> list[str]:
        keys = self.foreign_keys(tables)
        with failing_clearly():
            found = replacing.dangling(self._session, keys)
        if found:
            found -= self._dangling_before(keys)
        return [
            _("%(child)s refers to %(row)s of %(parent)s, which does not exist.")
            % {"child": child, "row": row, "parent": parent}
            for child, row, parent in sorted(found)
        ]

    def raise_sequences(self, table: LiveTable, at_least: Mapping[str, int]) -> None:
        with failing_clearly():
            replacing.raise_generator(self._session, table, next(iter(at_least.values()), None))

    def close(self) -> None:
        self._session.close()

    def _open(self, path: Path) -> sqlite3.Connection:
        with ExitStack() as undo:
            session = self._opener(path)
            undo.callback(session.close)
            session.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
            session.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            undo.pop_all()
        return session

    def _dangling_before(self, keys: Sequence[ForeignKey]) -> set[tuple[str, str, str]]:
        """The same check on what is committed, through a second connection: our own changes are not visible there."""
        # A database that lets nobody read now (no WAL) leaves the answer empty: all that was found counts as new.
        with suppress(sqlite3.OperationalError):
            other = self._open(self._path)
            try:
                return replacing.dangling(other, keys)
            finally:
                other.close()
        return set()

    def _copy_pages(self, copy: Path) -> sqlite3.Connection:
        copy.unlink(missing_ok=True)
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with ExitStack() as undo:
            undo.callback(copy.unlink, missing_ok=True)
            target = self._open(copy)
            undo.callback(target.close)
            self._session.backup(target)
            undo.pop_all()
        return target

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self.execute(begin)
        with failing_clearly():
            try:
                yield
                self._session.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite rolls back by itself on a full disk
                    self._session.execute("ROLLBACK")
                raise


@contextmanager
def failing_clearly() -> Iterator[None]:
    """The driver's errors as ours."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Refused(_("SQLite refused a row (%(error)s); nothing was changed.") % {"error": error}) from error
    except sqlite3.Error as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise DatabaseFailed(
                _("The database is locked by another writer. Nothing was changed; try again later.")
            ) from error
        raise DatabaseFailed(_("SQLite: %(error)s.") % {"error": text}) from error
