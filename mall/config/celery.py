"""Celery for the mall: `celery -A config worker` and `celery -A config beat`, from the folder mall.

CELERY_BROKER_URL names the broker (default: Redis on this machine). CELERY_BEAT_SCHEDULE in the settings replaces the
guide's times, which are here with a tick each minute; what is done, say the schedules at /backup/schedules/.
"""

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("mall")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["apps.backup"])
app.conf.beat_schedule = app.conf.beat_schedule or {
    "backup-database": {
        "task": "apps.backup.tasks.backup_database_task",
        "schedule": crontab(hour=2, minute=0),
    },
    "cleanup-backups": {
        "task": "apps.backup.tasks.cleanup_old_backups_task",
        "schedule": crontab(hour=3, minute=0),
    },
    "run-due-schedules": {
        "task": "apps.backup.tasks.run_due_schedules_task",
        "schedule": crontab(),
    },
}
