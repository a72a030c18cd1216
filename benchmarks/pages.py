"""How long the server takes for each page when there is much to show, written to docs/benchmarks-pages.md.

python benchmarks/pages.py [--backups 5000] [--entries 200000] [--output FILE]

Pages are asked for in the process itself (Django's test client): no network, no browser. PostgreSQL is measured if it
can be reached (BACKUP_TEST_POSTGRES_URL, or a server on this machine); each database takes a process of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from run import database

from mall import ROOT, Mall

TARGET = 150  # milliseconds
RUNS = 9
# ``{backup}`` is a real one, the newest; ``{entry}`` its log entry; ``{recently}`` a month ago. A page beyond the last
# is the last.
PAGES = {
    "list": "/backup/",
    "list, filtered": "/backup/?status=FAILED",
    "list, last page": "/backup/?page=9999",
    "create": "/backup/create/",
    "detail": "/backup/{backup}/",
    "restore": "/backup/{backup}/restore/",
    "statistics": "/backup/stats/",
    "log": "/backup/log/",
    "log, filtered": "/backup/log/?operation=RESTORE",
    "log entry": "/backup/log/{entry}/",
    "settings": "/backup/settings/",
    "admin: backups": "/admin/backup/backuprecord/",
    "admin: a backup": "/admin/backup/backuprecord/{backup}/change/",
    "admin: log": "/admin/backup/backuplog/",
    "admin: log of restores": "/admin/backup/backuplog/?operation__exact=RESTORE",
    "admin: log of a month": "/admin/backup/backuplog/?created_at__gte={recently}",
    "admin: log, searched": "/admin/backup/backuplog/?q=chen",
}
REPORT = """# How fast the pages are

`python benchmarks/pages.py`, {date}: {backups:,} backups and {entries:,} entries in the log, of two years. Time that
the server takes for a page, the median of {runs} after one to warm up, and the number of queries. {cores} cores, Python
{python}. The target is {target} ms.

{table}

A dash: there is no such page yet.
"""


def main() -> None:
    options = arguments()
    if options.measure:
        print(json.dumps(dict(measured(options))))
        return
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="backup-center-pages-") as scratch, ExitStack() as stack:
        urls = {"SQLite": ""}
        try:
            urls["PostgreSQL"] = stack.enter_context(database("backup_center_pages"))
        except psycopg.OperationalError as error:
            print(f"without PostgreSQL: {error}", file=sys.stderr)
        for name, url in urls.items():
            print(f"== {name}", flush=True)
            mall = Mall(Path(scratch) / name, 20_000, url)
            mall.folder.mkdir()
            mall.build()
            figures[name] = measure(mall, options)
    report(figures, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backups", type=int, default=5_000)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks-pages.md")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(mall: Mall, options: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own, since Django knows one project a process."""
    command = [sys.executable, __file__, "--measure", f"--backups={options.backups}", f"--entries={options.entries}"]
    environment = {**mall.environment, "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(ROOT / "mall")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def measured(options: argparse.Namespace) -> Iterator[tuple[str, tuple[float, int] | None]]:
    """For each page milliseconds and queries; ``None`` if it isn't there."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from history import live_through

    from backup_center.services import BackupService

    live_through(options.backups, options.entries)
    administrator = User.objects.create_superuser("admin")
    record = BackupService().create_backup(user=administrator)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client(SERVER_NAME="127.0.0.1", headers={"accept-language": "zh-CN"})
    client.force_login(administrator)
    logging.getLogger("django.request").setLevel(logging.ERROR)  # what isn't there is in the report
    recently = quote((datetime.now(UTC) - timedelta(days=30)).isoformat())
    for name, pattern in PAGES.items():
        url = pattern.format(backup=record.pk, entry=record.logs.first().pk, recently=recently)
        if client.get(url).status_code != 200:
            yield name, None
            continue
        taken = []
        for _turn in range(RUNS):
            started = time.perf_counter()
            client.get(url)
            taken.append((time.perf_counter() - started) * 1000)
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        yield name, (statistics.median(taken), len(queries))


def report(figures: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    headings = [cell for name in figures for cell in (f"{name}, ms", "queries", "")]
    lines = [f"| page | {' | '.join(headings)} |", "|---" * (len(headings) + 1) + "|"]
    for page in PAGES:
        cells = [cell for found in figures.values() for cell in row(found[page])]
        lines.append(f"| {page} | {' | '.join(cells)} |")
    text = REPORT.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        backups=options.backups,
        entries=options.entries,
        runs=RUNS,
        cores=os.cpu_count(),
        python=platform.python_version(),
        target=TARGET,
        table="\n".join(lines),
    )
    options.output.write_text(text, encoding="utf-8")
    print(text)


def row(found: list[float] | None) -> tuple[str, str, str]:
    if found is None:
        return ("–", "", "")
    milliseconds, queries = found
    return (f"{milliseconds:.0f}", f"{queries:.0f}", "✓" if milliseconds <= TARGET else "✗")


if __name__ == "__main__":
    main()
