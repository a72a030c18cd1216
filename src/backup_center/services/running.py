"""What runs right now, and how far it is: read from where the lease's heartbeat writes it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from ..models import Installation
from .connecting import database_file, home_alias
from .lease import PERIOD, lock_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One operation under the lease. ``done`` of ``total`` rows in this phase, for ``seconds`` so far."""

    operation: str
    phase: str
    done: int
    total: int
    seconds: float

    def __str__(self) -> str:
        names = {
            "backup": _("A backup is running"),
            "restore": _("A restore is running"),
            "keys": _("Keys are given to other recipients"),
        }
        return names.get(self.operation, _("A cleanup is running"))

    @property
    def phase_name(self) -> str:
        return phase_name(self.phase)

    @property
    def rate(self) -> float:
        """Rows per second; 0 while it can't be told."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.rate if self.rate else None


def phase_name(phase: str) -> str:
    """A phase in words; the phases of a backup are its tables."""
    names = {
        "safety": _("safety backup"),
        "load": _("restoring"),
        "check": _("checking"),
        "compare": _("comparing"),
        "migrate": _("migrating"),
        "restore": _("restoring"),
        "references": _("checking references"),
        "checks": _("checking"),
        "probes": _("asking the probes"),
    }
    return names.get(phase, phase)


def running() -> Running | None:
    """``None`` while nobody works, or whoever did has died."""
    row = Installation.objects.filter(pk=Installation.SINGLETON).exclude(holder="").first()
    if row is None or not row.operation:
        return None
    progress = _from_file(row) if database_file(home_alias()) else _from_row(row)
    if progress is None:
        return None
    return Running(
        operation=row.operation,
        phase=str(progress.get("phase", "")),
        done=int(progress.get("done", 0)),
        total=int(progress.get("total", 0)),
        seconds=float(progress.get("seconds", 0)),
    )


def _from_row(row: Installation) -> dict[str, Any] | None:
    alive = Installation.objects.filter(pk=row.pk, heartbeat_at__gte=Now() - PERIOD).exists()
    return dict(row.progress) if alive else None


def _from_file(row: Installation) -> dict[str, Any] | None:
    """Beside SQLite: during a restore nobody else can write to the database, so progress stands in the lock's file."""
    database = database_file(home_alias())
    path = lock_path(database) if database else None
    if path is None or not path.exists() or path.stat().st_mtime < time.time() - PERIOD.total_seconds():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # it is being written
        return {}
    return facts if facts.get("holder") == row.holder else None
