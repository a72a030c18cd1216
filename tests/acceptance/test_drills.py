"""Drills as an operator runs them: a backup is restored for real, and the live database knows nothing of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pyrage import x25519

from tests.acceptance.test_mall import contents
from tests.projects import ROOT, SERVER, Project, on_server, once, searched

pytestmark = pytest.mark.slow

PROBES = "tests.acceptance.drill_probes"
SECRET = "a-secret/of the live database"
on_postgresql = pytest.mark.skipif(SERVER is None, reason="needs a server")
SPOIL = """
from django.dispatch import receiver
from backup_center.signals import post_restore

@receiver(post_restore)
def spoil(**facts):
    from apps.finance.models import FinanceRecord
    FinanceRecord.objects.filter(pk=7).update(amount=1)
    FinanceRecord.objects.filter(pk=8).delete()
"""


@pytest.fixture
def configured(mall: Project, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """An environment in which the mall has these settings besides its own."""

    def make(code: str = "", **settings: Any) -> dict[str, str]:
        lines = [f"{name} = {value!r}" for name, value in settings.items()]
        text = "\n".join(["from config.settings import *", *lines, code])
        (tmp_path / "drilled.py").write_text(text, encoding="utf-8")
        (tmp_path / "scratch").mkdir(exist_ok=True)
        return {
            "DJANGO_SETTINGS_MODULE": "drilled",
            "PYTHONPATH": searched(tmp_path, ROOT / "mall", ROOT),
            "TMPDIR": str(tmp_path / "scratch"),
            "TOLD": str(tmp_path / "told"),
        }

    return make


def left_over(tmp_path: Path) -> list[str]:
    """Scratch databases, and roles: there must be none once a drill is over."""
    if SERVER is None:
        return [path.name for path in (tmp_path / "scratch").iterdir()]
    return [name for (name,) in ask("SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles") if ours(name)]


def ours(name: str) -> bool:
    return name.startswith("backup_drill_")


def ask(sql: str, url: str | None = None) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(url or SERVER, autocommit=True) as session:
        cursor = session.execute(sql)
        return cursor.fetchall() if cursor.description else []


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("It never came.")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_incremental_is_proven_and_the_live_database_stays_as_it_is(mall, configured, tmp_path):
    plain = configured()
    mall.run("backup_database", **plain)
    mall.python("from apps.store.models import Shop; print(Shop.objects.filter(pk=1).update(name='new'))")
    name = mall.json("backup_database", "--type=INCREMENTAL")["name"]
    before = contents(mall)

    found = json.loads(mall.run("drill_backups", "--json", **plain).stdout)

    assert (found["ok"], found["name"]) == (True, name)
    assert 0 < found["restore_seconds"] < found["seconds"]
    tables = {table["label"]: table for table in found["tables"]}
    assert (tables["finance.financerecord"]["expected"], tables["finance.financerecord"]["found"]) == (120, 120)
    assert tables["admin.logentry"]["found"] == tables["admin.logentry"]["expected"] > 0  # only added to elsewhere
    assert len(tables) == 14
    assert all(table["ok"] for table in tables.values())
    assert found["foreign_keys"] == found["checks"] == []
    assert found["probes"][0]["answer"].startswith("Rents of ")
    assert contents(mall) == before
    assert mall.rows("SELECT count(*) FROM backup_backuprecord WHERE recovery_records > 0") == [(0,)]
    assert left_over(tmp_path) == []
    [(ok, seconds)] = mall.rows("SELECT ok, restore_seconds FROM backup_drill")
    assert (bool(ok), seconds) == (True, found["restore_seconds"])
    assert mall.rows("SELECT log_level FROM backup_backuplog WHERE operation = 'DRILL'") == [("SUCCESS",)]
    verdict = "from backup_center.services.verdict import verdict; import json; print(json.dumps(verdict().evidence))"
    assert any(line.startswith("Last proven restorable just now, in ") for line in mall.python(verdict))


def test_damage_ends_with_4_and_is_named(mall, configured, tmp_path):
    taken = mall.json("backup_database")
    archive = mall.folder / "backups" / taken["file"]
    data = bytearray(archive.read_bytes())
    data[len(data) // 3] ^= 1
    archive.write_bytes(data)

    failed = mall.run("drill_backups", taken["name"], "--json", code=4, **configured())

    assert taken["file"] in failed.stderr
    assert json.loads(failed.stdout)["ok"] is False
    [(ok, error)] = mall.rows("SELECT ok, error FROM backup_drill")
    assert not ok
    assert taken["file"] in error or taken["name"] in error
    assert mall.rows("SELECT log_level FROM backup_backuplog WHERE operation = 'DRILL'") == [("ERROR",)]
    assert left_over(tmp_path) == []


def test_rows_that_differ_and_probes_that_raise_are_named(mall, configured, tmp_path):
    mall.run("backup_database")

    failed = mall.run("drill_backups", code=4, **configured(SPOIL, BACKUP_DRILL_PROBES=[f"{PROBES}.fail"]))

    assert "finance.financerecord: 120 rows were backed up, 119 are there; 1 missing, 1 changed, 0 too many." in (
        failed.stderr
    )
    assert "ValueError: the books of January do not add up" in failed.stderr
    assert left_over(tmp_path) == []


LITERAL = """
from config import settings as base
base.DATABASES["default"].update({facts})
OUR_PASSWORD = DATABASES["default"].get("PASSWORD")
"""


@pytest.mark.parametrize("way", ["environment", "settings"])
def test_the_process_holds_nothing_of_the_live_database(mall, configured, tmp_path, way):
    """Wherever the project's settings have it from: a password in a file is the child's to read, but not to keep."""
    mall.run("backup_database")
    given = {"DB_PASSWORD": SECRET, "SHOP_CONFIG": json.dumps({"password": SECRET}), "PGPASSWORD": SECRET}
    with a_poor_user(mall) if SERVER else nullcontext(f"sqlite:///{mall.database}") as url:
        facts = {"PASSWORD": SECRET}  # SQLite asks for none
        if SERVER is not None:
            parts = urlsplit(url)
            facts |= {"NAME": mall.database, "USER": parts.username, "HOST": parts.hostname, "PORT": parts.port or ""}
        literal = LITERAL.format(facts=facts)
        environment = configured(literal if way == "settings" else "", BACKUP_DRILL_PROBES=[f"{PROBES}.tell_all"])
        mall.run("drill_backups", **environment, **given, **({"DATABASE_URL": url} if way == "environment" else {}))

    told = (tmp_path / "told").read_text(encoding="utf-8")
    assert SECRET not in told
    assert "of%20the%20live" not in told
    found = json.loads(told)
    assert found["settings"].keys() == {"default"}
    assert Path(found["settings"]["default"]["NAME"]).name != Path(mall.database).name
    assert found["imported"]["default"]["NAME"] == found["settings"]["default"]["NAME"]
    assert mall.database not in found["session"]
    assert found["mail"].endswith("locmem.EmailBackend")
    assert found["cache"] == "DummyCache"
    if SERVER is not None:
        assert found["settings"]["default"]["USER"].startswith("backup_drill_")
        assert urlsplit(found["environment"]["DATABASE_URL"]).username == found["settings"]["default"]["USER"]
    assert left_over(tmp_path) == []


class a_poor_user:  # noqa: N801  # it reads as what it is
    """No superuser, but one that may make databases and roles, and owns the mall."""

    def __init__(self, mall: Project) -> None:
        self.mall, self.name = mall, f"poor_{uuid.uuid4().hex[:8]}"

    def __enter__(self) -> str:
        ask(f"CREATE ROLE {self.name} LOGIN CREATEDB CREATEROLE PASSWORD '{SECRET}'")
        ask(f'ALTER DATABASE "{self.mall.database}" OWNER TO {self.name}')
        ask(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {self.name}", on_server(self.mall.database))
        ask(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {self.name}", on_server(self.mall.database))
        parts = urlsplit(on_server(self.mall.database))
        host = parts.netloc.rpartition("@")[2]
        quoted = SECRET.replace("/", "%2F").replace(" ", "%20")
        return parts._replace(netloc=f"{self.name}:{quoted}@{host}").geturl()

    def __exit__(self, *_: object) -> None:
        ask(f'ALTER DATABASE "{self.mall.database}" OWNER TO CURRENT_USER')
        ask(f"DROP OWNED BY {self.name}", on_server(self.mall.database))
        ask(f"DROP ROLE {self.name}")


@on_postgresql
def test_a_user_that_may_make_no_roles_drills_and_is_told_and_one_without_databases_is_refused(mall, configured):
    mall.run("backup_database")
    with a_poor_user(mall) as url:
        name = urlsplit(url).username
        ask(f"ALTER ROLE {name} NOCREATEROLE")
        found = json.loads(mall.run("drill_backups", "--json", DATABASE_URL=url).stdout)
        ask(f"ALTER ROLE {name} NOCREATEDB")
        refused = mall.run("drill_backups", code=5, DATABASE_URL=url).stderr

    assert "CREATEROLE" in found["notes"][0]
    assert "CREATEDB" in refused
    assert "BACKUP_DRILL_DATABASE" in refused


@pytest.mark.parametrize(("probe", "seconds", "said"), [("be_killed", 3600, "exit code -9"), ("hang", 4, "after 4 s")])
def test_the_scratch_goes_when_the_process_is_killed_or_takes_too_long(
    mall, configured, tmp_path, probe, seconds, said
):
    mall.run("backup_database")
    environment = configured(BACKUP_DRILL_PROBES=[f"{PROBES}.{probe}"], BACKUP_DRILL_TIMEOUT_SECONDS=seconds)

    assert said in mall.run("drill_backups", code=1, **environment).stderr
    assert left_over(tmp_path) == []
    if (tmp_path / "told").exists():  # unless the time was over before it came so far
        assert not any(is_alive(int(pid)) for pid in (tmp_path / "told").read_text().split())


def test_what_a_probe_leaves_running_ends_with_the_drill(mall, configured, tmp_path):
    mall.run("backup_database")

    mall.run("drill_backups", **configured(BACKUP_DRILL_PROBES=[f"{PROBES}.leave_things_behind"]))

    assert not is_alive(int((tmp_path / "told").read_text()))
    assert left_over(tmp_path) == []


def test_settings_that_the_process_cannot_load_are_named(mall, configured, tmp_path):
    mall.run("backup_database")
    code = "import sys\nif 'drill_child' in ' '.join(sys.orig_argv): raise ImportError('no such module: tills')"

    failed = mall.run("drill_backups", code=1, **configured(code))

    assert "ImportError: no such module: tills" in failed.stderr
    assert left_over(tmp_path) == []


@pytest.fixture
def hanging(mall, configured, tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A drill in the middle of it."""
    mall.run("backup_database")
    environment = configured(BACKUP_DRILL_PROBES=[f"{PROBES}.hang"])
    with subprocess.Popen(
        [*mall.command, "drill_backups"],
        env={**os.environ, **mall.environment, **environment},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text())
        yield process
        process.kill()
        for pid in map(int, (tmp_path / "told").read_text().split()):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_the_scratch_goes_when_somebody_presses_ctrl_c(hanging, tmp_path):
    hanging.send_signal(signal.SIGINT)
    _out, err = hanging.communicate(timeout=30)

    assert (hanging.returncode, "Interrupted" in err) == (6, True)
    assert left_over(tmp_path) == []


