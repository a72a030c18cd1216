"""Encryption with age: each archive has a key of its own, and that key is given to the operators' recipients.

The only module that knows pyrage. Keys are X25519 identities, as ``age-keygen`` makes them, so that ``age`` alone opens
everything by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from .errors import Damaged, Locked, Refused, Unsupported

KEY_SUFFIX = ".key.age"
ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
BINARY = b"age-encryption.org/v1"
BY_PASSPHRASE = BINARY + b"\n-> scrypt "  # such a file has no other recipient


def pyrage() -> Any:
    """The library. Raises ``Unsupported`` if it isn't there."""
    try:
        import pyrage
    except ImportError as error:
        raise Unsupported(
            _("Encryption needs pyrage, which isn't installed: pip install 'django-backup-center[encryption]'.")
        ) from error
    return pyrage


class ArchiveKey:
    """The key of one archive. ``public`` may be known to anybody: it encrypts."""

    def __init__(self, secret: str) -> None:
        self._identity = pyrage().x25519.Identity.from_str(secret)
        self._public = self._identity.to_public()
        self.public = str(self._public)

    @classmethod
    def generate(cls) -> ArchiveKey:
        return cls(new_identity())

    def seal(self, plain: bytes) -> bytes:
        """An age file."""
        return bytes(pyrage().encrypt(plain, [self._public]))

    def open(self, sealed: bytes) -> bytes:
        """Raises ``Damaged``."""
        try:
            return bytes(pyrage().decrypt(sealed, [self._identity]))
        except pyrage().DecryptError as error:
            raise Damaged(_("The encrypted data is damaged: %(error)s.") % {"error": error}) from error

    def as_file(self) -> bytes:
        """What ``age -i`` takes."""
        return f"{self._identity}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Who gets the keys of new archives: holders of the identities of these recipients, or of a passphrase."""

    public: tuple[str, ...] = ()
    passphrase: str = field(default="", repr=False)

    def wrap(self, key: ArchiveKey) -> bytes:
        """The archive's key as an age file, for the recipients only."""
        if self.public:
            return bytes(pyrage().encrypt(key.as_file(), list(map(recipient, self.public))))
        return bytes(pyrage().passphrase.encrypt(key.as_file(), self.passphrase))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """What opens the keys of archives, if this server has it: ``AGE-SECRET-KEY-1…``, or a passphrase."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    passphrase: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.secrets or self.passphrase)

    def unwrap(self, wrapped: bytes, public: str, name: str) -> ArchiveKey:
        """The key of the archive whose public key this is. ``name`` is what errors call its file.

        Raises ``Locked`` if nothing here opens it, ``Damaged`` for what is no key or another archive's.
        """
        if not self:
            text = _(
                "%(name)s can't be opened: this server has no key. Set BACKUP_ENCRYPTION_IDENTITY_FILE, or run it where"
                " the key is."
            )
            raise Locked(text % {"name": name})
        try:
            found = ArchiveKey(self._decrypted(wrapped).decode().strip())
        except (pyrage().IdentityError, UnicodeDecodeError) as error:
            raise Damaged(_("%(name)s holds no key: %(error)s.") % {"name": name, "error": error}) from error
        except pyrage().DecryptError as error:
            if not wrapped.startswith((BINARY, ARMOR)):
                raise Damaged(_("%(name)s is damaged: it is no age file.") % {"name": name}) from error
            text = _(
                "%(name)s can't be opened with the key of this server (%(error)s): it was encrypted for others, or is"
                " damaged."
            )
            raise Locked(text % {"name": name, "error": error}) from error
        if found.public != public:
            raise Damaged(_("%(name)s is the key of another archive.") % {"name": name})
        return found

    def _decrypted(self, wrapped: bytes) -> bytes:
        if self.passphrase and (not self.secrets or wrapped.startswith(BY_PASSPHRASE)):
            return bytes(pyrage().passphrase.decrypt(wrapped, self.passphrase))
        return bytes(pyrage().decrypt(wrapped, [pyrage().x25519.Identity.from_str(key) for key in self.secrets]))


def recipient(text: str) -> Any:
    """Raises ``Refused`` for what is no age recipient."""
    try:
        return pyrage().x25519.Recipient.from_str(text)
    except pyrage().RecipientError as error:
        shown = "AGE-SECRET-KEY-…" if text.upper().startswith("AGE-SECRET") else text
        raise Refused(
            _("%(text)s is no age recipient (age1…): %(error)s.") % {"text": shown, "error": error}
        ) from error


def new_identity() -> str:
    return str(pyrage().x25519.Identity.generate())


def public_of(secrets: Sequence[str]) -> list[str]:
    """The recipients that these identities belong to. Raises ``Refused`` for what is no identity; never shows it."""
    try:
        return [str(pyrage().x25519.Identity.from_str(secret).to_public()) for secret in secrets]
    except pyrage().IdentityError as error:
        raise Refused(_("The identity file holds what is no age identity (AGE-SECRET-KEY-1…).")) from error


def protected_identity_file(data: bytes, passphrase: str) -> bytes:
    """What ``age -p`` makes of an identity file."""
    return bytes(pyrage().passphrase.encrypt(data, passphrase))


def opened_identity_file(data: bytes, passphrase: str) -> bytes:
    """An identity file's text; one that is protected (``age -p``) is opened with the passphrase."""
    if not data.startswith((BINARY, ARMOR)):
        return data
    if not passphrase:
        raise Locked(
            _("The identity file is protected by a passphrase: set BACKUP_ENCRYPTION_PASSPHRASE in the environment.")
        )
    try:
        return bytes(pyrage().passphrase.decrypt(data, passphrase))
    except pyrage().DecryptError as error:
        raise Locked(_("The passphrase does not open the identity file: %(error)s.") % {"error": error}) from error
