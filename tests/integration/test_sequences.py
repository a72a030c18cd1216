"""After a restore no number is handed out twice: generators stand at the highest of live, backup and rows."""

import pytest
from django.conf import settings
from django.db import connection

from tests.zoo.models import Keeper, Legacy

pytestmark = pytest.mark.django_db(transaction=True)


def next_number() -> int:
    keeper = Keeper.objects.create(name="new")
    Keeper.objects.filter(pk=keeper.pk).delete()
    return keeper.pk


def set_generator(value: int) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT setval('zoo_keeper_id_seq', %s)", [value])
        else:
            cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = 'zoo_keeper'", [value])


def test_numbers_handed_out_before_the_backup_are_not_handed_out_again(backups, restores):
    used = next_number()
    record = backups.create_backup()
    set_generator(1)  # as in a new database
    restores.restore_from_backup(record)
    assert next_number() == used + 1


def test_numbers_handed_out_after_the_backup_are_not_handed_out_again(backups, restores):
    record = backups.create_backup()
    used = next_number()
    restores.restore_from_backup(record)
    assert next_number() == used + 1


def test_the_highest_key_is_not_handed_out_again(backups, restores):
    Keeper.objects.create(pk=next_number() + 1000, name="by hand")
    highest = Keeper.objects.get().pk
    record = backups.create_backup()
    restores.restore_from_backup(record)
    assert next_number() == highest + 1


def test_a_generator_without_rows_stays_where_it_is(backups, restores, schema):
    if connection.vendor == "sqlite":
        schema("DELETE FROM sqlite_sequence WHERE name = 'zoo_keeper'")
    else:
        schema("ALTER SEQUENCE zoo_keeper_id_seq RESTART WITH 50")
    record = backups.create_backup()
    restores.restore_from_backup(record)
    assert next_number() == (1 if connection.vendor == "sqlite" else 50)


@pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="PostgreSQL only")
def test_a_sequence_that_only_a_default_names(backups, restores, schema):
    schema(
        """CREATE SEQUENCE "100% shared" """,
        """CREATE TABLE legacy (id integer PRIMARY KEY DEFAULT nextval('"100% shared"'), name text)""",
        "INSERT INTO legacy (name) VALUES ('a'), ('b')",
        "INSERT INTO legacy VALUES (77, 'c')",
    )
    try:
        record = backups.create_backup()
        schema("""SELECT setval('"100% shared"', 1)""")
        restores.restore_from_backup(record)
        schema("INSERT INTO legacy (name) VALUES ('d')")
        assert Legacy.objects.get(name="d").pk == 78
    finally:
        schema("DROP TABLE legacy", """DROP SEQUENCE "100% shared" """)


@pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="PostgreSQL only")
def test_sequences_at_their_ends_and_of_other_types(backups, restores, schema, rows_of_everything):
    schema(
        "CREATE TABLE legacy (id bigserial PRIMARY KEY, name text, few smallserial, down serial, code text)",
        "ALTER TABLE legacy ALTER few TYPE bigint",
        "ALTER SEQUENCE legacy_down_seq INCREMENT -1 MINVALUE -100",
        "CREATE SEQUENCE code OWNED BY legacy.code",
        "ALTER TABLE legacy ALTER code SET DEFAULT 'A' || nextval('code')",
        "INSERT INTO legacy (id, few) VALUES (9223372036854775807, 100000)",
        "INSERT INTO legacy (id) VALUES (-5)",
    )
    before = rows_of_everything()
    record = backups.create_backup()
    schema("DELETE FROM legacy", "SELECT setval('code', 1, false)")
    restores.restore_from_backup(record)
    assert rows_of_everything() == before
    schema("INSERT INTO legacy (id, few) VALUES (1, 1)")
    assert Legacy.objects.filter(pk=1).extra(select={"code": "code"}).get().code == "A3"
