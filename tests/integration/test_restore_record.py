"""One record comes back from a backup, alone or with what belonged to it; nothing else is touched."""

import datetime as dt
import json
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from backup_center.engine.errors import Cancelled, Damaged, NotFound, ReferencesInTheWay, SchemaDiffers
from backup_center.models import BackupLog, BackupRecord
from backup_center.services.picking import Wanted
from tests.integration.forging import archive_path, flip
from tests.zoo.models import Animal, Chicken, Egg, Keeper, Legacy, Membership, Passport, Seat, Stamp, Taxi, Team, Word

pytestmark = pytest.mark.django_db(transaction=True)


def command(*arguments):
    out = StringIO()
    call_command("restore_record", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def family(backups):
    """Three levels: a keeper, her animals, their passports and stamps; and a friendship."""
    keeper, other = Keeper.objects.create(name="Li"), Keeper.objects.create(name="Wang")
    cat, dog = (Animal.objects.create(name=name, keeper=keeper) for name in ("cat", "dog"))
    cat.friends.add(dog)
    Stamp.objects.create(passport=Passport.objects.create(animal=cat, number="P1"), country="CN")
    Animal.objects.create(name="owl", keeper=other)
    return backups.create_backup()


def everything(rows_of_everything):
    return {label: rows for label, rows in rows_of_everything().items() if label.startswith("zoo.")}


def test_a_record_that_changed_becomes_what_it_was_and_nothing_else(family):
    Animal.objects.filter(name="cat").update(name="spoiled")
    Animal.objects.filter(name="dog").update(name="changed on purpose")
    told = command("zoo.Animal", str(Animal.objects.get(name="spoiled").pk), "--from", family.backup_name, "--yes")
    assert set(Animal.objects.values_list("name", flat=True)) == {"cat", "changed on purpose", "owl"}
    assert "--undo takes it back" in told
    details = BackupLog.objects.filter(operation="RESTORE").first().details
    assert (details["rows"], details["one_record"].startswith("zoo.Animal ")) == (1, True)


def test_a_record_that_is_gone_comes_back_with_what_belonged_to_it(family, restores, rows_of_everything):
    before = everything(rows_of_everything)
    key = str(Keeper.objects.get(name="Li").pk)
    Stamp.objects.all().delete()
    Passport.objects.all().delete()
    Animal.objects.filter(keeper=key).delete()
    Keeper.objects.filter(pk=key).delete()
    Keeper.objects.filter(name="Wang").update(name="married")
    facts = json.loads(
        command("zoo.Keeper", key, "--from", family.backup_name, "--with-related", "--dry-run", "--json")
    )
    assert {table["table"]: table["added"] for table in facts["tables"]} == {
        "zoo.keeper": 1, "zoo.animal": 2, "zoo.animal_friends": 2, "zoo.passport": 1, "zoo.stamp": 1,
    }  # fmt: skip
    assert Keeper.objects.count() == 1
    command("zoo.Keeper", key, "--from", family.backup_name, "--with-related", "--yes")
    assert Keeper.objects.filter(name="married").exists()
    Keeper.objects.filter(name="married").update(name="Wang")
    assert everything(rows_of_everything) == before


def test_related_rows_that_are_there_are_left_alone(family):
    key = str(Keeper.objects.get(name="Li").pk)
    Animal.objects.filter(name="cat").update(name="renamed")
    command("zoo.Keeper", key, "--from", family.backup_name, "--with-related", "--yes")
    assert Animal.objects.filter(name="renamed").exists()


def test_alone_it_comes_without_them(family, restores):
    key = str(Keeper.objects.get(name="Li").pk)
    for model in (Stamp, Passport, Animal, Keeper):
        model.objects.all().delete()
    restores.restore_from_backup(family, record=Wanted(label="zoo.keeper", key=key))
    assert [keeper.name for keeper in Keeper.objects.all()] == ["Li"]
    assert not Animal.objects.exists()


def test_what_refers_to_something_gone_is_refused_and_nothing_changes(family, restores):
    key = str(Animal.objects.get(name="cat").pk)
    for model in (Stamp, Passport, Animal, Keeper):
        model.objects.all().delete()
    with pytest.raises(ReferencesInTheWay) as caught:
        restores.restore_from_backup(family, record=Wanted(label="zoo.Animal", key=key))
    assert "zoo.keeper" in caught.value.problems[0]
    assert "Bring that one back first" in caught.value.problems[0]
    with pytest.raises(CommandError) as refused:
        command("zoo.Animal", key, "--from", family.backup_name, "--dry-run")
    assert refused.value.returncode == ReferencesInTheWay.exit_code
    assert not Animal.objects.exists()


def test_it_is_taken_back(family, rows_of_everything):
    Animal.objects.filter(name="cat").update(name="spoiled")
    spoiled = everything(rows_of_everything)
    command("zoo.Animal", str(Animal.objects.get(name="spoiled").pk), "--from", family.backup_name, "--yes")
    call_command("restore_database", "--undo", "--yes", stdout=StringIO())
    assert everything(rows_of_everything) == spoiled


def test_a_composite_key(backups):
    Seat.objects.create(row="A", number=1, guest="Chen")
    Seat.objects.create(row="A", number=2, guest="Wu")
    record = backups.create_backup()
    Seat.objects.all().delete()
    command("zoo.Seat", "A,2", "--from", record.backup_name, "--yes")
    assert [seat.guest for seat in Seat.objects.all()] == ["Wu"]


def test_the_same_changes_nothing(family):
    key = str(Keeper.objects.get(name="Li").pk)
    assert "unchanged" in command("zoo.Keeper", key, "--from", family.backup_name, "--dry-run")
    command("zoo.Keeper", key, "--from", family.backup_name, "--yes")
    assert BackupLog.objects.filter(operation="RESTORE").first().details["rows"] == 0


@pytest.mark.parametrize("arguments", [("zoo.Keeper", "999999"), ("zoo.Unicorn", "1"), ("zoo.Keeper", "no number")])
def test_what_is_not_there_is_said(arguments, family):
    with pytest.raises(CommandError) as caught:
        command(*arguments, "--from", family.backup_name, "--yes")
    assert caught.value.returncode == NotFound.exit_code
    assert not BackupRecord.objects.filter(trigger="safety", status="RUNNING").exists()


def test_a_related_row_that_is_there_only_gets_its_emptied_reference_back(family):
    key = str(Keeper.objects.get(name="Li").pk)
    Animal.objects.filter(name="cat").update(name="renamed", keeper=None)
    Animal.objects.filter(name="dog").update(keeper=Keeper.objects.get(name="Wang"))
    Keeper.objects.filter(pk=key).delete()
    command("zoo.Keeper", key, "--from", family.backup_name, "--with-related", "--yes")
    keepers = dict(Animal.objects.values_list("name", "keeper__name"))
    assert keepers == {"renamed": "Li", "dog": "Wang", "owl": "Wang"}


def test_a_related_row_that_refers_to_something_else_gone_is_left_out_and_named(backups):
    cat, dog, owl = (Animal.objects.create(name=name) for name in ("cat", "dog", "owl"))
    cat.friends.add(dog, owl)
    record = backups.create_backup()
    key, gone = str(cat.pk), dog.pk
    cat.delete()
    dog.delete()
    told = command("zoo.Animal", key, "--from", record.backup_name, "--with-related", "--yes", "--dry-run")
    assert "2 rows of zoo.animal_friends are left out" in told
    command("zoo.Animal", key, "--from", record.backup_name, "--with-related", "--yes")
    assert [friend.name for friend in Animal.objects.get(pk=key).friends.all()] == ["owl"]
    assert not Animal.objects.filter(pk=gone).exists()
    [left_out] = BackupLog.objects.filter(operation="RESTORE").first().details["left_out"]
    assert "zoo.animal_friends" in left_out


def test_what_refers_to_each_other_comes_back_together(backups):
    egg = Egg.objects.create()
    hen = Chicken.objects.create(egg=egg)
    Egg.objects.filter(pk=egg.pk).update(chicken=hen)
    record = backups.create_backup()
    Egg.objects.update(chicken=None)
    Chicken.objects.all().delete()
    Egg.objects.all().delete()
    command("zoo.Egg", str(egg.pk), "--from", record.backup_name, "--with-related", "--yes")
    assert Egg.objects.get().chicken_id == hen.pk
    assert Chicken.objects.get().egg_id == egg.pk


def test_the_plan_shows_the_record_field_by_field(family):
    Animal.objects.filter(name="cat").update(name="spoiled")
    key = str(Animal.objects.get(name="spoiled").pk)
    assert 'name "spoiled" → "cat"' in command("zoo.Animal", key, "--from", family.backup_name, "--dry-run")


def test_a_text_key(backups):
    Word.objects.create(word="slash/ed, “quoted”")
    Word.objects.create(word="other")
    record = backups.create_backup()
    Word.objects.all().delete()
    command("zoo.Word", "slash/ed, “quoted”", "--from", record.backup_name, "--yes")
    assert [word.word for word in Word.objects.all()] == ["slash/ed, “quoted”"]


def test_all_tables_of_what_inherits(backups):
    taxi = Taxi.objects.create(wheels=4, plate="A 1", number=7)
    key = str(taxi.pk)
    record = backups.create_backup()
    taxi.delete()
    command("zoo.Taxi", key, "--from", record.backup_name, "--yes")
    found = Taxi.objects.get(pk=key)
    assert (found.wheels, found.plate, found.number) == (4, "A 1", 7)


def test_secrets_are_not_in_the_plan(backups):
    user = User.objects.create_user("clerk", password="before")
    secret = user.password
    record = backups.create_backup()
    User.objects.update(password="other", first_name="Lee")
    told = command("auth.User", str(user.pk), "--from", record.backup_name, "--dry-run")
    assert "password •••" in told
    assert 'first_name "Lee" → ""' in told
    assert secret not in told
    assert command("auth.User", str(user.pk), "--from", record.backup_name, "--yes")
    assert User.objects.get().password == secret


def test_a_damaged_backup_is_refused_and_nothing_changes(family):
    key = str(Animal.objects.get(name="cat").pk)
    Animal.objects.filter(name="cat").update(name="spoiled")
    path = archive_path(family)
    flip(path, path.stat().st_size // 2)
    with pytest.raises(CommandError) as caught:
        command("zoo.Animal", key, "--from", family.backup_name, "--yes")
    assert caught.value.returncode == Damaged.exit_code
    assert Animal.objects.filter(name="spoiled").exists()


def test_a_no_is_a_no(family, monkeypatch):
    key = str(Animal.objects.get(name="cat").pk)
    Animal.objects.filter(name="cat").update(name="spoiled")
    monkeypatch.setattr("builtins.input", lambda *_: "y e s")
    with pytest.raises(CommandError) as caught:
        command("zoo.Animal", key, "--from", family.backup_name)
    assert caught.value.returncode == Cancelled.exit_code
    assert Animal.objects.filter(name="spoiled").exists()


def test_references_to_other_columns_than_the_key_are_followed(backups):
    team = Team.objects.create(name="第一")
    li, wang = (Keeper.objects.create(name=name) for name in ("Li", "Wang"))
    for keeper in (li, wang):
        Membership.objects.create(team=team, keeper=keeper, since=dt.date(2026, 1, 1))
    record = backups.create_backup()
    key = str(team.pk)
    team.delete()
    wang.delete()
    command("zoo.Team", key, "--from", record.backup_name, "--with-related", "--yes")
    assert [member.name for member in Team.objects.get().members.all()] == ["Li"]
    [line] = BackupLog.objects.filter(operation="RESTORE").first().details["left_out"]
    assert "zoo.membership" in line
    assert "zoo.keeper" in line


def test_what_came_back_with_it_is_taken_back_too(family, rows_of_everything):
    key = str(Keeper.objects.get(name="Li").pk)
    Animal.objects.filter(name="cat").update(keeper=None)
    Animal.objects.filter(name="dog").delete()
    Keeper.objects.filter(pk=key).delete()
    gone = everything(rows_of_everything)
    command("zoo.Keeper", key, "--from", family.backup_name, "--with-related", "--yes")
    assert everything(rows_of_everything) != gone
    call_command("restore_database", "--undo", "--yes", stdout=StringIO())
    assert everything(rows_of_everything) == gone


def test_a_table_that_differs_is_refused_and_nothing_changes(schema, backups):
    columns = "id integer PRIMARY KEY, name varchar(20) NOT NULL"
    schema(f"CREATE TABLE legacy ({columns}, old integer)", "INSERT INTO legacy (id, name) VALUES (1, 'a')")
    record = backups.create_backup(["ZOO"])
    schema("DROP TABLE legacy", f"CREATE TABLE legacy ({columns})")
    with pytest.raises(CommandError, match=r"zoo\.legacy\.old is in the backup") as caught:
        command("zoo.Legacy", "1", "--from", record.backup_name, "--yes")
    assert caught.value.returncode == SchemaDiffers.exit_code
    assert not Legacy.objects.exists()


def test_a_backup_that_does_not_exist(family):
    with pytest.raises(CommandError) as caught:
        command("zoo.Keeper", "1", "--from", "backup_full_nowhere", "--yes")
    assert caught.value.returncode == NotFound.exit_code


def test_what_hangs_on_a_row_that_can_not_come_can_not_come_either(family, restores):
    key = str(Animal.objects.get(name="cat").pk)
    for model in (Stamp, Passport, Animal, Keeper):
        model.objects.all().delete()
    found = restores.plan(family, record=Wanted(label="zoo.Animal", key=key, with_related=True))
    [reason] = found.refused
    assert "zoo.keeper" in reason
    for table in ("zoo.passport", "zoo.stamp", "zoo.animal_friends"):
        assert any(f"of {table} are left out" in note for note in found.plan.notes), table
    assert [table.label for table in found.plan.tables if table.added] == ["zoo.animal"]  # only what was asked for


def test_what_inherits_from_it_comes_back_with_it(backups):
    taxi = Taxi.objects.create(wheels=4, plate="A 1", number=7)
    key = str(taxi.pk)
    record = backups.create_backup()
    taxi.delete()
    command("zoo.Vehicle", key, "--from", record.backup_name, "--with-related", "--yes")
    assert Taxi.objects.get(pk=key).plate == "A 1"


def test_a_plan_for_one_account_speaks_of_no_other(backups, restores, django_user_model):
    lost, kept = (django_user_model.objects.create(username=name) for name in ("lost", "kept"))
    record = backups.create_backup()
    lost_key = str(lost.pk)
    lost.delete()
    kept.delete()
    django_user_model.objects.create(username="later")
    warnings = restores.plan(record, record=Wanted(label="auth.User", key=lost_key)).warnings
    assert warnings == ("Accounts that come back: lost.",)
