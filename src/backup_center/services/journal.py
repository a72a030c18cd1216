"""The audit log, and Python's own log beside it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Model

from ..models import BackupLog, BackupRecord

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
    **details: Any,
) -> BackupLog:
    """One entry. The actor's name is kept as text, since accounts may go."""
    name = record.backup_name if record else ""
    logger.log(LEVELS[level], "%s %s: %s", operation, name, message)
    return BackupLog.objects.create(
        backup_record=record if record and BackupRecord.objects.filter(pk=record.pk).exists() else None,
        backup_name=name,
        operation=operation,
        log_level=level,
        message=message,
        details=details,
        operated_by=still_there(user),
        operated_by_name=actor_name(user),
    )


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


def _forget(model: type[Model], reference: str) -> None:
    ours = model._default_manager.exclude(**{reference: None}).order_by()
    for key in ours.values_list(reference, flat=True).distinct():
        if not get_user_model()._base_manager.filter(pk=key).exists():
            model._default_manager.filter(**{reference: key}).update(**{reference: None})
