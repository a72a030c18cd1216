"""What a plan counts is what a restore does: checked against brute force, over many random histories."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter, defaultdict
from itertools import groupby
from operator import attrgetter

import orjson
import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from backup_center.engine.compare import FieldChange, RowChange
from backup_center.engine.dialects.base import TableSpec
from backup_center.services.connecting import engine_connection
from tests.integration.histories import HISTORIES, KEYS, POSTGRESQL, rows, some_history, some_rows
from tests.zoo.models import LANGUAGE_ORDER, Animal, Keeper, Seat

pytestmark = pytest.mark.django_db(transaction=True)


def brute_force(backup: list[tuple[str, str]], live: list[tuple[str, str]]) -> tuple[int, int, int]:
    """Added, changed, removed: under each key what is equal stays, what is left is paired."""
    names: defaultdict[str, tuple[Counter[str], Counter[str]]] = defaultdict(lambda: (Counter(), Counter()))
    for side, found in enumerate((backup, live)):
        for key, name in found:
            names[key][side][name] += 1
    added = changed = removed = 0
    for then, now in names.values():
        missing, extra = (then - now).total(), (now - then).total()
        changed += min(missing, extra)
        added += max(missing - extra, 0)
        removed += max(extra - missing, 0)
    return added, changed, removed


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEYS)
def test_counts_are_those_of_brute_force(kind, small_chunks, legacy, schema, backups, restores):
    random.seed(kind)
    columns, keys = KEYS[kind]
    repeat = "PRIMARY" not in columns
    legacy(columns)
    for turn in range(HISTORIES):
        schema("DELETE FROM legacy", *some_rows(keys, repeat=repeat))
        then = rows()
        record = backups.create_backup(["ONE"])
        if turn % 4 == 3:
            schema("DELETE FROM legacy", *some_rows(keys, repeat=repeat))
        schema(*some_history(keys, repeat=repeat))
        plan = restores.plan(record)
        [change] = plan.plan.tables
        expected = brute_force(then, rows())

        assert (change.added, change.changed, change.removed) == expected
        assert (plan.added, plan.changed, plan.removed) == expected
        assert change.same == (sorted(then, key=repr) == sorted(rows(), key=repr))
        assert (change.rows_in_backup, change.rows_now) == (len(then), len(rows()))
        shown = Counter(example.kind for example in change.examples)
        counts = dict(zip(("added", "changed", "removed"), expected, strict=True))
        assert shown == Counter({kind: min(3, count) for kind, count in counts.items()})


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEYS)
def test_rows_that_are_only_added_are_those_whose_key_is_missing(
    kind, small_chunks, legacy, schema, backups, restores, settings
):
    random.seed(kind)
    columns, keys = KEYS[kind]
    repeat = "PRIMARY" not in columns
    settings.BACKUP_DATA_TYPES["ONE"]["mode"] = "add"
    legacy(columns)
    for _turn in range(HISTORIES // 2):
        schema("DELETE FROM legacy", *some_rows(keys, repeat=repeat))
        then = rows()
        record = backups.create_backup(["ONE"])
        schema(*some_history(keys, repeat=repeat))
        live = {key for key, _name in rows()}
        [change] = restores.plan(record).plan.tables

        assert change.added == len([key for key, _name in then if key not in live])
        assert (change.changed, change.removed) == (0, 0)
        assert {example.kind for example in change.examples} <= {"added"}


@pytest.mark.parametrize("added_to", [False, True])
def test_a_key_that_is_sorted_otherwise_by_now(added_to, small_chunks, legacy, schema, backups, restores, settings):
    """Another collation, or another version of it: the backup's ranges mean nothing any more."""
    random.seed("otherwise")
    keys = KEYS["language"][1]
    collations = ["C", LANGUAGE_ORDER] if POSTGRESQL else ["BINARY", "NOCASE"]
    settings.BACKUP_DATA_TYPES["ONE"]["mode"] = "add" if added_to else "replace"
    legacy(f'id varchar(20) COLLATE "{collations[0]}" PRIMARY KEY, name text')
    for turn in range(6):
        schema("DELETE FROM legacy", *some_rows(keys, repeat=False))
        then = rows()
        record = backups.create_backup(["ONE"])
        columns = f'id varchar(20) COLLATE "{collations[1 - turn % 2]}" PRIMARY KEY, name text'
        schema(
            "ALTER TABLE legacy RENAME TO older",
            f"CREATE TABLE legacy ({columns})",
            "INSERT INTO legacy SELECT * FROM older",
            "DROP TABLE older",
        )
        [unchanged] = restores.plan(record).plan.tables
        schema(*some_history(keys, repeat=False))
        [change] = restores.plan(record).plan.tables
        added, changed, removed = brute_force(then, rows())

        assert unchanged.same
        assert change.added == added
        assert (change.changed, change.removed) == ((0, 0) if added_to else (changed, removed))


