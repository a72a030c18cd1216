"""What only counts in production."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _

from .. import registry
from ..engine.errors import BackupCenterError


@checks.register("backup_center", deploy=True)
def check_coverage(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy``: everything that no backup holds, and why; ``--database`` adds tables without a model."""
    from ..services.connecting import engine_connection  # only here: most commands need no engine

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
