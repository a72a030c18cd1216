"""A restore touches only what differs: the rows written, what the safety backup holds, and when a table goes whole."""

import random

import pytest
from django.db import connection

from backup_center.engine import changes
from backup_center.engine.compare import Way
from backup_center.engine.dialects import base
from backup_center.engine.dialects.postgresql.connection import PostgresConnection
from backup_center.models import BackupLog, BackupRecord
from tests.conftest import raw_rows
from tests.integration.histories import KEYS, rows, some_history, some_rows
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 6


def safety_backup() -> BackupRecord:
    return BackupRecord.objects.filter(trigger="safety").first()


def change_of(plan, label):
    [found] = [table for table in plan.plan.tables if table.label == label]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("overgrown", [False, True], ids=["by keys", "by ranges"])
def test_from_anywhere_to_anywhere(kind, overgrown, small_chunks, legacy, schema, backups, restores, monkeypatch):
    """Random histories over every kind of key, rewound at random, safety backups too: each moment comes back."""
    random.seed(kind)
    monkeypatch.setattr(changes, "AT_ONCE", 3)
    if overgrown:
        monkeypatch.setattr(changes, "OVERGROWN", 0)
        monkeypatch.setattr(changes, "HELD", 3)
    columns, keys = KEYS[kind]
    repeat = "PRIMARY" not in columns
    legacy(columns)
    schema(*some_rows(keys, repeat=repeat))
    moments = [(backups.create_backup(["ONE"]), sorted(rows(), key=repr))]
    for _turn in range(ROUNDS):
        schema(*some_history(keys, repeat=repeat))
        replaced = sorted(rows(), key=repr)
        record, expected = random.choice(moments)
        plan = restores.plan(record)
        restores.restore_from_backup(record)
        assert sorted(rows(), key=repr) == expected
        assert restores.plan(record).plan.tables[0].same
        moments.append((safety_backup(), replaced))
        assert backups.verify_backup(safety_backup(), deep=True) == []
        assert plan.plan.tables[0].same == (replaced == expected)


def test_only_rows_that_differ_are_written(small_zoo, backups, restores):
    record = backups.create_backup()
    before = small_zoo.rows()
    versions = _row_versions()
    Animal.objects.filter(weight__in=[3, 700]).update(name="?")
    Animal.objects.filter(weight=1100).delete()
    plan = restores.plan(record)
    animals = change_of(plan, "zoo.animal")
    restores.restore_from_backup(record)

    assert small_zoo.rows() == before
    assert (animals.added, animals.changed, animals.removed, animals.unchanged) == (1, 2, 0, 1197)
    assert (animals.way, animals.ranges, animals.of_ranges) == (Way.ROWS, 3, 3)
    assert BackupLog.objects.filter(operation="RESTORE").first().details["rows"] == 3
    assert BackupLog.objects.filter(operation="RESTORE").first().details["statistics"]["animals"] == 1203
    if connection.vendor == "postgresql":  # a row that was not touched is still the same version
        same = [key for key, version in _row_versions().items() if versions.get(key) == version]
        assert len(same) == 1197


def _row_versions() -> dict[int, object]:
    if connection.vendor != "postgresql":
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, ctid::text || xmin::text FROM zoo_animal")
        return dict(cursor.fetchall())


def test_a_plan_names_the_ranges_and_the_bytes_that_it_takes(small_zoo, backups, restores):
    record = backups.create_backup()
    Animal.objects.filter(weight=3).update(name="?")
    plan = restores.plan(record).plan
    animals = change_of(restores.plan(record), "zoo.animal")

    assert (plan.ranges, animals.ranges, animals.of_ranges) == (1, 1, 3)
    assert 0 < animals.stored < record.contents["zoo.animal"]["stored"]
    assert plan.stored == animals.stored
    assert all(table.same for table in plan.tables if table.label != "zoo.animal")


def test_the_safety_backup_borrows_from_what_is_restored(small_zoo, backups, restores):
    record = backups.create_backup()
    Animal.objects.filter(weight=3).update(name="?")
    spoiled = small_zoo.rows()
    restores.restore_from_backup(record)
    safety = safety_backup()

    assert (safety.backup_type, safety.parent) == ("INCREMENTAL", record)
    stored, borrowed = (safety.contents["zoo.animal"][name] for name in ("stored", "borrowed"))
    assert 0 < stored - borrowed < stored / 2
    assert set(safety.needs) == {str(safety.backup_id), str(record.backup_id)}
    restores.restore_from_backup(safety)
    assert small_zoo.rows() == spoiled


