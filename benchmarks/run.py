"""Our figures beside our peers', measured in one run on one machine, written to docs/benchmarks.md.

python benchmarks/run.py [--rows 1000000] [--runs 3] [--skip-slow]

PostgreSQL's part needs a server (BACKUP_TEST_POSTGRES_URL, or one on this machine) and its clients; it makes and
drops databases of its own. The slow peers (dumpdata, loaddata) run once.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
from measure import alternately, peak_pss, seconds

from mall import ROOT, Mall

FINANCE = ["--data-types", "FINANCE"]
SOME_ROWS = 1_000
SPOILED = 500


@dataclass(frozen=True)
class Figure:
    """One line of the report: a ratio (or an amount) against its target."""

    what: str
    ours: str
    peer: str
    value: float
    target: float
    at_least: bool = False

    def __str__(self) -> str:
        met = self.value >= self.target if self.at_least else self.value <= self.target
        sign = "≥" if self.at_least else "≤"
        cells = [self.what, self.ours, self.peer, f"{self.value:.3g}", f"{sign} {self.target}", "✓" if met else "✗"]
        return f"| {' | '.join(cells)} |"


def main() -> None:
    options = arguments()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="backup-center-bench-") as scratch:
        for name, part in (("PostgreSQL", postgresql), ("SQLite", sqlite), ("scaling", scaling)):
            print(f"== {name}", flush=True)
            figures += part(Path(scratch), options)
    report(figures, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--skip-slow", action="store_true", help="leave dumpdata and loaddata out")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    return parser.parse_args()


def server() -> str:
    user = os.environ.get("USER", "root")
    return os.environ.get("BACKUP_TEST_POSTGRES_URL", f"postgres://{user}@127.0.0.1:5432/postgres")


@contextmanager
def database(name: str) -> Iterator[str]:
    """A database of our own, dropped at the end; its URL."""
    base = server()
    with psycopg.connect(base, autocommit=True) as session:
        session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        session.execute(f"CREATE DATABASE {name}")
        try:
            yield base.rpartition("/")[0] + "/" + name
        finally:
            session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def postgresql(scratch: Path, options: argparse.Namespace) -> Iterator[Figure]:
    with database("backup_center_bench") as url:
        mall = Mall(scratch / "postgresql", options.rows, url)
        mall.build()
        mall.settle()
        dump, whole = scratch / "finance.dump", scratch / "whole.dump"
        taken = alternately(
            options.runs,
            ours=lambda: seconds(mall.command("backup_database", *FINANCE), mall.environment),
            pg_dump=lambda: seconds(["pg_dump", "-Fc", "-t", "finance_financerecord", "-f", str(dump), url]),
        )
        backup = mall.newest_backup()
        yield ratio("full backup, against `pg_dump -Fc`", taken["ours"], taken["pg_dump"], 0.6)
        yield size(backup, dump)
        yield from json_share(mall, backup, scratch)
        yield from incremental(mall, taken["ours"], int(str(backup["size"])))
        yield from rewind(mall, str(backup["name"]), dump, options)
        yield one_record(mall, str(backup["name"]))
        seconds(["pg_dump", "-Fc", "-f", str(whole), url])
        restored = yield from postgresql_restore(mall, str(backup["name"]), whole, options)
        if not options.skip_slow:
            yield from slow_peers(mall, scratch, taken["ours"], restored)


def incremental(mall: Mall, full: float, size_of_full: int) -> Iterator[Figure]:
    """Beside our own full backup: time, and size of the archive."""
    somewhere = mall.rows // 2
    neighbours = f"id BETWEEN {somewhere} AND {somewhere + SOME_ROWS - 1}"
    spread = f"id IN (SELECT (random() * {mall.rows})::int FROM generate_series(1, {SOME_ROWS}))"
    cases = (
        ("nothing changed", None, 0.45, 0.005),
        (f"{SOME_ROWS:,} neighbouring rows changed", neighbours, 0.5, 0.01),
        (f"{SOME_ROWS:,} rows changed at random", spread, 0.7, 0.5),
    )
    for what, condition, most_time, most_size in cases:
        if condition:
            mall.execute(f"UPDATE finance_financerecord SET amount = amount + 1 WHERE {condition}")
        command = mall.command("backup_database", "--type=INCREMENTAL", *FINANCE)
        taken = seconds(command, mall.environment)
        print(f"  incremental, {what}: {taken:.2f} s", flush=True)
        yield ratio(f"incremental, {what}, against our full", taken, full, most_time)
        size = int(str(mall.newest_backup()["size"]))
        cells = megabytes(size), megabytes(size_of_full)
        yield Figure(f"… its archive, {what}", *cells, size / size_of_full, most_size)


def rewind(mall: Mall, name: str, dump: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """A bad UPDATE of 500 rows: side by side, and at random. The peer loads the whole table, as it must."""

    listed = subprocess.run(["pg_restore", "-l", str(dump)], check=True, capture_output=True, text=True).stdout
    contents = dump.with_suffix(".list")  # the table alone refers to tables that its dump doesn't have
    contents.write_text("".join(line for line in listed.splitlines(keepends=True) if "FK CONSTRAINT" not in line))

    def peer() -> float:
        with database("backup_center_bench_empty") as url:
            return seconds(["pg_restore", "-d", url, "-L", str(contents), str(dump)])

    somewhere = mall.rows // 2
    step = mall.rows // SPOILED
    cases = {
        "neighbouring": f"id BETWEEN {somewhere} AND {somewhere + SPOILED - 1}",
        "scattered": f"id % {step} = 1",
    }
    for what, condition in cases.items():
        spoil = f"UPDATE finance_financerecord SET amount = amount + 1 WHERE {condition}"

        def run(*extra: str, spoil: str = spoil) -> float:
            mall.execute(spoil)
            return seconds(mall.command("restore_database", name, *FINANCE, *extra), mall.environment)

        taken = alternately(
            options.runs, preview=partial(run, "--dry-run"), rewind=partial(run, "--yes"), pg_restore=peer
        )
        rows = f"{SPOILED} {what} rows spoiled"
        yield ratio(f"preview, {rows}, against `pg_restore` of the table", taken["preview"], taken["pg_restore"], 0.5)
        yield ratio(f"rewind, {rows}, safety backup included", taken["rewind"], taken["pg_restore"], 0.5)


def one_record(mall: Mall, name: str) -> Figure:
    milliseconds = 1000 * mall.one_record(name)
    print(f"  one record: {milliseconds:.0f} ms", flush=True)
    return Figure("one record out of one local backup, in process, ms", f"{milliseconds:.0f} ms", "", milliseconds, 50)


def postgresql_restore(
    mall: Mall, name: str, whole: Path, options: argparse.Namespace
) -> Generator[Figure, None, float]:
    def restore(*extra: str) -> float:
        mall.spoil()
        return seconds(mall.command("restore_database", name, "--yes", *extra), mall.environment)

    def peer() -> float:
        with database("backup_center_bench_empty") as url:
            return seconds(["pg_restore", "-d", url, str(whole)])

    taken = alternately(
        options.runs, without=partial(restore, "--without-safety-backup"), pg_restore=peer, with_safety=restore
    )
    yield ratio("restore without safety backup, against `pg_restore`", taken["without"], taken["pg_restore"], 1.4)
    yield ratio("restore with safety backup, against `pg_restore`", taken["with_safety"], taken["pg_restore"], 2.2)
    return taken["without"]


def slow_peers(mall: Mall, scratch: Path, ours: float, restored: float) -> Iterator[Figure]:
    """The naive way, once each: its figures are minutes. ``loaddata`` gets a tenth of the rows; ten times its time."""
    dumped, fixture = scratch / "dumpdata.json.gz", scratch / "finance.json"
    dump = seconds(mall.command("dumpdata", "finance.financerecord", "-o", str(dumped)), mall.environment)
    print(f"  dumpdata: {dump:.0f} s", flush=True)
    yield ratio("full backup, against `dumpdata` to .gz", ours, dump, 25, faster=True)
    mall.serialize(fixture, mall.rows // 10)
    mall.execute("TRUNCATE finance_financerecord")
    load = 10 * seconds(mall.command("loaddata", str(fixture)), mall.environment)
    print(f"  loaddata: {load:.0f} s", flush=True)
    yield ratio("restore, against `loaddata` into the empty table", restored, load, 30, faster=True)


def sqlite(scratch: Path, options: argparse.Namespace) -> Iterator[Figure]:
    mall = Mall(scratch / "sqlite", options.rows)
    mall.build()
    mall.settle()
    file, packed, plain = mall.folder / "mall.sqlite3", scratch / "dump.sql.gz", scratch / "dump.sql"
    taken = alternately(
        options.runs,
        ours=lambda: seconds(mall.command("backup_database", *FINANCE), mall.environment),
        dump=lambda: seconds(f"sqlite3 {file} '.dump finance_financerecord' | gzip -1 > {packed}"),
    )
    yield ratio("full backup, against `sqlite3 .dump \\| gzip -1`", taken["ours"], taken["dump"], 1.1)
    name = str(mall.newest_backup()["name"])
    yield one_record(mall, name)
    seconds(f"sqlite3 {file} '.dump finance_financerecord' > {plain}")

    def restore(*extra: str) -> float:
        mall.spoil()
        return seconds(mall.command("restore_database", name, "--yes", *extra), mall.environment)

    def peer() -> float:
        (scratch / "peer.sqlite3").unlink(missing_ok=True)
        return seconds(f"sqlite3 {scratch / 'peer.sqlite3'} < {plain}")

    taken = alternately(
        options.runs, without=partial(restore, "--without-safety-backup"), sqlite3=peer, with_safety=restore
    )
    yield ratio("restore without safety backup, against `sqlite3 < dump.sql`", taken["without"], taken["sqlite3"], 1.0)
    yield ratio("restore with safety backup, against `sqlite3 < dump.sql`", taken["with_safety"], taken["sqlite3"], 1.3)
    shutil.rmtree(mall.folder)


def scaling(scratch: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """Time per row and memory, as the table grows."""
    per_row, peak = {}, {}
    for share in (3, 10, 30):
        rows = options.rows * share // 10
        with database("backup_center_bench") as url:
            mall = Mall(scratch / f"scaling-{share}", rows, url)
            mall.build()
            mall.settle()
            command = mall.command("backup_database", *FINANCE)
            taken = alternately(options.runs, ours=lambda: seconds(command, mall.environment))  # noqa: B023
            per_row[share] = taken["ours"] / rows
            restore = mall.command("restore_database", str(mall.newest_backup()["name"]), "--yes")
            peak[share] = max(peak_pss(command, mall.environment), peak_pss(restore, mall.environment))
            print(f"  {rows:,} rows: {taken['ours']:.2f} s, peak {peak[share]:.0f} MB", flush=True)
    yield Figure("peak memory, backup and restore, MB", f"{options.rows:,} rows", "", peak[10], 150)
    yield Figure(
        "… of 3 times the rows, against that", f"{peak[30]:.0f} MB", f"{peak[10]:.0f} MB", peak[30] / peak[10], 1.1
    )
    yield Figure(
        "time per row of 10 times the rows",
        f"{per_row[30] * 1e6:.2f} µs",
        f"{per_row[3] * 1e6:.2f} µs",
        per_row[30] / per_row[3],
        1.15,
    )


def ratio(what: str, ours: float, peer: float, target: float, *, faster: bool = False) -> Figure:
    value = peer / ours if faster else ours / peer
    return Figure(what, f"{ours:.2f} s", f"{peer:.2f} s", value, target, at_least=faster)


def size(backup: dict[str, object], dump: Path) -> Figure:
    ours, peer = int(str(backup["size"])), dump.stat().st_size
    return Figure("archive, against `pg_dump -Fc`", megabytes(ours), megabytes(peer), ours / peer, 1.25)


def json_share(mall: Mall, backup: dict[str, object], scratch: Path) -> Iterator[Figure]:
    """The guide promises 10 to 20 % of the same rows as indented JSON; measured on the first of them."""
    path, rows = scratch / "indented.json", min(mall.rows, 20_000)
    mall.serialize(path, rows)
    whole = path.stat().st_size * mall.rows / rows
    ours = int(str(backup["size"]))
    yield Figure("archive, share of indented JSON", megabytes(ours), megabytes(whole), ours / whole, 0.2)


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


REPORT = """\
# Benchmarks

`make bench`, {date}: the mall's FINANCE table, {rows:,} rows, 14 columns, 3 indexes, default settings. Whole processes
(Django's start included), the median of {runs} runs taken in turn with the peer's; the slow peers once, and
`loaddata` with a tenth of the rows, its time multiplied by ten. {cores} cores, Python {python}.

| what | ours | peer | figure | target | |
|---|---|---|---|---|---|
{figures}

Restores replace a full table whose rows were all changed, with every index and foreign key standing at the end;
`pg_restore` fills an empty database from a dump of the whole mall. Memory is the proportional set size of our process
and its children; the database server's is its own.
"""


def report(figures: list[Figure], options: argparse.Namespace) -> None:
    text = REPORT.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        rows=options.rows,
        runs=options.runs,
        cores=os.cpu_count(),
        python=platform.python_version(),
        figures="\n".join(map(str, figures)),
    )
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
