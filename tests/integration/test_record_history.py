"""One record's past, over all backups: when it changed, from what to what, when it was not there."""

from __future__ import annotations

import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from backup_center.engine.errors import NotFound, Refused
from backup_center.models import BackupRecord
from backup_center.services import history, records
from tests.zoo.models import Animal, Car, Keeper, Moment, Seat, Taxi, Uuid, Word

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def incremental(backups):
    return lambda *types, **facts: backups.create_backup(list(types) or None, "INCREMENTAL", **facts)


def seen(found: history.RecordHistory, column: str) -> list[tuple[object, int]]:
    """Of each version, the newest first, a column's value (``None``: not there) and in how many backups."""
    return [
        (next((value.value for value in version.values if value.name == column), None), version.backups)
        for version in found.versions
    ]


def changed(changes) -> list[tuple[str, object, object]]:
    return [(change.name, change.old and change.old.value, change.new and change.new.value) for change in changes]


def test_a_record_from_birth_to_death(small_zoo, incremental):
    taken = [incremental()]
    animal = Animal.objects.create(name="Rex", notes="young")
    key = animal.pk
    taken += [incremental(), incremental()]
    Animal.objects.filter(pk=key).update(notes="old", name="Max")
    taken += [incremental()]
    Animal.objects.filter(pk=key).delete()
    taken += [incremental(), incremental()]
    found = history.versions("zoo.Animal", str(key))

    assert seen(found, "notes") == [(None, 2), ("old", 1), ("young", 2), (None, 1)]
    gone, second, first, unborn = found.versions
    assert changed(second.changes) == [("name", "Rex", "Max"), ("notes", "young", "old")]
    assert (first.first, first.last, first.before) == (taken[1], taken[2], taken[0])
    assert (gone.first, gone.last, gone.before, gone.changes) == (taken[4], taken[5], taken[3], ())
    assert (unborn.before, unborn.is_there, found.now.state) == (None, False, history.ABSENT)
    assert (found.looked_at, found.older, found.unreadable) == (6, 0, ())


def test_what_it_is_now(small_zoo, incremental):
    animal = Animal.objects.create(name="Rex")
    incremental()

    def now():
        found = history.versions("zoo.animal", str(animal.pk))
        return found.now.state, changed(found.now.changes)

    assert now() == (history.SAME, [])
    Animal.objects.filter(pk=animal.pk).update(name="Max")
    assert now() == (history.DIFFERS, [("name", "Rex", "Max")])
    Animal.objects.filter(pk=animal.pk).delete()
    assert now() == (history.GONE, [])
    late = Animal.objects.create(name="late")
    assert history.versions("zoo.animal", str(late.pk)).now.state == history.NEW


def test_only_backups_that_hold_the_table_count(small_zoo, backups, settings):
    settings.BACKUP_DATA_TYPES = {"KEEPER": {"models": ["zoo.Keeper"]}, "ANIMAL": {"models": ["zoo.Animal"]}}
    backups.create_backup(["KEEPER"])
    record = backups.create_backup(["ANIMAL"])
    failed = backups.create_backup(["ANIMAL"])
    BackupRecord.objects.filter(pk=failed.pk).update(status="FAILED")
    elsewhere = backups.create_backup(["ANIMAL"])
    BackupRecord.objects.filter(pk=elsewhere.pk).update(database="other")
    [version] = history.versions("zoo.animal", str(Animal.objects.first().pk)).versions

    assert (version.first, version.last, version.backups) == (record, record, 1)


def test_only_so_many_of_the_newest(small_zoo, incremental):
    taken = [incremental() for _turn in range(4)]
    found = history.versions("zoo.animal", str(Animal.objects.first().pk), newest=3)

    [version] = found.versions
    assert (version.first, version.backups, found.looked_at, found.older) == (taken[1], 3, 3, 1)


@pytest.mark.parametrize(
    "key",
    [
        lambda: (Uuid.objects.create(), str),
        lambda: (Uuid.objects.create(), lambda pk: pk.hex.upper()),
        lambda: (Word.objects.create(word="a/b, 'c' %"), str),
        lambda: (Word.objects.create(word=""), str),
        lambda: (Moment.objects.create(at="2026-01-16T02:00:00.250Z"), str),
        lambda: (Moment.objects.create(at="2026-01-16T02:00:00+08:00"), lambda at: "2026-01-15 18:00:00"),
        lambda: (Seat.objects.create(row="A", number=3, guest="x"), lambda pk: "A,3"),
        lambda: (Seat.objects.create(row='A,"b"', number=-3, guest="x"), lambda pk: '"A,""b""",-3'),
        lambda: (User.objects.create_user("clerk"), str),
    ],
)
def test_every_kind_of_key(backups, key):
    thing, say = key()
    backups.create_backup()
    found = history.versions(
        thing._meta.label, say(thing.pk if isinstance(thing.pk, tuple) else type(thing).objects.get().pk)
    )

    assert [version.is_there for version in found.versions] == [True]
    assert found.now.state == history.SAME


