"""What is remembered: backups, the log of what was done to them, work that waits or runs, what is wrong, and who may
write now."""

from .alarms import Alarm, AlarmMessage, AlarmSettings
from .drills import Drill
from .installation import Installation
from .log import BackupLog, LogHead
from .records import BackupCenter, BackupCopy, BackupRecord
from .work import Job, Schedule

__all__ = [
    "Alarm", "AlarmMessage", "AlarmSettings", "BackupCenter", "BackupCopy", "BackupLog", "BackupRecord", "Drill",
    "Installation", "Job", "LogHead", "Schedule",
]  # fmt: skip
