"""SQLite stores classes, not types, in whatever kind of table and file: values come back in the class that they had."""

import math
import sqlite3
import tracemalloc
from itertools import pairwise

import orjson
import pytest
from django.conf import settings
from django.db import connection, connections

from backup_center.engine.dialects.base import Load, TableSpec
from backup_center.engine.dialects.sqlite import replacing
from backup_center.engine.dialects.sqlite.connection import SqliteConnection
from backup_center.engine.errors import NotExact, Unsupported
from backup_center.services.connecting import engine_connection
from tests.conftest import raw_rows
from tests.zoo.models import Texts

if settings.ON_POSTGRESQL:
    pytest.skip("SQLite only", allow_module_level=True)

pytestmark = pytest.mark.django_db(transaction=True)

LEGACY = TableSpec(label="zoo.legacy", table="legacy", data_type="ZOO", key=("id",))
VALUES = (
    "1",
    "1.0",
    "1.5",
    "'1'",
    "'1.0'",
    "x'00ff'",
    "NULL",
    "''",
    "9e999",
    "-9e999",
    "9223372036854775807",
    "0.1",
    "'x'",
)
VALUES += ("1e300", "-0.0", "cast(x'610062' AS text)", "1e15", "123456789012345678")


def test_any_class_in_any_column(schema, comes_back):
    kinds = (
        "integer",
        "text",
        "real",
        "numeric",
        "blob",
        "",
        "boolean",
        "varchar(3)",
        '"a b"',
        "decimal(3, 1)",
        "datetime",
    )
    schema(
        f"CREATE TABLE legacy (id integer PRIMARY KEY, {', '.join(f'c{i} {kind}' for i, kind in enumerate(kinds))})",
        *(f"INSERT INTO legacy VALUES (NULL, {', '.join([value] * len(kinds))})" for value in VALUES),
    )
    comes_back()


@pytest.mark.parametrize("options", ["WITHOUT ROWID", "STRICT", "STRICT, WITHOUT ROWID"])
def test_tables_with_options(options, schema, comes_back):
    schema(
        f"CREATE TABLE legacy (id integer, name text, a any, r real, b blob, PRIMARY KEY (name, id)) {options}",
        *(
            f"INSERT INTO legacy VALUES ({number}, 'x', {value}, 1, x'00')"
            for number, value in enumerate(VALUES)
        ),
    )  # fmt: skip
    comes_back()


def test_infinities_in_the_key(schema, comes_back):
    schema(
        "CREATE TABLE legacy (id integer, name text, PRIMARY KEY (id, name))",
        *(f"INSERT INTO legacy VALUES ({value}, {number})" for number, value in enumerate(VALUES)),
    )
    comes_back()


def test_columns_that_are_generated_or_named_by_nobody(schema, comes_back):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text, v AS (upper(name)),"
        " s AS (id * 2) STORED, d DEFAULT 7)",
        "INSERT INTO legacy (name) VALUES ('a'), ('b')",
    )
    comes_back()


def test_keys_that_repeat_and_keys_that_are_null(schema, comes_back, backups):
    schema(
        "CREATE TABLE legacy (id integer, name text)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO legacy SELECT CASE WHEN i % 3 THEN i / 700 END, hex(i) FROM n",
    )
    comes_back()
    with engine_connection("default") as ours, ours.snapshot([LEGACY]):
        [table], _missing = ours.describe([LEGACY])
        keys = [[row[0] for row in orjson.loads(chunk.body)] for chunk in ours.chunks(table)]
    assert len(keys) > 2
    assert all(before[-1] != after[0] for before, after in pairwise(keys))


def test_a_statement_has_no_more_variables_than_sqlite_takes(schema):
    schema("CREATE TABLE legacy (id integer PRIMARY KEY, name text, note text)")
    with engine_connection("default") as ours:
        [table], _missing = ours.describe([LEGACY])
    rows = [[number, "x", None] for number in range(100)]
    with sqlite3.connect(settings.DATABASES["default"]["NAME"]) as session:
        session.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 10)
        with replacing.replacing(session, [Load(table=table, rows=100, add=False, bodies=[orjson.dumps(rows)])]):
            assert session.execute("SELECT * FROM legacy ORDER BY id").fetchall() == [tuple(row) for row in rows]
    session.close()


