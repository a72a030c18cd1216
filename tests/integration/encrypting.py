"""Keys for tests: a server that encrypts, and the operator who can decrypt."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_center.services import keys


class Operator:
    """Who keeps a secret key, in a file that the server does not have."""

    def __init__(self, folder: Path, name: str = "operator") -> None:
        self.file = folder / f"{name}.txt"
        self.recipient = keys.generate(self.file)

    @contextmanager
    def present(self) -> Iterator[None]:
        """The server can decrypt, for as long as this lasts."""
        before = os.environ.get("BACKUP_ENCRYPTION_IDENTITY_FILE")
        os.environ["BACKUP_ENCRYPTION_IDENTITY_FILE"] = str(self.file)
        try:
            yield
        finally:
            del os.environ["BACKUP_ENCRYPTION_IDENTITY_FILE"]
            if before is not None:
                os.environ["BACKUP_ENCRYPTION_IDENTITY_FILE"] = before

    def joined(self, other: Operator) -> Operator:
        """Who has both keys, in one file."""
        both = copy.copy(self)
        both.file = self.file.with_suffix(".both")
        both.file.write_bytes(self.file.read_bytes() + other.file.read_bytes())
        return both


def encrypt_to(settings: object, *operators: Operator) -> None:
    settings.BACKUP_ENCRYPTION = True
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [operator.recipient for operator in operators]
