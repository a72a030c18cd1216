"""What an operator does with keys: look at them, check what they open, give archives' keys to other recipients."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import encryption
from ..engine.encryption import KEY_SUFFIX, ArchiveKey
from ..engine.errors import BackupCenterError, Locked, Refused, StorageFailed
from ..engine.vault import Vault
from ..models import BackupLog, BackupRecord
from . import catalogue, interrupted, journal, keys, vaults
from .connecting import home_alias, refuse_inside_transaction
from .lease import hold


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Recipients are public; of the identities only the recipients that they belong to are told."""

    encrypts: bool
    recipients: tuple[str, ...]
    passphrase: bool
    opens: tuple[str, ...]
    problem: str


def state() -> State:
    """What is set. Raises nothing: ``problem`` says what is wrong."""
    settings = get_settings()
    opens: tuple[str, ...] = ()
    problem = ""
    try:
        keys.recipients()
        opens = tuple(encryption.public_of(keys.identities().secrets))
    except BackupCenterError as error:
        problem = str(error)
    return State(
        encrypts=settings.encryption,
        recipients=settings.recipients,
        passphrase=bool(settings.passphrase),
        opens=opens,
        problem=problem,
    )


def encrypted() -> list[BackupRecord]:
    """The encrypted backups that can be used, the newest first."""
    found = BackupRecord.objects.filter(is_encrypted=True, status=BackupRecord.Status.SUCCESS)
    return list(found.defer("contents", "progress"))


def locked(records: Iterable[BackupRecord]) -> Iterator[tuple[BackupRecord, str]]:
    """Of each backup, why this server can't open it; empty if it can."""
    vault = catalogue.get_vault()
    for record in records:
        try:
            clear = catalogue.open_clear(record, vault)
            catalogue.source(clear, vault).packing(clear.id)
        except BackupCenterError as error:
            yield record, str(error)
        else:
            yield record, ""


def generate(path: Path, *, protect: bool = False) -> str:
    """A new identity in a file of its own, readable by its owner alone; the recipient that it belongs to.

    ``protect``: the file itself is encrypted with BACKUP_ENCRYPTION_PASSPHRASE.
    """
    passphrase = get_settings().passphrase
    if protect and not passphrase:
        raise Refused(_("There is no passphrase: set BACKUP_ENCRYPTION_PASSPHRASE in the environment."))
    secret = encryption.new_identity()
    [recipient] = encryption.public_of([secret])
    data = f"# public key: {recipient}\n{secret}\n".encode()
    if protect:
        data = encryption.protected_identity_file(data, passphrase)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(_("%(path)s is there already; a key is never overwritten.") % {"path": path}) from error
    except OSError as error:
        text = _("%(path)s can't be written: %(error)s.")
        raise StorageFailed(text % {"path": path, "error": error.strerror or error}) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return recipient


@journal.noting_refusals(BackupLog.Operation.VERIFY)
def rekey(records: Iterable[BackupRecord]) -> tuple[list[str], list[str]]:
    """Give the keys of these archives to the recipients that are set now; returns the names.

    Also returns the vaults in which older keys stay (append-only, or only read): keep the older identities for those.

    Only the small key files are written anew, each at one stroke. Raises ``Locked`` before anything is changed, if one
    of them can't be opened here.
    """
    recipients = keys.recipients()
    if recipients is None:
        raise Refused(_("BACKUP_ENCRYPTION is off: there is nobody to give the keys to."))
    refuse_inside_transaction(home_alias())
    vault = catalogue.get_vault()
    with hold("keys") as lease:
        interrupted.settle(lease)
        opened = _opened(records, vault)
        older: set[str] = set()
        for record, key in opened:
            lease.check()
            older |= _give(record, recipients.wrap(key))
    return [record.backup_name for record, _key in opened], sorted(older)


def _give(record: BackupRecord, wrapped: bytes) -> set[str]:
    """The vaults in which the older key stays, since nothing is replaced there."""
    name = record.backup_name + KEY_SUFFIX
    _replace(name, wrapped)
    message, level = _("Its key was given to the recipients that are set now."), BackupLog.Level.INFO
    stays = [each for each in vaults.names() if each not in vaults.erasable() and vaults.named(each).exists(name)]
    if stays:
        message += " " + _("Only older identities open its copies in %(vaults)s.") % {"vaults": ", ".join(stays)}
        level = BackupLog.Level.WARNING
    journal.write(
        BackupLog.Operation.VERIFY,
        level,
        message,
        record=record,
        older_keys_in=stays,
        recipients=list(get_settings().recipients),
    )
    return set(stays)


def _replace(name: str, data: bytes) -> None:
    """In every vault that has the file and in which we delete; elsewhere the older recipients keep their access."""
    for vault in map(vaults.named, vaults.erasable()):
        if vault.exists(name):
            vault.put(name, BytesIO(data), len(data), hashlib.sha256(data).hexdigest(), replace=True)


def _opened(records: Iterable[BackupRecord], vault: Vault) -> list[tuple[BackupRecord, ArchiveKey]]:
    unlock = keys.unlocking(vault)
    opened = []
    for record in records:
        catalogue.refresh(record)
        catalogue.restorable(record)
        clear = catalogue.open_clear(record, vault)
        if not clear.keys:
            raise Refused(_("%(name)s is not encrypted.") % {"name": record.backup_name})
        try:
            opened.append((record, unlock(clear.name, clear.keys[clear.id])))
        except Locked as error:
            raise Locked(_("No key was changed: %(error)s") % {"error": error}) from error
    return opened
