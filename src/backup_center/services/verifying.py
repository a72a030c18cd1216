"""Is a backup whole, in each of its vaults; and if it isn't, do its copies together make it so."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _

from ..engine import verify
from ..engine.errors import BackupCenterError, StorageFailed
from ..engine.manifest import Sidecar
from ..engine.vault import Vault
from ..models import BackupRecord
from . import catalogue, cleanup, copies

Progress = Callable[[str, int, int], None]  # table, rows done, rows in all


def look(record: BackupRecord, deep: bool, progress: Progress | None = None) -> tuple[list[str], bool]:
    """What is wrong, and whether something is lost: no copy is good, nor do all of them together make one.

    Raises ``StorageFailed`` if a vault can't be read and nothing else is wrong.
    """
    vault = catalogue.get_vault()
    try:
        sidecar = catalogue.open_sidecar(record, vault)
    except StorageFailed:
        raise  # whoever can't look hasn't found damage
    except BackupCenterError as error:
        return [str(error)], True
    found = copies.check(record, sidecar)
    one_is_good = not all(found.values())
    nothing_there = not one_is_good and not vault.exists(record.file_path)
    lost = [] if nothing_there else _lost(vault, sidecar, deep or not one_is_good, progress)
    several = len(found) > 1
    messages = [f"{name}: {message}" if several else message for name in found for message in found[name]] + lost
    if messages and (names := cleanup.borrowers(record)):
        messages.append(_("These borrow from it, verify them too: %(names)s.") % {"names": ", ".join(names)})
    return messages, bool(lost or nothing_there or not (one_is_good or several))


def _lost(vault: Vault, sidecar: Sidecar, deep: bool, progress: Progress | None) -> list[str]:
    report = progress or (lambda phase, done, total: None)
    archives = catalogue.archives_of(sidecar)
    found = verify.examine_content(vault, sidecar, archives, deep=deep, progress=report)
    return [finding.message for finding in found]
