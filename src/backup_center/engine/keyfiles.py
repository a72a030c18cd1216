"""The key file beside an encrypted archive: its key, for the recipients. What can be told of it without opening it."""

from __future__ import annotations

from django.utils.translation import gettext as _

from .encryption import ARMOR, BINARY, KEY_SUFFIX
from .errors import Damaged, Incomplete, NotFound
from .packing import SEALED_SUFFIX
from .vault import Vault

LIMIT = 64 * 1024  # a hundred recipients take some 20 KiB
HEADER_ENDS, MAC = b"\n--- ", 43 + 1  # characters of base64 and a newline
PAYLOAD = 16 + 75 + 16  # nonce, an identity and a newline, tag


def name_of(archive: str) -> str:
    """By the archive's file name, or its stem."""
    return archive.removesuffix(SEALED_SUFFIX) + KEY_SUFFIX


def read(vault: Vault, name: str) -> bytes:
    """Raises ``NotFound`` or ``Damaged`` for what no key can open."""
    try:
        size = vault.size(name)
    except NotFound as error:
        text = _("%(error)s Without it nobody can decrypt its archive: bring it back from a copy.")
        raise NotFound(text % {"error": error}) from error
    if size > LIMIT:
        raise Damaged(_("%(name)s is larger than any key file can be.") % {"name": name})
    return sound(vault.read(name, 0, LIMIT), name)


def sound(data: bytes, name: str) -> bytes:
    """The same for what comes from elsewhere."""
    if len(data) > LIMIT:
        raise Damaged(_("%(name)s is larger than any key file can be.") % {"name": name})
    if data.startswith(ARMOR):
        return data
    if not data.startswith(BINARY):
        raise Damaged(_("%(name)s is damaged: it is no age file.") % {"name": name})
    end = data.find(HEADER_ENDS)
    if end < 0 or len(data) < end + len(HEADER_ENDS) + MAC + PAYLOAD:
        raise Incomplete(_("%(name)s is incomplete: it ends early.") % {"name": name})
    return data
