"""What a manifest remembers besides rows: migrations applied, what ids of content types and permissions mean, and how
far the log had come."""

from __future__ import annotations

import platform
from typing import Any

import django
from django.apps import apps

from .. import __version__
from ..engine.dialects.base import Connection
from ..models import BackupLog, BackupRecord, LogHead
from ..registry import MIGRATIONS_TABLE
from .connecting import home_alias

RECORD = ("trigger", "is_automatic", "description")


def software() -> dict[str, str]:
    return {"backup_center": __version__, "django": django.get_version(), "python": platform.python_version()}


def collect(connection: Connection, record: BackupRecord) -> dict[str, Any]:
    """Asked inside the backup's snapshot. Of the record, what nothing else tells whoever finds the files alone."""
    tables = set(connection.plain_tables())
    found: dict[str, Any] = {"record": {name: getattr(record, name) for name in RECORD}}
    if MIGRATIONS_TABLE in tables:
        found["migrations"] = [
            list(row)
            for row in connection.query(f"SELECT app, name FROM {MIGRATIONS_TABLE} ORDER BY id")  # noqa: S608
        ]
    for name, read in (("content_types", content_types), ("permissions", permissions)):
        found[name] = [list(row) for row in read(connection, tables)]
    return {**found, "audit": _audit(connection if record.database == home_alias() else None)}


def _audit(home: Connection | None) -> dict[str, Any]:
    """The log's head: a log that is cut off or written anew later won't match it. ``log``, the hash of its first entry,
    tells it from another installation's.

    Seen inside the snapshot where our tables are in it: while a restore writes, SQLite may let nobody else read.
    """
    if home is None:
        heads = list(LogHead.objects.filter(pk=LogHead.SINGLETON).values_list("entries", "hash"))
        firsts = list(BackupLog.objects.filter(number=1).values_list("hash"))
    else:
        heads = home.query(
            f'SELECT entries, hash FROM "{LogHead._meta.db_table}" WHERE id = {LogHead.SINGLETON}'  # noqa: S608
        )
        firsts = home.query(f'SELECT hash FROM "{BackupLog._meta.db_table}" WHERE number = 1')  # noqa: S608
    entries, head = heads[0] if heads else (0, "")
    return {"log": firsts[0][0] if firsts else "", "entries": int(entries), "head": head}


def content_types(connection: Connection, tables: set[str]) -> list[tuple[Any, ...]]:
    """Id, app label, model name."""
    return _rows(connection, tables, "contenttypes.ContentType", "id, app_label, model")


def permissions(connection: Connection, tables: set[str]) -> list[tuple[Any, ...]]:
    """Id, content type's id, codename, name."""
    return _rows(connection, tables, "auth.Permission", "id, content_type_id, codename, name")


def _rows(connection: Connection, tables: set[str], label: str, columns: str) -> list[tuple[Any, ...]]:
    if not apps.is_installed(apps_name(label)):
        return []
    table = apps.get_model(label)._meta.db_table
    return connection.query(f'SELECT {columns} FROM "{table}" ORDER BY id') if table in tables else []  # noqa: S608


def apps_name(label: str) -> str:
    return "django.contrib." + label.partition(".")[0]
