"""The guide's plan 2: tasks for Celery Beat, under the names that its CELERY_BEAT_SCHEDULE uses.

Beat's wake-up is the slot of the schedule with that action (see /backup/schedules/), which is done once, whoever else
wakes up for it. The third task, once a minute, does what the guide's two don't: all other schedules.
"""

from celery import shared_task

from backup_center.tasks import slotted, ticking


@shared_task
def backup_database_task() -> str:
    return slotted.perform("FULL")


@shared_task
def cleanup_old_backups_task() -> str:
    return slotted.perform("CLEANUP")


@shared_task
def run_due_schedules_task() -> None:
    ticking.tick()
