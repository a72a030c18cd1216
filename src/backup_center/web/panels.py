"""The pictures below the list: calendar, growth, how long backups take; what is not covered; the last of the log."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from .. import quantities
from ..models import BackupRecord
from ..services import copies, overview
from . import charts


def context() -> dict[str, Any]:
    past = overview.history()
    return {
        "panels": True,
        "calendar": list(zip(*overview.calendar(), strict=True)),  # a row for each day of the week
        "growth": [_growth(found) for found in overview.growth(past)],
        "sizes": _trend(past, [float(record.file_size) for record in past], lambda value: quantities.size(int(value))),
        "durations": _trend(past, [overview.seconds_of(record) or 0.0 for record in past], quantities.duration),
        "vaults": copies.states(),
        "not_covered": overview.not_covered(),
        "log": overview.recent_log(),
    }


def _growth(found: overview.Growth) -> dict[str, Any]:
    return {
        "label": found.label,
        "rows": found.rows[-1],
        "size": found.sizes[-1],
        "more": found.rows[-1] - found.rows[0],
        "line": charts.sparkline(found.rows),
    }


def _trend(past: Sequence[BackupRecord], values: Sequence[float], say: Callable[[float], str]) -> dict[str, Any]:
    """Bars for the last backups, and in words the last one and what is usual."""
    if not values:
        return {}
    said = [
        (value, f"{quantities.moment(record.created_at)} · {say(value)}")
        for record, value in zip(past, values, strict=True)
    ]
    return {
        "bars": charts.bars(said),
        "said": [sentence for _value, sentence in reversed(said)],
        "last": say(values[-1]),
        "usual": say(statistics.median(values)),
    }
