"""What runs right now, and how far it is: read from where the lease's heartbeat writes it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from ..models import Installation
from .connecting import database_file, home_alias
from .lease import PERIOD, lock_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One operation. ``done`` of ``total`` rows in this phase, for ``seconds``; ``size`` bytes written, if any."""

    operation: str
    phase: str
    done: int
    total: int
    seconds: float
    size: int = 0

    @classmethod
    def by(cls, operation: str, facts: Mapping[str, Any]) -> Self:
        """From what a ``Meter`` has noted."""
        return cls(
            operation=operation,
            phase=str(facts.get("phase", "")),
            done=int(facts.get("done", 0)),
            total=int(facts.get("total", 0)),
            seconds=float(facts.get("seconds", 0)),
            size=int(facts.get("size", 0)),
        )

    def __str__(self) -> str:
        names = {
            "backup": _("A backup is running"),
            "restore": _("A restore is running"),
            "keys": _("Keys are given to other recipients"),
            "verify": _("A verification is running"),
            "copy": _("Copies are being made"),
            "drill": _("A drill is running"),
            "rescan": _("The vaults are being read"),
            "import": _("A backup is being imported"),
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
        return max(self.total - self.done, 0) / self.rate if self.rate else None


def phase_name(phase: str) -> str:
    """A phase in words; the phases of a backup are its tables."""
    names = {
        "safety": _("safety backup"),
        "load": _("restoring"),
        "check": _("checking"),
        "compare": _("comparing"),
        "waiting": _("waiting for another operation to end"),
        "verify": _("verifying"),
        "delete": _("deleting"),
        "copy": _("copying"),
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
    return Running.by(row.operation, progress)


def restoring() -> bool:
    """Whether a restore is at work: from its beginning on, what others write waits or is lost."""
    found = running()
    return found is not None and found.operation == "restore"


def _from_row(row: Installation) -> dict[str, Any] | None:
    lately = (Now() - PERIOD, Now() + PERIOD)
    alive = Installation.objects.filter(pk=row.pk, heartbeat_at__range=lately).exists()
    return dict(row.progress) if alive else None


def _from_file(row: Installation) -> dict[str, Any] | None:
    """Beside SQLite: during a restore nobody else can write to the database, so progress stands in the lock's file."""
    database = database_file(home_alias())
    path = lock_path(database) if database else None
    if path is None or not path.exists() or abs(path.stat().st_mtime - time.time()) > PERIOD.total_seconds():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # it is being written
        return {}
    return facts if facts.get("holder") == row.holder else None
