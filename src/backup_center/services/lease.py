"""The lease: one writer (backup, restore, cleanup) at a time, across processes and hosts.

It is a row of ``Installation`` with a fencing number that grows with every holder, kept alive by a heartbeat. Beside a
SQLite database an operating system's lock on a file is what holds it, since nobody can write to the database while a
restore does; the row then only counts and remembers. Progress is shown where the heartbeat goes.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from django.core.files import locks
from django.db import Error as AnyDatabaseError
from django.db import OperationalError, connections
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from ..engine.dialects.base import Connection
from ..engine.errors import BackupCenterError, Busy, DatabaseFailed, LeaseLost
from ..models import BackupRecord, Installation
from .connecting import database_file, deciding, home_alias, reconnect
from .journal import logger
from .meter import Meter

PERIOD = timedelta(seconds=30)
BEAT_SECONDS = 1.0
UNSETTLED = "unsettled"


class Lease:
    """Held while the ``with hold(…)`` block runs. ``before`` is the row as the last holder left it.

    ``unsettled`` is what a holder that died was doing; a holder that dies too hands it on, until it is ``settled``.
    """

    def __init__(self, before: Installation, operation: str, file: IO[bytes] | None) -> None:
        self.before, self.operation, self._file = before, operation, file
        self.token = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.fencing = before.fencing + 1
        self.unsettled: dict[str, Any] = before.details.get(UNSETTLED, {})
        if before.holder and not self.unsettled:
            committed = before.committed == before.fencing
            self.unsettled = {**before.details, "operation": before.operation, "committed": committed}
        self._meter = Meter()
        self._record: int | None = None
        self._stop = threading.Event()

    def report(self, phase: str, done: int, total: int, size: int = 0) -> None:
        """Cheap: the heartbeat carries it on."""
        self._meter.report(phase, done, total, size)

    def show_on(self, record: BackupRecord) -> None:
        """Let progress and heartbeat appear on this record too."""
        self._record = record.pk

    def check(self) -> None:
        """Raises ``LeaseLost`` if somebody took over."""
        if not self._mine().exists():
            raise LeaseLost(_lost())

    def remember(self, **details: Any) -> None:
        """What whoever takes over must know to finish or clean up."""
        self._mine().update(details=details | self.handed_on())

    def settled(self) -> None:
        """What the dead left is in the log."""
        self.unsettled = {}
        self.remember()

    def conclude(self) -> None:
        """All that there is to say of this operation is said: who takes over has nothing to settle."""
        self._mine().update(operation="")

    def guard(self, connection: Connection, alias: str) -> None:
        """The last thing before a restore's COMMIT, in its own transaction: only the holder gets past it.

        In a database without our tables it can only look; then a kill at COMMIT leaves the outcome to be looked up.
        """
        if alias != home_alias():
            self.check()
            return
        table, mark = Installation._meta.db_table, connection.placeholder
        changed = connection.execute(
            f'UPDATE "{table}" SET committed = fencing WHERE id = {mark} AND fencing = {mark} AND holder = {mark}',  # noqa: S608
            [Installation.SINGLETON, self.fencing, self.token],
        )
        if changed != 1:
            raise LeaseLost(_lost())

    def beat_until_released(self) -> None:
        try:
            while not self._stop.wait(BEAT_SECONDS):
                try:
                    self.beat()
                # The next beat may get through, on a full disk too; the check before COMMIT decides.
                except (AnyDatabaseError, OSError) as error:
                    logger.warning("heartbeat: %s", error)
                    connections[home_alias()].close()  # what is broken stays so; the next beat opens another
        finally:
            connections.close_all()

    def stop(self) -> None:
        self._stop.set()

    def release(self) -> None:
        """Without raising: what made the database fail is on its way to the caller already, and the lease expires."""
        try:
            reconnect()
            self._mine().update(holder="", operation="", details=self.handed_on())
        except AnyDatabaseError as error:
            logger.warning("release: %s", error)

    def beat(self) -> None:
        if self._file is None:
            self._mine().update(heartbeat_at=Now(), progress=self._meter.facts)
        else:
            facts = {"holder": self.token, "operation": self.operation, **self._meter.facts}
            # Past any buffer: what a full disk refuses must not come back when the file is closed.
            os.ftruncate(self._file.fileno(), 0)
            os.pwrite(self._file.fileno(), json.dumps(facts).encode(), 0)
        if self._record is not None:
            running = BackupRecord.objects.filter(pk=self._record, status=BackupRecord.Status.RUNNING)
            running.update(progress=self._meter.facts, heartbeat_at=Now())

    def take_sequence(self) -> int:
        """A number that no backup of this project ever had, larger than all before."""
        if not self._mine().update(last_sequence=F("last_sequence") + 1):
            raise LeaseLost(_lost())
        return Installation.objects.get(pk=Installation.SINGLETON).last_sequence

    def adopt(self, project: uuid.UUID) -> None:
        """From now on we are the project whose backups were found."""
        if not self._mine().update(project_id=project):
            raise LeaseLost(_lost())
        self.before.project_id = project

    def count_from(self, sequence: int) -> None:
        """Never hand out a number that was used already."""
        self._mine().filter(last_sequence__lt=sequence).update(last_sequence=sequence)

    def handed_on(self) -> dict[str, Any]:
        return {UNSETTLED: self.unsettled} if self.unsettled else {}

    def _mine(self) -> Any:
        return Installation.objects.filter(pk=Installation.SINGLETON, fencing=self.fencing, holder=self.token)


@contextmanager
def hold(operation: str) -> Iterator[Lease]:
    """Hold the lease. Raises ``Busy``, naming the holder, if somebody else has it and is alive.

    Raises ``LeaseLost`` for any error of a holder from whom it was taken: that is the cause.
    """
    with _file_lock(database_file(home_alias())) as file:
        try:
            lease = _take(operation, file)
        except OperationalError as error:
            text = _("The database can't be used (%(error)s). If Backup Center is new here, run migrate first.")
            raise DatabaseFailed(text % {"error": error}) from error
        heart = threading.Thread(target=lease.beat_until_released, name="backup-heartbeat", daemon=True)
        heart.start()
        try:
            yield lease
        except BackupCenterError:
            with suppress(AnyDatabaseError):
                lease.check()
            raise
        finally:
            lease.stop()
            heart.join()
            lease.release()


def _take(operation: str, file: IO[bytes] | None) -> Lease:
    """The row is locked meanwhile. Who has it locked is about to commit, and so alive."""
    Installation.objects.get_or_create(pk=Installation.SINGLETON)
    # A sign of life from the future is one that a wrong clock has written.
    silent = Q(heartbeat_at__lt=Now() - PERIOD) | Q(heartbeat_at__gt=Now() + PERIOD)
    free = Q() if file is not None else Q(holder="") | silent
    with deciding():
        row = Installation.objects.select_for_update(skip_locked=True).filter(free, pk=Installation.SINGLETON).first()
        if row is None:
            held = Installation.objects.get(pk=Installation.SINGLETON)
            raise Busy(_busy(held.operation, held.holder))
        lease = Lease(row, operation, file)
        Installation.objects.filter(pk=row.pk).update(
            fencing=lease.fencing,
            holder=lease.token,
            operation=operation,
            details=lease.handed_on(),
            heartbeat_at=Now(),
            progress={},
        )
    if file is not None:
        with suppress(OSError):  # a full disk: then the name of the holder is missing, nothing else
            lease.beat()
    return lease


@contextmanager
def _file_lock(database: Path | None) -> Iterator[IO[bytes] | None]:
    """A lock that the operating system drops with its holder, however that one ends.

    The holder is named in the file, since during a restore the database may not even be readable.
    """
    if database is None:
        yield None
        return
    path = lock_path(database)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
        if not locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
            with suppress(ValueError):  # it is being written
                held = json.loads(file.read())
                raise Busy(_busy(held["operation"], held["holder"]))
            raise Busy(_busy("", ""))
        try:
            yield file
        finally:
            locks.unlock(file)


def lock_path(database: Path) -> Path:
    """The file beside a SQLite database that is locked by whoever writes, and holds his name and progress."""
    return database.with_name(database.name + ".backup-lock")


def _busy(operation: str, holder: str) -> str:
    names = {"backup": _("backup"), "restore": _("restore"), "cleanup": _("cleanup"), "keys": _("keys")}
    names |= {"rescan": _("rescan"), "import": _("import")}
    facts = {"operation": names.get(operation, "?"), "holder": holder.rpartition(":")[0] or "?"}
    return _("Another operation is running (%(operation)s by %(holder)s). Try again when it is done.") % facts


def _lost() -> str:
    return _("Another process took over while this one did not answer; nothing of this one was kept.")
