"""A file that ends early is "incomplete" (reliability 6), wherever it ends: fewer rows never come out of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from backup_center.engine import sidecar
from backup_center.engine.errors import Damaged, Incomplete, NotFound
from backup_center.engine.vault import LocalVault
from tests import archives
from tests.archives import KEY, Archive
from tests.projects import once

pytestmark = once


def cut(archive: Archive, size: int) -> None:
    os.truncate(archive.path, size)


def assert_incomplete(archive: Archive, size: int) -> None:
    found = archive.examine()
    assert "incomplete" in found[0].message, size
    named = [(finding.label, finding.chunk) for finding in found[1:]]
    assert named == archive.touching(size, archive.sidecar.size), size
    assert all("incomplete" in finding.message for finding in found), size


def test_truncated_at_every_byte(tmp_path):
    archive = archives.make(tmp_path, rows=5)
    archive.spoil()
    for size in reversed(range(archive.sidecar.size)):
        cut(archive, size)
        assert_incomplete(archive, size)
        if size % 100 == 0:
            archives.refused(archive, Damaged)


@pytest.mark.parametrize(("codec", "sealed"), [("gzip", False), ("none", False), ("gzip", True)])
def test_truncated_at_every_entry_boundary(tmp_path, codec, sealed):
    """Here ``tar`` and ``gzip`` see nothing wrong: each entry is a member of its own."""
    archive = archives.make(tmp_path, rows=3_000, codec=codec, sealed=sealed)
    archive.spoil()
    ends = [end for *_, end in archive.chunks()]
    assert len(ends) > 10
    for size in reversed([archive.chunks()[0][2], *ends]):
        cut(archive, size)
        assert_incomplete(archive, size)
        archives.refused(archive, Damaged)


def test_a_sidecar_truncated_at_every_byte(tmp_path):
    archive = archives.make(tmp_path, rows=5)
    data = archive.sidecar_path.read_bytes()
    for size in range(len(data)):
        with pytest.raises(Incomplete, match="incomplete"):
            sidecar.open_sidecar(data[:size], [KEY], "sidecar")


def test_bytes_too_many_are_noticed_too(tmp_path):
    archive = archives.make(tmp_path, rows=5)
    with archive.path.open("ab") as file:
        file.write(b"\0")

    [found] = archive.examine()

    assert str(archive.sidecar.size + 1) in found.message
    archives.refused(archive, Damaged)


def test_an_archive_that_is_gone(tmp_path):
    archive = archives.make(tmp_path, rows=5)
    archive.path.unlink()

    [found] = archive.examine()

    assert archive.path.name in found.message
    archives.refused(archive, Damaged)


def test_a_vault_that_is_gone(tmp_path):
    archive = archives.make(tmp_path, rows=5)
    elsewhere = replace(archive, vault=LocalVault(Path("/nowhere/at/all")))

    assert "/nowhere/at/all" in elsewhere.examine()[0].message
    with pytest.raises(NotFound):
        elsewhere.vault.read("anything", 0, 1)
