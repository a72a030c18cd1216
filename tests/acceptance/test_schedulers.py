"""Both plans of the guide for real, with time compressed: processes of their own, a slot every two seconds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backup_center.registry import ALWAYS_EXCLUDED
from tests.projects import SERVER, Project, on_server, searched

pytestmark = pytest.mark.slow

PATIENCE = 60
REDIS = "redis://127.0.0.1:6379/7"
EVERY_TWO_SECONDS = """
import json
from backup_center.models import Schedule
Schedule.objects.exclude(action="FULL").delete()
# Past the form, which knows no seconds.
print(json.dumps(Schedule.objects.update(cron="*/2 * * * * *", next_run_at=None)))
"""
JOBS = "SELECT slot, status, attempts FROM backup_job ORDER BY slot"


@pytest.fixture
def busy_mall(mall: Project) -> Project:
    mall.python(EVERY_TWO_SECONDS)
    return mall


@contextmanager
def process(project: Project, name: str, *command: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """What it says goes to ``NAME.log`` in the project's folder; it is ended with the block."""
    with (project.folder / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            command,
            cwd=project.manage.parent,
            env={**os.environ, **project.environment, "PYTHONUNBUFFERED": "1", **more},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()


def said_by(project: Project, name: str) -> str:
    return (project.folder / f"{name}.log").read_text()


def wait_for(project: Project, condition: Callable[[], Any], *names: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "\n".join(said_by(project, name) for name in names)
        time.sleep(0.2)


def done(project: Project) -> int:
    return len([1 for _slot, status, _attempts in project.rows(JOBS) if status == "SUCCESS"])


def each_slot_once(project: Project) -> None:
    """And each once tried, with one backup."""
    found = project.rows(JOBS)
    slots = [slot for slot, _status, _attempts in found]
    assert len(set(slots)) == len(slots)
    assert {(status, attempts) for _slot, status, attempts in found} == {("SUCCESS", 1)}
    automatic = "SELECT count(*) FROM backup_backuprecord WHERE \"trigger\" = 'schedule'"
    assert project.rows(automatic) == [(len(found),)]


def test_two_schedulers_at_once_do_each_slot_once_and_end_cleanly(busy_mall: Project):
    command = [*busy_mall.command, "backup_scheduler", "--tick-seconds", "0.5"]
    with process(busy_mall, "one", *command) as one, process(busy_mall, "two", *command) as two:
        wait_for(busy_mall, lambda: done(busy_mall) >= 4, "one", "two")
        one.send_signal(signal.SIGTERM)
        two.send_signal(signal.SIGINT)
        codes = [one.wait(PATIENCE), two.wait(PATIENCE)]

    said = said_by(busy_mall, "one") + said_by(busy_mall, "two")
    assert codes == [0, 0], said
    assert "Traceback" not in said
    assert said.count("Ending: what runs is finished first.") == 2
    each_slot_once(busy_mall)
    runs = "SELECT count(*) FROM django_apscheduler_djangojobexecution WHERE status = 'Executed'"
    assert busy_mall.rows(runs)[0][0] >= 4  # what the admin shows


@pytest.mark.skipif(SERVER is None, reason="a SQLite database has no connections to lose")
def test_a_scheduler_survives_that_the_database_throws_it_out(busy_mall: Project):
    import psycopg

    def throw_out() -> int:
        with psycopg.connect(on_server("postgres"), autocommit=True) as session:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            return len(session.execute(others, [busy_mall.database]).fetchall())

    command = [*busy_mall.command, "backup_scheduler", "--tick-seconds", "0.5"]
    with process(busy_mall, "one", *command) as one:
        wait_for(busy_mall, lambda: done(busy_mall) >= 1, "one")
        assert throw_out() >= 1
        before = done(busy_mall)
        wait_for(busy_mall, lambda: done(busy_mall) >= before + 2, "one")
        one.send_signal(signal.SIGTERM)
        assert one.wait(PATIENCE) == 0, said_by(busy_mall, "one")


def test_without_django_apscheduler_it_runs_all_the_same_and_says_so(busy_mall: Project, tmp_path: Path):
    plain = (
        'from config.settings import *\nINSTALLED_APPS = [app for app in INSTALLED_APPS if "apscheduler" not in app]\n'
    )
    (tmp_path / "plain_settings.py").write_text(plain)
    surroundings = {"DJANGO_SETTINGS_MODULE": "plain_settings", "PYTHONPATH": searched(tmp_path)}
    command = [*busy_mall.command, "backup_scheduler", "--tick-seconds", "0.5"]
    with process(busy_mall, "one", *command, **surroundings) as one:
        wait_for(busy_mall, lambda: done(busy_mall) >= 1, "one")
        one.send_signal(signal.SIGTERM)
        assert one.wait(PATIENCE) == 0

    assert "the admin won't show the scheduler's runs" in said_by(busy_mall, "one")


def test_importing_the_guides_scheduler_starts_nothing(mall: Project):
    found = mall.python(
        """
import json, threading
from apps.backup.scheduler import scheduler
print(json.dumps([
    [job.id for job in scheduler.get_jobs()], scheduler.running, [thread.name for thread in threading.enumerate()]
]))
"""
    )
    assert found == [["backup_center.forget_executions", "backup_center.tick"], False, ["MainThread"]]


def test_the_guides_scheduler_runs_in_the_background_of_a_web_process(busy_mall: Project):
    busy_mall.python(
        """
import json, time
from apps.backup.scheduler import scheduler
from backup_center.models import Job
scheduler.start()
deadline = time.monotonic() + 30
while not Job.objects.filter(status="SUCCESS").exists() and time.monotonic() < deadline:
    time.sleep(1)
    scheduler.modify_job("backup_center.tick", next_run_time=__import__("datetime").datetime.now(scheduler.timezone))
scheduler.shutdown()
print(json.dumps(None))
"""
    )
    each_slot_once(busy_mall)


def test_tables_of_schedulers_and_queues_are_never_backed_up_nor_restored(mall: Project):
    found = mall.python(
        "import json; from backup_center import registry; print(json.dumps(registry.not_covered('default', [])))"
    )
    for label in (
        "django_apscheduler.djangojob",
        "django_apscheduler.djangojobexecution",
        "backup.schedule",
        "backup.job",
    ):
        assert found[label] == "excluded"
    assert [reason for label, reason in found.items() if label.startswith("django_tasks")] == ["excluded"]
    for pattern in ("django_celery_beat.*", "django_celery_results.*"):  # not installed here
        assert pattern in ALWAYS_EXCLUDED


# -- plan 2 --


@pytest.fixture
def queue() -> Iterator[str]:
    """A name that no other run uses; what it leaves in Redis goes."""
    try:
        socket.create_connection(("127.0.0.1", 6379), timeout=3).close()
    except OSError as error:
        if os.environ.get("REQUIRE") == "all":
            raise
        pytest.skip(f"Redis can't be reached at {REDIS} ({error})")
    from redis import Redis

    name = f"mall-{uuid.uuid4().hex[:12]}:"
    yield name
    with Redis.from_url(REDIS) as server:
        for key in server.scan_iter(f"{name}*"):
            server.delete(key)


def test_beat_and_a_worker_do_each_slot_once_beside_a_tick(busy_mall: Project, queue: str, tmp_path: Path):
    (tmp_path / "beat_settings.py").write_text(
        f"""from config.settings import *
CELERY_BROKER_TRANSPORT_OPTIONS = {{"global_keyprefix": {queue!r}}}
CELERY_BEAT_SCHEDULE = {{
    "backup-database": {{"task": "apps.backup.tasks.backup_database_task", "schedule": 1.0}},
}}
"""
    )
    surroundings = {
        "DJANGO_SETTINGS_MODULE": "beat_settings",
        "PYTHONPATH": searched(tmp_path),
        "CELERY_BROKER_URL": REDIS,
    }
    celery = [sys.executable, "-m", "celery", "-A", "config"]
    worker = [*celery, "worker", "--concurrency", "2", "--loglevel", "INFO", "--without-mingle", "--without-gossip"]
    beat = [*celery, "beat", "--schedule", str(tmp_path / "beat"), "--loglevel", "INFO"]
    with (
        process(busy_mall, "worker", *worker, **surroundings) as at_work,
        process(busy_mall, "beat", *beat, **surroundings) as beating,
    ):
        wait_for(busy_mall, lambda: done(busy_mall) >= 2, "worker", "beat")
        busy_mall.run("run_due_schedules")
        wait_for(busy_mall, lambda: done(busy_mall) >= 4, "worker", "beat")
        beating.terminate()
        beating.wait(PATIENCE)
        at_work.terminate()
        assert at_work.wait(PATIENCE) == 0

    said = said_by(busy_mall, "worker")
    assert "Traceback" not in said
    assert "somebody has done it" in said  # Beat comes each second, a slot each other one
    each_slot_once(busy_mall)
