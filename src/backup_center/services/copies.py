"""A backup's copies in the other vaults: made, checked, made up for, healed. What fails here never fails a backup."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import Error as AnyDatabaseError
from django.db.models import Count, Max, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from ..engine import keyfiles, verify
from ..engine.encryption import KEY_SUFFIX
from ..engine.errors import BackupCenterError, Damaged, NotFound, Refused, StorageFailed
from ..engine.sidecar import Clear, Sidecar
from ..engine.vault import Vault, nearest, sha256_of
from ..models import BackupCopy, BackupLog, BackupRecord
from . import catalogue, journal, lineage, vaults
from .connecting import deciding

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

State = BackupCopy.State


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultState:
    """What is known of a vault without asking it. ``missing``: backups that have no good copy there and should."""

    name: str
    mode: str
    problem: str
    good: int
    missing: int
    damaged: int
    size: int
    checked_at: datetime | None
    error: str

    @property
    def mode_name(self) -> str:
        """For people."""
        return {
            vaults.READ_WRITE: _("read and written"),
            vaults.APPEND_ONLY: _("nothing is deleted"),
            vaults.RESTORE_ONLY: _("only read"),
        }[self.mode]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    name: str
    size: int
    sha256: str


def of(record: BackupRecord) -> list[BackupCopy]:
    """One for each vault that has or should have the backup, in the vaults' order; those never tried are not saved."""
    known = {copy.vault: copy for copy in record.copies.all()}
    expected = vaults.writable() if record.status == BackupRecord.Status.SUCCESS else []
    order = [*(name for name in vaults.names() if name in known or name in expected), *known]
    return [known.get(name) or BackupCopy(record=record, vault=name) for name in dict.fromkeys(order)]


def missing_in(record: BackupRecord) -> list[str]:
    """The vaults that should have a good copy and have none."""
    return [copy.vault for copy in of(record) if copy.state != State.GOOD and copy.vault in vaults.writable()]


def states() -> list[VaultState]:
    """All vaults, in two queries."""
    counted: dict[str, Any] = {
        row["vault"]: row
        for row in BackupCopy.objects.order_by()
        .values("vault")
        .annotate(
            good=Count("pk", filter=Q(state=State.GOOD, record__status=BackupRecord.Status.SUCCESS)),
            damaged=Count("pk", filter=Q(state=State.DAMAGED)),
            size=Sum("size", filter=Q(state=State.GOOD), default=0),
            checked_at=Max("checked_at"),
            error=Max("error"),
        )
    }
    backups = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS).count()
    return [_state(name, counted.get(name, {}), backups) for name in vaults.names()]


def _state(name: str, counted: dict[str, Any], backups: int) -> VaultState:
    missing = max(backups - counted.get("good", 0), 0) if name in vaults.writable() else 0
    return VaultState(
        name=name,
        mode=vaults.mode(name),
        problem=vaults.problem(name),
        good=counted.get("good", 0),
        missing=missing,
        damaged=counted.get("damaged", 0),
        size=counted.get("size", 0),
        checked_at=counted.get("checked_at"),
        error=counted.get("error", ""),
    )


def make_new(record: BackupRecord, user: AbstractBaseUser | None = None) -> None:
    """The copies of a backup that was just taken, and of those that it borrows from, as far as they are missing.

    A vault that fails is left alone until ``copy_backups`` or the next backup.
    """
    failed: set[str] = set()
    try:
        for one in (*lineage.lenders(record), record):
            for name in missing_in(one):
                if name not in failed and make(one, name, user).state != State.GOOD:
                    failed.add(name)
    except AnyDatabaseError as error:  # the backup itself is complete; what has no row shows as missing
        journal.logger.warning("%s: %s", record.backup_name, error)


