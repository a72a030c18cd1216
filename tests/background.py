"""Work in the background: a queue in the database, and workers that empty it. A plugin of pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.local import Local
from django.utils.crypto import get_random_string

from backup_center.services import jobs, lease, working
from backup_center.tasks import queue

DATABASE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "backups"]}}


@pytest.fixture
def tasks(settings) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Sets TASKS, as a project would have had it from the beginning."""

    def set_to(value: dict[str, Any]) -> None:
        settings.TASKS = value
        forget()

    yield set_to
    del settings.TASKS
    forget()


@pytest.fixture
def work_off(tasks) -> Callable[[], None]:
    """The queue is in the database; a call does what stands in it, as ``db_worker --batch`` does."""
    tasks(DATABASE)
    return empty_the_queue


@pytest.fixture
def quick(monkeypatch) -> None:
    """Signs of life and pauses that don't take seconds."""
    monkeypatch.setattr(working, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(working, "BUSY_PAUSE", 0.05)
    monkeypatch.setattr(working, "PAUSES", (0.02, 0.02, 0.02))
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.02)


def empty_the_queue() -> None:
    from django_tasks_db.management.commands.db_worker import Worker

    Worker(
        queue_names=["*"],
        excluded_queue_names=[],
        interval=0,
        batch=True,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id=get_random_string(8),
    ).run()


def forget() -> None:
    """What Django remembers of TASKS."""
    handler = queue.api().task_backends
    handler.__dict__.pop("settings", None)
    handler._settings = None
    handler._connections = Local(handler.thread_critical)
