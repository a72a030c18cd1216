"""From a Django database alias to an engine connection of our own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from django.db import connections, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from ..engine.dialects.base import Connection
from ..engine.dialects.sqlite.connection import SqliteConnection
from ..engine.errors import Refused, Unsupported
from ..models import Installation


def home_alias() -> str:
    """The database of our own tables."""
    return Installation.objects.db


@contextmanager
def deciding() -> Iterator[None]:
    """A transaction on our own tables that reads before it writes.

    On SQLite it begins with a write, and waits for its turn: whoever only becomes a writer after a look is refused at
    once if another wrote meanwhile, however long the timeout.
    """
    with transaction.atomic(using=home_alias()):
        if connections[home_alias()].vendor == "sqlite":
            Installation.objects.update(fencing=F("fencing"))
        yield


def reconnect() -> None:
    """Outside of requests Django keeps a connection that the server has dropped: let go of it, if it is one.

    Not of any other, as Django does between requests: a session may have been given settings.
    """
    wrapper = connections[home_alias()]
    if wrapper.errors_occurred and not wrapper.in_atomic_block and not wrapper.is_usable():
        wrapper.close()


def engine_connection(alias: str) -> Connection:
    """Raises ``Unsupported`` for an engine, or a database in memory, that can't be backed up."""
    _refuse_unknown(alias)
    vendor = connections[alias].vendor
    match vendor:
        case "sqlite":
            return _sqlite(alias)
        case "postgresql":
            return _postgresql(alias)
    raise Unsupported(_("%(vendor)s databases can't be backed up yet; SQLite and PostgreSQL can.") % {"vendor": vendor})


def database_file(alias: str) -> Path | None:
    """The file of a SQLite database; ``None`` for any other engine. Raises ``Unsupported`` for one in memory."""
    wrapper = connections[alias]
    if wrapper.vendor != "sqlite":
        return None
    if cast(Any, wrapper).is_in_memory_db():
        raise Unsupported(
            _("The SQLite database %(alias)s lives in memory; only a file can be backed up.") % {"alias": alias}
        )
    return Path(wrapper.settings_dict["NAME"])


def refuse_inside_transaction(*aliases: str) -> None:
    """Raises ``Refused`` inside somebody's atomic block: what we record must not vanish with their rollback."""
    for alias in aliases:
        _refuse_unknown(alias)
        connection = transaction.get_connection(alias)
        if connection.in_atomic_block:
            cause = (
                _("ATOMIC_REQUESTS is on: decorate the view with transaction.non_atomic_requests.")
                if connection.settings_dict.get("ATOMIC_REQUESTS")
                else _("Call it outside of transaction.atomic (in tests, use TransactionTestCase).")
            )
        elif not (connection.settings_dict["AUTOCOMMIT"] if connection.connection is None else connection.autocommit):
            cause = _("Autocommit is off for the database %(alias)s: turn it on again.") % {"alias": alias}
        else:
            continue
        raise Refused(_("Backups and restores can't run inside a transaction.") + " " + cause)


def _refuse_unknown(alias: str) -> None:
    if alias not in connections:
        raise Refused(
            _("There is no database %(alias)s in DATABASES; there are: %(names)s.")
            % {"alias": alias, "names": ", ".join(connections)}
        )


def _sqlite(alias: str) -> Connection:
    path = cast(Path, database_file(alias))

    def opener(file: Path) -> sqlite3.Connection:
        # Django's own way of opening brings the functions that its constraints and indexes call.
        wrapper = cast(Any, connections[alias].copy())
        parameters = {
            **wrapper.get_connection_params(),
            "database": str(file),
            "detect_types": 0,
            "isolation_level": None,
        }
        return cast(sqlite3.Connection, wrapper.get_new_connection(parameters))

    return SqliteConnection(path, opener)


def _postgresql(alias: str) -> Connection:
    try:
        from ..engine.dialects.postgresql.connection import PostgresConnection  # an extra
    except ImportError as error:
        raise Unsupported(_("PostgreSQL needs psycopg 3: pip install 'django-backup-center[postgresql]'.")) from error
    wrapper = cast(Any, connections[alias])
    ours = {"cursor_factory", "context", "autocommit"}
    parameters = {name: value for name, value in wrapper.get_connection_params().items() if name not in ours}
    return PostgresConnection(parameters, role=wrapper.settings_dict.get("OPTIONS", {}).get("assume_role"))
