"""Two years of an installation that is used a lot: thousands of backups and a long log, made up and stored in bulk.

The records are shaped as real ones are, so that pages have as much to read; their files don't exist.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from backup_center.models import BackupLog, BackupRecord, Installation

DAYS = 730
FULL_EVERY = 7
TABLES = {
    "store.shop": "SHOP",
    "store.contract": "CONTRACT",
    "operations.devicedata": "OPERATION",
    "operations.manualoperationdata": "OPERATION",
    "operations.operationanalysis": "OPERATION",
    "finance.financerecord": "FINANCE",
    "admin.logentry": "LOG",
    **{f"auth.{name}": "OTHER" for name in ("permission", "group", "group_permissions", "user", "user_groups")},
    "auth.user_user_permissions": "OTHER",
    "contenttypes.contenttype": "OTHER",
}
PEOPLE = ("", "", "", "admin", "chen.xiao", "li.wei")
BATCH = 2_000
Status, Trigger, Operation, Level = BackupRecord.Status, BackupRecord.Trigger, BackupLog.Operation, BackupLog.Level


def live_through(backups: int, entries: int) -> None:
    """Fill an empty database. The next real backup comes after all of these."""
    chance = random.Random(2026)
    for model in (BackupRecord, BackupLog):
        model._meta.get_field("created_at").auto_now_add = False
    Installation.objects.create(pk=Installation.SINGLETON, last_sequence=backups)
    BackupRecord.objects.bulk_create(history(backups, chance), batch_size=BATCH)
    log = journal(entries, list(BackupRecord.objects.order_by("sequence").defer("contents")), chance)
    while batch := [entry for _turn, entry in zip(range(BATCH), log, strict=False)]:
        BackupLog.objects.bulk_create(batch)
    for model in (BackupRecord, BackupLog):
        model._meta.get_field("created_at").auto_now_add = True


def history(count: int, chance: random.Random) -> Iterator[BackupRecord]:
    project, full = Installation.objects.get().project_id, None
    began = timezone.now() - timedelta(days=DAYS)
    for number in range(count):
        kind = BackupRecord.Type.FULL if number % FULL_EVERY == 0 else BackupRecord.Type.INCREMENTAL
        record = one(number, kind, began + timedelta(days=DAYS) * (number / count), chance)
        record.project_id = project
        full = record if kind == BackupRecord.Type.FULL else full
        record.needs = sorted({str(full.backup_id), str(record.backup_id)})
        yield record


def one(number: int, kind: str, moment: datetime, chance: random.Random) -> BackupRecord:
    good = chance.random() > 0.03
    person = chance.choice(PEOPLE)
    contents = {label: content(name, number, chance) for label, name in TABLES.items()} if good else {}
    name = f"backup_{kind.lower()}_{timezone.localtime(moment):%Y%m%d_%H%M%S}"
    return BackupRecord(
        backup_name=name,
        backup_type=kind,
        status=Status.SUCCESS if good else Status.FAILED,
        data_types=list(dict.fromkeys(TABLES.values())),
        file_path=f"{name}.tar.gz" if good else "",
        file_size=sum(facts["stored"] for facts in contents.values()),
        file_hash=uuid.UUID(int=chance.getrandbits(128)).hex * 2 if good else "",
        created_at=moment,
        backup_start_time=moment,
        backup_end_time=moment + timedelta(seconds=chance.randint(3, 90)),
        created_by_name=person,
        is_automatic=not person,
        trigger=Trigger.MANUAL if person else Trigger.SCHEDULE,
        description="夜间备份" if not person else "续签合约之前",
        error_message="" if good else "磁盘空间不足：无法写入 backups/。",
        backup_id=uuid.UUID(int=chance.getrandbits(128), version=4),
        sequence=number + 1,
        progress={"phase": "done"} if good else {},
        table_count=len(contents),
        row_count=sum(facts["rows"] for facts in contents.values()),
        contents=contents,
        verified_at=moment + timedelta(hours=3) if good and chance.random() > 0.1 else None,
        is_damaged=good and chance.random() > 0.998,
        pinned=chance.random() > 0.995,
    )


def content(data_type: str, number: int, chance: random.Random) -> dict[str, object]:
    rows = chance.randint(50, 500) + number * 4
    return {"type": data_type, "rows": rows, "size": rows * 210, "stored": rows * 58}


def journal(count: int, records: list[BackupRecord], chance: random.Random) -> Iterator[BackupLog]:
    """Backups are logged once; most of a long log are verifications, downloads and what was refused."""
    for number in range(count):
        record = records[number * len(records) // count]
        first = number == 0 or records[(number - 1) * len(records) // count] is not record
        operation = Operation.BACKUP if first else chance.choices(Operation.values, (1, 1, 12, 1, 3))[0]
        level = Level.ERROR if chance.random() > 0.97 else Level.SUCCESS
        yield BackupLog(
            backup_record=record,
            backup_name=record.backup_name,
            operation=operation,
            log_level=level,
            message="The backup is whole." if level == Level.SUCCESS else "Damage was found.",
            details=details(operation, number),
            operated_by_name=record.created_by_name,
            created_at=record.created_at + timedelta(seconds=number % 600),
        )


def details(operation: str, number: int) -> dict[str, object]:
    """As the services write them."""
    match operation:
        case Operation.BACKUP:
            return {"rows": dict.fromkeys(TABLES, number), "not_covered": {"sessions.session": "excluded"}}
        case Operation.RESTORE:
            types = list(dict.fromkeys(TABLES.values()))
            statistics = {name.lower(): number for name in types}
            return {"data_types": types, "statistics": statistics, "rows": number * len(types), "seconds": 9.5}
        case Operation.VERIFY:
            return {"deep": False, "findings": []}
        case _:
            return {}
