"""Between records and files: names, the sidecar of a record, the end of a backup."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import sidecar as sidecars
from ..engine.codecs import CODECS
from ..engine.encryption import KEY_SUFFIX, ArchiveKey
from ..engine.errors import BackupCenterError, Damaged, Locked, NotFound, Refused
from ..engine.manifest import Manifest, Table
from ..engine.packing import SEALED_SUFFIX, Open, Packing, Sealed
from ..engine.sidecar import SIDECAR_LIMIT, SIDECAR_SUFFIX, Clear, Sidecar
from ..engine.sources import Source
from ..engine.vault import PARTIAL, Vault, nearest
from ..models import BackupCopy, BackupRecord
from . import keys, vaults
from .journal import actor_name, still_there
from .lease import Lease

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

Described = TypeVar("Described", Sidecar, Clear)
UNDECIDED = (BackupRecord.Status.PENDING, BackupRecord.Status.RUNNING)
FINISHED_FIELDS = (
    "status", "file_path", "file_size", "file_hash", "is_encrypted", "needs", "table_count", "row_count", "contents",
    "backup_end_time", "progress",
)  # fmt: skip
# The files of a backup, in the order in which they go
SUFFIXES = (SIDECAR_SUFFIX, SEALED_SUFFIX, *(codec.suffix for codec in CODECS.values()), KEY_SUFFIX)


def get_vault() -> Vault:
    return vaults.everywhere()


def files_of(record: BackupRecord) -> list[str]:
    """A complete backup's files in the order in which they are written: from the sidecar on it exists."""
    key = [record.backup_name + KEY_SUFFIX] if record.is_encrypted else []
    return [record.file_path, *key, sidecar_name(record)]


def sidecar_name(record: BackupRecord) -> str:
    return record.backup_name + SIDECAR_SUFFIX


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
            is_encrypted=get_settings().encryption,
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
    describe(record, sidecar)
    record.progress = {"phase": "done", "done": record.row_count, "total": record.row_count}
    record.save(update_fields=FINISHED_FIELDS)
    _note_home(record)


def finish_in_clear(record: BackupRecord, clear: Clear) -> None:
    """The same by what needs no key; a rescan with the key learns the rest."""
    record.status = BackupRecord.Status.SUCCESS
    record.file_path, record.file_size, record.file_hash = clear.archive_name, clear.size, clear.sha256
    record.is_encrypted, record.needs = True, list(clear.needs)
    record.backup_end_time = as_stored(datetime.fromisoformat(clear.finished_at))
    record.save(update_fields=FINISHED_FIELDS)
    _note_home(record)


def _note_home(record: BackupRecord) -> None:
    known = {"state": BackupCopy.State.GOOD, "size": record.file_size, "checked_at": record.backup_end_time}
    BackupCopy.objects.update_or_create(record=record, vault=vaults.home_name(), defaults=known)


def describe(record: BackupRecord, sidecar: Sidecar) -> None:
    """What a sidecar tells of a backup that is complete; not saved."""
    record.status = BackupRecord.Status.SUCCESS
    record.file_path = sidecar.manifest.archive_name
    record.file_size = sidecar.size
    record.file_hash = sidecar.sha256
    record.is_encrypted = bool(sidecar.manifest.keys)
    record.needs = list(sidecar.manifest.needs)
    record.table_count = len(sidecar.manifest.tables)
    record.row_count = sidecar.manifest.rows
    record.contents = {table.label: _content(table, sidecar.manifest.id) for table in sidecar.manifest.tables}
    record.backup_end_time = as_stored(datetime.fromisoformat(sidecar.manifest.finished_at))


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


