"""The databases that drills restore into: whose they are, what is refused, what they are given."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from backup_center.engine.errors import Busy, Refused
from backup_center.services import rehearsal, scratch, scratch_prepared, scratch_server
from backup_center.services.scratch import connected

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(
    "postgres" not in os.environ.get("BACKUP_TEST_DATABASE_URL", ""), reason="needs a server"
)


def use(settings: dict[str, Any]) -> Any:
    return scratch_prepared.prepared(settings, "default", time.time() + 60)


def do(settings: dict[str, Any], *statements: str) -> list[tuple[Any, ...]]:
    """The rows of the last one."""
    with connected(settings) as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture
def database(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """An empty one, as an operator keeps it for drills."""
    if connection.vendor == "sqlite":
        yield {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "prepared.sqlite3")}
        return
    name = f"prepared_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    live = connection.settings_dict
    yield {**{key: live[key] for key in ("ENGINE", "HOST", "PORT", "USER", "PASSWORD")}, "NAME": name}
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("statements", "name"),
    [
        (["CREATE TABLE theirs (id int)"], "theirs"),
        (["CREATE VIEW their_view AS SELECT 1 AS one"], "their_view"),
        pytest.param(["CREATE SCHEMA hidden", "CREATE TABLE hidden.theirs (id int)"], "theirs", marks=on_postgresql),
        pytest.param(
            ["CREATE SCHEMA hidden", "CREATE FUNCTION hidden.their_function() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
            "their_function",
            marks=on_postgresql,
        ),
        pytest.param(["CREATE TYPE their_type AS ENUM ('one')"], "their_type", marks=on_postgresql),
    ],
)
def test_whatever_would_be_dropped_with_it_is_refused_and_stays(database, statements, name):
    do(database, *statements)

    with pytest.raises(Refused, match=rf"no drill has made \({name}\)"), use(database):
        raise AssertionError("It was taken.")

    with pytest.raises(Refused, match=name), use(database):  # it is still there
        raise AssertionError("It was taken.")


def test_what_a_drill_made_is_dropped_and_a_second_one_waits(database):
    for _again in range(2):
        with use(database) as place:
            do(dict(place.settings), "CREATE TABLE made (id int)", "CREATE VIEW seen AS SELECT id FROM made")
            with pytest.raises(Busy), use(database):
                raise AssertionError("It was taken.")
    with connected(database) as session:
        assert scratch.tables_in(session) == set()


@on_postgresql
def test_the_live_database_is_known_by_any_name():
    """``problem`` looks at the settings, which differ here."""
    [(folders,)] = do(connection.settings_dict, "SHOW unix_socket_directories")
    folder = folders.split(",")[0]
    other = folder if connection.settings_dict["HOST"] != folder else "127.0.0.1"
    called_otherwise = {**connection.settings_dict, "HOST": other}

    assert scratch_prepared.problem(called_otherwise) == ""
    with pytest.raises(Refused, match="is the live database default"), use(called_otherwise):
        raise AssertionError("It was taken.")


@on_postgresql
def test_it_is_known_without_the_right_to_ask_for_the_system(monkeypatch):
    monkeypatch.setattr(scratch_prepared, "MAY_ASK_FOR_SYSTEM", "SELECT false")
    with connected(connection.settings_dict) as session:
        identities = scratch_prepared._identities(session)
        assert len(identities) == 1
        assert identities == scratch_prepared._identities(connection)


def test_of_options_only_what_can_be_told_is():
    options = {"sslrootcert": Path("/etc/ssl/root.crt"), "timeout": 5, "cursor_factory": object}

    assert scratch.travelling(options) == {"sslrootcert": "/etc/ssl/root.crt", "timeout": 5}


def test_no_pool_is_asked_for_a_connection_of_its_own():
    live = connection.settings_dict
    with connected({**live, "OPTIONS": {**live["OPTIONS"], "pool": True}}) as session:
        assert "pool" not in session.settings_dict["OPTIONS"]


@contextmanager
def searching(*schemas: str) -> Iterator[None]:
    """The live database's tables are in schemas of its own, as the settings say."""
    options = connections["default"].settings_dict["OPTIONS"]
    before = options.get("options", "")
    with connection.cursor() as cursor:
        for schema in schemas:
            cursor.execute(f'CREATE SCHEMA "{schema}"')
    options["options"] = "-c search_path=" + ",".join([*(f'"{schema}"' for schema in schemas), "public"])
    try:
        yield
    finally:
        options["options"] = before
        with connection.cursor() as cursor:
            for schema in schemas:
                cursor.execute(f'DROP SCHEMA "{schema}"')


@on_postgresql
def test_a_scratch_on_the_server_has_the_schemas_of_the_live_one_for_its_role():
    with searching("Shop", "stock"), scratch_server.on_server("default", time.time() + 60) as place:
        made = do(
            dict(place.settings),
            'CREATE TABLE "Shop".tills (id int)',
            "CREATE TABLE first_found (id int)",
            "SELECT schemaname FROM pg_tables WHERE tablename = 'first_found'",
        )
        owners = do(
            dict(place.settings),
            "SELECT nspname, pg_get_userbyid(nspowner) = current_user FROM pg_namespace"
            " WHERE nspname IN ('Shop', 'stock') ORDER BY 1",
        )

    assert owners == [("Shop", True), ("stock", True)]
    assert made == [("Shop",)]


@on_postgresql
def test_what_an_extension_brings_is_nobodys_data(database):
    do(database, "CREATE EXTENSION pg_stat_statements")  # it brings views

    with use(database) as place, connected(place.settings) as session:
        assert scratch.tables_in(session) == {scratch.MARK}


@pytest.mark.parametrize(
    ("probe", "ok", "answer"),
    [(False, False, "False"), (None, True, ""), (0, True, "0"), ("all fed", True, "all fed")],
)
def test_a_probe_fails_by_false_and_by_nothing_else_that_it_returns(monkeypatch, probe, ok, answer):
    monkeypatch.setattr(rehearsal, "host_function", lambda _setting, _path: lambda: probe)

    told = rehearsal._probed("zoo.probes.all_fed")

    assert (told["ok"], told["answer"]) == (ok, answer)
