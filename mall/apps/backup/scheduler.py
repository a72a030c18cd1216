"""The guide's plan 1: `from apps.backup.scheduler import scheduler`. It does what /backup/schedules/ says.

Importing it registers the jobs and starts nothing, so that `manage.py migrate` remains what it is. `scheduler.start()`
lets it run in the background of this process, `manage.py backup_scheduler` in one of its own.
"""

from backup_center.scheduler import Background

scheduler = Background()
