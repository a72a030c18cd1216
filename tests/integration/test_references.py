"""References across the edge of what is restored: rows elsewhere survive, and what would point to nothing is named."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from backup_center.engine import references
from backup_center.engine.errors import ReferencesInTheWay
from tests.conftest import raw_rows
from tests.zoo.models import Animal, Keeper, Legacy, Owned, Passport

pytestmark = pytest.mark.django_db(transaction=True)

ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")


@pytest.mark.parametrize("on_delete", ACTIONS)
def test_rows_of_tables_that_are_not_restored_survive(on_delete, schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "CREATE TABLE loyal (id integer PRIMARY KEY, legacy_id integer DEFAULT 1,"
        f" CONSTRAINT it_s FOREIGN KEY (legacy_id) REFERENCES legacy ON DELETE {on_delete} ON UPDATE CASCADE)",
        "INSERT INTO legacy VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO loyal VALUES (1, 2), (2, NULL), (3, 1)",
    )
    definitions = _keys("loyal")
    before = raw_rows("loyal")
    record = backups.create_backup(["ZOO"])
    schema("UPDATE legacy SET name = 'lost'")
    restores.restore_from_backup(record)
    assert raw_rows("loyal") == before
    assert list(Legacy.objects.order_by("id").values_list("name", flat=True)) == ["a", "b"]
    assert _keys("loyal") == definitions


def test_rows_elsewhere_that_refer_to_vanishing_rows_are_named(backups, restores, rows_of_everything):
    record = backups.create_backup(["OTHER"])
    Owned.objects.create(owner=User.objects.create(username="later"))
    before = rows_of_everything()
    [refused] = restores.plan(record).refused
    assert "1 rows of zoo.owned refer to rows of auth.user" in refused
    assert str(User.objects.get().pk) in refused
    with pytest.raises(ReferencesInTheWay) as caught:
        restores.restore_from_backup(record)
    assert caught.value.problems == (refused,)
    assert rows_of_everything() == before


def test_the_data_type_that_would_mend_it_is_named(backups, restores, rows_of_everything):
    before = rows_of_everything()
    record = backups.create_backup()
    Owned.objects.create(owner=User.objects.create(username="later"))
    [refused] = restores.plan(record, ["OTHER"]).refused
    assert "Restore ZOO too." in refused
    restores.restore_from_backup(record, data_types=["OTHER", "ZOO"])
    assert rows_of_everything() == before


def test_restored_rows_that_refer_to_rows_which_are_gone_are_named(backups, restores, rows_of_everything):
    user = User.objects.create(username="gone")
    Owned.objects.create(owner=user)
    record = backups.create_backup()
    Owned.objects.all().delete()
    user.delete()
    before = rows_of_everything()
    [refused] = restores.plan(record, ["ZOO"]).refused
    assert "zoo.owned" in refused
    assert "auth.user" in refused
    assert "Restore OTHER too." in refused
    with pytest.raises(ReferencesInTheWay) as caught:
        restores.restore_from_backup(record, data_types=["ZOO"])
    assert caught.value.problems == (refused,)
    assert rows_of_everything() == before
    assert restores.plan(record).refused == ()


@pytest.mark.parametrize("held", [0, 5_000], ids=["read again", "remembered"])
def test_what_changed_rows_refer_to(held, schema, backups, restores, rows_of_everything, monkeypatch):
    """Only rows that come are looked at; from the chunks if what they refer to is too much to remember."""
    monkeypatch.setattr(references, "HELD", held)
    users = [User.objects.create(username=name) for name in ("stays", "goes", "new")]
    for user in users[:2]:
        Owned.objects.create(owner=user)
    record = backups.create_backup(["ZOO"])
    Owned.objects.update(owner=users[2])
    assert restores.plan(record).refused == ()
    User.objects.filter(username="goes").delete()
    before = rows_of_everything()
    [refused] = restores.plan(record).refused
    assert "1 values in the backup of zoo.owned" in refused
    assert f"({users[1].pk})" in refused
    with pytest.raises(ReferencesInTheWay) as caught:
        restores.restore_from_backup(record)
    assert caught.value.problems == (refused,)
    assert rows_of_everything() == before


def test_rows_elsewhere_that_refer_to_rows_which_stay_are_not_in_the_way(backups, restores, rows_of_everything):
    Owned.objects.create(owner=User.objects.create(username="stays"))
    record = backups.create_backup()
    User.objects.create(username="later")
    restores.restore_from_backup(record, data_types=["OTHER"])
    assert Owned.objects.get().owner.username == "stays"
    assert User.objects.count() == 1


def test_references_over_two_columns_and_to_other_keys_than_the_first(schema, backups, restores, rows_of_everything):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text, part integer, UNIQUE (part, name))",
        "CREATE TABLE loyal (id integer PRIMARY KEY, p integer, n text,"
        " FOREIGN KEY (n, p) REFERENCES legacy (name, part))",
        "INSERT INTO legacy VALUES (1, 'a', 1), (2, 'b', 2)",
    )
    record = backups.create_backup(["ZOO"])
    schema("INSERT INTO loyal VALUES (1, 2, 'b'), (2, NULL, 'x')")
    assert restores.plan(record).refused == ()
    schema("INSERT INTO legacy VALUES (3, 'c', 3)", "INSERT INTO loyal VALUES (3, 3, 'c')")
    [refused] = restores.plan(record).refused
    assert "loyal" in refused
    assert "c, 3" in refused


def test_only_the_selected_types_are_restored(backups, restores, rows_of_everything):
    user = User.objects.create(username="before")
    animal = Animal.objects.create(name="cat", keeper=Keeper.objects.create(name="x"))
    Passport.objects.create(animal=animal, number="1")
    before = rows_of_everything()
    record = backups.create_backup()
    User.objects.update(username="after")
    Animal.objects.update(name="dog")
    restores.restore_from_backup(record, data_types=["ZOO"])
    user.refresh_from_db()
    assert user.username == "after"
    User.objects.update(username="before")
    assert rows_of_everything() == before


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's names")
def test_keys_that_spell_names_in_another_case(schema, backups, restores, rows_of_everything):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "CREATE TABLE loyal (id integer PRIMARY KEY, ref integer REFERENCES LEGACY (Id))",
        "CREATE TABLE legacy_note (id integer PRIMARY KEY, Legacy_Id integer REFERENCES Legacy)",
        "INSERT INTO legacy VALUES (1, 'a')",
        "INSERT INTO legacy_note VALUES (1, 1)",
    )
    record = backups.create_backup(["ZOO"])
    schema("INSERT INTO legacy VALUES (2, 'b')", "INSERT INTO loyal VALUES (1, 2)")
    [refused] = restores.plan(record).refused
    assert "loyal" in refused
    schema("DELETE FROM loyal")
    restores.restore_from_backup(record)
    assert Legacy.objects.count() == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has none")
def test_references_that_pointed_to_nothing_before_are_not_blamed_on_the_restore(schema, backups, restores):
    schema(
        "PRAGMA foreign_keys = OFF",
        "CREATE TABLE legacy (id text PRIMARY KEY, name text)",
        "CREATE TABLE legacy_note (id text PRIMARY KEY, legacy_id text REFERENCES legacy) WITHOUT ROWID",
        "INSERT INTO legacy_note VALUES ('z', 'nothing'), ('y', 'nothing'), ('a', NULL)",
        "CREATE TABLE loyal (id text PRIMARY KEY, legacy_id text REFERENCES legacy)",
        "INSERT INTO loyal VALUES ('z', 'nothing'), ('a', NULL)",
    )
    try:
        before = raw_rows("legacy_note"), raw_rows("loyal")
        record = backups.create_backup(["ZOO"])
        schema("INSERT INTO legacy VALUES ('b', 'b')")
        restores.restore_from_backup(record)
        assert (raw_rows("legacy_note"), raw_rows("loyal")) == before
    finally:
        schema("PRAGMA foreign_keys = ON")


def _keys(table):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass ORDER BY 1",
                [table],
            )
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE name = %s", [table])
        return cursor.fetchall()
