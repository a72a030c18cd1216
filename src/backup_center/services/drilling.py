"""DrillService: restore a backup into a scratch database, in a process of its own, and see whether it is all there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.conf import ENVIRONMENT_VARIABLE
from django.conf import settings as project
from django.db import connections
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from .. import seclusion, signals
from ..conf import get_drill_settings
from ..engine.errors import BackupCenterError, Busy, Cancelled, DrillFailed, NotFound, Refused
from ..models import BackupLog, BackupRecord, Drill
from . import catalogue, drills, journal, lineage, rehearsal, scratch, verdict
from .connecting import home_alias, refuse_inside_transaction
from .redacting import redact
from .scratch import GRACE_SECONDS, Scratch

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

Progress = Callable[[str, int, int], None]  # phase, rows done, rows in all
ENDING_SECONDS = 5  # after its answer; whatever the project has left running there ends then
STOPPED = (Cancelled, KeyboardInterrupt, SystemExit)  # somebody wanted it: nothing has failed
LAST_WORDS = 500  # characters of what a child said that died


class DrillService:
    """Raises a ``BackupCenterError`` that says what to do; the drill's row and the log keep it too."""

    def drill(
        self,
        record: BackupRecord | None = None,
        user: AbstractBaseUser | None = None,
        *,
        data_types: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Drill:
        """Prove that this backup restores; without one, that which the dashboard promises.

        Takes no lease: the live database is not touched. Raises ``DrillFailed`` if anything is not as it should be.
        """
        refuse_inside_transaction(home_alias())
        record = record or _promised()
        with journal.noting_refusals(BackupLog.Operation.DRILL, record=record, user=user):
            catalogue.restorable(record)
            module = _settings_module()
        limit = get_drill_settings().timeout_seconds
        drills.settle_dead()
        drill = Drill(
            record=record,
            backup_name=record.backup_name,
            data_types=list(data_types or []),
            until=timezone.now() + timedelta(seconds=limit + GRACE_SECONDS),
            requested_by=journal.still_there(user),
            requested_by_name=journal.actor_name(user),
        )
        started = time.monotonic()
        try:
            with scratch.for_drill_of(record.database) as place:
                drill.save(force_insert=True)  # only now: whoever finds another drill there comes again and again
                signals.pre_drill.send(DrillService, record=record, user=user, drill=drill)
                drill.report = {"notes": list(place.notes)}
                _Child(drill, record, place, module, progress).run()
        except BaseException as error:
            if isinstance(error, Busy) and drill._state.adding:
                raise
            if isinstance(error, STOPPED):
                _forget(drill, error, user)
            else:
                _settle(drill, started, error, user)
            signals.post_drill.send_robust(DrillService, record=record, user=user, drill=drill, error=error)
            raise
        _settle(drill, started, None, user)
        signals.post_drill.send_robust(DrillService, record=record, user=user, drill=drill, error=None)
        return drill


def _promised() -> BackupRecord:
    found = verdict.verdict()
    if found.record is None:
        raise NotFound(" ".join([found.headline, *found.evidence]))
    return found.record


def _settings_module() -> str:
    found = os.environ.get(ENVIRONMENT_VARIABLE) or getattr(project, "SETTINGS_MODULE", None)
    if not found:
        raise Refused(_("A drill needs a settings module (DJANGO_SETTINGS_MODULE): its process loads it anew."))
    return str(found)


def _settle(drill: Drill, started: float, error: BaseException | None, user: AbstractBaseUser | None) -> None:
    drill.seconds = round(time.monotonic() - started, 3)
    drill.ok = error is None
    drill.error = "" if error is None else str(error) or type(error).__name__
    findings = [str(line) for line in getattr(error, "findings", ())]
    if findings:
        drill.report["findings"] = findings
    if drill._state.adding:  # no scratch could be made
        drill.save()
    else:  # its backup may be gone by now
        drill.save(update_fields=["seconds", "restore_seconds", "ok", "error", "report"])
    level = BackupLog.Level.ERROR if error else BackupLog.Level.SUCCESS
    tables = drill.report.get("tables", [])
    message = drill.error or _("Proven restorable: %(tables)d tables, %(rows)d rows, in %(seconds).1f s.") % {
        "tables": len(tables),
        "rows": sum(table["expected"] for table in tables),
        "seconds": drill.restore_seconds,
    }
    journal.write(
        BackupLog.Operation.DRILL,
        level,
        message,
        record=drill.record,
        user=user,
        refused=isinstance(error, Refused),
        drill=drill.pk,
        findings=findings,
        notes=drill.report.get("notes", []),
        seconds=drill.seconds,
    )


def _forget(drill: Drill, error: BaseException, user: AbstractBaseUser | None) -> None:
    """A drill that was stopped tells nothing of its backup: neither good nor bad."""
    Drill.objects.filter(pk=drill.pk).delete()
    message = str(error) if isinstance(error, Cancelled) else _("Stopped.")
    journal.write(BackupLog.Operation.DRILL, BackupLog.Level.WARNING, message, record=drill.record, user=user)


class _Child:
    """The process, from its start to its end, which comes with the time limit at the latest."""

    def __init__(
        self, drill: Drill, record: BackupRecord, place: Scratch, module: str, progress: Progress | None
    ) -> None:
        self.drill, self.record, self.place, self.module, self.progress = drill, record, place, module, progress
        self.limit = get_drill_settings().timeout_seconds
        self.timer = threading.Timer(self.limit, lambda: None)  # not started yet
        self.timed_out = False

    def run(self) -> None:
        for alias in connections:
            connections[alias].close()  # a server may not keep an idle one for so long
        with tempfile.TemporaryFile() as words, self._started(words) as process:
            self._end_after(self.limit, process)
            try:
                answer = self._listen(process)
            finally:
                self.timer.cancel()
                _kill(process)
            self._conclude(answer, process.returncode, words)

    def _started(self, words: IO[bytes]) -> subprocess.Popen[bytes]:
        live = [connections[alias].settings_dict for alias in connections]
        environment = seclusion.environment(os.environ, live, self.place.settings)
        environment |= {ENVIRONMENT_VARIABLE: self.module, "PYTHONPATH": os.pathsep.join(_search_path())}
        try:
            return subprocess.Popen(
                [_python(), "-P", "-m", "backup_center.drill_child"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,  # so that all that it starts can be ended with it
            )
        except OSError as error:
            text = _("The drill's process can't be started: %(error)s")
            raise DrillFailed(text % {"error": error}, exit_code=BackupCenterError.exit_code) from error

    def _listen(self, process: subprocess.Popen[bytes]) -> Mapping[str, Any]:
        """What it has found, once it has ended by itself; nothing if it died."""
        answer: dict[str, Any] = {}
        if process.stdin is None or process.stdout is None:
            raise TypeError("both are pipes")
        with suppress(BrokenPipeError):  # it died at once: its last words say why
            _write(process.stdin.fileno(), self._order())
        for line in process.stdout:
            said = json.loads(line)
            if "report" in said:
                answer = said
                self._end_after(ENDING_SECONDS, process)
            elif self.progress is not None:
                self.progress(said["phase"], said["done"], said["total"])
        return answer

    def _order(self) -> bytes:
        """One line. Among settings there are paths."""
        order = {
            "path": _search_path(),
            "scratch": self.place.settings,
            "language": translation.get_language() or project.LANGUAGE_CODE,
            "records": rehearsal.facts_of([self.record, *lineage.lenders(self.record)]),
            "data_types": self.drill.data_types,
        }
        return json.dumps(order, default=str).encode() + b"\n"

    def _end_after(self, seconds: float, process: subprocess.Popen[bytes]) -> None:
        self.timer.cancel()
        self.timer = threading.Timer(seconds, self._end_for_time, [process])
        self.timer.start()

    def _end_for_time(self, process: subprocess.Popen[bytes]) -> None:
        self.timed_out = True
        _kill(process)

    def _conclude(self, answer: Mapping[str, Any], code: int, words: IO[bytes]) -> None:
        """Raises ``DrillFailed`` unless all is proven."""
        if not answer:
            raise DrillFailed(self._why_it_died(code, words), exit_code=BackupCenterError.exit_code)
        self.drill.report.update(answer["report"])
        seconds = self.drill.report["steps"]
        if answer["error"]:
            facts = {"name": self.record.backup_name, "error": answer["error"]}
            text = _("The drill of %(name)s failed. %(error)s") % facts
            raise DrillFailed(text, answer["findings"], answer["exit_code"], self.drill.report)
        self.drill.restore_seconds = round(seconds["migrate"] + seconds["restore"], 3)

    def _why_it_died(self, code: int, words: IO[bytes]) -> str:
        if self.timed_out:
            text = _("The drill was not done after %(seconds)g s (BACKUP_DRILL_TIMEOUT_SECONDS), and was ended.")
            return text % {"seconds": self.limit}
        words.seek(0)
        lines = words.read().decode("utf-8", "replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        secrets = seclusion.passwords([*(connections[each].settings_dict for each in connections), self.place.settings])
        for secret in secrets:
            said = said.replace(secret, "…")
        text = _("The drill's process died (exit code %(code)d). %(said)s")
        return (text % {"code": code, "said": redact(said)[:LAST_WORDS]}).strip()


def _write(pipe: int, data: bytes) -> None:
    """Not through a buffer, which would try it again when it is closed."""
    while data:
        data = data[os.write(pipe, data) :]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started. As long as it was not waited for, nobody else has its number."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):  # nothing of it runs any more
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _search_path() -> list[str]:
    return [str(Path(each).resolve()) for each in sys.path]


def _python() -> str:
    """Under uWSGI and the like, ``sys.executable`` is the server."""
    found = Path(sys.executable or "")
    return str(found) if "python" in found.name.lower() else str(Path(sys.prefix, "bin", "python3"))
