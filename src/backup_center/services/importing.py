"""A backup that was downloaded comes into the vault: checked to its last row before it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from django.db import transaction
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import incoming, manifest, verify
from ..engine import sidecar as sidecars
from ..engine.errors import BackupCenterError, Damaged, Locked, Refused
from ..engine.incoming import Incoming
from ..engine.sidecar import SIDECAR_LIMIT, SIDECAR_SUFFIX, Sidecar
from ..engine.vault import BUFFER, PARTIAL
from ..models import BackupLog, BackupRecord
from . import catalogue, copies, enrolling, interrupted, journal, lineage, vaults
from .connecting import home_alias, refuse_inside_transaction
from .enrolling import Enrolment
from .lease import hold

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

Progress = Callable[[str, int, int], None]  # table, rows done, rows in all


def import_backup(
    archive: BinaryIO,
    sidecar: BinaryIO | None,
    user: AbstractBaseUser | None = None,
    *,
    accept_unsigned: bool = False,
    progress: Progress | None = None,
) -> BackupRecord:
    """Take an archive in, with its sidecar, pinned. Both are open files that can be sought in.

    What no key known here signed is refused, unless ``accept_unsigned``: then it needs no sidecar, and is marked.
    """
    refuse_inside_transaction(home_alias())
    try:
        return _Import(archive, sidecar, accept_unsigned=accept_unsigned).run(user, progress)
    except BackupCenterError as error:
        level, refused, kind = BackupLog.Level.ERROR, isinstance(error, Refused), type(error).__name__
        journal.write(BackupLog.Operation.IMPORT, level, str(error), user=user, refused=refused, error=kind)
        raise


class _Import:
    def __init__(self, archive: BinaryIO, sidecar: BinaryIO | None, *, accept_unsigned: bool) -> None:
        self.vault = catalogue.get_vault()
        self.written: list[str] = []
        self.incoming = incoming.recognised(archive)
        if sidecar is not None:
            self.signature = _read(sidecar)
            self.sidecar = _opened(self.signature, accept_unsigned)
        elif accept_unsigned:
            self.signature, self.sidecar = _made_up(self.incoming)
        else:
            raise Refused(
                _(
                    "Without its sidecar (NAME.manifest.json) nothing tells who made this archive. Import both"
                    " together; whoever knows where it comes from can use import_backup --accept-unsigned."
                )
            )
        self.enrolment = enrolling.enrolment(self.sidecar)

    def run(self, user: AbstractBaseUser | None, progress: Progress | None) -> BackupRecord:
        if not vaults.home().near:
            raise Refused(_("An import needs a vault on this machine: put one first in BACKUP_VAULTS."))
        _refuse_what_is_known(self.enrolment)
        _refuse_without_lenders(self.enrolment)
        if not self.sidecar.signed:
            _require_what_it_says(self.incoming, self.sidecar)
        self._copy(progress or (lambda table, done, total: None))
        try:
            return self._enrol(user)
        except BaseException:
            for name in reversed(self.written):
                vaults.home().delete(name)
            raise

    def _copy(self, progress: Progress) -> None:
        """It appears under its name when its size, its SHA-256 and every row are what the manifest says."""
        name, described = self.enrolment.record.file_path, self.sidecar.manifest
        with self.vault.create(name) as stream:
            _copy_exactly(self.incoming, stream, self.sidecar)
            stream.flush()
            source = catalogue.source(described, self.vault)
            source = replace(source, archives={**source.archives, described.id: name + PARTIAL})
            if found := verify.examine_chunks(described, source, progress):
                text = _("%(name)s is damaged; it was not imported.") % {"name": name}
                raise Damaged(text, [finding.message for finding in found])
        self.written.append(name)

    def _enrol(self, user: AbstractBaseUser | None) -> BackupRecord:
        """The sidecar comes last, as always. Who dies before COMMIT leaves what a rescan finds."""
        name = self.enrolment.record.backup_name + SIDECAR_SUFFIX
        with hold("import") as lease:
            interrupted.settle(lease)
            _refuse_what_is_known(self.enrolment, files=False)
            _refuse_without_lenders(self.enrolment)
            with transaction.atomic(using=home_alias()):
                [record] = enrolling.enrol([self.enrolment], lease)
                self._log(record, user)
                lease.check()
                with self.vault.create(name) as stream:
                    stream.write(self.signature)
                self.written.append(name)
                copies.find(record)
        return record

    def _log(self, record: BackupRecord, user: AbstractBaseUser | None) -> None:
        message, level = _("Imported; pinned until it is released."), BackupLog.Level.SUCCESS
        if record.is_unsigned:
            message = _("Imported without a signature of a key that is known here; it was accepted all the same.")
            level = BackupLog.Level.WARNING
        unsigned = {"accepted_unsigned": True} if record.is_unsigned else {}
        journal.write(
            BackupLog.Operation.IMPORT, level, message, record=record, user=user,
            project=str(record.project_id), **unsigned,
        )  # fmt: skip


def _read(sidecar: BinaryIO) -> bytes:
    data = sidecar.read(SIDECAR_LIMIT + 1)
    if len(data) > SIDECAR_LIMIT:
        raise Damaged(_("%(name)s is larger than any sidecar can be.") % {"name": _("The sidecar")})
    return data


def _opened(data: bytes, accept_unsigned: bool) -> Sidecar:
    try:
        return sidecars.open_sidecar(data, get_settings().signing_keys, _("The sidecar"), unsigned=accept_unsigned)
    except Locked as error:
        text = _("The backup is encrypted: put its three files into the vault (BACKUP_DIR), and run rescan_vaults.")
        raise Refused(text) from error


def _made_up(found: Incoming) -> tuple[bytes, Sidecar]:
    """From the manifest in the archive, which anybody may have written."""
    body = found.manifest(manifest.STRANGERS_LIMIT)
    described = manifest.load(body, strangers=True)
    found.stream.seek(0)
    sha256 = hashlib.file_digest(found.stream, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants more
    sidecar = Sidecar(size=found.size, sha256=sha256, manifest=described, signed=False)
    return sidecars.unsigned(body, found.size, sha256, described.needs), sidecar


def _require_what_it_says(found: Incoming, sidecar: Sidecar) -> None:
    """Nobody vouches for it: then archive and sidecar must at least say the same, and hold nothing else."""
    if manifest.load(found.manifest(manifest.STRANGERS_LIMIT), strangers=True) != sidecar.manifest:
        raise Damaged(_("The sidecar is another archive's."))
    found.require_exactly(sidecar.manifest)


def _copy_exactly(found: Incoming, stream: BinaryIO, sidecar: Sidecar) -> None:
    """Never more than the sidecar says: a file that grows meanwhile doesn't fill the disk."""
    if found.size != sidecar.size:
        text = _("The archive has %(found)d bytes instead of %(expected)d: it is cut off, or another backup's.")
        raise Damaged(text % {"found": found.size, "expected": sidecar.size})
    digest = hashlib.sha256()
    found.stream.seek(0)
    left = found.size
    while left and (piece := found.stream.read(min(BUFFER, left))):
        digest.update(piece)
        stream.write(piece)
        left -= len(piece)
    if digest.hexdigest() != sidecar.sha256:
        raise Damaged(_("The archive is damaged, or another backup's: its SHA-256 is not that of the sidecar."))


def _refuse_what_is_known(enrolment: Enrolment, *, files: bool = True) -> None:
    record, vault = enrolment.record, catalogue.get_vault()
    if known := BackupRecord.objects.filter(backup_id=record.backup_id).first():
        text = _("This backup is here already: %(name)s. If its files are damaged, delete it first.")
        raise Refused(text % {"name": known.backup_name})
    taken = BackupRecord.objects.filter(backup_name=record.backup_name).exists()
    if taken or (files and any(vault.exists(record.backup_name + suffix) for suffix in catalogue.SUFFIXES)):
        text = _("Another backup has the name %(name)s here. Delete that one first, or run rescan_vaults to see it.")
        raise Refused(text % {"name": record.backup_name})


def _refuse_without_lenders(enrolment: Enrolment) -> None:
    if missing := lineage.missing_lenders(enrolment.record):
        text = _("It borrows from other archives; import those first: %(missing)s")
        raise Refused(text % {"missing": " ".join(missing)})
