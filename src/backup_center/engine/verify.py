"""Is a backup whole? First the file as such; where it is not, or when asked to look deep, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from django.utils.translation import gettext as _

from . import chunks
from .codecs import CODECS
from .covers import Cover
from .errors import Damaged, NotFound
from .keyring import Keyring, key_file, read_key_file
from .manifest import Manifest, Sidecar, Table
from .sources import Source
from .vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``label`` and ``chunk`` name the damaged rows, where it is rows."""

    message: str
    label: str = ""
    chunk: int | None = None


def require_whole(vault: Vault, sidecar: Sidecar, archives: Mapping[str, str], keyring: Keyring | None = None) -> None:
    """Raises ``Damaged`` with every finding unless the backup is whole."""
    findings = examine(vault, sidecar, archives, keyring)
    if findings:
        raise Damaged(
            _("%(name)s is damaged; nothing was changed.") % {"name": sidecar.manifest.name},
            [finding.message for finding in findings],
        )


def examine(
    vault: Vault,
    sidecar: Sidecar,
    archives: Mapping[str, str],
    keyring: Keyring | None = None,
    *,
    deep: bool = False,
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> list[Finding]:
    """Everything that is wrong with a backup: an empty list means that it restores. That the key is not here is no
    damage, but ``NoKey`` or ``WrongKey``.

    The file: present, of its size and SHA-256 (which the sidecar signs). ``deep`` also unpacks every chunk and checks
    its rows, their digest and its range; a damaged file is searched chunk by chunk anyway, to name what is lost.
    """
    manifest = sidecar.manifest
    found = _examine_file(vault, manifest.archive_name, sidecar.size, sidecar.sha256)
    if found and not vault.exists(manifest.archive_name):
        return found
    lost = _lost_keys(manifest, archives, keyring) if keyring and CODECS[manifest.codec].encrypted else []
    source = Source(vault, archives, manifest.codec, keyring)
    if found or deep:
        found += _examine_chunks(manifest, source, progress)
    else:
        found += _examine_borrowed(manifest, source)
    return found + lost


def examine_sealed(vault: Vault, cover: Cover, archives: Mapping[str, str]) -> list[Finding]:
    """The same without a key: of what is encrypted, every stored byte can be checked, and nothing that it says."""
    found = _examine_file(vault, cover.archive_name, cover.size, cover.sha256)
    if found and not vault.exists(cover.archive_name):
        return found
    source = Source(vault, archives, cover.codec)
    damaged = bool(found)
    for number, chunk in enumerate(cover.chunks):
        if damaged or chunk.archive != cover.id:
            name = _("Chunk %(number)d of %(name)s") % {"number": number, "name": cover.name}
            try:
                source.stored(chunk, name)
            except (Damaged, NotFound) as error:
                found.append(Finding(message=str(error), chunk=number))
    for archive in cover.needs:
        try:
            if archive in archives:
                read_key_file(vault, key_file(archives[archive]))
        except (Damaged, NotFound) as error:
            found.append(Finding(message=str(error)))
    return found


def _lost_keys(manifest: Manifest, archives: Mapping[str, str], keyring: Keyring) -> list[Finding]:
    found = []
    for archive in manifest.needs:
        try:
            if archive in archives:
                keyring.key(archives[archive])
        except (Damaged, NotFound) as error:
            found.append(Finding(message=str(error)))
    return found


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


def _examine_borrowed(manifest: Manifest, source: Source) -> list[Finding]:
    """Chunks in other archives, by their stored bytes: those archives' own SHA-256 would say more than is needed."""
    found = []
    for table in manifest.tables:
        for index, chunk in enumerate(table.chunks):
            if chunk.archive == manifest.id:
                continue
            try:
                source.stored(chunk, chunks.entry_name(table.label, index))
            except (Damaged, NotFound) as error:
                found.append(Finding(message=str(error), label=table.label, chunk=index))
    return found


def _sha256(vault: Vault, name: str) -> str:
    with vault.open(name) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants more


def _examine_chunks(manifest: Manifest, source: Source, progress: Callable[[str, int, int], None]) -> list[Finding]:
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
