"""A backup of another schema or engine is refused with the difference, before anything is touched."""

import pytest
from django.conf import settings
from django.db import connections

from backup_center.engine.errors import SchemaDiffers, Unsupported
from tests.zoo.models import Legacy

pytestmark = pytest.mark.django_db(transaction=True)

TYPE = "character varying(20)" if settings.ON_POSTGRESQL else "varchar(20)"
TEXT = "text" if settings.ON_POSTGRESQL else "TEXT"
BEFORE = "CREATE TABLE legacy (id integer PRIMARY KEY, name varchar(20) NOT NULL, old integer)"
ROWS = "INSERT INTO legacy (id, name) VALUES (1, 'a'), (2, 'b')"


@pytest.mark.parametrize(("after", "differences"), [
    (
        "CREATE TABLE legacy (id integer PRIMARY KEY, name varchar(20) NOT NULL)",
        ["zoo.legacy.old is in the backup, not in the database."],
    ),
    (
        "CREATE TABLE legacy (id integer PRIMARY KEY, name varchar(20) NOT NULL, old integer, new integer)",
        ["zoo.legacy.new is in the database, not in the backup."],
    ),
    (
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text, old integer)",
        [f"zoo.legacy.name was {TYPE} NOT NULL and is {TEXT}."],
    ),
    (
        "CREATE VIEW legacy AS SELECT 1 AS id, 'a' AS name, 1 AS old",
        ["zoo.legacy: it is a view"],
    ),
    ("SELECT 1", ["zoo.legacy: the database has no such table"]),
])  # fmt: skip
def test_a_schema_that_differs_is_refused(after, differences, schema, backups, restores, rows_of_everything):
    schema(BEFORE, ROWS)
    record = backups.create_backup(["ZOO"])
    schema("DROP TABLE legacy", after)
    if "TABLE" in after:
        schema("INSERT INTO legacy (id, name) VALUES (3, 'c')")
    before = rows_of_everything()
    for attempt in (restores.plan, restores.restore_from_backup):
        with pytest.raises(SchemaDiffers) as caught:
            attempt(record)
        assert list(caught.value.differences) == differences
    assert rows_of_everything() == before


def test_columns_in_another_order_are_the_same_schema(schema, backups, restores):
    schema(BEFORE, ROWS)
    record = backups.create_backup(["ZOO"])
    schema("DROP TABLE legacy", "CREATE TABLE legacy (old integer, name varchar(20) NOT NULL, id integer PRIMARY KEY)")
    restores.restore_from_backup(record)
    assert list(Legacy.objects.order_by("id").values_list("id", "name")) == [(1, "a"), (2, "b")]


def test_rows_that_a_new_constraint_forbids_are_refused(schema, backups, restores, rows_of_everything):
    schema(BEFORE, ROWS)
    record = backups.create_backup(["ZOO"])
    schema(
        "DROP TABLE legacy",
        "CREATE TABLE legacy (id integer PRIMARY KEY, name varchar(20) NOT NULL CHECK (name <> 'b'), old integer)",
        "INSERT INTO legacy VALUES (3, 'c', 3)",
    )
    before = rows_of_everything()
    with pytest.raises(Exception, match=r"legacy_name_check|CHECK constraint failed"):
        restores.restore_from_backup(record)
    assert rows_of_everything() == before


@pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="needs two engines")
def test_another_engine_is_refused(backups, restores, tmp_path, rows_of_everything):
    record = backups.create_backup(["ZOO"])
    name = str(tmp_path / "other.sqlite3")
    connections.databases["other"] = {
        **connections.databases["default"], "ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": {},
    }  # fmt: skip
    try:
        record.database = "other"
        record.save()
        with pytest.raises(Unsupported, match="The backup is of postgresql and the database is sqlite"):
            restores.restore_from_backup(record)
    finally:
        del connections.databases["other"], connections["other"]
