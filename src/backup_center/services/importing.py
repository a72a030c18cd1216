"""A backup from a file that somebody brings, read as if an attacker had made it.

It is copied into the vault under its own name while its digest is taken, checked chunk by chunk, and only then gets its
sidecar and its record. Nothing is unpacked to the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from django.db import transaction
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import embedded, verify
from ..engine import sidecar as sidecars
from ..engine.encryption import KEY_SUFFIX
from ..engine.errors import BackupCenterError, Damaged, Locked, Refused
from ..engine.manifest import STRANGERS_LIMIT
from ..engine.sidecar import SIDECAR_LIMIT, SIDECAR_SUFFIX, Sidecar
from ..engine.vault import BUFFER, LocalVault, Vault
from ..models import BackupLog, BackupRecord
from . import catalogue, entries, interrupted, journal, lineage
from .connecting import home_alias, refuse_inside_transaction
from .entries import Entry
from .keys import KEY_LIMIT
from .lease import Lease, hold

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What somebody brings: an archive, its sidecar (if it is there) and, of an encrypted one, its key's file."""

    archive: BinaryIO
    sidecar: BinaryIO | None = None
    key: BinaryIO | None = None


def import_backup(
    parcel: Parcel, user: AbstractBaseUser | None = None, *, accept_unsigned: bool = False
) -> BackupRecord:
    """The record of the backup, pinned. Another project's is restorable, and never a parent.

    Without a sidecar that a key of ours signed it is refused, unless ``accept_unsigned``: then it counts as damaged,
    and a restore must be told again. When it raises, nothing is left of it but the reason in the log.
    """
    refuse_inside_transaction(home_alias())
    try:
        entry, sidecar = _opened(parcel, accept_unsigned)
        with hold("import") as lease:
            interrupted.settle(lease)
            return _imported(parcel, entry, sidecar, lease, user)
    except BackupCenterError as error:
        findings = list(getattr(error, "findings", ()))
        level, name = BackupLog.Level.ERROR, type(error).__name__
        journal.write(BackupLog.Operation.IMPORT, level, str(error), user=user, error=name, findings=findings)
        raise


@contextmanager
def spool(name: str) -> Iterator[BinaryIO]:
    """A file beside the backups for what is on its way here; gone when the block ends."""
    with LocalVault(get_settings().directory).scratch(name) as stream:
        yield stream


def _opened(parcel: Parcel, accept_unsigned: bool) -> tuple[Entry, bytes]:
    """What the parcel says that it is, and the sidecar to keep. Sizes are bounded before anything is read."""
    if parcel.sidecar is None:
        if not accept_unsigned:
            raise Refused(
                _(
                    "An archive alone does not prove who wrote it. Bring its sidecar along (NAME.manifest.json, a"
                    " download of the same page), or run import_backup --accept-unsigned if you trust whoever made it."
                )
            )
        return _from_archive(parcel.archive)
    data = parcel.sidecar.read(SIDECAR_LIMIT + 1)
    if len(data) > SIDECAR_LIMIT:
        raise Damaged(_("%(name)s is larger than any sidecar can be.") % {"name": SIDECAR_SUFFIX})
    trusted, name = get_settings().signing_keys, _("The sidecar")
    try:
        entry = entries.of(sidecars.open_sidecar(data, trusted, name, unsigned=accept_unsigned))
    except Locked:
        entry = entries.of(sidecars.open_clear(data, trusted, name, unsigned=accept_unsigned))
    entries.require_sane(entry, str(entry.described.name))
    return entry, data


