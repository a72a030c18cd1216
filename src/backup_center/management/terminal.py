"""What all commands share: progress on a terminal, clear errors with their exit codes, JSON, questions."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TextIO

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFailure
from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError, Cancelled, lines_of
from ..services.running import phase_name

BAR = 30
YES = {"y", "yes", "是"}
REFRESH_SECONDS = 0.2
LINE_SECONDS = 10.0


class Progress:
    """A bar that redraws itself on a terminal; anywhere else a plain line now and then, none for what is quick."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = hasattr(stream, "isatty") and stream.isatty()
        self._drawn = 0.0 if self._live else time.monotonic()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """``phase``: a part of a restore, or the label of the table that is read."""
        now = time.monotonic()
        if now - self._drawn < (REFRESH_SECONDS if self._live else LINE_SECONDS) and not (self._live and done == total):
            return
        self._drawn = now
        phase = phase_name(phase)
        if not self._live:
            self._stream.write(f"{done:,} / {total:,}  {phase}\n")
            self._stream.flush()
            return
        filled = BAR * done // total if total else BAR
        self._stream.write(f"\r\x1b[K[{'#' * filled}{'.' * (BAR - filled)}] {done:,} / {total:,}  {phase}")
        self._stream.flush()

    def end(self) -> None:
        if self._live and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


class BackupCommand(BaseCommand):
    """Parses, calls a service, and maps its errors to exit codes (``docs/reference.md``)."""

    # On a bad night some setting may be wrong: that must not keep anyone from his backups.
    requires_system_checks: ClassVar[list[str]] = []  # type: ignore[misc]

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        self.help = str(self.help)  # argparse takes no lazy text
        return super().create_parser(*args, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help=_("Print the result as JSON."))

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        self.silent: bool = self.as_json or options["verbosity"] == 0
        if isinstance(options.get("data_types"), str):  # from call_command, which doesn't parse what it is given
            options["data_types"] = split_names(options["data_types"])
        with self._failing_clearly():
            self.run(**options)

    def run(self, **options: Any) -> None:
        raise NotImplementedError

    def say(self, text: str = "") -> None:
        """A line for people; none when the output is JSON, or with ``--verbosity 0``."""
        if not self.silent:
            self.stdout.write(text)

    def answer(self, result: Any) -> None:
        """The result for scripts, with ``--json``."""
        if self.as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False, default=str))

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        bar = Progress(sys.stderr)
        try:
            yield bar
        finally:
            bar.end()

    def confirm(self, question: str) -> None:
        """Ask; anything but a clear yes is a no. Raises ``Cancelled``."""
        if not sys.stdin.isatty():
            raise Cancelled(_("Nobody can answer here. Add --yes if you are sure. Nothing was changed."))
        stream = self.stderr if self.as_json else self.stdout
        stream.write(f"{question} [y/N] ", ending="")
        stream.flush()
        if sys.stdin.readline().strip().lower() not in YES:  # nothing at all, at the end of input, is a no as well
            raise Cancelled(_("Cancelled. Nothing was changed."))

    @contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        try:
            yield
        except BackupCenterError as error:
            lines = [str(error)]
            lines += [f"  - {line}" for line in lines_of(error)]
            raise CommandError("\n".join(lines), returncode=error.exit_code) from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=BackupCenterError.exit_code) from error
        except DatabaseFailure as error:
            text = _("The database can't be used (%(error)s). If Backup Center is new here, run migrate first.")
            raise CommandError(text % {"error": error}, returncode=BackupCenterError.exit_code) from error
        except KeyboardInterrupt:
            raise CommandError(_("Interrupted. Nothing was left behind."), returncode=Cancelled.exit_code) from None


def split_names(text: str) -> list[str]:
    """``SHOP,CONTRACT`` as a list; spaces and empty parts don't matter."""
    return [part for part in (piece.strip() for piece in text.split(",")) if part]
