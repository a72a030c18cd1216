from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BackupCenterConfig(AppConfig):
    """A project that has an app labelled ``backup`` already subclasses this with another ``label`` (see the README)."""

    name = "backup_center"
    label = "backup"
    verbose_name = _("Backup Center")
    default_auto_field = "django.db.models.BigAutoField"
    default = True

    def ready(self) -> None:
        from . import alarm_checks, checks, receivers  # noqa: F401  # checks register once the app registry is there

        receivers.connect()
