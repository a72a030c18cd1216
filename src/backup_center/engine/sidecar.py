"""The sidecar: a backup's manifest beside its archive, signed. It is written last: with it, the backup exists.

That of an encrypted backup has two parts: the clear one tells where the bytes lie and what they must be, so that they
can be watched over without a key; the manifest itself is sealed with the archive's key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson
from django.utils.translation import gettext as _

from . import manifest
from .chunks import Chunk
from .codecs import CODECS
from .encryption import ArchiveKey
from .errors import BadSignature, Damaged, Incomplete, Locked
from .manifest import UNREADABLE, Manifest
from .packing import suffix

SIDECAR_SUFFIX = ".manifest.json"
SIDECAR_LIMIT = 512 * 1024 * 1024
SIGNATURE_LENGTH = 64 + 1  # hexadecimal digits and a newline
CLEAR = ("format", "project", "id", "sequence", "name", "type", "parent", "codec", "started_at", "finished_at", "keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A committed backup: its archive's size and SHA-256, and its manifest. Whether one of our keys ``signed`` it."""

    size: int
    sha256: str
    manifest: Manifest
    signed: bool = True

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def keys(self) -> Mapping[str, str]:
        return self.manifest.keys

    @property
    def archive_name(self) -> str:
        return self.manifest.archive_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Bytes of a chunk, wherever they lie."""

    archive: str
    offset: int
    length: int
    stored_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """What anybody can read of a backup; without a key, all of an encrypted one. The members are the manifest's."""

    size: int
    sha256: str
    format: int
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
    keys: Mapping[str, str]
    stored: tuple[Stored, ...]
    signed: bool = True

    @property
    def archive_name(self) -> str:
        return self.name + suffix(self.codec, sealed=bool(self.keys))


# The key of an archive, by what is known of the backup
Unlock = Callable[[Clear], ArchiveKey]


def sign(pieces: Sequence[bytes], size: int, sha256: str, needs: Sequence[str], key: bytes) -> Iterator[bytes]:
    """The sidecar, in pieces: line 1 the facts and the manifest, line 2 the HMAC-SHA-256 of line 1."""
    facts = {"archive": {"size": size, "sha256": sha256}, "needs": list(needs)}
    facts["manifest_sha256"] = manifest.sha256_of(pieces)
    yield from _signed((orjson.dumps(facts)[:-1] + b',"manifest":', *pieces, b"}"), key)


def unsigned(body: bytes, size: int, sha256: str, needs: Sequence[str]) -> bytes:
    """The sidecar that a manifest gets which came without one. No key makes its signature: it stays what it is."""
    *line, _signature = sign([body], size, sha256, needs, b"")
    return b"".join(line) + b"\n" + b"0" * (SIGNATURE_LENGTH - 1) + b"\n"


def sign_sealed(
    record: Manifest, pieces: Sequence[bytes], size: int, sha256: str, archive_key: ArchiveKey, key: bytes
) -> Iterator[bytes]:
    """The same for an encrypted backup."""
    places = {archive: number for number, archive in enumerate(record.needs)}
    stored = [
        [places[chunk.archive], chunk.offset, chunk.length, chunk.stored_sha256]
        for table in record.tables
        for chunk in table.chunks
    ]
    facts = {
        "archive": {"size": size, "sha256": sha256},
        "needs": list(record.needs),
        "clear": {name: getattr(record, name) for name in CLEAR} | {"stored": stored},
        "sealed": base64.b64encode(archive_key.seal(b"".join(CODECS["gzip"].pack_pieces(pieces)))).decode(),
    }
    yield from _signed((orjson.dumps(facts),), key)


def _signed(line: Sequence[bytes], key: bytes) -> Iterator[bytes]:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for piece in line:
        mac.update(piece)
        yield piece
    yield b"\n" + mac.hexdigest().encode() + b"\n"


