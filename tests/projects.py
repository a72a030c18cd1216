"""Projects as their operators meet them: ``manage.py`` in a process of its own, a folder and a database for each.

A plugin of pytest, so that all tests share one mall that is migrated and populated.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVER = os.environ.get("BACKUP_TEST_DATABASE_URL")  # None: SQLite
# For what no database can make a difference to.
once = pytest.mark.skipif(SERVER is not None, reason="knows no database; the SQLite run tests it")
SMALL = ("--shops=4", "--finance-records=120")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project with its folder; ``database`` is a SQLite file or the name of a PostgreSQL database."""

    manage: Path
    folder: Path
    database: str
    environment: dict[str, str]

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.manage)]

    def run(self, *words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        """``manage.py`` without a terminal. It must end with ``code``, and never with a traceback."""
        done = subprocess.run(
            [*self.command, *words],
            env={**os.environ, **self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        """What a command answers with --json."""
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def python(self, code: str, **more: str) -> Any:
        """What the code, run inside the project, prints as JSON on its last line."""
        return json.loads(self.run("shell", "-c", code, **more).stdout.splitlines()[-1])

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Asked of the database itself, behind Django's back."""
        if SERVER is None:
            with closing(sqlite3.connect(self.database)) as session:
                return session.execute(sql).fetchall()
        import psycopg

        with psycopg.connect(on_server(self.database)) as session:
            return session.execute(sql).fetchall()


def searched(*folders: Path) -> str:
    """A PYTHONPATH with these folders first."""
    return os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])


def on_server(name: str) -> str:
    """The URL of another database on the server that this run uses."""
    return urlsplit(SERVER or "")._replace(path="/" + name).geturl()


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[..., str]]:
    """Makes PostgreSQL databases, perhaps as copies, and drops them at the end."""
    made: list[str] = []

    def administer(statement: str) -> None:
        import psycopg

        with psycopg.connect(SERVER, autocommit=True) as session:
            session.execute(statement)

    def make(template: str = "template1") -> str:
        name = f"test_backup_center_{uuid.uuid4().hex[:12]}"
        administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        made.append(name)
        return name

    yield make
    for name in made:
        administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def make_mall(new_database: Callable[..., str]) -> Callable[..., Project]:
    """A mall in a folder: without a database yet, or with a copy of another's."""

    def make(folder: Path, like: Project | None = None) -> Project:
        if like is None:
            folder.mkdir()
        else:
            shutil.copytree(like.folder, folder)
        environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "MALL_DATA_DIR": str(folder)}
        environment |= {"MALL_LANGUAGE": "en", "DATABASE_URL": ""}
        database = str(folder / "mall.sqlite3")
        if SERVER is not None:
            database = new_database(like.database) if like else new_database()
            environment["DATABASE_URL"] = on_server(database)
        return Project(manage=ROOT / "mall/manage.py", folder=folder, database=database, environment=environment)

    return make


@pytest.fixture(scope="session")
def first_mall(make_mall: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Migrated and populated. Never changed: tests get copies."""
    found = make_mall(tmp_path_factory.mktemp("first") / "mall")
    found.run("migrate", "--verbosity=0")
    found.run("populate_mall", *SMALL, "--verbosity=0")
    return found


@pytest.fixture
def mall(make_mall: Callable[..., Project], first_mall: Project, tmp_path: Path) -> Project:
    return make_mall(tmp_path / "mall", like=first_mall)
