"""What the first page shows beside the list, each with one query, however many backups and log entries there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from .. import quantities, registry
from ..models import BackupLog, BackupRecord

Status = BackupRecord.Status
TAPE_DAYS = 14
GAP = timedelta(hours=36)
MOST_MARKS = 200
CALENDAR_WEEKS = 12
HISTORY = 30  # backups in the trends

MARK_FIELDS = (
    "pk", "backup_name", "backup_type", "status", "trigger", "created_at", "verified_at", "is_damaged", "pinned",
    "file_size",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """The last days: backups, restores (log entries) and gaps without a good backup, the oldest first."""

    start: datetime
    end: datetime
    backups: tuple[BackupRecord, ...]
    restores: tuple[BackupLog, ...]
    gaps: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the calendar, and how many backups it has."""

    date: date
    full: int
    incremental: int
    failed: int
    future: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A data type over the last backups that hold it, the oldest first. Sizes in bytes of the archive."""

    name: str
    label: str
    rows: tuple[int, ...]
    sizes: tuple[int, ...]


def statistics() -> dict[str, Any]:
    """Counts, sizes in bytes, moments (or ``None``)."""
    succeeded = Q(status=Status.SUCCESS)
    return BackupRecord.objects.aggregate(
        total=Count("pk"),
        success=Count("pk", filter=succeeded),
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        running=Count("pk", filter=Q(status__in=(Status.PENDING, Status.RUNNING))),
        damaged=Count("pk", filter=Q(is_damaged=True)),
        automatic=Count("pk", filter=Q(is_automatic=True)),
        total_size=Sum("file_size", filter=succeeded, default=0),
        last_success_at=Max("backup_end_time", filter=succeeded),
    )


def tape(now: datetime | None = None) -> Tape:
    end = now or timezone.now()
    start = end - timedelta(days=TAPE_DAYS)
    newest = BackupRecord.objects.filter(created_at__gt=start).order_by("-created_at").only(*MARK_FIELDS)
    found = list(newest[:MOST_MARKS])[::-1]
    restores = BackupLog.objects.filter(
        operation=BackupLog.Operation.RESTORE, log_level=BackupLog.Level.SUCCESS, created_at__gt=start
    )
    return Tape(
        start=start,
        end=end,
        backups=tuple(found),
        restores=tuple(restores.select_related("backup_record").defer("backup_record__contents")[:MOST_MARKS])[::-1],
        gaps=tuple(_gaps(start, end, found)),
    )


def _gaps(start: datetime, end: datetime, records: Sequence[BackupRecord]) -> Iterator[tuple[datetime, datetime]]:
    good = [record.created_at for record in records if record.status == Status.SUCCESS]
    before = BackupRecord.objects.filter(created_at__lte=start, status=Status.SUCCESS)
    if not good and not before.exists():
        return  # there never was any: no gap but a beginning
    reached = start if before.exists() else good[0]
    for moment in (*good, end):
        if moment - reached > GAP:
            yield reached, moment
        reached = moment


def calendar(today: date | None = None) -> list[list[Day]]:
    """The last weeks, Monday first, the oldest week first."""
    today = today or quantities.local(timezone.now()).date()
    first = today - timedelta(days=today.weekday(), weeks=CALENDAR_WEEKS - 1)
    since = timezone.now() - timedelta(days=(today - first).days + 1)
    rows = (
        BackupRecord.objects.filter(created_at__gte=since)
        .order_by()
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(
            full=Count("pk", filter=Q(status=Status.SUCCESS, backup_type=BackupRecord.Type.FULL)),
            incremental=Count("pk", filter=Q(status=Status.SUCCESS, backup_type=BackupRecord.Type.INCREMENTAL)),
            failed=Count("pk", filter=Q(status=Status.FAILED)),
        )
    )
    counted = {row["day"]: row for row in rows}
    days = [first + timedelta(days=number) for number in range(7 * CALENDAR_WEEKS)]
    cells = [_day(day, counted.get(day, {}), day > today) for day in days]
    return [cells[start : start + 7] for start in range(0, len(cells), 7)]


def _day(day: date, counted: Mapping[str, Any], future: bool) -> Day:
    numbers = {name: counted.get(name, 0) for name in ("full", "incremental", "failed")}
    return Day(date=day, future=future, **numbers)


def history() -> list[BackupRecord]:
    """The last good backups of everyday work, the oldest first."""
    found = BackupRecord.objects.filter(status=Status.SUCCESS, database=DEFAULT_DB_ALIAS)
    found = found.exclude(trigger=BackupRecord.Trigger.SAFETY).exclude(backup_end_time=None)
    return list(found.defer("needs", "progress")[:HISTORY])[::-1]


def growth(records: Sequence[BackupRecord]) -> list[Growth]:
    found = []
    for name, data_type in registry.data_types().items():
        parts = [summed for record in records if (summed := by_type(record).get(name))]
        if parts:
            rows, sizes = tuple(part["rows"] for part in parts), tuple(part["stored"] for part in parts)
            found.append(Growth(name=name, label=str(data_type), rows=rows, sizes=sizes))
    return found


def by_type(record: BackupRecord) -> dict[str, dict[str, int]]:
    """Tables, rows, bytes of JSON and bytes in the archive for each data type of a backup."""
    found: dict[str, dict[str, int]] = {}
    for content in record.contents.values():
        part = found.setdefault(content["type"], {"tables": 0, "rows": 0, "size": 0, "stored": 0, "borrowed": 0})
        part["tables"] += 1
        for name in ("rows", "size", "stored", "borrowed"):
            part[name] += content.get(name, 0)
    return found


def contents(record: BackupRecord) -> list[dict[str, Any]]:
    """Data types in their configured order, those that are no more last, each with its tables."""
    types = by_type(record)
    labels = {name: str(found) for name, found in registry.data_types().items()}
    order = [*(name for name in labels if name in types), *(name for name in types if name not in labels)]
    return [
        {
            "name": name,
            "label": labels.get(name, name),
            **types[name],
            "contents": [
                {"label": label, **content} for label, content in record.contents.items() if content["type"] == name
            ],
        }
        for name in order
    ]


def seconds_of(record: BackupRecord) -> float | None:
    """How long a backup took; ``None`` if it has not ended."""
    if record.backup_start_time is None or record.backup_end_time is None:
        return None
    return (record.backup_end_time - record.backup_start_time).total_seconds()


def not_covered(alias: str = DEFAULT_DB_ALIAS) -> dict[str, list[str]]:
    """Reason → what is left out of backups for it."""
    found: dict[str, list[str]] = {}
    for name, reason in registry.not_covered(alias, connections[alias].introspection.table_names()).items():
        found.setdefault(reason, []).append(name)
    return found


def recent_log(entries: int = 8) -> list[BackupLog]:
    return list(BackupLog.objects.defer("details")[:entries])
