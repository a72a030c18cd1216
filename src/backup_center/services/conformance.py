"""Does a vault keep what it must promise? Tried out with small files of its own, of which nothing stays."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError, Damaged, NotFound, StorageFailed
from ..engine.vault import LocalVault, Vault
from . import vaults

SIZE = 300_000
FIRST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``problem``: what went wrong; empty if the promise was kept."""

    promise: str
    problem: str = ""


class _Broken(Exception):
    """The promise was not kept: the message says how."""


class _Interrupted(Exception):
    """As if the backup that writes had failed."""


def try_out(name: str) -> Iterator[Outcome]:
    """Each promise as it was kept or not; nothing is written to a restore-only vault. Raises ``Refused``."""
    if name not in vaults.names():
        raise NotFound(_("%(name)s is not one of BACKUP_VAULTS.") % {"name": name})
    vaults.require_usable(name)
    vault = vaults.named(name)
    if vaults.mode(name) == vaults.RESTORE_ONLY:
        yield _outcome(_("what is there can be listed and read"), lambda: _reads(vault))
        return
    yield from _Trial(vault).run()


class _Trial:
    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.file = f"check-vault-{secrets.token_hex(8)}.bin"
        self.half = f"check-vault-{secrets.token_hex(8)}.bin"
        self.content = os.urandom(SIZE)

    def run(self) -> Iterator[Outcome]:
        promises: tuple[tuple[str, Callable[[], None]], ...] = (
            (_("a file that is written can be read, whole and in parts"), self.writes),
            (_("it is listed, with its size"), self.lists),
            (_("it is not overwritten"), self.keeps),
            (_("it is replaced only by what is whole"), self.replaces),
            (_("what was begun and not ended is never seen"), self.hides),
            (_("only its owner can read it"), self.guards),
            (_("what is not there is said not to be there"), self.misses),
        )
        try:
            for promise, keep in promises:
                yield _outcome(promise, keep)
        finally:
            end = _outcome(_("what is deleted is gone"), self.deletes)
        yield end

    def writes(self) -> None:
        with self.vault.create(self.file) as stream:
            stream.write(self.content)
        with self.vault.open(self.file) as stream:
            _require(stream.read() == self.content, _("what was read is not what was written"))
        for offset, length in ((0, 1), (1234, 70_000), (SIZE - 5, 5), (SIZE - 5, 50), (SIZE + 5, 5)):
            found = self.vault.read(self.file, offset, length)
            _require(found == self.content[offset : offset + length], _("a part that was read is not what was written"))

    def lists(self) -> None:
        _require(self.file in self.vault.names(), _("it is not in the list"))
        _require(self.vault.size(self.file) == SIZE, _("its size is not what was written"))

    def keeps(self) -> None:
        try:
            with self.vault.create(self.file) as stream:
                stream.write(b"another")
        except StorageFailed:
            _require(self.vault.read(self.file, 0, SIZE) == self.content, _("it was changed"))
        else:
            raise _Broken(_("it was overwritten"))

    def replaces(self) -> None:
        other = os.urandom(SIZE)
        try:
            self.put(self.file, other, hashlib.sha256(self.content).hexdigest(), replace=True)
        except Damaged:
            _require(self.vault.read(self.file, 0, SIZE) == self.content, _("what is damaged took its place"))
        else:
            raise _Broken(_("what is damaged was taken for whole"))
        self.put(self.file, other, hashlib.sha256(other).hexdigest(), replace=True)
        _require(self.vault.read(self.file, 0, SIZE) == other, _("it was not replaced"))

    def hides(self) -> None:
        try:
            with self.vault.create(self.half) as stream:
                stream.writelines(self._until_interrupted())
        except _Interrupted:
            there = self.vault.exists(self.half) or self.half in self.vault.names()
            _require(not there, _("a part of it is there"))

    def _until_interrupted(self) -> Iterator[bytes]:
        yield self.content
        raise _Interrupted

    def guards(self) -> None:
        """Where there are modes to look at; what S3 lets others read is for its policies to say."""
        mode = _mode(self.vault, self.file)
        _require(not (mode or 0) & 0o077, _("its mode is %(mode)s instead of 0600") % {"mode": f"{mode or 0:o}"})

    def misses(self) -> None:
        _require(not self.vault.exists(self.half), _("it is said to be there"))
        try:
            self.vault.read(self.half, 0, FIRST_BYTES)
        except NotFound:
            return
        raise _Broken(_("something was read"))

    def deletes(self) -> None:
        for name in (self.file, self.half):
            self.vault.delete(name)
            _require(not self.vault.exists(name), _("it is still there"))
        self.vault.delete(self.file)

    def put(self, name: str, content: bytes, sha256: str, *, replace: bool) -> None:
        self.vault.put(name, io.BytesIO(content), len(content), sha256, replace=replace)


def _reads(vault: Vault) -> None:
    for name in vault.names()[:1]:
        _require(len(vault.read(name, 0, FIRST_BYTES)) == min(FIRST_BYTES, vault.size(name)), name)


def _mode(vault: Vault, name: str) -> int | None:
    if isinstance(vault, LocalVault):
        return stat.S_IMODE(vault.path(name).stat().st_mode)
    permissions: Any = getattr(vault, "permissions", None)
    return permissions(name) if permissions else None


def _require(kept: bool, problem: str) -> None:
    if not kept:
        raise _Broken(problem)


def _outcome(promise: str, keep: Callable[[], None]) -> Outcome:
    try:
        keep()
    except (_Broken, BackupCenterError) as error:
        return Outcome(promise=promise, problem=str(error))
    return Outcome(promise=promise)
