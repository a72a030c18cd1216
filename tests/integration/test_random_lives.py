"""Random lives (reliability 8): whatever happens, every backup that is listed restores to exactly its moment.

Hypothesis makes up what happens: rows come, change and go, tables are altered, time passes; backups are taken, fail,
are pinned, deleted and cleaned up; restores replace everything or one data type. Beside it a model remembers the rows
of each moment as plain SQL read them, and works out from the manifests' chunks alone what may be deleted.

A way to restore that is new needs one more rule around ``_restore``, which says what the live rows should be then.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backup_center.engine import verify
from backup_center.engine.errors import BackupCenterError, Refused, SchemaDiffers
from backup_center.models import BackupLog, BackupRecord, Installation
from backup_center.services import BackupService, RestoreService, catalogue
from tests.integration.happenings import (
    DEADLY,
    Backup,
    BackupOrChange,
    Change,
    Stopped,
    away,
    happenings,
    kinds_of_backup,
    places,
    some_types,
    stop,
)
from tests.integration.histories import KEYS, POSTGRESQL
from tests.integration.killing import kill_at, let_the_lease_expire
from tests.integration.lives import TYPES, LiveTable, live_tables, rows_in_archives
from tests.integration.moments import Moment, Rows, staying_after_cleanup

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Status = BackupRecord.Status
SIDECAR = ".manifest.json"
# More lives than the suite has time for, other ones each time: BACKUP_TEST_LIVES=500
LIVES = int(os.environ.get("BACKUP_TEST_LIVES", "0"))
USUAL_LIVES, STEPS = (4 if POSTGRESQL else 6), 12


@dataclass(frozen=True, kw_only=True)
class World:
    """What a life needs of the test around it."""

    vault: Path
    run: Callable[..., None]
    backups: BackupService
    restores: RestoreService


class Life(RuleBasedStateMachine):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.tables: dict[str, LiveTable] = {}
        self.moments: dict[int, Moment] = {}  # by the record's primary key, in their order
        self.dead: int | None = None  # whose process was killed, and nobody has noticed yet
        self.unseen = False  # something happened to the vault

    # -- what happens

    @initialize(kind=st.sampled_from(sorted(KEYS)), rows=st.integers(8, 50))
    def begin(self, kind: str, rows: int) -> None:
        self.tables = live_tables(kind, self.world.run)
        for table in self.tables.values():
            table.create()
            table.put(table.keys[:rows], "'first'")
        self._happen([Backup(None, "FULL")])

    @rule(
        before=happenings,
        kind=kinds_of_backup,
        why=st.sampled_from(["stopped", "no folder", "lender vanishes", "row cannot be carried"]),
        place=places,
    )
    def back_up_in_vain(self, before: list[BackupOrChange], kind: str, why: str, place: int) -> None:
        self._happen(before)
        if why == "no folder" and self.dead is None:
            with away(self.world.vault, self.world.vault) as vanish:
                vanish()
                self.world.vault.write_text("in the way")
                self._fails(BackupCenterError, kind)
        elif why == "lender vanishes" and (lender := self._lender()):
            with away(self.world.vault / lender.record.file_path, self.world.vault) as vanish:
                self._fails(BackupCenterError, "INCREMENTAL", progress=vanish)
        elif why == "row cannot be carried" and not POSTGRESQL:  # which takes no such text
            table = list(self.tables.values())[place % 3]
            table.put(table.some(place, 1), "CAST(x'ff' AS TEXT)")
            self._fails(BackupCenterError, kind)
            table.update(table.some(place, 1), "'mended'")
        else:
            self._fails(Stopped, kind, progress=stop)

    @rule(before=happenings, kind=kinds_of_backup, step=st.sampled_from(DEADLY))
    def die_backing_up(self, before: list[BackupOrChange], kind: str, step: str) -> None:
        self._happen(before)
        rows = self._live()
        kill_at(step, lambda: self.world.backups.create_backup(None, kind))
        let_the_lease_expire()
        self._look()
        record = BackupRecord.objects.latest("sequence")
        assert record.status == Status.RUNNING
        self.dead = record.pk
        complete = (self.world.vault / f"{record.backup_name}{SIDECAR}").exists()
        self._learn(record, rows if complete else None)

    @rule(before=happenings, place=places, pinned=st.booleans())
    def pin_or_release(self, before: list[BackupOrChange], place: int, pinned: bool) -> None:
        self._happen(before)
        if self._listed():
            moment = self._pick(place)
            self.world.backups.pin_backup(moment.record, pinned=pinned)
            moment.pinned = pinned

    @rule(before=happenings, passed=st.sampled_from([0, 1, 5, 40, -2]), days=st.sampled_from([0, 3, 30]))
    def clean_up(self, before: list[BackupOrChange], passed: int, days: int) -> None:
        """After some days; or the clock was set back, and backups seem to come from the future."""
        self._happen(before)
        BackupRecord.objects.update(created_at=F("created_at") - timedelta(days=passed))
        for moment in self.moments.values():
            moment.age += passed
        self._clean_up(days)

    @precondition(lambda self: self.moments)
    @rule(before=happenings, place=places)
    def delete_by_hand(self, before: list[BackupOrChange], place: int) -> None:
        self._happen(before)
        moment = list(self.moments.values())[place % len(self.moments)]
        others = [other for other in self._good() if other is not moment]
        if moment.pinned or any(moment.id in other.needs for other in others):
            with pytest.raises(Refused):
                self.world.backups.delete_backup(moment.record)
        else:
            del self.moments[moment.record.pk]
            self.world.backups.delete_backup(moment.record)
        self._look()

    @precondition(lambda self: self._listed())
    @rule(before=happenings, place=places, types=some_types, safety=st.booleans())
    def restore(self, before: list[BackupOrChange], place: int, types: list[str] | None, safety: bool) -> None:
        self._happen(before)
        moment = self._pick(place)
        assert self.world.backups.verify_backup(moment.record, deep=True) == []
        if types is not None:
            types = [name for name in types if name in moment.record.data_types] or None
        self._restore(moment, types, safety_backup=safety)

    # -- what must hold

    @precondition(lambda self: self.unseen)
    @invariant()
    def every_listed_backup_holds_its_moment(self) -> None:
        self.unseen = False
        vault = catalogue.get_vault()
        for moment in self._good():
            sidecar = catalogue.open_sidecar(moment.record, vault)
            source = catalogue.source(sidecar.manifest, vault)
            if moment.record.pk != self.dead:
                assert verify.examine(sidecar, source, deep=True) == []
                assert rows_in_archives(sidecar.manifest, source) == moment.rows

    @invariant()
    def records_and_files_agree(self) -> None:
        found = {}
        files = set(self.world.vault.iterdir()) if self.world.vault.exists() else set()
        for record in BackupRecord.objects.all():
            found[record.pk] = record.status
            if record.pk == self.dead:
                files = {path for path in files if not path.name.startswith(f"{record.backup_name}.")}
            elif record.status == Status.SUCCESS:
                files -= {self.world.vault / record.file_path, self.world.vault / f"{record.backup_name}{SIDECAR}"}
                assert set(record.needs) == self.moments[record.pk].needs
        assert files == set()
        settled = {pk: Status.SUCCESS if moment.good else Status.FAILED for pk, moment in self.moments.items()}
        assert found == settled | ({} if self.dead is None else {self.dead: Status.RUNNING})

    def teardown(self) -> None:
        """Every backup really restores; and what a cleanup leaves still does."""
        try:
            if sys.exc_info()[0] is None:
                self._restore_all()
                self._clean_up(0)
                self.records_and_files_agree()
                self._restore_all()
        finally:
            self._forget()

    # -- the model

    def _happen(self, before: list[BackupOrChange]) -> None:
        for event in before:
            if isinstance(event, Change):
                event.apply_to(self.tables[event.label])
            else:
                rows = self._live()
                self._learn(self.world.backups.create_backup(event.types, event.kind), rows)
                self._look()

    def _live(self) -> Rows:
        return {label: table.rows() for label, table in self.tables.items()}

    def _good(self) -> list[Moment]:
        return [moment for moment in self.moments.values() if moment.good]

    def _listed(self) -> list[Moment]:
        """Those that may be used: of one that was just killed nobody knows yet how it ended."""
        return [moment for moment in self._good() if moment.record.pk != self.dead]

    def _pick(self, place: int) -> Moment:
        """The newest for 0: simple histories use it."""
        listed = self._listed()
        moment = listed[-1 - place % len(listed)]
        moment.record.refresh_from_db()  # as a page shows it
        return moment

    def _lender(self) -> Moment | None:
        """A backup of everything that will surely lend to the next one: the schema is still the same."""
        last = max(self._listed(), key=lambda moment: moment.record.sequence, default=None)
        if last is None or set(last.record.data_types) != set(TYPES) or last.needs != {last.id}:
            return None
        same = any(
            last.shapes[label] == table.shape and last.rows[label] == table.rows() != []
            for label, table in self.tables.items()
        )
        return last if same and last.age <= 5 else None

    def _learn(self, record: BackupRecord, rows: Rows | None) -> None:
        """Of a new record; without rows it is one of a backup that failed."""
        moment = Moment(record=BackupRecord.objects.get(pk=record.pk), good=rows is not None)
        if rows is not None:
            manifest = catalogue.open_sidecar(record, catalogue.get_vault()).manifest
            has = [label for label, table in self.tables.items() if table.data_type in record.data_types]
            moment.rows = {label: rows[label] for label in has}
            moment.shapes = {label: self.tables[label].shape for label in has}
            moment.needs = {chunk.archive for table in manifest.tables for chunk in table.chunks} | {manifest.id}
        self.moments[record.pk] = moment

    def _look(self) -> None:
        """Something held the lease: what was dead before is settled now, and the vault may be another."""
        self.dead = None
        self.unseen = True

    def _new(self) -> list[BackupRecord]:
        return list(BackupRecord.objects.exclude(pk__in=self.moments))

    def _fails(self, error: type[Exception], kind: str, **options: object) -> None:
        with pytest.raises(error):
            self.world.backups.create_backup(None, kind, **options)
        self._look()
        [record] = self._new()
        assert (record.status, record.error_message != "") == (Status.FAILED, True)
        self._learn(record, None)

    def _clean_up(self, days: int) -> None:
        staying = staying_after_cleanup(self.moments, days)
        deleted = self.world.backups.delete_old_backups(days)
        self._look()
        assert set(BackupRecord.objects.values_list("pk", flat=True)) == staying
        assert deleted == len(self.moments) - len(staying)
        self.moments = {pk: moment for pk, moment in self.moments.items() if pk in staying}

    def _chosen(self, moment: Moment, types: list[str] | None) -> list[str]:
        return [label for label in moment.rows if types is None or self.tables[label].data_type in types]

    def _altered_since(self, moment: Moment, types: list[str] | None) -> bool:
        return any(moment.shapes[label] != self.tables[label].shape for label in self._chosen(moment, types))

    def _restore_all(self) -> None:
        """In any order. Tables that were altered are altered back for it."""
        listed = self._listed()
        random.Random(len(listed)).shuffle(listed)
        for moment in listed:
            moment.record.refresh_from_db()
            if self._altered_since(moment, None):
                self._restore(moment, None, safety_backup=False)
                for label, shape in moment.shapes.items():
                    self.tables[label].alter(shape)
            self._restore(moment, None, safety_backup=False)

    def _restore(self, moment: Moment, types: list[str] | None, *, after: Rows | None = None, **options: bool) -> None:
        """Restore: then the live rows are ``after``, by default the moment's; or nothing, if a table was altered.

        What was replaced is in a safety backup then, if there is to be one, which is a backup like any other.
        """
        before = self._live()
        if self._altered_since(moment, types):
            with pytest.raises(SchemaDiffers):
                self.world.restores.restore_from_backup(moment.record, data_types=types, **options)
            assert self._live() == before
            for record in self._new():
                self._learn(record, None)
        else:
            chosen = self._chosen(moment, types)
            self.world.restores.restore_from_backup(moment.record, data_types=types, **options)
            assert self._live() == before | {label: (after or moment.rows)[label] for label in chosen}
            new = self._new()
            assert len(new) == int(options["safety_backup"])
            for record in new:
                self._learn(record, before)
                assert set(self.moments[record.pk].rows) == set(chosen)
                assert self.moments[record.pk].is_safety
        self._look()

    def _forget(self) -> None:
        for table in self.tables.values():
            table.drop()
        BackupLog.objects.all().delete()
        BackupRecord.objects.all().delete()
        Installation.objects.all().delete()
        shutil.rmtree(self.world.vault, ignore_errors=True)


@pytest.fixture
def world(request, settings) -> World:
    settings.BACKUP_DATA_TYPES = TYPES
    request.getfixturevalue("small_chunks")  # after the setting, which it remembers
    services = {name: request.getfixturevalue(name) for name in ("backups", "restores")}
    return World(vault=settings.BACKUP_DIR, run=request.getfixturevalue("schema"), **services)


def test_every_listed_backup_restores_to_its_moment_whatever_happens(world):
    run_state_machine_as_test(
        lambda: Life(world),
        settings=settings(
            max_examples=LIVES or USUAL_LIVES,
            stateful_step_count=STEPS,
            derandomize=not LIVES,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
