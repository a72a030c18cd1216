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
from django.db import connections
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from ..engine.dialects.base import Connection
from ..engine.errors import Busy, LeaseLost
from ..models import Installation
from .connecting import database_file, home_alias
from .journal import logger

PERIOD = timedelta(seconds=30)
BEAT_SECONDS = 1.0


class Lease:
    """Held while the ``with hold(…)`` block runs. ``before`` is the row as the last holder left it."""

    def __init__(self, before: Installation, token: str, file: IO[str] | None) -> None:
        self.before, self.token, self._file = before, token, file
        self.fencing = before.fencing + 1
        self._progress: dict[str, Any] = {}
        self._stop = threading.Event()

    def report(self, phase: str, done: int, total: int) -> None:
        """Cheap: the heartbeat carries it on."""
        self._progress = {"phase": phase, "done": done, "total": total}

    def check(self) -> None:
        """Raises ``LeaseLost`` if somebody took over."""
        if not self._mine().exists():
            raise LeaseLost(_lost())

    def remember(self, **details: Any) -> None:
        """What whoever takes over must know to finish or clean up."""
        self._mine().update(details=details)

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
                    self._beat()
                except AnyDatabaseError as error:  # the next beat may get through; the check before COMMIT decides
                    logger.warning("heartbeat: %s", error)
        finally:
            connections.close_all()

    def stop(self) -> None:
        self._stop.set()

    def release(self) -> None:
        self._mine().update(holder="", operation="", details={})

    def _beat(self) -> None:
        if self._file is None:
            self._mine().update(heartbeat_at=Now())
        else:
            self._file.seek(0)
            self._file.truncate()
            json.dump({"holder": self.token, **self._progress}, self._file)
            self._file.flush()

    def _mine(self) -> Any:
        return Installation.objects.filter(pk=Installation.SINGLETON, fencing=self.fencing, holder=self.token)


@contextmanager
def hold(operation: str, **details: Any) -> Iterator[Lease]:
    """Hold the lease. Raises ``Busy``, naming the holder, if somebody else has it and is alive."""
    before, _created = Installation.objects.get_or_create(pk=Installation.SINGLETON)
    path = database_file(home_alias())
    with _file_lock(path, before) as file:
        if file is not None:
            before.refresh_from_db()  # the last holder may have written between our look and our lock
        lease = Lease(before, f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}", file)
        free = Q() if file is not None else Q(holder="") | Q(heartbeat_at__lt=Now() - PERIOD)
        taken = Installation.objects.filter(free, pk=before.pk, fencing=before.fencing).update(
            fencing=lease.fencing, holder=lease.token, operation=operation, details=details, heartbeat_at=Now()
        )
        if not taken:
            before.refresh_from_db()
            raise Busy(_busy(before))
        heart = threading.Thread(target=lease.beat_until_released, name="backup-heartbeat", daemon=True)
        heart.start()
        try:
            yield lease
        finally:
            lease.stop()
            heart.join()
            lease.release()


def next_sequence(lease: Lease) -> int:
    """A number that no backup of this project ever had, larger than all before."""
    lease.check()
    row = Installation.objects.get(pk=Installation.SINGLETON)
    row.last_sequence += 1
    row.save(update_fields=["last_sequence"])
    return row.last_sequence


@contextmanager
def _file_lock(database: Path | None, before: Installation) -> Iterator[IO[str] | None]:
    """A lock that the operating system drops with its holder, however that one ends."""
    if database is None:
        yield None
        return
    path = database.with_name(database.name + ".backup-lock")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        if not locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
            with suppress(Installation.DoesNotExist):
                before.refresh_from_db()
            raise Busy(_busy(before))
        try:
            yield file
        finally:
            locks.unlock(file)


def _busy(row: Installation) -> str:
    facts = {"operation": row.operation or "?", "holder": row.holder.rpartition(":")[0] or "?"}
    return _("Another operation is running (%(operation)s by %(holder)s). Try again when it is done.") % facts


def _lost() -> str:
    return _("Another process took over while this one did not answer; nothing of this one was kept.")
