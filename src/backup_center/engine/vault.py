"""Where archives live. A file appears under its name when it is whole and on the disk, or never.

Names are plain file names: nothing outside of a vault can be reached.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Protocol, cast

from django.utils.translation import gettext as _

from .errors import NotFound, Refused, StorageFailed

PARTIAL = ".partial"
BUFFER = 1 << 20


class Vault(Protocol):
    """Errors are ``NotFound`` or ``StorageFailed``, with the file's name and what to do."""

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A stream to write ``name`` with. The file appears when the block ends without an exception."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Put a small file in the place of the one that is there, at one stroke."""
        ...

    def open(self, name: str) -> BinaryIO: ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer if the file ends before. Memory is only taken for what is there."""
        ...

    def size(self, name: str) -> int: ...

    def exists(self, name: str) -> bool: ...

    def delete(self, name: str) -> None:
        """Remove ``name`` and anything partial of it; nothing happens if it is not there."""
        ...

    def names(self) -> list[str]:
        """All whole files, sorted."""
        ...

    def partials(self) -> list[str]:
        """Files that are being written, or whose writer died; sorted."""
        ...


class LocalVault:
    """A folder on this machine: files are 0600 and folders 0700."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A stream to write ``name`` with. The file appears when the block ends without an exception."""
        path = self.path(name)
        partial = path.with_name(path.name + PARTIAL)
        if self.folder.exists() and not self.folder.is_dir():
            raise StorageFailed(_("%(folder)s is not a folder.") % {"folder": self.folder})
        with self._failing_clearly(name):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists():
                raise StorageFailed(_("%(path)s is there already; it is not overwritten.") % {"path": path})
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with self._failing_clearly(name), os.fdopen(descriptor, "wb", BUFFER) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            with self._failing_clearly(name):
                partial.rename(path)
                self._sync_folder()
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def replace(self, name: str, data: bytes) -> None:
        path = self.path(name)
        partial = path.with_name(path.name + PARTIAL)
        with self._failing_clearly(name):
            partial.unlink(missing_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.rename(path)
            self._sync_folder()

    def open(self, name: str) -> BinaryIO:
        path = self.path(name)
        if path.exists() and not path.is_file():
            raise Refused(_("%(path)s is not a plain file.") % {"path": path})  # reading a pipe would never end
        with self._failing_clearly(name):
            return path.open("rb")

    def read(self, name: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer if the file ends before. Memory is only taken for what is there."""
        with self.open(name) as stream, self._failing_clearly(name):
            size = os.fstat(stream.fileno()).st_size
            stream.seek(min(offset, size))
            return stream.read(min(length, size - stream.tell()))

    def size(self, name: str) -> int:
        with self._failing_clearly(name):
            return self.path(name).stat().st_size

    def exists(self, name: str) -> bool:
        return self.path(name).is_file()

    def delete(self, name: str) -> None:
        """Remove ``name`` and anything partial of it; nothing happens if it is not there."""
        path = self.path(name)
        with self._failing_clearly(name):
            for victim in (path, path.with_name(path.name + PARTIAL)):
                victim.unlink(missing_ok=True)
            if self.folder.exists():
                self._sync_folder()

    def names(self) -> list[str]:
        """All whole files, sorted."""
        if not self.folder.exists():
            return []
        with self._failing_clearly(str(self.folder)):
            return sorted(p.name for p in self.folder.iterdir() if p.is_file() and not p.name.endswith(PARTIAL))

    def partials(self) -> list[str]:
        if not self.folder.exists():
            return []
        with self._failing_clearly(str(self.folder)):
            return sorted(path.name for path in self.folder.iterdir() if path.name.endswith(PARTIAL))

    def spool(self) -> BinaryIO:
        """A file for what nobody has looked at yet. It is gone when it is closed."""
        with self._failing_clearly("upload"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cast("BinaryIO", NamedTemporaryFile(dir=self.folder, prefix="upload_", suffix=PARTIAL))

    def path(self, name: str) -> Path:
        if not name or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
            raise Refused(_("%(name)s is not the plain name of a file.") % {"name": repr(name)})
        return self.folder / name

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            # Some network file systems can't sync a folder; the rename itself is still atomic there.
            with suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _failing_clearly(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotFound(_("%(name)s is not in %(folder)s.") % {"name": name, "folder": self.folder}) from error
        except OSError as error:
            raise StorageFailed(self._explain(name, error)) from error

    def _explain(self, name: str, error: OSError) -> str:
        facts = {"name": name, "folder": self.folder, "error": error.strerror or error}
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return (
                _("The disk of %(folder)s is full; %(name)s was not written. Free some space and run it again.") % facts
            )
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            facts["user"] = os.getuid() if hasattr(os, "getuid") else "?"
            return (
                _("%(folder)s can't be used (%(error)s). It must belong to user id %(user)s, with mode 0700.") % facts
            )
        if error.errno == errno.EEXIST:
            return _("%(name)s is being written already. If nothing runs, delete its .partial file.") % facts
        return _("%(name)s in %(folder)s: %(error)s.") % facts