def test_composite_keys(small_chunks, backups, restores):
    Seat.objects.bulk_create(Seat(row=row, number=number, guest="") for row in "aÄBc" for number in range(9))
    record = backups.create_backup()
    Seat.objects.filter(row="a", number__lt=2).delete()
    Seat.objects.filter(row="B").update(guest="王")
    Seat.objects.bulk_create(Seat(row="c", number=number, guest="late") for number in range(9, 60))
    change = change_of(restores.plan(record), "zoo.seat")

    assert (change.added, change.changed, change.removed) == (2, 9, 51)
    assert change.examples[3].fields == (FieldChange(name="guest", old="王", new=""),)


def test_pieces_fall_into_the_ranges_of_the_chunks_whatever_is_null(small_chunks, schema):
    """Keys of two columns that may be NULL: in exactly the range in which the database sorts them."""
    schema("CREATE TABLE pairs (a integer, b text, c integer)")
    values = ["NULL", "1", "2", "3"]
    schema(*(f"INSERT INTO pairs VALUES ({a}, {b}, 0)" for a in values for b in ("NULL", "'x'", "'y'") for _ in "12"))
    spec = TableSpec(label="zoo.pairs", table="pairs", data_type="ZOO", key=("a", "b"))
    with engine_connection("default") as ours, ours.snapshot([spec]):
        [table], _missing = ours.describe([spec])
        chunks = list(ours.chunks(table))
        pieces = ours.pieces(table, [chunk.last for chunk in chunks[:-1]])
        ranges = {
            number: [row for piece in own for row in orjson.loads(piece.body)]
            for number, own in groupby(pieces, attrgetter("range"))
        }
        chosen = [piece.range for piece in ours.pieces(table, [chunk.last for chunk in chunks[:-1]], [1, 3])]
    assert len(chunks) > 3
    assert ranges == {number: orjson.loads(chunk.body) for number, chunk in enumerate(chunks)}
    assert sorted(set(chosen)) == [1, 3]


def test_examples_say_field_by_field_what_is_and_what_would_be(backups, restores):
    one, two = (Keeper.objects.create(name=name) for name in ("one", "two"))
    record = backups.create_backup()
    Keeper.objects.filter(pk=one.pk).update(name="first")
    two.delete()
    three = Keeper.objects.create(name="three")
    one, two, three = (value(keeper.pk) for keeper in (one, Keeper(pk=one.pk + 1), three))

    assert change_of(restores.plan(record), "zoo.keeper").examples == (
        RowChange(kind="added", key=(two,), fields=fields(None, {"id": two, "name": "two", "boss_id": None})),
        RowChange(kind="changed", key=(one,), fields=(FieldChange(name="name", old="first", new="one"),)),
        RowChange(kind="removed", key=(three,), fields=fields({"id": three, "name": "three", "boss_id": None}, None)),
    )


def test_at_most_three_examples_of_a_kind(backups, restores):
    Keeper.objects.bulk_create(Keeper(name=str(number)) for number in range(20))
    record = backups.create_backup()
    Keeper.objects.update(name="?")
    change = change_of(restores.plan(record), "zoo.keeper")

    assert change.changed == 20
    assert [example.kind for example in change.examples] == ["changed"] * 3


