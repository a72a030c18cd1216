"""Create, look at, download, verify, pin and delete one backup on its pages."""

from __future__ import annotations

import hashlib

import pytest
from django.urls import reverse

from backup_center import signals
from backup_center.engine.errors import NotFound
from backup_center.models import BackupLog, BackupRecord
from backup_center.services.lease import hold
from backup_center.services.running import running
from tests.integration.pages import ALL, a_record, browser, person

pytestmark = pytest.mark.django_db(transaction=True)
CREATE = "/backup/create/"


@pytest.fixture
def actor():
    return person(*ALL, name="小王")


@pytest.fixture
def client(actor):
    return browser(actor)


def at(name: str, record: BackupRecord) -> str:
    return reverse(f"backup:{name}", args=[record.pk])


def test_the_form_offers_every_type_with_its_rows(client, small_zoo):
    page = client.get(CREATE).content.decode()
    assert 'value="FULL" checked' in page
    assert 'value="ZOO" checked' in page
    assert "1,205" in page  # 1,200 animals, 3 keepers, a friendship both ways


def test_a_backup_is_taken_and_shown(client, actor, small_zoo):
    sent = {"backup_type": "FULL", "data_types": ["ZOO"], "description": "月结前"}
    answer = client.post(CREATE, sent, follow=True)
    record = BackupRecord.objects.get()
    assert (record.status, record.created_by, record.trigger, record.is_automatic) == (
        "SUCCESS",
        actor,
        "manual",
        False,
    )
    assert answer.redirect_chain == [(at("detail", record), 302)]
    page = answer.content.decode()
    for text in (
        "The backup is complete: 1,205 rows",
        record.backup_name,
        record.file_hash,
        "月结前",
        "小王",
        "zoo.animal",
    ):
        assert text in page
    again = client.get(CREATE).content.decode()
    assert "Size and time are estimates from the backups before." in again


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"backup_type": "FULL"}, "Choose at least one data type."),
        ({"backup_type": "FULL", "data_types": ["NONSENSE"]}, "NONSENSE"),
        ({"backup_type": "NONSENSE", "data_types": ["ZOO"]}, "NONSENSE"),
    ],
)
def test_what_cannot_be_meant_is_asked_again(client, small_zoo, sent, message):
    answer = client.post(CREATE, {**sent, "description": "typed before"})
    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert "typed before" in answer.content.decode()
    assert not BackupRecord.objects.exists()


def test_a_failure_is_told_and_nothing_typed_is_lost(client, small_zoo, settings, tmp_path):
    settings.BACKUP_DIR = tmp_path / "a file"
    settings.BACKUP_DIR.write_text("")
    answer = client.post(CREATE, {"backup_type": "FULL", "data_types": ["ZOO"], "description": "typed before"})
    assert answer.status_code == 409
    assert "is not a folder" in answer.content.decode()
    assert "typed before" in answer.content.decode()
    failed = BackupRecord.objects.get()
    assert failed.status == "FAILED"
    assert "is not a folder" in client.get(at("detail", failed)).content.decode()


def test_the_second_of_two_administrators_is_told_to_wait(client, small_zoo):
    with hold("backup"):
        answer = client.post(CREATE, {"backup_type": "FULL", "data_types": ["ZOO"]})
    assert answer.status_code == 409
    assert "Another operation is running" in answer.content.decode()


def test_an_incremental_backup_names_what_it_borrows_from(client, backups, small_zoo):
    full = backups.create_backup()
    answer = client.post(CREATE, {"backup_type": "INCREMENTAL", "data_types": ["ZOO"]}, follow=True)
    record = BackupRecord.objects.first()
    assert (record.status, record.backup_type, record.parent) == ("SUCCESS", "INCREMENTAL", full)
    page = answer.content.decode()
    assert "borrows from" in page
    assert at("detail", full) in page
    kept = client.get(at("detail", full)).content.decode()
    assert f"It is needed by {record.backup_name}." in kept
    assert at("delete", full) not in kept


def test_progress_can_be_watched_while_it_runs(client, small_zoo):
    seen = []

    def look(**_facts) -> None:
        found = running()
        seen.append((found and found.operation, client.get("/backup/progress/").content.decode()))

    signals.pre_backup.connect(look)
    try:
        client.post(CREATE, {"backup_type": "FULL", "data_types": ["ZOO"]})
    finally:
        signals.pre_backup.disconnect(look)
    assert [operation for operation, _page in seen] == ["backup"]
    assert "A backup is running" in seen[0][1]
    assert 'hx-trigger="load delay:1s"' in seen[0][1]
    assert running() is None
    assert client.get("/backup/progress/")["HX-Refresh"] == "true"
    assert "Starting" in client.get("/backup/progress/?waiting").content.decode()


