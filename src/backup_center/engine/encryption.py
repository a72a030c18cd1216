"""Encryption by age (https://age-encryption.org): the only module that knows pyrage.

Each archive has a fresh X25519 key, its ``ArchiveKey``. That key, encrypted to the operators' recipients, is the key
file beside the archive: who makes backups needs no secret, and new recipients rewrite no archive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any

from django.utils.translation import gettext as _

from .errors import Damaged, Refused, Unsupported, WrongKey

KEY_SUFFIX = ".key.age"
KEY_FILE_LIMIT = 256 * 1024  # room for a thousand recipients
PASSPHRASE = "passphrase"  # the recipient that stands for the passphrase # noqa: S105
BEGINNING = b"age-encryption.org/v1"
BY_PASSPHRASE = BEGINNING + b"\n-> scrypt "
SHOWN = (10, 6)  # letters of a public key: at its beginning, which is always age1, and at its end


def require() -> None:
    """Raises ``Unsupported`` unless this Python can encrypt."""
    _pyrage()


def _pyrage() -> ModuleType:
    try:
        import pyrage
    except ImportError as error:
        text = _("Encryption needs pyrage, which isn't installed: pip install 'django-backup-center[encryption]'.")
        raise Unsupported(text) from error
    return pyrage  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Recipients:
    """To whom key files are encrypted. Raises ``Refused``, with the name of what is none."""

    names: tuple[str, ...]
    passphrase: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.names:
            raise Refused(
                _(
                    "BACKUP_ENCRYPTION is on, and BACKUP_ENCRYPTION_RECIPIENTS names nobody who could decrypt."
                    " backup_keys generate makes a key."
                )
            )
        if PASSPHRASE in self.names:
            self._refuse_passphrase()
        else:
            self._parsed()

    def seal(self, data: bytes) -> bytes:
        age = _pyrage()
        if PASSPHRASE in self.names:
            return bytes(age.passphrase.encrypt(data, self.passphrase))
        return bytes(age.encrypt(data, self._parsed()))

    def _parsed(self) -> list[Any]:
        age, found = _pyrage(), []
        for name in self.names:
            try:
                found.append(age.x25519.Recipient.from_str(name))
            except age.RecipientError as error:
                # Perhaps somebody put a secret key there: only its beginning is shown.
                shown = name if name.startswith("age1") else name[:8] + "…"
                text = _("BACKUP_ENCRYPTION_RECIPIENTS: %(name)s is not a public key of age (age1…).")
                raise Refused(text % {"name": shown}) from error
        return found

    def _refuse_passphrase(self) -> None:
        if len(self.names) > 1:
            text = _("BACKUP_ENCRYPTION_RECIPIENTS: age allows no other recipient beside a passphrase.")
            raise Refused(text)
        if not self.passphrase:
            text = _("BACKUP_ENCRYPTION_RECIPIENTS says passphrase, and BACKUP_ENCRYPTION_PASSPHRASE is not set.")
            raise Refused(text)


@dataclass(frozen=True, slots=True)
class Identities:
    """The secrets by which key files are decrypted."""

    secrets: tuple[Any, ...] = field(repr=False)
    passphrase: str = field(default="", repr=False)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Their public halves."""
        return tuple(str(secret.to_public()) for secret in self.secrets)

    def open(self, data: bytes, name: str) -> bytes:
        """What a key file holds. Raises ``WrongKey`` or ``Damaged``; both call it ``name``."""
        age = _pyrage()
        if not data.startswith(BEGINNING):
            raise Damaged(_("%(name)s is damaged: it is not a file of age.") % {"name": name})
        by_passphrase = data.startswith(BY_PASSPHRASE)
        if not (self.passphrase if by_passphrase else self.secrets):
            raise WrongKey(_wrong(name))
        try:
            if by_passphrase:
                return _by_passphrase(data, self.passphrase)
            return bytes(age.decrypt(data, self.secrets))
        except age.DecryptError as error:
            if "matching keys" in str(error) or by_passphrase:
                raise WrongKey(_wrong(name)) from error
            raise Damaged(_("%(name)s is damaged: age can't decrypt it.") % {"name": name}) from error


