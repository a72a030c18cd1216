"""Is a backup whole, in each of its vaults; and if it isn't, do its copies together make it so."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _

from ..engine import verify
from ..engine.errors import BackupCenterError, Locked, StorageFailed
from ..engine.sidecar import Clear, Sidecar
from ..engine.vault import Vault
from ..models import BackupRecord
from . import catalogue, cleanup, copies

Progress = Callable[[str, int, int], None]  # table, rows done, rows in all


def look(record: BackupRecord, deep: bool, progress: Progress | None = None) -> tuple[list[str], bool]:
    """What is wrong, and whether something is lost: no copy is good, nor do all of them together make one.

    Raises ``StorageFailed`` if a vault can't be read and nothing else is wrong, ``Locked`` if rows can't be read.
    """
    vault = catalogue.get_vault()
    try:
        described = _described(record, vault, deep)
    except (Locked, StorageFailed):
        raise  # whoever can't look hasn't found damage
    except BackupCenterError as error:
        return [str(error)], True
    found = copies.check(record, described)
    one_is_good = not all(found.values())
    nothing_there = not one_is_good and not vault.exists(record.file_path)
    lost = [] if nothing_there else _lost(vault, described, deep, one_is_good, progress)
    several = len(found) > 1
    messages = [f"{name}: {message}" if several else message for name in found for message in found[name]] + lost
    if messages and (names := cleanup.borrowers(record)):
        messages.append(_("These borrow from it, verify them too: %(names)s.") % {"names": ", ".join(names)})
    return messages, bool(lost or nothing_there or not (one_is_good or several))


def _described(record: BackupRecord, vault: Vault, deep: bool) -> Sidecar | Clear:
    """Of an encrypted backup, unless rows are to be read, the clear part will do."""
    try:
        return catalogue.open_sidecar(record, vault, unsigned=record.is_unsigned)
    except Locked:
        if deep:
            raise
        return catalogue.open_clear(record, vault)


def _lost(vault: Vault, described: Sidecar | Clear, deep: bool, whole: bool, progress: Progress | None) -> list[str]:
    report = progress or (lambda phase, done, total: None)
    source = catalogue.source(described if isinstance(described, Clear) else described.manifest, vault)
    found = verify.examine_content(described, source, deep=deep, whole=whole, progress=report)
    return [finding.message for finding in found]
