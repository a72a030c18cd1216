"""After each operation: is something wrong now, or over. Nothing that fails here changes the operation's outcome."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from . import signals
from .engine.errors import BackupCenterError

WATCHED = (
    signals.post_backup, signals.post_restore, signals.post_verify, signals.post_delete, signals.post_drill,
    signals.job_ended,
)  # fmt: skip


def connect() -> None:
    for signal in WATCHED:
        signal.connect(look_for_alarms, dispatch_uid="backup_center.alarms")


def look_for_alarms(**_facts: Any) -> None:
    from .services import alarms, journal  # only here: most commands need no engine

    try:
        alarms.evaluate()
    except (BackupCenterError, DatabaseError, ImproperlyConfigured) as error:
        journal.logger.error("alarms could not be looked for: %s", error)
