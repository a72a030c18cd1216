"""Make the golden archives of the current format: BACKUP_TEST_DATABASE_URL=postgres://… python -m tests.golden.make

Archives of a released format are never made again: they are what that release wrote. Without the URL: only SQLite's.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import django
from django.db import connection

from backup_center.conf import get_settings
from backup_center.engine import backup, manifest
from backup_center.engine.backup import BackupRequest
from backup_center.engine.vault import LocalVault

from .tables import CREATE, DROP, FILL, HERE, LABELS, PRINT, SPECS


def main() -> None:
    """In a database beside the one that is named, gone when this ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    old, _ = connection.settings_dict["NAME"], connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        make()
    finally:
        connection.creation.destroy_test_db(old, verbosity=0)


def make() -> None:
    from backup_center.services.connecting import engine_connection  # models: only when Django is ready

    vendor = connection.vendor
    folder = HERE / f"format-{manifest.FORMAT}" / vendor
    shutil.rmtree(folder, ignore_errors=True)
    run(*CREATE[vendor], *FILL[vendor])
    request = BackupRequest(
        project="01234567-89ab-cdef-0123-456789abcdef",
        id="fedcba98-7654-3210-fedc-ba9876543210",
        sequence=1,
        name="backup_full_20260116_020000",
        type="FULL",
        alias="default",
        specs=SPECS,
        data_types={"GOLDEN": {"label": "Golden", "tables": list(LABELS)}},
        not_covered={},
        codec="gzip",
        software={"backup_center": "0.1.0"},
        key=get_settings().signing_keys[0],
    )
    with engine_connection("default") as session:
        backup.take(request, session, LocalVault(folder), lambda phase, done, total, size: None)
    lines = (json.dumps([table, *row], ensure_ascii=False) for table, rows in printed().items() for row in rows)
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(*DROP)


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def printed() -> dict[str, list[list[Any]]]:
    """What the live tables hold."""

    def rows(statement: str) -> list[list[Any]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return [list(row) for row in cursor.fetchall()]

    return {table: rows(statement) for table, statement in PRINT[connection.vendor].items()}


if __name__ == "__main__":
    main()
