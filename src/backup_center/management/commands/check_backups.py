from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import BackupCenterError
from ...services import monitoring
from ...services.monitoring import NAMES, UNKNOWN, Health
from ..terminal import BackupCommand


class Command(BackupCommand):
    """Its exit codes are those of monitors, not those of the other commands: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

    help = gettext_lazy(  # type: ignore[assignment]
        "For monitors: whether all is well with the backups, in one line and an exit code"
        " (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--max-age", type=float, metavar="HOURS", help=_("CRITICAL if the last good backup is older.")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        try:
            health = monitoring.health(options["max_age"])
        except DatabaseFailure as error:
            self._end(UNKNOWN, _("The database can't be asked: %(error)s") % {"error": error})
        except (BackupCenterError, ImproperlyConfigured, OSError) as error:
            self._end(UNKNOWN, str(error))
        else:
            self._end(health.status, _text(health), _performance(health), **_details(health))

    def _end(self, status: int, text: str, performance: str = "", **details: Any) -> None:
        """One line, whatever the messages in it are like; everything after the bar is for graphs."""
        line = f"{NAMES[status]} - {' '.join(text.split()).replace('|', '/')}"
        self.answer({"status": NAMES[status], "exit_code": status, "text": text, **details})
        if not self.as_json:
            self.stdout.write(f"{line} | {performance}" if performance else line)
        if status:
            raise SystemExit(status)


def _text(health: Health) -> str:
    return " ".join(health.problems or (health.verdict.headline, *health.verdict.evidence))


def _performance(health: Health) -> str:
    values = {"alarms": str(len(health.alarms)), "copies_missing": str(health.copies_missing)}
    if (last := health.last_good) is not None:
        values = {"age": f"{health.age_seconds}s", "size": f"{last.file_size}B", "rows": str(last.row_count), **values}
    return " ".join(f"{name}={value}" for name, value in values.items())


def _details(health: Health) -> dict[str, Any]:
    last = health.last_good
    return {
        "problems": health.problems,
        "verdict": health.verdict.headline,
        "state": health.verdict.state,
        "evidence": health.verdict.evidence,
        "last_good": last and last.backup_name,
        "verified_at": last and last.verified_at,
        "age_seconds": health.age_seconds,
        "copies_missing": health.copies_missing,
        "alarms": [
            {
                "kind": alarm.kind, "subject": alarm.subject, "message": alarm.message, "count": alarm.count,
                "since": alarm.opened_at,
            }
            for alarm in health.alarms
        ],
    }  # fmt: skip
