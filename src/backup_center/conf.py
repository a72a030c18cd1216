"""The project's settings, read in this one place, each time they are needed. ``checks`` tells what is wrong."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings as project
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    directory: Path
    compression: bool
    encryption: bool
    vaults: Sequence[str]
    vault_modes: Mapping[str, str]
    retention_days: int
    safety_retention_days: int
    keep: Mapping[str, int] | None
    full_every_days: int
    data_types: Mapping[str, Mapping[str, Any]] | None
    exclude: tuple[str, ...]
    masked_fields: tuple[str, ...]
    recipients: tuple[str, ...]
    identity_file: Path | None
    identity: str = field(repr=False)
    passphrase: str = field(repr=False)
    manifests: Path
    own_signing_keys: tuple[str, ...] = field(repr=False)
    signing_keys: tuple[bytes, ...] = field(repr=False)

    @property
    def codec(self) -> str:
        return "gzip" if self.compression else "none"


def get_settings() -> Settings:
    """Raises ``ImproperlyConfigured`` where a value could only be misread; ``checks`` finds the rest."""
    base = Path(getattr(project, "BASE_DIR", None) or Path.cwd())
    own = _own_signing_keys()
    return Settings(
        directory=Path(getattr(project, "BACKUP_DIR", None) or base / "backups"),
        compression=bool(getattr(project, "BACKUP_COMPRESSION", True)),
        encryption=bool(getattr(project, "BACKUP_ENCRYPTION", False)),
        vaults=getattr(project, "BACKUP_VAULTS", ["local"]),
        vault_modes=getattr(project, "BACKUP_VAULT_MODES", {}),
        retention_days=getattr(project, "BACKUP_RETENTION_DAYS", 30),
        safety_retention_days=getattr(project, "BACKUP_SAFETY_RETENTION_DAYS", 7),
        keep=getattr(project, "BACKUP_KEEP", None),
        full_every_days=getattr(project, "BACKUP_FULL_EVERY_DAYS", 7),
        data_types=getattr(project, "BACKUP_DATA_TYPES", None),
        exclude=_patterns("BACKUP_EXCLUDE", '["app.Model", "app.*"]'),
        masked_fields=_patterns("BACKUP_MASKED_FIELDS", '["app.Model.field", "*.iban"]'),
        recipients=_patterns("BACKUP_ENCRYPTION_RECIPIENTS", '["age1…"]'),
        identity_file=_identity_file(),
        # Secrets come from the environment alone: settings are shown, printed and committed.
        identity=os.environ.get("BACKUP_ENCRYPTION_IDENTITY", ""),
        passphrase=os.environ.get("BACKUP_ENCRYPTION_PASSPHRASE", ""),
        manifests=Path(getattr(project, "BACKUP_MANIFESTS_DIR", None) or base / "backup_manifests"),
        own_signing_keys=own,
        signing_keys=_signing_keys(own),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Who must prove what. By themselves: every page asks, also where another setting can't be read."""

    web_restore: bool
    reauthenticate_seconds: int
    reauthentication: str | None
    client_address: str | None


