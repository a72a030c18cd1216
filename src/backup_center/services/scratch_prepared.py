"""BACKUP_DRILL_DATABASE: a database that the operator keeps for drills. It is emptied before and after each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as AnyDatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from ..engine.errors import Busy, DatabaseFailed, Refused
from .scratch import MARK, Scratch, connected

# Everything that is ours to drop, that no extension brought and that doesn't go with its table; all but the mark.
OWNED = f"""
SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
    WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE r.rolname = current_user AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relname <> '{MARK}'
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND
        (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
UNION ALL
SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
WHERE r.rolname = current_user AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_roles r ON r.oid = t.typowner
WHERE r.rolname = current_user AND t.typtype IN ('d', 'e') AND n.nspname NOT LIKE 'pg\\_%'
    AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
"""  # noqa: S608


@contextmanager
def prepared(settings: Mapping[str, Any], alias: str, until: float) -> Iterator[Scratch]:
    if wrong := problem(settings, alias):
        raise Refused(wrong)
    with _failing_clearly(), connected(settings) as scratch:
        _take(scratch, until)
    try:
        yield Scratch(settings=dict(settings))
    finally:
        with _failing_clearly(), connected(settings) as scratch:
            _empty(scratch)


def problem(settings: Mapping[str, Any], alias: str = DEFAULT_DB_ALIAS) -> str:
    """Why the settings alone forbid it; empty if they don't."""
    with connected(settings) as scratch:
        for other in connections:
            if _place(scratch) == _place(connections[other]):
                text = _("BACKUP_DRILL_DATABASE is the live database %(alias)s. A drill needs one of its own.")
                return text % {"alias": other}
        if scratch.vendor != connections[alias].vendor:
            facts = {"found": scratch.vendor, "expected": connections[alias].vendor}
            return _("BACKUP_DRILL_DATABASE is a %(found)s database; the backup needs a %(expected)s one.") % facts
    return ""


def _place(database: BaseDatabaseWrapper) -> tuple[str, ...]:
    settings = database.settings_dict
    if database.vendor == "sqlite":
        return ("sqlite", str(Path(settings["NAME"]).resolve()))
    host = str(settings.get("HOST") or "localhost").replace("127.0.0.1", "localhost")
    return (database.vendor, str(settings["NAME"]), host, str(settings.get("PORT") or 5432))


def _take(scratch: BaseDatabaseWrapper, until: float) -> None:
    """Mark it as ours. Raises ``Refused`` if anybody's tables are there, ``Busy`` if a drill is."""
    with scratch.cursor() as cursor:
        tables = scratch.introspection.table_names(cursor)
        if tables and MARK not in tables:
            text = _("BACKUP_DRILL_DATABASE holds tables that no drill has made (%(tables)s): nothing was touched.")
            raise Refused(text % {"tables": ", ".join(sorted(tables)[:3])})
        if tables:
            cursor.execute(f"SELECT until FROM {MARK}")  # noqa: S608
            if any(float(value) > time.time() for (value,) in cursor.fetchall()):
                raise Busy(_("Another drill uses BACKUP_DRILL_DATABASE. Try again when it is done."))
    if tables:
        _empty(scratch)
    with scratch.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {MARK} (until bigint NOT NULL)")
        cursor.execute(f"INSERT INTO {MARK} VALUES (%s)", [int(until)])  # noqa: S608


def _empty(scratch: BaseDatabaseWrapper) -> None:
    """The mark goes last: what is emptied by half is still known as ours."""
    if scratch.vendor == "sqlite":
        file = Path(scratch.settings_dict["NAME"])
        scratch.close()
        for name in (f"{file}-wal", f"{file}-shm", f"{file}-journal", f"{file}.backup-lock", str(file)):
            Path(name).unlink(missing_ok=True)
        return
    with scratch.cursor() as cursor:
        cursor.execute(OWNED)
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
        cursor.execute(f"DROP TABLE IF EXISTS {MARK}")


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except AnyDatabaseError as error:
        text = _("BACKUP_DRILL_DATABASE can't be used: %(error)s.")
        raise DatabaseFailed(text % {"error": str(error).strip()}) from error