def test_a_reference_that_is_missing_only_by_its_case_is_found(schema):
    schema(
        "CREATE TABLE legacy (id text PRIMARY KEY, name text)",
        "CREATE TABLE loyal (id integer PRIMARY KEY, legacy_id text COLLATE NOCASE REFERENCES legacy)",
        "INSERT INTO legacy VALUES ('A', '')",
        "INSERT INTO loyal VALUES (1, 'A')",
    )
    loyal = TableSpec(label="zoo.loyal", table="loyal", data_type="ZOO", key=("id",))
    with engine_connection("default") as ours, ours.exclusive([loyal]):
        ours.execute("INSERT INTO loyal VALUES (2, 'a')")
        tables, _missing = ours.describe([loyal])
        assert len(ours.check_references(tables)) == 1


def test_text_that_is_not_utf_8_is_refused_by_table_and_key(schema, backups, rows_of_everything):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "INSERT INTO legacy VALUES (1, 'fine'), (2, cast(x'ff' AS text))",
    )
    with pytest.raises(NotExact) as caught:
        backups.create_backup()
    assert '"legacy", column name, key 2' in str(caught.value)


def test_a_key_that_is_not_utf_8_is_named_too(schema, backups):
    schema("CREATE TABLE legacy (id text PRIMARY KEY, name text)", "INSERT INTO legacy VALUES ('a', '')")
    schema("INSERT INTO legacy VALUES (cast(x'61ff' AS text), '')")
    with pytest.raises(NotExact, match=r'"legacy", column id, key a\\xff'):
        backups.create_backup()


def test_wide_rows_are_read_a_few_at_a_time():
    Texts.objects.bulk_create(Texts(text=f"{number:05}" * 4000) for number in range(600))  # 12 MB
    spec = TableSpec(label="zoo.texts", table="zoo_texts", data_type="ZOO", key=("id",))
    with engine_connection("default") as ours, ours.snapshot([spec]):
        [table], _missing = ours.describe([spec])
        tracemalloc.start()
        try:
            assert sum(chunk.rows for chunk in ours.chunks(table)) == 600
            assert tracemalloc.get_traced_memory()[1] < 6_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST", "WAL"])
def test_writers_go_on_while_a_backup_reads(mode, tmp_path):
    path = tmp_path / "other.sqlite3"
    writer = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        writer.execute(f"PRAGMA journal_mode = {mode}")
        writer.execute("CREATE TABLE legacy (id integer PRIMARY KEY, name text)")
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO legacy (name) VALUES (?)", [("x" * 1000,)] * 3000)
        writer.execute("COMMIT")
        opener = lambda file: sqlite3.connect(file, isolation_level=None)  # noqa: E731
        with SqliteConnection(path, opener) as ours:
            with ours.snapshot([LEGACY]):
                [table], _missing = ours.describe([LEGACY])
                chunks = ours.chunks(table)
                rows = next(chunks).rows
                writer.execute("DELETE FROM legacy")
                writer.execute("INSERT INTO legacy VALUES (99999, 'new')")
                rows += sum(chunk.rows for chunk in chunks)
            assert rows == 3000
            assert ours.query("SELECT id FROM legacy") == [(99999,)]
        left = {file.name for file in tmp_path.iterdir()} - {
            "other.sqlite3-journal",
            "other.sqlite3-wal",
            "other.sqlite3-shm",
        }
        assert left == {"other.sqlite3"}
    finally:
        writer.close()


def test_a_database_in_memory_is_refused():
    connections.databases["memory"] = {**connections.databases["default"], "NAME": ":memory:", "TEST": {}}
    try:
        with pytest.raises(Unsupported, match="lives in memory"):
            engine_connection("memory")
    finally:
        del connections.databases["memory"], connections["memory"]


def test_virtual_tables_and_views_are_named(schema, backups):
    schema("CREATE VIEW legacy_view AS SELECT 1 AS id", "CREATE VIRTUAL TABLE legacy USING fts5(id, name)")
    before = raw_rows("legacy")
    left_out = _left_out(backups.create_backup())
    assert left_out["zoo.legacyview"] == "it is a view"
    assert left_out["zoo.legacy"] == "it is a virtual table"
    assert raw_rows("legacy") == before


def test_nan_is_null_in_sqlite():
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s IS NULL", [math.nan])
        assert cursor.fetchone() == (1,)


def _left_out(record):
    return record.logs.get(log_level="SUCCESS").details["not_covered"]
