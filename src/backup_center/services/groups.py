"""Two groups of people, made on demand, never by themselves."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission
from django.utils.translation import gettext as _

from ..engine.errors import NotFound
from ..models import BackupLog, BackupRecord
from . import journal

# Stable, whatever the language of who makes them; a project may name its own.
OPERATORS, AUDITORS = "Backup operators", "Backup auditors"

# Deleting is for neither: a cleanup does it, by rules.
OPERATORS_MAY = (
    "view_backuprecord", "add_backuprecord", "change_backuprecord", "verify_backuprecord", "download_backuprecord",
    "restore_backuprecord", "browse_backuprecord", "import_backuprecord", "view_backuplog",
    "view_schedule", "change_schedule", "view_alarm", "change_alarmsettings",
)  # fmt: skip
AUDITORS_MAY = (
    "view_backuprecord", "verify_backuprecord", "view_backuplog", "export_backuplog", "view_schedule", "view_alarm",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A group, whether it is new, and the permissions that it did not have."""

    name: str
    new: bool
    permissions: tuple[str, ...]


def make_groups(operators: str = OPERATORS, auditors: str = AUDITORS) -> list[Made]:
    """Make them, or give them what they lack. What else a project gave them, they keep."""
    return [_make(operators, OPERATORS_MAY), _make(auditors, AUDITORS_MAY)]


def _make(name: str, codenames: tuple[str, ...]) -> Made:
    label = BackupRecord._meta.app_label
    known = {
        permission.codename: permission
        for permission in Permission.objects.filter(content_type__app_label=label, codename__in=codenames)
    }
    if missing := [codename for codename in codenames if codename not in known]:
        text = _("There is no permission %(missing)s: run migrate first.")
        raise NotFound(text % {"missing": f"{label}.{missing[0]}"})
    group, new = Group.objects.get_or_create(name=name)
    there = set(
        group.permissions.filter(pk__in=[found.pk for found in known.values()]).values_list("codename", flat=True)
    )
    added = [codename for codename in codenames if codename not in there]
    if added:
        group.permissions.add(*(known[codename] for codename in added))
    made = Made(name=name, new=new, permissions=tuple(f"{label}.{codename}" for codename in added))
    if new or added:
        text = _("The group %(name)s was given: %(permissions)s.")
        message = text % {"name": name, "permissions": ", ".join(made.permissions) or "–"}
        journal.write(BackupLog.Operation.ACCESS, BackupLog.Level.SUCCESS, message, group=name)
    return made
