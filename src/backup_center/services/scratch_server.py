"""A scratch database on the PostgreSQL server of the live one, owned by a role that is good for nothing else."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db import Error as AnyDatabaseError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from ..engine.errors import DatabaseFailed, Refused
from .scratch import MARK, PREFIX, Scratch, connected, like, new_name

OURS = re.compile(rf"{PREFIX}[0-9a-f]{{16}}")
MARKED = re.compile(rf"{MARK} until (\d+)")


@contextmanager
def on_server(alias: str, until: float) -> Iterator[Scratch]:
    """The live user makes and drops it; the child gets the new role, or if there can be none, the live user."""
    with _failing_clearly(), connected(connections[alias].settings_dict) as live:
        _drop_left_over(live)
        may_make_roles = _rights(live)
        where = _address(live)
    name = new_name()
    settings = {**like(alias), "NAME": name, **where}
    try:
        with _failing_clearly(), connected(connections[alias].settings_dict) as live:
            _make_database(live, name, until)
            schemas = _copy_schemas(live, name)
            missing = _copy_extensions(live, name)
            role = _make_role(live, name, until, settings) if may_make_roles else {}
            if role:
                _hand_over(live, name, schemas)
        yield Scratch(settings={**settings, **role}, notes=tuple(_notes(missing, own_role=bool(role))))
    finally:
        with _failing_clearly(), connected(connections[alias].settings_dict) as live:
            _drop(live, name)


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except AnyDatabaseError as error:
        text = _("The scratch database can't be made or dropped: %(error)s. BACKUP_DRILL_DATABASE names another one.")
        raise DatabaseFailed(text % {"error": str(error).strip()}) from error


def _rights(live: BaseDatabaseWrapper) -> bool:
    """Whether our user may make roles. Raises ``Refused`` if it may not even make databases."""
    [(databases, roles)] = _ask(
        live,
        "SELECT rolsuper OR rolcreatedb, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user",
    )
    if not databases:
        raise Refused(
            _(
                "The database's user may not make the scratch database that a drill restores into. Give it CREATEDB"
                " (and CREATEROLE), or name an empty database in BACKUP_DRILL_DATABASE."
            )
        )
    return bool(roles)


def _address(live: BaseDatabaseWrapper) -> dict[str, str]:
    """Where the server is and as whom we are there, by whatever way that was found out (PGHOST, a service …)."""
    live.ensure_connection()
    info: Any = live.connection.info
    return {"HOST": info.host, "PORT": str(info.port), "USER": info.user, "PASSWORD": info.password}


def _make_database(live: BaseDatabaseWrapper, name: str, until: float) -> None:
    """As the live one is: keys sort in the same way. Until it is marked, nobody else knows what it is."""
    [(row,)] = _ask(live, "SELECT to_jsonb(d) FROM pg_database d WHERE datname = current_database()")
    [(encoding,)] = _ask(
        live, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
    )
    facts: Mapping[str, Any] = json.loads(row)
    icu = facts.get("daticulocale") or facts.get("datlocale")
    provider = {"i": "icu", "b": "builtin"}.get(facts.get("datlocprovider", "c"))
    options = [("ENCODING", encoding), ("LC_COLLATE", facts["datcollate"]), ("LC_CTYPE", facts["datctype"])]
    if provider and icu:
        options += [("LOCALE_PROVIDER", provider), ("ICU_LOCALE" if provider == "icu" else "BUILTIN_LOCALE", icu)]
    words = " ".join(f"{option} = {_literal(value)}" for option, value in options)
    _do(live, f"CREATE DATABASE {name} TEMPLATE template0 {words}")
    _do(live, f"COMMENT ON DATABASE {name} IS '{MARK} until {int(until)}'")


def _make_role(live: BaseDatabaseWrapper, name: str, until: float, settings: Mapping[str, Any]) -> dict[str, str]:
    """Nothing, if the server only lets in those that it knows (``pg_hba.conf``)."""
    password = secrets.token_urlsafe(32)
    _do(live, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    _do(live, f"COMMENT ON ROLE {name} IS '{MARK} until {int(until)}'")
    _do(live, f"GRANT {name} TO CURRENT_USER")
    role = {"USER": name, "PASSWORD": password}
    try:
        with connected({**settings, **role}) as scratch:
            scratch.ensure_connection()
    except AnyDatabaseError:
        return {}
    _do(live, f"ALTER DATABASE {name} OWNER TO {name}")
    return role


def _copy_schemas(live: BaseDatabaseWrapper, name: str) -> list[str]:
    """Those in which the live user finds its tables: the migrations of its projects may make theirs there."""
    found = [str(schema) for (schema,) in _ask(live, "SELECT unnest(current_schemas(false))")]
    schemas = [each for each in found if not each.startswith("pg_") and each not in {"public", "information_schema"}]
    with _inside(live, name) as inside:
        for schema in schemas:
            _do(inside, f"CREATE SCHEMA {_quote(schema)}")
    return schemas


def _hand_over(live: BaseDatabaseWrapper, name: str, schemas: list[str]) -> None:
    """The schemas, once there is a role for them."""
    with _inside(live, name) as inside:
        for schema in schemas:
            _do(inside, f"ALTER SCHEMA {_quote(schema)} OWNER TO {name}")


def _inside(live: BaseDatabaseWrapper, name: str) -> AbstractContextManager[BaseDatabaseWrapper]:
    return connected({**live.settings_dict, "NAME": name})


def _copy_extensions(live: BaseDatabaseWrapper, name: str) -> list[str]:
    """Those that the new role might not be allowed to install; the migrations find them installed."""
    missing = []
    with _inside(live, name) as inside:
        for (extension,) in _ask(live, "SELECT extname FROM pg_extension"):
            try:
                _do(inside, f"CREATE EXTENSION IF NOT EXISTS {_quote(extension)} CASCADE")
            except AnyDatabaseError:
                missing.append(extension)
    return missing


def _notes(missing: list[str], *, own_role: bool) -> Iterator[str]:
    if missing:
        yield _("Extensions that could not be installed: %(names)s.") % {"names": ", ".join(missing)}
    if not own_role:
        yield _(
            "The drill ran as the live database's user, who can reach that as well. Give that user CREATEROLE, let new"
            " roles in by password (pg_hba.conf), or name a database on another server in BACKUP_DRILL_DATABASE."
        )


def _drop(live: BaseDatabaseWrapper, name: str) -> None:
    _do(live, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    if _ask(live, f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"):  # noqa: S608  # who may make none may not ask
        _do(live, f"DROP ROLE {name}")


def _drop_left_over(live: BaseDatabaseWrapper) -> None:
    """What drills of this user have left that were killed. Name and mark must be ours, and its time must be over."""
    found = _ask(
        live,
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE pg_has_role(datdba, 'MEMBER')"
        " UNION SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')",
    )
    for name in {name for name, comment in found if OURS.fullmatch(name) and _is_over(comment)}:
        _drop(live, name)


def _is_over(comment: str | None) -> bool:
    marked = MARKED.fullmatch(comment or "")
    return marked is not None and int(marked[1]) < time.time()


def _ask(session: BaseDatabaseWrapper, sql: str) -> list[tuple[Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _do(session: BaseDatabaseWrapper, sql: str) -> None:
    with session.cursor() as cursor:
        cursor.execute(sql)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
