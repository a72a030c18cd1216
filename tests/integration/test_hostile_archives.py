"""Signed or not, what a vault holds can't make us write elsewhere, hang or fill the memory (reliability 16)."""

from __future__ import annotations

import hashlib
import os
import resource
import zlib
from functools import partial
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from backup_center.engine.errors import BackupCenterError, Damaged, NotFound, Refused
from backup_center.engine.sidecar import SIDECAR_LIMIT
from tests.integration.forging import archive_path, forge, sidecar_path
from tests.integration.killing import Child

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
HEADROOM = 128 * MIB
BOMB = 512 * MIB


@pytest.fixture
def record(small_zoo, backups):
    """A backup, whose tables were spoiled since."""
    record = backups.create_backup()
    small_zoo.spoil()
    return record


@pytest.fixture
def assert_refused(small_zoo, restores, tmp_path, capfd):
    """A restore by a child with little memory ends with one of these exit codes; no row, no other file is changed."""

    def check(record, *codes) -> None:
        rows, files = small_zoo.rows(), outside(tmp_path, small_zoo.vault)

        def restore() -> None:
            limit = _address_space() + HEADROOM
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            restores.restore_from_backup(record, safety_backup=False)

        assert Child(restore).wait() in codes, capfd.readouterr().err
        assert small_zoo.rows() == rows
        assert outside(tmp_path, small_zoo.vault) == files

    return check


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def outside(folder: Path, vault: Path) -> set[Path]:
    return {path for path in (*folder.rglob("*"), *folder.parent.glob("*")) if vault not in path.parents}


def last_chunk(content):
    return content["tables"][-1]["chunks"][-1]


def lies(record, found):
    """Sidecars with each of these changes, one after the other."""
    honest = sidecar_path(record).read_bytes()
    for change in found:
        sidecar_path(record).write_bytes(honest)
        forge(record, change)
        yield change


def test_a_name_that_leads_elsewhere(record, assert_refused, backups):
    names = ["../outside", "../../outside", "/outside", "a/../b", "..", "", "a\0b"]
    for _ in lies(record, [partial(_update, {"name": name}) for name in names]):
        assert_refused(record, Damaged.exit_code)
        assert "another backup" in backups.verify_backup(record)[0]


def test_a_chunk_that_is_elsewhere_or_nowhere(record, assert_refused):
    changes = [
        {"offset": -1},
        {"offset": 2**63 - 1},
        {"offset": "0"},
        {"offset": 0.5},
        {"length": -1},
        {"length": 2**63 - 1},
        {"length": 0},
        {"size": 2**63 - 1},
        {"size": -512},
        {"rows": True},
        {"archive": "../other"},
        {"stored_sha256": None},
        {"surprise": 1},
    ]
    for _ in lies(record, [lambda content, change=change: last_chunk(content).update(change) for change in changes]):
        assert_refused(record, NotFound.exit_code, Damaged.exit_code)


def test_a_manifest_of_another_shape(record, assert_refused):
    changes = [
        {"tables": None},
        {"tables": [1]},
        {"tables": [{}]},
        {"needs": None},
        {"format": None},
        {"codec": "../a"},
    ]
    without_chunks = lambda content: content["tables"][-1].update(chunks=[])  # noqa: E731
    for _ in lies(record, [without_chunks, *(partial(_update, change) for change in changes)]):
        assert_refused(record, Damaged.exit_code, Refused.exit_code)


def _update(change, content) -> None:
    content.update(change)


def test_a_gzip_bomb_in_a_chunk(record, small_zoo, assert_refused):
    small_zoo.spoil()  # chunks of rows that are as they were are not even read
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(BOMB // MIB)) + packer.flush()
    offset = record.file_size
    with archive_path(record).open("ab") as file:
        file.write(bomb)
    place = {"offset": offset, "length": len(bomb), "stored_sha256": hashlib.sha256(bomb).hexdigest()}
    forge(record, lambda content: [chunk.update(place) for table in content["tables"] for chunk in table["chunks"]])

    assert_refused(record, Damaged.exit_code)


def test_a_huge_sidecar_is_not_read(record, assert_refused, backups):
    os.truncate(sidecar_path(record), SIDECAR_LIMIT + 1)

    assert_refused(record, Damaged.exit_code)
    assert "larger" in backups.verify_backup(record)[0]


def test_links_and_pipes_are_not_taken_for_the_backup(record, assert_refused, tmp_path):
    """Neither is read: a pipe would hold us up forever."""
    other = tmp_path / "other"
    other.write_text("nobody's business")
    for path in (archive_path(record), sidecar_path(record)):
        honest = path.read_bytes()
        for replace in (lambda path: path.symlink_to(other), os.mkfifo):
            path.unlink()
            replace(path)
            assert_refused(record, Damaged.exit_code, Refused.exit_code)
        path.unlink()
        path.write_bytes(honest)


def test_a_link_is_deleted_and_not_what_it_points_to(record, backups, tmp_path):
    other = tmp_path / "other"
    other.write_text("somebody's")
    archive_path(record).unlink()
    archive_path(record).symlink_to(other)

    backups.delete_backup(record)

    assert other.read_text() == "somebody's"


def test_a_link_in_the_way_of_a_new_archive_is_not_followed(small_zoo, backups, tmp_path, monkeypatch):
    """Names are claimed with O_EXCL: a link that waits under the next name is a clear error, its target untouched."""
    other = tmp_path / "other"
    other.write_text("somebody's")
    monkeypatch.setattr("backup_center.services.catalogue._free_name", lambda backup_type: "backup_full_x")
    small_zoo.vault.mkdir()
    (small_zoo.vault / "backup_full_x.tar.gz.partial").symlink_to(other)

    with pytest.raises(BackupCenterError, match="backup_full_x"):
        backups.create_backup()
    assert other.read_text() == "somebody's"


def test_an_unknown_format_is_refused_by_name(record, assert_refused):
    for change, name in (({"format": 2}, "format 2"), ({"codec": "zstd"}, "zstd")):
        forge(record, partial(_update, {"format": 1, "codec": "gzip"} | change))
        assert_refused(record, Refused.exit_code)
        with pytest.raises(CommandError, match=name) as caught:
            call_command("restore_database", record.backup_name, "--yes")
        assert caught.value.returncode == Refused.exit_code