def test_a_download_is_the_file_and_is_logged(client, backups, small_zoo):
    record = backups.create_backup()
    answer = client.get(at("download", record))
    body = b"".join(answer.streaming_content)
    assert hashlib.sha256(body).hexdigest() == record.file_hash
    assert answer["Content-Disposition"] == f'attachment; filename="{record.file_path}"'
    assert int(answer["Content-Length"]) == record.file_size == len(body)
    assert answer["Content-Type"] == "application/gzip"
    entry = BackupLog.objects.get(operation="DOWNLOAD")
    assert (entry.log_level, entry.operated_by_name, entry.backup_record) == ("SUCCESS", "小王", record)


def test_a_file_that_is_gone_is_told_and_logged(client, backups, small_zoo):
    record = backups.create_backup()
    (small_zoo.vault / record.file_path).unlink()
    answer = client.get(at("download", record))
    assert answer.status_code == 404
    assert record.file_path in answer.content.decode()
    assert BackupLog.objects.get(operation="DOWNLOAD").log_level == "ERROR"


def test_a_failed_backup_has_nothing_to_download_or_restore(client):
    record = a_record(1, status="FAILED", file_path="", error_message="The disk is full.")
    for name in ("download", "restore"):
        answer = client.get(at(name, record))
        assert answer.status_code == 409
        assert "its status is Failed" in answer.content.decode()
    page = client.get(at("detail", record)).content.decode()
    assert "The disk is full." in page
    assert at("restore", record) not in page


@pytest.mark.parametrize("deep", [{}, {"deep": "1"}])
def test_verification_says_that_it_is_whole(client, backups, small_zoo, deep):
    record = backups.create_backup()
    page = client.post(at("verify", record), deep, follow=True).content.decode()
    assert ("every row was read" if deep else "file, size, SHA-256 and signature are right") in page
    assert BackupLog.objects.get(operation="VERIFY").details["deep"] is bool(deep)


def test_verification_lists_what_is_damaged(client, backups, small_zoo):
    record = backups.create_backup()
    path = small_zoo.vault / record.file_path
    damaged = bytearray(path.read_bytes())
    damaged[3000] ^= 1
    path.write_bytes(damaged)
    page = client.post(at("verify", record), follow=True).content.decode()
    assert "Damage was found." in page
    assert "its SHA-256 is not the one that was signed" in page


def test_what_is_pinned_is_not_deleted_until_it_is_released(client, backups, small_zoo):
    record = backups.create_backup()
    page = client.post(at("pin", record), {"pinned": "1"}, follow=True).content.decode()
    assert "It is pinned: no cleanup deletes it." in page
    assert "The next cleanup keeps it: pinned." in page
    assert "It is pinned; release it first." in client.post(at("delete", record), follow=True).content.decode()
    assert BackupRecord.objects.filter(pk=record.pk).exists()
    client.post(at("pin", record), {"pinned": "0"})
    page = client.post(at("delete", record), follow=True).content.decode()
    assert f"{record.backup_name} was deleted." in page
    assert not BackupRecord.objects.exists()
    assert not small_zoo.files()
    assert BackupLog.objects.filter(backup_name=record.backup_name, operation="DELETE").count() == 4


def test_what_somebody_else_has_just_deleted_is_told(client, backups, small_zoo):
    record = backups.create_backup()
    waiting = BackupRecord.objects.get()
    backups.delete_backup(record)
    with pytest.raises(NotFound, match=waiting.backup_name):
        backups.delete_backup(waiting)


def test_under_atomic_requests_everything_works(client, small_zoo, settings):
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
    from django.db import connection

    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        client.post(CREATE, {"backup_type": "FULL", "data_types": ["ZOO"]})
        record = BackupRecord.objects.get()
        assert record.status == "SUCCESS"
        small_zoo.spoil()
        client.post(at("restore", record), {"types": ["ZOO"], "confirm": "1"})
        assert BackupRecord.objects.get(pk=record.pk).recovery_records == 1
        safety = BackupRecord.objects.get(trigger="safety")  # it borrows from what was restored
        for gone in (safety, record):
            client.post(at("delete", gone))
            assert not BackupRecord.objects.filter(pk=gone.pk).exists()
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
        settings.DATABASES["default"]["ATOMIC_REQUESTS"] = False
