"""The use cases, one per module. This is the Python API."""

from __future__ import annotations

from .backups import BackupService
from .drilling import DrillService
from .restores import RestoreService

__all__ = ["BackupService", "DrillService", "RestoreService"]
