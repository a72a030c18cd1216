"""The log as a chain: each entry's hash covers what never changes of it, and the hash of the entry before.

What is hashed, and how it is written down, can never change: logs of years were sealed with it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from ..models import BackupLog, LogHead
from .connecting import home_alias

SEALED = ("number", "backup_name", "operation", "log_level", "message", "operated_by_name", "operated_by_key",
          "origin", "refused")  # fmt: skip


def seal(entry: Any) -> str:
    """SHA-256 of the hash before and the entry as a line of JSON. Any row with the columns of ``BackupLog``."""
    facts = {name: getattr(entry, name) for name in SEALED}
    moment = entry.created_at
    if not timezone.is_naive(moment):
        moment = moment.astimezone(UTC)
    facts |= {"created_at": moment.isoformat(), "details": _as_any_database_reads_it(entry.details)}
    line = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{entry.previous_hash}\n{line}".encode()).hexdigest()


def append(entry: BackupLog) -> None:
    """Save the entry as the chain's next. In a transaction of the caller's, nobody else writes one until it ends.

    So whoever also locks a backup's record in that transaction does it before.
    """
    with transaction.atomic(using=home_alias()):
        head = _locked_head()
        entry.number, entry.previous_hash = head.entries, head.hash
        entry.hash = seal(entry)
        entry.save(force_insert=True)
        LogHead.objects.filter(pk=head.pk).update(hash=entry.hash)


def _locked_head() -> LogHead:
    """Counting first: a transaction that begins by writing waits for its turn, on SQLite, too."""
    ours = LogHead.objects.filter(pk=LogHead.SINGLETON)
    if not ours.update(entries=F("entries") + 1):
        last = BackupLog.objects.exclude(number=None).order_by("-number").first()
        # Two may find it missing: ``get_or_create`` waits for the other, and the update counts for this one.
        begun = {"entries": last.number, "hash": last.hash} if last else {}
        LogHead.objects.get_or_create(pk=LogHead.SINGLETON, defaults=begun)
        ours.update(entries=F("entries") + 1)
    return ours.get()


def _as_any_database_reads_it(value: Any) -> Any:
    """PostgreSQL's JSON has no other writing for 1.0 than for 1."""
    match value:
        case dict():
            return {str(key): _as_any_database_reads_it(part) for key, part in value.items()}
        case list() | tuple():
            return [_as_any_database_reads_it(part) for part in value]
        case float() if value.is_integer():
            return int(value)
    return value
