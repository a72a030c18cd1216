"""The tick: what every plan (cron, a scheduler, a worker) calls each minute, and as often as it likes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from ..models import Job
from ..services import alarms, drills, jobs, schedules, timetable, working
from ..services.journal import logger
from . import queue

# A job that waits for longer is handed to the queue again, since its message may be lost. Only one worker gets it.
OVERDUE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What was done: jobs whose workers had died, jobs of slots that were due, jobs that were queued again."""

    settled: list[Job]
    due: list[Job]
    requeued: list[Job]


def tick() -> Tick:
    """Where the tasks' backend is immediate the work is done here, one job after the other."""
    timetable.fill()
    settled = jobs.settle_dead()
    drills.settle_dead()
    lost = _lost()
    made = schedules.due()
    for job in lost + made:
        _hand_on(job)
    _look_for_alarms()  # last, since a mail server may let one wait
    return Tick(settled=settled, due=made, requeued=lost)


def _lost() -> list[Job]:
    """Waiting for too long, or since a time that a wrong clock showed. Of those who look, one queues it again."""
    now = timezone.now()
    overdue = Q(queued_at__lt=now - OVERDUE) | Q(queued_at__gt=now + OVERDUE)
    waiting = Job.objects.filter(overdue, status=Job.Status.PENDING).order_by("pk")
    return [job for job in waiting if waiting.filter(pk=job.pk, queued_at=job.queued_at).update(queued_at=now)]


def _look_for_alarms() -> None:
    try:
        alarms.look()
    except Exception:  # noqa: BLE001  # nobody foresaw it, and the next tick must come
        logger.exception("alarms")


def _hand_on(job: Job) -> None:
    if job.is_over:
        return
    try:
        if queue.is_immediate():
            working.run(job.pk, patient=True)  # nobody waits for an answer here, so that it may wait for others
        else:
            queue.enqueue(job, give_up=False)  # a broker that is away for a moment loses no slot
    except Exception:  # noqa: BLE001  # nobody foresaw it; the job says so too, and the others must be done
        logger.exception("job %d", job.pk)
    job.refresh_from_db()
