"""Lint, then the suite on every supported pair of Python and Django, on every database within reach.

python3 scripts/test.py lint
python3 scripts/test.py test [arguments for pytest]

What this machine lacks is skipped and named at the end; with REQUIRE=all in the environment it is an error. PostgreSQL
is looked for at BACKUP_TEST_POSTGRES_URL, else on this machine. pytest finds its database in BACKUP_TEST_DATABASE_URL;
unset means SQLite. Chromium is looked for at BACKUP_TEST_CHROMIUM, else on the PATH, where pytest finds it too; unset
means no tests in a browser.
"""

import getpass
import math
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from environment import PAIRS, ROOT, InstallationFailed, Unavailable, ensure, first_pair

# The first word is a program of the environment.
LINT = {
    "format": "ruff format --check .",
    "style": "ruff check .",
    "types": "mypy",
    "layers": "lint-imports --no-logo",
    "migrations of the package": "python -m django makemigrations --check --dry-run --settings tests.settings backup",
    "migrations of the mall": "python mall/manage.py makemigrations --check --dry-run",
    "translations": "python scripts/messages.py check",
}
# Prints the first URL that answers. They come on stdin, since a password has no place among the arguments.
POSTGRESQL_PROBE = """
import sys, psycopg
for url in sys.stdin.read().split():
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error as error:
        print(error, file=sys.stderr)
    else:
        print(url)
        break
"""
BROKERS = {"Redis": 6379, "RabbitMQ": 5672}  # where the tests that need them look, and skip themselves
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FILES_IN_A_PART = 25


@dataclass(frozen=True)
class Job:
    title: str
    command: list[str | Path]
    variables: dict[str, str | None] = field(default_factory=dict)

    def run(self) -> tuple[int, float, str]:
        """The exit code, how many seconds it took, and what it printed."""
        print(f"\n== {self.title}: begun", flush=True)
        started = time.monotonic()
        done = subprocess.run(
            self.command, cwd=ROOT, env=surroundings(self.variables), check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        )  # fmt: skip
        return done.returncode, time.monotonic() - started, done.stdout


@dataclass
class Report:
    """What was run and how it ended."""

    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def run(self, jobs: list[Job]) -> None:
        """In this order, one on each processor and one more, since tests also wait: for servers, disks, a browser.

        What each prints comes in one piece when it ends.
        """
        with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as workers:
            running = {workers.submit(job.run): job.title for job in jobs}
            try:
                for done in as_completed(running):
                    self.note(running[done], *done.result())
            finally:
                workers.shutdown(cancel_futures=True)  # after Ctrl-C nothing more is begun

    def note(self, title: str, code: int, seconds: float, output: str) -> None:
        outcome = f"FAILED ({code})" if code else "ok"
        print(f"\n{output}== {title}: {outcome}, {seconds:.1f} s", flush=True)
        if code:
            self.failed.append(title)

    def skip(self, reason: str) -> None:
        print(f"\n== skipped: {reason}", flush=True)
        (self.failed if os.environ.get("REQUIRE") == "all" else self.skipped).append(reason)

    def close(self) -> int:
        print()
        for reason in self.skipped:
            print(f"skipped: {reason}")
        for title in self.failed:
            print(f"FAILED: {title}")
        if not self.failed:
            print("all passed")
        return 1 if self.failed else 0


def surroundings(variables: dict[str, str | None]) -> dict[str, str]:
    """The environment of a child: ours, but of the variables for tests only what is given."""
    wanted = {"BACKUP_TEST_DATABASE_URL": None, "BACKUP_TEST_CHROMIUM": None, "BACKUP_TEST_AGAIN": None} | variables
    kept = {name: value for name, value in os.environ.items() if name not in wanted}
    return kept | {name: value for name, value in wanted.items() if value}


def lint_jobs(python: Path) -> list[Job]:
    jobs = []
    for title, command in LINT.items():
        program, *arguments = command.split()
        jobs.append(Job(title, [python.parent / program, *arguments]))
    return jobs


