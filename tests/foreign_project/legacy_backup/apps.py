from django.apps import AppConfig


class LegacyBackupConfig(AppConfig):
    """The project's own, older app."""

    name = "legacy_backup"
    label = "backup"
