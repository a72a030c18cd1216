"""Plan 1, APScheduler: the tick once a minute. With django-apscheduler the admin shows its runs.

How many of them run makes no difference: each slot of a schedule is done once (``services.schedules``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from django.utils.translation import gettext as _

from .services.journal import logger
from .tasks import ticking

try:
    from apscheduler.jobstores.base import JobLookupError
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.schedulers.base import STATE_RUNNING
    from apscheduler.schedulers.blocking import BlockingScheduler
except ImportError as missing:
    raise ImproperlyConfigured(
        _("APScheduler isn't installed: pip install 'django-backup-center[apscheduler]'.")
    ) from missing

if TYPE_CHECKING:
    Base = Any
else:
    Base = object

TICK, FORGETTING = "backup_center.tick", "backup_center.forget_executions"
MINUTE, DAY = 60.0, 24 * 3600.0
RETRY_SECONDS = 5.0
KEPT_SECONDS = 7 * 24 * 3600


def keeps_executions() -> bool:
    """Whether jobs and their runs are in the database, where the admin shows them."""
    return apps.is_installed("django_apscheduler")


def tick() -> None:
    """In a thread of the scheduler's: what the database closed meanwhile is opened anew."""
    close_old_connections()
    try:
        ticking.tick()
    finally:
        close_old_connections()


def forget_executions() -> None:
    """One run a minute makes many rows."""
    from django_apscheduler.models import DjangoJobExecution

    close_old_connections()
    try:
        DjangoJobExecution.objects.delete_old_job_executions(KEPT_SECONDS)
    finally:
        close_old_connections()


class Ticking(Base):  # type: ignore[misc]
    """A scheduler with our jobs, that a lost database or a wrong clock doesn't stop. Nothing happens before ``start``.

    ``seconds``: from tick to tick.
    """

    def __init__(self, seconds: float = MINUTE) -> None:
        # Late is better than never, and once is enough.
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        super().__init__(timezone=timezone.get_default_timezone(), job_defaults=defaults)
        self._seconds = seconds
        if keeps_executions():
            from django_apscheduler.jobstores import DjangoJobStore

            self.add_jobstore(DjangoJobStore(), "default")
            self._add(forget_executions, FORGETTING, DAY)
        self._add(tick, TICK, self._seconds)

    def _add(self, work: Callable[[], None], name: str, seconds: float) -> None:
        """Now, and then each so many seconds."""
        now = datetime.now(self.timezone)
        self.add_job(work, "interval", seconds=seconds, id=name, name=name, replace_existing=True, next_run_time=now)

    def _process_jobs(self) -> float | None:
        """Where APScheduler looks what is due, and how long it sleeps then. It would end by any error but one."""
        if self.state != STATE_RUNNING:  # being shut down, it looks once more
            return None
        try:
            seconds: float | None = super()._process_jobs()
        except (DatabaseError, JobLookupError) as error:
            logger.warning("scheduler: %s", error)
            close_old_connections()
            return RETRY_SECONDS
        if seconds is None or seconds > 2 * self._seconds:
            # A clock was put back, or somebody deleted the job: it would sleep until then, or for ever.
            self._add(tick, TICK, self._seconds)
            return 0.0
        return seconds


class Background(Ticking, BackgroundScheduler):  # type: ignore[misc]
    """For a process that lives on for other reasons, such as a web server's."""


class Leaving(BaseException):
    """Somebody ended us. Not an ``Exception``, which a job store might take for one of its own."""


class Foreground(Ticking, BlockingScheduler):  # type: ignore[misc]
    """Its ``start`` ends by ``Leaving``; then it is to be shut down."""

    _leaving = False

    def leave(self, *_signal: object) -> None:
        """For signals, which come at any moment."""
        self._leaving = True
        raise Leaving

    def _process_jobs(self) -> float | None:
        seconds = super()._process_jobs()
        if self._leaving:  # while a job was handed on, where APScheduler takes anything for the job's fault
            raise Leaving
        return seconds