def make_missing(records: Sequence[BackupRecord], user: AbstractBaseUser | None = None) -> Iterator[BackupCopy]:
    """Each as it was made, or as it could not be; the oldest backups first, since others borrow from them.

    A vault that doesn't answer is not asked again for each backup.
    """
    silent: dict[str, str] = {}
    for record in sorted(records, key=lambda record: record.sequence):
        for name in missing_in(record):
            if name in silent:
                copy, _new = BackupCopy.objects.get_or_create(record=record, vault=name)
                settle(copy, State.MISSING, silent[name])
            else:
                copy = make(record, name, user)
                if copy.state != State.GOOD and not _answers(name):
                    silent[name] = copy.error
            yield copy


def _answers(name: str) -> bool:
    try:
        vaults.named(name).exists("backup")
    except StorageFailed:
        return False
    return True


def make(record: BackupRecord, name: str, user: AbstractBaseUser | None = None, *, repair: bool = False) -> BackupCopy:
    """Bring a backup's files into a vault; the state says whether it went well. ``repair`` replaces damaged ones."""
    copy, _new = BackupCopy.objects.get_or_create(record=record, vault=name)
    try:
        _bring(record, name, repair)
        _still_wanted(record, name)
    except BackupCenterError as error:
        state = State.DAMAGED if isinstance(error, Damaged) else State.MISSING
        text = _("There is no good copy in the vault %(vault)s: %(error)s") % {"vault": name, "error": error}
        settle(copy, state, str(error))
        journal.write(BackupLog.Operation.COPY, BackupLog.Level.ERROR, text, record=record, user=user, vault=name)
    else:
        settle(copy, State.GOOD)
        text = _("Copied to the vault %(vault)s, and read back.") % {"vault": name}
        journal.write(BackupLog.Operation.COPY, BackupLog.Level.SUCCESS, text, record=record, user=user, vault=name)
    return copy


def find(record: BackupRecord) -> None:
    """Note where the files of a backup lie that nobody here has written; a verification looks into them."""
    for name in vaults.names():
        if _is_found(record, name):
            known = {"state": State.GOOD, "size": record.file_size, "checked_at": None}
            with deciding():
                BackupCopy.objects.update_or_create(record=record, vault=name, defaults=known)


def _is_found(record: BackupRecord, name: str) -> bool:
    try:
        return _is_there(record, name)
    except StorageFailed:  # its copy shows as missing until a verification finds it
        return False


def settle(copy: BackupCopy, state: str, error: str = "") -> None:
    """What was found just now."""
    copy.state, copy.error, copy.checked_at = state, error, timezone.now()
    copy.size = copy.record.file_size if state == State.GOOD else 0
    copy.attempts = 0 if state == State.GOOD else copy.attempts + 1
    if not copy.pk:
        copy.save()
        return
    known = {name: getattr(copy, name) for name in ("state", "error", "checked_at", "size", "attempts")}
    BackupCopy.objects.filter(pk=copy.pk).update(**known)  # with its backup it may have been deleted


def check(record: BackupRecord, described: Sidecar | Clear) -> dict[str, list[str]]:
    """What is wrong with each copy that should be good, every byte of it read; the vault's name → one line each.

    Raises ``StorageFailed`` in the end if a vault could not be reached: of its copy nothing new is known.
    """
    here = [copy for copy in of(record) if copy.vault in vaults.names()]
    found, unreachable = {}, []
    for copy in [copy for copy in here if copy.pk and _worth_a_look(copy)] or here:
        try:
            found[copy.vault] = _wrong_with(record, vaults.named(copy.vault), described)
        except StorageFailed as error:
            unreachable.append(str(error))
            copy.error = str(error)
            BackupCopy.objects.filter(pk=copy.pk).update(error=copy.error)
            continue
        gone = found[copy.vault] and not _is_there(record, copy.vault)
        bad = State.MISSING if gone else State.DAMAGED
        settle(copy, bad if found[copy.vault] else State.GOOD, " ".join(found[copy.vault]))
    if unreachable and not any(found.values()):
        raise StorageFailed(" ".join(unreachable))
    return found


