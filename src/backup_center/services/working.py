"""A worker's side of a job: take it, do it with signs of life, try again what may pass, and say how it ended."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import Error as AnyDatabaseError
from django.db import InterfaceError, OperationalError, connections
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from ..engine.errors import (
    BackupCenterError,
    Busy,
    Cancelled,
    DatabaseFailed,
    LeaseLost,
    Refused,
    StorageFailed,
    lines_of,
)
from ..models import Job, Schedule
from . import jobs, origin, performing
from .connecting import reconnect
from .journal import logger
from .lease import BEAT_SECONDS
from .meter import Meter
from .running import restoring

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

PASSING = (StorageFailed, DatabaseFailed, LeaseLost, OperationalError, InterfaceError)
PAUSES = (5.0, 25.0, 125.0)  # seconds before what may pass is tried again
BUSY_PAUSE, PATIENCE = 2.0, 3600.0  # seconds between looks whether the other operation has ended, and in all
SETTLING = 60.0  # seconds for which the end of a job is tried to be written
WATCHED = {Job.Action.RESTORE, Job.Action.DELETE}  # a person decides whether these are tried again
WAITING = "waiting"


def run(job_id: int, *, patient: bool) -> None:
    """Do a job, if nobody else does or did. ``patient``: wait for other operations, and try again what may pass.

    How it ended stands in the job. Only what no one foresaw is raised as well, for whoever runs the worker.
    """
    jobs.settle_dead()
    job = _claim(job_id)
    if job is None:
        return
    work = Work(job)
    with origin.acting_from(job.origin), work.alive(), work.minding_the_file():
        try:
            result = _insist(job, work, patient)
        except Cancelled as error:
            _settle(job, Job.Status.CANCELLED, error)
        except BackupCenterError as error:
            _settle(job, Job.Status.FAILED, error)
        except BaseException as error:
            _settle(job, Job.Status.FAILED, error)
            raise
        else:
            _settle(job, Job.Status.SUCCESS, result=result)


class Work:
    """What is shared between a job at work and its heart: how far it is, and whether it is to stop."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._meter = Meter()
        self._file = jobs.cancel_file()
        self._cancelled = threading.Event()
        self._ended = threading.Event()

    def report(self, phase: str, done: int, total: int) -> None:
        """The engine calls it after each step. Raises ``Cancelled`` if somebody asked for that."""
        self._meter.report(phase, done, total)
        # Beside SQLite the heart can't read the job's row while a restore writes.
        if self._cancelled.is_set() or self._asked_in_file():
            raise Cancelled(_what_is_left(self.job))

    def wait(self, seconds: float) -> float:
        """Returns ``seconds``. Raises ``Cancelled`` if somebody asked for that meanwhile."""
        self.report(WAITING, 0, 0)
        self._cancelled.wait(seconds)
        self.report(WAITING, 0, 0)
        return seconds

    @contextmanager
    def alive(self) -> Iterator[None]:
        heart = threading.Thread(target=self._beat_until_ended, name="backup-job", daemon=True)
        heart.start()
        try:
            yield
        finally:
            self._ended.set()
            heart.join()

    @contextmanager
    def minding_the_file(self) -> Iterator[None]:
        """The wish to cancel this job goes with it."""
        try:
            yield
        finally:
            if self._file is not None and self._asked_in_file():
                self._file.unlink(missing_ok=True)

    def _asked_in_file(self) -> bool:
        if self._file is not None:
            with suppress(FileNotFoundError):
                return self._file.read_text(encoding="ascii", errors="replace") == str(self.job.pk)
        return False

    def _beat_until_ended(self) -> None:
        try:
            while not self._ended.wait(BEAT_SECONDS):
                try:
                    self._beat()
                except (AnyDatabaseError, OSError) as error:  # the next beat may get through
                    logger.warning("job %d, heartbeat: %s", self.job.pk, error)
                    connections.close_all()  # what is broken stays so; the next beat opens another
        finally:
            connections.close_all()

    def _beat(self) -> None:
        mine = Job.objects.filter(pk=self.job.pk, worker=self.job.worker, status=Job.Status.RUNNING)
        mine.update(heartbeat_at=Now(), progress=self._meter.facts)
        if mine.filter(cancel_requested=True).exists():
            self._cancelled.set()


