"""What a restore takes: single models, only what is missing, references set to NULL, and the way back."""

import json
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from backup_center.engine.errors import NotFound, ReferencesInTheWay, Refused
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import undoing
from tests.conftest import raw_rows
from tests.zoo.models import Animal, Keeper, Legacy, Owned

pytestmark = pytest.mark.django_db(transaction=True)


def names(model=Animal):
    return set(model.objects.values_list("name", flat=True))


# -- models


def test_one_model_with_its_many_to_many_rows_and_nothing_else(small_zoo, backups, restores):
    record = backups.create_backup()
    animals, friends = raw_rows("zoo_animal"), raw_rows("zoo_animal_friends")
    Animal.friends.through.objects.all().delete()
    Animal.objects.filter(weight__lt=10).update(name="?")
    Keeper.objects.update(name="stays")
    plan = restores.plan(record, models=["zoo.Animal"])
    assert {table.label for table in plan.plan.tables} == {"zoo.animal", "zoo.animal_friends"}
    restores.restore_from_backup(record, models=["zoo.Animal"])

    assert (raw_rows("zoo_animal"), raw_rows("zoo_animal_friends")) == (animals, friends)
    assert names(Keeper) == {"stays"}
    safety = BackupRecord.objects.filter(trigger="safety").get()
    assert set(safety.contents) == {"zoo.animal", "zoo.animal_friends"}


def test_models_and_data_types_add_up(backups, restores):
    record = backups.create_backup()
    plan = restores.plan(record, ["LOG"], models=["zoo.keeper"])
    assert set(plan.data_types) == {"ZOO", "LOG"}
    assert {table.label for table in plan.plan.tables if table.data_type == "ZOO"} == {"zoo.keeper"}


@pytest.mark.parametrize("name", ["zoo.Unicorn", "Animal", "nowhere.Model", "backup.BackupRecord", ""])
def test_models_that_the_backup_does_not_have_are_refused(name, backups, restores):
    record = backups.create_backup()
    with pytest.raises(Refused):
        restores.plan(record, models=[name])


def test_nothing_chosen_is_refused(backups, restores):
    with pytest.raises(Refused):
        restores.plan(backups.create_backup(), models=[])


# -- only what is missing


def test_rows_that_are_gone_come_back_and_nothing_else_is_touched(small_zoo, backups, restores):
    record = backups.create_backup()
    before = raw_rows("zoo_keeper")
    Animal.objects.filter(weight__lt=700).update(name="changed")
    Animal.objects.filter(weight__gt=1000).delete()
    Animal.objects.create(name="born since")
    plan = restores.plan(record, mode="missing")
    statistics = restores.restore_from_backup(record, mode="missing")

    assert (plan.added, plan.changed, plan.removed) == (201, 0, 0)  # the last one's friendship too, both ways
    assert Animal.objects.count() == 1201
    assert Animal.objects.filter(name="changed").count() == 700
    assert Animal.objects.filter(name="born since").count() == 1
    assert raw_rows("zoo_keeper") == before
    assert sum(statistics.values()) == 199  # rows of automatic many-to-many tables are no things of their own


def test_what_is_missing_refers_to_what_is_gone(backups, restores):
    keeper = Keeper.objects.create(name="k")
    Animal.objects.create(name="a", keeper=keeper)
    record = backups.create_backup()
    Animal.objects.all().delete()
    Keeper.objects.all().delete()
    assert "zoo.keeper" in str(restores.plan(record, models=["zoo.Animal"], mode="missing").refused)
    restores.restore_from_backup(record, models=["zoo.Animal", "zoo.Keeper"], mode="missing")
    assert Animal.objects.get().keeper.name == "k"


def test_a_row_that_stays_may_refer_to_what_is_gone_in_the_backup(backups, restores):
    """The backup's version of a row that is there doesn't come, so its reference is in nobody's way."""
    old, new = Keeper.objects.create(name="old"), Keeper.objects.create(name="new")
    animal, lost = Animal.objects.create(name="a", keeper=old), Animal.objects.create(name="lost", keeper=new)
    record = backups.create_backup()
    Animal.objects.filter(pk=animal.pk).update(keeper=new)
    Animal.objects.filter(pk=lost.pk).delete()
    Keeper.objects.filter(pk=old.pk).delete()
    assert restores.plan(record, models=["zoo.Animal"], mode="missing").refused == ()
    restores.restore_from_backup(record, models=["zoo.Animal"], mode="missing")
    assert set(Animal.objects.values_list("name", "keeper__name")) == {("a", "new"), ("lost", "new")}


