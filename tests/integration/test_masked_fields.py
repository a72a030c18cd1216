"""No plan shows a secret: not to Python, not on a terminal, not as JSON."""

import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from tests.zoo.models import Animal, Keeper, Passport, Team, Texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def plan_of(backups, restores):
    """What is in a plan after a change, by table."""

    def make(change) -> dict[str, list]:
        record = backups.create_backup()
        change()
        return {table.label: list(table.examples) for table in restores.plan(record).plan.tables}

    return make


@pytest.mark.parametrize("options", [["--json"], ["--verbosity=2"], ["--verbosity=3"]])
@pytest.mark.parametrize("event", ["changed", "added", "removed"])
def test_passwords_of_users_never_leave_the_service(backups, event, options):
    user = User.objects.create_user("clerk", password="before")
    hashes = [user.password]
    record = backups.create_backup()
    if event == "added":
        user.delete()
    elif event == "removed":
        hashes.append(User.objects.create_user("other", password="after").password)
    else:
        user.set_password("after")
        user.save()
        hashes.append(user.password)
    out = io.StringIO()
    call_command("restore_database", record.backup_name, "--dry-run", *options, stdout=out)
    printed = out.getvalue()

    assert "password" in printed
    for secret in hashes:
        assert secret not in printed
        assert secret.split("$")[-1] not in printed
    if options == ["--json"]:
        tables = {table["table"]: table for table in json.loads(printed)["tables"]}
        [example] = tables["auth.user"]["examples"]
        assert example["kind"] == event
        assert {"name": "password", "old": None, "new": None, "masked": True} in example["fields"]
    else:
        assert "password •••" in printed


def test_fields_named_by_the_setting_are_masked(plan_of, settings):
    settings.BACKUP_MASKED_FIELDS = ["ZOO.animal.Name", "*.boss", "zoo.texts.*"]
    boss = Keeper.objects.create(name="boss")
    animal = Animal.objects.create(name="cat", notes="grey")
    text = Texts.objects.create(char="secret word")

    def change():
        Keeper.objects.create(name="seen", boss=boss)
        Animal.objects.update(name="dog", notes="black")
        Texts.objects.update(char="other word")

    found = plan_of(change)
    assert [(field.name, field.masked, field.old) for field in found["zoo.animal"][0].fields] == [
        ("name", True, None),
        ("notes", False, "black"),
    ]
    assert found["zoo.animal"][0].key == (type(found["zoo.animal"][0].key[0])(animal.pk),)
    assert {field.name: field.masked for field in found["zoo.keeper"][0].fields} == {
        "id": False,
        "name": False,
        "boss_id": True,
    }
    [example] = found["zoo.texts"]
    assert example.key == (None,), text
    assert all(field.masked and field.old is None and field.new is None for field in example.fields)


@pytest.mark.parametrize(
    ("column", "masked"),
    [
        ("Passwd_old", True),
        ("apikey", False),
        ("api_key_2", True),
        ("key", True),
        ("private_key", True),
        ("keyboard", False),
        ("CSRFToken", True),
        ("secrets", True),
        ("session_data", True),
        ("monkey", False),
    ],
)
def test_names_that_give_secrets_away(schema, plan_of, column, masked):
    """Also of columns that no model knows."""
    schema(
        f'CREATE TABLE legacy (id integer PRIMARY KEY, name text, "{column}" text)',
        "INSERT INTO legacy VALUES (1, 'a', 'value')",
    )
    found = plan_of(lambda: schema(f"""UPDATE legacy SET "{column}" = 'other'"""))
    [field] = found["zoo.legacy"][0].fields

    assert (field.name, field.masked) == (column, masked)
    assert (field.new is None) == masked


def test_keys_and_references_are_no_secrets(plan_of, settings):
    animal = Animal.objects.create(name="cat")
    Team.objects.create(name="one")
    found = plan_of(lambda: Passport.objects.create(animal=animal, number="1"))

    assert not any(field.masked for field in found["zoo.passport"][0].fields)
