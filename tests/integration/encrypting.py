"""Who can decrypt, for tests of encrypted backups. The fixtures ``people`` and ``operator`` make some."""

from __future__ import annotations

from pathlib import Path

from pyrage import x25519

from backup_center.engine import encryption
from backup_center.models import BackupRecord
from tests.integration.forging import archive_path


class Operator:
    """Who holds the identity, and lets the server have it or takes it away."""

    def __init__(self, folder, settings) -> None:
        self.secret = str(x25519.Identity.generate())
        self.file, self._settings = folder / f"{len(list(folder.iterdir()))}.txt", settings
        self.file.write_text(f"# created today\n{self.secret}\n")

    @property
    def recipient(self) -> str:
        return encryption.public_of([self.secret])[0]

    def opens(self) -> None:
        self._settings.BACKUP_ENCRYPTION_IDENTITY_FILE = self.file

    def leaves(self) -> None:
        self._settings.BACKUP_ENCRYPTION_IDENTITY_FILE = None


def key_path(record: BackupRecord) -> Path:
    return archive_path(record).parent / f"{record.backup_name}.key.age"
