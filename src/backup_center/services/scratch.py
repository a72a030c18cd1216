"""Scratch databases: made for a drill and dropped after it, whatever happens. What lacks our mark is never dropped."""

from __future__ import annotations

import copy
import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from django.utils.translation import gettext as _

from ..conf import get_drill_settings
from ..engine.errors import Unsupported

PREFIX = "backup_drill_"
MARK = "backup_center_drill"  # a file's name, the first word of a comment, a table's name
GRACE_SECONDS = 300  # after the time limit of a drill; who is still there then is dead
# Of an entry of DATABASES, what says how to speak to the database and not to which, or as whom.
NEUTRAL_OPTIONS_LEFT_OUT = {
    "service",
    "passfile",
    "password",
    "passwd",
    "user",
    "assume_role",
    "pool",
    "dbname",
    "host",
}

OF_EXTENSIONS = """
SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass
WHERE d.deptype = 'e' AND pg_table_is_visible(c.oid)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """``settings``: its entry in the child's DATABASES. ``notes``: what the report should say of it."""

    settings: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()


def for_drill_of(alias: str) -> AbstractContextManager[Scratch]:
    """An empty database like this one, to be used within BACKUP_DRILL_TIMEOUT_SECONDS."""
    from . import scratch_prepared, scratch_server  # they build on this module

    settings = get_drill_settings()
    until = time.time() + settings.timeout_seconds + GRACE_SECONDS
    if settings.database is not None:
        return scratch_prepared.prepared(settings.database, alias, until)
    match connections[alias].vendor:
        case "sqlite":
            return _file(alias, until)
        case "postgresql":
            return scratch_server.on_server(alias, until)
    raise Unsupported(
        _("%(vendor)s databases can't be backed up yet; SQLite and PostgreSQL can.")
        % {"vendor": connections[alias].vendor}
    )


@contextmanager
def connected(settings: Mapping[str, Any]) -> Iterator[BaseDatabaseWrapper]:
    """A connection of its own to whatever an entry of DATABASES names: never from a pool, which goes by the alias."""
    options = {name: value for name, value in (settings.get("OPTIONS") or {}).items() if name != "pool"}
    wrapper = ConnectionHandler({DEFAULT_DB_ALIAS: copy.deepcopy({**settings, "OPTIONS": options})})[DEFAULT_DB_ALIAS]
    try:
        yield wrapper
    finally:
        wrapper.close()


def like(alias: str) -> dict[str, Any]:
    """Of the live database's settings, how to speak to it; neither which it is nor how to get in."""
    live = connections[alias].settings_dict
    options = {name: value for name, value in live["OPTIONS"].items() if name not in NEUTRAL_OPTIONS_LEFT_OUT}
    return {
        "ENGINE": live["ENGINE"],
        "OPTIONS": travelling(options),
        "TIME_ZONE": live["TIME_ZONE"],
    }


def tables_in(database: BaseDatabaseWrapper) -> set[str]:
    """And views: what its search path shows, but not what extensions bring."""
    with database.cursor() as cursor:
        found = set(database.introspection.table_names(cursor, include_views=True))
        if found and database.vendor == "postgresql":
            cursor.execute(OF_EXTENSIONS)
            found -= {name for (name,) in cursor.fetchall()}
    return found


def new_name() -> str:
    return PREFIX + secrets.token_hex(8)


def travelling(options: Mapping[str, Any]) -> dict[str, Any]:
    """What can be told to another process, as JSON."""
    told = {name: str(value) if isinstance(value, PurePath) else value for name, value in options.items()}
    return {name: value for name, value in told.items() if _travels(value)}


def _travels(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


@contextmanager
def _file(alias: str, until: float) -> Iterator[Scratch]:
    """A SQLite file in a folder of its own, in the system's folder for such (TMPDIR)."""
    _remove_left_over_folders()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        (folder / MARK).write_text(str(until), encoding="utf-8")
        yield Scratch(settings={**like(alias), "NAME": str(folder / "scratch.sqlite3")})
    finally:
        shutil.rmtree(folder)


def _remove_left_over_folders() -> None:
    for mark in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{MARK}"):
        if _is_over(mark):
            shutil.rmtree(mark.parent, ignore_errors=True)  # somebody else's, or just being removed: it is not needed


def _is_over(mark: Path) -> bool:
    try:
        return float(mark.read_text(encoding="utf-8")) < time.time()
    except (OSError, ValueError):  # being written or removed, or not ours
        return False
