"""Large tables are emptied and loaded whole: what was taken down for it stands again as it was."""

import os

import pytest
from django.conf import settings
from django.db import connection

from backup_center.engine.dialects import base
from backup_center.engine.errors import ReferencesInTheWay
from tests.conftest import raw_rows
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)
postgresql_only = pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="PostgreSQL only")

INDEXES = """
SELECT c.relname, pg_get_indexdef(i.indexrelid), t.spcname, obj_description(c.oid), i.indisclustered, i.indisvalid,
       i.indisreplident, c.reloptions,
       array(SELECT a.attstattarget FROM pg_attribute a WHERE a.attrelid = c.oid ORDER BY attnum)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
WHERE i.indrelid = 'legacy'::regclass ORDER BY 1
"""
KEYS = """
SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid), obj_description(oid), convalidated
FROM pg_constraint
WHERE contype = 'f' AND (conrelid = 'legacy'::regclass OR confrelid = 'legacy'::regclass) ORDER BY 1
"""


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch):
    monkeypatch.setattr(base, "WHOLE_LOAD_ROWS", 0)


def query(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_everything_comes_back(comes_back):
    boss = Keeper.objects.create(name="boss")
    Keeper.objects.create(name="it's", boss=boss)
    first, second = (Animal.objects.create(name="cat", keeper=boss) for _number in range(2))
    first.friends.add(second)
    comes_back()


@pytest.fixture
def tablespace(schema):
    name = f"backup_zoo_{os.getpid()}"
    schema("SET allow_in_place_tablespaces = on", f"CREATE TABLESPACE {name} LOCATION ''")
    yield name
    schema("DROP TABLE legacy CASCADE", f"DROP TABLESPACE {name}")


@postgresql_only
def test_indexes_are_built_again_as_they_were(tablespace, schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text NOT NULL, number integer)",
        "INSERT INTO legacy SELECT n, 'name ' || n, n % 7 FROM generate_series(1, 300) n",
        "CREATE INDEX plain ON legacy (name DESC NULLS LAST, number) INCLUDE (id) WITH (fillfactor = 70)",
        "CREATE UNIQUE INDEX one ON legacy (name)",
        """CREATE INDEX "Half %s of it's" ON legacy (lower(name)) WHERE number > 3""",
        """COMMENT ON INDEX "Half %s of it's" IS E'it''s a \\\\ comment\\n中'""",
        """ALTER INDEX "Half %s of it's" ALTER COLUMN 1 SET STATISTICS 321""",
        f"CREATE INDEX elsewhere ON legacy USING hash (number) TABLESPACE {tablespace}",
        "CREATE INDEX at_home ON legacy (number)",
        "CREATE INDEX ordered ON legacy (number, id)",
        "ALTER TABLE legacy CLUSTER ON ordered",
        "ALTER TABLE legacy REPLICA IDENTITY USING INDEX one",
    )
    before, rows = query(INDEXES), raw_rows("legacy")
    record = backups.create_backup(["ZOO"])
    schema("DELETE FROM legacy WHERE id > 5")
    restores.restore_from_backup(record)
    assert query(INDEXES) == before
    assert raw_rows("legacy") == rows


@postgresql_only
def test_foreign_keys_are_built_again_as_they_were(schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text, up integer REFERENCES legacy ON DELETE SET NULL)",
        "CREATE TABLE loyal (id integer PRIMARY KEY, ref integer)",
        """ALTER TABLE loyal ADD CONSTRAINT "it's %s" FOREIGN KEY (ref) REFERENCES legacy MATCH FULL
           ON UPDATE CASCADE ON DELETE RESTRICT""",
        """COMMENT ON CONSTRAINT "it's %s" ON loyal IS 'say ''why''\\'""",
        "ALTER TABLE loyal ADD CONSTRAINT trusting FOREIGN KEY (ref) REFERENCES legacy DEFERRABLE NOT VALID",
        "INSERT INTO legacy VALUES (1, 'a', 1), (2, 'b', 1)",
        "INSERT INTO loyal VALUES (1, 2)",
    )
    before = query(KEYS)
    record = backups.create_backup(["ZOO"])
    schema("UPDATE legacy SET name = 'lost'")
    notes = restores.plan(record).plan.notes
    assert any("public.loyal" in note or "public.legacy is emptied" in note for note in notes)
    restores.restore_from_backup(record)
    assert query(KEYS) == before
    assert query("SELECT * FROM loyal") == [(1, 2)]


@postgresql_only
def test_readers_are_waited_for_and_the_plan_says_so(backups, restores):
    Keeper.objects.create(name="x")
    record = backups.create_backup(["ZOO"])
    Keeper.objects.update(name="y")
    notes = restores.plan(record).plan.notes
    assert "public.zoo_keeper is emptied and loaded whole; readers wait until it is done." in notes


@pytest.mark.skipif(settings.ON_POSTGRESQL, reason="SQLite only")
def test_sqlite_s_indexes_and_what_analyze_found_are_as_they_were(schema, backups, restores):
    schema(
        "CREATE TABLE Legacy (id integer PRIMARY KEY, name text UNIQUE, number integer)",
        """CREATE INDEX "it's half" ON legacy (lower(name) DESC) WHERE number > 3""",
        "CREATE INDEX plain ON LEGACY (number, name COLLATE NOCASE)",
        "CREATE UNIQUE INDEX one ON legacy (name, number)",
        "INSERT INTO legacy VALUES (1, 'a', 5), (2, 'b', 6), (3, NULL, 5)",
        "ANALYZE legacy",
    )
    objects = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE lower(tbl_name) = 'legacy' ORDER BY name"
    statistics = "SELECT * FROM sqlite_stat1 ORDER BY idx"
    before = query(objects), query(statistics)
    record = backups.create_backup(["ZOO"])
    schema("DELETE FROM legacy WHERE id = 1")
    restores.restore_from_backup(record)
    assert (query(objects), query(statistics)) == before


def test_a_load_that_fails_leaves_everything_as_it_was(schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "CREATE INDEX by_name ON legacy (name)",
        "INSERT INTO legacy VALUES (1, 'a')",
    )
    record = backups.create_backup(["ZOO"])
    schema(
        "INSERT INTO legacy VALUES (2, 'b')",
        "CREATE TABLE loyal (id integer PRIMARY KEY, ref integer REFERENCES legacy ON DELETE CASCADE)",
        "INSERT INTO loyal VALUES (1, 2)",
    )
    before = raw_rows("legacy"), raw_rows("loyal")
    with pytest.raises(ReferencesInTheWay):
        restores.restore_from_backup(record)
    assert (raw_rows("legacy"), raw_rows("loyal")) == before
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, "legacy")
    assert constraints["by_name"]["index"]
