"""Backup Center under the name that the operators' guide uses: `from apps.backup.services import BackupService`.

Plain modules, not an installed app. The app is `backup_center`.
"""
