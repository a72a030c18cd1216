"""After each operation: is something wrong now, or over. Nothing that fails here changes the operation's outcome."""

from __future__ import annotations

from typing import Any

from . import signals

WATCHED = (
    signals.post_backup, signals.post_restore, signals.post_verify, signals.post_delete, signals.post_drill,
    signals.job_ended,
)  # fmt: skip


def connect() -> None:
    for signal in WATCHED:
        signal.connect(look_for_alarms, dispatch_uid="backup_center.alarms")


def look_for_alarms(**_facts: Any) -> None:
    from .services import alarms  # only here: most commands need no engine

    alarms.look()