def test_a_value_that_somebody_else_has_by_now_is_said_clearly(schema, legacy, backups, restores):
    legacy("id integer PRIMARY KEY, name varchar(20) UNIQUE")
    schema("INSERT INTO legacy VALUES (1, 'one'), (2, 'two')")
    record = backups.create_backup(["ONE"])
    schema("DELETE FROM legacy WHERE id = 1", "INSERT INTO legacy VALUES (3, 'one')")
    before = raw_rows("legacy")
    with pytest.raises(Refused) as caught:
        restores.restore_from_backup(record, mode="missing")
    assert "legacy" in str(caught.value)
    assert raw_rows("legacy") == before


def test_an_unknown_mode_is_refused(backups, restores):
    with pytest.raises(Refused):
        restores.plan(backups.create_backup(), mode="merge")


# -- references set to NULL


@pytest.fixture
def kept(schema, backups):
    """A backup of legacy without what ``loyal`` (in no data type of the restore) refers to by now."""
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
        "INSERT INTO legacy VALUES (1, 'a')",
    )
    return backups.create_backup(["ZOO"])


def test_rows_that_would_be_left_behind_lose_their_reference(backups, restores):
    Keeper.objects.create(name="old")
    record = backups.create_backup()
    new = Keeper.objects.create(name="new")
    Animal.objects.create(name="a", keeper=new)
    Animal.objects.create(name="b", keeper=Keeper.objects.get(name="old"))
    plan = restores.plan(record, models=["zoo.Keeper"])
    assert "--set-null" in str(plan.refused)
    plan = restores.plan(record, models=["zoo.Keeper"], set_null=True)
    assert (plan.refused, len(plan.plan.nulled), plan.plan.nulled[0].rows) == ((), 1, 1)
    restores.restore_from_backup(record, models=["zoo.Keeper"], set_null=True)

    assert names(Keeper) == {"old"}
    assert set(Animal.objects.values_list("name", "keeper__name")) == {("a", None), ("b", "old")}
    # What was emptied can be taken back.
    restores.restore_from_backup(BackupRecord.objects.get(trigger="safety"))
    assert set(Animal.objects.values_list("name", "keeper__name")) == {("a", "new"), ("b", "old")}


def test_rows_that_come_lose_a_reference_to_what_is_gone(backups, restores):
    keeper = Keeper.objects.create(name="gone")
    Animal.objects.create(name="a", keeper=keeper)
    record = backups.create_backup()
    Animal.objects.all().delete()
    Keeper.objects.all().delete()
    with pytest.raises(ReferencesInTheWay):
        restores.restore_from_backup(record, models=["zoo.Animal"])
    restores.restore_from_backup(record, models=["zoo.Animal"], set_null=True)
    assert list(Animal.objects.values_list("name", "keeper")) == [("a", None)]


def test_a_column_that_may_not_be_null_still_refuses(backups, restores, django_user_model):
    record = backups.create_backup(["OTHER"])
    Owned.objects.create(owner=django_user_model.objects.create(username="later"))
    assert restores.plan(record, set_null=True).refused
    with pytest.raises(ReferencesInTheWay):
        restores.restore_from_backup(record, set_null=True)
    assert Owned.objects.count() == 1


def test_a_table_that_no_model_knows_keeps_its_references(schema, kept, backups, restores, settings):
    schema(
        "CREATE TABLE loyal (id integer PRIMARY KEY, legacy_id integer REFERENCES legacy)",
        "INSERT INTO legacy VALUES (2, 'b')",
        "INSERT INTO loyal VALUES (1, 2)",
    )
    # A table that no model knows can't be backed up before it is changed: it isn't changed.
    assert restores.plan(kept, set_null=True).refused
    with pytest.raises(ReferencesInTheWay):
        restores.restore_from_backup(kept, set_null=True)
    assert Legacy.objects.count() == 2


@pytest.fixture
def alarmed(schema):
    """A trigger that lets nobody change an animal."""
    if settings.ON_POSTGRESQL:
        schema(
            "CREATE FUNCTION alarm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$",
            "CREATE TRIGGER alarm BEFORE UPDATE ON zoo_animal FOR EACH ROW EXECUTE FUNCTION alarm()",
        )
        yield
        schema("DROP FUNCTION alarm CASCADE")
    else:
        schema("CREATE TRIGGER alarm BEFORE UPDATE ON zoo_animal BEGIN SELECT RAISE(ABORT, 'fired'); END")
        yield
        schema("DROP TRIGGER alarm")


