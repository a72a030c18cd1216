"""Is a backup whole? First the file as such; where it is not, or when asked to look deep, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from django.utils.translation import gettext as _

from . import chunks, keyfiles
from .chunks import Chunk
from .errors import Damaged, Locked, NotFound, StorageFailed
from .manifest import Manifest, Table
from .sidecar import Clear, Sidecar, Stored
from .sources import Source
from .vault import Vault, nearest, sha256_of

Progress = Callable[[str, int, int], None]  # table, rows done, rows in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``label`` and ``chunk`` name the damaged rows, where it is rows."""

    message: str
    label: str = ""
    chunk: int | None = None


def require_whole(sidecar: Sidecar, source: Source) -> None:
    """Raises ``Damaged`` with every finding unless the backup is whole, as far as that is known without much reading;
    ``Locked`` unless all of it can be opened.

    Of copies that are far away only the size is asked: each chunk is checked before it is used anyway.
    """
    for archive in sidecar.keys.keys() & source.archives.keys():  # of the others, their chunks tell
        source.packing(archive)
    found = _worst_of_copies(source.vault, sidecar, _glance)
    if found:
        found = _lost(sidecar, source, found)
    else:
        found = _examine_stored(sidecar, source, {sidecar.manifest.id, *_far(sidecar.manifest, source)})
    if found:
        raise Damaged(
            _("%(name)s is damaged; nothing was changed.") % {"name": sidecar.manifest.name},
            [finding.message for finding in found],
        )


def examine(
    described: Sidecar | Clear,
    source: Source,
    *,
    deep: bool = False,
    progress: Progress = lambda phase, done, total: None,
) -> list[Finding]:
    """Everything that is wrong with a backup: an empty list means that it restores.

    The file: present, of its size and SHA-256 (which the sidecar signs), and what others lend. ``deep`` also unpacks
    every chunk and checks its rows, their digest and its range; a damaged file is searched chunk by chunk anyway, to
    name what is lost. So are the keys. Without a key (``Clear``) bytes are looked at, not rows.
    """
    found = _worst_of_copies(source.vault, described, examine_file)
    if found and not source.vault.exists(described.archive_name):
        return found
    return found + examine_content(described, source, deep=deep, whole=not found, progress=progress)


def _lost(sidecar: Sidecar, source: Source, found: list[Finding]) -> list[Finding]:
    """What no copy has, where none is whole: chunk by chunk several may still make up a backup."""
    if not source.vault.exists(sidecar.archive_name):
        return found
    lost = examine_content(sidecar, source, whole=False)
    return lost if len(list(source.vault.copies(sidecar.archive_name))) > 1 else found + lost


def examine_content(
    described: Sidecar | Clear,
    source: Source,
    *,
    deep: bool = False,
    whole: bool = True,
    progress: Progress = lambda phase, done, total: None,
) -> list[Finding]:
    """What is lost: keys and chunks that no copy has. ``whole``: its own archive was looked at already, and is good."""
    lost = _examine_keys(described.keys, source)
    if deep and isinstance(described, Sidecar):
        return lost + examine_chunks(described.manifest, source, progress)
    return lost + _examine_stored(described, source, {described.id} if whole else set())


def _examine_keys(keys: Mapping[str, str], source: Source) -> list[Finding]:
    """Without its key file an archive is lost, however whole it is. Each is opened, if this server can."""
    found = []
    for archive in keys:
        if archive not in source.archives:
            continue  # its chunks tell
        name = keyfiles.name_of(source.archives[archive])
        try:
            nearest(source.vault, name, partial(keyfiles.read, name=name))
            source.packing(archive)
        except Locked:
            continue
        except (Damaged, NotFound) as error:
            found.append(Finding(message=str(error)))
    return found


def examine_file(vault: Vault, described: Sidecar | Clear) -> list[Finding]:
    """What is wrong with the archive in one vault, as a file."""
    return _examine_file(vault, described, whole=True)


def _glance(vault: Vault, described: Sidecar | Clear) -> list[Finding]:
    return _examine_file(vault, described, whole=vault.near)


def _worst_of_copies(
    vault: Vault, described: Sidecar | Clear, look: Callable[[Vault, Sidecar | Clear], list[Finding]]
) -> list[Finding]:
    """Nothing, if one copy is good. Raises ``StorageFailed`` if none could be looked at."""
    found: list[Finding] = []
    failure: StorageFailed | None = None
    for copy in vault.copies(described.archive_name):
        try:
            findings = look(copy, described)
        except StorageFailed as error:
            failure = error
            continue
        if not findings:
            return []
        found += findings
    if failure is not None and not found:
        raise failure
    return found


def _examine_file(vault: Vault, described: Sidecar | Clear, *, whole: bool) -> list[Finding]:
    name, expected = described.archive_name, described.size
    try:
        size = vault.size(name)
    except NotFound as error:
        return [Finding(message=str(error))]
    facts = {"name": name, "found": size, "expected": expected}
    if size < expected:
        return [Finding(message=_("%(name)s is incomplete: %(found)d of %(expected)d bytes are there.") % facts)]
    if size > expected:
        return [Finding(message=_("%(name)s has %(found)d bytes instead of %(expected)d.") % facts)]
    if whole and sha256_of(vault, name) != described.sha256:
        return [Finding(message=_("%(name)s is damaged: its SHA-256 is not the one that was signed.") % facts)]
    return []


def _examine_stored(described: Sidecar | Clear, source: Source, looked_at: set[str]) -> list[Finding]:
    """Chunks by their stored bytes, but those in archives that were ``looked_at``. A lender's own SHA-256 would say
    more than is needed.
    """
    found = []
    for stored, name, place in _places(described):
        if stored.archive in looked_at:
            continue
        try:
            source.stored(stored, name)
        except (Damaged, NotFound) as error:
            found.append(Finding(message=str(error), **place))
    return found


def _places(described: Sidecar | Clear) -> Iterator[tuple[Chunk | Stored, str, dict[str, Any]]]:
    """Every chunk, what errors call it, and where its rows belong."""
    if isinstance(described, Clear):
        for number, stored in enumerate(described.stored):
            yield stored, _("chunk %(number)d") % {"number": number}, {}
        return
    for table in described.manifest.tables:
        for index, chunk in enumerate(table.chunks):
            yield chunk, chunks.entry_name(table.label, index), {"label": table.label, "chunk": index}


def _far(manifest: Manifest, source: Source) -> Iterator[str]:
    """The lenders that are there, and in no vault that is near."""
    for key in manifest.needs:
        if key != manifest.id and key in source.archives and _is_far(source.vault, source.archives[key]):
            yield key


def _is_far(vault: Vault, name: str) -> bool:
    try:
        return nearest(vault, name, lambda copy: copy.size(name) >= 0 and not copy.near)
    except NotFound:
        return False


def examine_chunks(manifest: Manifest, source: Source, progress: Progress) -> list[Finding]:
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
