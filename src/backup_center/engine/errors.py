"""Every error a caller may meet. The exit codes are those of the commands (``docs/reference.md``).

::

    BackupCenterError (1)
     ├─ NotFound (1)               no such backup, archive or folder
     ├─ StorageFailed (1)          the vault could not be read or written
     │   └─ NotDeleted (1)         files of backups that were to go are still there
     ├─ DatabaseFailed (1)         the database refused, vanished or was locked too long
     ├─ Busy (3)                   someone else holds the lease
     │   └─ LeaseLost (3)          … and took it from us
     ├─ Damaged (4)                the bytes are not those that were written
     │   ├─ Incomplete (4)         the file ends early
     │   └─ BadSignature (4)       the sidecar was not signed by this project
     ├─ Refused (5)                doing it would not be safe or not be exact
     │   ├─ UnknownFormat (5)      an archive of a format that this version can't read
     │   ├─ Unsupported (5)        an engine or a feature that is not there
     │   ├─ Locked (5)             encrypted, and the key is not here
     │   ├─ NotExact (5)           a value that can't be carried exactly
     │   ├─ SchemaDiffers (5)      the tables are not those of the backup
     │   └─ ReferencesInTheWay (5) rows would point to nothing
     ├─ DrillFailed (4)            a drill has not proven that a backup restores (or the code of what stopped it)
     └─ Cancelled (6)              a person said no
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class BackupCenterError(Exception):
    """The root. ``str()`` is one message for people, already translated."""

    exit_code = 1


class NotFound(BackupCenterError):
    """No such backup, archive or folder."""


class StorageFailed(BackupCenterError):
    """The vault could not be read or written."""


class NotDeleted(StorageFailed):
    """Backups that could not be deleted. ``problems`` has one line each, ``names`` their names; ``deleted`` went."""

    def __init__(self, message: str, problems: Mapping[str, str], deleted: int = 0) -> None:
        super().__init__(message)
        self.names = tuple(problems)
        self.problems = tuple(problems.values())
        self.deleted = deleted


class DatabaseFailed(BackupCenterError):
    """The database refused, vanished or was locked for too long."""


class Busy(BackupCenterError):
    """Someone else holds the lease."""

    exit_code = 3


class LeaseLost(Busy):
    """The lease was taken over while this process was away; nothing of it may be committed."""


class Damaged(BackupCenterError):
    """The bytes are not those that were written. ``findings`` names each damaged part."""

    exit_code = 4

    def __init__(self, message: str, findings: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class Incomplete(Damaged):
    """The file ends early."""


class BadSignature(Damaged):
    """The sidecar was not signed with a key of this project."""


class Refused(BackupCenterError):
    """Doing it would not be safe, or not be exact."""

    exit_code = 5


class UnknownFormat(Refused):
    """An archive of a format that this version can't read."""


class Unsupported(Refused):
    """An engine or a feature that is not there."""


class Locked(Refused):
    """Encrypted, and what is here doesn't open it."""


class NotExact(Refused):
    """A value that can't be carried exactly."""


class SchemaDiffers(Refused):
    """The live tables are not those of the backup. ``differences`` has one line each."""

    def __init__(self, message: str, differences: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.differences = tuple(differences)


class ReferencesInTheWay(Refused):
    """Rows would point to nothing. ``problems`` has one line each."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class DrillFailed(BackupCenterError):
    """A drill has not proven that a backup restores. ``findings`` has one line each, ``exit_code`` is the cause's.

    ``report``: what was looked at, as far as it came.
    """

    def __init__(
        self,
        message: str,
        findings: Sequence[str] = (),
        exit_code: int = Damaged.exit_code,
        report: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.findings = tuple(findings)
        self.exit_code = exit_code
        self.report = report or {}


class Cancelled(BackupCenterError):
    """A person said no."""

    exit_code = 6


def lines_of(error: BaseException | str | None) -> list[str]:
    """What an error lists: damaged parts, differences, references."""
    return [str(line) for name in ("findings", "differences", "problems") for line in getattr(error, name, ())]
