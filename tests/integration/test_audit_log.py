"""The log is a chain: whoever edits, removes, inserts or cuts off entries behind its back is found out by name."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import execute_from_command_line
from django.db import connection, transaction
from django.db.models import F
from django.test import RequestFactory

from backup_center.engine.errors import Refused
from backup_center.models import BackupLog, BackupRecord, LogHead
from backup_center.services import audit, catalogue, chain, deleting, journal, origin
from tests.integration.killing import Child, kill_at, steps_of, stop_at
from tests.integration.pages import a_record, browser, person

pytestmark = pytest.mark.django_db(transaction=True)

BACKUP, INFO = BackupLog.Operation.BACKUP, BackupLog.Level.INFO
ENTRIES = 6


@pytest.fixture
def log():
    """Six entries."""
    wang = User.objects.create_user("wang")
    for number in range(1, ENTRIES + 1):
        journal.write(BACKUP, INFO, f"entry {number}", user=wang, ratio=number / 2, lines=["一", {"deep": 1e3}])
    return BackupLog.objects.order_by("number")


def findings() -> list[str]:
    """What a look at the log finds; its own entry is taken back, as if nobody had looked."""
    with transaction.atomic():
        found = audit.verify_log().findings
        transaction.set_rollback(True)
    return list(found)


def reseal(start: int, end: int = ENTRIES) -> None:
    """As somebody would who knows how it works, from here on."""
    for number in range(start, end + 1):
        entry = BackupLog.objects.get(number=number)
        before = BackupLog.objects.filter(number=number - 1).first()
        entry.previous_hash = before.hash if before else ""
        entry.hash = chain.seal(entry)
        entry.save()


def test_a_log_that_nobody_touched_is_whole(log):
    assert findings() == []
    assert [entry.number for entry in log] == list(range(1, ENTRIES + 1))
    assert [entry.previous_hash for entry in log] == ["", *[entry.hash for entry in log][:-1]]
    entry = log.last()
    assert (entry.operated_by_name, entry.operated_by_key) == ("wang", str(User.objects.get().pk))
    assert entry.origin == origin.current()
    assert "@" in entry.origin


CHANGES = {
    "message": "another",
    "operation": "DELETE",
    "log_level": "ERROR",
    "backup_name": "backup_x",
    "operated_by_name": "li",
    "operated_by_key": "7",
    "origin": "10.0.0.1",
    "refused": True,
    "details": {},
    "created_at": F("created_at") + timedelta(microseconds=1),
    "number": 17,
}


def test_whatever_column_is_edited_it_is_seen(log):
    for column, value in CHANGES.items():
        with transaction.atomic():
            log.filter(number=3).update(**{column: value})
            assert len(findings()) > 0, column
            transaction.set_rollback(True)
    columns = {field.attname for field in BackupLog._meta.concrete_fields}
    assert columns - CHANGES.keys() == {"id", "backup_record_id", "operated_by_id", "previous_hash", "hash"}


def test_each_way_of_tampering_is_named(log):
    def insert(**facts):
        BackupLog.objects.create(operation="BACKUP", message="forged", **facts)

    def swap():
        log.filter(number=2).update(number=99)
        log.filter(number=3).update(number=2)
        log.filter(number=99).update(number=3)

    ways = [
        (lambda: log.filter(number=3).update(message="?"), ["Entry number 3 was edited: Backup : ?"]),
        (
            lambda: (log.filter(number=3).update(message="?"), reseal(3, 3)),
            ["The entry before number 4 was edited or replaced, and sealed anew."],
        ),
        (
            lambda: (log.filter(number=6).update(message="?"), reseal(6)),
            ["The last entry, number 6, was edited or replaced, and sealed anew."],
        ),
        (lambda: log.filter(number=3).delete(), ["Entry number 3 was removed."]),
        (lambda: log.filter(number__in=[1, 2]).delete(), ["The entries number 1 to 2 were removed."]),
        (lambda: log.filter(number__gt=4).delete(), ["The end was cut off: The entries number 5 to 6 were removed."]),
        (lambda: insert(number=7), ["Entry number 7 was inserted past the chain: Backup : forged"]),
        (lambda: insert(number=3), ["Number 3 is there twice: Backup : forged"]),
        (
            swap,
            [
                "The entry before number 2 was edited or replaced, and sealed anew.",
                "Entry number 2 was edited: Backup : entry 3",
                "The entry before number 3 was edited or replaced, and sealed anew.",
                "Entry number 3 was edited: Backup : entry 2",
                "The entry before number 4 was edited or replaced, and sealed anew.",
            ],
        ),
    ]
    for tamper, expected in ways:
        with transaction.atomic():
            tamper()
            assert findings() == expected
            transaction.set_rollback(True)
    assert findings() == []


def test_what_is_written_anew_or_cut_off_with_its_head_is_seen_by_the_manifests(small_zoo, log, backups):
    """Who may write to the database may forge the whole chain; not what signed manifests noted of it."""
    record = backups.create_backup()
    noted = catalogue.open_sidecar(record, catalogue.get_vault()).manifest.facts["audit"]
    hashes = [entry.hash for entry in log]
    # What came after isn't in the snapshot.
    assert noted == {"log": hashes[0], "entries": ENTRIES, "head": hashes[ENTRIES - 1]}
    assert audit.verify_log().manifests == 1
    with transaction.atomic():
        log.filter(number__gt=4).delete()
        LogHead.objects.update(entries=4, hash=log.get(number=4).hash)
        assert findings() == [f"The end was cut off: {record} noted 6 entries, the log ends with 4."]
        transaction.set_rollback(True)
    with transaction.atomic():
        log.filter(number=2).update(message="innocent")
        last = log.last().number
        reseal(2, last)
        LogHead.objects.update(hash=log.get(number=last).hash)
        assert findings() == [f"Entry number 6 is not the one that {record} noted: the log was written anew."]
        transaction.set_rollback(True)
    with transaction.atomic():  # who deletes the record as well
        BackupRecord.objects.all().delete()
        log.filter(number__gt=4).delete()
        LogHead.objects.update(entries=4, hash=log.get(number=4).hash)
        assert findings() == [f"The end was cut off: {record} noted 6 entries, the log ends with 4."]
        transaction.set_rollback(True)
    with transaction.atomic():  # a new machine, on which the vault is found
        log.delete()
        LogHead.objects.all().delete()
        journal.write(BackupLog.Operation.RESCAN, INFO, "found", record=record)
        verdict = audit.verify_log()
        assert (verdict.findings, verdict.manifests) == ((), 0)
        assert "It noted another log" in verdict.unread[0]
        transaction.set_rollback(True)
    (small_zoo.vault / f"{record}.manifest.json").write_text("forged")
    verdict = audit.verify_log()
    assert verdict.findings == ()
    assert [line.partition(":")[0] for line in verdict.unread] == [record.backup_name]


def test_the_log_stays_whole_through_restores_and_deletions(comes_back, log, backups, restores):
    """A restore of everything, whose users come again; then users and backups go."""
    comes_back()
    User.objects.all().delete()
    for record in BackupRecord.objects.all():
        backups.delete_backup(record)
    assert not BackupLog.objects.exclude(operated_by=None, backup_record=None).exclude(operated_by=None).exists()
    assert findings() == []
    assert log.filter(operated_by_name="wang").count() == ENTRIES
    assert LogHead.objects.get().entries == BackupLog.objects.count()


def test_processes_that_write_at_once_lose_nothing_and_share_no_number(log):
    def write_many() -> None:
        for number in range(25):
            journal.write(BACKUP, INFO, f"{os.getpid()} {number}")

    children = [Child(write_many) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert log.count() == ENTRIES + 75
    assert not log.filter(number=None).exists()
    assert findings() == []


def test_entries_about_backups_that_are_deleted_at_the_same_time_are_not_lost():
    records = [a_record(number) for number in range(1, 13)]

    def note() -> None:
        for record in records:
            journal.write(BackupLog.Operation.VERIFY, INFO, "whole", record=record)

    def delete() -> None:
        for record in records:
            deleting.remove(record, None, "old")

    children = [Child(note), Child(delete), Child(note)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert BackupLog.objects.count() == 36
    assert findings() == []


def test_who_is_suspended_while_he_seals_keeps_nobody_waiting(log):
    """He holds the head; the others write all the same. When he goes on, all is sealed."""
    step = next(step for step in steps_of(write_one) if step.startswith('UPDATE "backup_backuplog"'))
    suspended = stop_at(step, write_one)
    if connection.vendor == "postgresql":
        journal.write(BACKUP, INFO, "in time")
        assert log.filter(number=None).count() == 2
    assert suspended.resume() == 0
    assert not log.filter(number=None).exists()
    assert findings() == []


def write_one() -> None:
    journal.write(BACKUP, INFO, "one more")


def test_an_entry_goes_when_the_transaction_does_that_wrote_it(log):
    with transaction.atomic():
        journal.write(BACKUP, INFO, "never")
        transaction.set_rollback(True)
    journal.write(BACKUP, INFO, "entry 7")
    assert log.last().number == 7
    assert findings() == []


def test_what_was_written_before_its_process_died_is_sealed_by_the_next(log):
    for step in [step for step in steps_of(write_one) if "backup_log" in step]:
        before = BackupLog.objects.count()
        kill_at(step, write_one)
        assert BackupLog.objects.count() - before == (0 if step.startswith("INSERT") else 1), step
        assert findings() == []


def test_neither_a_missing_head_nor_a_false_one_keeps_anybody_from_writing(log):
    LogHead.objects.all().delete()
    journal.write(BACKUP, INFO, "entry 7")
    assert findings() == []
    LogHead.objects.update(entries=6, hash=log.get(number=6).hash)
    journal.write(BACKUP, INFO, "the other 7")
    assert findings() == [
        "Number 7 is there twice: Backup : the other 7",
        "The last entry, number 7, was edited or replaced, and sealed anew.",
    ]


def test_entries_of_before_the_chain_become_its_beginning(log):
    LogHead.objects.all().delete()
    BackupLog.objects.update(number=None, hash="", previous_hash="", operated_by_key="", origin="")  # as it was
    migration = import_module("backup_center.migrations.0005_people")
    with connection.schema_editor() as editor:
        migration.seal_what_is_there(apps, editor)
    journal.write(BACKUP, INFO, "entry 7")
    assert findings() == []
    assert [entry.message for entry in log] == [f"entry {number}" for number in range(1, 8)]
    assert log[0].operated_by_key == str(User.objects.get().pk)


def test_what_a_service_refuses_is_in_the_log(backups, restores, django_user_model):
    failed = a_record(1, status="FAILED")
    wang = django_user_model.objects.create_user("wang")
    for refused in (
        lambda: backups.create_backup(["NOTHING"], user=wang),
        lambda: backups.verify_backup(failed, wang),
        lambda: backups.open_archive(failed, wang),
        lambda: backups.delete_backup(a_record(2, pinned=True), wang),
        lambda: restores.restore_from_backup(failed, wang),
        lambda: backups.delete_old_backups(-1, wang),
    ):
        with pytest.raises(Refused):
            refused()
    written = BackupLog.objects.order_by("number").values_list("operation", "refused", "operated_by_name")
    assert list(written) == [
        (name, True, "wang") for name in ["BACKUP", "VERIFY", "DOWNLOAD", "DELETE", "RESTORE", "DELETE"]
    ]


def test_the_command_says_what_is_wrong_and_exits_with_4(log, capfd):
    def verify() -> None:
        execute_from_command_line(["manage.py", "verify_audit_log", "--json"])

    assert Child(verify).wait() == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer == {"entries": ENTRIES, "manifests": 0, "findings": [], "not_compared": []}
    log.filter(number=2).delete()
    assert Child(verify).wait() == 4
    told = capfd.readouterr()
    assert json.loads(told.out)["findings"] == ["Entry number 2 was removed."]
    assert "  - Entry number 2 was removed." in told.err


# -- its page --

PAGE = "/backup/log/"


def exported(client, file_format: str, query: str = "") -> str:
    answer = client.get(f"{PAGE}export/?format={file_format}{query}")
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    return b"".join(answer.streaming_content).decode()


def test_the_page_verifies_and_leads_to_what_was_found(log):
    auditor = browser(person("view", "verify"))
    assert "The log is whole: 6 entries" in auditor.post(f"{PAGE}verify/", follow=True).content.decode()
    log.filter(number=2).delete()
    assert "Entry number 2 was removed." in auditor.post(f"{PAGE}verify/", follow=True).content.decode()
    last = log.last()
    assert (last.operation, last.log_level, last.origin) == ("AUDIT", "ERROR", "127.0.0.1")


def test_filters_by_person_backup_day_and_refusal(log):
    client = browser(person("view"))
    record = a_record(1)
    journal.write(BACKUP, INFO, "of a backup", record=record)
    journal.write(BACKUP, INFO, "no, says somebody", refused=True)
    BackupLog.objects.filter(number=1).update(created_at=F("created_at") - timedelta(days=9))
    day = (log.get(number=1).created_at + timedelta(days=3)).date()
    for query, shown, hidden in (
        ("user=WANG", "entry 3", "of a backup"),
        (f"backup={record.backup_name}", "of a backup", "entry 3"),
        (f"since={day}", "entry 3", "entry 1<"),
        (f"until={day}", "entry 1<", "entry 3"),
        ("refused=on", "no, says somebody", "entry 3"),
    ):
        page = client.get(f"{PAGE}?{query}").content.decode()
        assert shown in page, query
        assert hidden not in page, query


def test_exports_are_what_the_filters_choose_and_are_logged(log):
    client = browser(person("view", "export", name="shen"))
    lines = [json.loads(line) for line in exported(client, "jsonl", "&user=wang").splitlines()]
    assert [line["message"] for line in lines] == [f"entry {number}" for number in range(1, 7)]
    assert lines[1]["previous_hash"] == lines[0]["hash"]
    assert lines[0]["details"] == {"ratio": 0.5, "lines": ["一", {"deep": 1000.0}]}
    entry = log.last()
    assert (entry.operation, entry.operated_by_name) == ("AUDIT", "shen")
    assert entry.details == {"format": "jsonl", "filters": {"user": "wang"}}
    assert client.get(f"{PAGE}export/?format=exe").status_code == 409


def test_no_cell_of_a_csv_file_is_a_formula(log):
    for number, message in enumerate(("=1+1", "+1", "-1", "＠x", "\tx", 'a "quote", a comma')):
        journal.write(BACKUP, INFO, message, details_of=number)
    rows = list(csv.DictReader(io.StringIO(exported(browser(person("export")), "csv").removeprefix("\ufeff"))))
    written = [row["message"] for row in rows[ENTRIES:]]
    assert written[:6] == ["'=1+1", "'+1", "'-1", "'＠x", "'\tx", 'a "quote", a comma']
    assert written[6] == "The log was exported."
    assert json.loads(rows[ENTRIES]["details"]) == {"details_of": 0}


def behind_a_proxy(request) -> str:
    return request.headers["X-Real-IP"]


def test_a_header_is_believed_only_where_the_host_says_how(settings):
    request = RequestFactory().get("/", headers={"x-real-ip": "203.0.113.7", "x-forwarded-for": "203.0.113.8"})
    assert origin.client_address(request) == "127.0.0.1"
    settings.BACKUP_CLIENT_ADDRESS = f"{__name__}.behind_a_proxy"
    assert origin.client_address(request) == "203.0.113.7"
    settings.BACKUP_CLIENT_ADDRESS = "nowhere.at_all"
    page = browser(person("view")).get(PAGE)
    assert page.status_code == 409
    assert "BACKUP_CLIENT_ADDRESS names nowhere.at_all" in page.content.decode()


def test_what_no_database_can_store_is_written_all_the_same(log):
    journal.write(BACKUP, INFO, "nul \0", path="\0", lines=["\0"])
    assert log.last().details == {"path": "␀", "lines": ["␀"]}
    journal.write(BACKUP, INFO, "a file name \udcff", names=["bad\udcff.txt"])
    assert log.last().details == {"names": ["bad?.txt"]}
    journal.write(BACKUP, INFO, "and the next")
    assert findings() == []


def test_a_head_that_is_gone_and_one_too_many_are_seen(log, backups, small_zoo):
    LogHead.objects.create(pk=0, entries=0, hash="")
    record = backups.create_backup()
    noted = catalogue.open_sidecar(record, catalogue.get_vault()).manifest.facts["audit"]
    assert noted["entries"] == ENTRIES
    LogHead.objects.all().delete()
    assert "The head of the log was removed." in findings()


def test_a_log_that_is_begun_anew_is_no_other_installations(log, backups, small_zoo):
    """Nothing in it says that the backup came from elsewhere."""
    backups.create_backup()
    log.delete()
    LogHead.objects.all().delete()
    journal.write(BACKUP, INFO, "the first entry of another log")
    assert findings() != []
