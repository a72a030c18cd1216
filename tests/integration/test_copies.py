"""One backup, several vaults: copied, checked, made up for, healed, restored from whichever copy is good."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from backup_center.engine.errors import Damaged, NotDeleted
from backup_center.models import BackupCopy, BackupLog, BackupRecord
from backup_center.services import catalogue, copies, vaults
from tests.zoo.models import Animal, Keeper

Level, State = BackupLog.Level, BackupCopy.State


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("backup_center.services.storage_vault.WAITS", (0.01,))


def states(record: BackupRecord) -> dict[str, str]:
    return dict(record.copies.values_list("vault", "state"))


def flip(path, at: int = 2000) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)


def test_a_backup_is_copied_and_each_copy_alone_restores_it(small_zoo, place, offsite, backups, restores):
    offsite(place)
    record = backups.create_backup()
    assert states(record) == {"local": State.GOOD, "offsite": State.GOOD}
    assert place.files() == small_zoo.files() == set(catalogue.files_of(record))
    for name in catalogue.files_of(record):
        assert (place.folder / name).read_bytes() == (small_zoo.vault / name).read_bytes()
    before = small_zoo.rows()
    for name in small_zoo.files():  # the server is lost
        (small_zoo.vault / name).unlink()
    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == before
    assert backups.verify_backup(record) == [
        f"local: {record.file_path} is not in {small_zoo.vault}.",
        f"local: {catalogue.sidecar_name(record)} is not in {small_zoo.vault}.",
    ]
    record.refresh_from_db()
    assert not record.is_damaged
    assert backups.verify_backup(record, repair=True) == []
    assert small_zoo.files() == place.files()


def test_chunk_by_chunk_two_damaged_copies_make_up_a_whole_backup(small_zoo, disk, offsite, backups, restores):
    offsite(disk)
    record = backups.create_backup()
    sidecar = catalogue.open_sidecar(record, vaults.everywhere())
    first, last = (sidecar.manifest.table("zoo.animal").chunks[index] for index in (0, -1))
    flip(small_zoo.vault / record.file_path, first.offset + 30)
    flip(disk.folder / record.file_path, last.offset + 30)
    before = small_zoo.rows()
    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == before
    assert len(backups.verify_backup(record)) == 2
    record.refresh_from_db()
    assert (record.is_damaged, states(record)) == (False, {"local": State.DAMAGED, "offsite": State.DAMAGED})
    flip(disk.folder / record.file_path, first.offset + 30)  # now one is damaged in both
    assert "000000.json is damaged" in " ".join(backups.verify_backup(record))
    record.refresh_from_db()
    assert record.is_damaged
    with pytest.raises(Damaged):
        restores.restore_from_backup(record)


def test_a_damaged_copy_is_replaced_from_a_good_one_wherever_it_is(small_zoo, place, offsite, backups):
    offsite(place)
    record = backups.create_backup()
    whole = (small_zoo.vault / record.file_path).read_bytes()
    flip(place.folder / record.file_path)
    with pytest.raises(CommandError, match="Damaged") as error:
        call_command("verify_backups")
    assert error.value.returncode == 4
    assert states(record) == {"local": State.GOOD, "offsite": State.DAMAGED}
    flip(small_zoo.vault / catalogue.sidecar_name(record), 40)
    call_command("verify_backups", "--repair")
    assert states(record) == {"local": State.GOOD, "offsite": State.GOOD}
    assert (place.folder / record.file_path).read_bytes() == whole
    assert place.files() == small_zoo.files() == set(catalogue.files_of(record))
    assert backups.verify_backup(record, deep=True) == []


def test_an_unreachable_vault_fails_no_backup_and_is_made_up_for(small_zoo, s3, offsite, backups, capsys, settings):
    unreachable = {**s3.storage, "OPTIONS": {**s3.storage["OPTIONS"], "endpoint_url": "http://127.0.0.1:9"}}
    settings.STORAGES = {**settings.STORAGES, "offsite": unreachable}
    settings.BACKUP_VAULTS = ["local", "offsite"]
    record = backups.create_backup()
    assert (record.status, states(record)) == ("SUCCESS", {"local": State.GOOD, "offsite": State.MISSING})
    assert BackupLog.objects.filter(operation="COPY", log_level=Level.ERROR).count() == 1
    with pytest.raises(CommandError, match="still missing") as error:
        call_command("copy_backups")
    assert error.value.returncode == 1
    assert record.copies.get(vault="offsite").attempts == 2
    [facts] = listed(capsys)
    assert facts["missing_copies"] == ["offsite"]
    assert [copy["state"] for copy in facts["copies"]] == ["GOOD", "MISSING"]
    Animal.objects.filter(weight=3).update(name="changed")
    offsite(s3)
    incremental = backups.create_backup(backup_type="INCREMENTAL")  # takes what it borrows from along
    assert incremental.parent == record
    assert s3.files() == small_zoo.files()
    assert [facts["missing_copies"] for facts in listed(capsys)] == [[], []]
    call_command("copy_backups", record.backup_name)
    assert "0 copies were made" in capsys.readouterr().out


def listed(capsys) -> list[dict]:
    capsys.readouterr()
    call_command("list_backups", "--json")
    return json.loads(capsys.readouterr().out)


def test_a_deletion_reaches_every_vault_but_those_that_keep_everything(small_zoo, disk, s3, offsite, backups, settings):
    offsite(disk, "local", "offsite", "archive")
    settings.STORAGES = {**settings.STORAGES, "archive": s3.storage}
    settings.BACKUP_VAULT_MODES = {"archive": "append-only"}
    record = backups.create_backup()
    assert set(states(record)) == {"local", "offsite", "archive"}
    files = small_zoo.files()
    backups.delete_backup(record)
    assert (small_zoo.files(), disk.files(), s3.files()) == (set(), set(), files)
    assert "archive" in BackupLog.objects.filter(operation="DELETE").first().message


def test_what_can_not_be_deleted_far_away_keeps_its_record_and_is_tried_again(
    small_zoo, s3, offsite, backups, settings
):
    offsite(s3)
    record = backups.create_backup()
    broken = {**s3.storage, "OPTIONS": {**s3.storage["OPTIONS"], "endpoint_url": "http://127.0.0.1:9"}}
    settings.STORAGES = {**settings.STORAGES, "offsite": broken}
    with pytest.raises(NotDeleted):
        backups.delete_backup(record)
    record.refresh_from_db()
    assert (record.status, s3.files() != set()) == ("FAILED", True)
    assert catalogue.sidecar_name(record) not in small_zoo.files()
    offsite(s3)
    assert backups.delete_old_backups() == 1
    assert (small_zoo.files(), s3.files()) == (set(), set())


def test_a_restore_only_vault_is_read_and_never_written(small_zoo, disk, offsite, backups, restores, settings):
    offsite(disk)
    record = backups.create_backup()
    settings.BACKUP_VAULT_MODES = {"offsite": "restore-only"}
    before, files = small_zoo.rows(), disk.files()
    assert set(states(backups.create_backup())) == {"local"}
    for name in small_zoo.files():
        (small_zoo.vault / name).unlink()
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == before
    assert disk.files() == files


def test_a_small_type_of_a_big_remote_archive_is_little_to_fetch(small_zoo, s3, offsite, backups, restores, settings):
    settings.BACKUP_DATA_TYPES = {"KEEPERS": {"models": ["zoo.Keeper"]}, "ANIMALS": {"models": ["zoo.Animal"]}}
    offsite(s3, "offsite")
    record = backups.create_backup()
    assert states(record) == {"offsite": State.GOOD}
    Animal.objects.all().delete()
    Keeper.objects.update(name="?")
    fetched: list[int] = []
    events = vaults.named("offsite").storage.connection.meta.client.meta.events
    events.register("after-call.s3.GetObject", lambda parsed, **_: fetched.append(parsed["ContentLength"]), "count")
    restores.restore_from_backup(record, data_types=["KEEPERS"], safety_backup=False)
    assert set(Keeper.objects.values_list("name", flat=True)) == {f"keeper {number}" for number in range(3)}
    sidecar = (s3.folder / catalogue.sidecar_name(record)).stat().st_size
    [chunk] = catalogue.open_sidecar(record, vaults.everywhere()).manifest.table("zoo.keeper").chunks
    archive = [size for size in fetched if size != sidecar]
    assert set(archive) == {chunk.length}
    assert sum(archive) < record.file_size / 10


def test_an_archive_that_is_deleted_while_it_is_copied_does_not_come_back(small_zoo, disk, offsite, backups):
    record = backups.create_backup()
    offsite(disk)
    BackupRecord.objects.filter(pk=record.pk).update(status="FAILED")
    copy = copies.make(record, "offsite")
    assert (copy.state, disk.files()) == (State.MISSING, set())


def test_pages_show_what_is_missing_and_make_it(small_zoo, disk, offsite, backups, admin_client, settings):
    settings.ROOT_URLCONF = "tests.urls"
    record = backups.create_backup()
    offsite(disk)
    assert "copies are missing" in admin_client.get(reverse("backup:list")).content.decode()
    for page in (reverse("backup:list"), reverse("backup:settings"), reverse("backup:detail", args=[record.pk])):
        shown = admin_client.get(page).content.decode()
        assert "offsite" in shown
    assert "Make the missing copies" in shown
    admin_client.post(reverse("backup:verify", args=[record.pk]), {"repair": "1"})
    assert states(record) == {"local": State.GOOD, "offsite": State.GOOD}
    assert "copies are missing" not in admin_client.get(reverse("backup:list")).content.decode()


def test_the_safety_backup_of_a_restore_is_copied_too(small_zoo, disk, offsite, backups, restores):
    offsite(disk)
    record = backups.create_backup()
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert disk.files() == small_zoo.files()
    assert BackupCopy.objects.filter(state=State.GOOD).count() == 4
