"""Who entered what: the admin's log, as if all of it had been typed in there."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from random import Random

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from apps.store.models import Contract, Shop

ADDED = json.dumps([{"added": {}}])
REVIEWED = json.dumps([{"changed": {"fields": ["Status", "Review comment"]}}])


def make_log(
    rng: Random, shops: Iterable[Shop], contracts: Iterable[Contract], clerks: tuple[User, ...]
) -> list[LogEntry]:
    entries = [*_about_shops(rng, shops, clerks), *_about_contracts(rng, contracts, clerks)]
    return sorted(entries, key=lambda entry: entry.action_time)


def _about_shops(rng: Random, shops: Iterable[Shop], clerks: tuple[User, ...]) -> Iterator[LogEntry]:
    for shop in shops:
        yield _entry(shop, ADDITION, ADDED, rng.choice(clerks).pk, shop.created_at)


def _about_contracts(rng: Random, contracts: Iterable[Contract], clerks: tuple[User, ...]) -> Iterator[LogEntry]:
    for contract in contracts:
        yield _entry(contract, ADDITION, ADDED, rng.choice(clerks).pk, contract.created_at)
        if contract.reviewed_at:
            yield _entry(contract, CHANGE, REVIEWED, contract.reviewed_by_id, contract.reviewed_at)


def _entry(record: Shop | Contract, flag: int, message: str, user_id: int, time: datetime) -> LogEntry:
    return LogEntry(
        action_time=time,
        user_id=user_id,
        content_type=ContentType.objects.get_for_model(record),
        object_id=str(record.pk),
        object_repr=str(record),
        action_flag=flag,
        change_message=message,
    )
