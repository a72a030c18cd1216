"""Backup Center: backups that a Django team can trust, because a backup is a manifest of chunks."""

__version__ = "0.1.0"
