from backup_center.services import BackupService, RestoreService

__all__ = ["BackupService", "RestoreService"]