def test_text_that_the_collation_calls_equal(backups):
    """What one key is, the database decides."""
    if connection.vendor == "postgresql":
        from tests.postgres_zoo.models import AnyCase as Thing
    else:
        Thing = Word  # noqa: N806
    Thing.objects.create(word="Anna")
    backups.create_backup()
    found = history.versions(Thing._meta.label, "ANNA")

    assert seen(found, "word") == [("Anna", 1)]


def test_an_object_of_several_tables_is_one_record(backups):
    taxi = Taxi.objects.create(wheels=4, plate="京A 123", number=7)
    backups.create_backup()
    Car.objects.filter(pk=taxi.pk).update(plate="沪B 456")
    taxi.refresh_from_db()
    Taxi.objects.filter(pk=taxi.pk).update(wheels=3)
    backups.create_backup()
    found = history.versions("zoo.Taxi", str(taxi.pk))

    assert changed(found.versions[0].changes) == [
        ("plate", "京A 123", "沪B 456"),
        ("wheels", "4" if connection.vendor == "postgresql" else 4, "3" if connection.vendor == "postgresql" else 3),
    ]
    assert {value.label for value in found.versions[0].values} == {"zoo.taxi", "zoo.car", "zoo.vehicle"}


def test_secrets_are_masked(backups, settings):
    settings.BACKUP_MASKED_FIELDS = ["auth.User.email"]
    user = User.objects.create_user("clerk", "a@example.org", password="before")
    backups.create_backup()
    user.set_password("after")
    user.email = "b@example.org"
    user.save()
    backups.create_backup()
    user.set_password("now")
    user.save()
    out = io.StringIO()
    for options in (["--json"], []):
        call_command("record_history", "auth.User", str(user.pk), *options, stdout=out)

    assert "password •••" in out.getvalue()
    assert "email •••" in out.getvalue()
    for secret in ("example.org", "md5$"):
        assert secret not in out.getvalue()
    assert "clerk" in out.getvalue()


def test_a_damaged_backup_is_named_and_the_others_are_shown(small_zoo, backup_dir, backups):
    animal = Animal.objects.first()
    taken = []
    for name in ("one", "two", "three", "four"):
        Animal.objects.filter(pk=animal.pk).update(name=name)
        taken.append(backups.create_backup())
    spoilt = backup_dir / taken[1].file_path
    spoilt.write_bytes(bytes(spoilt.stat().st_size))
    (backup_dir / taken[2].file_path).unlink()
    found = history.versions("zoo.animal", str(animal.pk))

    assert seen(found, "name") == [("four", 1), ("one", 1)]
    assert [(broken.record, broken.reason) for broken in found.unreadable] == [
        (taken[2], f"{taken[2].file_path} is not in {backup_dir}."),
        (taken[1], "data/zoo.animal/000000.json is damaged: its bytes are not those that were written."),
    ]
    out = io.StringIO()
    call_command("record_history", "zoo.Animal", str(animal.pk), stdout=out)
    assert f"! {taken[1].backup_name} can't be read: " in out.getvalue()


def test_columns_that_come_and_go(legacy, schema, backups):
    legacy("id integer PRIMARY KEY, name text")
    schema("INSERT INTO legacy VALUES (1, 'a')")
    backups.create_backup(["ONE"])
    schema(
        "DROP TABLE legacy",
        "CREATE TABLE legacy (id integer PRIMARY KEY, title text)",
        "INSERT INTO legacy VALUES (1, 'b')",
    )
    backups.create_backup(["ONE"])
    out = io.StringIO()
    call_command("record_history", "zoo.Legacy", "1", stdout=out)

    assert 'title is new: "b"' in out.getvalue()
    assert 'name is no more: "a"' in out.getvalue()


