"""The operators' keys: to whom backups are encrypted, and what this server can decrypt.

Public keys stand in the settings. A secret key is only where something must be read again: its file is named by a
setting or by the environment, or the environment holds it. Nothing here is written to the database or the log.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import encryption
from ..engine.encryption import ArchiveKey, Identities, Recipients
from ..engine.errors import BackupCenterError, NoKey, Refused, StorageFailed
from ..engine.keyring import Keyring
from ..engine.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """For people: abbreviated public keys, and why something can't be encrypted or decrypted here; empty if it can."""

    recipients: tuple[str, ...]
    cannot_encrypt: str
    cannot_decrypt: str
    own: tuple[str, ...]


def recipients() -> Recipients | None:
    """To whom the next backup is encrypted; ``None`` if it is plain. Raises ``Refused`` or ``Unsupported``."""
    settings = get_settings()
    return Recipients(settings.encryption_recipients, settings.passphrase) if settings.encryption else None


def identities() -> Identities:
    """Raises ``NoKey`` where this server shall not decrypt, ``WrongKey`` or ``Refused`` if what is set is of no use."""
    settings = get_settings()
    encryption.require()
    if settings.identity_file is not None:
        content, name = _content(settings.identity_file), str(settings.identity_file)
        return encryption.identities(content, settings.passphrase, name)
    if settings.identity:
        content = settings.identity.encode()
        return encryption.identities(content, settings.passphrase, "BACKUP_ENCRYPTION_IDENTITY")
    if settings.passphrase:
        return Identities((), settings.passphrase)
    raise NoKey(
        _(
            "This server has no key to decrypt with. Set BACKUP_ENCRYPTION_IDENTITY_FILE to the file with the secret"
            " key, for as long as it is needed."
        )
    )


def keyring(vault: Vault) -> Keyring:
    return Keyring(vault, identities)


def state() -> KeyState:
    settings = get_settings()
    own: tuple[str, ...] = ()
    cannot_encrypt = cannot_decrypt = ""
    try:
        recipients()
    except BackupCenterError as error:
        cannot_encrypt = str(error)
    try:
        own = identities().recipients
    except BackupCenterError as error:
        cannot_decrypt = str(error)
    return KeyState(
        recipients=tuple(map(encryption.abbreviated, settings.encryption_recipients)),
        cannot_encrypt=cannot_encrypt,
        cannot_decrypt=cannot_decrypt,
        own=tuple(map(encryption.abbreviated, own)),
    )


def generate(path: Path, passphrase: str = "") -> str:
    """A new secret key in a file that only we can read; returns its public half. Overwrites nothing."""
    key = ArchiveKey.generate()
    text = f"# public key: {key.recipient}\n{key.secret}"
    data = encryption.protect(text, passphrase) if passphrase else text.encode()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError as error:
        text = _("%(path)s is there already; it is not overwritten, for whatever it decrypts would be lost.")
        raise Refused(text % {"path": path}) from error
    except OSError as error:
        raise StorageFailed(_("%(path)s: %(error)s.") % {"path": path, "error": error.strerror or error}) from error
    return key.recipient


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        text = _("BACKUP_ENCRYPTION_IDENTITY_FILE (%(path)s) can't be read: %(error)s.")
        raise NoKey(text % {"path": path, "error": error.strerror or error}) from error
