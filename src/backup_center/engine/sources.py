"""Where the chunks of a backup come from: the archives that hold them, each chunk checked before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from .chunks import Chunk
from .errors import Damaged, Incomplete, NotFound
from .packing import Packing
from .sidecar import Stored
from .vault import Vault


@dataclass(frozen=True, slots=True)
class Source:
    """``archives``: file names in the vault, by the ids that a manifest needs; ``packing`` tells how each is stored.

    ``name`` is what errors call a chunk. They are ``NotFound``, ``Damaged``, ``Locked`` or ``StorageFailed``.
    """

    vault: Vault
    archives: Mapping[str, str]
    packing: Callable[[str], Packing]

    def body(self, chunk: Chunk, name: str) -> bytes:
        """A chunk's JSON, checked against both digests."""
        body = self.packing(chunk.archive).body(self.stored(chunk, name), chunk.size)
        if hashlib.sha256(body).hexdigest() != chunk.sha256:
            raise Damaged(_("%(name)s is damaged: its rows are not those that were written.") % {"name": name})
        return body

    def stored(self, chunk: Chunk | Stored, name: str) -> bytes:
        """A chunk's stored bytes, checked against their digest."""
        if chunk.archive not in self.archives:
            raise NotFound(_("Archive %(id)s is needed and not known here.") % {"id": chunk.archive})
        stored = self.vault.read(self.archives[chunk.archive], chunk.offset, chunk.length)
        if len(stored) < chunk.length:
            raise Incomplete(_("%(name)s is incomplete: its archive ends early.") % {"name": name})
        if hashlib.sha256(stored).hexdigest() != chunk.stored_sha256:
            raise Damaged(_("%(name)s is damaged: its bytes are not those that were written.") % {"name": name})
        return stored
