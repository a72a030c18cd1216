"""Where the chunks of a backup come from: the archives that hold them, each chunk checked before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from .archive import unpack_entry
from .chunks import Chunk, StoredChunk
from .codecs import CODECS, Codec
from .encryption import ArchiveKey
from .errors import Damaged, Incomplete, NoKey, NotFound
from .keyring import Keyring
from .vault import Vault


@dataclass(frozen=True, slots=True)
class Source:
    """``archives``: file names in the vault, by the ids that a manifest needs. All are stored with one ``codec``.

    ``keyring`` opens encrypted ones, each by its own key. ``name`` is what errors call a chunk. They are ``NotFound``,
    ``Damaged``, ``StorageFailed``, ``NoKey`` or ``WrongKey``.
    """

    vault: Vault
    archives: Mapping[str, str]
    codec: str
    keyring: Keyring | None = None

    def body(self, chunk: Chunk, name: str) -> bytes:
        """A chunk's JSON, checked against both digests."""
        stored = self.stored(chunk, name)
        if self._codec.encrypted:
            body = self._codec.unpack(self._key(chunk.archive).open(stored, name), chunk.size)
        else:
            body = unpack_entry(stored, chunk.size, self._codec)
        if hashlib.sha256(body).hexdigest() != chunk.sha256:
            raise Damaged(_("%(name)s is damaged: its rows are not those that were written.") % {"name": name})
        return body

    def stored(self, chunk: Chunk | StoredChunk, name: str) -> bytes:
        """A chunk's stored bytes, checked against their digest."""
        if chunk.archive not in self.archives:
            raise NotFound(_("Archive %(id)s is needed and not known here.") % {"id": chunk.archive})
        stored = self.vault.read(self.archives[chunk.archive], chunk.offset, chunk.length)
        if len(stored) < chunk.length:
            raise Incomplete(_("%(name)s is incomplete: its archive ends early.") % {"name": name})
        if hashlib.sha256(stored).hexdigest() != chunk.stored_sha256:
            raise Damaged(_("%(name)s is damaged: its bytes are not those that were written.") % {"name": name})
        return stored

    def _key(self, archive: str) -> ArchiveKey:
        if self.keyring is None:
            raise NoKey(_("What is encrypted can't be read without a key."))
        return self.keyring.key(self.archives[archive])

    @property
    def _codec(self) -> Codec:
        return CODECS[self.codec]
