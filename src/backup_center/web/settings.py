"""What is set, what is wrong with it, and what stays out of backups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from .. import quantities, registry
from ..conf import (
    base_template,
    get_access_settings,
    get_alarm_settings,
    get_drill_settings,
    get_schedule,
    get_settings,
)
from ..services import copies, keys, overview, redacting
from ..services.redacting import MASK
from .access import StaffView

SECRET = re.compile(r"pass|secret|token|key|credential|dsn|identity$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    name: str
    value: str
    given: bool
    meaning: str


class SettingsView(StaffView):
    def get(self, request: HttpRequest) -> HttpResponse:
        findings = checks.run_checks(tags=["backup_center"], include_deployment_checks=True)
        facts: dict[str, Any] = {}
        with suppress(ImproperlyConfigured):  # one of the findings says what it is
            facts = {
                "settings": list(_settings()),
                "data_types": registry.data_types().values(),
                "not_covered": overview.not_covered(),
                "vaults": copies.states(),
            }
        serious = any(finding.is_serious(checks.WARNING) for finding in findings)
        return self.page("backup/settings.html", findings=findings, serious=serious, **facts)


def _settings() -> Iterator[Setting]:
    ours, access, drills = get_settings(), get_access_settings(), get_drill_settings()
    yes, no = _("yes"), _("no")
    known: dict[str, tuple[str, str]] = {
        "BACKUP_DIR": (str(ours.directory), _("Where backups are kept.")),
        "BACKUP_VAULTS": (
            _masked("", ours.vaults),
            _("Where backups are written to, and where their copies are kept."),
        ),
        "BACKUP_VAULT_MODES": (
            _masked("", ours.vault_modes) if ours.vault_modes else "–",
            _("Vaults that are only read, or in which nothing is ever deleted."),
        ),
        "BACKUP_COMPRESSION": (yes if ours.compression else no, _("Whether archives are compressed.")),
        "BACKUP_ENCRYPTION": (yes if ours.encryption else no, _("Whether archives are encrypted.")),
        "BACKUP_ENCRYPTION_RECIPIENTS": (_masked("", ours.recipients), _("Who can open new backups.")),
        "BACKUP_ENCRYPTION_IDENTITY_FILE": (
            str(ours.identity_file or "–"),
            keys.why_locked() or _("This server can open encrypted backups."),
        ),
        "BACKUP_MANIFESTS_DIR": (
            str(ours.manifests),
            _("Where the manifests of encrypted backups are kept in clear, so that incremental ones need no key."),
        ),
        "BACKUP_RETENTION_DAYS": (
            quantities.count(ours.retention_days) if isinstance(ours.retention_days, int) else str(ours.retention_days),
            _("How many days a cleanup keeps backups."),
        ),
        "BACKUP_SAFETY_RETENTION_DAYS": (
            str(ours.safety_retention_days),
            _("How many days a cleanup keeps safety backups."),
        ),
        "BACKUP_KEEP": (
            _masked("", ours.keep) if ours.keep else "–",
            _("Of how many days, weeks, months and years a cleanup keeps the last backup, however old."),
        ),
        "BACKUP_SCHEDULE": (_masked("", get_schedule()), _("What the schedules are first filled with.")),
        "BACKUP_DATA_TYPES": (_("see below"), _("Which models belong together.")),
        "BACKUP_EXCLUDE": (", ".join(ours.exclude) or "–", _("Models that are left out.")),
        "BACKUP_WEB_RESTORE": (yes if access.web_restore else no, _("Whether these pages restore.")),
        "BACKUP_REAUTHENTICATE_SECONDS": (
            str(access.reauthenticate_seconds),
            _("How many seconds the password counts that is asked before restores, downloads, imports and deletions."),
        ),
        "BACKUP_REAUTHENTICATION": (access.reauthentication or "–", _("What asks instead of the password.")),
        "BACKUP_CLIENT_ADDRESS": (access.client_address or "–", _("What tells the address behind a proxy.")),
        **_alarms(),
        "BACKUP_DRILL_DATABASE": (
            _masked("", drills.database) if drills.database else "–",
            _("Where drills restore to. Without it, each makes a database and drops it."),
        ),
        "BACKUP_DRILL_PROBES": (", ".join(drills.probes) or "–", _("What each drill asks of the restored data.")),
        "BACKUP_DRILL_TIMEOUT_SECONDS": (f"{drills.timeout_seconds:g}", _("After how many seconds a drill is ended.")),
        "BACKUP_BASE_TEMPLATE": (base_template(), _("The template around these pages.")),
        "BACKUP_SIGNING_KEYS": (
            MASK if ours.own_signing_keys else "–",
            _("The first one signs every backup, all of them are accepted."),
        ),
        "SECRET_KEY": (
            MASK,
            _("Signs every backup where BACKUP_SIGNING_KEYS is empty. Old keys belong into SECRET_KEY_FALLBACKS."),
        ),
    }
    for name, (value, meaning) in known.items():
        yield Setting(name=name, value=value, given=_is_given(name), meaning=meaning)
    for name in sorted(dir(project)):
        if name.startswith("BACKUP_") and name not in known:
            yield Setting(name=name, value=_masked(name, getattr(project, name)), given=True, meaning="")


def _alarms() -> dict[str, tuple[str, str]]:
    ours = get_alarm_settings()
    return {
        "BACKUP_ALARM_EMAILS": (", ".join(ours.emails) or "–", _("Who is told of alarms by e-mail.")),
        "BACKUP_ALARM_URLS": (
            ", ".join(map(redacting.scheme_of, ours.urls)) or "–",
            _("Where Apprise tells alarms: chats, webhooks, telephones."),
        ),
        "BACKUP_ALARM_LANGUAGE": (ours.language, _("The language of alarms.")),
        "BACKUP_ALARM_REPEAT_HOURS": (str(ours.repeat_hours), _("After how many hours what goes on is told again.")),
        "BACKUP_ALARM_MESSAGES_PER_HOUR": (str(ours.messages_per_hour), _("How many messages are sent at most.")),
        "BACKUP_ALARM_GRACE_MINUTES": (
            str(ours.grace_minutes),
            _("How late a backup or a copy may be before it is missed."),
        ),
        "BACKUP_SITE_NAME": (ours.site_name, _("What messages call this project.")),
        "BACKUP_SITE_URL": (ours.site_url or "–", _("Where messages say that these pages are.")),
        "BACKUP_METRICS_TOKEN": (MASK if ours.metrics_token else "–", _("What Prometheus shows to read the figures.")),
    }


def _is_given(name: str) -> bool:
    return hasattr(project, name)


def _masked(name: str, value: Any) -> str:
    """A value for people, with whatever might be secret in it hidden."""
    if SECRET.search(name):
        return MASK
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {_masked(str(key), part)}" for key, part in value.items())
        return "{" + inner + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_masked("", part) for part in value) or "–"
    return redacting.redact(str(value))
