"""The conformance suite of task backends: whoever does the work, jobs behave the same."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now

from backup_center.models import BackupRecord, Job
from backup_center.services import jobs
from backup_center.services.lease import PERIOD
from backup_center.tasks import queue
from tests.background import DATABASE
from tests.integration.killing import let_the_lease_expire, wait_for_server
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
Action, Status = Job.Action, Job.Status
BROKERS = {
    "celery, Redis": ("redis://127.0.0.1:6379/5", 6379),
    "celery, RabbitMQ": ("amqp://guest:guest@127.0.0.1:5672//", 5672),
}
POOLS = {"celery, Redis": "prefork", "celery, RabbitMQ": "solo"}


class Workers:
    """One worker process at a time."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.command, self.environment, self.log = command, environment, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        with self.log.open("ab") as log:
            # A group of its own: Celery's worker has children.
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env={**os.environ, **self.environment}, stdout=log, stderr=log, process_group=0
            )
        return self.process.pid

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, how)
            self.process.wait(PATIENCE)
            self.process = None


@pytest.fixture(params=["database", *BROKERS])
def workers(request, tasks, tmp_path, settings) -> Iterator[Workers]:
    """Of each kind; TASKS points to them."""
    shared = {name: str(getattr(settings, name)) for name in ("BACKUP_DIR", "BACKUP_MANIFESTS_DIR")}
    environment = {"WORKER_DATABASE": str(connection.settings_dict["NAME"])}
    if request.param == "database":
        backends = DATABASE
        command = ["-m", "tests.database_worker"]
    else:
        broker, port = BROKERS[request.param]
        reach(request.param, port)
        name = f"backup-{uuid.uuid4().hex[:8]}"
        backends = {
            "default": {
                "BACKEND": "backup_center.tasks.celery_backend.CeleryBackend",
                "OPTIONS": {"app": "tests.celery_app.app"},
                "QUEUES": ["default", "backups"],
            }
        }
        environment |= {"WORKER_BROKER": broker, "WORKER_QUEUE": name}
        command = ["-m", "celery", "-A", "tests.celery_app", "worker", "--pool", POOLS[request.param], "-c", "1"]
        command += ["-Q", f"{name},{name}-own", "--without-gossip", "--without-mingle", "-l", "INFO"]
        backends["default"]["OPTIONS"]["queues"] = {"backups": f"{name}-own"}
    environment["WORKER_SETTINGS"] = json.dumps({**shared, "TASKS": backends})
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        sys.modules.pop("tests.celery_app", None)
        tasks(backends)
        found = Workers([sys.executable, *command], environment, tmp_path / "worker.log")
        try:
            yield found
        finally:
            found.kill()


def reach(name: str, port: int) -> None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=3).close()
    except OSError:
        pytest.skip(f"no broker for {name} on this machine")


def wait_for(true: Callable[[], object], workers: Workers) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, workers.log.read_text()
        time.sleep(0.05)


def test_jobs_are_done_elsewhere_once_and_survive_their_workers(workers: Workers, rows_of_everything, settings):
    Animal.objects.create(name="Ape")

    job = queue.submit(jobs.ask(Action.BACKUP))
    queue.enqueue(job)  # twice
    assert (job.status, queue.is_immediate()) == (Status.PENDING, False)
    workers.start()
    wait_for(lambda: over(job), workers)

    assert (job.status, job.error) == (Status.SUCCESS, "")
    assert job.worker.split(":")[1] != str(os.getpid())
    before = rows_of_everything()
    Animal.objects.all().delete()
    restore = queue.submit(jobs.ask(Action.RESTORE, record=job.record))
    wait_for(lambda: over(restore), workers)
    assert (restore.status, restore.error) == (Status.SUCCESS, "")
    assert rows_of_everything() == before
    assert BackupRecord.objects.filter(trigger="command").count() == 1

    settings.BACKUP_TASK_QUEUE = "backups"
    verification = queue.submit(jobs.ask(Action.VERIFY, record=job.record))
    settings.BACKUP_TASK_QUEUE = "default"
    wait_for(lambda: over(verification), workers)
    assert verification.status == Status.SUCCESS

    workers.kill()
    wait_for_server()
    dead = jobs.ask(Action.BACKUP)
    Job.objects.filter(pk=dead.pk).update(status=Status.RUNNING, worker="gone:1:a", heartbeat_at=Now() - PERIOD * 2)
    let_the_lease_expire()
    assert jobs.settle_dead() == [dead]
    following = queue.submit(jobs.ask(Action.BACKUP))
    workers.start()
    wait_for(lambda: over(following), workers)
    assert following.status == Status.SUCCESS


def over(job: Job) -> bool:
    job.refresh_from_db()
    return job.is_over
