"""Sidecars with a valid signature and a content of our choice: of an attacker with the key, or of a later version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from backup_center.conf import get_settings
from backup_center.engine import sidecar
from backup_center.models import BackupRecord


def archive_path(record: BackupRecord) -> Path:
    return get_settings().directory / record.file_path


def sidecar_path(record: BackupRecord) -> Path:
    return get_settings().directory / f"{record.backup_name}.manifest.json"


def forge(record: BackupRecord, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest in a record's sidecar, and sign it; size and SHA-256 are those that the archive has now."""
    path, archive = sidecar_path(record), archive_path(record).read_bytes()
    content = orjson.loads(path.read_bytes().partition(b"\n")[0])["manifest"]
    needs = content["needs"]
    change(content)
    sha256 = hashlib.sha256(archive).hexdigest()
    signed = sidecar.sign([orjson.dumps(content)], len(archive), sha256, needs, get_settings().signing_keys[0])
    path.write_bytes(b"".join(signed))


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
