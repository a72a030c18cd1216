"""Where the marks of the pictures go. Positions are text, so that no locale writes a comma into an SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from .. import quantities
from ..models import BackupRecord
from ..services.overview import Tape

Status = BackupRecord.Status
WIDTH, HEIGHT = 120, 28  # of a sparkline, in its own units


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """On the tape. ``x`` is a percentage; ``sentence`` says all that its looks do."""

    x: str
    kind: str  # full, incremental, failed or running
    verified: bool
    pinned: bool
    damaged: bool
    record: BackupRecord
    url: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A gap, or the way that a restore went: from ``x``, ``width`` long, both percentages."""

    x: str
    width: str
    end: str
    sentence: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    x: str
    label: str
    minor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTape:
    marks: tuple[Mark, ...]
    gaps: tuple[Stretch, ...]
    restores: tuple[Stretch, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    sentence: str


def draw_tape(tape: Tape) -> DrawnTape:
    def x(moment: datetime) -> float:
        share = (moment - tape.start) / (tape.end - tape.start)
        return max(0.0, min(100.0, 1 + 98 * share))

    restores = []
    for entry in tape.restores:
        source = entry.backup_record.created_at if entry.backup_record else entry.created_at
        left, right = x(source), x(entry.created_at)
        facts = {"moment": quantities.moment(entry.created_at), "name": entry.backup_name}
        url = reverse("backup:log_entry", args=[entry.pk])
        sentence = _("%(moment)s: restored to %(name)s") % facts
        restores.append(Stretch(x=_text(left), width=_text(right - left), end=_text(right), sentence=sentence, url=url))
    return DrawnTape(
        marks=tuple(_mark(record, _text(x(record.created_at))) for record in tape.backups),
        gaps=tuple(_gap(start, end, x(start), x(end)) for start, end in tape.gaps),
        restores=tuple(restores),
        ticks=tuple(_ticks(tape, x)),
    )


def _mark(record: BackupRecord, x: str) -> Mark:
    kinds = dict.fromkeys(BackupRecord.BROKEN_OFF, "failed") | {Status.SUCCESS: record.backup_type.lower()}
    kind = kinds.get(Status(record.status), "running")
    return Mark(
        x=x,
        kind=kind,
        verified=record.verified_at is not None and not record.is_damaged,
        pinned=record.pinned,
        damaged=record.is_damaged,
        record=record,
        url=reverse("backup:detail", args=[record.pk]),
        sentence=_sentence(record),
    )


def _sentence(record: BackupRecord) -> str:
    words = [
        quantities.moment(record.created_at),
        str(record.get_backup_type_display()),
        str(record.get_status_display()),
    ]
    if record.status == Status.SUCCESS:
        words.append(quantities.size(record.file_size))
    said = (
        (record.is_damaged, _("damaged")),
        (record.verified_at is not None and not record.is_damaged, _("verified")),
        (record.pinned, _("pinned")),
        (record.trigger == BackupRecord.Trigger.SAFETY, _("before a restore")),
    )
    return _(", ").join([*words, *(word for applies, word in said if applies)])


def _gap(start: datetime, end: datetime, left: float, right: float) -> Stretch:
    sentence = _("No backup for %(span)s") % {"span": quantities.days(end - start)}
    return Stretch(x=_text(left), width=_text(right - left), end=_text(right), sentence=sentence)


def _ticks(tape: Tape, x: Callable[[datetime], float]) -> Iterator[Tick]:
    midnight = quantities.local(tape.end).replace(hour=0, minute=0, second=0, microsecond=0)
    days = (tape.end - tape.start).days
    for back in range(days):
        day = midnight - timedelta(days=back)
        if day < tape.start:
            break
        label = _("today") if back == 0 else date_format(day, "m-d")
        yield Tick(x=_text(x(day)), label=label, minor=back % 3 != 0)


def sparkline(values: Sequence[float]) -> str:
    """Points of a polyline in a field of ``WIDTH`` × ``HEIGHT``; a single value is a level line."""
    if len(values) == 1:
        values = [values[0], values[0]]
    low, high = min(values), max(values)
    span = (high - low) or 1
    step = WIDTH / (len(values) - 1)
    level = HEIGHT / 2 if high == low else None
    return " ".join(
        f"{number * step:.1f},{(HEIGHT - 3 - (value - low) / span * (HEIGHT - 6)) if level is None else level:.1f}"
        for number, value in enumerate(values)
    )


def bars(values: Sequence[tuple[float, str]]) -> list[Bar]:
    """Upright bars for values with their sentences; all numbers are percentages of the picture."""
    highest = max((value for value, _sentence in values), default=0) or 1
    step = 100 / max(len(values), 10)
    return [
        Bar(
            x=_text(number * step + step * 0.15),
            y=_text(100 - max(2.0, 96 * value / highest)),
            width=_text(step * 0.7),
            height=_text(max(2.0, 96 * value / highest)),
            sentence=sentence,
        )
        for number, (value, sentence) in enumerate(values)
    ]


def _text(value: float) -> str:
    return f"{value:.2f}"