def open_sidecar(record: BackupRecord, vault: Vault, *, unsigned: bool = False) -> Sidecar:
    """The record's committed manifest. Raises ``NotFound``, ``Damaged``, ``UnknownFormat`` or ``Locked``.

    ``unsigned``: somebody said that a signature which is missing or not of our keys does not matter.
    """
    name = sidecar_name(record)
    if unsigned:
        with suppress(Damaged, NotFound):  # a copy that is signed is better
            return open_sidecar(record, vault)
    return nearest(vault, name, lambda copy: _own(record, _opened(name, copy, vault, unsigned=unsigned)))


def read_sidecar(name: str, vault: Vault, *, unsigned: bool = False) -> Sidecar:
    """A file of the vault, whatever record it belongs to."""
    if unsigned:
        with suppress(Damaged, NotFound):
            return read_sidecar(name, vault)
    return nearest(vault, name, lambda copy: _opened(name, copy, vault, unsigned=unsigned))


def _opened(name: str, copy: Vault, vault: Vault, *, unsigned: bool) -> Sidecar:
    """That of an encrypted backup is read where it is kept in clear, if it is the same; else with the server's key."""
    data, trusted = _read_sidecar(name, copy), get_settings().signing_keys
    try:
        return sidecars.open_sidecar(data, trusted, name, unsigned=unsigned)
    except Locked:
        pass
    kept = keys.kept_manifests()
    if kept.exists(name):
        with suppress(BackupCenterError):  # one that is damaged only means that the key is needed
            found = sidecars.open_sidecar(_read_sidecar(name, kept), trusted, name)
            if sidecars.clear_part(found) == sidecars.open_clear(data, trusted, name, unsigned=unsigned):
                return found
    return sidecars.open_sidecar(data, trusted, name, _unlocking(vault), unsigned=unsigned)


def open_clear(record: BackupRecord, vault: Vault) -> Clear:
    """What can be told of a backup without a key. Raises as ``open_sidecar``."""
    name, unsigned = sidecar_name(record), record.is_unsigned
    return nearest(vault, name, lambda copy: _own(record, read_clear(name, copy, unsigned=unsigned)))


def read_clear(name: str, vault: Vault, *, unsigned: bool = False) -> Clear:
    """The clear part of a file of the vault, whatever record it belongs to."""
    trusted = get_settings().signing_keys
    return nearest(
        vault, name, lambda copy: sidecars.open_clear(_read_sidecar(name, copy), trusted, name, unsigned=unsigned)
    )


def _unlocking(vault: Vault) -> Callable[[Clear], ArchiveKey]:
    return lambda clear: keys.unlocking(vault)(clear.name, clear.keys[clear.id])


def _read_sidecar(name: str, vault: Vault) -> bytes:
    if vault.size(name) > SIDECAR_LIMIT:
        raise Damaged(_("%(name)s is larger than any sidecar can be.") % {"name": name})
    return vault.read(name, 0, SIDECAR_LIMIT)


def _own(record: BackupRecord, described: Described) -> Described:
    name = described.name if isinstance(described, Clear) else described.manifest.name
    if (described.id, name) != (str(record.backup_id), record.backup_name):
        raise Damaged(_("%(name)s belongs to another backup.") % {"name": sidecar_name(record)})
    return described


def restorable(record: BackupRecord) -> None:
    """Raises ``Refused`` for a backup that was never completed."""
    if record.status != BackupRecord.Status.SUCCESS:
        raise Refused(
            _("%(name)s can't be used: its status is %(status)s.")
            % {"name": record.backup_name, "status": record.get_status_display()}
        )


def archives_of(described: Manifest | Clear) -> dict[str, str]:
    """File names of the archives that a backup needs, by id, as far as they are known here."""
    lenders = BackupRecord.objects.filter(backup_id__in=described.needs)
    known = {str(key): path for key, path in lenders.values_list("backup_id", "file_path")}
    return {**known, described.id: described.archive_name}


