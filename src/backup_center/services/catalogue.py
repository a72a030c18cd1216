"""Between records and files: names, the sidecar of a record, the end of a backup."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import covers, manifest
from ..engine.codecs import CODECS
from ..engine.covers import Cover
from ..engine.encryption import KEY_SUFFIX
from ..engine.errors import BackupCenterError, Damaged, NotFound, Refused, StorageFailed
from ..engine.keyring import read_key_file
from ..engine.manifest import SIDECAR_LIMIT, SIDECAR_SUFFIX, Manifest, Sidecar, Table
from ..engine.sources import Source
from ..engine.vault import PARTIAL, LocalVault, Vault
from ..models import BackupRecord
from . import kept, keys
from .journal import actor_name, still_there
from .lease import Lease

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

UNDECIDED = (BackupRecord.Status.PENDING, BackupRecord.Status.RUNNING)
FINISHED_FIELDS = (
    "status", "file_path", "file_size", "file_hash", "is_encrypted", "needs", "table_count", "row_count", "contents",
    "backup_end_time", "progress",
)  # fmt: skip
ARCHIVE_SUFFIXES = tuple(sorted({codec.suffix for codec in CODECS.values()}, key=len, reverse=True))
# All files of a backup, in the order in which they are removed; no suffix comes after one that it ends in.
SUFFIXES = (SIDECAR_SUFFIX, *ARCHIVE_SUFFIXES, KEY_SUFFIX)


def get_vault() -> Vault:
    return LocalVault(get_settings().directory)


def find(name: str) -> BackupRecord:
    """By the file's stem or its name. Raises ``NotFound``."""
    stem = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
    record = BackupRecord.objects.filter(Q(backup_name=stem) | Q(file_path=name)).first()
    if record is None:
        raise NotFound(_("There is no backup %(name)s. list_backups shows all.") % {"name": name})
    return record


def begin(
    lease: Lease,
    *,
    backup_type: str,
    data_types: list[str],
    database: str,
    trigger: str,
    user: AbstractBaseUser | None = None,
    description: str = "",
) -> BackupRecord:
    """A record that is RUNNING, under a name and a sequence number of its own."""
    sequence = lease.take_sequence()
    try:
        return BackupRecord.objects.create(
            backup_name=_free_name(backup_type),
            backup_type=backup_type,
            status=BackupRecord.Status.RUNNING,
            data_types=data_types,
            backup_start_time=timezone.now(),
            created_by=still_there(user),
            created_by_name=actor_name(user),
            is_automatic=user is None,
            description=description,
            project_id=lease.before.project_id,
            sequence=sequence,
            trigger=trigger,
            database=database,
            heartbeat_at=timezone.now(),
        )
    except IntegrityError:
        lease.check()  # only somebody who took over can have taken the name that was free
        raise


def finish(record: BackupRecord, sidecar: Sidecar) -> None:
    """The record of a committed backup, from its sidecar."""
    record.table_count = len(sidecar.manifest.tables)
    record.row_count = sidecar.manifest.rows
    record.contents = {table.label: _content(table, sidecar.manifest.id) for table in sidecar.manifest.tables}
    _finish(record, sidecar, sidecar.manifest)
    if record.is_encrypted:
        kept.keep(record, sidecar)


def finish_found(record: BackupRecord) -> None:
    """The same, of a backup whose process is gone. What is sealed stays unknown to a server that can't decrypt it.

    Raises ``NotFound`` if it was not committed, and what reading a sidecar raises.
    """
    vault = get_vault()
    cover = read_cover(record, vault)
    try:
        finish(record, open_sidecar(record, vault))
    except StorageFailed:
        raise
    except BackupCenterError:
        if not CODECS[cover.codec].encrypted:
            raise
        _finish(record, cover, cover)


def _finish(record: BackupRecord, file: Sidecar | Cover, facts: Manifest | Cover) -> None:
    record.status = BackupRecord.Status.SUCCESS
    record.file_path = facts.archive_name
    record.file_size = file.size
    record.file_hash = file.sha256
    record.is_encrypted = CODECS[facts.codec].encrypted
    record.needs = list(facts.needs)
    record.backup_end_time = _as_stored(datetime.fromisoformat(facts.finished_at))
    record.progress = {"phase": "done", "done": record.row_count, "total": record.row_count}
    record.save(update_fields=FINISHED_FIELDS)


def _content(table: Table, own: str) -> dict[str, Any]:
    """What pages show of a table without opening the manifest. Sizes in bytes; ``borrowed`` is a part of ``stored``."""
    size = stored = borrowed = 0
    for chunk in table.chunks:
        size += chunk.size
        stored += chunk.length
        borrowed += chunk.length if chunk.archive != own else 0
    return {"type": table.data_type, "rows": table.rows, "size": size, "stored": stored, "borrowed": borrowed}


def locked(record: BackupRecord, *, wait: bool = True) -> BackupRecord | None:
    """The record as it is now, nobody else deciding about it until the transaction ends.

    ``None`` if it was deleted, or unless we ``wait``, if somebody is deciding.
    """
    return BackupRecord.objects.select_for_update(skip_locked=not wait).filter(pk=record.pk).first()