def test_what_a_killed_drill_leaves_goes_with_the_next_once_its_time_is_over(mall, hanging, configured, tmp_path):
    child = int((tmp_path / "told").read_text().split()[0])
    record = mall.rows("SELECT record_id FROM backup_drill")[0][0]
    refusal = (
        "from backup_center.models import BackupRecord; from backup_center.services import cleanup; import json;"
        f"print(json.dumps(cleanup.why_not_deletable(BackupRecord.objects.get(pk={record}))))"
    )
    assert mall.python(refusal) == "A drill reads it; wait until it is done."
    hanging.kill()
    hanging.wait()
    wait_for(lambda: not is_alive(child))
    dead = left_over(tmp_path)
    assert dead

    plain = configured()
    mall.run("drill_backups", **plain)
    assert left_over(tmp_path) == dead  # for all that is known, it still runs

    grow_old(mall, tmp_path, dead[0])
    with a_lookalike(tmp_path) as lookalike:
        mall.run("drill_backups", **plain)
        assert left_over(tmp_path) == [lookalike]
    assert mall.rows("SELECT count(*) FROM backup_drill WHERE seconds IS NULL") == [(0,)]
    assert ("Its process ended before the drill was done.",) in mall.rows("SELECT error FROM backup_drill")


def grow_old(mall: Project, tmp_path: Path, name: str) -> None:
    mall.python(
        "from backup_center.models import Drill; from django.utils import timezone; import datetime;"
        "past = timezone.now() - datetime.timedelta(days=1);"
        "print(Drill.objects.filter(seconds=None).update(until=past))"
    )
    if SERVER is None:
        (tmp_path / "scratch" / name / "backup_center_drill").write_text("1")
    else:
        ask(f"COMMENT ON DATABASE {name} IS 'backup_center_drill until 1'")


