"""A database user that may not see or change all rows is told so; half a backup is never taken for a whole one."""

import json
import os

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from backup_center.engine.dialects.base import TableSpec
from backup_center.engine.errors import NotExact, Refused
from backup_center.models import BackupRecord
from tests.conftest import raw_rows
from tests.zoo.models import Legacy

if not settings.ON_POSTGRESQL:
    pytest.skip("PostgreSQL only", allow_module_level=True)

from backup_center.engine.dialects.postgresql.connection import PostgresConnection

pytestmark = pytest.mark.django_db(transaction=True)

LEGACY = (
    "CREATE TABLE legacy (id serial PRIMARY KEY, name text)",
    "INSERT INTO legacy (name) VALUES ('hidden'), ('shown')",
)


@pytest.fixture
def clerk(schema):
    """Backups work under a role that may read and write all tables, and owns none. Django itself stays who it is."""
    name = f"backup_clerk_{os.getpid()}"
    tables = "ALL TABLES IN SCHEMA public"
    schema(
        f"CREATE ROLE {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {name}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}",
        f"GRANT TEMPORARY ON DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])} TO {name}",
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name}",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {name}",
    )
    connection.settings_dict["OPTIONS"]["assume_role"] = name
    yield name
    del connection.settings_dict["OPTIONS"]["assume_role"]
    schema(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_who_owns_no_table_can_back_up_and_restore_plain_tables(clerk, schema, backups, restores):
    schema(*LEGACY)
    before = raw_rows("legacy")
    record = backups.create_backup(["ZOO"])
    schema("DELETE FROM legacy WHERE name = 'shown'")
    restores.restore_from_backup(record)
    assert raw_rows("legacy") == before


def test_who_may_not_read_a_table_is_told_so(clerk, schema, backups):
    schema(*LEGACY, f"REVOKE SELECT ON legacy FROM {clerk}")
    with pytest.raises(Refused, match="permission denied for table legacy"):
        backups.create_backup(["ZOO"])
    assert BackupRecord.objects.get().status == BackupRecord.Status.FAILED


def test_who_may_only_read_can_back_up_and_is_refused_to_restore(clerk, schema, backups, restores):
    schema(*LEGACY, f"REVOKE INSERT, UPDATE, DELETE ON legacy FROM {clerk}")
    record = backups.create_backup(["ZOO"])
    schema("DELETE FROM legacy WHERE name = 'shown'")
    with pytest.raises(Refused, match="Use the tables' owner"):
        restores.restore_from_backup(record)
    assert Legacy.objects.count() == 1


@pytest.mark.parametrize("obstacle", [
    "CREATE TRIGGER host BEFORE UPDATE ON legacy FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE TABLE loyal (id integer PRIMARY KEY, ref integer REFERENCES legacy ON DELETE CASCADE)",
])  # fmt: skip
def test_what_only_the_owner_could_take_down_is_named(obstacle, clerk, schema, backups, restores):
    schema(*LEGACY, obstacle)
    record = backups.create_backup(["ZOO"])
    schema("DELETE FROM legacy WHERE name = 'shown'")
    with pytest.raises(Refused, match=r"public\.(legacy|loyal) belongs to another database user"):
        restores.restore_from_backup(record)
    assert Legacy.objects.count() == 1


def test_rows_that_row_security_hides_are_not_left_out_silently(clerk, schema, backups):
    schema(
        *LEGACY,
        "ALTER TABLE legacy ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY shown ON legacy USING (name = 'shown')",
    )
    with pytest.raises(Refused, match=r"Row security hides rows of public\.legacy"):
        backups.create_backup(["ZOO"])
    assert BackupRecord.objects.get().status == BackupRecord.Status.FAILED


def test_row_security_that_binds_even_the_owner_is_refused(clerk, schema, backups):
    schema(
        *LEGACY,
        f"ALTER TABLE legacy OWNER TO {clerk}",
        "ALTER TABLE legacy ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE legacy FORCE ROW LEVEL SECURITY",
    )
    with pytest.raises(Refused, match=r"Row security hides rows of public\.legacy"):
        backups.create_backup(["ZOO"])
    schema("ALTER TABLE legacy NO FORCE ROW LEVEL SECURITY")
    assert backups.create_backup(["ZOO"]).status == BackupRecord.Status.SUCCESS


def test_text_of_no_encoding_is_refused_by_table():
    """A database without an encoding (SQL_ASCII) takes any bytes for text; JSON can't."""
    name = f"backup_ascii_{os.getpid()}"
    parameters = {key: connection.get_connection_params()[key] for key in ("user", "host", "port")}
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with psycopg.connect(dbname=name, autocommit=True, client_encoding="UTF8", **parameters) as other:
            other.execute("CREATE TABLE legacy (id integer PRIMARY KEY, name text)")
            other.execute("INSERT INTO legacy VALUES (1, 'fine 中'), (2, E'\\xff')")
        spec = TableSpec(label="zoo.legacy", table="legacy", data_type="ZOO", key=("id",))
        with PostgresConnection({"dbname": name, **parameters}) as ours:
            with pytest.raises(NotExact, match=r"public\.legacy holds text"), ours.snapshot([spec]):
                list(ours.chunks(ours.describe([spec])[0][0]))
            ours.execute("DELETE FROM legacy WHERE id = 2")
            with ours.snapshot([spec]):
                [chunk] = ours.chunks(ours.describe([spec])[0][0])
            assert json.loads(chunk.body) == [["1", "fine 中"]]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")
