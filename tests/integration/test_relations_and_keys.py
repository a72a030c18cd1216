"""Whatever refers to whatever, under whatever name: it comes back as it was."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, Permission, User

from tests.zoo.models import (
    Amount,
    Animal,
    Chicken,
    Egg,
    Keeper,
    Membership,
    Odd,
    Owned,
    Passport,
    Seat,
    Stamp,
    Tag,
    Tagged,
    Taxi,
    Team,
    Uuid,
    Word,
)  # fmt: skip

pytestmark = pytest.mark.django_db(transaction=True)


def test_references_to_itself_and_in_a_circle(comes_back):
    first = Keeper.objects.create(name="boss")
    Keeper.objects.update(boss=first)  # its own boss
    Keeper.objects.create(name="worker", boss=Keeper.objects.create(name="later", boss=first))
    chicken = Chicken.objects.create()
    chicken.egg = Egg.objects.create(chicken=chicken)
    chicken.save()
    comes_back()


def test_many_to_many(comes_back):
    animals = [Animal.objects.create(name=str(number)) for number in range(4)]
    animals[0].friends.set(animals[1:])
    team = Team.objects.create(name="第一")
    Membership.objects.create(team=team, keeper=Keeper.objects.create(name="x"), since=dt.date(1, 1, 1))
    comes_back()


def test_inheritance_over_several_tables(comes_back):
    Taxi.objects.create(wheels=4, plate="京A", number=1)
    comes_back()
    assert Taxi.objects.get().wheels == 4


def test_generic_relations(comes_back):
    for thing in (Tagged.objects.create(), Uuid.objects.create(), Animal.objects.create(name="cat")):
        Tag.objects.create(thing=thing, text="标签")
    comes_back()


def test_one_to_one_as_key(comes_back):
    passport = Passport.objects.create(animal=Animal.objects.create(name="cat"), number="1")
    Stamp.objects.create(passport=passport, country="CN")
    comes_back()


def test_composite_keys(comes_back):
    Seat.objects.bulk_create(Seat(row=row, number=number, guest="") for row in "ABC" for number in range(400))
    comes_back()


def test_uuid_text_and_decimal_keys(comes_back):
    root = Uuid.objects.create(id=uuid.UUID(int=0))
    Uuid.objects.create(id=uuid.UUID(int=2**128 - 1), parent=root)
    words = ["a", "B", "Ä", "z", "ß", "", " ", "中", "𠮷", "\\N", '"', "tab\t", "line\n"]
    Word.objects.bulk_create(map(Word, words))
    Amount.objects.bulk_create(map(Amount, map(Decimal, ("-1.5", "0", "0.00001", "999999999999999.99999"))))
    comes_back()


def test_text_keys_in_a_language_s_order_over_many_chunks(comes_back):
    Word.objects.bulk_create(Word(word=f"{letter}{number}") for letter in "zäÅb中" for number in range(300))
    comes_back()


def test_users_groups_and_permissions(comes_back):
    user = User.objects.create_superuser("李", "a@b.cn", "secret")
    group = Group.objects.create(name="组")
    group.permissions.set(Permission.objects.order_by("?")[:20])
    user.groups.add(group)
    user.user_permissions.add(*Permission.objects.all()[:3])
    Owned.objects.create(owner=user)
    comes_back()


def test_odd_names(comes_back):
    one = Odd.objects.create(select=1, space=2, quote=3, chinese=4)
    one.others.add(Odd.objects.create(select=5, space=6, quote=7, chinese=8))
    comes_back()


def test_names_with_percent_signs_and_quotes(schema, backups, restores, rows_of_everything):
    schema(
        'CREATE TABLE legacy (id integer PRIMARY KEY, name text, "100%s ""off""" integer, "a.b" integer DEFAULT 1)',
        """INSERT INTO legacy VALUES (1, 'one', 11, 12), (2, 'two', NULL, NULL)""",
        'CREATE INDEX "50% of ""legacy""" ON legacy ("100%s ""off""")',
    )
    before = rows_of_everything()
    record = backups.create_backup()
    schema("UPDATE legacy SET name = 'lost'", 'UPDATE legacy SET "a.b" = 0')
    restores.restore_from_backup(record)
    assert rows_of_everything() == before


def test_columns_that_the_models_do_not_know(schema, backups, restores, rows_of_everything):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, secret text, name text, forgotten text DEFAULT 'x')",
        "INSERT INTO legacy VALUES (1, 'kept', 'one', ''), (2, NULL, 'two', NULL)",
    )
    before = rows_of_everything()
    record = backups.create_backup()
    schema("UPDATE legacy SET secret = 'lost'", "DELETE FROM legacy WHERE id = 2")
    restores.restore_from_backup(record)
    assert rows_of_everything() == before