def test(report: Report, pytest_arguments: list[str]) -> None:
    pairs = available_pairs(report)
    if not pairs:
        report.failed.append("no supported pair of Python and Django can run here")
        return
    first = pairs[0][1]
    databases = reachable_databases(report, first)
    chromium = find_chromium(report)
    for name, port in BROKERS.items():
        if not answers(port):
            report.skip(f"{name} doesn't answer on 127.0.0.1:{port}; `make services` may help")
    if shutil.which("age") is None:
        report.skip("age is not here, so that no encrypted backup is opened by hand; `make services` may help")
    # Only what runs whole, on every database, can be held to the threshold.
    covering = not pytest_arguments and "PostgreSQL" in databases
    if covering:
        subprocess.run([first, "-m", "coverage", "erase"], cwd=ROOT, check=True)
    parts = {"tests": pytest_arguments} if pytest_arguments else parts_of_the_suite()
    report.run(lint_jobs(first) + test_jobs(parts, pairs, databases, chromium, covering=covering))
    if covering:
        report.run([Job("coverage data", [first, "-m", "coverage", "combine", "--quiet"])])
        report.run([Job("coverage", [first, "-m", "coverage", "report"])])


def parts_of_the_suite() -> dict[str, list[str]]:
    """Arguments for pytest: a folder's test files, dealt like cards where they are many.

    So a part takes a minute or two, and no processor is idle for long while another has the last one. By luck the names
    of the folders are in the right order: the quick unit tests fill the gaps at the end.
    """
    parts = {}
    for folder in sorted({path.parent for path in ROOT.glob("tests/**/test_*.py")}):
        files = sorted(str(path.relative_to(ROOT)) for path in folder.glob("test_*.py"))
        hands = math.ceil(len(files) / FILES_IN_A_PART)
        for hand in range(hands):
            name = folder.name if hands == 1 else f"{folder.name} {hand + 1}/{hands}"
            parts[name] = files[hand::hands]
    return parts


def test_jobs(
    parts: dict[str, list[str]],
    pairs: list[tuple[str, Path]],
    databases: dict[str, str | None],
    chromium: str | None,
    *,
    covering: bool,
) -> list[Job]:
    """Each part on each pair and database. All may run at once: a test's databases are named after its process."""
    jobs = []
    for part, arguments in parts.items():
        for name, python in pairs:
            # Once is enough: coverage and what is marked slow on the oldest pair, the browser on the newest and SQLite.
            oldest, newest = name == pairs[0][0], name == pairs[-1][0]
            measured = ["-m", "coverage", "run"] if covering and oldest else []
            for database, url in databases.items():
                if part == "browser" and (url or not newest):
                    continue
                title = f"{part}, {name}, {database}"
                command: list[str | Path] = [python, *measured, "-m", "pytest", *arguments]
                variables: dict[str, str | None] = {
                    "BACKUP_TEST_DATABASE_URL": url,
                    "BACKUP_TEST_CHROMIUM": chromium if newest else None,
                    "BACKUP_TEST_AGAIN": None if oldest else "1",
                }
                jobs.append(Job(title, command, variables))
    return jobs


def available_pairs(report: Report) -> list[tuple[str, Path]]:
    pairs = []
    for pair in PAIRS:
        try:
            pairs.append((pair.name, ensure(pair)))
        except Unavailable as reason:
            report.skip(f"{pair.name}: {reason}")
    return pairs


def reachable_databases(report: Report, python: Path) -> dict[str, str | None]:
    """The URL of each database to test on."""
    databases: dict[str, str | None] = {"SQLite": None}
    # On this machine: over TCP, as trust authentication allows, or over the socket, as peer authentication does.
    local = [f"postgres://{getpass.getuser()}@127.0.0.1:5432/postgres", "postgres:///postgres"]
    given = os.environ.get("BACKUP_TEST_POSTGRES_URL")
    candidates = [given] if given else local
    command = [python, "-c", POSTGRESQL_PROBE]
    probe = subprocess.run(command, input="\n".join(candidates), capture_output=True, text=True, check=True)
    if url := probe.stdout.strip():
        databases["PostgreSQL"] = url
    else:
        report.skip(f"PostgreSQL can't be reached; `make services` may help\n{probe.stderr.strip()}")
    return databases


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=3).close()
    except OSError:
        return False
    return True


def find_chromium(report: Report) -> str | None:
    """The first one that starts."""
    given = os.environ.get("BACKUP_TEST_CHROMIUM")
    for name in [given] if given else BROWSERS:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    report.skip(f"{given or 'Chromium'} isn't here or doesn't start; `make services` may help")
    return None


def main(arguments: list[str]) -> int:
    report = Report()
    verb, *rest = arguments or [""]
    try:
        if verb == "test":
            test(report, rest)
        elif verb == "lint" and not rest:
            report.run(lint_jobs(first_pair()))
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (Unavailable, InstallationFailed) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return report.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
