"""Where backups lie."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..conf import (
    Settings,
)


def folder(folder: Path) -> Iterator[checks.CheckMessage]:
    yield from served("BACKUP_DIR", folder)
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


def served(name: str, folder: Path) -> Iterator[checks.CheckMessage]:
    for setting in ("MEDIA_ROOT", "STATIC_ROOT"):
        root = getattr(project, setting, None)
        if root and folder.resolve().is_relative_to(Path(root).resolve()):
            text = _("%(name)s lies under %(setting)s, which the web server hands to everybody.")
            yield checks.Error(
                text % {"name": name, "setting": setting},
                hint=_("Choose a folder that is not served."),
                id="backup_center.E003",
            )


def _can_be_written(folder: Path) -> bool:
    """The folder itself, or the nearest one above it, in which it would be made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    effective = os.access in os.supports_effective_ids
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK, effective_ids=effective)


def all_vaults(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.vaults == ["local"] and not settings.vault_modes:
        return
    from ..services import vaults  # only here: most commands need no engine

    if wrong := vaults.list_problem(settings.vaults):
        hint = _("Write for example %(example)s; the first is the one that backups are written to.")
        yield checks.Error(wrong, hint=hint % {"example": vaults.EXAMPLE}, id="backup_center.E030")
        return
    if wrong := vaults.modes_problem(settings):
        hint = _("What isn't understood is only read. Write for example %(example)s.")
        example = 'BACKUP_VAULT_MODES = {"offsite": "append-only"}'
        yield checks.Error(wrong, hint=hint % {"example": example}, id="backup_center.E031")
    elif not vaults.writable():
        hint = _("Leave at least one vault that may be written.")
        yield checks.Error(_("All vaults are restore-only."), hint=hint, id="backup_center.E031")
    for name in settings.vaults:
        if wrong := vaults.problem(name):
            hint = _("Give backups an entry of their own in STORAGES, in a place that is not served.")
            yield checks.Error(wrong, hint=hint, id="backup_center.E032")


@checks.register("backup_center", deploy=True)
def check_distance(**_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy``: a backup on the machine that it is of goes with it."""
    from ..services import vaults

    try:
        if any(not vaults.is_near(name) for name in vaults.names()):
            return []
    except ImproperlyConfigured:
        return []  # check_settings says so
    hint = _("Add a vault far away to BACKUP_VAULTS, on S3 or SFTP, or copy BACKUP_DIR elsewhere.")
    return [
        checks.Info(_("All backups stay on this machine: they are lost with it."), hint=hint, id="backup_center.I030")
    ]
