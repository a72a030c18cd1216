"""Restores that are killed (reliability 4): the target is wholly old or wholly new, and the log says which."""

from __future__ import annotations

import pytest

from backup_center.models import BackupLog, BackupRecord, Installation
from tests.integration.killing import choose, kill_at, let_the_lease_expire, steps_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Level = BackupLog.Level
GUARD = 'UPDATE "backup_installation" SET committed = fencing WHERE i'  # the last statement before COMMIT


@pytest.fixture
def killed_restores(small_zoo, backups, restores):
    """Kill a restore at chosen steps, each time of spoiled tables; for each, whether it was committed."""
    good = small_zoo.rows()
    record = backups.create_backup()
    small_zoo.spoil()
    spoiled = small_zoo.rows()

    def work() -> None:
        restores.restore_from_backup(record)

    def kill_and_look(choose_steps) -> dict[str, bool]:
        steps = steps_of(work)
        small_zoo.spoil()
        outcomes = {}
        for step in choose_steps(_while_it_holds_the_lease(steps)):
            small_zoo.forget(but=record)
            BackupLog.objects.all().delete()
            when = f"killed at {step}"

            kill_at(step, work)

            found = small_zoo.rows()
            assert found in (good, spoiled), when
            look_at_the_next_run(backups, found == good, when)
            if found == good:
                small_zoo.spoil()
                assert small_zoo.rows() == spoiled
            outcomes[step] = found == good
        return outcomes

    yield kill_and_look
    work()
    assert small_zoo.rows() == good


def _while_it_holds_the_lease(steps: list[str]) -> list[str]:
    release = max(number for number, step in enumerate(steps) if step.startswith('UPDATE "backup_installation"'))
    return steps[: release + 1]


def look_at_the_next_run(backups, committed: bool, when: str) -> None:
    """The next run works, keeps a safety backup that is whole, and writes the restore's true outcome into the log."""
    left = Installation.objects.get()
    assert not left.holder or (left.committed == left.fencing) == committed, when
    let_the_lease_expire()

    backups.create_backup()

    outcomes = list(BackupLog.objects.filter(operation=BackupLog.Operation.RESTORE).values_list("log_level", "message"))
    if committed:
        assert [level for level, _ in outcomes] in ([Level.WARNING], [Level.SUCCESS]), when
        assert ("complete" in outcomes[0][1]) == (outcomes[0][0] == Level.WARNING), when
    else:
        began = left.operation == "restore" and left.holder != ""
        assert [level for level, _ in outcomes] == [Level.ERROR] * began, when
        assert all("nothing was changed" in message for _, message in outcomes), when
    assert not BackupRecord.objects.exclude(status__in=["SUCCESS", "FAILED"]).exists(), when
    for record in BackupRecord.objects.filter(status="SUCCESS"):
        assert backups.verify_backup(record, deep=True) == [], when


def test_killed_around_commit(killed_restores):
    """The step after COMMIT is the moment right after it: each is noted before it happens."""

    def around_commit(steps: list[str]) -> list[str]:
        guard = next(number for number, step in enumerate(steps) if step.startswith(GUARD))
        last = max(number for number in range(guard, guard + 3) if steps[number].startswith("COMMIT"))
        return steps[guard - 2 : last + 3]

    outcomes = killed_restores(around_commit)

    assert outcomes.pop("COMMIT sent", True)
    assert list(outcomes.values()) == [False, False, False, False, True, True]
    assert [step.partition(" #")[0] for step in outcomes][2:4] == [GUARD, "COMMIT"]


def test_killed_at_every_step_of_its_safety_backup_that_touches_a_file(killed_restores):
    kinds = ("open …", "half a write", "fsync", "rename")

    outcomes = killed_restores(lambda steps: [step for step in steps if step.startswith(kinds)])

    assert set(outcomes.values()) == {False}
    assert {"rename ….tar.gz.partial", "open ….manifest.json.partial", "rename ….manifest.json.partial"} <= {*outcomes}


def test_killed_when_it_has_said_all_there_is_to_say(small_zoo, backups, restores):
    """What is in the log and counted already is not settled a second time."""
    record = backups.create_backup()
    steps = steps_of(lambda: restores.restore_from_backup(record))
    record.refresh_from_db()
    BackupLog.objects.all().delete()

    kill_at(_while_it_holds_the_lease(steps)[-1], lambda: restores.restore_from_backup(record))
    let_the_lease_expire()
    backups.create_backup()

    assert BackupLog.objects.get(operation=BackupLog.Operation.RESTORE).log_level == Level.SUCCESS
    assert BackupRecord.objects.get(pk=record.pk).recovery_records == record.recovery_records + 1


def test_killed_at_statements(killed_restores):
    outcomes = killed_restores(lambda steps: choose(steps, 20, seed=2))

    assert set(outcomes.values()) == {False, True}
