from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as current
from django.apps.registry import Apps
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class BackupCenterConfig(AppConfig):
    """A project that has an app labelled ``backup`` already subclasses this with another ``label`` (see the README)."""

    name = "backup_center"
    label = "backup"
    verbose_name = _("Backup Center")
    default_auto_field = "django.db.models.BigAutoField"
    default = True

    def ready(self) -> None:
        from . import checks, receivers  # noqa: F401  # checks register once the app registry is there
        from .conf import uses_celery

        receivers.connect()
        if uses_celery():
            from .tasks import celery_backend  # noqa: F401  # tells Celery's workers of its task
        post_migrate.connect(_fill_schedules, sender=self)


def _fill_schedules(sender: AppConfig, using: str, apps: Apps = current, **_kwargs: Any) -> None:
    """So that a new project shows at once when it will be backed up. Once: see ``timetable.fill``."""
    from .services import timetable
    from .services.connecting import home_alias

    try:  # of an older state, to which somebody may have migrated back
        there = hasattr(apps.get_model(sender.label, "Installation"), "schedules_filled")
    except LookupError:
        there = False
    if there and using == home_alias():
        timetable.fill()
