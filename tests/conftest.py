"""Fixtures for all tests. Everything runs on a real database; ``rows_of_everything`` is how tests see what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management.commands import flush
from django.db import connection, transaction

from backup_center import registry
from backup_center.services import BackupService, RestoreService

pytest_plugins = ["tests.projects", "tests.far_away", "tests.faulty", "tests.background"]

Rows = dict[str, list[tuple[object, ...]]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What searches far and long is searched once, on the oldest pair of Python and Django (see scripts/test.py)."""
    if "BACKUP_TEST_AGAIN" in os.environ:
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(autouse=True)
def backup_dir(tmp_path: Path, settings) -> Path:
    """Where this test's backups go."""
    settings.BACKUP_DIR = tmp_path / "backups"
    settings.BACKUP_MANIFESTS_DIR = tmp_path / "manifests"
    return settings.BACKUP_DIR


@pytest.fixture
def backups() -> BackupService:
    return BackupService()


@pytest.fixture
def restores() -> RestoreService:
    return RestoreService()


@pytest.fixture
def rows_of_everything() -> Callable[[], Rows]:
    """Every column of every covered table as the database prints it: what must be the same after a round trip."""

    def read() -> Rows:
        found: Rows = {}
        existing = set(connection.introspection.table_names())
        for model in registry.covered_models():
            table = model._meta.db_table
            if table.strip('"') in existing:
                found[model._meta.label] = raw_rows(table)
        return found

    return read


def raw_rows(table: str) -> list[tuple[object, ...]]:
    """All rows as exact text (with storage classes on SQLite), sorted."""
    with connection.cursor() as cursor:
        quoted = connection.ops.quote_name(table)
        if connection.vendor == "postgresql":
            cursor.execute(f"SELECT t::text FROM {quoted} t")
        else:
            cursor.execute(f"SELECT * FROM {quoted} LIMIT 0")
            names = ['"' + column[0].replace('"', '""') + '"' for column in cursor.description]
            # quote() ends text at a NUL
            expressions = ", ".join(
                f"typeof({name}), CASE typeof({name}) WHEN 'text' THEN hex({name}) ELSE quote({name}) END"
                for name in names
            )
            cursor.execute(f"SELECT {expressions} FROM {quoted}")
        return sorted(cursor.fetchall(), key=repr)


@pytest.fixture
def empty_everything() -> Callable[[], None]:
    """Delete the rows of every covered table, whatever refers to them: the disaster."""

    def empty() -> None:
        existing = set(connection.introspection.table_names())
        tables = [model._meta.db_table for model in registry.covered_models() if model._meta.db_table in existing]
        with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
            for statement in delete_statements(tables):
                cursor.execute(statement)

    return empty


@pytest.fixture
def comes_back(
    backups: BackupService,
    restores: RestoreService,
    rows_of_everything: Callable[[], Rows],
    empty_everything: Callable[[], None],
) -> Callable[[], None]:
    """Back up, lose everything, restore: every row as it was."""

    def check() -> None:
        before = rows_of_everything()
        record = backups.create_backup()
        empty_everything()
        restores.restore_from_backup(record, safety_backup=False)  # it would hold nothing
        assert rows_of_everything() == before

    return check


def delete_statements(tables: Iterable[str]) -> list[str]:
    return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]


# After each test Django empties all tables and makes content types and permissions anew, which takes longer than many a
# test. These stay here, and are put right after a test that changed them. (No TRUNCATE on PostgreSQL: it syncs files.)
KEPT = ("django_content_type", "auth_permission")
as_made: dict[str, list[tuple[object, ...]]] = {}
usual_flush = type(connection.ops).sql_flush


def flush_all_but_kept(ops: Any, style: object, tables: Iterable[str], **options: Any) -> list[str]:
    flushed = [table for table in tables if table not in KEPT]
    if settings.ON_POSTGRESQL:
        return ["; ".join(delete_statements(flushed))]
    return usual_flush(ops, style, flushed, **options)


def put_kept_right(*_arguments: object, **_options: object) -> None:
    if kept_rows() != as_made:
        with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
            for statement in delete_statements(reversed(KEPT)):
                cursor.execute(statement)
            for table, rows in as_made.items():
                marks = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        apps.get_model("contenttypes.ContentType").objects.clear_cache()


def kept_rows() -> dict[str, list[tuple[object, ...]]]:
    found = {}
    with connection.cursor() as cursor:
        for table in KEPT:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            found[table] = cursor.fetchall()
    return found


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        as_made.update(kept_rows())
    type(connection.ops).sql_flush = flush_all_but_kept
    flush.emit_post_migrate_signal = put_kept_right


@pytest.fixture
def schema(transactional_db: None) -> Iterator[Callable[..., None]]:
    """Run statements as another program would: raw. The tables that they make are gone when the test ends."""
    before = set(connection.introspection.table_names())

    def run(*statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    yield run
    cascade = " CASCADE" if connection.vendor == "postgresql" else ""
    with connection.constraint_checks_disabled():
        for info in tables_and_views():
            if info.name not in before:
                kind = "VIEW" if info.type == "v" else "TABLE"
                run(f"DROP {kind} IF EXISTS {connection.ops.quote_name(info.name)}{cascade}")


def tables_and_views() -> list[Any]:
    with connection.cursor() as cursor:
        return sorted(connection.introspection.get_table_list(cursor), key=lambda info: info.type != "v")


@pytest.fixture
def forget_content_types() -> Iterator[None]:
    yield
    apps.get_model("contenttypes.ContentType").objects.clear_cache()
