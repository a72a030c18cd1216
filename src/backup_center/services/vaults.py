"""The vaults of this project, from its settings: one that backups are written to first, and those with copies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings as project
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InvalidStorageError, Storage, storages
from django.utils.translation import gettext as _

from ..conf import Settings, get_settings
from ..engine.errors import Refused, StorageFailed
from ..engine.vault import LocalVault, Vault, nearest
from .storage_vault import vault_over

LOCAL = "local"
READ_WRITE, APPEND_ONLY, RESTORE_ONLY = MODES = ("read-write", "append-only", "restore-only")
TAKEN = ("default", "staticfiles")
EXAMPLE = 'BACKUP_VAULTS = ["local", "offsite"]'


def names() -> list[str]:
    """Those that are set; whatever else is wrong with them, what they hold can be read."""
    found = get_settings().vaults
    return list(dict.fromkeys(found)) if not list_problem(found) else [LOCAL]


def named(name: str) -> Vault:
    """Raises ``StorageFailed`` if it can't be used at all."""
    if name == LOCAL:
        return LocalVault(get_settings().directory)
    storage = _storage(name)
    if isinstance(storage, FileSystemStorage):  # whose own way to write shows files before they are whole
        return LocalVault(Path(storage.location))
    return vault_over(name, storage)


def home_name() -> str:
    """The vault that backups are written to: the first that may be. Raises ``Refused`` if it must not be used."""
    if wrong := list_problem(get_settings().vaults):
        raise Refused(wrong)
    found = next(iter(writable()), None)
    if found is None:
        raise Refused(_("All vaults are restore-only: no backup can be written. Change BACKUP_VAULT_MODES."))
    require_usable(found)
    return found


def home() -> Vault:
    return named(home_name())


def everywhere() -> Vault:
    """All of them as one: reads what any of them has, and writes where backups are written first."""
    found = names()
    return Several(found) if found != [LOCAL] else named(LOCAL)


def at_hand() -> Vault:
    """Those that can be asked while a page waits: those near, or what backups are written to if none is."""
    near = [name for name in names() if is_near(name)]
    return Several(near) if near else home()


def writable() -> list[str]:
    return [name for name in names() if mode(name) != RESTORE_ONLY]


def erasable() -> list[str]:
    """Those in which we delete."""
    return [name for name in names() if mode(name) == READ_WRITE]


def mode(name: str) -> str:
    """What isn't understood is only read."""
    modes = get_settings().vault_modes
    found = modes.get(name, READ_WRITE) if isinstance(modes, dict) else RESTORE_ONLY
    return found if found in MODES else RESTORE_ONLY


def is_near(name: str) -> bool:
    try:
        return named(name).near
    except StorageFailed:
        return False


class Several:
    """Several vaults as one. Files are written to the first that may be, and looked for in all, the nearest first."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = sorted(names, key=lambda name: (not is_near(name), name != LOCAL))

    @property
    def near(self) -> bool:
        return all(map(is_near, self._names))

    def copies(self, name: str) -> Sequence[Vault]:
        return [cast("Vault", _Named(vault)) for vault in self._names]

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        return home().create(name)

    def put(self, name: str, stream: BinaryIO, size: int, sha256: str, *, replace: bool = False) -> None:
        home().put(name, stream, size, sha256, replace=replace)

    def open(self, name: str) -> BinaryIO:
        return nearest(self, name, lambda vault: vault.open(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        return nearest(self, name, lambda vault: vault.read(name, offset, length))

    def size(self, name: str) -> int:
        return nearest(self, name, lambda vault: vault.size(name))

    def exists(self, name: str) -> bool:
        """Whether any of them has it. Raises ``StorageFailed`` if none says so and one doesn't answer."""
        failure: StorageFailed | None = None
        for vault in self.copies(name):
            try:
                if vault.exists(name):
                    return True
            except StorageFailed as error:
                failure = error
        if failure is not None:
            raise failure
        return False

    def delete(self, name: str) -> None:
        """In each of them, even if one refuses."""
        failures = []
        for vault in self.copies(name):
            try:
                vault.delete(name)
            except StorageFailed as error:
                failures.append(str(error))
        if failures:
            raise StorageFailed(" ".join(failures))

    def names(self) -> list[str]:
        """Of all that answer. Raises ``StorageFailed`` if none does."""
        return self._listed(lambda vault: vault.names())

    def partials(self) -> list[str]:
        return self._listed(lambda vault: vault.partials())

    def _listed(self, look: Callable[[Vault], list[str]]) -> list[str]:
        found: set[str] = set()
        failures = []
        for vault in self.copies(""):
            try:
                found.update(look(vault))
            except StorageFailed as error:
                failures.append(str(error))
        if failures and len(failures) == len(self._names):
            raise StorageFailed(" ".join(failures))
        return sorted(found)


class _Named:
    """A vault that is made when it is needed: one that can't be must not keep anyone from the others."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(named(self._name), attribute)


# -- what is wrong with the settings ----------------------------------------------------------------------------------


def list_problem(found: Any) -> str:
    """What is wrong with BACKUP_VAULTS as a list; empty if nothing is."""
    if not isinstance(found, list | tuple) or not found or not all(isinstance(name, str) and name for name in found):
        return _("BACKUP_VAULTS must be a list of names, with at least one.")
    if len(set(found)) < len(found):
        return _("BACKUP_VAULTS names a vault twice.")
    return ""


def modes_problem(settings: Settings) -> str:
    """What is wrong with BACKUP_VAULT_MODES; empty if nothing is."""
    modes = settings.vault_modes
    if not isinstance(modes, dict):
        return _("BACKUP_VAULT_MODES must be a dict of vaults and modes.")
    unknown = [f"{name}: {found}" for name, found in modes.items() if name not in names() or found not in MODES]
    if unknown:
        facts = {"unknown": ", ".join(unknown), "modes": ", ".join(MODES)}
        return _("BACKUP_VAULT_MODES has an unknown vault or mode: %(unknown)s. The modes are: %(modes)s.") % facts
    return ""


def problem(name: str) -> str:
    """Why nothing may be written to a vault; empty if it may be."""
    if name == LOCAL:
        return ""  # the checks of BACKUP_DIR are its own
    if name in TAKEN:
        return _("The storage %(name)s holds the project's own files; backups need one of their own.") % {"name": name}
    try:
        storage = _storage(name)
    except StorageFailed as error:
        return str(error)
    for setting in ("MEDIA_ROOT", "STATIC_ROOT"):
        root = getattr(project, setting, None)
        inside = isinstance(storage, FileSystemStorage) and root
        if inside and Path(storage.location).resolve().is_relative_to(Path(root).resolve()):  # type: ignore[arg-type, attr-defined]
            return _("The vault %(name)s lies under %(setting)s, which the web server hands to everybody.") % {
                "name": name,
                "setting": setting,
            }
    return ""


def require_usable(name: str) -> None:
    if wrong := problem(name):
        raise Refused(wrong)


def _storage(name: str) -> Storage:
    known: Iterable[str] = storages.backends
    if name not in known:
        raise StorageFailed(_("The vault %(name)s is not in STORAGES. Add it there.") % {"name": name})
    try:
        return storages[name]
    except (InvalidStorageError, ImproperlyConfigured, ImportError) as error:
        facts = {"name": name, "error": error}
        hint = _("S3 needs pip install 'django-backup-center[s3]', SFTP 'django-backup-center[sftp]'.")
        raise StorageFailed(_("The vault %(name)s can't be used: %(error)s.") % facts + " " + hint) from error
