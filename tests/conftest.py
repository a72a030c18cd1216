"""Fixtures for all tests. Everything runs on a real database; ``rows_of_everything`` is how tests see what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

from backup_center import registry
from backup_center.services import BackupService, RestoreService

Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture(autouse=True)
def backup_dir(tmp_path: Path, settings) -> Path:
    """Where this test's backups go."""
    settings.BACKUP_DIR = tmp_path / "backups"
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
            names = [connection.ops.quote_name(column[0]) for column in cursor.description]
            expressions = ", ".join(f"typeof({name}), quote({name})" for name in names)
            cursor.execute(f"SELECT {expressions} FROM {quoted}")
        return sorted(cursor.fetchall(), key=repr)


@pytest.fixture
def forget_content_types() -> Iterator[None]:
    yield
    apps.get_model("contenttypes.ContentType").objects.clear_cache()
