"""Processes that die for real. A forked child counts its steps, and kills or stops itself at the one that it was told.

A step is whatever changes a file or speaks to the database: ``open`` for writing, ``write`` (before it, and with half
of it done), ``fsync``, ``rename``, ``remove``, each SQL statement (of very many equal ones, every hundredth), and on
PostgreSQL a COMMIT that was sent and whose answer nobody waits for. Each is noted *before* it happens, under a name of
its own ("fsync", "fsync #2", …), which is the same in each run, whatever its threads do first.
"""

from __future__ import annotations

import faulthandler
import io
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from sqlite3 import dbapi2
from typing import Any, ClassVar

from django.db import connection, connections
from django.db.models.functions import Now

from backup_center.engine import vault
from backup_center.engine.errors import BackupCenterError
from backup_center.models import Installation
from backup_center.services.lease import PERIOD

Work = Callable[[], object]

CRASHED = 99  # the child's exit code for an error that isn't one of ours
PATIENCE = 30
WRITING = os.O_WRONLY | os.O_RDWR
# What depends on the clock is no step: how many names of the same second are taken, and each sign of life.
TAKEN_NAMES = re.compile(r'AS "a" FROM "backup_backuprecord"')
MANY, SPARSE = 20, 100  # of more equal steps than that, one in so many counts
SMALL_BUFFER = 4096  # so that an archive takes several writes


class Child:
    """A forked process; its exit code is that of the error which ended it, as for the commands."""

    alive: ClassVar[set[Child]] = set()

    def __init__(self, work: Work) -> None:
        # No socket and no thread may be shared; pytest's own watchdog is a thread.
        connections.close_all()
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_outcome(work))
        self.alive.add(self)

    def wait(self) -> int:
        """The exit code; ``-SIGKILL`` if it was killed, ``-SIGSTOP`` if it stopped."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                return -os.WSTOPSIG(status)
            if pid:
                self.alive.remove(self)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)
        self.kill()
        raise AssertionError(f"The child did not end within {PATIENCE} s.")

    def wait_until_stopped(self) -> Child:
        assert self.wait() == -signal.SIGSTOP, "The child ended before it came to its stop."
        return self

    def resume(self) -> int:
        os.kill(self.pid, signal.SIGCONT)
        return self.wait()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.alive.remove(self)


def steps_of(work: Work) -> list[str]:
    """Do the work in a child, and name each of its steps."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as found:

        def counting() -> None:
            steps = _Steps()
            try:
                work()
            finally:
                Path(found.name).write_text("\n".join(steps.labels), encoding="utf-8")

        assert Child(counting).wait() == 0, "The dry run failed."
        return found.read().splitlines()


def kill_at(step: str, work: Work) -> None:
    """Do the work in a child that is killed at this step."""
    assert Child(lambda: _die_at(step, work, signal.SIGKILL)).wait() == -signal.SIGKILL, f"{step} was never reached."
    wait_for_server()


def stop_at(step: str, work: Work) -> Child:
    """Do the work in a child that is suspended at this step."""
    return Child(lambda: _die_at(step, work, signal.SIGSTOP)).wait_until_stopped()


def suspend_self(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def choose(steps: list[str], count: int, seed: int) -> list[str]:
    """Seeded steps, each kind as likely as any other, however often it occurs."""
    rng = random.Random(seed)
    kinds: dict[str, list[str]] = {}
    for step in steps:
        kinds.setdefault(step.partition(" #")[0], []).append(step)
    return [rng.choice(kinds[kind]) for kind in rng.choices(sorted(kinds), k=count)]


def let_the_lease_expire() -> None:
    """What half a minute of waiting does; beside a SQLite database the dead hold nothing."""
    if connection.vendor != "sqlite":
        Installation.objects.update(heartbeat_at=Now() - PERIOD * 2)


def wait_for_server() -> None:
    """Until PostgreSQL has noticed that the killed client is gone: it may still be busy with its last statement."""
    if connection.vendor != "postgresql":
        return
    deadline = time.monotonic() + PATIENCE
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(others)
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.002)
    raise AssertionError("The server still serves the child that was killed.")


