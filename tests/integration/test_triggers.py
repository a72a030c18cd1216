"""The host's triggers must not fire when rows are put back, and are as they were afterwards."""

import pytest
from django.conf import settings
from django.db import connection

from backup_center.engine.dialects import base
from backup_center.engine.errors import ReferencesInTheWay
from tests.conftest import raw_rows
from tests.zoo.models import Legacy

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = (
    "CREATE TABLE legacy (id integer PRIMARY KEY, name text)",
    "CREATE TABLE journal (entry text)",
    "INSERT INTO legacy VALUES (1, 'a'), (2, 'b')",
)
SQLITE_TRIGGERS = (
    "CREATE TRIGGER born AFTER INSERT ON legacy BEGIN INSERT INTO journal VALUES ('born ' || new.id); END",
    """CREATE TRIGGER "it's gone" BEFORE DELETE ON Legacy BEGIN INSERT INTO journal VALUES ('gone ' || old.id); END""",
    "CREATE TRIGGER never BEFORE UPDATE ON legacy BEGIN SELECT RAISE(ABORT, 'never'); END",
)
POSTGRESQL_TRIGGERS = (
    """CREATE OR REPLACE FUNCTION write_journal() RETURNS trigger LANGUAGE plpgsql
       AS $$BEGIN INSERT INTO journal VALUES (TG_NAME || TG_OP); RETURN NULL; END$$""",
    "CREATE TRIGGER born AFTER INSERT ON legacy FOR EACH ROW EXECUTE FUNCTION write_journal()",
    """CREATE TRIGGER "it's gone" BEFORE DELETE ON legacy FOR EACH STATEMENT EXECUTE FUNCTION write_journal()""",
    "CREATE TRIGGER emptied AFTER TRUNCATE ON legacy EXECUTE FUNCTION write_journal()",
    "CREATE TRIGGER replica AFTER INSERT ON legacy FOR EACH ROW EXECUTE FUNCTION write_journal()",
    "CREATE TRIGGER always BEFORE INSERT ON legacy FOR EACH STATEMENT EXECUTE FUNCTION write_journal()",
    "CREATE TRIGGER asleep BEFORE INSERT ON legacy FOR EACH ROW EXECUTE FUNCTION write_journal()",
    """CREATE CONSTRAINT TRIGGER later AFTER INSERT ON legacy DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION write_journal()""",
    "ALTER TABLE legacy ENABLE REPLICA TRIGGER replica, ENABLE ALWAYS TRIGGER always, DISABLE TRIGGER asleep",
)
STATES = (
    """SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
       WHERE tgrelid = 'legacy'::regclass AND NOT tgisinternal ORDER BY 1"""
    if settings.ON_POSTGRESQL
    else "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY 1"
)


@pytest.fixture
def triggers(schema):
    """A table whose triggers write a journal; returns what the database says of them."""
    schema(*TABLES, *(POSTGRESQL_TRIGGERS if settings.ON_POSTGRESQL else SQLITE_TRIGGERS))

    def states():
        with connection.cursor() as cursor:
            cursor.execute(STATES)
            return cursor.fetchall()

    yield states
    if settings.ON_POSTGRESQL:
        schema("DROP FUNCTION write_journal CASCADE")


@pytest.mark.parametrize("whole", [False, True])
def test_triggers_of_the_host_do_not_fire(whole, triggers, schema, backups, restores, monkeypatch):
    if whole:
        monkeypatch.setattr(base, "WHOLE_LOAD_ROWS", 0)
    before = triggers()
    assert len(before) >= 3
    record = backups.create_backup(["ZOO"])
    schema("DELETE FROM legacy WHERE id = 1", "DELETE FROM journal")
    restores.restore_from_backup(record)
    assert Legacy.objects.count() == 2
    assert raw_rows("journal") == []
    assert triggers() == before
    Legacy.objects.create(id=3, name="c")
    assert raw_rows("journal") != []


def test_triggers_are_there_after_a_restore_that_failed(triggers, schema, backups, restores):
    before = triggers()
    record = backups.create_backup(["ZOO"])
    schema(
        "DELETE FROM legacy WHERE id = 2",
        "INSERT INTO legacy VALUES (9, 'new')",
        "DELETE FROM journal",
        "CREATE TABLE loyal (id integer PRIMARY KEY, legacy_id integer REFERENCES legacy)",
        "INSERT INTO loyal VALUES (1, 9)",
    )
    with pytest.raises(ReferencesInTheWay):
        restores.restore_from_backup(record)
    assert sorted(Legacy.objects.values_list("id", flat=True)) == [1, 9]
    assert triggers() == before
    assert raw_rows("journal") == []
