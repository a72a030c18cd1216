"""Others write, truncate and migrate while a backup runs: it holds one moment of the database, or it fails clearly."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import orjson
import psycopg
import pytest
from django.conf import settings
from django.db import connection

from backup_center.engine.dialects.postgresql import connection as postgresql
from backup_center.engine.errors import DatabaseFailed, SchemaDiffers
from backup_center.models import BackupRecord
from backup_center.services import catalogue
from tests.zoo.models import Amount, Keeper, Legacy, Numbers

pytestmark = pytest.mark.django_db(transaction=True)
postgresql_only = pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="PostgreSQL only")

TRANSFERS = (
    "UPDATE zoo_numbers SET integer = integer - {n} WHERE id = (SELECT min(id) FROM zoo_numbers)",
    "UPDATE zoo_numbers SET integer = integer + {n} WHERE id = (SELECT max(id) FROM zoo_numbers)",
    "UPDATE zoo_numbers SET integer = integer - {n} WHERE id = (SELECT max(id) - 7 FROM zoo_numbers)",
    "UPDATE legacy SET id = id + {n}",
)


def session():
    """Somebody else's connection, in a transaction of its own."""
    if connection.vendor == "sqlite":
        return sqlite3.connect(connection.settings_dict["NAME"], timeout=20, isolation_level="IMMEDIATE")
    parameters = connection.get_connection_params()
    return psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "host", "port") if name in parameters}
    )


class Transfers:
    """Money on its way between rows and tables, one transaction after another, until told to stop."""

    def __init__(self) -> None:
        self.done, self.stop = 0, threading.Event()

    def run(self) -> None:
        other = session()
        try:
            while not self.stop.is_set():
                for statement in TRANSFERS:
                    other.execute(statement.format(n=self.done % 100 + 1))
                other.commit()
                self.done += 1
        finally:
            other.close()

    def wait_for_one(self, table: str, *_progress: object) -> None:
        """Whenever a part of the accounts was read, some money moves before the next."""
        if table not in {"zoo.numbers", "zoo.legacy"}:
            return
        seen, until = self.done, time.monotonic() + 5
        while self.done == seen and time.monotonic() < until:
            time.sleep(0.001)
        assert self.done > seen, "nobody else can write"


def total() -> int:
    return sum(Numbers.objects.values_list("integer", flat=True)) + Legacy.objects.get().pk


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["FULL", "INCREMENTAL"])
def test_money_that_moves_during_a_backup_is_neither_lost_nor_made(kind, schema, backups, restores, empty_everything):
    schema("CREATE TABLE legacy (id integer PRIMARY KEY, name text)", "INSERT INTO legacy VALUES (1000, 'bank')")
    Numbers.objects.bulk_create(Numbers(integer=1000) for _number in range(1500))
    before = total()
    lender = backups.create_backup(["ZOO"]) if kind == "INCREMENTAL" else None
    transfers = Transfers()
    with ThreadPoolExecutor(1) as others:
        running = others.submit(transfers.run)
        try:
            record = backups.create_backup(["ZOO"], kind, progress=transfers.wait_for_one)
        finally:
            transfers.stop.set()
        running.result()
    assert transfers.done > 3
    assert record.parent == lender
    assert (record.contents["zoo.numbers"]["borrowed"] > 0) == (lender is not None)
    empty_everything()
    restores.restore_from_backup(record)
    assert total() == before


@postgresql_only
def test_a_truncate_that_is_under_way_is_waited_for(backups):
    """A snapshot from before it would read no rows, and none of what came with it."""
    Keeper.objects.create(name="old")
    other = session()
    try:
        other.execute("TRUNCATE zoo_keeper CASCADE")
        other.execute("INSERT INTO zoo_amount VALUES (1)")
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(_closing(backups.create_backup), ["ZOO"])
            _wait_for_a_lock()
            other.commit()
            record = running.result()
    finally:
        other.close()
    assert (_rows(record, "zoo.keeper"), len(_rows(record, "zoo.amount"))) == ([], 1)