def test_a_table_or_a_model_that_is_gone(legacy, schema, backups, settings):
    legacy("id integer PRIMARY KEY, name text")
    schema("INSERT INTO legacy VALUES (1, 'a'), (2, 'b')")
    record = backups.create_backup(["ONE"])
    schema("DROP TABLE legacy")
    found = history.versions("zoo.Legacy", "2")
    assert (seen(found, "name"), found.now.state) == ([("b", 1)], history.UNKNOWN)
    vanished = {"zoo.vanished": record.contents["zoo.legacy"]}
    BackupRecord.objects.filter(pk=record.pk).update(contents=vanished)
    assert history.versions("zoo.Vanished", "2").versions[0].is_there is False  # its sidecar knows no such table


@pytest.mark.parametrize(
    "label", ["zoo.Unknown", "unknown.Model", "zoo", "", "zoo.Animal.name", "' OR 1=1", "zoo.\0", "猫.狗"]
)
def test_unknown_models_are_refused(label):
    with pytest.raises(NotFound, match="There is no model"):
        history.versions(label, "1")


def test_models_of_no_backup_are_refused(small_zoo):
    with pytest.raises(NotFound, match=r"sessions.Session is in no backup"):
        history.versions("sessions.Session", "x")


def test_an_unknown_database_is_refused(small_zoo):
    with pytest.raises(Refused, match="There is no database other"):
        history.versions("zoo.Animal", "1", "other")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "0",
        "-1",
        "9" * 40,
        "-" + "9" * 40,
        "1e400",
        "nan",
        "1 OR 1=1",
        "'",
        "%s",
        "\0",
        "\udc80",
        "1,2",
        "猫",
        "x" * 10_000,
    ],
)
@pytest.mark.parametrize("model", ["zoo.Animal", "zoo.Uuid", "zoo.Word", "zoo.Moment", "zoo.Amount"])
def test_keys_that_nobody_has(small_zoo, settings, backups, model, key):
    settings.BACKUP_DATA_TYPES = {"ZOO": {"models": ["zoo.*"]}}
    backups.create_backup()
    assert not history.versions(model, key).is_known


@pytest.mark.parametrize("key", ["A", "A,1,2", '"A', "A,x", "", "\0,1"])
def test_half_of_a_composite_key(backups, key):
    backups.create_backup()
    if key in {"A,x", "\0,1"}:
        assert not history.versions("zoo.Seat", key).is_known
    else:
        with pytest.raises(NotFound, match="2 parts"):
            history.versions("zoo.Seat", key)


def test_the_command(small_zoo, incremental):
    animal = Animal.objects.create(name="Rex", keeper=Keeper.objects.first())
    first = incremental()
    second = incremental()
    Animal.objects.filter(pk=animal.pk).update(name="Max")
    third = incremental()
    Animal.objects.filter(pk=animal.pk).update(name="Now")
    out = io.StringIO()
    call_command("record_history", "zoo.Animal", str(animal.pk), stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[:3] == [f"zoo.animal {animal.pk}", "Now: it differs from the newest backup", '    name "Max" → "Now"']
    assert lines[3].endswith(f"({third.backup_name})")
    assert lines[4] == '    name "Rex" → "Max"'
    assert lines[5].startswith("In 2 backups, from 20")
    assert lines[5].endswith(f"({second.backup_name})")
    out = io.StringIO()
    call_command("record_history", "zoo.Animal", str(animal.pk), "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert found["now"]["state"] == "differs"
    newest, oldest = found["versions"]
    assert newest["changes"] == [{"table": "zoo.animal", "name": "name", "old": "Rex", "new": "Max", "masked": False}]
    assert newest["after"]["name"] == second.backup_name
    assert (oldest["first"]["name"], oldest["backups"], oldest["there"]) == (first.backup_name, 2, True)


def test_the_command_says_when_there_is_nothing(small_zoo, incremental):
    incremental()
    with pytest.raises(
        CommandError, match=r"There is no zoo.animal 999999 in the database, nor in any of 1 backups"
    ) as failure:
        call_command("record_history", "zoo.Animal", "999999", stdout=io.StringIO())
    assert failure.value.returncode == 1


def test_the_rows_of_a_record_as_they_stand(small_zoo, incremental):
    """What bringing it back starts from: nothing masked, nothing folded."""
    animal = Animal.objects.first()
    record = incremental()
    Animal.objects.filter(pk=animal.pk).update(name="changed")
    with records.looking_for("zoo.Animal", str(animal.pk)) as sought:
        [then], [now] = sought.in_backup(record), sought.now()

    assert then.names == now.names
    assert (then.label, then.values[then.names.index("name")]) == ("zoo.animal", animal.name)
    assert now.values[now.names.index("name")] == "changed"
