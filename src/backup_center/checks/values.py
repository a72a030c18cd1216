"""Settings that name what is backed up, and how much is kept."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.translation import gettext as _

from .. import registry
from ..conf import (
    Settings,
    get_settings,
)
from . import places, secrecy, work


@checks.register("backup_center")
def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    try:
        settings = get_settings()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), hint=_("It is added to the defaults."), id="backup_center.E006")]
    return [
        *_values(settings),
        *_generations(settings),
        *places.folder(settings.directory),
        *places.all_vaults(settings),
        *_data_types(settings),
        *_masks(settings),
        *secrecy.access(),
        *_databases(),
        *_order_of_apps(),
        *work.tasks(),
        *work.schedule(),
        *work.maintenance(),
        *secrecy.encryption(settings),
        *secrecy.signatures(settings),
        *work.drills(),
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
    from ..services import generations  # only here: most commands need no engine

    if wrong := generations.problem(settings.keep):
        hint = _("Write for example BACKUP_KEEP = %(example)s, or any part of it; None turns it off.")
        yield checks.Error(wrong, hint=hint % {"example": generations.EXAMPLE}, id="backup_center.E007")


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
    from ..services import masking  # only here: most commands need no engine

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


def _order_of_apps() -> Iterator[checks.CheckMessage]:
    """The first app that has a template wins: ours adds a link to the admin's."""
    names = [config.name for config in apps.get_app_configs()]
    if "django.contrib.admin" in names and names.index("django.contrib.admin") < names.index("backup_center"):
        yield checks.Warning(
            _("backup_center stands after the admin in INSTALLED_APPS: object pages lack the link to their versions."),
            hint=_('Put "backup_center" before "django.contrib.admin".'),
            id="backup_center.W006",
        )
