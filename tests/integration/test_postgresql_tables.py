"""Tables as only PostgreSQL has them: partitioned, inherited, with row security, in other schemas."""

from itertools import pairwise

import orjson
import pytest
from django.conf import settings
from django.db import connection

if not settings.ON_POSTGRESQL:
    pytest.skip("PostgreSQL only", allow_module_level=True)

from backup_center.engine.dialects import base
from backup_center.engine.dialects.base import TableSpec
from backup_center.engine.dialects.postgresql import reading
from backup_center.models import BackupLog
from backup_center.services.connecting import engine_connection
from tests.conftest import raw_rows

pytestmark = pytest.mark.django_db(transaction=True)

LEGACY = TableSpec(label="zoo.legacy", table="legacy", data_type="ZOO", key=("id",))


def query(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_partitioned_tables(schema, comes_back):
    schema(
        "CREATE TABLE legacy (id integer, name text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE legacy_low PARTITION OF legacy FOR VALUES FROM (MINVALUE) TO (10)",
        "CREATE TABLE legacy_high PARTITION OF legacy FOR VALUES FROM (10) TO (MAXVALUE) PARTITION BY HASH (id)",
        "CREATE TABLE legacy_high_0 PARTITION OF legacy_high FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "CREATE TABLE legacy_note (id integer PRIMARY KEY, legacy_id integer REFERENCES legacy ON DELETE CASCADE)",
        "INSERT INTO legacy SELECT n, 'name ' || n FROM generate_series(1, 1500) n",
        "INSERT INTO legacy_note SELECT n, n FROM generate_series(1, 20) n",
    )
    partitions = [query(f"SELECT * FROM {table} ORDER BY 1") for table in ("legacy_low", "legacy_high_0")]
    comes_back()
    assert [query(f"SELECT * FROM {table} ORDER BY 1") for table in ("legacy_low", "legacy_high_0")] == partitions


def test_triggers_of_partitions_do_not_fire_and_keep_their_state(schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text) PARTITION BY RANGE (id)",
        "CREATE TABLE legacy_low PARTITION OF legacy FOR VALUES FROM (MINVALUE) TO (10)",
        "CREATE TABLE legacy_high PARTITION OF legacy FOR VALUES FROM (10) TO (MAXVALUE)",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END'",
        "INSERT INTO legacy SELECT n, 'x' FROM generate_series(1, 20) n",
        "CREATE TRIGGER every BEFORE INSERT OR DELETE ON legacy FOR EACH ROW EXECUTE FUNCTION refuse()",
        "CREATE TRIGGER low BEFORE INSERT OR DELETE ON legacy_low FOR EACH ROW EXECUTE FUNCTION refuse()",
        "ALTER TABLE ONLY legacy_high DISABLE TRIGGER every",
        "ALTER TABLE legacy_low ENABLE ALWAYS TRIGGER low",
    )
    states = "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    before = query(states)
    record = backups.create_backup(["ZOO"])
    restores.restore_from_backup(record)
    assert query(states) == before
    schema("DROP TABLE legacy", "DROP FUNCTION refuse")


def test_rows_of_tables_that_inherit_are_their_own(schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "CREATE TABLE legacy_heir (more text) INHERITS (legacy)",
        "INSERT INTO legacy VALUES (1, 'parent')",
        "INSERT INTO legacy_heir VALUES (2, 'child', 'kept')",
    )
    record = backups.create_backup(["ZOO"])
    schema("UPDATE legacy SET name = 'lost'")
    restores.restore_from_backup(record)
    assert query("SELECT * FROM ONLY legacy") == [(1, "parent")]
    assert query("SELECT * FROM legacy_heir") == [(2, "lost", "kept")]


def test_keys_that_repeat_and_keys_that_are_null(schema, comes_back, backups):
    schema(
        "CREATE TABLE legacy (id integer, name text)",
        "INSERT INTO legacy SELECT CASE WHEN n % 3 > 0 THEN n / 700 END, md5(n::text) FROM generate_series(1, 3000) n",
    )
    comes_back()
    with engine_connection("default") as ours, ours.snapshot([LEGACY]):
        [table], _missing = ours.describe([LEGACY])
        keys = [[row[0] for row in orjson.loads(chunk.body)] for chunk in ours.chunks(table)]
    assert len(keys) > 2
    assert all(before[-1] != after[0] for before, after in pairwise(keys))


@pytest.mark.parametrize("whole", [False, True])
def test_identity_that_is_always_generated(whole, schema, backups, restores, rows_of_everything, monkeypatch):
    if whole:
        monkeypatch.setattr(base, "WHOLE_LOAD_ROWS", 0)
    schema(
        "CREATE TABLE legacy (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text,"
        " loud text GENERATED ALWAYS AS (upper(name)) STORED)",
        "INSERT INTO legacy (name) VALUES ('a'), ('b'), ('c')",
    )
    before = rows_of_everything()
    record = backups.create_backup(["ZOO"])
    schema("DELETE FROM legacy", "INSERT INTO legacy (name) VALUES ('d')")
    restores.restore_from_backup(record)
    assert rows_of_everything() == before
    schema("INSERT INTO legacy (name) VALUES ('e')")
    assert query("SELECT id, loud FROM legacy WHERE name = 'e'") == [(5, "E")]


