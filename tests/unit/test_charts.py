"""Where marks go, and what they say to those who don't see them."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from backup_center.models import BackupLog, BackupRecord
from backup_center.services.overview import Tape
from backup_center.web import charts

NOW = timezone.now()


def tape(*backups: BackupRecord, restores=(), gaps=()) -> charts.DrawnTape:
    start = NOW - timedelta(days=14)
    return charts.draw_tape(Tape(start=start, end=NOW, backups=backups, restores=restores, gaps=gaps))


def record(days: float, **facts) -> BackupRecord:
    known = {"backup_name": f"backup_{days}", "status": "SUCCESS", "file_size": 2048}
    return BackupRecord(pk=1, **{**known, **facts}, created_at=NOW - timedelta(days=days))


def test_time_runs_from_left_to_right_and_stays_inside():
    drawn = tape(record(14), record(7), record(0))
    assert [mark.x for mark in drawn.marks] == ["1.00", "50.00", "99.00"]
    assert [float(tick.x) for tick in drawn.ticks] == sorted((float(tick.x) for tick in drawn.ticks), reverse=True)
    assert drawn.ticks[0].label == "today"


def test_a_mark_says_all_that_it_shows():
    [good, failed, damaged] = tape(
        record(3, verified_at=NOW, pinned=True),
        record(2, status="FAILED"),
        record(1, is_damaged=True, verified_at=NOW, trigger="safety", backup_type="INCREMENTAL"),
    ).marks
    assert (good.kind, good.verified, good.pinned) == ("full", True, True)
    assert good.sentence.endswith("Full, Succeeded, 2.0 KiB, verified, pinned")
    assert (failed.kind, failed.verified) == ("failed", False)
    assert failed.sentence.endswith("Full, Failed")
    assert (damaged.kind, damaged.verified, damaged.damaged) == ("incremental", False, True)
    assert damaged.sentence.endswith("Incremental, Succeeded, 2.0 KiB, damaged, before a restore")


def test_a_running_one_is_neither_good_nor_failed():
    assert [mark.kind for mark in tape(record(1, status="RUNNING"), record(0, status="PENDING")).marks] == [
        "running"
    ] * 2


def test_a_restore_bends_back_to_its_backup():
    entry = BackupLog(pk=5, backup_record=record(7), backup_name="backup_7", created_at=NOW)
    forgotten = BackupLog(pk=6, backup_name="gone", created_at=NOW - timedelta(days=7))
    there, alone = tape(restores=(entry, forgotten)).restores
    assert (there.x, there.width, there.end, there.url) == ("50.00", "49.00", "99.00", "/backup/log/5/")
    assert (alone.x, alone.width) == ("50.00", "0.00")
    assert "restored to backup_7" in there.sentence


def test_a_gap_is_labelled():
    [gap] = tape(gaps=((NOW - timedelta(days=7), NOW - timedelta(days=3.5)),)).gaps
    assert (gap.x, gap.width, gap.sentence) == ("50.00", "24.50", "No backup for 3 days")


def test_lines_and_bars_are_sound_for_few_and_equal_values():
    assert charts.sparkline([5]) == "0.0,14.0 120.0,14.0"
    assert charts.sparkline([0, 10]) == "0.0,25.0 120.0,3.0"
    assert charts.bars([]) == []
    [small, large] = charts.bars([(0, "nothing"), (10, "much")])
    assert (small.height, large.height, large.sentence) == ("2.00", "96.00", "much")
