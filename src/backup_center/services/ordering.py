"""What the engine is told to back up: tables, keys, and from whom it may borrow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from .. import registry
from ..conf import get_settings
from ..engine.backup import BackupRequest
from ..engine.dialects.base import Connection, TableSpec
from ..engine.manifest import Manifest
from ..models import BackupLog, BackupRecord
from . import facts, journal, keys
from .lineage import Lineage

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


def adopt(record: BackupRecord, found: Lineage, user: AbstractBaseUser | None) -> Manifest | None:
    """Register what may be borrowed before anything is: from now on nobody deletes it."""
    if found.record is None:
        message = _("Everything is read afresh: %(reason)s.") % {"reason": found.reason.rstrip(".")}
        journal.write(BackupLog.Operation.BACKUP, BackupLog.Level.INFO, message, record=record, user=user)
        return None
    record.parent = found.record
    record.needs = [str(record.backup_id), *found.record.needs]
    record.save(update_fields=["parent", "needs"])
    return found.manifest


def request_for(
    record: BackupRecord,
    connection: Connection,
    specs: Sequence[TableSpec] | None = None,
    parent: Manifest | None = None,
) -> BackupRequest:
    """The engine's order for a record: the tables of its data types, or just ``specs``."""
    settings = get_settings()
    types = {name: found for name, found in registry.data_types().items() if name in record.data_types}
    if specs is None:
        specs = [spec for spec in registry.table_specs(record.database) if spec.data_type in types]
    return BackupRequest(
        project=str(record.project_id),
        id=str(record.backup_id),
        sequence=record.sequence,
        name=record.backup_name,
        type=record.backup_type,
        alias=record.database,
        specs=specs,
        data_types={
            name: {"label": str(found), "tables": [spec.label for spec in specs if spec.data_type == name]}
            for name, found in types.items()
        },
        not_covered=registry.not_covered(record.database, connection.plain_tables()),
        codec=settings.codec,
        software=facts.software(),
        key=settings.signing_keys[0],
        facts=partial(facts.collect, record=record),
        parent=parent,
        recipients=keys.recipients(),
        kept=keys.kept_manifests(),
    )
