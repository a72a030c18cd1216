"""A vault over one of Django's storages, which promise less than a vault has to: each promise is kept here.

What is written is kept in a file without a name until it is whole, then saved, and read back. Reading takes no more
than it needs from S3 and SFTP; of any other storage, what its own ``seek`` takes.
"""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any, BinaryIO, TypeVar, cast

from django.core.files import File
from django.core.files.storage import Storage
from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError, Damaged, NotFound, StorageFailed
from ..engine.vault import PARTIAL, Vault, plain, require_same

WAITS = (0.5, 2.0, 8.0)  # seconds before each further try
AHEAD = 8 << 20  # bytes read at a time from far away
T = TypeVar("T")


def vault_over(alias: str, storage: Storage) -> Vault:
    """By what the storage is derived from: its library is not imported for it."""
    origins = {origin.__module__ for origin in type(storage).__mro__}
    if "storages.backends.s3" in origins:
        return S3Vault(alias, storage)
    if "storages.backends.sftpstorage" in origins:
        return SFTPVault(alias, storage)
    return StorageVault(alias, storage)


class StorageVault:
    near = False

    def __init__(self, alias: str, storage: Storage) -> None:
        self.alias = alias
        self.storage: Any = storage

    def copies(self, name: str) -> Iterable[Vault]:
        return (self,)

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A stream to write ``name`` with. The file appears when the block ends without an exception."""
        try:
            # Without a name: whatever becomes of this process, nothing of it stays. TMPDIR says where.
            with tempfile.TemporaryFile() as spool:
                yield spool
                size = spool.tell()
                spool.seek(0)
                sha256 = hashlib.file_digest(spool, "sha256").hexdigest()
                self.put(name, spool, size, sha256)
        except OSError as error:
            text = _("%(name)s could not be prepared in %(folder)s: %(error)s.")
            facts = {"name": name, "folder": tempfile.gettempdir(), "error": error.strerror or error}
            raise StorageFailed(text % facts) from error

    def put(self, name: str, stream: BinaryIO, size: int, sha256: str, *, replace: bool = False) -> None:
        """Store what is known: ``name`` appears once it was read back and is what it should be, else ``Damaged``."""
        there = self.exists(name)
        if there and not replace:
            facts = {"name": name, "vault": self.alias}
            raise StorageFailed(_("%(name)s is in the vault %(vault)s already; it is not overwritten.") % facts)
        self._store(name, stream, size, sha256, there)

    def _store(self, name: str, stream: BinaryIO, size: int, sha256: str, there: bool) -> None:
        """As there is no way to rename: what is replaced goes when its successor is whole beside it."""
        if there:
            self._remove(name + PARTIAL)
            self._upload(name + PARTIAL, stream, size, sha256)
            self._remove(name)
        self._upload(name, stream, size, sha256)
        if there:
            self._remove(name + PARTIAL)

    def _upload(self, name: str, stream: BinaryIO, size: int, sha256: str) -> None:
        """Save and read back, a few times. ``name`` was not there before, so what is left of a failure is ours."""

        def once() -> None:
            stream.seek(0)
            try:
                self._save(name, stream)
                with self._open(name) as stored:
                    require_same(stored, name, size, sha256)
            except BaseException:
                self._erase(name)
                raise

        self._patiently(name, once)

    def _save(self, name: str, stream: BinaryIO) -> None:
        saved = self.storage.save(name, File(stream, name))
        if saved != name:
            self._remove(saved)
            text = _("The storage of the vault %(vault)s saved %(name)s as %(saved)s: it can't be used as a vault.")
            raise StorageFailed(text % {"vault": self.alias, "name": name, "saved": saved})

    def open(self, name: str) -> BinaryIO:
        return self._patiently(name, lambda: self._open(name))

    def _open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", self.storage.open(plain(name), "rb"))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer if the file ends before. Memory is only taken for what is there."""

        def once() -> bytes:
            found = self._read(name, offset, length)
            if len(found) < length and len(found) < int(self.storage.size(name)) - offset:
                facts = {"name": name, "vault": self.alias}
                raise StorageFailed(_("%(name)s could only be read in part from the vault %(vault)s.") % facts)
            return found

        return self._patiently(name, once)

    def _read(self, name: str, offset: int, length: int) -> bytes:
        with self._open(name) as stream:
            end = stream.seek(0, os.SEEK_END) or stream.tell()
            stream.seek(min(offset, end))
            return stream.read(min(length, max(end - offset, 0)))

    def size(self, name: str) -> int:
        return self._patiently(name, lambda: int(self.storage.size(plain(name))))

    def exists(self, name: str) -> bool:
        return self._patiently(name, lambda: bool(self.storage.exists(plain(name))))

    def delete(self, name: str) -> None:
        """Remove ``name`` and anything partial of it; nothing happens if it is not there."""
        for victim in (name, name + PARTIAL):
            self._remove(victim)

    def _remove(self, name: str) -> None:
        self._patiently(name, lambda: self._erase(name))

    def _erase(self, name: str) -> None:
        """Some storages say nothing when they can't."""
        if self.storage.exists(plain(name)):
            self.storage.delete(name)
            if self.storage.exists(name):
                facts = {"name": name, "vault": self.alias}
                raise StorageFailed(_("%(name)s could not be deleted from the vault %(vault)s.") % facts)

    def names(self) -> list[str]:
        """All whole files, sorted."""
        return self._patiently("", lambda: sorted(name for name in self._listed() if not name.endswith(PARTIAL)))

    def partials(self) -> list[str]:
        return self._patiently("", lambda: sorted(name for name in self._listed() if name.endswith(PARTIAL)))

    def _listed(self) -> list[str]:
        return list(self.storage.listdir("")[1])

    def _patiently(self, name: str, act: Callable[[], T]) -> T:
        """What may be over in a moment is tried again, a few times."""
        for wait in WAITS:
            try:
                with self._failing_clearly(name):
                    return act()
            except (StorageFailed, Damaged):
                sleep(wait)
        with self._failing_clearly(name):
            return act()

    @contextmanager
    def _failing_clearly(self, name: str) -> Iterator[None]:
        facts = {"name": name, "vault": self.alias}
        try:
            yield
        except BackupCenterError:
            raise
        except Exception as error:  # each storage has errors of its own
            if _is_absence(error):
                raise NotFound(_("%(name)s is not in the vault %(vault)s.") % facts) from error
            text = _("The vault %(vault)s can't be used (%(name)s): %(error)s.")
            said = (str(error) or type(error).__name__).rstrip(".")
            raise StorageFailed(text % {**facts, "error": said}) from error


