"""Plan 1, APScheduler: the tick once a minute. With django-apscheduler the admin shows its runs.

How many of them run makes no difference: each slot of a schedule is done once (``services.schedules``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections
from django.utils import timezone
from django.utils.translation import gettext as _

from .tasks import ticking

if TYPE_CHECKING:
    from apscheduler.schedulers.base import BaseScheduler

TICK, FORGETTING = "backup_center.tick", "backup_center.forget_executions"
MINUTE = 60.0
KEPT_SECONDS = 7 * 24 * 3600


def background_scheduler() -> BaseScheduler:
    """To be started in a process that lives on for other reasons, such as a web server's."""
    return _registered("background:BackgroundScheduler", MINUTE)


def foreground_scheduler(seconds: float = MINUTE) -> BaseScheduler:
    """Its ``start()`` returns when it is shut down. ``seconds``: from tick to tick."""
    return _registered("blocking:BlockingScheduler", seconds)


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


def _registered(kind: str, seconds: float) -> BaseScheduler:
    """Nothing runs and no table is touched before it is started."""
    module, _colon, name = kind.partition(":")
    try:
        from importlib import import_module

        scheduler: BaseScheduler = getattr(import_module(f"apscheduler.schedulers.{module}"), name)(
            timezone=timezone.get_default_timezone(),
            # Late is better than never, and once is enough.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
    except ImportError as error:
        text = _("APScheduler isn't installed: pip install 'django-backup-center[apscheduler]'.")
        raise ImproperlyConfigured(text) from error
    if keeps_executions():
        from django_apscheduler.jobstores import DjangoJobStore

        scheduler.add_jobstore(DjangoJobStore(), "default")
        scheduler.add_job(forget_executions, "interval", days=1, id=FORGETTING, replace_existing=True)
    scheduler.add_job(
        tick, "interval", seconds=seconds, id=TICK, name=TICK, replace_existing=True, next_run_time=timezone.now()
    )
    return scheduler
