"""Is a backup whole? First the file as such; where it is not, or when asked to look deep, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.translation import gettext as _

from . import chunks, keyfiles
from .chunks import Chunk
from .errors import Damaged, Locked, NotFound
from .manifest import Manifest, Table
from .sidecar import Clear, Sidecar, Stored
from .sources import Source
from .vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``label`` and ``chunk`` name the damaged rows, where it is rows."""

    message: str
    label: str = ""
    chunk: int | None = None


def require_whole(sidecar: Sidecar, source: Source) -> None:
    """Raises ``Damaged`` with every finding unless the backup is whole, ``Locked`` unless all of it can be opened."""
    for archive in sidecar.manifest.keys:
        source.packing(archive)
    findings = examine(sidecar, source)
    if findings:
        raise Damaged(
            _("%(name)s is damaged; nothing was changed.") % {"name": sidecar.manifest.name},
            [finding.message for finding in findings],
        )


def examine(
    sidecar: Sidecar,
    source: Source,
    *,
    deep: bool = False,
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> list[Finding]:
    """Everything that is wrong with a backup: an empty list means that it restores.

    The file: present, of its size and SHA-256 (which the sidecar signs), what others lend, and the keys of all.
    ``deep`` also unpacks every chunk and checks its rows, their digest and its range; a damaged file is searched chunk
    by chunk anyway, to name what is lost.
    """
    found = _examine_file(source.vault, sidecar.manifest.archive_name, sidecar.size, sidecar.sha256)
    lost = _examine_keys(sidecar.manifest.keys, source)
    if found and not source.vault.exists(sidecar.manifest.archive_name):
        return found + lost
    if deep:
        return found + lost + examine_chunks(sidecar.manifest, source, progress)
    looked_at = set() if found else {sidecar.manifest.id}
    for table in sidecar.manifest.tables:
        for index, chunk in enumerate(table.chunks):
            if chunk.archive not in looked_at:
                name = chunks.entry_name(table.label, index)
                found += _examine_stored(chunk, source, name, label=table.label, chunk=index)
    return found + lost


def examine_clear(clear: Clear, source: Source) -> list[Finding]:
    """The same without a key: bytes are looked at, not rows."""
    found = _examine_file(source.vault, clear.archive_name, clear.size, clear.sha256)
    lost = _examine_keys(clear.keys, source)
    if found and not source.vault.exists(clear.archive_name):
        return found + lost
    looked_at = set() if found else {clear.id}
    for number, stored in enumerate(clear.stored):
        if stored.archive not in looked_at:
            found += _examine_stored(stored, source, _("chunk %(number)d") % {"number": number})
    return found + lost


def _examine_keys(keys: Mapping[str, str], source: Source) -> list[Finding]:
    """Without its key file an archive is lost, however whole it is. Each is opened, if this server can."""
    found = []
    for archive in keys:
        if archive not in source.archives:
            continue  # its chunks tell
        try:
            keyfiles.read(source.vault, keyfiles.name_of(source.archives[archive]))
            source.packing(archive)
        except Locked:
            continue
        except (Damaged, NotFound) as error:
            found.append(Finding(message=str(error)))
    return found


def _examine_stored(stored: Chunk | Stored, source: Source, name: str, **place: Any) -> list[Finding]:
    """A chunk's stored bytes; a lender's own SHA-256 would say more than is needed."""
    try:
        source.stored(stored, name)
    except (Damaged, NotFound) as error:
        return [Finding(message=str(error), **place)]
    return []


def _examine_file(vault: Vault, name: str, expected: int, sha256: str) -> list[Finding]:
    try:
        size = vault.size(name)
    except NotFound as error:
        return [Finding(message=str(error))]
    facts = {"name": name, "found": size, "expected": expected}
    if size < expected:
        return [Finding(message=_("%(name)s is incomplete: %(found)d of %(expected)d bytes are there.") % facts)]
    if size > expected:
        return [Finding(message=_("%(name)s has %(found)d bytes instead of %(expected)d.") % facts)]
    if _sha256(vault, name) != sha256:
        return [Finding(message=_("%(name)s is damaged: its SHA-256 is not the one that was signed.") % facts)]
    return []


def _sha256(vault: Vault, name: str) -> str:
    with vault.open(name) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants more


def examine_chunks(manifest: Manifest, source: Source, progress: Callable[[str, int, int], None]) -> list[Finding]:
    """Every chunk, unpacked: its digests, its rows, its range."""
    found: list[Finding] = []
    done = 0
    for table in manifest.tables:
        for index, chunk in enumerate(table.chunks):
            name = chunks.entry_name(table.label, index)
            try:
                body = source.body(chunk, name)
                _check_rows(table, index, body)
            except (Damaged, NotFound) as error:
                found.append(Finding(message=str(error), label=table.label, chunk=index))
            done += chunk.rows
            progress(table.label, done, manifest.rows)
        if sum(chunk.rows for chunk in table.chunks) != table.rows or table.chunks[-1].upto is not None:
            message = _("%(table)s: the chunks do not make up the whole table.") % {"table": table.label}
            found.append(Finding(message=message, label=table.label))
    return found


def _check_rows(table: Table, index: int, body: bytes) -> None:
    """A chunk holds as many rows as it should, each of the right width, and ends where its range ends."""
    chunk = table.chunks[index]
    try:
        rows = orjson.loads(body)
        keys = [table.names.index(name) for name in table.key]
        ends_well = chunk.upto is None or [rows[-1][position] for position in keys] == chunk.upto
        right = ends_well and len(rows) == chunk.rows and all(len(row) == len(table.columns) for row in rows)
    except (LookupError, TypeError, ValueError):  # its digests are those of the manifest, but it holds no rows
        right = False
    if not right:
        name = chunks.entry_name(table.label, index)
        raise Damaged(_("%(name)s is damaged: it does not hold the rows of its range.") % {"name": name})