def test_empty_tables_then_and_now(backups, restores):
    empty = backups.create_backup()
    Keeper.objects.bulk_create(Keeper(name=str(number)) for number in range(700))
    full = backups.create_backup()

    assert change_of(restores.plan(empty), "zoo.keeper").removed == 700
    assert change_of(restores.plan(full), "zoo.keeper").same
    Keeper.objects.all().delete()
    assert change_of(restores.plan(full), "zoo.keeper").added == 700
    assert change_of(restores.plan(empty), "zoo.keeper").same


@pytest.mark.skipif(POSTGRESQL, reason="PostgreSQL's columns have one type")
def test_a_number_of_another_class_is_a_change(legacy, schema, backups, restores):
    legacy("id integer PRIMARY KEY, name")
    schema("INSERT INTO legacy VALUES (1, 1), (2, '1'), (3, 0.0)")
    record = backups.create_backup(["ONE"])
    schema("UPDATE legacy SET name = 1.0 WHERE id = 1", "UPDATE legacy SET name = 1 WHERE id = 2")
    [change] = restores.plan(record).plan.tables

    assert change.changed == 2


def test_mapped_ids_are_no_change(backups, restores, forget_content_types):
    """The backup's content type has another id here: rows that refer to it are compared as they would be restored."""
    kind = ContentType.objects.create(app_label="brand", model="new")
    user = User.objects.create(username="clerk")
    LogEntry.objects.create(user=user, content_type=kind, object_repr="cat", action_flag=CHANGE)
    from tests.zoo.models import Tag

    Tag.objects.create(content_type=kind, object_id="1", text="tag")
    record = backups.create_backup()
    Tag.objects.all().delete()
    LogEntry.objects.all().delete()
    kind.delete()
    again = ContentType.objects.create(app_label="brand", model="new", pk=4711)
    Tag.objects.create(pk=value_of_only_tag(record, restores), content_type=again, object_id="1", text="tag")

    assert change_of(restores.plan(record, ["ZOO"]), "zoo.tag").same


def value_of_only_tag(record, restores) -> int:
    [example] = change_of(restores.plan(record, ["ZOO"]), "zoo.tag").examples
    assert {field.name: field.new for field in example.fields}["content_type_id"] == value(4711)
    return int(example.key[0])


def test_growth_in_the_last_range_is_not_held_in_memory(backups, restores):
    Animal.objects.create(name="first")
    record = backups.create_backup()
    notes = "x" * 2000
    for _turn in range(10):
        Animal.objects.bulk_create(Animal(name="new", notes=notes) for _number in range(1500))  # 30 MB in all
    tracemalloc.start()
    change = change_of(restores.plan(record), "zoo.animal")
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert change.removed == 15_000
    assert peak < 8_000_000


def test_progress_is_told_in_rows_of_the_backup(backups, restores):
    Keeper.objects.bulk_create(Keeper(name=str(number)) for number in range(1200))
    record = backups.create_backup()
    Keeper.objects.update(name="?")
    told = []
    restores.plan(record, progress=lambda *step: told.append(step))

    assert {phase for phase, _done, _total in told} == {"compare"}
    assert [done for _phase, done, _total in told] == sorted(done for _phase, done, _total in told)
    assert told[-1][1:] == (record.row_count, record.row_count)


def test_what_was_restored_has_no_differences_left(small_zoo, backups, restores):
    record = backups.create_backup()
    small_zoo.spoil()
    assert restores.plan(record).changed == 700
    restores.restore_from_backup(record)
    plan = restores.plan(record)

    assert (plan.added, plan.changed, plan.removed) == (0, 0, 0)
    assert all(change.same for change in plan.plan.tables)


def change_of(plan, label: str):
    return next(change for change in plan.plan.tables if change.label == label)


def value(number: int) -> object:
    """A number as it stands in a chunk."""
    return str(number) if POSTGRESQL else number


def fields(old: dict | None, new: dict | None) -> tuple[FieldChange, ...]:
    return tuple(FieldChange(name=name, old=old and old[name], new=new and new[name]) for name in (old or new))
