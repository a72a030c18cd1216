"""Django's Tasks API over Celery: ``"BACKEND": "backup_center.tasks.celery_backend.CeleryBackend"`` in ``TASKS``.

Any task of the project may go through it, not ours alone. Options: ``app`` (dotted path of the Celery app; without it
the current one), ``queues`` (names of queues here → names of queues there; the default queue is Celery's own default).
What a task returns stays with Celery; results are not read back.
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
        return self._queued(task, number, args, kwargs)

    def _queued(self, task: Any, number: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        result = tasks_api.TaskResult(
            task=task,
            id=number,
            status=tasks_api.TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=list(args),
            kwargs=dict(kwargs),
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        tasks_api.signals.task_enqueued.send(type(self), task_result=result)
        return result


@shared_task(name="backup_center.run_task", ignore_result=True)  # type: ignore[untyped-decorator]
def run(path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """In Celery's worker: the function of a task, and of nothing else that the message may name."""
    task = import_string(path)
    if not isinstance(task, tasks_api.base.Task):
        raise SuspiciousOperation(f"{path} is not a task.")
    task.call(*args, **kwargs)
