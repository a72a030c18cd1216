"""The clear part of an encrypted backup's sidecar: enough to find, to order and to prove it whole."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.translation import gettext as _

from . import manifest
from .chunks import StoredChunk
from .codecs import CODECS
from .encryption import ArchiveKey
from .errors import Damaged
from .manifest import FORMAT, SIDECAR_LIMIT, Manifest, Sidecar

MEMBERS = ("project", "id", "sequence", "name", "type", "parent", "codec", "started_at", "finished_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What a sidecar tells whoever has no key, of a plain backup as well.

    ``recipient``: the public half of the archive's own key, which the key file must hold. ``size`` and ``sha256`` are
    the archive's.
    """

    project: str
    id: str
    sequence: int
    name: str
    type: str
    parent: str | None
    needs: tuple[str, ...]
    codec: str
    started_at: str
    finished_at: str
    size: int
    sha256: str
    recipient: str | None
    chunks: tuple[StoredChunk, ...]

    @property
    def archive_name(self) -> str:
        return self.name + CODECS[self.codec].suffix


def seal(body: Sequence[bytes], codec: str, key: ArchiveKey) -> bytes:
    """A manifest's JSON, as archive and sidecar hold it."""
    return key.seal(b"".join(CODECS[codec].pack_pieces(body)))


def sign(
    record: Manifest, sealed: bytes, size: int, sha256: str, key: ArchiveKey, signing_key: bytes
) -> Iterator[bytes]:
    """The sidecar of an encrypted backup, in pieces."""
    numbers = {archive: number for number, archive in enumerate(record.needs)}
    cover = {
        "format": FORMAT,
        **{name: getattr(record, name) for name in MEMBERS},
        "recipient": key.recipient,
        "chunks": [
            (numbers[chunk.archive], chunk.offset, chunk.length, chunk.stored_sha256)
            for table in record.tables
            for chunk in table.chunks
        ],
    }
    facts = {
        "archive": {"size": size, "sha256": sha256},
        "needs": record.needs,
        "manifest_sha256": manifest.sha256_of([sealed]),
        "cover": cover,
    }
    line = (orjson.dumps(facts)[:-1], b',"sealed":"', b64encode(sealed), b'"}')
    return manifest.signed(line, signing_key)


def read(data: bytes, keys: Sequence[bytes], name: str) -> Cover:
    """Of any sidecar, plain or encrypted. Raises what ``open_sidecar`` raises; all call it ``name``."""
    body = manifest.verified(data, keys, name)
    try:
        facts = orjson.loads(body)
        if "sealed" not in facts:
            return of(manifest.open_sidecar(data, keys, name))
        manifest.refuse_unknown(facts["cover"])
        return _cover(facts)
    except manifest.UNREADABLE as error:
        raise Damaged(_("%(name)s is not readable: %(error)s.") % {"name": name, "error": error}) from error


def of(sidecar: Sidecar) -> Cover:
    """Of a manifest that is open."""
    record = sidecar.manifest
    return Cover(
        **{name: getattr(record, name) for name in MEMBERS},
        needs=record.needs,
        size=sidecar.size,
        sha256=sidecar.sha256,
        recipient=None,
        chunks=places(record),
    )


def places(record: Manifest) -> tuple[StoredChunk, ...]:
    """All chunks of all tables, in order, as they are known without a key."""
    return tuple(
        StoredChunk(chunk.archive, chunk.offset, chunk.length, chunk.stored_sha256)
        for table in record.tables
        for chunk in table.chunks
    )


def unsealing(name: str, key_of: Callable[[str], ArchiveKey]) -> manifest.Unseal:
    """What opens an encrypted sidecar, called ``name``. ``key_of`` knows keys by the names of archives."""

    def unseal(facts: Mapping[str, Any]) -> bytes:
        manifest.refuse_unknown(facts["cover"])
        cover = _cover(facts)
        key = key_of(cover.archive_name)
        refuse_another(key, cover)
        packed = key.open(b64decode(facts["sealed"], validate=True), name)
        return CODECS[cover.codec].unpack(packed, SIDECAR_LIMIT)

    return unseal


def refuse_another(key: ArchiveKey, cover: Cover) -> None:
    """Raises ``Damaged`` unless it is the key that the signed sidecar names."""
    if key.recipient != cover.recipient:
        text = _("The key file of %(name)s belongs to another backup: bring the right one back from a copy.")
        raise Damaged(text % {"name": cover.name})


def _cover(facts: Mapping[str, Any]) -> Cover:
    cover, needs = facts["cover"], tuple(facts["needs"])
    chunks = (StoredChunk(needs[number], *rest) for number, *rest in cover["chunks"])
    return Cover(
        **{name: cover[name] for name in MEMBERS},
        needs=needs,
        size=int(facts["archive"]["size"]),
        sha256=str(facts["archive"]["sha256"]),
        recipient=str(cover["recipient"]),
        chunks=tuple(chunks),
    )
