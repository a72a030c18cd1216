"""Is a backup whole? First the file as such; where it is not, or when asked to look deep, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from django.utils.translation import gettext as _

from . import chunks
from .errors import Damaged, NotFound, StorageFailed
from .manifest import Manifest, Sidecar, Table
from .sources import Source
from .vault import Vault, nearest, sha256_of

Progress = Callable[[str, int, int], None]  # table, rows done, rows in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``label`` and ``chunk`` name the damaged rows, where it is rows."""

    message: str
    label: str = ""
    chunk: int | None = None


def require_whole(vault: Vault, sidecar: Sidecar, archives: Mapping[str, str]) -> None:
    """Raises ``Damaged`` with every finding unless the backup is whole, as far as that is known without much reading.

    Of copies that are far away only the size is asked: each chunk is checked before it is used anyway.
    """
    found = _worst_of_copies(vault, sidecar, _glance)
    if found:
        found = _lost(vault, sidecar, archives, found)
    else:
        found = _examine_borrowed(vault, sidecar.manifest, archives, glance=True)
    if found:
        raise Damaged(
            _("%(name)s is damaged; nothing was changed.") % {"name": sidecar.manifest.name},
            [finding.message for finding in found],
        )


def examine(
    vault: Vault,
    sidecar: Sidecar,
    archives: Mapping[str, str],
    *,
    deep: bool = False,
    progress: Progress = lambda phase, done, total: None,
) -> list[Finding]:
    """Everything that is wrong with a backup: an empty list means that it restores.

    The file: present, of its size and SHA-256 (which the sidecar signs). ``deep`` also unpacks every chunk and checks
    its rows, their digest and its range; a damaged file is searched chunk by chunk anyway, to name what is lost.
    """
    found = _worst_of_copies(vault, sidecar, examine_file)
    if found and not vault.exists(sidecar.manifest.archive_name):
        return found
    return found + examine_content(vault, sidecar, archives, deep=deep or bool(found), progress=progress)


def _lost(vault: Vault, sidecar: Sidecar, archives: Mapping[str, str], found: list[Finding]) -> list[Finding]:
    """What no copy has, where none is whole: chunk by chunk several may still make up a backup."""
    name = sidecar.manifest.archive_name
    if not vault.exists(name):
        return found
    lost = examine_content(vault, sidecar, archives, deep=True)
    return lost if len(list(vault.copies(name))) > 1 else found + lost


def examine_content(
    vault: Vault,
    sidecar: Sidecar,
    archives: Mapping[str, str],
    *,
    deep: bool,
    progress: Progress = lambda phase, done, total: None,
) -> list[Finding]:
    """What is lost: chunks that no copy has whole. Unless ``deep``, only those that are borrowed are read."""
    if deep:
        return _examine_chunks(sidecar.manifest, Source(vault, archives, sidecar.manifest.codec), progress)
    return _examine_borrowed(vault, sidecar.manifest, archives)


def examine_file(vault: Vault, sidecar: Sidecar) -> list[Finding]:
    """What is wrong with the archive in one vault, as a file."""
    return _examine_file(vault, sidecar, whole=True)


def _glance(vault: Vault, sidecar: Sidecar) -> list[Finding]:
    return _examine_file(vault, sidecar, whole=vault.near)


def _worst_of_copies(vault: Vault, sidecar: Sidecar, look: Callable[[Vault, Sidecar], list[Finding]]) -> list[Finding]:
    """Nothing, if one copy is good. Raises ``StorageFailed`` if none could be looked at."""
    found: list[Finding] = []
    failure: StorageFailed | None = None
    for copy in vault.copies(sidecar.manifest.archive_name):
        try:
            findings = look(copy, sidecar)
        except StorageFailed as error:
            failure = error
            continue
        if not findings:
            return []
        found += findings
    if failure is not None and not found:
        raise failure
    return found


def _examine_file(vault: Vault, sidecar: Sidecar, *, whole: bool) -> list[Finding]:
    manifest = sidecar.manifest
    name = manifest.archive_name
    try:
        size = vault.size(name)
    except NotFound as error:
        return [Finding(message=str(error))]
    facts = {"name": name, "found": size, "expected": sidecar.size}
    if size < sidecar.size:
        return [Finding(message=_("%(name)s is incomplete: %(found)d of %(expected)d bytes are there.") % facts)]
    if size > sidecar.size:
        return [Finding(message=_("%(name)s has %(found)d bytes instead of %(expected)d.") % facts)]
    if whole and sha256_of(vault, name) != sidecar.sha256:
        return [Finding(message=_("%(name)s is damaged: its SHA-256 is not the one that was signed.") % facts)]
    return []


def _examine_borrowed(
    vault: Vault, manifest: Manifest, archives: Mapping[str, str], *, glance: bool = False
) -> list[Finding]:
    """Chunks in other archives, by their stored bytes: those archives' own SHA-256 would say more than is needed.

    At a ``glance``, what lies far away is only asked for, archive by archive.
    """
    source = Source(vault, archives, manifest.codec)
    far = {key for key in manifest.needs if glance and key in archives and _is_far(vault, archives[key])}
    found = []
    for table in manifest.tables:
        for index, chunk in enumerate(table.chunks):
            if chunk.archive == manifest.id or chunk.archive in far:
                continue
            try:
                source.stored(chunk, chunks.entry_name(table.label, index))
            except (Damaged, NotFound) as error:
                found.append(Finding(message=str(error), label=table.label, chunk=index))
    return found


def _is_far(vault: Vault, name: str) -> bool:
    """Whether it is there, and in no vault that is near."""
    try:
        return nearest(vault, name, lambda copy: copy.size(name) >= 0 and not copy.near)
    except NotFound:
        return False


def _examine_chunks(manifest: Manifest, source: Source, progress: Progress) -> list[Finding]:
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
