"""What keeps a drill away from the live data: what its process gets of ours, and what it makes of the settings.

It guards against mistakes, not against malice: the code that runs there is the project's own, on its own machine.
"""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import django
from django.conf import LazySettings

DATABASE_SCHEMES = {
    "postgres", "postgresql", "postgis", "pgsql", "psql", "pgbouncer", "timescale", "timescalegis", "redshift",
    "cockroach", "sqlite", "spatialite", "mysql", "mysql2", "mysqlgis", "mariadb", "oracle", "oraclegis", "mssql",
}  # fmt: skip
# What libpq reads by itself; the values are the keys of an entry of DATABASES.
LIBPQ = {"PGHOST": "HOST", "PGPORT": "PORT", "PGDATABASE": "NAME", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
DROPPED = ("PGHOSTADDR", "PGSERVICE", "BACKUP_ALARM_URLS", "BACKUP_METRICS_TOKEN")
EMPTY = {"PGPASSFILE": os.devnull, "PGSERVICEFILE": os.devnull}
NOWHERE = "memory://"
BROKERS = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "BROKER_URL")
SHORTEST = 6  # characters of a password that is looked for inside of other texts
# What such texts hold besides. In any other a password like "django" is a word: "django.db.models.BigAutoField".
AROUND_PASSWORDS = re.compile(r"://|passw|pwd", re.IGNORECASE)
MEMORY_MAIL = "django.core.mail.backends.locmem.EmailBackend"


def environment(
    ours: Mapping[str, str], live: Iterable[Mapping[str, Any]], scratch: Mapping[str, Any]
) -> dict[str, str]:
    """Ours without a way into the ``live`` databases: what named one names the ``scratch`` now.

    Found by what the values are, whatever the variables are called, since settings modules read any of them.
    """
    secrets = {*passwords(live), ours.get("PGPASSWORD", "")} - {""}
    found = {name: _rewritten(value, secrets, scratch) for name, value in ours.items() if name not in DROPPED}
    for name, key in LIBPQ.items():
        if name in found:
            found[name] = str(scratch.get(key) or "")
    for name in BROKERS:
        if name in found:
            found[name] = NOWHERE
    return {**found, **EMPTY}


def passwords(databases: Iterable[Mapping[str, Any]]) -> set[str]:
    found = set()
    for each in databases:
        options = each.get("OPTIONS") or {}
        found |= {each.get("PASSWORD"), options.get("password"), options.get("passwd")}
    return {str(secret) for secret in found if secret}


def seclude(project: LazySettings, scratch: Mapping[str, Any]) -> None:
    """Between the loading of the settings and ``django.setup()``: every alias is the scratch, nothing leaves here.

    The project's own dicts are changed in place: modules that imported them hold no credentials either.
    """
    databases = project.DATABASES
    live = [dict(each) for each in databases.values()]
    aliases = dict.fromkeys(["default", *databases])
    for each in databases.values():
        each.clear()
    databases.clear()
    databases.update({alias: copy.deepcopy(dict(scratch)) for alias in aliases})
    cleaned = environment(os.environ, live, scratch)  # the settings may have read a file into it
    os.environ.clear()
    os.environ.update(cleaned)
    _rewrite_texts(project, {secret for secret in passwords(live) if len(secret) >= SHORTEST}, scratch)
    for name, value in _quiet(project).items():
        setattr(project, name, value)


def _rewrite_texts(project: LazySettings, secrets: set[str], scratch: Mapping[str, Any]) -> None:
    """What the settings made their databases of: URLs, passwords."""
    module = sys.modules[str(project.SETTINGS_MODULE)]
    for name, value in list(vars(module).items()):
        if name.isupper() and isinstance(value, str):
            setattr(module, name, _rewritten(value, secrets, scratch))
            setattr(project, name, getattr(module, name))


def _quiet(project: LazySettings) -> dict[str, Any]:
    """No mail, cache, queue, broker or alarm. Routers would lead out of the one database that is there."""
    package = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    no_tasks = {"BACKEND": f"{package}.backends.dummy.DummyBackend", "QUEUES": []}  # none named: any will do
    found: dict[str, Any] = {
        "DATABASE_ROUTERS": [],
        **_no_mail(project),
        "CACHES": {alias: {"BACKEND": "django.core.cache.backends.dummy.DummyCache"} for alias in project.CACHES},
        "LOGGING_CONFIG": None,  # the live log files are not this process's
        "TASKS": {alias: dict(no_tasks) for alias in getattr(project, "TASKS", {"default": {}})},
        "BACKUP_DRILL_DATABASE": None,
        "BACKUP_ALARM_EMAILS": [],
        "BACKUP_ALARM_URLS": [],
    }
    found |= dict.fromkeys(BROKERS, NOWHERE)
    if layers := getattr(project, "CHANNEL_LAYERS", None):
        found["CHANNEL_LAYERS"] = {alias: {"BACKEND": "channels.layers.InMemoryChannelLayer"} for alias in layers}
    if types := getattr(project, "BACKUP_DATA_TYPES", None):  # where nothing is to be kept, all is replaced
        found["BACKUP_DATA_TYPES"] = {name: {**entry, "mode": "replace"} for name, entry in types.items()}
    return found


def _no_mail(project: LazySettings) -> dict[str, Any]:
    """Django 6.1 has MAILERS instead of EMAIL_BACKEND, if the project has them; before, they are a name like any."""
    found: dict[str, Any] = {}
    mailers = getattr(project, "MAILERS", None)
    if mailers is not None:
        found["MAILERS"] = {alias: {"BACKEND": MEMORY_MAIL} for alias in mailers}
    if not found or django.VERSION < (6, 1):
        found["EMAIL_BACKEND"] = MEMORY_MAIL
    return found


def _rewritten(value: str, secrets: set[str], scratch: Mapping[str, Any]) -> str:
    if value in secrets:
        return str(scratch.get("PASSWORD") or "")
    if _schemes(value) & DATABASE_SCHEMES:
        return _url(scratch)
    if not AROUND_PASSWORDS.search(value):
        return value
    for secret in (secret for secret in secrets if len(secret) >= SHORTEST):
        for text in (secret, quote(secret, safe="")):
            value = value.replace(text, str(scratch.get("PASSWORD") or ""))
    return value


def _schemes(value: str) -> set[str]:
    """Also those of SQLAlchemy's and Celery's URLs: ``db+postgresql://``."""
    try:
        scheme = urlsplit(value.strip()).scheme if "://" in value else ""
    except ValueError:  # a password that is not escaped: the scheme is in front all the same
        scheme = value.strip().partition("://")[0].lower()
    return set(scheme.split("+"))


def _url(scratch: Mapping[str, Any]) -> str:
    if "sqlite" in scratch["ENGINE"] or "spatialite" in scratch["ENGINE"]:
        return f"sqlite:///{scratch['NAME']}"
    user, password, host, name = (
        quote(str(scratch.get(key) or ""), safe="") for key in ("USER", "PASSWORD", "HOST", "NAME")
    )
    port = f":{scratch['PORT']}" if scratch.get("PORT") else ""
    return f"postgres://{user}:{password}@{host}{port}/{name}"
