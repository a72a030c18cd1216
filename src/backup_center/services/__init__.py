"""The use cases, one per module. This is the Python API."""

from __future__ import annotations

from .backups import BackupService
from .restores import RestoreService

__all__ = ["BackupService", "RestoreService"]
