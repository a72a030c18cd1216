"""What a drill's child process does: from an empty database to one that is proven to be what was backed up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from django.conf import settings as project
from django.core import checks, serializers
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection
from django.utils.translation import gettext as _

from .. import registry
from ..conf import get_drill_settings, host_function
from ..engine.compare import TableChange
from ..engine.dialects.base import ForeignKey
from ..engine.errors import BackupCenterError, Damaged, Refused
from ..models import BackupRecord
from .connecting import engine_connection
from .restores import RestoreService
from .scratch import MARK, tables_in

Progress = Callable[[str, int, int], None]  # phase, rows done, rows in all
# Of a record, what a restore needs to know.
FACTS = (
    "backup_name", "backup_type", "status", "data_types", "file_path", "file_size", "file_hash", "is_encrypted",
    "backup_start_time", "backup_end_time", "backup_id", "project_id", "sequence", "needs", "trigger", "is_unsigned",
)  # fmt: skip
# Where a restore of everything adds what the code has and the backup has not.
COMPLETED = {"contenttypes.contenttype", "auth.permission"}


def facts_of(records: Sequence[BackupRecord]) -> str:
    """For ``rehearse``: the backup and those that it borrows from, whose records an empty database lacks."""
    return str(serializers.serialize("json", records, fields=FACTS))


def rehearse(order: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """``order``: ``records`` (see ``facts_of``, the backup first), ``data_types``. Returns what the parent keeps."""
    work = _Rehearsal(progress)
    error, lines, exit_code = "", list[str](), 0
    try:
        work.run(order)
    except BackupCenterError as found:
        error, exit_code = str(found), found.exit_code
        lines = [str(line) for name in ("findings", "differences", "problems") for line in getattr(found, name, ())]
    except Exception as found:  # noqa: BLE001  # migrations and settings are the project's: whatever they raise
        error, exit_code = f"{type(found).__name__}: {found}", BackupCenterError.exit_code
    if not error and (lines := list(work.findings())):
        error, exit_code = _("It was restored, but not all is as it should be."), Damaged.exit_code
    return {"error": error, "findings": lines, "exit_code": exit_code, "phase": work.phase, "report": work.report}


class _Rehearsal:
    """``report``: as far as it came."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.phase = progress, ""
        self.report: dict[str, Any] = {"tables": [], "foreign_keys": [], "checks": [], "probes": [], "steps": {}}

    def run(self, order: Mapping[str, Any]) -> None:
        _refuse_what_is_not_empty()
        with self._step("migrate"):
            call_command("migrate", interactive=False, run_syncdb=True, skip_checks=True, verbosity=0)
        record = _enrol(order["records"])
        types: list[str] | None = order["data_types"] or None
        unsigned = record.is_unsigned  # somebody accepted that once
        with self._step("restore"):
            RestoreService().restore_from_backup(
                record, data_types=types, safety_backup=False, accept_unsigned=unsigned, progress=self.progress
            )
        with self._step("compare"):
            plan = RestoreService().plan(record, types, accept_unsigned=unsigned, progress=self.progress)
            self.report["tables"] = [_told(table) for table in plan.plan.tables]
        with self._step("references"):
            self.report["foreign_keys"] = list(_broken_references())
        with self._step("checks"):
            self.report["checks"] = [str(message) for message in _errors_of_checks()]
        with self._step("probes"):
            self.report["probes"] = [_probed(path) for path in get_drill_settings().probes]

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.phase = name
        self.progress(name, 0, 0)
        started = time.monotonic()
        try:
            yield
        finally:
            self.report["steps"][name] = round(time.monotonic() - started, 3)

    def findings(self) -> Iterator[str]:
        for table in self.report["tables"]:
            if not table["ok"]:
                text = _(
                    "%(label)s: %(expected)d rows were backed up, %(found)d are there; %(added)d missing, %(changed)d"
                    " changed, %(removed)d too many."
                )
                yield text % table
        yield from self.report["foreign_keys"]
        yield from self.report["checks"]
        for probe in self.report["probes"]:
            if not probe["ok"]:
                yield _("The probe %(name)s failed: %(answer)s") % probe


def _refuse_what_is_not_empty() -> None:
    """The last thing between a drill and a database with somebody's data, whatever went wrong before."""
    if tables := tables_in(connection) - {MARK}:
        raise Refused(_("The scratch database is not empty: it holds %(table)s.") % {"table": min(tables)})


def _enrol(records: str) -> BackupRecord:
    """All that a restore looks up of a backup; here it is one of ``default``, wherever it came from."""
    enrolled = list[BackupRecord]()
    for found in serializers.deserialize("json", records):
        record = cast("BackupRecord", found.object)
        record.pk, record.database = None, DEFAULT_DB_ALIAS
        record.save(force_insert=True)
        enrolled.append(record)
    return enrolled[0]


def _told(table: TableChange) -> dict[str, Any]:
    completed = table.label in COMPLETED
    same = not (table.added or table.changed or (table.removed and not completed))
    return {
        "label": table.label,
        "data_type": table.data_type,
        "expected": table.rows_in_backup,
        "found": table.rows_now,
        "ok": same and (completed or table.rows_in_backup == table.rows_now),
        "added": table.added,
        "changed": table.changed,
        "removed": table.removed,
    }


def _broken_references() -> Iterator[str]:
    """Looked up one by one, whatever the database has checked by itself."""
    with engine_connection(DEFAULT_DB_ALIAS) as session:
        tables, _missing = session.describe(registry.table_specs(DEFAULT_DB_ALIAS))
        for key in session.foreign_keys(tables):
            [(rows,)] = session.query(_orphans(key))
            if rows:
                text = _("%(child)s: %(rows)d rows refer to rows of %(parent)s that do not exist.")
                yield text % {"child": key.child, "rows": rows, "parent": key.parent}


def _orphans(key: ForeignKey) -> str:
    filled = " AND ".join(f"c.{_quote(name)} IS NOT NULL" for name in key.columns)
    pairs = zip(key.parent_columns, key.columns, strict=True)
    same = " AND ".join(f"p.{_quote(parent)} = c.{_quote(child)}" for parent, child in pairs)
    looked_up = f"SELECT 1 FROM {key.parent} p WHERE {same}"  # noqa: S608
    return f"SELECT count(*) FROM {key.child} c WHERE {filled} AND NOT EXISTS ({looked_up})"  # noqa: S608


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _errors_of_checks() -> list[checks.CheckMessage]:
    found = checks.run_checks(databases=[DEFAULT_DB_ALIAS])
    return [message for message in found if message.is_serious() and message.id not in project.SILENCED_SYSTEM_CHECKS]


def _probed(path: str) -> dict[str, Any]:
    """One question of the project's own: it fails by raising or by False, and may say in words what it found."""
    started = time.monotonic()
    try:
        answer = host_function("BACKUP_DRILL_PROBES", path)()
        ok = answer is not False
    except Exception as error:  # noqa: BLE001  # whatever it raises is its answer
        answer, ok = f"{type(error).__name__}: {error}", False
    seconds = round(time.monotonic() - started, 3)
    return {"name": path, "ok": ok, "answer": "" if answer is None else str(answer), "seconds": seconds}
