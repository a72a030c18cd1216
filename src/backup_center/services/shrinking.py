"""Backups that hold far less than the ones before: rows that nobody meant to lose are lost quietly."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from .. import quantities, registry
from ..models import BackupRecord
from . import overview

BEFORE = 5  # good backups that the newest is measured by
MOST = 60  # looked through for them


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """``falls``: a line for the size, the rows, and each data type that fell too far."""

    name: str
    subject: str
    falls: tuple[str, ...]
    taken_at: datetime


def find(percent: int, since: datetime) -> Iterator[Shrunk]:
    """Of each database and set of data types the newest, if it was taken ``since`` and lost ``percent`` or more.

    Incremental backups hold all rows as well, but not all bytes: sizes are those of full ones.
    """
    good = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS, sequence__gt=0, is_unsigned=False)
    good = good.exclude(trigger=BackupRecord.Trigger.SAFETY).defer("needs", "progress")
    full, left = _groups(good.filter(backup_type=BackupRecord.Type.FULL)), 1 - percent / 100
    for group, records in _groups(good).items():
        sized = full.get(group, [])
        falls = tuple(_falls_of_rows(records, left)) if records[0].created_at > since else ()
        smaller = tuple(_falls_of_size(sized, left)) if sized and sized[0].created_at > since else ()
        if falls or smaller:
            one = records[0] if falls else sized[0]
            subject = " ".join(group)[:250]
            yield Shrunk(name=one.backup_name, subject=subject, falls=(*smaller, *falls), taken_at=one.created_at)


def _groups(found: QuerySet[BackupRecord]) -> dict[tuple[str, str], list[BackupRecord]]:
    groups: dict[tuple[str, str], list[BackupRecord]] = {}
    for record in found[:MOST]:
        groups.setdefault((record.database, ",".join(sorted(record.data_types))), []).append(record)
    return groups


def _falls_of_size(records: Sequence[BackupRecord], left: float) -> Iterator[str]:
    newest, *earlier = records[: BEFORE + 1]
    # Archives that are compressed or encrypted otherwise have other sizes.
    alike = [record.file_size for record in earlier if _kind(record) == _kind(newest)]
    if alike and newest.file_size <= left * (usual := statistics.median(alike)):
        facts = {"usual": quantities.size(int(usual)), "now": quantities.size(newest.file_size)}
        yield _("%(now)s instead of %(usual)s") % facts


def _falls_of_rows(records: Sequence[BackupRecord], left: float) -> Iterator[str]:
    newest, *earlier = records[: BEFORE + 1]
    if not earlier:
        return
    usual = statistics.median(record.row_count for record in earlier)
    if _fell(newest.row_count, usual, left):
        facts = {"usual": quantities.count(int(usual)), "now": quantities.count(newest.row_count)}
        yield _("%(now)s rows instead of %(usual)s") % facts
    yield from _falls_of_types(newest, earlier, left)


def _falls_of_types(newest: BackupRecord, earlier: Sequence[BackupRecord], left: float) -> Iterator[str]:
    now, before = overview.by_type(newest), [overview.by_type(record) for record in earlier]
    labels = registry.labels()
    for name in dict.fromkeys(name for types in before for name in types):
        rows = now.get(name, {}).get("rows", 0)
        usual = statistics.median(types.get(name, {}).get("rows", 0) for types in before)
        if _fell(rows, usual, left):
            facts = {
                "type": labels.get(name, name),
                "usual": quantities.count(int(usual)),
                "now": quantities.count(rows),
            }
            yield _("%(type)s: %(now)s rows instead of %(usual)s") % facts


def _fell(now: int, usual: float, left: float) -> bool:
    return usual > 0 and now <= left * usual


def _kind(record: BackupRecord) -> str:
    return record.file_path.partition(".")[2]
