"""Vaults keep what they promise, wherever they are: on a disk, on S3, behind SFTP."""

from __future__ import annotations

import hashlib
import io

import pytest
from django.core.management import CommandError, call_command

from backup_center.engine.errors import Damaged, NotFound, Refused, StorageFailed
from backup_center.services import vaults
from tests.faulty import keeps_a_part, lists_nothing
from tests.projects import once

pytestmark = once

CONTENT = bytes(range(256)) * 4096


def put(vault, name, content=CONTENT, *, replace=False, as_if=None):
    expected = content if as_if is None else as_if
    vault.put(name, io.BytesIO(content), len(expected), hashlib.sha256(expected).hexdigest(), replace=replace)


@pytest.fixture
def vault(place, offsite, monkeypatch):
    monkeypatch.setattr("backup_center.services.storage_vault.WAITS", (0.01,))
    offsite(place)
    return vaults.named("offsite")


def test_a_file_is_written_read_in_parts_listed_and_deleted(vault, place):
    with vault.create("one.bin") as stream:
        stream.write(CONTENT[:100_000])
        assert "one.bin" not in place.files()
        stream.write(CONTENT[100_000:])
    assert vault.size("one.bin") == len(CONTENT)
    assert vault.read("one.bin", 300, 500) == CONTENT[300:800]
    assert vault.read("one.bin", len(CONTENT) - 5, 100) == CONTENT[-5:]
    assert vault.read("one.bin", len(CONTENT) + 5, 100) == b""
    with vault.open("one.bin") as stream:
        assert stream.read() == CONTENT
    put(vault, "two.bin")
    assert vault.names() == ["one.bin", "two.bin"]
    vault.delete("one.bin")
    vault.delete("one.bin")
    assert (vault.exists("one.bin"), vault.exists("two.bin")) == (False, True)
    assert place.files() == {"two.bin"}
    for absent in (vault.size, vault.open, lambda name: vault.read(name, 0, 1)):
        with pytest.raises(NotFound):
            absent("one.bin")


def test_nothing_is_overwritten_unless_it_is_to_be_replaced_and_nothing_half_is_ever_seen(vault, place):
    put(vault, "one.bin", b"the first")
    with pytest.raises(StorageFailed, match="not overwritten"):
        put(vault, "one.bin", b"another")
    with pytest.raises(StorageFailed, match="not overwritten"), vault.create("one.bin") as stream:
        stream.write(b"another")
    with pytest.raises(ZeroDivisionError), vault.create("half.bin") as stream:
        stream.writelines([CONTENT, *(1 // 0 for _ in "!")])
    with pytest.raises(Damaged):
        put(vault, "half.bin", CONTENT, as_if=CONTENT[:-1] + b"?")
    (place.folder / "one.bin.partial").write_bytes(CONTENT)  # left behind by one that was killed
    assert vault.names() == ["one.bin"]
    with pytest.raises(Damaged):  # and what was to be replaced stays
        put(vault, "one.bin", CONTENT, as_if=CONTENT + b"more", replace=True)
    assert place.files() == {"one.bin"}
    assert vault.read("one.bin", 0, 100) == b"the first"
    put(vault, "one.bin", CONTENT, replace=True)
    assert place.files() == {"one.bin"}
    assert vault.read("one.bin", 0, 100) == CONTENT[:100]


def test_a_vault_can_be_tried_out_and_nothing_of_it_stays(vault, place, capsys):
    call_command("check_vault", "offsite")
    assert "keeps what it must promise" in capsys.readouterr().out
    assert place.files() == set()


@pytest.mark.parametrize(
    ("method", "act", "promise"), [("listdir", lists_nothing, "listed"), ("save", keeps_a_part, "read")]
)
def test_a_vault_that_breaks_a_promise_is_told_by_it(faulty_storage, monkeypatch, method, act, promise):
    monkeypatch.setattr("backup_center.services.storage_vault.WAITS", ())
    faulty_storage(method, act, times=1000)
    with pytest.raises(CommandError, match=promise) as error:
        call_command("check_vault", "offsite", "--json")
    assert error.value.returncode == 1


def test_what_is_not_for_backups_is_never_written_to(backups, settings, disk, transactional_db):
    settings.BACKUP_VAULTS = ["default"]
    with pytest.raises(Refused, match="own files"):
        backups.create_backup()
    with pytest.raises(CommandError, match="not one of BACKUP_VAULTS"):
        call_command("check_vault", "offsite")
