"""The audit log, and Python's own log beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from django.db.models import Model

from ..engine.errors import Refused
from ..models import BackupLog, BackupRecord, Drill
from . import chain, origin
from .connecting import home_alias

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

logger = logging.getLogger("backup_center")

LEVELS = {
    BackupLog.Level.INFO: logging.INFO,
    BackupLog.Level.SUCCESS: logging.INFO,
    BackupLog.Level.WARNING: logging.WARNING,
    BackupLog.Level.ERROR: logging.ERROR,
}


def write(
    operation: BackupLog.Operation,
    level: BackupLog.Level,
    message: str,
    *,
    record: BackupRecord | None = None,
    user: AbstractBaseUser | None = None,
    refused: bool = False,
    **details: Any,
) -> BackupLog:
    """One entry: the only way into the log. The actor's name is kept as text, since accounts may go."""
    name = record.backup_name if record else ""
    logger.log(LEVELS[level], "%s %s: %s", operation, name, message)
    entry = BackupLog(
        backup_record=record if record and BackupRecord.objects.filter(pk=record.pk).exists() else None,
        backup_name=name,
        operation=operation,
        log_level=level,
        message=_storable(str(message)),
        details=_storable(details),
        operated_by=still_there(user),
        operated_by_name=_storable(actor_name(user)),
        operated_by_key=str(user.pk) if user is not None else "",
        origin=_storable(origin.current()),
        refused=refused,
    )
    entry.save(force_insert=True)
    connection = transaction.get_connection(home_alias())
    if connection.in_atomic_block or connection.get_autocommit():  # else only the host knows when it commits
        connection.on_commit(_seal)
    return entry


def _seal() -> None:
    try:
        chain.catch_up()
    except DatabaseError as error:  # the entry is there, whoever writes the next one seals it
        logger.warning("not sealed yet: %s", error)


@contextmanager
def noting_refusals(
    operation: BackupLog.Operation, *, record: BackupRecord | None = None, user: AbstractBaseUser | None = None
) -> Iterator[None]:
    """Whatever is refused meanwhile stands in the log."""
    try:
        yield
    except Refused as error:
        kind = type(error).__name__
        write(operation, BackupLog.Level.ERROR, str(error), record=record, user=user, refused=True, error=kind)
        raise


def _storable(value: Any) -> Any:
    """PostgreSQL holds no NUL, and nothing holds what a file name that isn't UTF-8 is read as."""
    match value:
        case str():
            return value.replace("\0", "␀").encode("utf-8", "replace").decode()
        case dict():
            return {_storable(str(key)): _storable(part) for key, part in value.items()}
        case list() | tuple():
            return [_storable(part) for part in value]
    return value


def actor_name(user: AbstractBaseUser | None) -> str:
    return user.get_username() if user is not None else ""


def still_there(user: AbstractBaseUser | None) -> Any:
    """The user, unless a restore took the account away."""
    if user is None or not get_user_model()._base_manager.filter(pk=user.pk).exists():
        return None
    return user


def forget_vanished_users() -> None:
    """Our references have no constraint in the database: empty those whose account is gone (the names stay).

    Asked account by account: the users may live in another database than our tables, and few of them are operators.
    """
    _forget(BackupRecord, "created_by")
    _forget(BackupLog, "operated_by")
    _forget(Drill, "requested_by")


def _forget(model: type[Model], reference: str) -> None:
    ours = model._default_manager.exclude(**{reference: None}).order_by()
    for key in ours.values_list(reference, flat=True).distinct():
        if not get_user_model()._base_manager.filter(pk=key).exists():
            model._default_manager.filter(**{reference: key}).update(**{reference: None})