def refresh(record: BackupRecord) -> None:
    """As it is now that nobody else writes. Raises ``NotFound`` if somebody has just deleted it."""
    try:
        record.refresh_from_db()
    except BackupRecord.DoesNotExist as error:
        facts = {"name": record.backup_name}
        raise NotFound(_("There is no backup %(name)s. list_backups shows all.") % facts) from error


def open_sidecar(record: BackupRecord, vault: Vault) -> Sidecar:
    """The record's committed manifest. Raises ``NotFound``, ``Damaged``, ``BadSignature`` or ``UnknownFormat``; of an
    encrypted backup also ``NoKey`` or ``WrongKey``.
    """
    name = record.backup_name + SIDECAR_SUFFIX
    unseal = covers.unsealing(name, keys.keyring(vault).key)
    sidecar = manifest.open_sidecar(_sidecar(vault, name), get_settings().signing_keys, name, unseal)
    _refuse_other(record, sidecar.manifest, name)
    return sidecar


def read_cover(record: BackupRecord, vault: Vault) -> Cover:
    """What its sidecar tells without a key. Raises the same, but never asks for one."""
    name = record.backup_name + SIDECAR_SUFFIX
    cover = covers.read(_sidecar(vault, name), get_settings().signing_keys, name)
    _refuse_other(record, cover, name)
    return cover


def manifest_of(record: BackupRecord, vault: Vault) -> Manifest:
    """For an incremental backup, which needs no row of its parent: of an encrypted one what was kept here will do."""
    if record.is_encrypted and (found := kept.recall(record, read_cover(record, vault))):
        return found
    return open_sidecar(record, vault).manifest


def _sidecar(vault: Vault, name: str) -> bytes:
    if vault.size(name) > SIDECAR_LIMIT:
        raise Damaged(_("%(name)s is larger than any sidecar can be.") % {"name": name})
    return vault.read(name, 0, SIDECAR_LIMIT)


def _refuse_other(record: BackupRecord, found: Manifest | Cover, name: str) -> None:
    if (found.id, found.name) != (str(record.backup_id), record.backup_name):
        raise Damaged(_("%(name)s belongs to another backup.") % {"name": name})


def restorable(record: BackupRecord) -> None:
    """Raises ``Refused`` for a backup that was never completed."""
    if record.status != BackupRecord.Status.SUCCESS:
        raise Refused(
            _("%(name)s can't be used: its status is %(status)s.")
            % {"name": record.backup_name, "status": record.get_status_display()}
        )


def archives_of(sidecar: Sidecar | Cover) -> dict[str, str]:
    """File names of the archives that a manifest needs, by id, as far as they are known here."""
    facts = sidecar.manifest if isinstance(sidecar, Sidecar) else sidecar
    lenders = BackupRecord.objects.filter(backup_id__in=facts.needs)
    known = {str(key): path for key, path in lenders.values_list("backup_id", "file_path")}
    return {**known, facts.id: facts.archive_name}


def source(sidecar: Sidecar, vault: Vault) -> Source:
    """Where a manifest's chunks come from."""
    return Source(vault, archives_of(sidecar), sidecar.manifest.codec, keys.keyring(vault))


def not_in_vault(record: BackupRecord) -> str:
    """Why a backup can't be used, from the names and sizes of its files; empty if they look right."""
    vault = get_vault()
    try:
        size = vault.size(record.file_path)
        vault.size(record.backup_name + SIDECAR_SUFFIX)
        if record.is_encrypted:
            read_key_file(vault, record.backup_name + KEY_SUFFIX)
    except BackupCenterError as error:
        return str(error)
    if size != record.file_size:
        facts = {"name": record.file_path, "found": size, "expected": record.file_size}
        return _("%(name)s has %(found)d bytes instead of %(expected)d.") % facts
    return ""


def has_sidecar(record: BackupRecord) -> bool:
    return get_vault().exists(record.backup_name + SIDECAR_SUFFIX)


def is_left_over(record: BackupRecord, vault: Vault) -> bool:
    """Whether a failed backup was begun to be deleted (only a complete one has a hash), or left files behind.

    Files beside a sidecar that can't be read are none of these: they were complete once.
    """
    if record.status != BackupRecord.Status.FAILED:
        return False
    if record.file_hash:
        return True
    left = [record.backup_name + suffix + ending for suffix in SUFFIXES for ending in ("", PARTIAL)]
    return not vault.exists(record.backup_name + SIDECAR_SUFFIX) and any(vault.exists(name) for name in left)


def remove_files(record: BackupRecord, vault: Vault) -> None:
    """Sidecar first: from then on the backup does not exist, whatever happens to the rest."""
    for suffix in SUFFIXES:
        vault.delete(record.backup_name + suffix)


def _as_stored(moment: datetime) -> datetime:
    """Without USE_TZ, a project's times are naive, in its own time zone."""
    naive = timezone.is_naive(timezone.now())
    return timezone.make_naive(moment, timezone.get_default_timezone()) if naive else moment


def _free_name(backup_type: str) -> str:
    stamp = datetime.now(timezone.get_default_timezone()).strftime("%Y%m%d_%H%M%S")
    stem = f"backup_{backup_type.lower()}_{stamp}"
    name, number = stem, 1
    vault = get_vault()
    while BackupRecord.objects.filter(backup_name=name).exists() or any(vault.exists(name + s) for s in SUFFIXES):
        number += 1
        name = f"{stem}_{number}"
    return name
