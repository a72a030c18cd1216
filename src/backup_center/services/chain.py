"""The log as a chain: each entry's hash covers what never changes of it, and the hash of the entry before.

Entries are written without a lock, in their operation's transaction, and numbered and sealed right after it. What is
hashed, and how it is written down, can never change: logs of years were sealed with it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from typing import Any

from django.db import connections, transaction
from django.db.models import F
from django.utils import timezone

from ..models import BackupLog, LogHead
from .connecting import home_alias

SEALED = ("number", "backup_name", "operation", "log_level", "message", "operated_by_name", "operated_by_key",
          "origin", "refused")  # fmt: skip
BATCH = 500


def seal(entry: Any) -> str:
    """SHA-256 of the hash before and the entry as a line of JSON. Any row with the columns of ``BackupLog``."""
    facts = {name: getattr(entry, name) for name in SEALED}
    moment = entry.created_at
    if not timezone.is_naive(moment):
        moment = moment.astimezone(UTC)
    facts |= {"created_at": moment.isoformat(), "details": _as_any_database_reads_it(entry.details)}
    line = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{entry.previous_hash}\n{line}".encode("utf-8", "surrogatepass")).hexdigest()


def catch_up() -> None:
    """Put the entries that were written since under the chain's seal, in a transaction of its own.

    Nobody waits for another here, who might be suspended for hours: whoever has the head looks again when he is done.
    """
    while BackupLog.objects.filter(number=None).exists():
        make_head()
        if not _seal_some():
            return


def make_head() -> None:
    if not LogHead.objects.filter(pk=LogHead.SINGLETON).exists():
        last = BackupLog.objects.exclude(number=None).order_by("-number").first()
        begun = {"entries": last.number, "hash": last.hash} if last else {}
        LogHead.objects.get_or_create(pk=LogHead.SINGLETON, defaults=begun)


def _seal_some() -> bool:
    """``False`` while another is at it."""
    with transaction.atomic(using=home_alias()):
        head = _locked_head()
        if head is None:
            return False
        entries = list(BackupLog.objects.filter(number=None).order_by("pk")[:BATCH])
        for entry in entries:
            head.entries += 1
            entry.number, entry.previous_hash = head.entries, head.hash
            head.hash = entry.hash = seal(entry)
        BackupLog.objects.bulk_update(entries, ["number", "previous_hash", "hash"])
        head.save()
    return True


def _locked_head() -> LogHead | None:
    heads = LogHead.objects.filter(pk=LogHead.SINGLETON)
    if connections[home_alias()].features.has_select_for_update_skip_locked:
        return heads.select_for_update(skip_locked=True).first()
    heads.update(entries=F("entries"))  # SQLite: who begins by writing has his turn, or waits for it
    return heads.get()


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
