"""Django's admin: what there is to look at, and schedules to change."""

from .backups import ENTRIES, BackupCenterAdmin, BackupRecordAdmin
from .remembered import AlarmAdmin, BackupLogAdmin, DrillAdmin, JobAdmin
from .schedules import ScheduleAdmin

__all__ = [
    "ENTRIES", "AlarmAdmin", "BackupCenterAdmin", "BackupLogAdmin", "BackupRecordAdmin", "DrillAdmin", "JobAdmin",
    "ScheduleAdmin",
]  # fmt: skip
