"""Incremental backups stand alone: each restores to exactly its moment, whatever happened before and after it."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from backup_center.engine.errors import BackupCenterError, Refused
from backup_center.models import BackupLog, BackupRecord, Installation
from backup_center.services import catalogue, cleanup
from tests.integration.forging import flip, forge
from tests.integration.histories import HISTORIES, KEYS, rows, some_history, some_rows
from tests.zoo.models import Animal, Keeper, Seat

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def incremental(backups):
    def take(*types: str, **facts) -> BackupRecord:
        return backups.create_backup(list(types) or None, "INCREMENTAL", **facts)

    return take


def chunks_of(record: BackupRecord) -> list[str]:
    """Of each chunk the archive that it lies in."""
    manifest = catalogue.open_sidecar(record, catalogue.get_vault()).manifest
    return [chunk.archive for table in manifest.tables for chunk in table.chunks]


def reasons() -> list[str]:
    return [entry.message for entry in BackupLog.objects.filter(operation="BACKUP", log_level="INFO").order_by("id")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEYS)
def test_every_one_of_a_random_history_restores_alone(
    kind, small_chunks, legacy, schema, backups, restores, incremental
):
    random.seed(kind)
    columns, keys = KEYS[kind]
    repeat = "PRIMARY" not in columns
    legacy(columns)
    schema(*some_rows(keys, repeat=repeat))
    moments = [(backups.create_backup(["ONE"]), sorted(rows(), key=repr))]
    for turn in range(HISTORIES):
        if turn % 7 == 6:
            schema("DELETE FROM legacy")
        elif turn % 5 == 4:
            schema("DELETE FROM legacy", *some_rows(keys, repeat=repeat))
        else:
            schema(*some_history(keys, repeat=repeat))
        moments.append((incremental("ONE"), sorted(rows(), key=repr)))
        assert backups.verify_backup(moments[-1][0], deep=True) == []
    random.shuffle(moments)
    for record, expected in moments:
        restores.restore_from_backup(record, safety_backup=False)
        assert sorted(rows(), key=repr) == expected
        assert restores.plan(record).plan.tables[0].same
    assert any(record.needs != [str(record.backup_id)] for record, _expected in moments)


def test_only_what_changed_is_stored(small_zoo, backups, restores, incremental):
    full = backups.create_backup()
    Animal.objects.filter(weight=600).update(name="changed")
    before = small_zoo.rows()
    record = incremental()
    own = str(record.backup_id)

    assert record.backup_name.startswith("backup_incremental_")
    assert (record.parent, record.backup_type) == (full, "INCREMENTAL")
    assert record.needs == [own, str(full.backup_id)]
    assert chunks_of(record).count(own) == 1
    assert record.row_count == full.row_count
    animals = record.contents["zoo.animal"]
    assert animals["stored"] > animals["borrowed"] > animals["stored"] / 2
    assert record.file_size < full.file_size
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == before


def test_when_nothing_changed_nothing_is_stored(small_zoo, backups, incremental):
    full = backups.create_backup()
    record = incremental()
    again = incremental()

    assert set(chunks_of(record)) == set(chunks_of(again)) == {str(full.backup_id)}
    assert again.needs == [str(again.backup_id), str(full.backup_id)]  # not the one between: it lends nothing
    assert again.parent == record


def test_inserts_updates_deletes_and_raw_sql_are_all_seen(small_zoo, backups, restores, incremental):
    backups.create_backup()
    moments = []
    for change in (
        lambda: Animal.objects.create(name="new", keeper=Keeper.objects.first(), weight=9999),
        lambda: Animal.objects.bulk_create([Animal(name="bulk", keeper_id=Keeper.objects.first().pk)]),
        lambda: Animal.objects.filter(weight__lt=5).delete(),
        lambda: connection.cursor().execute("UPDATE zoo_animal SET name = 'raw' WHERE weight = 700"),
        lambda: Animal.objects.all().delete(),
    ):
        change()
        moments.append((incremental(), small_zoo.rows()))
    for record, expected in reversed(moments):
        restores.restore_from_backup(record, safety_backup=False)
        assert small_zoo.rows() == expected


def test_growing_ranges_are_split(small_zoo, backups, incremental):
    backups.create_backup()
    keeper = Keeper.objects.first()
    Animal.objects.bulk_create(Animal(name=f"new {number}", keeper=keeper, weight=number) for number in range(2000))
    record = incremental()
    manifest = catalogue.open_sidecar(record, catalogue.get_vault()).manifest

    assert max(chunk.rows for chunk in manifest.table("zoo.animal").chunks) <= 500
    assert manifest.table("zoo.animal").rows == 3200


def test_without_a_parent_everything_is_read_and_the_log_says_why(small_zoo, incremental):
    record = incremental()
    assert (record.status, record.parent, record.needs) == ("SUCCESS", None, [str(record.backup_id)])
    assert reasons() == ["Everything is read afresh: there is no good backup of these data types yet."]


def test_a_parent_of_fewer_types_or_another_database_is_none(small_zoo, backups, incremental, settings):
    settings.BACKUP_DATA_TYPES = {
        "KEEPER": {"label": "Keepers", "models": ["zoo.Keeper"]},
        "ANIMAL": {"label": "Beasts", "models": ["zoo.Animal"]},
    }
    some = backups.create_backup(["KEEPER"])
    assert incremental("KEEPER", "ANIMAL").parent is None
    BackupRecord.objects.filter(pk=some.pk).update(database="other")
    everything = BackupRecord.objects.first()
    assert incremental("KEEPER").parent == everything  # more types than needed will do


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda record, vault, settings: (vault / record.file_path).unlink(), "is not in"),
        (lambda record, vault, settings: (vault / record.file_path).write_bytes(b"x"), "1 bytes instead of"),
        (lambda record, vault, settings: flip(vault / record.file_path, 3_000), "is damaged"),
        (
            lambda record, vault, settings: (vault / f"{record.backup_name}.manifest.json").write_text("{}"),
            "incomplete",
        ),
        (lambda record, vault, settings: BackupRecord.objects.update(is_damaged=True), "is damaged"),
        (lambda record, vault, settings: setattr(settings, "BACKUP_COMPRESSION", False), "BACKUP_COMPRESSION"),
        (
            lambda record, vault, settings: BackupRecord.objects.update(created_at=timezone.now() - timedelta(days=8)),
            "older than 7 days",
        ),
        (lambda record, vault, settings: BackupRecord.objects.update(needs=[str(uuid.uuid4())]), "not known here"),
        (
            lambda record, vault, settings: BackupRecord.objects.update(
                project_id="00000000-0000-0000-0000-000000000001"
            ),
            "another project",
        ),
        (
            lambda record, vault, settings: forge(record, lambda manifest: manifest["database"].update(alias="other")),
            "another database",
        ),
    ],
    ids=[
        "gone",
        "cut",
        "rotten",
        "unsigned",
        "damaged",
        "other codec",
        "old",
        "unknown archives",
        "foreign",
        "other database",
    ],
)
def test_a_parent_that_cannot_lend_is_passed_over_by_name(
    small_zoo, backups, restores, incremental, settings, spoil, reason
):
    spoil(backups.create_backup(), small_zoo.vault, settings)
    before = small_zoo.rows()
    record = incremental()

    assert (record.status, record.parent, record.needs) == ("SUCCESS", None, [str(record.backup_id)])
    [said] = reasons()
    assert said.startswith("Everything is read afresh: ")
    assert reason in said
    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == before


def test_a_parent_from_before_this_project_had_its_own_identity_is_passed_over(small_zoo, backups, incremental):
    """A copy of a project that was given an id of its own: the records that it was copied with are the other's."""
    backups.create_backup()
    Installation.objects.update(project_id=uuid.uuid4())
    record = incremental()

    assert (record.parent, record.needs) == (None, [str(record.backup_id)])
    assert "another project" in reasons()[0]
    assert incremental().parent == record