def source(described: Manifest | Clear, vault: Vault) -> Source:
    """Where a backup's chunks come from. Keys are only asked for when a chunk is opened."""
    archives = archives_of(described)
    if not described.keys:
        plain = Open(described.codec)
        return Source(vault, archives, lambda archive: plain)

    unlocking = cache(partial(keys.unlocking, vault))  # a passphrase takes a second each time

    @cache
    def sealed(archive: str) -> Packing:
        if archive not in described.keys:
            raise Damaged(_("The key of archive %(id)s is not named.") % {"id": archive})
        if archive not in archives:
            raise NotFound(_("Archive %(id)s is needed and not known here.") % {"id": archive})
        stem = archives[archive].removesuffix(SEALED_SUFFIX)
        return Sealed(described.codec, unlocking()(stem, described.keys[archive]))

    return Source(vault, archives, sealed)


def not_in_vault(record: BackupRecord) -> str:
    """Why a backup can't be used, from the names and sizes of its files; empty if they look right.

    Pages ask this: of vaults that are far away, what was last found there is the answer.
    """
    try:
        problem = missing_from(vaults.at_hand(), record)
    except BackupCenterError as error:
        problem = str(error)
    if problem and record.pk and record.copies.filter(state=BackupCopy.State.GOOD, vault__in=_far_away()).exists():
        return ""
    return problem


def _far_away() -> list[str]:
    return [name for name in vaults.names() if not vaults.is_near(name)]


def missing_from(vault: Vault, record: BackupRecord) -> str:
    """What of a backup is not there, or not of its size; empty if all is."""
    try:
        sizes = {name: vault.size(name) for name in files_of(record)}
    except BackupCenterError as error:
        return str(error)
    if sizes[record.file_path] != record.file_size:
        facts = {"name": record.file_path, "found": sizes[record.file_path], "expected": record.file_size}
        return _("%(name)s has %(found)d bytes instead of %(expected)d.") % facts
    return ""


def has_sidecar(record: BackupRecord) -> bool:
    return get_vault().exists(sidecar_name(record))


def is_left_over(record: BackupRecord, vault: Vault) -> bool:
    """Whether a failed backup was begun to be deleted (only a complete one has a hash), or left files behind.

    Files beside a sidecar that can't be read are none of these: they were complete once.
    """
    if record.status not in BackupRecord.BROKEN_OFF:
        return False
    if record.file_hash:
        return True
    left = [record.backup_name + suffix + ending for suffix in SUFFIXES for ending in ("", PARTIAL)]
    return not vault.exists(sidecar_name(record)) and any(vault.exists(name) for name in left)


def discard_files(record: BackupRecord) -> None:
    """What a backup that failed has written, where we may delete; elsewhere nothing without a sidecar counts."""
    if vaults.home_name() in vaults.erasable():
        remove_files(record, vaults.home())
    else:
        keys.kept_manifests().delete(sidecar_name(record))


def remove_files(record: BackupRecord, vault: Vault) -> None:
    """Sidecar first: from then on the backup does not exist, whatever happens to the rest."""
    for suffix in SUFFIXES:
        vault.delete(record.backup_name + suffix)
    keys.kept_manifests().delete(record.backup_name + SIDECAR_SUFFIX)


def as_stored(moment: datetime) -> datetime:
    """Without USE_TZ, a project's times are naive, in its own time zone."""
    naive = timezone.is_naive(timezone.now())
    return timezone.make_naive(moment, timezone.get_default_timezone()) if naive else moment


def _free_name(backup_type: str) -> str:
    stamp = datetime.now(timezone.get_default_timezone()).strftime("%Y%m%d_%H%M%S")
    stem = f"backup_{backup_type.lower()}_{stamp}"
    name, number = stem, 1
    vault, kept = vaults.home(), keys.kept_manifests()

    def is_taken() -> bool:
        files = any(vault.exists(name + suffix) for suffix in SUFFIXES) or kept.exists(name + SIDECAR_SUFFIX)
        return files or BackupRecord.objects.filter(backup_name=name).exists()

    while is_taken():
        number += 1
        name = f"{stem}_{number}"
    return name