def _outcome(work: Work) -> int:
    try:
        work()
    except BackupCenterError as error:
        return error.exit_code
    except SystemExit as leaving:
        return int(leaving.code or 0)
    except BaseException:  # noqa: BLE001  # nothing of the child may reach pytest's own frames
        os.write(2, traceback.format_exc().encode())  # pytest's own sys.stderr ends with this process
        return CRASHED
    return 0


def _die_at(step: str, work: Work, how: signal.Signals) -> None:
    _Steps(step, how)
    work()


class _Steps:
    """Notes every step of this process from now on; at the ``last`` it sends itself a signal."""

    def __init__(self, last: str | None = None, how: signal.Signals = signal.SIGKILL) -> None:
        self.labels: list[str] = []
        self._last, self._how = last, how
        self._seen: Counter[str] = Counter()
        vault.BUFFER = SMALL_BUFFER
        sys.addaudithook(self._audit)
        self._watch_descriptors()
        if connection.vendor == "postgresql":
            self._watch_psycopg()
        else:
            self._watch_sqlite()

    def __call__(self, label: str, last_words: Work = lambda: None) -> None:
        self._seen[label] += 1
        count = self._seen[label]
        if (count > MANY and count % SPARSE) or (count > 1 and TAKEN_NAMES.search(label)) or _is_heartbeat():
            return
        self.labels.append(label if count == 1 else f"{label} #{count}")
        if self.labels[-1] == self._last:
            last_words()
            os.kill(os.getpid(), self._how)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        match event, arguments:
            case "open", (str() | os.PathLike() as path, _, int(flags)) if flags & WRITING:
                self(f"open {_kind(path)}")
            case "os.rename", (path, *_):
                self(f"rename {_kind(path)}")
            case "os.remove", (path, *_):
                self(f"remove {_kind(path)}")
            case "os.mkdir", (path, *_):
                self("mkdir")

    def _watch_descriptors(self) -> None:
        fsync, fdopen, note = os.fsync, os.fdopen, self

        def noted_fsync(descriptor: int) -> None:
            note("fsync")
            fsync(descriptor)

        class NotedFile(io.FileIO):
            def write(self, data: Any) -> int:
                note("write")
                half = bytes(data[: len(data) // 2])
                note("half a write", lambda: os.write(self.fileno(), half))
                return super().write(data) or 0

        def noted_fdopen(descriptor: int, mode: str = "r", buffering: int = -1, **options: Any) -> Any:
            if mode == "wb":
                return io.BufferedWriter(NotedFile(descriptor, mode), buffering)
            return fdopen(descriptor, mode, buffering, **options)

        os.fsync, os.fdopen = noted_fsync, noted_fdopen

    def _watch_sqlite(self) -> None:
        connect = dbapi2.connect

        def noted_connect(*arguments: Any, **options: Any) -> Any:
            session = connect(*arguments, **options)
            session.set_trace_callback(lambda sql: self(_statement(sql)))
            return session

        dbapi2.connect = noted_connect

    def _watch_psycopg(self) -> None:
        import psycopg

        execute, write_row = psycopg.Cursor.execute, psycopg.Copy.write_row

        def noted_execute(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            text = query if isinstance(query, str) else query.as_string(cursor)
            self(_statement(text))
            if text == "COMMIT":
                self("COMMIT sent", lambda: cursor.connection.pgconn.send_query(b"COMMIT"))
            return execute(cursor, query, *arguments, **options)

        def noted_write_row(copy: Any, row: Any) -> None:
            self("COPY")
            write_row(copy, row)

        psycopg.Cursor.execute, psycopg.Copy.write_row = noted_execute, noted_write_row


def _is_heartbeat() -> bool:
    return threading.current_thread().name == "backup-heartbeat"


def _kind(path: Any) -> str:
    """Which file it is, whatever its name: the steps of two runs have the same labels."""
    return re.sub(r"^backup_(full|incremental)_\d+_\d+(_\d+)?", "…", Path(os.fspath(path)).name)


def _statement(sql: str) -> str:
    """Its beginning; all PRAGMAs of a name are one kind."""
    text = re.sub(r"\d+", "N", " ".join(sql.split()))[:60]
    return text.partition("(")[0] if text.startswith("PRAGMA") else text