def test_an_altered_table_is_read_afresh_the_others_are_borrowed(small_zoo, backups, incremental, schema):
    full = backups.create_backup()
    schema("ALTER TABLE zoo_keeper ADD COLUMN shoe integer")
    try:
        record = incremental()
        manifest = catalogue.open_sidecar(record, catalogue.get_vault()).manifest
        assert {chunk.archive for chunk in manifest.table("zoo.keeper").chunks} == {str(record.backup_id)}
        assert {chunk.archive for chunk in manifest.table("zoo.animal").chunks} == {str(full.backup_id)}
    finally:
        schema("ALTER TABLE zoo_keeper DROP COLUMN shoe")


def test_a_chain_that_needs_many_archives_begins_anew(small_zoo, backups, incremental, monkeypatch):
    monkeypatch.setattr("backup_center.services.lineage.MOST_ARCHIVES", 3)
    backups.create_backup()
    needed = []
    for number in range(5):
        Animal.objects.filter(weight=(0, 600, 1100)[number % 3]).update(name=f"changed {number}")
        needed.append(len(incremental().needs))
    assert needed == [2, 3, 1, 2, 3]
    assert "needs 3 archives already" in reasons()[0]


def test_what_is_borrowed_from_is_neither_deleted_nor_cleaned_up(small_zoo, backups, restores, incremental):
    full = backups.create_backup()
    Animal.objects.filter(weight=600).update(name="changed")
    before = small_zoo.rows()
    record = incremental()
    BackupRecord.objects.filter(pk=full.pk).update(created_at=timezone.now() - timedelta(days=400))

    with pytest.raises(Refused, match=record.backup_name):
        backups.delete_backup(full)
    [verdict] = [verdict for verdict in cleanup.plan(0) if verdict.record == full]
    assert (verdict.delete, verdict.reason) == (False, f"needed by {record.backup_name}")
    backups.delete_old_backups(0)
    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == before