def test_a_table_in_another_schema(schema, backups, restores):
    schema(
        "CREATE SCHEMA abroad",
        "CREATE TABLE abroad.legacy (id serial PRIMARY KEY, name text)",
        "INSERT INTO abroad.legacy (name) VALUES ('x')",
    )
    try:
        record = backups.create_backup(["ZOO"])
        schema("DELETE FROM abroad.legacy")
        restores.restore_from_backup(record)
        assert query("SELECT * FROM abroad.legacy") == [(1, "x")]
    finally:
        schema("DROP SCHEMA abroad CASCADE")


def test_row_security_does_not_bind_the_owner(schema, comes_back):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "INSERT INTO legacy VALUES (1, 'hidden'), (2, 'shown')",
        "ALTER TABLE legacy ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY shown ON legacy USING (name = 'shown')",
    )
    comes_back()


@pytest.mark.parametrize("whole", [False, True])
def test_unlogged_tables_and_deferrable_constraints(whole, schema, backups, restores, monkeypatch):
    if whole:
        monkeypatch.setattr(base, "WHOLE_LOAD_ROWS", 0)
    schema(
        "CREATE UNLOGGED TABLE legacy (id integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, name text,"
        " UNIQUE (name) DEFERRABLE, EXCLUDE USING gist (id WITH =) DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO legacy VALUES (1, 'a'), (2, 'b'), (3, NULL)",
    )
    before = raw_rows("legacy")
    record = backups.create_backup(["ZOO"])
    schema("UPDATE legacy SET name = 'x' WHERE id = 3")
    restores.restore_from_backup(record)
    assert raw_rows("legacy") == before


def test_rules_of_the_host_do_not_act(schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "CREATE TABLE gone (id integer)",
        "INSERT INTO legacy VALUES (1, 'a')",
        "CREATE RULE remember AS ON DELETE TO legacy DO ALSO INSERT INTO gone VALUES (old.id)",
        "CREATE RULE keep AS ON DELETE TO legacy WHERE old.id = 2 DO INSTEAD NOTHING",
        "ALTER TABLE legacy ENABLE ALWAYS RULE keep",
    )
    states = "SELECT rulename, ev_enabled FROM pg_rewrite WHERE ev_class = 'legacy'::regclass ORDER BY 1"
    before = query(states)
    record = backups.create_backup(["ZOO"])
    schema("INSERT INTO legacy VALUES (2, 'later')")
    restores.restore_from_backup(record)
    assert query("SELECT * FROM legacy") == [(1, "a")]
    assert query("SELECT * FROM gone") == []
    assert query(states) == before


def test_views_and_tables_without_a_model_are_named(schema, backups):
    schema("CREATE VIEW legacy_view AS SELECT 1 AS id", "CREATE TABLE nobody_knows (id integer)")
    backups.create_backup()
    left_out = BackupLog.objects.filter(operation="BACKUP", log_level="SUCCESS").latest("pk").details["not_covered"]
    assert left_out["zoo.legacyview"] == "it is a view"
    assert left_out["zoo.legacy"] == "the database has no such table"
    assert left_out["nobody_knows"] == "no model describes this table"


@pytest.mark.parametrize("read", [1, 2, 3])
def test_reading_that_is_left_early_leaves_the_session_usable(read, small_chunks, schema):
    """After any chunk, the last one too, when no row is left to come."""
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "INSERT INTO legacy SELECT n, 'name' FROM generate_series(1, 10) n",
    )
    with engine_connection("default") as session, session.snapshot([LEGACY]):
        [table], _missing = session.describe([LEGACY])
        chunks = session.chunks(table)
        assert sum(next(chunks).rows for _number in range(read)) == min(4 * read, 10)
        chunks.close()
        assert session.query("SELECT 1") == [(1,)]
        assert session.count(table) == 10


@pytest.mark.parametrize("chunks", [1, 4])
def test_digests_of_all_ranges_are_summed_by_several_processes(chunks, schema, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_ROWS", 5000 // chunks)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 1_000_000)
    schema(
        "CREATE TABLE legacy (id bigint PRIMARY KEY, name text)",
        "INSERT INTO legacy SELECT n, 'name ' || n FROM generate_series(-200, 4799) n",
        "ANALYZE legacy",
    )
    with engine_connection("default") as ours, ours.snapshot([LEGACY]):
        [table] = ours.describe([LEGACY])[0]
        read = list(ours.chunks(table))
        for setting in ("min_parallel_table_scan_size", "parallel_setup_cost"):  # no table is too small
            ours.execute(f"SET LOCAL {setting} = 0")
        asked = []
        query = ours.query
        monkeypatch.setattr(ours, "query", lambda sql, params=(): asked.append(sql) or query(sql, params))
        found = ours.range_digests(table, [chunk.last for chunk in read[:-1]])
        plan = "\n".join(line for (line,) in query("EXPLAIN " + asked[-1]))
    assert found == {number: (chunk.rows, chunk.digest) for number, chunk in enumerate(read)}
    assert len(read) == chunks
    assert "Partial HashAggregate" in plan
