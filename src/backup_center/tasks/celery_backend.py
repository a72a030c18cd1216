"""Django's Tasks API over Celery: ``"BACKEND": "backup_center.tasks.celery_backend.CeleryBackend"`` in ``TASKS``.

Any task of the project may go through it, not ours alone. Options: ``app`` (dotted path of the Celery app; without it
the current one), ``queues`` (names of queues here → names of queues there; the default queue is Celery's own default).
What a task returns is dropped, priorities are refused. Of a task's context, what Celery knows is filled in.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery, current_app, shared_task
from django.core.exceptions import SuspiciousOperation
from django.utils import timezone
from django.utils.module_loading import import_string

from .queue import api

tasks_api: Any = api()
Base: Any = tasks_api.backends.base.BaseTaskBackend if tasks_api else object


class CeleryBackend(Base):  # type: ignore[misc]
    supports_defer = True
    supports_async_task = True

    @property
    def app(self) -> Celery:
        path = self.options.get("app")
        return import_string(path) if path else current_app

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        self.validate_task(task)
        number = str(uuid.uuid4())
        queues: Mapping[str, str] = self.options.get("queues", {})
        default = tasks_api.DEFAULT_TASK_QUEUE_NAME
        queue = queues.get(task.queue_name, None if task.queue_name == default else task.queue_name)
        self.app.send_task(
            run.name,
            args=[task.module_path, list(args), dict(kwargs)],
            task_id=number,
            queue=queue,
            eta=task.run_after,
        )
        ready = tasks_api.TaskResultStatus.READY
        result = _result(task, number, args, kwargs, status=ready, enqueued_at=timezone.now())
        tasks_api.signals.task_enqueued.send(type(self), task_result=result)
        return result


@shared_task(bind=True, name="backup_center.run_task", ignore_result=True)  # type: ignore[untyped-decorator]
def run(message: Any, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """In Celery's worker: the function of a task, and of nothing else that the message may name."""
    task = import_string(path)
    if not isinstance(task, tasks_api.base.Task):
        raise SuspiciousOperation(f"{path} is not a task.")
    if task.takes_context:
        args = [_context(task, message.request, args, kwargs), *args]
    task.call(*args, **kwargs)


def _context(task: Any, request: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    now = timezone.now()
    running = tasks_api.TaskResultStatus.RUNNING
    facts = {"started_at": now, "last_attempted_at": now, "worker_ids": [request.hostname]}
    return tasks_api.base.TaskContext(task_result=_result(task, request.id, args, kwargs, status=running, **facts))


def _result(task: Any, number: str, args: Sequence[Any], kwargs: Mapping[str, Any], **facts: Any) -> Any:
    unknown = dict.fromkeys(("enqueued_at", "started_at", "finished_at", "last_attempted_at"))
    lists: dict[str, list[Any]] = {"errors": [], "worker_ids": []}
    facts = {**unknown, **lists, **facts}
    return tasks_api.TaskResult(
        task=task, id=number, args=list(args), kwargs=dict(kwargs), backend=task.backend, **facts
    )
