"""The scheduler of plan 1, in this process: a wrong clock, a deleted job, a pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from apscheduler.executors.pool import ThreadPoolExecutor

from backup_center import scheduler as plan
from backup_center.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scheduler():
    found = plan.Background(seconds=0.2)
    yield found
    if found.running:
        found.shutdown()


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_near(scheduler: plan.Background) -> bool:
    job = scheduler.get_job(plan.TICK)
    return job is not None and job.next_run_time < datetime.now(scheduler.timezone) + timedelta(seconds=5)


def test_it_ticks(scheduler):
    lost = Job.objects.create(action="CLEANUP", queued_at=datetime(2026, 1, 1, tzinfo=scheduler.timezone))
    scheduler.start()
    soon(lambda: Job.objects.get(pk=lost.pk).status == "SUCCESS")


def test_a_clock_that_was_far_ahead_does_not_let_it_sleep_for_years(scheduler):
    scheduler.start()
    scheduler.modify_job(plan.TICK, next_run_time=datetime.now(scheduler.timezone) + timedelta(days=1000))
    soon(lambda: is_near(scheduler))


def test_a_job_that_somebody_deleted_comes_back(scheduler):
    scheduler.start()
    scheduler.remove_job(plan.TICK)
    scheduler.wakeup()
    soon(lambda: is_near(scheduler))


def test_a_pause_is_a_pause(scheduler):
    scheduler.start(paused=True)
    scheduler.remove_job(plan.TICK)
    scheduler.wakeup()
    time.sleep(0.1)
    assert scheduler.get_job(plan.TICK) is None


def test_a_signal_is_not_lost_while_a_job_is_handed_on():
    """APScheduler takes whatever is raised there for the job's fault, and goes on."""
    scheduler = plan.Foreground(seconds=0.2)

    class Interrupted(ThreadPoolExecutor):
        def _do_submit_job(self, job, run_times) -> None:
            scheduler.leave()

    scheduler.add_executor(Interrupted(1), "default")
    with pytest.raises(plan.Leaving):
        scheduler.start()
    scheduler.shutdown()
