"""A PostgreSQL session of our own. Every setting is local to its transaction, so that poolers do no harm."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, ClassVar

import orjson
import psycopg
from django.utils.translation import gettext as _

from ...errors import DatabaseFailed, Refused
from ..base import Connection, ForeignKey, KeyRange, LiveTable, Load, Piece, RawChunk, TableSpec
from . import catalog, keys, reading, replacing, statements
from .failures import failing_clearly, reading_clearly

# One meaning for every value's text, whatever the role or the database have set; no limits but our own.
SETTINGS = {
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "10s",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "array_nulls": "on",
    "jit": "off",  # it costs more than it saves on our long, simple statements
}
LOCK_ATTEMPTS = 6
UNFIT = (psycopg.DataError, psycopg.IntegrityError)  # a value that its column can't hold
RETRIED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.UndefinedTable)


class PostgresConnection(Connection):
    vendor: ClassVar[str] = "postgresql"
    placeholder: ClassVar[str] = "%s"

    def __init__(self, parameters: Mapping[str, Any], role: str | None = None) -> None:
        with failing_clearly():
            self._session = psycopg.connect(
                **{
                    **parameters,
                    "autocommit": True,
                    "prepare_threshold": None,
                    "client_encoding": "UTF8",
                    "application_name": "backup_center",
                }
            )
        self._role = role

    # What the tables are

    def server(self) -> dict[str, Any]:
        [(version, number, encoding, collation)] = self.query(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int,"
            " current_setting('server_encoding'), datcollate FROM pg_database WHERE datname = current_database()"
        )
        return {
            "version": version,
            "digests": f"postgresql-{number // 10000}/{statements.DIGEST_VERSION}",
            "encoding": encoding,
            "collation": collation,
        }

    def plain_tables(self) -> list[str]:
        return [name for (name,) in self.query(catalog.PLAIN_TABLES)]

    def describe(self, specs: Sequence[TableSpec]) -> tuple[list[LiveTable], dict[str, str]]:
        """Raises ``Refused`` for tables of which we would see a part only."""
        names = [catalog.regclass_text(spec.table) for spec in specs]
        relations = {row[0]: row[1:] for row in self.query(catalog.RELATIONS, [names])}
        columns: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
        for oid, *column in self.query(catalog.COLUMNS, [[relation[0] for relation in relations.values()]]):
            columns[oid].append(column)
        tables, missing = [], {}
        for spec, name in zip(specs, names, strict=True):
            if name not in relations:
                missing[spec.label] = _("the database has no such table")
                continue
            oid, kind, sql, owned, hidden, estimate, primary = relations[name]
            if reason := catalog.why_not_plain(kind):
                missing[spec.label] = reason
                continue
            if hidden:
                raise Refused(_hidden(sql))
            found, collations, digested = catalog.columns_of(spec, columns[oid])
            extra = catalog.Relation(oid, kind, owned, estimate, digested)
            tables.append(
                LiveTable(
                    label=spec.label, table=spec.table, sql=sql, columns=found, key=spec.key,
                    keyed=set(primary) == set(spec.key), collations=collations, extra=extra,
                )
            )  # fmt: skip
        return tables, missing

    def foreign_keys(self, tables: Sequence[LiveTable]) -> list[ForeignKey]:
        return [constraint.foreign_key for constraint in replacing.constraints(self, tables)]

    def sequences(self, table: LiveTable) -> dict[str, int]:
        rows = self.query(catalog.SEQUENCES, [table.extra.oid])
        return {column: last for column, _sequence, _increment, _most, _counts, last in rows if last is not None}

    # Reading

    @contextmanager
    def snapshot(self, specs: Sequence[TableSpec]) -> Iterator[None]:
        """DDL is locked out *before* the snapshot is taken: an older one reads 0 rows after another's TRUNCATE."""
        with self._transaction("REPEATABLE READ", specs, "ACCESS SHARE"):
            yield

    def chunks(self, table: LiveTable) -> Iterator[RawChunk]:
        with reading_clearly(table):
            yield from reading.read_chunks(self._session, table)

    def pieces(
        self,
        table: LiveTable,
        borders: Iterable[Sequence[Any]],
        wanted: Collection[int] | None = None,
        *,
        hashed: bool = False,
    ) -> Generator[Piece, None, None]:
        ends = list(borders)
        self.stage(statements.BORDERS, table, table.key, ends)
        with reading_clearly(table):
            yield from reading.read_pieces(self._session, table, wanted, len(ends), hashed=hashed)

    def beside(
        self, table: LiveTable, rows: Iterable[Sequence[Any]]
    ) -> Generator[tuple[list[list[Any]], list[list[Any]]], None, None]:
        self.stage(statements.BESIDE, table, table.names, rows)
        with reading_clearly(table):
            yield from reading.read_beside(self._session, table)

    def range_digests(
        self, table: LiveTable, borders: Iterable[Sequence[Any]], wanted: Collection[int] | None = None
    ) -> dict[int, tuple[int, int]]:
        ends = list(borders)
        self.stage(statements.BORDERS, table, table.key, ends)
        if wanted is None and statements.has_whole_numbers_for_keys(table):
            [(array,)] = self.query(f"SELECT ({statements.border_array()})::text")
            queries = [statements.all_range_digests(table, array)]
        else:
            queries = statements.range_digests(table, wanted, len(ends))
        return {number: (rows, int(total)) for query in queries for number, rows, total in self.query(query)}

    def count(self, table: LiveTable) -> int:
        [(rows,)] = self.query(f"SELECT count(*) FROM {statements.from_clause(table)}")
        return int(rows)

    def estimate(self, table: LiveTable) -> int:
        relation: catalog.Relation = table.extra
        return relation.estimate if relation.estimate > 0 else self.count(table)

    def digest(self, table: LiveTable) -> tuple[int, int] | None:
        digest = statements.row_digest(table)
        [(rows, total)] = self.query(
            f"SELECT count(*), coalesce(sum({digest}), 0)::text FROM {statements.from_clause(table)}"
        )
        return rows, int(total)

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with failing_clearly():
            return self._session.execute(sql, params or None).fetchall()

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        with failing_clearly():
            return self._session.execute(sql, params or None).rowcount

    def stage(self, name: str, like: LiveTable, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        listed = ", ".join(f"{catalog.quote(column)} AS c{index}" for index, column in enumerate(columns))
        self.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")
        self.execute(f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT {listed} FROM ONLY {like.sql} WITH NO DATA")
        self.stage_more(name, columns, rows)

    def stage_more(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        with (
            failing_clearly(),
            self._session.cursor() as cursor,
            cursor.copy(f"COPY pg_temp.{name} FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def within(self, table: LiveTable, part: KeyRange) -> tuple[str, Sequence[Any]]:
        return statements.within(self._session, table, part), ()

    # Single keys

    def asking(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        return self.snapshot(specs)

    def stored_key(self, table: LiveTable, values: Sequence[Any]) -> list[Any] | None:
        self.execute("SAVEPOINT key")
        try:
            self.stage(keys.KEY, table, table.key, [values])
        except (DatabaseFailed, UnicodeEncodeError) as error:
            if isinstance(error, DatabaseFailed) and not isinstance(error.__cause__, UNFIT):
                raise
            self.execute("ROLLBACK TO SAVEPOINT key")
            return None
        return self._rows(keys.stored_key(table))[0]

    def compared(self, table: LiveTable, key: Sequence[Any], others: Iterable[Sequence[Any]]) -> list[int]:
        self.stage(keys.KEY, table, table.key, [key])
        self.stage(keys.OTHERS, table, table.key, others)
        return [sign for (sign,) in self.query(keys.compared(table))]

    def rows_with_key(self, table: LiveTable, key: Sequence[Any]) -> list[list[Any]]:
        self.stage(keys.KEY, table, table.key, [key])
        with reading_clearly(table):
            return self._rows(keys.rows_with_key(table))

    def _rows(self, query: str) -> list[list[Any]]:
        with failing_clearly():
            return reading.read_rows(self._session, query)

    # Replacing

    @contextmanager
    def exclusive(self, specs: Sequence[TableSpec]) -> Iterator[None]:
        with self._transaction("READ COMMITTED", specs, "SHARE ROW EXCLUSIVE"):
            yield

    def notes(self, loads: Sequence[Load]) -> list[str]:
        return replacing.notes(self, loads)

    def replacing(self, loads: Sequence[Load]) -> AbstractContextManager[None]:
        return replacing.replacing(self, loads)

    def check_references(self, tables: Sequence[LiveTable]) -> list[str]:
        """Nothing to do: PostgreSQL itself checked each key when it was added again or when the checks were forced."""
        return []

    def raise_sequences(self, table: LiveTable, at_least: Mapping[str, int]) -> None:
        for column, sequence, increment, most, counts, _last in self.query(catalog.SEQUENCES, [table.extra.oid]):
            if increment < 0:
                continue  # it counts down: what it handed out is not below any key of ours
            found = [at_least.get(column)]
            if counts:
                found += self.query(f"SELECT max({catalog.quote(column)}) FROM {statements.from_clause(table)}")[0]
            floor = max((value for value in found if value is not None), default=None)
            if floor is not None:
                self.query(
                    f"SELECT setval(%s::text::regclass, %s) FROM {sequence.replace('%', '%%')}"
                    " WHERE last_value < %s OR (last_value = %s AND NOT is_called)",
                    [sequence, *[min(floor, most)] * 3],
                )

    def load_bodies(self, statement: str, load: Load) -> None:
        """COPY a load's chunks in; ids that mean something else here are mapped on the way."""
        maps = [(load.table.names.index(column), mapping) for column, mapping in load.maps.items()]
        with failing_clearly(), self._session.cursor() as cursor, cursor.copy(statement) as copy:
            for body in load.bodies:
                rows = orjson.loads(body)
                for index, mapping in maps:
                    for row in rows:
                        row[index] = mapping[row[index]]
                if rows:
                    copy.write(reading.to_copy(rows, escaped=b"\\" in body))

    def lock_fully(self, tables: Sequence[str]) -> None:
        """ACCESS EXCLUSIVE for the changes of structure; waits for readers that are still at it, a bounded time."""
        for name in tables:
            for attempt in range(LOCK_ATTEMPTS):
                self.execute("SAVEPOINT lock")
                try:
                    self._session.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
                    break
                except psycopg.errors.LockNotAvailable as error:
                    self.execute("ROLLBACK TO SAVEPOINT lock")
                    if attempt == LOCK_ATTEMPTS - 1:
                        raise DatabaseFailed(_locked(name)) from error

    def close(self) -> None:
        self._session.close()

    @contextmanager
    def _transaction(self, kind: str, specs: Sequence[TableSpec], mode: str) -> Iterator[None]:
        self._begin(kind, specs, mode)
        with failing_clearly():
            try:
                yield
                self._session.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):  # the session may be what failed
                    self._session.execute("ROLLBACK")
                raise

    def _begin(self, kind: str, specs: Sequence[TableSpec], mode: str) -> None:
        """BEGIN and the locks; tried again when a migration holds them or a table goes away in between."""
        for attempt in range(LOCK_ATTEMPTS):
            with failing_clearly():
                tables = self._lockable(specs)
                self._session.execute(f"BEGIN ISOLATION LEVEL {kind}")
                try:
                    if self._role:
                        self._session.execute(f"SET LOCAL ROLE {catalog.quote(self._role)}")
                    self._session.execute(
                        "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in SETTINGS.items())
                    )
                    if tables:
                        self._session.execute(f"LOCK TABLE {', '.join(tables)} IN {mode} MODE")
                    return
                except RETRIED as error:
                    self._session.execute("ROLLBACK")
                    if attempt == LOCK_ATTEMPTS - 1:
                        raise DatabaseFailed(_locked(str(error).splitlines()[0])) from error
                    time.sleep(0.2)
                except BaseException:
                    self._session.execute("ROLLBACK")
                    raise

    def _lockable(self, specs: Sequence[TableSpec]) -> list[str]:
        names = [catalog.regclass_text(spec.table) for spec in specs]
        rows = self.query(catalog.RELATIONS, [names])
        return [statements.named(row[3], row[2]) for row in rows if not catalog.why_not_plain(row[2])]


def _hidden(table: str) -> str:
    return _(
        "Row security hides rows of %(table)s from this database user. Use the table's owner or a user with BYPASSRLS."
    ) % {"table": table}


def _locked(what: str) -> str:
    return _(
        "The tables are locked by someone else, perhaps a migration (%(what)s). Nothing was changed; try again later."
    ) % {"what": what}
