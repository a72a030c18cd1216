"""System checks: what is wrong with the project's settings, and how to mend it. Numbers are never reused."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.translation import gettext as _

from . import registry
from .conf import Settings, get_settings
from .engine.errors import BackupCenterError


@checks.register("backup_center")
def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    try:
        settings = get_settings()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), hint=_("It is added to the defaults."), id="backup_center.E006")]
    return [
        *_values(settings),
        *_generations(settings),
        *_folder(settings.directory),
        *_encryption(settings),
        *_data_types(settings),
        *_masks(settings),
        *_databases(),
    ]


@checks.register("backup_center", deploy=True)
def check_coverage(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy``: everything that no backup holds, and why; ``--database`` adds tables without a model."""
    from .services.connecting import engine_connection  # only here: most commands need no engine

    found: list[checks.CheckMessage] = []
    for alias in databases or [DEFAULT_DB_ALIAS]:
        try:
            with engine_connection(alias) as connection:
                left_out = registry.not_covered(alias, connection.plain_tables() if databases else [])
        except (ImproperlyConfigured, BackupCenterError):
            continue  # check_settings, or the database's own checks, say so
        lines = "".join(f"\n        {name}: {reason}" for name, reason in left_out.items())
        text = _("Backups of the database %(alias)s leave out:") % {"alias": alias} + lines
        found.append(checks.Info(text, hint=_("BACKUP_DATA_TYPES and BACKUP_EXCLUDE decide."), id="backup_center.I001"))
    return found


@checks.register("backup_center", deploy=True)
def check_live_pages(**_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy``: what would make the pages better."""
    if apps.is_installed("django_htmx"):
        return []
    return [
        checks.Info(
            _("django-htmx isn't installed: pages work, but show no live progress."),
            hint=_("pip install 'django-backup-center[htmx]', and add \"django_htmx\" to INSTALLED_APPS."),
            id="backup_center.I002",
        )
    ]


def _values(settings: Settings) -> Iterator[checks.CheckMessage]:
    counted = (
        ("BACKUP_RETENTION_DAYS", settings.retention_days, 30),
        ("BACKUP_SAFETY_RETENTION_DAYS", settings.safety_retention_days, 7),
        ("BACKUP_FULL_EVERY_DAYS", settings.full_every_days, 7),
    )
    for name, days, default in counted:
        if not isinstance(days, int) or isinstance(days, bool) or days < 0:
            yield checks.Error(
                _("%(name)s must be a number of days, 0 or more.") % {"name": name},
                hint=_("The default is %(days)d.") % {"days": default},
                id="backup_center.E002",
            )


def _generations(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.keep is None:
        return
    from .services import generations  # only here: most commands need no engine

    if wrong := generations.problem(settings.keep):
        hint = _("Write for example BACKUP_KEEP = %(example)s, or any part of it; None turns it off.")
        yield checks.Error(wrong, hint=hint % {"example": generations.EXAMPLE}, id="backup_center.E007")


def _folder(folder: Path) -> Iterator[checks.CheckMessage]:
    for setting in ("MEDIA_ROOT", "STATIC_ROOT"):
        root = getattr(project, setting, None)
        if root and folder.resolve().is_relative_to(Path(root).resolve()):
            yield checks.Error(
                _("BACKUP_DIR lies under %(setting)s, which the web server hands to everybody.") % {"setting": setting},
                hint=_("Choose a folder that is not served."),
                id="backup_center.E003",
            )
    if not _can_be_written(folder):
        yield checks.Error(
            _("BACKUP_DIR (%(folder)s) can't be written to.") % {"folder": folder},
            hint=_("Make it belong to user id %(user)d with mode 0700: chown %(user)d %(folder)s; chmod 700 %(folder)s")
            % {"user": os.geteuid(), "folder": folder},
            id="backup_center.E004",
        )
    elif folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield checks.Warning(
            _("Other users of this machine can look into BACKUP_DIR (%(folder)s).") % {"folder": folder},
            hint=_("chmod 700 %(folder)s") % {"folder": folder},
            id="backup_center.W001",
        )


def _encryption(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.encryption:
        from .services import keys  # only here: most commands need no engine

        try:
            keys.recipients()
        except BackupCenterError as error:
            yield checks.Error(
                _("Every backup is refused: %(reason)s") % {"reason": error},
                hint=_(
                    "python manage.py backup_keys generate FILE makes a key; its public half belongs into"
                    " BACKUP_ENCRYPTION_RECIPIENTS, its file elsewhere."
                ),
                id="backup_center.E020",
            )
    file = settings.identity_file
    if file is None or not file.exists():
        return
    if file.resolve().is_relative_to(settings.directory.resolve()):
        yield checks.Warning(
            _("The secret key (%(file)s) lies beside the backups: who takes them can read them.") % {"file": file},
            hint=_("Move it elsewhere, best of all away from this machine."),
            id="backup_center.W020",
        )
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield checks.Warning(
            _("Other users of this machine can read the secret key (%(file)s).") % {"file": file},
            hint=_("chmod 600 %(file)s") % {"file": file},
            id="backup_center.W021",
        )


def _can_be_written(folder: Path) -> bool:
    """The folder itself, or the nearest one above it, in which it would be made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    effective = os.access in os.supports_effective_ids
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK, effective_ids=effective)


def _data_types(settings: Settings) -> Iterator[checks.CheckMessage]:
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
    labels = [model._meta.label.lower() for model in apps.get_models(include_auto_created=True)]
    unknown = [pattern for pattern in settings.exclude if not fnmatch.filter(labels, pattern.lower())]
    if unknown:
        yield checks.Warning(
            _("BACKUP_EXCLUDE names no model of this project: %(patterns)s.") % {"patterns": ", ".join(unknown)},
            hint=_('Write "app_label.Model" or "app_label.*".'),
            id="backup_center.W004",
        )


def _masks(settings: Settings) -> Iterator[checks.CheckMessage]:
    if not settings.masked_fields:
        return
    from .services import masking  # only here: most commands need no engine

    names = [
        name
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        for name in masking.field_names(model, field.column or field.name)
    ]
    unknown = [pattern for pattern in settings.masked_fields if not masking.matches(names, pattern)]
    if unknown:
        yield checks.Warning(
            _("BACKUP_MASKED_FIELDS names no field of this project: %(patterns)s.") % {"patterns": ", ".join(unknown)},
            hint=_('Write "app_label.Model.field" or "*.field".'),
            id="backup_center.W005",
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
