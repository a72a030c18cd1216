"""What all commands share: progress on a terminal, clear errors with their exit codes, JSON, questions."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError, Cancelled

BAR = 30
REFRESH_SECONDS = 0.2


class Progress:
    """A bar that redraws itself on a terminal; silent anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0.0
        self._live = hasattr(stream, "isatty") and stream.isatty()

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._live or (now - self._drawn < REFRESH_SECONDS and done < total):
            return
        self._drawn = now
        filled = BAR * done // total if total else BAR
        self._stream.write(f"\r\x1b[K[{'#' * filled}{'.' * (BAR - filled)}] {done:,} / {total:,}  {phase}")
        self._stream.flush()

    def end(self) -> None:
        if self._live and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


class BackupCommand(BaseCommand):
    """Parses, calls a service, and maps its errors to exit codes (``docs/reference.md``)."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help=_("Print the result as JSON."))

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        with self._failing_clearly():
            self.run(**options)

    def run(self, **options: Any) -> None:
        raise NotImplementedError

    def say(self, text: str = "") -> None:
        """A line for people; none when the output is JSON."""
        if not self.as_json:
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
        self.stdout.write(f"{question} [y/N] ", ending="")
        self.stdout.flush()
        if input().strip().lower() not in {"y", "yes", "是"}:
            raise Cancelled(_("Cancelled. Nothing was changed."))

    @contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        try:
            yield
        except BackupCenterError as error:
            lines = [str(error)]
            for name in ("findings", "differences", "problems"):
                lines += [f"  - {line}" for line in getattr(error, name, ())]
            raise CommandError("\n".join(lines), returncode=error.exit_code) from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=BackupCenterError.exit_code) from error
        except DatabaseError as error:
            text = _("The database can't be used (%(error)s). If Backup Center is new here, run migrate first.")
            raise CommandError(text % {"error": error}, returncode=BackupCenterError.exit_code) from error
        except KeyboardInterrupt:
            raise CommandError(_("Interrupted. Nothing was left behind."), returncode=Cancelled.exit_code) from None


def split_names(text: str) -> list[str]:
    """``SHOP,CONTRACT`` as a list; spaces and empty parts don't matter."""
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def size(number: int) -> str:
    """Bytes for people."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
