"""What goes wrong on the way to a vault: tried again, then told; and never a part of a file in sight."""

from __future__ import annotations

import hashlib
import io

import pytest

from backup_center.engine.errors import BackupCenterError, StorageFailed
from backup_center.models import BackupCopy, BackupRecord
from backup_center.services import vaults
from tests import faulty
from tests.faulty import Fault, FaultyStorage
from tests.projects import once

pytestmark = [once, pytest.mark.slow]

GOOD, MISSING = BackupCopy.State.GOOD, BackupCopy.State.MISSING
ALWAYS = 1000
CONTENT = bytes(range(256)) * 40


def put(vault, name: str, content: bytes = CONTENT) -> None:
    vault.put(name, io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """How long was waited before each further try."""
    found: list[float] = []
    monkeypatch.setattr("backup_center.services.storage_vault.sleep", found.append)
    return found


def copied(record: BackupRecord) -> BackupCopy:
    return record.copies.get(vault="offsite")


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("save", faulty.fails),
        ("save", faulty.is_slow),
        ("save", faulty.leaves_a_part),
        ("save", faulty.keeps_a_part),
        ("save", faulty.renames),
        ("open", faulty.fails),
        ("open", faulty.reads_short),
        ("exists", faulty.fails),
        ("size", faulty.fails),
    ],
)
def test_what_fails_once_is_tried_again(faulty_storage, method, act, nth):
    faulty_storage(method, act, nth=nth)
    vault = vaults.named("offsite")
    for name in ("one.bin", "two.bin"):
        put(vault, name)
        assert vault.read(name, 0, len(CONTENT)) == CONTENT
        assert vault.size(name) == len(CONTENT)
    assert FaultyStorage.inner.listdir("")[1] == ["one.bin", "two.bin"]


@pytest.mark.parametrize("act", [faulty.leaves_a_part, faulty.keeps_a_part])
def test_what_goes_on_failing_leaves_nothing_and_shows_as_missing(small_zoo, faulty_storage, backups, waits, act):
    faulty_storage("save", act, times=ALWAYS)
    record = backups.create_backup()
    assert (record.status, copied(record).state != GOOD, FaultyStorage.inner.listdir("")[1]) == ("SUCCESS", True, [])
    assert waits == [0.5, 2.0, 8.0]  # longer and longer, and no longer than that
    FaultyStorage.fault.times = 0
    assert [copy.state for copy in backups.copy_backups()] == [GOOD]


def test_a_list_that_is_behind_makes_no_copy_missing(small_zoo, faulty_storage, backups):
    faulty_storage("listdir", faulty.lists_nothing, times=ALWAYS)
    record = backups.create_backup()
    assert (copied(record).state, backups.verify_backup(record)) == (GOOD, [])
    assert vaults.named("offsite").names() == []


def test_s3_that_fails_once_is_asked_again(faulty_s3, s3):
    """A 200 that tells an error, too, where an answer has a body to tell it in."""
    vault = vaults.named("offsite")
    faults = [(method, act) for method in ("PUT", "HEAD", "GET", "DELETE") for act in (503, 429, "reset")]
    for method, act in [*faults, ("PUT", 200), ("GET", 200)]:
        faulty_s3.fault = Fault(lambda what, method=method: what.startswith(method), act)
        put(vault, "one.bin")
        assert vault.read("one.bin", 5, 100) == CONTENT[5:105]
        assert (s3.folder / "one.bin").read_bytes() == CONTENT
        vault.delete("one.bin")
        assert s3.files() == set()
        assert faulty_s3.fault.reached, (method, act)


def test_s3_that_goes_on_failing_is_told_and_the_backup_is_still_good(small_zoo, faulty_s3, s3, backups, waits):
    faulty_s3.fault = Fault(lambda what: what.startswith("PUT"), 503, times=ALWAYS)
    record = backups.create_backup()
    assert (record.status, copied(record).state, s3.files()) == ("SUCCESS", MISSING, set())
    assert "503" in copied(record).error or "InternalError" in copied(record).error
    assert waits == [0.5, 2.0, 8.0]


def test_an_upload_in_parts_that_breaks_is_aborted_and_a_backup_there_has_failed(
    small_zoo, faulty_s3, s3, backups, settings, monkeypatch
):
    from boto3.s3.transfer import TransferConfig

    small_parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=1)
    options = {**s3.storage["OPTIONS"], "transfer_config": small_parts}
    settings.STORAGES = {**settings.STORAGES, "offsite": {**s3.storage, "OPTIONS": options}}
    monkeypatch.setattr("backup_center.services.storage_vault.WAITS", ())
    faulty_s3.fault = Fault(lambda what: "partNumber=2" in what, 503, times=ALWAYS)
    content = bytes(11 << 20)
    with pytest.raises(StorageFailed):
        put(vaults.named("offsite"), "big.bin", content)
    assert any(what.startswith("DELETE") and "uploadId=" in what for what in faulty_s3.requests)
    assert (s3.files(), vaults.named("offsite").names()) == (set(), [])
    # And where the vault is the first one, there is no backup without it.
    settings.BACKUP_VAULTS = ["offsite"]
    faulty_s3.fault = Fault(lambda what: what.startswith("PUT"), "reset", times=ALWAYS)
    with pytest.raises(BackupCenterError, match="offsite"):
        backups.create_backup()
    assert (BackupRecord.objects.get().status, s3.files()) == ("FAILED", set())