def get_access_settings() -> AccessSettings:
    return AccessSettings(
        web_restore=bool(getattr(project, "BACKUP_WEB_RESTORE", True)),
        reauthenticate_seconds=getattr(project, "BACKUP_REAUTHENTICATE_SECONDS", 300) or 0,
        reauthentication=getattr(project, "BACKUP_REAUTHENTICATION", None),
        client_address=getattr(project, "BACKUP_CLIENT_ADDRESS", None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """Which of the project's ``TASKS`` does our work, and in which of its queues."""

    backend: str
    queue: str


def get_task_settings() -> TaskSettings:
    return TaskSettings(
        backend=getattr(project, "BACKUP_TASK_BACKEND", "default"),
        queue=getattr(project, "BACKUP_TASK_QUEUE", "default"),
    )


def uses_celery() -> bool:
    """Whether some of the project's tasks go through our adapter."""
    backends = getattr(project, "TASKS", None) or {}
    return any(found.get("BACKEND", "").startswith("backup_center.tasks.celery_backend") for found in backends.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceSettings:
    """Whom a restore turns away. ``open_paths``: beginnings of paths that stay open."""

    all_requests: bool
    open_paths: tuple[str, ...]
    login: str


MAINTENANCE_MODES = ("writes", "all")


def get_maintenance_settings() -> MaintenanceSettings:
    return MaintenanceSettings(
        all_requests=getattr(project, "BACKUP_MAINTENANCE", "writes") == "all",
        open_paths=_patterns("BACKUP_MAINTENANCE_EXEMPT", '["/health/"]'),
        login=str(project.LOGIN_URL),
    )


DEFAULT_SCHEDULE = (
    {"action": "FULL", "cron": "0 2 * * *"},
    {"action": "CLEANUP", "cron": "0 3 * * *"},
)


def get_schedule() -> Any:
    """What the schedules are first filled with, as it was written; ``services.schedules`` reads it."""
    return getattr(project, "BACKUP_SCHEDULE", DEFAULT_SCHEDULE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSettings:
    """Whom to tell what is wrong, and how often. The addresses of ``urls`` are secrets, and never shown."""

    emails: tuple[str, ...]
    emails_chosen: bool  # rather than those of ADMINS
    urls: tuple[str, ...] = field(repr=False)
    sender: str
    language: str
    repeat_hours: int
    messages_per_hour: int
    grace_minutes: int
    site_name: str
    site_url: str
    metrics_token: str = field(repr=False)


def get_alarm_settings() -> AlarmSettings:
    """Raises ``ImproperlyConfigured`` where a value could only be misread; ``checks`` finds the rest."""
    url = str(getattr(project, "BACKUP_SITE_URL", None) or "").rstrip("/")
    return AlarmSettings(
        emails=_given("BACKUP_ALARM_EMAILS", '["operator@example.com"]', _administrators),
        emails_chosen=hasattr(project, "BACKUP_ALARM_EMAILS"),
        urls=_given("BACKUP_ALARM_URLS", '["json://…"]', lambda: os.environ.get("BACKUP_ALARM_URLS", "").split()),
        sender=str(project.SERVER_EMAIL),
        language=str(getattr(project, "BACKUP_ALARM_LANGUAGE", None) or project.LANGUAGE_CODE),
        repeat_hours=alarm_number("BACKUP_ALARM_REPEAT_HOURS"),
        messages_per_hour=alarm_number("BACKUP_ALARM_MESSAGES_PER_HOUR"),
        grace_minutes=alarm_number("BACKUP_ALARM_GRACE_MINUTES"),
        site_name=str(getattr(project, "BACKUP_SITE_NAME", None) or _site_name(url)),
        site_url=url,
        metrics_token=str(getattr(project, "BACKUP_METRICS_TOKEN", None) or os.environ.get("BACKUP_METRICS_TOKEN", "")),
    )


ALARM_NUMBERS = {
    "BACKUP_ALARM_REPEAT_HOURS": 24,
    "BACKUP_ALARM_MESSAGES_PER_HOUR": 10,
    "BACKUP_ALARM_GRACE_MINUTES": 60,
}


def alarm_number(name: str) -> int:
    number = getattr(project, name, ALARM_NUMBERS[name])
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ImproperlyConfigured(_("%(name)s must be a whole number, 1 or more.") % {"name": name})
    return number


def _administrators() -> tuple[str, ...]:
    """The addresses in ADMINS, which are pairs with names before Django 6."""
    return tuple(one if isinstance(one, str) else one[1] for one in project.ADMINS)


def _site_name(url: str) -> str:
    """What tells one project's messages from another's."""
    return urlsplit(url).hostname or Path(getattr(project, "BASE_DIR", None) or Path.cwd()).name


SECRET_NAME = re.compile("secret|passw(or)?d|key|token", re.IGNORECASE)


def secrets() -> Iterator[str]:
    """Texts that must leave by no message."""
    yield from map(str, (project.SECRET_KEY, *project.SECRET_KEY_FALLBACKS, *_own_signing_keys()))
    drills = getattr(project, "BACKUP_DRILL_DATABASE", None)
    for named in (project.DATABASES, drills, project.STORAGES, getattr(project, "MAILERS", None)):
        yield from _credentials(named)
    if cast("Any", project).is_overridden("EMAIL_HOST_PASSWORD"):  # where it isn't, Django 6.1 warns of a look at it
        yield str(project.EMAIL_HOST_PASSWORD)
    yield from (os.environ.get(f"BACKUP_ENCRYPTION_{name}", "") for name in ("PASSPHRASE", "IDENTITY"))
    alarms = get_alarm_settings()
    yield from (*alarms.urls, alarms.metrics_token)


def _credentials(named: Any) -> Iterator[str]:
    """The texts in nested dicts whose names say that they are secret."""
    for name, value in named.items() if isinstance(named, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _credentials(value)
        elif isinstance(value, str) and SECRET_NAME.search(str(name)):
            yield value


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSettings:
    """``database``: one for drills alone, as an entry of DATABASES; ``probes``: dotted paths of functions."""

    database: Mapping[str, Any] | None = field(repr=False)
    probes: tuple[str, ...]
    timeout_seconds: float


def get_drill_settings() -> DrillSettings:
    database = getattr(project, "BACKUP_DRILL_DATABASE", None)
    if database is not None and not (isinstance(database, Mapping) and database.get("ENGINE") and database.get("NAME")):
        raise ImproperlyConfigured(_("BACKUP_DRILL_DATABASE must be a database as in DATABASES, with ENGINE and NAME."))
    timeout = getattr(project, "BACKUP_DRILL_TIMEOUT_SECONDS", 3600)
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or timeout <= 0:
        raise ImproperlyConfigured(_("BACKUP_DRILL_TIMEOUT_SECONDS must be a number of seconds above 0."))
    return DrillSettings(
        database=database or None,
        probes=_patterns("BACKUP_DRILL_PROBES", '["app.probes.rents_add_up"]'),
        timeout_seconds=timeout,
    )


def host_function(setting: str, path: str) -> Callable[..., Any]:
    """What a host supplies, by its dotted path."""
    try:
        found = import_string(path)
    except (ImportError, AttributeError) as error:  # the function itself instead of its path has no such parts
        raise ImproperlyConfigured(
            _("%(setting)s names %(path)s, which can't be imported: %(error)s")
            % {"setting": setting, "path": path, "error": error}
        ) from error
    if not callable(found):
        raise ImproperlyConfigured(_("%(setting)s must name a function.") % {"setting": setting})
    return cast("Callable[..., Any]", found)


def base_template() -> str:
    """What the pages extend. By itself, since a page must open even where another setting can't be read."""
    return str(getattr(project, "BACKUP_BASE_TEMPLATE", None) or "backup/base.html")


def _identity_file() -> Path | None:
    name = "BACKUP_ENCRYPTION_IDENTITY_FILE"
    path = getattr(project, name, None) or os.environ.get(name)
    return Path(path) if path else None


def _patterns(name: str, example: str) -> tuple[str, ...]:
    value = getattr(project, name, ())
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(item, str) for item in value):
        raise ImproperlyConfigured(
            _("%(name)s must be a list such as %(example)s.") % {"name": name, "example": example}
        )
    return tuple(value)


def _given(name: str, example: str, default: Callable[[], Iterable[str]]) -> tuple[str, ...]:
    """A list, also an empty one, or else the default."""
    return _patterns(name, example) if hasattr(project, name) else tuple(default())


def _own_signing_keys() -> tuple[str, ...]:
    """Their order counts: the first one signs. No message ever shows one of them."""
    value = getattr(project, "BACKUP_SIGNING_KEYS", None) or ()
    if not isinstance(value, list | tuple) or not all(isinstance(key, str) and key.strip() for key in value):
        raise ImproperlyConfigured(_("BACKUP_SIGNING_KEYS must be a list of secrets, each a text that is not empty."))
    return tuple(value)


def _signing_keys(own: tuple[str, ...]) -> tuple[bytes, ...]:
    """The first signs, all verify. Those of SECRET_KEY stay: what was signed before there were own keys."""
    secrets = [*own, project.SECRET_KEY, *project.SECRET_KEY_FALLBACKS]
    return tuple(hmac.digest(str(secret).encode(), b"backup_center manifest", "sha256") for secret in secrets)