def open_sidecar(
    data: bytes, keys: Sequence[bytes], name: str, unlock: Unlock | None = None, *, unsigned: bool = False
) -> Sidecar:
    """Check the signature, then read. ``unlock`` opens an encrypted one; ``unsigned``: one that nobody signed will do.

    Raises ``BadSignature``, ``Damaged``, ``UnknownFormat`` or ``Locked``; all call it ``name``.
    """
    facts, signed = _facts(data, keys, name, unsigned=unsigned)
    with _readable(name):
        archive = facts["archive"]
        size, sha256 = int(archive["size"]), str(archive["sha256"])
        if "sealed" not in facts:
            record = manifest.from_parsed(facts["manifest"])
            record = record if signed else manifest.modest(record)
            return Sidecar(size=size, sha256=sha256, manifest=record, signed=signed)
        clear = _clear(facts, signed=signed)
        sealed = base64.b64decode(facts["sealed"], validate=True)
    if unlock is None:
        raise Locked(_("%(name)s is encrypted, and no key is at hand.") % {"name": name})
    limit = SIDECAR_LIMIT if signed else manifest.STRANGERS_LIMIT
    opened = manifest.load(CODECS["gzip"].unpack(unlock(clear).open(sealed), limit), strangers=not signed)
    if any(getattr(opened, member) != getattr(clear, member) for member in (*CLEAR, "needs")):
        raise Damaged(_("%(name)s is damaged: its sealed part is another backup's.") % {"name": name})
    return Sidecar(size=size, sha256=sha256, manifest=opened, signed=signed)


def open_clear(data: bytes, keys: Sequence[bytes], name: str, *, unsigned: bool = False) -> Clear:
    """Check the signature, then read what needs no key."""
    facts, signed = _facts(data, keys, name, unsigned=unsigned)
    with _readable(name):
        if "sealed" in facts:
            return _clear(facts, signed=signed)
        return clear_part(
            Sidecar(
                size=int(facts["archive"]["size"]),
                sha256=str(facts["archive"]["sha256"]),
                manifest=manifest.from_parsed(facts["manifest"]),
                signed=signed,
            )
        )


def clear_part(sidecar: Sidecar) -> Clear:
    record = sidecar.manifest
    return Clear(
        size=sidecar.size,
        sha256=sidecar.sha256,
        needs=record.needs,
        stored=tuple(_place(chunk) for table in record.tables for chunk in table.chunks),
        signed=sidecar.signed,
        **{name: getattr(record, name) for name in CLEAR},
    )


def _facts(data: bytes, keys: Sequence[bytes], name: str, *, unsigned: bool) -> tuple[Any, bool]:
    """Line 1, read, and whether one of the keys signed it. Nothing in it is looked at before that is known."""
    end = data.find(b"\n")
    body, signature = memoryview(data)[:end], data[end + 1 :]
    if end < 0 or (len(signature) != SIGNATURE_LENGTH and not unsigned):
        raise Incomplete(_("%(name)s is incomplete: its signature is missing.") % {"name": name})
    signed = any(hmac.compare_digest(signature, _mac(key, body) + b"\n") for key in keys)
    if not signed and not unsigned:
        raise BadSignature(
            _(
                "%(name)s is damaged, or was signed with a key that is not known here. If it was signed with another"
                " SECRET_KEY or signing key, add that one to SECRET_KEY_FALLBACKS or to the end of BACKUP_SIGNING_KEYS."
            )
            % {"name": name}
        )
    with _readable(name):
        return (manifest.parsed(body) if signed else manifest.parsed_of_strangers(body)), signed


class _readable:  # noqa: N801  # reads as a word in "with"
    """What can't be read is ``Damaged``, under its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, UNREADABLE):
            raise Damaged(_("%(name)s is not readable: %(error)s.") % {"name": self._name, "error": error}) from error


def _clear(facts: Mapping[str, Any], *, signed: bool) -> Clear:
    clear, archive, needs = facts["clear"], facts["archive"], tuple(facts["needs"])
    manifest.require_known(clear)
    if not isinstance(clear["keys"], dict) or not all(isinstance(clear["keys"][key], str) for key in needs):
        raise ValueError(_("the key of an archive is not named"))
    members = {item.name for item in fields(Clear)} - {"size", "sha256", "needs", "stored", "signed"}
    stored = [
        Stored(archive=needs[place], offset=offset, length=length, stored_sha256=digest)
        for place, offset, length, digest in clear["stored"]
    ]
    if not all(type(number) is int and number >= 0 for each in stored for number in (each.offset, each.length)):
        raise ValueError(_("a chunk of an impossible size"))
    return Clear(
        size=int(archive["size"]),
        sha256=str(archive["sha256"]),
        needs=needs,
        stored=tuple(stored),
        signed=signed,
        **{name: clear[name] for name in members},
    )


def _place(chunk: Chunk) -> Stored:
    return Stored(archive=chunk.archive, offset=chunk.offset, length=chunk.length, stored_sha256=chunk.stored_sha256)


def _mac(key: bytes, body: memoryview) -> bytes:
    return hmac.new(key, body, hashlib.sha256).hexdigest().encode()
