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
from .scratch import MARK, Scratch, connected, tables_in, travelling

# How to drop, and the names of, all that is ours to drop, in any schema, that no extension brought and that doesn't go
# with its table; all but the mark.
OWNED = f"""
SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
    WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname), c.relname::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE r.rolname = current_user AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relname <> '{MARK}'
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND
        (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
UNION ALL
SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure), p.proname::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
WHERE r.rolname = current_user AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname), t.typname::text
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_roles r ON r.oid = t.typowner
WHERE r.rolname = current_user AND t.typtype IN ('d', 'e') AND n.nspname NOT LIKE 'pg\\_%'
    AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
"""  # noqa: S608
# Which database this is, by whatever name and way it was reached: one is the same if any of these is.
STARTED = """
SELECT oid::text, pg_postmaster_start_time()::text, current_setting('port') FROM pg_database
WHERE datname = current_database()
"""
SYSTEM = (
    "SELECT oid::text, system_identifier::text FROM pg_database, pg_control_system() WHERE datname = current_database()"
)
MAY_ASK_FOR_SYSTEM = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"


@contextmanager
def prepared(settings: Mapping[str, Any], alias: str, until: float) -> Iterator[Scratch]:
    if wrong := problem(settings, alias):
        raise Refused(wrong)
    with _failing_clearly(), connected(settings) as scratch:
        _refuse_the_live(scratch)
        _take(scratch, until)
    try:
        yield Scratch(settings={**settings, "OPTIONS": travelling(settings.get("OPTIONS") or {})})
    finally:
        with _failing_clearly(), connected(settings) as scratch:
            _empty(scratch)


def problem(settings: Mapping[str, Any], alias: str = DEFAULT_DB_ALIAS) -> str:
    """Why the settings alone forbid it; empty if they don't."""
    with connected(settings) as scratch:
        for other in connections:
            if _place(scratch) == _place(connections[other]):
                return _is_live(other)
        if scratch.vendor != connections[alias].vendor:
            facts = {"found": scratch.vendor, "expected": connections[alias].vendor}
            return _("BACKUP_DRILL_DATABASE is a %(found)s database; the backup needs a %(expected)s one.") % facts
    return ""


def _is_live(alias: str) -> str:
    text = _("BACKUP_DRILL_DATABASE is the live database %(alias)s. A drill needs one of its own.")
    return text % {"alias": alias}


def _refuse_the_live(scratch: BaseDatabaseWrapper) -> None:
    """Asked on the server: a host has many names, a socket none, a pooler another port."""
    if scratch.vendor != "postgresql":
        return
    found = _identities(scratch)
    for alias in connections:
        if connections[alias].vendor == "postgresql":
            with connected(connections[alias].settings_dict) as live:
                if found & _identities(live):
                    raise Refused(_is_live(alias))


def _identities(database: BaseDatabaseWrapper) -> set[tuple[str, ...]]:
    with database.cursor() as cursor:
        cursor.execute(STARTED)
        found = set(cursor.fetchall())
        cursor.execute(MAY_ASK_FOR_SYSTEM)
        if cursor.fetchone() == (True,):
            cursor.execute(SYSTEM)
            found |= set(cursor.fetchall())
    return found


def _place(database: BaseDatabaseWrapper) -> tuple[str, ...]:
    settings = database.settings_dict
    if database.vendor == "sqlite":
        return ("sqlite", str(Path(settings["NAME"]).resolve()))
    host = str(settings.get("HOST") or "localhost").replace("127.0.0.1", "localhost")
    return (database.vendor, str(settings["NAME"]), host, str(settings.get("PORT") or 5432))


def _take(scratch: BaseDatabaseWrapper, until: float) -> None:
    """Mark it as ours. Raises ``Refused`` if anything of anybody's is there, ``Busy`` if a drill is."""
    tables = tables_in(scratch)
    if MARK not in tables:
        # What the search path doesn't show would be dropped afterwards as well.
        if there := tables | {name for _statement, name in _owned(scratch)}:
            text = _("BACKUP_DRILL_DATABASE holds what no drill has made (%(names)s): nothing was touched.")
            raise Refused(text % {"names": ", ".join(sorted(there)[:3])})
    else:
        with scratch.cursor() as cursor:
            cursor.execute(f"SELECT until FROM {MARK}")  # noqa: S608
            if any(float(value) > time.time() for (value,) in cursor.fetchall()):
                raise Busy(_("Another drill uses BACKUP_DRILL_DATABASE. Try again when it is done."))
        _empty(scratch)
    with scratch.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {MARK} (until bigint NOT NULL)")
        cursor.execute(f"INSERT INTO {MARK} VALUES (%s)", [int(until)])  # noqa: S608


def _owned(scratch: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    """SQLite has neither owners nor schemas, nor anything that its tables and views don't show."""
    if scratch.vendor != "postgresql":
        return []
    with scratch.cursor() as cursor:
        cursor.execute(OWNED)
        return list(cursor.fetchall())


def _empty(scratch: BaseDatabaseWrapper) -> None:
    """The mark goes last: what is emptied by half is still known as ours."""
    if scratch.vendor == "sqlite":
        file = Path(scratch.settings_dict["NAME"])
        scratch.close()
        for name in (f"{file}-wal", f"{file}-shm", f"{file}-journal", f"{file}.backup-lock", str(file)):
            Path(name).unlink(missing_ok=True)
        return
    with scratch.cursor() as cursor:
        for statement, _name in _owned(scratch):
            cursor.execute(statement)
        cursor.execute(f"DROP TABLE IF EXISTS {MARK}")


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except AnyDatabaseError as error:
        text = _("BACKUP_DRILL_DATABASE can't be used: %(error)s.")
        raise DatabaseFailed(text % {"error": str(error).strip()}) from error