@lru_cache(maxsize=64)  # a passphrase takes a second each time, on purpose; the process has it anyway
def _by_passphrase(data: bytes, passphrase: str) -> bytes:
    return bytes(_pyrage().passphrase.decrypt(data, passphrase))


def _wrong(name: str) -> str:
    return _(
        "%(name)s was encrypted to other keys than this server has. Set BACKUP_ENCRYPTION_IDENTITY_FILE to a file with"
        " the right one; it may hold several, old ones too."
    ) % {"name": name}


def identities(content: bytes, passphrase: str, name: str) -> Identities:
    """Of a file as age-keygen writes it, perhaps protected by a passphrase. Errors call it ``name``."""
    age = _pyrage()
    if content.startswith((BEGINNING, b"-----BEGIN AGE")):
        if not passphrase:
            text = _("%(name)s is protected by a passphrase: set BACKUP_ENCRYPTION_PASSPHRASE in the environment.")
            raise WrongKey(text % {"name": name})
        try:
            content = _by_passphrase(content, passphrase)
        except age.DecryptError as error:
            raise WrongKey(_("BACKUP_ENCRYPTION_PASSPHRASE does not open %(name)s.") % {"name": name}) from error
    secrets = []
    for line in content.decode("utf-8", "replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            secrets.append(age.x25519.Identity.from_str(line.strip()))
        except age.IdentityError:
            raise Refused(_not_an_identity(name)) from None
    if not secrets:
        raise Refused(_not_an_identity(name))
    return Identities(tuple(secrets), passphrase)


def _not_an_identity(name: str) -> str:
    return _("%(name)s is not a file of secret keys (AGE-SECRET-KEY-1…) as backup_keys generate writes it.") % {
        "name": name
    }


class ArchiveKey:
    """The key of one archive."""

    def __init__(self, identity: Any) -> None:
        self._identity, self._public = identity, identity.to_public()

    @classmethod
    def generate(cls) -> ArchiveKey:
        return cls(_pyrage().x25519.Identity.generate())

    @classmethod
    def unlocked(cls, data: bytes, by: Identities, name: str) -> ArchiveKey:
        """From a key file's bytes. Raises ``WrongKey`` or ``Damaged``."""
        age = _pyrage()
        try:
            return cls(age.x25519.Identity.from_str(by.open(data, name).decode("ascii", "replace").strip()))
        except age.IdentityError:
            raise Damaged(_("%(name)s is damaged: it holds no key.") % {"name": name}) from None

    @property
    def recipient(self) -> str:
        return str(self._public)

    @property
    def secret(self) -> str:
        """As age's tools read it."""
        return f"{self._identity}\n"

    def locked(self, recipients: Recipients) -> bytes:
        """The key file's bytes."""
        return recipients.seal(self.secret.encode())

    def seal(self, data: bytes) -> bytes:
        return bytes(_pyrage().encrypt(data, [self._public]))

    def open(self, data: bytes, name: str) -> bytes:
        """Raises ``Damaged``."""
        age = _pyrage()
        try:
            return bytes(age.decrypt(data, [self._identity]))
        except age.DecryptError as error:
            text = _("%(name)s is damaged: its archive's key does not decrypt it.")
            raise Damaged(text % {"name": name}) from error


def protect(secret: str, passphrase: str) -> bytes:
    """An identity file that only the passphrase opens."""
    return bytes(_pyrage().passphrase.encrypt(secret.encode(), passphrase))


def abbreviated(recipient: str) -> str:
    """Short enough to be read aloud, long enough to tell keys apart."""
    first, last = SHOWN
    return f"{recipient[:first]}…{recipient[-last:]}" if len(recipient) > first + last else recipient