def test_an_incremental_backup_does_not_borrow_from_a_safety_backup(small_zoo, backups, restores):
    record = backups.create_backup()
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert backups.create_backup(backup_type="INCREMENTAL").parent == record


def test_a_damaged_or_old_parent_makes_the_safety_backup_a_full_one(small_zoo, backups, restores, settings):
    record = backups.create_backup()
    BackupRecord.objects.update(is_damaged=True)
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    restores.restore_from_backup(record)
    safety = safety_backup()
    assert (safety.backup_type, safety.needs) == ("FULL", [str(safety.backup_id)])
    restores.restore_from_backup(safety)
    assert small_zoo.rows() == spoiled


def test_a_large_table_that_mostly_differs_is_loaded_whole_and_the_plan_says_so(
    small_zoo, backups, restores, monkeypatch
):
    monkeypatch.setattr(base, "WHOLE_LOAD_ROWS", 100)
    before = small_zoo.rows()
    record = backups.create_backup()
    Animal.objects.filter(weight__lt=400).update(name="?")  # one range of three
    assert change_of(restores.plan(record), "zoo.animal").way is Way.ROWS
    Animal.objects.filter(weight__lt=800).update(name="?")  # two
    plan = restores.plan(record)
    animals = change_of(plan, "zoo.animal")
    assert (animals.way, animals.whole, animals.written) == (Way.WHOLE, True, 1200)
    if connection.vendor == "postgresql":
        assert any("zoo_animal is emptied and loaded whole" in note for note in plan.plan.notes)
    restores.restore_from_backup(record)
    assert small_zoo.rows() == before


def test_values_that_are_unique_may_change_places(schema, legacy, small_chunks, backups, restores):
    """Rows go before rows come: the same value may have moved to another row, in another range."""
    legacy("id integer PRIMARY KEY, name varchar(20) UNIQUE")
    schema("INSERT INTO legacy VALUES " + ", ".join(f"({number}, 'n{number}')" for number in range(20)))
    before = raw_rows("legacy")
    record = backups.create_backup(["ONE"])
    schema("UPDATE legacy SET name = 'x' WHERE id = 1", "UPDATE legacy SET name = 'n1' WHERE id = 18",
           "UPDATE legacy SET name = 'n18' WHERE id = 1")  # fmt: skip
    restores.restore_from_backup(record)
    assert raw_rows("legacy") == before


def test_what_grew_without_bounds_is_taken_away_again(small_zoo, backups, restores):
    record = backups.create_backup()
    before = small_zoo.rows()
    Animal.objects.bulk_create(Animal(name="locust", weight=1) for _ in range(2 * changes.OVERGROWN))
    Keeper.objects.create(name="new")
    restores.restore_from_backup(record)
    assert small_zoo.rows() == before


@pytest.mark.skipif(connection.vendor != "postgresql", reason="without digests all is read to know what differs")
@pytest.mark.parametrize(("held", "times"), [(1_000, 1), (0, 2)], ids=["enough room", "no room"])
def test_what_the_safety_backup_has_read_is_not_read_again(held, times, small_zoo, backups, restores, monkeypatch):
    monkeypatch.setattr(changes, "HELD", held)
    record = backups.create_backup()
    before = small_zoo.rows()
    Animal.objects.filter(weight__in=[3, 700]).update(name="?")
    Animal.objects.filter(weight=1100).delete()
    read = []
    pieces = PostgresConnection.pieces

    def counted(self, table, *args, **kwargs):
        read.append(table.label)
        return pieces(self, table, *args, **kwargs)

    monkeypatch.setattr(PostgresConnection, "pieces", counted)
    restores.restore_from_backup(record)
    assert small_zoo.rows() == before
    assert read == ["zoo.animal"] * times


def test_nothing_differs(small_zoo, backups, restores):
    record = backups.create_backup()
    before = small_zoo.rows()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == before
    assert BackupLog.objects.filter(operation="RESTORE").first().details["rows"] == 0


def test_values_that_two_rows_swapped_are_seen(small_zoo, backups, restores):
    """All values of the range are there as before, only in other rows: no sum over columns may be fooled by that."""
    record = backups.create_backup()
    before = small_zoo.rows()
    one, other = Animal.objects.get(weight=10), Animal.objects.get(weight=20)
    Animal.objects.filter(pk=one.pk).update(name=other.name)
    Animal.objects.filter(pk=other.pk).update(name=one.name)
    swapped = small_zoo.rows()
    incremental = backups.create_backup(backup_type="INCREMENTAL")
    assert restores.plan(record).changed == 2
    restores.restore_from_backup(record)
    assert small_zoo.rows() == before
    restores.restore_from_backup(incremental)
    assert small_zoo.rows() == swapped
