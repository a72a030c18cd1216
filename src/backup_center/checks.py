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
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.utils.translation import gettext as _

from . import registry
from .conf import (
    MAINTENANCE_MODES,
    Settings,
    get_access_settings,
    get_drill_settings,
    get_maintenance_settings,
    get_schedule,
    get_settings,
    host_function,
)
from .engine.errors import BackupCenterError

SHORTEST_SECRET = 32  # characters


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
        *_vaults(settings),
        *_data_types(settings),
        *_masks(settings),
        *_access(),
        *_databases(),
        *_order_of_apps(),
        *_tasks(),
        *_schedule(),
        *_maintenance(),
        *_encryption(settings),
        *_signatures(settings),
        *_drills(),
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
def check_workers(**_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy``: who does the work."""
    from .tasks.queue import is_immediate  # only here: most commands need no engine

    try:
        immediate = is_immediate()
    except ImproperlyConfigured:
        return []  # check_settings says so
    if not immediate:
        return []
    return [
        checks.Warning(
            _("There is no worker: backups and restores asked for on a page run inside its request."),
            hint=_("Point TASKS to a backend with workers (docs/background.md); a server's time limit ends requests."),
            id="backup_center.W070",
        )
    ]


@checks.register(checks.Tags.database, deploy=True)
def check_schedules(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy --database``: whether somebody looks at the schedules."""
    from .services import timetable  # only here: most commands need no engine
    from .services.connecting import home_alias

    if home_alias() not in (databases or []):
        return []
    try:
        waiting = timetable.overdue()
    except DatabaseError:
        return []  # not migrated yet
    return [
        checks.Warning(
            _("%(schedule)s is overdue: nobody looks at the schedules.") % {"schedule": schedule},
            hint=_("Let run_due_schedules or backup_scheduler run (docs/scheduling.md)."),
            id="backup_center.W060",
        )
        for schedule in waiting
    ]


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


def _tasks() -> Iterator[checks.CheckMessage]:
    from .tasks.queue import is_immediate  # as above

    try:
        is_immediate()
    except ImproperlyConfigured as error:
        text = _("BACKUP_TASK_BACKEND names no usable entry of TASKS: %(error)s")
        yield checks.Error(text % {"error": error}, id="backup_center.E070")


def _schedule() -> Iterator[checks.CheckMessage]:
    from .services import timetable  # as above

    try:
        wrong = timetable.problem(get_schedule())
    except ImproperlyConfigured:
        return  # _data_types says so
    if wrong:
        hint = _("Write for example %(example)s.") % {"example": timetable.EXAMPLE}
        yield checks.Error(wrong, hint=hint, id="backup_center.E060")


def _maintenance() -> Iterator[checks.CheckMessage]:
    mode = getattr(project, "BACKUP_MAINTENANCE", MAINTENANCE_MODES[0])
    if mode not in MAINTENANCE_MODES:
        text = _("BACKUP_MAINTENANCE must be one of: %(modes)s.")
        yield checks.Error(text % {"modes": ", ".join(MAINTENANCE_MODES)}, id="backup_center.E071")
    try:
        get_maintenance_settings()
    except ImproperlyConfigured as error:
        yield checks.Error(str(error), id="backup_center.E072")


def _generations(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.keep is None:
        return
    from .services import generations  # only here: most commands need no engine

    if wrong := generations.problem(settings.keep):
        hint = _("Write for example BACKUP_KEEP = %(example)s, or any part of it; None turns it off.")
        yield checks.Error(wrong, hint=hint % {"example": generations.EXAMPLE}, id="backup_center.E007")


def _served(name: str, folder: Path) -> Iterator[checks.CheckMessage]:
    for setting in ("MEDIA_ROOT", "STATIC_ROOT"):
        root = getattr(project, setting, None)
        if root and folder.resolve().is_relative_to(Path(root).resolve()):
            text = _("%(name)s lies under %(setting)s, which the web server hands to everybody.")
            yield checks.Error(
                text % {"name": name, "setting": setting},
                hint=_("Choose a folder that is not served."),
                id="backup_center.E003",
            )


def _folder(folder: Path) -> Iterator[checks.CheckMessage]:
    yield from _served("BACKUP_DIR", folder)
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


def _vaults(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.vaults == ["local"] and not settings.vault_modes:
        return
    from .services import vaults  # only here: most commands need no engine

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
    from .services import vaults

    try:
        if any(not vaults.is_near(name) for name in vaults.names()):
            return []
    except ImproperlyConfigured:
        return []  # check_settings says so
    hint = _("Add a vault far away to BACKUP_VAULTS, on S3 or SFTP, or copy BACKUP_DIR elsewhere.")
    return [
        checks.Info(_("All backups stay on this machine: they are lost with it."), hint=hint, id="backup_center.I030")
    ]


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


def _access() -> Iterator[checks.CheckMessage]:
    access = get_access_settings()
    seconds = access.reauthenticate_seconds
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        yield checks.Error(
            _("BACKUP_REAUTHENTICATE_SECONDS must be a number of seconds; 0 asks nobody."),
            hint=_("The default is %(seconds)d.") % {"seconds": 300},
            id="backup_center.E020",
        )
    functions = {
        "BACKUP_REAUTHENTICATION": access.reauthentication,
        "BACKUP_CLIENT_ADDRESS": access.client_address,
    }
    for name, path in functions.items():
        try:
            if path is not None:
                host_function(name, path)
        except ImproperlyConfigured as error:
            hint = _('Write the dotted path of a function that takes the request: "site.people.check".')
            yield checks.Error(str(error), hint=hint, id="backup_center.E021")


def _drills() -> Iterator[checks.CheckMessage]:
    try:
        settings = get_drill_settings()
    except ImproperlyConfigured as error:
        hint = _("Until then every drill is refused.")
        yield checks.Error(str(error), hint=hint, id="backup_center.E040")
        return
    for path in settings.probes:
        try:
            host_function("BACKUP_DRILL_PROBES", path)
        except ImproperlyConfigured as error:
            hint = _('Write the dotted path of a function without arguments: "finance.probes.rents_add_up".')
            yield checks.Error(str(error), hint=hint, id="backup_center.E041")
    if settings.database is None:
        return
    from .services import scratch_prepared  # only here: most commands need no engine

    if wrong := scratch_prepared.problem(settings.database):
        hint = _("Name an empty database that nothing else uses, best on another server.")
        yield checks.Error(wrong, hint=hint, id="backup_center.E042")


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


def _signatures(settings: Settings) -> Iterator[checks.CheckMessage]:
    keys = enumerate(settings.own_signing_keys, 1)
    short = [str(number) for number, key in keys if len(key) < SHORTEST_SECRET]
    if short:
        yield checks.Warning(
            _("BACKUP_SIGNING_KEYS: number %(numbers)s is shorter than %(length)d characters, and could be guessed.")
            % {"numbers": ", ".join(short), "length": SHORTEST_SECRET},
            hint=_('Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'),
            id="backup_center.W009",
        )
    if set(settings.vaults) - {"local"} and not settings.own_signing_keys:
        yield checks.Warning(
            _(
                "Backups go to other places, but SECRET_KEY signs them: who learns it can forge backups, and a server"
                " without it can't restore them."
            ),
            hint=_("Set BACKUP_SIGNING_KEYS, and keep a copy of the secret apart from this server and the backups."),
            id="backup_center.W010",
        )


def _encryption(settings: Settings) -> Iterator[checks.CheckMessage]:
    from .services import keys  # only here: most commands need no engine

    if settings.encryption:
        try:
            keys.recipients()
        except BackupCenterError as error:
            yield checks.Error(
                _("Every backup is refused: %(error)s") % {"error": error},
                hint=_("backup_keys generate FILE makes an identity and prints the recipient that belongs here."),
                id="backup_center.E001",
            )
        yield from _served("BACKUP_MANIFESTS_DIR", settings.manifests)
        if settings.manifests.resolve().is_relative_to(settings.directory.resolve()):
            yield checks.Error(
                _("BACKUP_MANIFESTS_DIR lies in BACKUP_DIR: what is sealed there would lie beside it in clear."),
                hint=_("Choose a folder that is guarded as well as the database."),
                id="backup_center.E008",
            )
    path = settings.identity_file
    if path is None or not path.exists():
        return
    if path.resolve().is_relative_to(settings.directory.resolve()):
        yield checks.Warning(
            _("The identity file lies in BACKUP_DIR: who steals the backups has their key too."),
            hint=_("Keep it elsewhere, best not on this server at all."),
            id="backup_center.W007",
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield checks.Warning(
            _("Other users of this machine can read the identity file (%(path)s).") % {"path": path},
            hint=_("chmod 600 %(path)s") % {"path": path},
            id="backup_center.W008",
        )