@postgresql_only
def test_a_migration_that_is_under_way_is_waited_for(schema, backups, restores):
    schema(
        "CREATE TABLE legacy (id integer PRIMARY KEY, name text, old text)", "INSERT INTO legacy VALUES (1, 'a', 'o')"
    )
    other = session()
    try:
        other.execute("ALTER TABLE legacy DROP COLUMN old, ADD COLUMN new text DEFAULT 'n', ALTER name TYPE varchar(9)")
        other.execute("UPDATE legacy SET name = 'b'")
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(_closing(backups.create_backup), ["ZOO"])
            _wait_for_a_lock()
            other.commit()
            record = running.result()
    finally:
        other.close()
    assert _rows(record, "zoo.legacy") == [["1", "b", "n"]]
    restores.restore_from_backup(record)


@postgresql_only
def test_a_migration_that_begins_during_a_backup_has_to_wait(schema, backups):
    schema("CREATE TABLE legacy (id integer PRIMARY KEY, name text)", "INSERT INTO legacy VALUES (1, 'a')")
    Keeper.objects.create(name="x")
    other, refused = session(), []

    def migrate(*_progress: object) -> None:
        if not refused:
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
                other.execute("ALTER TABLE legacy DROP COLUMN name")
            refused.append(caught)
            other.rollback()

    try:
        record = backups.create_backup(["ZOO"], progress=migrate)
    finally:
        other.close()
    assert refused
    assert _rows(record, "zoo.legacy") == [["1", "a"]]


@pytest.mark.skipif(settings.ON_POSTGRESQL, reason="SQLite lets it through")
def test_a_migration_during_a_backup_is_not_seen_by_it(schema, backups, restores):
    schema("CREATE TABLE legacy (id integer PRIMARY KEY, name text)", "INSERT INTO legacy VALUES (1, 'a')")
    Keeper.objects.create(name="x")
    other, migrated = session(), []

    def migrate(*_progress: object) -> None:
        if not migrated:
            migrated.append(other.execute("ALTER TABLE legacy ADD COLUMN new text DEFAULT 'n'"))
            other.execute("UPDATE legacy SET name = 'b'")
            other.commit()

    try:
        record = backups.create_backup(["ZOO"], progress=migrate)
    finally:
        other.close()
    assert migrated
    assert _rows(record, "zoo.legacy") == [[1, "a"]]
    with pytest.raises(SchemaDiffers, match="not those of the backup"):
        restores.restore_from_backup(record)


@postgresql_only
def test_a_table_that_stays_locked_fails_the_backup_clearly(backups, monkeypatch):
    monkeypatch.setattr(postgresql, "LOCK_ATTEMPTS", 2)
    monkeypatch.setitem(postgresql.SETTINGS, "lock_timeout", "50ms")
    other = session()
    try:
        other.execute("LOCK TABLE zoo_keeper IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseFailed, match="perhaps a migration"):
            backups.create_backup(["ZOO"])
    finally:
        other.close()
    assert BackupRecord.objects.get().status == BackupRecord.Status.FAILED


def test_a_writer_during_a_restore_waits_and_what_it_writes_is_not_lost(backups, restores):
    Keeper.objects.create(name="kept")
    Amount.objects.create(amount=1)
    record = backups.create_backup(["ZOO"])
    Amount.objects.create(amount=2)
    with ThreadPoolExecutor(1) as pool:
        writing = []

        def write() -> None:
            other = session()
            try:
                other.execute("INSERT INTO zoo_keeper (name) VALUES ('late')")
                other.commit()
            finally:
                other.close()

        def begin(phase: str, _done: int, _total: int) -> None:
            if phase == "check" and not writing:
                writing.append(pool.submit(write))
                time.sleep(0.1)
                assert not writing[0].done()

        restores.restore_from_backup(record, progress=begin)
        writing[0].result()
    assert set(Keeper.objects.values_list("name", flat=True)) == {"kept", "late"}
    assert Amount.objects.count() == 1


def _closing(function):
    def call(*args):
        try:
            return function(*args)
        finally:
            connection.close()

    return call


def _wait_for_a_lock() -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND application_name = 'backup_center' AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("the backup does not wait")


def _rows(record, label):
    sidecar = catalogue.open_sidecar(record, catalogue.get_vault())
    source = catalogue.source(sidecar.manifest, catalogue.get_vault())
    table = sidecar.manifest.table(label)
    return [row for chunk in table.chunks for row in orjson.loads(source.body(chunk, label))]
