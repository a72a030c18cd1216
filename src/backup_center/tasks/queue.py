"""The one door to the background: Django's Tasks API, from Django itself or from its backport."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from ..conf import get_task_settings
from ..models import Job
from ..services import jobs, working
from ..services.connecting import home_alias
from ..services.journal import logger


def api() -> Any:
    """``django.tasks``, from 6.0 on; ``django_tasks`` before; ``None`` without either."""
    for name in ("django.tasks", "django_tasks"):
        with suppress(ImportError):
            return import_module(name)
    return None


def is_immediate() -> bool:
    """Whether the work is done by whoever asks for it, while he waits. Raises the API's ``InvalidTaskBackend``."""
    found = api()
    if found is None:
        return True
    return type(found.task_backends[get_task_settings().backend]).__name__ == "ImmediateBackend"


def submit(job: Job) -> Job:
    """Queue it when the transaction is committed. Returns it as it is then: over, if it was done at once.

    Somebody waits for an answer: a queue that can't be reached fails the job.
    """
    transaction.on_commit(partial(enqueue, job), using=home_alias())
    job.refresh_from_db()
    return job


def enqueue(job: Job, *, give_up: bool = True) -> None:
    """As often as one likes: only one worker gets it. Whoever doesn't ``give_up`` has it queued again later."""
    if api() is None:
        working.run(job.pk, patient=False)
        return
    settings = get_task_settings()
    try:
        # Only now: importing it asks for the backend.
        from .job import run_job

        run_job.using(backend=settings.backend, queue_name=settings.queue).enqueue(job.pk)
    except Exception as error:  # noqa: BLE001  # whatever a backend or a broker raises
        logger.exception("job %d could not be queued", job.pk)
        if not give_up:
            return
        text = _("The queue can't be reached (%(error)s). Nothing was done; try again when it can.")
        jobs.end(job, Job.Status.FAILED, text % {"error": error}, started_at=None)