class S3Vault(StorageVault):
    """An object appears whole or not at all; an upload in parts that fails is aborted by the library."""

    def __init__(self, alias: str, storage: Storage) -> None:
        from botocore.config import Config

        super().__init__(alias, storage)
        # Some servers send a part with the checksum of the whole. What the project itself sets comes first.
        ours = Config(
            response_checksum_validation="when_required", connect_timeout=10, retries={"total_max_attempts": 2}
        )
        self.storage.client_config = ours.merge(self.storage.client_config)

    def _open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(_Ranges(self, name), AHEAD))

    def _read(self, name: str, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        found = self.storage.bucket.Object(posixpath.join(self.storage.location, plain(name)))
        try:
            return cast("bytes", found.get(Range=f"bytes={offset}-{offset + length - 1}")["Body"].read())
        except Exception as error:
            if _status(error) == 416:  # noqa: PLR2004  # the range begins where the object has ended
                return b""
            raise


class SFTPVault(StorageVault):
    """Its files appear when they are renamed."""

    def _store(self, name: str, stream: BinaryIO, size: int, sha256: str, there: bool) -> None:
        self._remove(name + PARTIAL)
        self._upload(name + PARTIAL, stream, size, sha256)
        old, new = self._path(name + PARTIAL), self._path(name)
        with self._failing_clearly(name):
            if self.storage.file_mode is None:
                self.storage.sftp.chmod(old, 0o600)
            rename = self.storage.sftp.posix_rename if there else self.storage.sftp.rename
            rename(old, new)

    def _open(self, name: str) -> BinaryIO:
        stream = self.storage.sftp.open(self._path(name), "rb")
        return cast("BinaryIO", stream)

    def permissions(self, name: str) -> int | None:
        """The file's mode, if the server tells."""
        with self._failing_clearly(name):
            mode: int | None = self.storage.sftp.stat(self._path(name)).st_mode
        return None if mode is None else stat.S_IMODE(mode)

    def _path(self, name: str) -> str:
        return posixpath.join(self.storage.root_path, plain(name))


class _Ranges(io.RawIOBase):
    """A file far away, of which only what is read is fetched."""

    def __init__(self, vault: StorageVault, name: str) -> None:
        self._vault, self._name, self._at = vault, name, 0
        self._size = vault.size(name)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readall(self) -> bytes:
        """In one piece: by itself it would ask for 8 KiB at a time."""
        found = self._vault.read(self._name, self._at, max(self._size - self._at, 0))
        self._at += len(found)
        return found

    def readinto(self, target: Any) -> int:
        found = self._vault.read(self._name, self._at, min(len(target), max(self._size - self._at, 0)))
        target[: len(found)] = found
        self._at += len(found)
        return len(found)


def _is_absence(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or _status(error) == 404  # noqa: PLR2004


def _status(error: Exception) -> int | None:
    """The HTTP status that S3 answered with."""
    answer = getattr(error, "response", None)
    return answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None
