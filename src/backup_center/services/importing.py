"""A backup that was downloaded comes into the vault: checked to its last row before it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import incoming, keyfiles, manifest, verify
from ..engine import sidecar as sidecars
from ..engine.encryption import KEY_SUFFIX, ArchiveKey
from ..engine.errors import BackupCenterError, Damaged, Locked, Refused
from ..engine.incoming import Incoming
from ..engine.sidecar import SIDECAR_LIMIT, SIDECAR_SUFFIX, Clear, Sidecar
from ..engine.vault import BUFFER, PARTIAL
from ..models import BackupLog, BackupRecord
from . import catalogue, copies, enrolling, interrupted, journal, keys, lineage, vaults
from .connecting import deciding, home_alias, refuse_inside_transaction
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
    key: BinaryIO | None = None,
    accept_unsigned: bool = False,
    progress: Progress | None = None,
) -> BackupRecord:
    """Take an archive in, with its sidecar and, of an encrypted one, its key file, pinned. All are open files.

    Rows are checked if this server can open it; else the bytes that were signed are. What no key known here signed is
    refused, unless ``accept_unsigned``: then it needs no sidecar, and is marked.
    """
    refuse_inside_transaction(home_alias())
    try:
        return _Import(archive, sidecar, key, accept_unsigned=accept_unsigned).run(user, progress)
    except BackupCenterError as error:
        level, refused, kind = BackupLog.Level.ERROR, isinstance(error, Refused), type(error).__name__
        journal.write(BackupLog.Operation.IMPORT, level, str(error), user=user, refused=refused, error=kind)
        raise


class _Import:
    def __init__(
        self, archive: BinaryIO, sidecar: BinaryIO | None, key: BinaryIO | None, *, accept_unsigned: bool
    ) -> None:
        self.vault = catalogue.get_vault()
        self.written: list[str] = []
        self.incoming = incoming.recognised(archive)
        self.key = b""
        self.sidecar: Sidecar | Clear
        if sidecar is not None:
            self.signature = _read(sidecar)
            try:
                self.sidecar = sidecars.open_sidecar(
                    self.signature, get_settings().signing_keys, _("The sidecar"), unsigned=accept_unsigned
                )
            except Locked:
                self.key = _read_key(key)
                self.sidecar = _unlocked(self.signature, self.key)
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
        if isinstance(self.sidecar, Sidecar) and not self.sidecar.signed:
            _require_what_it_says(self.incoming, self.sidecar)
        try:
            self._copy(progress or (lambda table, done, total: None))
            return self._enrol(user)
        except BaseException:
            for name in reversed(self.written):
                vaults.home().delete(name)
            raise

    def _copy(self, progress: Progress) -> None:
        """It appears under its name when its size, its SHA-256 and every row are what the manifest says."""
        name = self.enrolment.record.file_path
        if self.key:
            self._write(self.enrolment.record.backup_name + KEY_SUFFIX, self.key)
        with self.vault.create(name) as stream:
            _copy_exactly(self.incoming, stream, self.sidecar)
            stream.flush()
            if findings := self._findings(name + PARTIAL, progress):
                text = _("%(name)s is damaged; it was not imported.") % {"name": name}
                raise Damaged(text, [finding.message for finding in findings])
        self.written.append(name)

    def _findings(self, partial: str, progress: Progress) -> list[verify.Finding]:
        """Of its rows; without a key, of what it borrows: its own bytes are those that were signed."""
        found = self.sidecar
        if isinstance(found, Clear):
            return verify.examine_content(found, catalogue.source(found, self.vault))
        source = catalogue.source(found.manifest, self.vault)
        source = replace(source, archives={**source.archives, found.id: partial})
        return verify.examine_chunks(found.manifest, source, progress)

    def _write(self, name: str, data: bytes) -> None:
        with self.vault.create(name) as stream:
            stream.write(data)
        self.written.append(name)

    def _enrol(self, user: AbstractBaseUser | None) -> BackupRecord:
        """The sidecar comes last, as always. Who dies before COMMIT leaves what a rescan finds."""
        name = self.enrolment.record.backup_name + SIDECAR_SUFFIX
        with hold("import") as lease:
            interrupted.settle(lease)
            _refuse_what_is_known(self.enrolment, files=False)
            _refuse_without_lenders(self.enrolment)
            with deciding():
                [record] = enrolling.enrol([self.enrolment], lease)
                self._log(record, user)
                lease.check()
                self._write(name, self.signature)
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


def _read_key(key: BinaryIO | None) -> bytes:
    if key is None:
        raise Refused(_("The backup is encrypted: import its key file (NAME.key.age) together with it."))
    return keyfiles.sound(key.read(keyfiles.LIMIT + 1), _("The key file"))


def _unlocked(data: bytes, key: bytes) -> Sidecar | Clear:
    """With its manifest, if this server can open it. An encrypted one must be signed."""
    trusted, name = get_settings().signing_keys, _("The sidecar")

    def unlock(clear: Clear) -> ArchiveKey:
        return keys.identities().unwrap(key, clear.keys[clear.id], _("The key file"))

    try:
        return sidecars.open_sidecar(data, trusted, name, unlock)
    except Locked:
        return sidecars.open_clear(data, trusted, name)


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


def _copy_exactly(found: Incoming, stream: BinaryIO, sidecar: Sidecar | Clear) -> None:
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