def _from_archive(archive: BinaryIO) -> tuple[Entry, bytes]:
    manifest, body = embedded.read(archive)
    archive.seek(0)
    sha256 = hashlib.file_digest(archive, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants more
    size = archive.tell()
    entry = entries.of(Sidecar(size=size, sha256=sha256, manifest=manifest, signed=False))
    entries.require_sane(entry, str(manifest.name))
    return entry, b"".join(sidecars.unsigned([body], size, sha256, manifest.needs))


def _imported(
    parcel: Parcel, entry: Entry, sidecar: bytes, lease: Lease, user: AbstractBaseUser | None
) -> BackupRecord:
    vault, record = catalogue.get_vault(), entries.record_of(entry, BackupRecord.Trigger.IMPORT)
    record.created_by, record.created_by_name = journal.still_there(user), journal.actor_name(user)
    record.is_automatic = user is None
    _refuse_what_is_here(record, vault)
    _refuse_unknown_lenders(record)
    _refuse_impossible_chunks(entry)
    try:
        _copy(parcel, entry, vault)
        entry = _with_its_key(entry, sidecar, vault)
        entries.describe(record, entry)
        _require_whole(entry, vault)
        with vault.create(record.backup_name + SIDECAR_SUFFIX) as stream:
            stream.write(sidecar)
        with transaction.atomic(using=home_alias()):
            lease.check()
            entries.save(record)
            entries.link({entry.described.id: entry.described.parent})
            lease.count_from(record.sequence)
            _log(record, entry, user)
    except BaseException:
        catalogue.remove_files(record, vault)
        raise
    return record


def _refuse_what_is_here(record: BackupRecord, vault: Vault) -> None:
    facts = {"name": record.backup_name}
    if BackupRecord.objects.filter(backup_id=record.backup_id).exists():
        raise Refused(_("%(name)s is here already.") % facts)
    if clash := entries.clash(record):
        raise Refused(clash)
    if any(vault.exists(record.backup_name + suffix) for suffix in catalogue.SUFFIXES):
        raise Refused(_("Files of %(name)s lie in the vault already: rescan_vaults tells what they are.") % facts)


def _refuse_unknown_lenders(record: BackupRecord) -> None:
    if missing := lineage.missing_lenders(record):
        text = _("%(name)s borrows from archives that are not here: import those first. %(problems)s")
        raise Refused(text % {"name": record.backup_name, "problems": " ".join(missing)})


def _refuse_impossible_chunks(entry: Entry) -> None:
    """Of what nobody signed. A chunk may be as large as its largest row, but nobody needs gigabytes of them here."""
    if entry.signed or entry.sidecar is None:
        return
    own = 0
    for table in entry.sidecar.manifest.tables:
        for chunk in table.chunks:
            own += chunk.length if chunk.archive == entry.described.id else 0
            if chunk.size > STRANGERS_LIMIT:
                raise Damaged(_("%(table)s has a chunk of an impossible size") % {"table": table.label})
    if own > entry.size:
        raise Damaged(_("Its chunks take more room than the archive has."))


def _copy(parcel: Parcel, entry: Entry, vault: Vault) -> None:
    """Into the vault; what is not of the size and SHA-256 that its sidecar states never gets its name there."""
    name, digest, left = entry.described.archive_name, hashlib.sha256(), entry.size
    parcel.archive.seek(0)
    with vault.create(name) as stream:
        while left and (piece := parcel.archive.read(min(BUFFER, left))):
            digest.update(piece)
            stream.write(piece)
            left -= len(piece)
        if left or parcel.archive.read(1) or digest.hexdigest() != entry.sha256:
            raise Damaged(_("The archive is not the one that the sidecar describes: its size or SHA-256 differs."))
    if entry.described.keys:
        if parcel.key is None:
            raise Refused(_("The archive is encrypted: it can only be imported with its sidecar and its key file."))
        with vault.create(entry.described.name + KEY_SUFFIX) as stream:
            stream.write(parcel.key.read(KEY_LIMIT))


def _with_its_key(entry: Entry, sidecar: bytes, vault: Vault) -> Entry:
    """What an encrypted backup holds, if this server can open it: now its key's file is there."""
    if entry.sidecar is not None:
        return entry
    trusted, name, unlock = get_settings().signing_keys, entry.described.name, catalogue.unlocking(vault)
    try:
        opened = entries.of(sidecars.open_sidecar(sidecar, trusted, name, unlock, unsigned=not entry.signed))
    except (Locked, Refused):
        return entry
    entries.require_sane(opened, name)
    return opened


def _require_whole(entry: Entry, vault: Vault) -> None:
    """Every chunk is read; of an encrypted backup that can't be opened here, its bytes."""
    source = catalogue.source(entry.described, vault)
    if entry.sidecar is not None:
        findings = verify.examine(entry.sidecar, source, deep=True)
    else:
        findings = verify.examine_clear(entry.described, source)  # type: ignore[arg-type]  # it is, without a sidecar
    if findings:
        text = _("%(name)s is damaged; it was not imported.")
        raise Damaged(text % {"name": entry.described.name}, [finding.message for finding in findings])


def _log(record: BackupRecord, entry: Entry, user: AbstractBaseUser | None) -> None:
    if entry.signed:
        level, message = BackupLog.Level.SUCCESS, _("Imported from a file; pinned until it is released.")
        journal.write(BackupLog.Operation.IMPORT, level, message, record=record, user=user, sha256=entry.sha256)
        return
    level, message = (
        BackupLog.Level.WARNING,
        _("Imported without a valid signature, and accepted all the same; pinned."),
    )
    details = {"accepted_unsigned": True, "sha256": entry.sha256}
    journal.write(BackupLog.Operation.IMPORT, level, message, record=record, user=user, **details)