def repair(record: BackupRecord, user: AbstractBaseUser | None = None) -> list[BackupCopy]:
    """Make every copy good that isn't, from one that is; as each turned out."""
    return [make(record, name, user, repair=True) for name in missing_in(record)]


def _wrong_with(record: BackupRecord, vault: Vault, described: Sidecar | Clear) -> list[str]:
    found = [finding.message for finding in verify.examine_file(vault, described)]
    try:
        catalogue.open_clear(record, vault)
        for file in catalogue.files_of(record):
            keyfiles.read(vault, file) if file.endswith(KEY_SUFFIX) else vault.size(file)
    except (Damaged, NotFound, Refused) as error:
        found.append(str(error))
    return list(dict.fromkeys(found))


def _worth_a_look(copy: BackupCopy) -> bool:
    """What is known to be missing far away shows as such; nearby it may have come back."""
    return copy.state != State.MISSING or vaults.is_near(copy.vault)


def _is_there(record: BackupRecord, name: str) -> bool:
    vault = vaults.named(name)
    return all(map(vault.exists, catalogue.files_of(record)))


def _bring(record: BackupRecord, name: str, repair: bool) -> None:
    vaults.require_usable(name)
    target, others = vaults.named(name), vaults.Several([other for other in vaults.names() if other != name])
    for file in _files(record):
        there = target.exists(file.name)
        if there and (_is(target, file) or _is_sound_key(target, file.name)):
            continue
        if there and not repair:
            raise Damaged(_("%(name)s is there, but not as it should be.") % {"name": file.name})
        if there and vaults.mode(name) != vaults.READ_WRITE:
            facts = {"name": file.name, "vault": name}
            raise Refused(_("%(name)s is damaged, and nothing is replaced in the vault %(vault)s.") % facts)
        nearest(others, file.name, partial(_transfer, target=target, file=file, replace=there))


def _transfer(source: Vault, target: Vault, file: _File, replace: bool) -> None:
    if not _is(source, file):
        raise Damaged(_("%(name)s is not as it should be where it would be copied from.") % {"name": file.name})
    with source.open(file.name) as stream:
        target.put(file.name, stream, file.size, file.sha256, replace=replace)


def _is(vault: Vault, file: _File) -> bool:
    return vault.size(file.name) == file.size and sha256_of(vault, file.name) == file.sha256


def _is_sound_key(vault: Vault, name: str) -> bool:
    """Nobody signed it, and for other recipients it has other bytes: one that is sound is never replaced by another."""
    try:
        return name.endswith(KEY_SUFFIX) and bool(keyfiles.read(vault, name))
    except Damaged:
        return False


def _files(record: BackupRecord) -> Iterator[_File]:
    """What the files are, in the order in which they are written; of what nobody signed, as the first vault has it."""
    everywhere = catalogue.get_vault()
    for name in catalogue.files_of(record):
        if name == record.file_path:
            yield _File(name=name, size=record.file_size, sha256=record.file_hash)
            continue
        content = nearest(everywhere, name, partial(_content, record, name))
        yield _File(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _content(record: BackupRecord, name: str, vault: Vault) -> bytes:
    """A small file. Of the sidecar only one with a good signature counts."""
    if name == catalogue.sidecar_name(record):
        catalogue.open_clear(record, vault)
    if name.endswith(KEY_SUFFIX):
        return keyfiles.read(vault, name)
    return vault.read(name, 0, vault.size(name))


def _still_wanted(record: BackupRecord, name: str) -> None:
    """What was deleted while it was copied must not come back."""
    with deciding():
        now = catalogue.locked(record)
        if now is not None and now.status == BackupRecord.Status.SUCCESS:
            return
        if name in vaults.erasable():
            catalogue.remove_files(record, vaults.named(name))
    raise NotFound(_("%(name)s was deleted while it was copied.") % {"name": record.backup_name})