def _what_is_left(job: Job) -> str:
    """Of what was stopped."""
    texts = {
        Job.Action.BACKUP: _("Stopped. Nothing of it was kept."),
        Job.Action.RESTORE: _("Stopped. Nothing was changed."),
        Job.Action.CLEANUP: _("Stopped. What was deleted by then is gone."),
        Job.Action.COPY: _("Stopped. The copies that were made by then stay."),
    }
    return texts.get(Job.Action(job.action), _("Stopped."))


def _claim(job_id: int) -> Job | None:
    """Of all to whom the queue hands it, and however often, one gets it."""
    worker = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    waiting = Job.objects.filter(pk=job_id, status=Job.Status.PENDING)
    if not waiting.update(
        status=Job.Status.RUNNING, worker=worker, started_at=timezone.now(), heartbeat_at=Now(), progress={}
    ):
        return None
    return Job.objects.select_related("record", "schedule").get(pk=job_id)


def _insist(job: Job, work: Work, patient: bool) -> dict[str, Any]:
    """Try until it is done, refused, or no longer worth it."""
    pauses = list(PAUSES if patient and job.action not in WATCHED else ())
    waited, most = 0.0, PATIENCE if patient and not _skips(job) else 0.0
    while True:
        try:
            _count_attempt(job, waited)
            return performing.perform(job, work.report, _asker(job))
        except PASSING as error:
            if _is_locked_out(error) and waited < most:
                waited += work.wait(BUSY_PAUSE)
                continue
            if not pauses:
                raise
            logger.warning("job %d: %s", job.pk, error)
            work.wait(pauses.pop(0))
            reconnect()
        except Busy as error:
            if _skips(job):
                raise Cancelled(_("Skipped this time: %(error)s") % {"error": error}) from error
            if waited >= most:
                raise
            waited += work.wait(BUSY_PAUSE)


def _count_attempt(job: Job, waited: float) -> None:
    """Once for each that is begun, not for each look whether it can be: a restore on SQLite takes no writes."""
    if not waited:
        Job.objects.filter(pk=job.pk).update(attempts=F("attempts") + 1)


def _is_locked_out(error: BaseException) -> bool:
    """By a restore that writes to the SQLite database."""
    return isinstance(error, OperationalError) and jobs.cancel_file() is not None and restoring()


def _skips(job: Job) -> bool:
    return job.schedule is not None and job.schedule.overlap == Schedule.Overlap.SKIP


def _asker(job: Job) -> AbstractBaseUser | None:
    """For whom it is done, as the account is now. What somebody asked for who may no longer do it is not done."""
    if not job.requested_by_name:
        return None
    user = get_user_model()._base_manager.filter(pk=job.requested_by_id or 0).first()
    # A schedule was made by those who may; whoever runs it now adds nothing to it.
    may = user is not None and (job.schedule_id is not None or user.has_perm(jobs.permission_for(job.action)))
    if user is None or not user.is_active or not may:
        text = _("%(name)s, who asked for this, may no longer do it.")
        raise Refused(text % {"name": job.requested_by_name})
    return user


def _settle(job: Job, status: str, error: BaseException | None = None, result: dict[str, Any] | None = None) -> None:
    """However long another operation lets us wait, and through a connection that was lost."""
    message = (str(error) or type(error).__name__) if error is not None else ""
    facts = result or {"lines": lines_of(error)}
    facts |= {name: True for name, kind in (("busy", Busy), ("refused", Refused)) if isinstance(error, kind)}
    deadline = time.monotonic() + SETTLING
    while True:
        try:
            reconnect()
            # A worker that was taken to be dead knows better how it ended.
            Job.objects.filter(pk=job.pk, worker=job.worker, status=Job.Status.FAILED).update(status=Job.Status.RUNNING)
            jobs.end(job, status, message, facts)
            return
        except (OperationalError, InterfaceError) as failure:
            if time.monotonic() > deadline and not _is_locked_out(failure):
                raise
            logger.warning("job %d, its end: %s", job.pk, failure)
            time.sleep(BUSY_PAUSE)
