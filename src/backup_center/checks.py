"""System checks: what is wrong with the project's settings, and how to mend it. Numbers are never reused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.translation import gettext as _

from . import registry
from .conf import Settings, get_settings


@checks.register("backup_center")
def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    settings = get_settings()
    return [*_values(settings), *_folder(settings.directory), *_data_types(), *_databases()]


def _values(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.encryption:
        yield checks.Error(
            _("BACKUP_ENCRYPTION is on, but encryption is not there yet: every backup is refused."),
            hint=_("Set BACKUP_ENCRYPTION = False and keep the backups on an encrypted disk."),
            id="backup_center.E001",
        )
    if not isinstance(settings.retention_days, int) or settings.retention_days < 0:
        yield checks.Error(
            _("BACKUP_RETENTION_DAYS must be a number of days, 0 or more."),
            hint=_("The default is 30."),
            id="backup_center.E002",
        )


def _folder(folder: Path) -> Iterator[checks.CheckMessage]:
    for setting in ("MEDIA_ROOT", "STATIC_ROOT"):
        root = getattr(project, setting, None)
        if root and folder.resolve().is_relative_to(Path(root).resolve()):
            yield checks.Error(
                _("BACKUP_DIR lies under %(setting)s, which the web server hands to everybody.") % {"setting": setting},
                hint=_("Choose a folder that is not served."),
                id="backup_center.E003",
            )
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield checks.Error(
            _("BACKUP_DIR (%(folder)s) can't be written to.") % {"folder": folder},
            hint=_("Make it belong to user id %(user)d with mode 0700: chown %(user)d %(folder)s; chmod 700 %(folder)s")
            % {"user": os.geteuid(), "folder": folder},
            id="backup_center.E004",
        )
    elif folder.exists() and folder.stat().st_mode & 0o077:
        yield checks.Warning(
            _("Other users of this machine can look into BACKUP_DIR (%(folder)s).") % {"folder": folder},
            hint=_("chmod 700 %(folder)s") % {"folder": folder},
            id="backup_center.W001",
        )


def _data_types() -> Iterator[checks.CheckMessage]:
    try:
        found = registry.data_types()
    except ImproperlyConfigured as error:
        yield checks.Error(
            str(error), hint=_('A model belongs to one data type; "*" takes all the rest.'), id="backup_center.E005"
        )
        return
    covered = {model for data_type in found.values() for model in data_type.models}
    left_out = [model._meta.label for model in registry.covered_models() if model not in covered]
    if left_out:
        yield checks.Warning(
            _("No data type covers: %(models)s.") % {"models": ", ".join(left_out)},
            hint=_('Add them to BACKUP_DATA_TYPES ("models": ["*"] takes the rest), or to BACKUP_EXCLUDE.'),
            id="backup_center.W002",
        )


def _databases() -> Iterator[checks.CheckMessage]:
    for alias in connections:
        vendor = connections[alias].vendor
        if vendor not in {"sqlite", "postgresql"}:
            yield checks.Warning(
                _("Database %(alias)s (%(vendor)s) can't be backed up yet.") % {"alias": alias, "vendor": vendor},
                hint=_("SQLite and PostgreSQL can."),
                id="backup_center.W003",
            )
