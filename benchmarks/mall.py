"""A mall to measure on: a scratch folder, a database of its own, and the commands that a person would type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDENTED = """
from django.core import serializers
from apps.finance.models import FinanceRecord
with open({path!r}, "w") as stream:
    serializers.serialize("json", FinanceRecord.objects.order_by("pk")[:{rows}], indent=2, stream=stream)
"""
ONE_RECORD = """
import statistics, time
from backup_center.models import BackupRecord
from backup_center.services.records import looking_for
backup = BackupRecord.objects.get(backup_name={name!r})
def once(key):
    started = time.perf_counter()
    with looking_for("finance.FinanceRecord", str(key)) as record:
        assert record.in_backup(backup)
    return time.perf_counter() - started
once(1)
print(statistics.median(once(number * {rows} // 10) for number in range(1, 10)))
"""


@dataclass(frozen=True)
class Mall:
    """``url`` as in DATABASE_URL; empty for the SQLite file in ``folder``."""

    folder: Path
    rows: int  # finance records
    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        own = {"MALL_DATA_DIR": str(self.folder), "MALL_LANGUAGE": "en", "DATABASE_URL": self.url}
        return {**os.environ, **own}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "mall" / "manage.py"), *arguments]

    def manage(self, *arguments: str) -> str:
        return subprocess.run(
            self.command(*arguments), env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def build(self) -> None:
        self.manage("migrate", "--verbosity", "0")
        self.manage("populate_mall", "--finance-records", str(self.rows), "--verbosity", "0")

    def serialize(self, path: Path, rows: int) -> None:
        """The first finance records as Django's indented JSON."""
        self.manage("shell", "--verbosity", "0", "--command", INDENTED.format(path=str(path), rows=rows))

    def one_record(self, name: str) -> float:
        """Seconds to find one finance record in this backup, in a process that runs already; a median."""
        code = ONE_RECORD.format(name=name, rows=self.rows)
        return float(self.manage("shell", "--verbosity", "0", "--command", code))

    def newest_backup(self) -> dict[str, object]:
        return json.loads(self.manage("list_backups", "--json"))[0]

    def spoil(self) -> None:
        """Every finance record wrong: the table stays full."""
        self.execute("UPDATE finance_financerecord SET amount = amount + 1")
        self.settle()

    def settle(self) -> None:
        """Let no cleaning up of the database's own fall into a measurement."""
        self.execute("VACUUM ANALYZE" if self.url else "PRAGMA wal_checkpoint(TRUNCATE)")

    def execute(self, statement: str) -> None:
        code = "import sys; from django.db import connection; connection.cursor().execute(sys.argv[1])"
        program = [sys.executable, "-c", f"import django; django.setup(); {code}", statement]
        environment = {
            **self.environment,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT / "mall"),
        }
        subprocess.run(program, env=environment, check=True, capture_output=True)