def test_damage_of_a_lender_is_found_in_all_that_borrow_the_chunk_and_in_no_others(
    small_zoo, backups, restores, incremental
):
    full = backups.create_backup()
    borrower = incremental()
    Animal.objects.update(name="all new")
    Keeper.objects.update(name="all new")
    other = backups.create_backup()
    path = small_zoo.vault / full.file_path
    manifest = catalogue.open_sidecar(full, catalogue.get_vault()).manifest
    chunk = manifest.table("zoo.animal").chunks[1]
    damaged = bytearray(path.read_bytes())
    damaged[chunk.offset + 40] ^= 1
    path.write_bytes(damaged)

    assert "data/zoo.animal/000001.json is damaged" in " ".join(backups.verify_backup(borrower))
    assert f"verify them too: {borrower.backup_name}" in " ".join(backups.verify_backup(full))
    assert backups.verify_backup(other) == []
    before = small_zoo.rows()
    with pytest.raises(BackupCenterError, match="is damaged"):
        restores.restore_from_backup(borrower)
    assert small_zoo.rows() == before
    restores.restore_from_backup(other, safety_backup=False)


@pytest.mark.parametrize("lost", ["chunk", "archive"])
def test_all_that_depend_on_an_ancestor_are_named_and_what_does_not_need_the_loss_restores(
    small_zoo, backups, restores, incremental, lost
):
    full = backups.create_backup()
    needs_the_chunk = [full, incremental(), incremental()]
    Animal.objects.filter(weight=600).update(name="changed")
    has_its_own = [incremental(), incremental()]
    moments = {record: small_zoo.rows() for record in has_its_own}
    apart = backups.create_backup()
    moments |= {apart: small_zoo.rows(), incremental(): small_zoo.rows()}
    path = small_zoo.vault / full.file_path
    if lost == "archive":
        path.unlink()
    else:
        flip(
            path, catalogue.open_sidecar(full, catalogue.get_vault()).manifest.table("zoo.animal").chunks[1].offset + 40
        )

    dependants = [record.backup_name for record in reversed([*needs_the_chunk[1:], *has_its_own])]
    assert backups.verify_backup(full)[-1] == f"These borrow from it, verify them too: {', '.join(dependants)}."
    damaged = needs_the_chunk if lost == "chunk" else [*needs_the_chunk, *has_its_own]
    for record in BackupRecord.objects.all():
        assert bool(backups.verify_backup(record)) == (record in damaged), record
    small_zoo.spoil()
    for record in damaged:
        before = small_zoo.rows()
        with pytest.raises(BackupCenterError, match="is damaged"):
            restores.restore_from_backup(record)
        assert small_zoo.rows() == before
    for record in moments.keys() - {*damaged}:
        restores.restore_from_backup(record, safety_backup=False)
        assert small_zoo.rows() == moments[record]


def test_a_lender_that_vanishes_meanwhile_withdraws_the_backup(small_zoo, backups, incremental):
    full = backups.create_backup()

    def vanish(*_progress: object) -> None:
        (small_zoo.vault / full.file_path).unlink(missing_ok=True)

    Animal.objects.filter(weight=600).update(name="changed")
    with pytest.raises(BackupCenterError, match=full.file_path):
        incremental(progress=vanish)
    failed = BackupRecord.objects.first()
    assert failed.status == "FAILED"
    assert not any(name.startswith(failed.backup_name) for name in small_zoo.files())


def test_composite_keys(small_chunks, backups, restores, incremental):
    Seat.objects.bulk_create(Seat(row=row, number=number, guest="") for row in "aÄBc" for number in range(9))
    backups.create_backup()
    Seat.objects.filter(row="B", number=4).update(guest="someone")
    Seat.objects.filter(row="a", number__lt=2).delete()
    before = list(Seat.objects.order_by("row", "number").values_list("row", "number", "guest"))
    record = incremental()
    assert 0 < chunks_of(record).count(str(record.backup_id)) < 20
    Seat.objects.all().delete()
    restores.restore_from_backup(record, safety_backup=False)
    assert list(Seat.objects.order_by("row", "number").values_list("row", "number", "guest")) == before
