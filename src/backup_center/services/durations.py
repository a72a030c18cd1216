"""How long a restore takes: at the pace of the latest ones in the log."""

from __future__ import annotations

from typing import Any

from ..models import BackupLog

LATEST = 3  # restores to learn from
LOOKED_AT = 50  # entries to find them among
SOME_ROWS = 10_000  # fewer tell more of locks and files than of rows
# Before there are any. A million rows of 14 columns, safety backup included, took 16 s on PostgreSQL and 14 s on
# SQLite; a third of that pace leaves room for wider rows and slower disks.
ROWS_PER_SECOND = 20_000
LOOKED_AT_PER_SECOND = 400_000  # rows that are only compared; the slower engine's pace


def restore_seconds(database: str, rows: int, looked_at: int) -> float:
    """For so many rows that are written, and so many that are there now; their safety backup included."""
    return _writing_seconds(database, rows) + looked_at / LOOKED_AT_PER_SECOND


def _writing_seconds(database: str, rows: int) -> float:
    entries = BackupLog.objects.filter(
        operation=BackupLog.Operation.RESTORE,
        log_level=BackupLog.Level.SUCCESS,
        backup_record__database=database,
    )
    latest = entries.order_by("-id").values_list("details", flat=True)[:LOOKED_AT]
    telling = [details for details in latest if _tells(details)][:LATEST]
    if not telling:
        return rows / ROWS_PER_SECOND
    return float(rows * sum(details["seconds"] for details in telling) / sum(details["rows"] for details in telling))


def _tells(details: dict[str, Any]) -> bool:
    return bool(details.get("rows", 0) >= SOME_ROWS and details.get("seconds", 0) > 0)
