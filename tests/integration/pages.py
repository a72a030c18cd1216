"""People and pages for the tests of the web: accounts with chosen permissions, records that need no file."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from backup_center.models import BackupRecord
from backup_center.services import identity

ALL = (
    "view",
    "add",
    "change",
    "delete",
    "verify",
    "download",
    "restore",
    "browse",
    "import",
    "export",
    "change_alarmsettings",
)


def person(*actions: str, name: str = "", staff: bool = True) -> Any:
    """An account with exactly these permissions on backups."""
    user = get_user_model().objects.create_user(name or f"person-{uuid.uuid4().hex[:8]}", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=[codename(action) for action in actions]))
    return user


def codename(action: str) -> str:
    """``change_schedule`` names its model itself."""
    return action if "_" in action else f"{action}_{'backuplog' if action == 'export' else 'backuprecord'}"


def log_in(client: Client, user: Any, *, confirmed: bool = True) -> None:
    """``confirmed``: he has just entered his password once more."""
    client.force_login(user)
    if confirmed:
        session = client.session
        session[identity.KEY] = identity.mark_for(user)
        session.save()


def browser(user: Any = None, *, language: str = "en", confirmed: bool = True, **options: Any) -> Client:
    client = Client(headers={"accept-language": language}, **options)
    if user is not None:
        log_in(client, user, confirmed=confirmed)
    return client


def a_record(number: int, *, hours: float = 1, **facts: Any) -> BackupRecord:
    """In the catalogue only: a good full backup, some hours old, unless ``facts`` say otherwise."""
    moment = timezone.now() - timedelta(hours=hours)
    known = {
        "backup_name": f"backup_full_{number:06d}",
        "status": "SUCCESS",
        "data_types": ["ZOO", "LOG", "OTHER"],
        "file_path": f"backup_full_{number:06d}.tar.gz",
        "file_size": 1000 + number,
        "row_count": 10 * number,
        "contents": {"zoo.animal": {"type": "ZOO", "rows": 10 * number, "size": 900, "stored": 300}},
        "backup_start_time": moment,
        "backup_end_time": moment + timedelta(seconds=3),
        "project_id": uuid.uuid4(),
        "sequence": number,
        "trigger": "command",
        "is_automatic": True,
    }
    record = BackupRecord.objects.create(**{**known, **facts})
    BackupRecord.objects.filter(pk=record.pk).update(created_at=moment)
    record.refresh_from_db()
    return record


def a_good_one(number: int, **facts: Any) -> BackupRecord:
    """With a good copy, as far as the catalogue knows."""
    record = a_record(number, **facts)
    record.copies.create(vault="local", state="GOOD", size=record.file_size)
    return record
