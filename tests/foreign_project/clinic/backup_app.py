"""What the README advises where an app labelled ``backup`` is there already."""

from backup_center.apps import BackupCenterConfig


class ClinicBackup(BackupCenterConfig):
    label = "backup_center"
