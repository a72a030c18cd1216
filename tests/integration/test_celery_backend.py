"""Any task of a project through our adapter, on a broker in memory. ``test_task_backends`` has Celery's own workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery

from backup_center.tasks import queue

BACKEND = "backup_center.tasks.celery_backend.CeleryBackend"
api = queue.api()
app = Celery("celery-backend", broker="memory://", set_as_current=False)
heard: list[tuple[Any, ...]] = []


@api.task
def hear(word: str, *, loud: bool = False) -> None:
    heard.append((word, loud))


@api.task(takes_context=True)
def hear_with_context(context: Any, word: str, *, loud: bool = False) -> None:
    heard.append((word, loud, context))


@pytest.fixture
def do_next(tasks) -> Callable[[], Any]:
    """Takes the oldest message from the broker and does what it says; returns what was heard."""
    tasks({"default": {"BACKEND": BACKEND, "OPTIONS": {"app": f"{__name__}.app"}}})

    def do() -> Any:
        with app.connection_for_read() as connection, connection.SimpleQueue(app.conf.task_default_queue) as waiting:
            message = waiting.get(timeout=5)
            message.ack()
        args, kwargs, _embedded = message.payload
        app.tasks[message.headers["task"]].apply(args, kwargs, task_id=message.headers["id"], throw=True)
        return heard.pop()

    return do


def test_a_task_gets_its_arguments(do_next):
    hear.enqueue("hello", loud=True)
    assert do_next() == ("hello", True)


def test_a_task_gets_its_context_if_it_takes_one(do_next):
    result = hear_with_context.enqueue("hello", loud=True)
    word, loud, context = do_next()

    assert (word, loud) == ("hello", True)
    told = context.task_result
    assert (told.id, told.status, told.task) == (result.id, api.TaskResultStatus.RUNNING, hear_with_context)
    assert (told.args, told.kwargs, context.attempt) == (["hello"], {"loud": True}, 1)
    assert told.started_at is not None


def test_a_priority_is_refused_not_forgotten(tasks):
    tasks({"default": {"BACKEND": BACKEND}})
    with pytest.raises(Exception, match="priority"):
        hear.using(priority=5)