class a_lookalike:  # noqa: N801
    """Somebody else's, under a name that could be ours, without our mark."""

    NAME = "backup_drill_0123456789abcdef"

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "scratch" / self.NAME

    def __enter__(self) -> str:
        if SERVER is None:
            self.folder.mkdir()
        else:
            ask(f"CREATE DATABASE {self.NAME}")
        return self.NAME

    def __exit__(self, *_: object) -> None:
        if SERVER is not None:
            ask(f"DROP DATABASE {self.NAME}")


def test_an_encrypted_backup_drills_with_its_key_and_only_with_it(mall, configured, tmp_path):
    identity = x25519.Identity.generate()
    settings = {"BACKUP_ENCRYPTION": True, "BACKUP_ENCRYPTION_RECIPIENTS": [str(identity.to_public())]}
    environment = configured(**settings)
    mall.run("backup_database", **environment)

    locked = mall.run("drill_backups", code=5, **environment)
    mall.run("drill_backups", **environment, BACKUP_ENCRYPTION_IDENTITY=str(identity))

    assert "key" in locked.stderr
    assert left_over(tmp_path) == []


def prepared(tmp_path: Path, new_database: Callable[..., str]) -> dict[str, Any]:
    if SERVER is None:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "prepared.sqlite3")}
    parts = urlsplit(on_server(new_database()))
    facts = {"NAME": parts.path[1:], "USER": parts.username or "", "PASSWORD": parts.password or ""}
    where = {"HOST": parts.hostname or "", "PORT": str(parts.port or "")}
    return {"ENGINE": "django.db.backends.postgresql", **facts, **where}