def test_the_hosts_triggers_do_not_fire_when_references_are_emptied(backups, restores, alarmed):
    record = backups.create_backup()
    Animal.objects.create(name="a", keeper=Keeper.objects.create(name="new"))
    restores.restore_from_backup(record, models=["zoo.Keeper"], set_null=True)
    assert list(Animal.objects.values_list("name", "keeper")) == [("a", None)]
    with pytest.raises(DatabaseError, match="fired"):
        Animal.objects.update(name="b")


# -- the way back


def test_a_restore_is_undone_and_the_undoing_too(small_zoo, backups, restores):
    record = backups.create_backup()
    good = small_zoo.rows()
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    restores.restore_from_backup(record)
    Keeper.objects.create(name="since")
    Animal.objects.filter(weight=5).update(name="renamed since")
    Animal.objects.filter(weight=6).delete()

    undo = undoing.latest()
    since = {table.label: (table.removed, table.changed, table.added) for table in undoing.written_since(undo).tables}
    assert since == {"zoo.keeper": (1, 0, 0), "zoo.animal": (0, 1, 1)}
    restores.restore_from_backup(undo.safety)
    assert small_zoo.rows() == spoiled
    restores.restore_from_backup(undoing.latest().safety)
    assert names(Keeper) >= {"since"}
    restores.restore_from_backup(record)
    assert small_zoo.rows() == good


def test_what_was_written_since_is_told_for_the_models_of_that_restore(small_zoo, backups, restores):
    record = backups.create_backup()
    Animal.objects.filter(weight=5).update(name="spoiled")
    restores.restore_from_backup(record, models=["zoo.Animal"])
    Keeper.objects.create(name="elsewhere")
    assert undoing.written_since(undoing.latest()).tables == ()


def test_no_way_back_is_said(backups, restores):
    with pytest.raises(NotFound):
        undoing.latest()
    record = backups.create_backup()
    restores.restore_from_backup(record, safety_backup=False)
    with pytest.raises(Refused):
        undoing.latest()
    restores.restore_from_backup(record)
    backups.delete_backup(undoing.latest().safety)
    with pytest.raises(NotFound):
        undoing.latest()


# -- the command


def command(*arguments, **options):
    out = StringIO()
    call_command("restore_database", *arguments, stdout=out, **options)
    return out.getvalue()


def test_the_command_undoes_the_latest_restore(small_zoo, backups, restores):
    record = backups.create_backup()
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    restores.restore_from_backup(record)
    Keeper.objects.create(name="since")
    told = command("--undo", "--dry-run")
    assert f"Undoing the restore of {record.backup_name}" in told
    assert "zoo.keeper  1 inserted, 0 changed, 0 deleted" in told
    facts = json.loads(command(record.backup_name, "--undo", "--dry-run", "--json"))
    assert facts["written_since"]["tables"] == [{"table": "zoo.keeper", "inserted": 1, "changed": 0, "deleted": 0}]
    command("--undo", "--yes")
    assert small_zoo.rows() == spoiled


def test_the_command_takes_models_modes_and_set_null(small_zoo, backups):
    record = backups.create_backup()
    Animal.objects.filter(weight__gt=1190).delete()
    Animal.objects.filter(weight=2).update(name="stays")
    facts = json.loads(
        command(record.backup_name, "--models", "zoo.Animal", "--mode", "missing", "--dry-run", "--json")
    )
    [animals] = [table for table in facts["tables"] if table["table"] == "zoo.animal"]
    assert (animals["added"], animals["changed"], animals["added_to"]) == (9, 0, True)
    assert (animals["ranges"], animals["of_ranges"], animals["unchanged"]) == (2, 3, 1191)
    assert animals["bytes"] > 0
    command(record.backup_name, models="zoo.Animal", mode="missing", yes=True)
    assert Animal.objects.count() == 1200
    assert Animal.objects.filter(name="stays").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--undo"], ["--undo", "--models", "zoo.Animal"], ["--undo", "--mode", "missing"]]
)
def test_the_command_refuses_what_makes_no_sense(arguments, backups, restores):
    if len(arguments) > 1:
        restores.restore_from_backup(backups.create_backup())
    with pytest.raises(CommandError) as caught:
        command(*arguments, "--yes")
    assert caught.value.returncode in {Refused.exit_code, NotFound.exit_code}
    assert BackupLog.objects.filter(operation="RESTORE").count() == (len(arguments) > 1)
