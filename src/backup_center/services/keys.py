"""Who can open backups: the recipients of new archives' keys, and what this server itself can open."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import encryption, keyfiles
from ..engine.encryption import ArchiveKey, Identities, Recipients
from ..engine.errors import BackupCenterError, Damaged, Locked, NotFound, Refused, StorageFailed
from ..engine.vault import LocalVault, Vault


def recipients() -> Recipients | None:
    """To whom new archives are encrypted; ``None`` while encryption is off.

    Raises ``Refused`` where it is on and not possible: no plain backup is ever taken in its place.
    """
    settings = get_settings()
    if not settings.encryption:
        return None
    encryption.pyrage()
    for text in settings.recipients:
        encryption.recipient(text)
    if not settings.recipients and not settings.passphrase:
        raise Refused(
            _(
                "BACKUP_ENCRYPTION is on, and nobody could open the backup: set BACKUP_ENCRYPTION_RECIPIENTS, for"
                " example to what `backup_keys generate FILE` prints. No plain backup was taken in its place."
            )
        )
    return Recipients(public=settings.recipients, passphrase=settings.passphrase)


def identities() -> Identities:
    """What this server can open. Raises ``Refused`` or ``Locked`` for an identity that can't be used."""
    settings = get_settings()
    texts = [settings.identity] if settings.identity else []
    if settings.identity_file:
        texts.append(_read(settings.identity_file, settings.passphrase))
    secrets = tuple(line for text in texts for line in _lines(text))
    encryption.public_of(secrets)
    return Identities(secrets=secrets, passphrase=settings.passphrase)


def kept_manifests() -> LocalVault:
    """Where the manifests of our own encrypted backups lie in clear, as well guarded as the database beside them."""
    return LocalVault(get_settings().manifests)


def unlocking(vault: Vault) -> Callable[[str, str], ArchiveKey]:
    """Opens the key of the archive with this name (a stem) and public key. Each is opened once."""

    @cache
    def unlock(name: str, public: str) -> ArchiveKey:
        return _opened(vault, keyfiles.name_of(name), public, opener)

    opener = identities()
    return unlock


def _opened(vault: Vault, file: str, public: str, opener: Identities) -> ArchiveKey:
    """From the nearest copy that it comes out of: one that is damaged can look like one that was meant for others."""
    failure: BackupCenterError | None = None
    for copy in vault.copies(file):
        try:
            return opener.unwrap(keyfiles.read(copy, file), public, file)
        except (Damaged, Locked, NotFound, StorageFailed) as error:
            if failure is None or isinstance(failure, NotFound):
                failure = error
    raise failure or NotFound(_("No vault is there to look for %(name)s.") % {"name": file})


def why_locked() -> str:
    """Why this server can't open encrypted backups; empty if it can open some."""
    try:
        found = identities()
    except BackupCenterError as error:
        return str(error)
    return "" if found else _("This server has no key: it makes encrypted backups and can't read them.")


def _read(path: Path, passphrase: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        text = _("The identity file %(path)s can't be read: %(error)s.")
        raise Locked(text % {"path": path, "error": error.strerror or error}) from error
    return encryption.opened_identity_file(data, passphrase).decode("utf-8", "replace")


def _lines(text: str) -> list[str]:
    """The identities of an identity file, without comments."""
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
