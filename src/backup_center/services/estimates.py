"""What a backup of each data type would hold, and about how large and how long it would be, from those before."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS, connections

from .. import registry
from ..models import BackupRecord
from . import overview

AT_ONCE = 100  # tables counted by one query; engines bound how many may be joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A data type now. ``size`` (bytes) and ``seconds`` are ``None`` where no backup has held it yet."""

    name: str
    label: str
    rows: int
    size: float | None
    seconds: float | None


def estimates(alias: str = DEFAULT_DB_ALIAS) -> list[Estimate]:
    """One query counts the rows of all tables; the last good backups tell bytes and seconds per row."""
    rows = live_rows(alias)
    past = overview.history()
    known = {growth.name: growth for growth in overview.growth(past)}
    pace = _seconds_per_row(past)
    found = []
    for name, data_type in registry.data_types().items():
        if name not in rows:
            continue
        size = None
        if (growth := known.get(name)) and growth.rows[-1]:
            size = growth.sizes[-1] / growth.rows[-1] * rows[name]
        seconds = None if pace is None else pace * rows[name]
        found.append(Estimate(name=name, label=str(data_type), rows=rows[name], size=size, seconds=seconds))
    return found


def live_rows(alias: str) -> dict[str, int]:
    """Rows per data type, counted now."""
    connection = connections[alias]
    existing = set(connection.introspection.table_names())
    specs = registry.table_specs(alias)
    found = {spec.data_type: 0 for spec in specs}
    counted = [spec for spec in specs if spec.table.strip('"') in existing]
    for start in range(0, len(counted), AT_ONCE):
        part = counted[start : start + AT_ONCE]
        selects = (
            f"SELECT {number}, count(*) FROM {connection.ops.quote_name(spec.table)}"  # noqa: S608
            for number, spec in enumerate(part)
        )
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(selects))
            for number, rows in cursor.fetchall():
                found[part[number].data_type] += rows
    return found


def _seconds_per_row(past: list[BackupRecord]) -> float | None:
    """Of the largest of the last full backups: small ones mostly measure their start, incremental ones read less."""
    full = [record for record in past if record.backup_type == BackupRecord.Type.FULL]
    largest = max(full, key=lambda record: record.row_count, default=None)
    seconds = overview.seconds_of(largest) if largest else None
    return seconds / largest.row_count if largest and seconds and largest.row_count else None