def test_a_prepared_database_is_used_and_emptied_but_never_one_with_tables(mall, configured, tmp_path, new_database):
    database = prepared(tmp_path, new_database)
    environment = configured(BACKUP_DRILL_DATABASE=database)
    mall.run("backup_database")

    for _again in range(2):
        mall.run("drill_backups", **environment)
        assert tables_of(database) == []

    make_table(database)
    refused = mall.run("drill_backups", code=5, **environment)
    assert "holds what no drill has made (somebodys)" in refused.stderr
    assert tables_of(database) == ["somebodys"]


def test_the_live_database_is_refused_as_a_scratch(mall, configured):
    mall.run("backup_database")
    code = "BACKUP_DRILL_DATABASE = {**DATABASES['default']}"
    before = contents(mall)

    assert "is the live database" in mall.run("drill_backups", code=5, **configured(code)).stderr
    assert "backup_center.E042" in mall.run("check", code=1, **configured(code)).stderr
    assert contents(mall) == before


def tables_of(database: dict[str, Any]) -> list[str]:
    if SERVER is None:
        import sqlite3

        with closing(sqlite3.connect(database["NAME"])) as session:
            return [name for (name,) in session.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = ask("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace", on_server(database["NAME"]))
    return [name for (name,) in found]


def make_table(database: dict[str, Any]) -> None:
    if SERVER is None:
        import sqlite3

        with closing(sqlite3.connect(database["NAME"])) as session:
            session.execute("CREATE TABLE somebodys (id int)")
    else:
        ask("CREATE TABLE somebodys (id int)", on_server(database["NAME"]))


PAGE = """
import json
from django.contrib.auth.models import Permission, User
from django.test import Client
from backup_center.models import BackupRecord, Drill

def client(name, *codenames):
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    found = Client(headers={"host": "localhost", "accept-language": "en"})
    found.force_login(user)
    return found

record = BackupRecord.objects.get()
url = f"/backup/{record.pk}/"
looker, tester = client("looker", "view_backuprecord"), client("tester", "view_backuprecord", "verify_backuprecord")
refused = looker.post(url + "drill/").status_code
before = tester.get(url).content.decode()
answer = tester.post(url + "drill/", follow=True)
page = answer.content.decode()
dashboard = tester.get("/backup/").content.decode()
print(json.dumps([
    refused, "Drill now" in looker.get(url).content.decode(), "Drill now" in before, "not been proven" in before,
    "Proven: it restores" in page, "Rents of" in page, "proven restorable" in page,
    Drill.objects.get().requested_by_name, "Last proven restorable just now" in dashboard,
]))
"""


@once
def test_the_page_drills_for_those_who_may_and_shows_the_report(mall):
    mall.run("backup_database")

    assert mall.python(PAGE) == [403, False, True, True, True, True, True, "tester", True]
