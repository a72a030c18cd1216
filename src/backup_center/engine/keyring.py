"""The keys of archives, each taken from the key file beside its archive when it is first needed."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _

from .codecs import CODECS
from .encryption import KEY_FILE_LIMIT, KEY_SUFFIX, ArchiveKey, Identities
from .errors import Damaged, NotFound
from .vault import Vault

ARCHIVES = tuple(codec.suffix for codec in CODECS.values() if codec.encrypted)


class Keyring:
    """``identities`` is asked once, when something is to be decrypted; it raises ``NoKey`` where there is none."""

    def __init__(self, vault: Vault, identities: Callable[[], Identities]) -> None:
        self._vault, self._identities = vault, identities
        self._by: Identities | None = None
        self._keys: dict[str, ArchiveKey] = {}

    def key(self, archive: str) -> ArchiveKey:
        """By the archive's file name. Raises ``NoKey``, ``WrongKey``, ``NotFound`` or ``Damaged``."""
        if archive not in self._keys:
            if self._by is None:
                self._by = self._identities()
            name = key_file(archive)
            self._keys[archive] = ArchiveKey.unlocked(read_key_file(self._vault, name), self._by, name)
        return self._keys[archive]


def key_file(archive: str) -> str:
    return next((archive.removesuffix(s) for s in ARCHIVES if archive.endswith(s)), archive) + KEY_SUFFIX


def read_key_file(vault: Vault, name: str) -> bytes:
    """Raises ``NotFound``, with what it means."""
    try:
        size = vault.size(name)
    except NotFound as error:
        text = _("%(error)s Without this key file nobody can decrypt its archive: bring it back from a copy.")
        raise NotFound(text % {"error": error}) from error
    if size > KEY_FILE_LIMIT:
        raise Damaged(_("%(name)s is larger than any key file can be.") % {"name": name})
    return vault.read(name, 0, KEY_FILE_LIMIT)
