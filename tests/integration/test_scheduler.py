"""The scheduler of plan 1, in this process: a wrong clock, a deleted job, a pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

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
    deadline = time.monotonic() + 5
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
