"""Backups, restores and cleanups exclude each other (reliability 11): real processes, and one of them fails clearly."""

from __future__ import annotations

import os
from functools import partial
from itertools import cycle

import pytest
from django.core.management import call_command, execute_from_command_line

from backup_center import signals
from backup_center.engine.errors import Busy
from backup_center.models import BackupRecord
from tests.integration.killing import Child, suspend_self

pytestmark = pytest.mark.django_db(transaction=True)

SUCCESS = BackupRecord.Status.SUCCESS


@pytest.fixture
def record(small_zoo, backups):
    """A backup; another one is newer, so that cleanup may delete it."""
    record = backups.create_backup()
    backups.create_backup()
    return record


def once(action):
    """Act on the first call only."""
    calls = iter([action])
    return lambda *_, **__: next(calls, lambda: None)()


def slow_cleanup(backups):
    signals.pre_delete.connect(once(suspend_self), weak=False)
    backups.delete_old_backups(days=0)


@pytest.mark.parametrize("holder", ["backup", "restore", "cleanup"])
def test_while_one_works_the_others_are_told_who_it_is(holder, small_zoo, record, backups, restores):
    work = {
        "backup": lambda: backups.create_backup(progress=once(suspend_self)),
        "restore": lambda: restores.restore_from_backup(record, progress=once(suspend_self)),
        "cleanup": lambda: slow_cleanup(backups),
    }
    rows, records = small_zoo.rows(), BackupRecord.objects.count()
    child = Child(work[holder]).wait_until_stopped()

    others = [backups.create_backup, lambda: backups.delete_old_backups(days=0), lambda: backups.delete_backup(record)]
    commands = [["backup_database"], ["cleanup_backups", "--days=0", "--confirm"]]
    if holder != "restore":
        others.append(lambda: restores.restore_from_backup(record))
        commands.append(["restore_database", record.backup_name, "--yes"])
    for other in others:
        with pytest.raises(Busy, match=rf"{holder} by .*:{child.pid}"):
            other()
    for command in commands:
        assert Child(lambda command=command: execute_from_command_line(["manage.py", *command])).wait() == 3

    assert child.resume() == 0
    assert small_zoo.rows() == rows
    good = BackupRecord.objects.filter(status=SUCCESS)
    assert good.count() == records + {"backup": 1, "restore": 1, "cleanup": -1}[holder]
    assert [finding for found in good for finding in backups.verify_backup(found, deep=True)] == []


def test_a_restore_during_a_restore_is_told_who_it_is(small_zoo, record, restores, in_short_patience):
    child = Child(lambda: restores.restore_from_backup(record, progress=once(suspend_self))).wait_until_stopped()

    with in_short_patience(), pytest.raises(Busy, match=rf"restore by .*:{child.pid}"):
        restores.restore_from_backup(record)

    assert child.resume() == 0


def test_looking_is_possible_while_somebody_works(small_zoo, record, backups, restores, capsys):
    child = Child(lambda: restores.restore_from_backup(record, progress=once(suspend_self))).wait_until_stopped()

    call_command("list_backups")
    assert record.backup_name in capsys.readouterr().out
    assert [change.same for change in restores.plan(record).plan.tables] == [True, True, True]
    assert child.resume() == 0


@pytest.mark.slow
def test_a_crowd_that_starts_at_the_same_moment(small_zoo, record, backups, restores):
    """Each of them does all of its work or, told that somebody else is at it, nothing."""
    rows = small_zoo.rows()
    works = cycle([backups.create_backup, lambda: backups.delete_old_backups(days=0), backups.create_backup])
    for _ in range(3):
        gate, start = os.pipe()

        def when_the_gate_opens(work, gate=gate, start=start):
            os.close(start)
            os.read(gate, 1)
            work()

        before = BackupRecord.objects.count()
        children = [Child(partial(when_the_gate_opens, next(works))) for _ in range(5)]
        os.close(gate)
        os.close(start)
        codes = [child.wait() for child in children]

        assert set(codes) <= {0, Busy.exit_code}
        assert 0 in codes
        assert BackupRecord.objects.count() <= before + codes.count(0)
        assert not BackupRecord.objects.exclude(status=SUCCESS).exists()
        good = BackupRecord.objects.all()
        assert small_zoo.files() == {name for r in good for name in (r.file_path, r.backup_name + ".manifest.json")}
        assert [finding for found in good for finding in backups.verify_backup(found, deep=True)] == []
    small_zoo.spoil()
    restores.restore_from_backup(BackupRecord.objects.latest("sequence"))
    assert small_zoo.rows() == rows
