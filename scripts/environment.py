"""The virtual environments of this repository: made once, made anew when what they are made from changes.

python3 scripts/environment.py runtime        print a Python that has the package and what it needs, nothing else
python3 scripts/environment.py development    print one that has the tools for tests and linting as well
python3 scripts/environment.py interpreters   list which supported versions of Python this machine has

Standard library only, since it runs before anything is installed.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 – this is what tells the user
    sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}. Another one: make … PYTHON=python3.11")

import hashlib
import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ("--editable", ".[apscheduler,htmx,postgresql,tasks]")
DEVELOPMENT = (
    "--editable",
    ".[apscheduler,celery,encryption,htmx,metrics,notify,postgresql,s3,sftp,tasks]",
    "--group",
    "dev",
)


class Unavailable(Exception):
    """This machine lacks what an environment is made with; the message says how to get it."""


class InstallationFailed(Exception):
    """pip refused, and has said why."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    name: str
    python: str | None = None  # "3.11"; None: whichever runs this script
    install: tuple[str, ...]  # arguments for pip

    @property
    def folder(self) -> Path:
        return ROOT / f".venv-{self.name}"


RUNTIME = Environment(name="demo", install=DEMO)
# The oldest and the newest versions that we support. Lint runs on the first, so that nothing newer slips in.
PAIRS = (
    Environment(name="3.11-django5.2", python="3.11", install=(*DEVELOPMENT, "Django~=5.2.0")),
    Environment(name="3.13-django6", python="3.13", install=(*DEVELOPMENT, "Django>=6.0,<7")),
)


def ensure(environment: Environment) -> Path:
    """The environment's Python, with everything installed. Raises Unavailable or InstallationFailed."""
    python = environment.folder / "bin" / "python"
    stamp = environment.folder / "made-from"
    wanted = fingerprint(environment)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    interpreter = find_interpreter(environment.python) if environment.python else sys.executable
    if interpreter is None:
        raise Unavailable(f"no Python {environment.python} is here; {how_to_install(environment.python)}")
    print(f"making {environment.folder.name} with {interpreter}", file=sys.stderr, flush=True)
    if call(interpreter, "-m", "venv", "--clear", environment.folder):
        raise Unavailable(f"{interpreter} makes no virtual environments; on Debian: apt-get install python3-venv")
    # The pip that comes with Python 3.11 and 3.13 doesn't know dependency groups.
    for install in (("--upgrade", "pip>=25.1"), environment.install):
        if call(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *install):
            raise InstallationFailed(f"pip install {' '.join(install)} failed in {environment.folder.name}")
    stamp.write_text(wanted)
    return python


def first_pair() -> Path:
    """The Python of the oldest pair that this machine can make."""
    reasons = []
    for pair in PAIRS:
        try:
            return ensure(pair)
        except Unavailable as reason:
            reasons.append(str(reason))
    raise Unavailable("\n".join(reasons))


def fingerprint(environment: Environment) -> str:
    """Changes with anything that an installation depends on; the settings of linters and tests are not among it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [environment.python, environment.install, project["project"], project["build-system"]]
    parts += [project["dependency-groups"], project["tool"]["hatch"], str(ROOT)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find_interpreter(version: str) -> str | None:
    """The first Python of this version that runs."""
    for candidate in (sys.executable, *on_path(f"python{version}"), *on_path("python3"), *in_pyenv(version)):
        # Asked rather than trusted by name: pyenv's shims exist for versions that they then refuse to run.
        answer = ask(candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)")
        if answer.startswith(f"{version} "):
            return answer.removeprefix(f"{version} ")
    return None


def on_path(name: str) -> Iterator[Path]:
    for folder in os.get_exec_path():
        if (candidate := Path(folder, name)).exists():
            yield candidate


def in_pyenv(version: str) -> Iterator[Path]:
    root = ask("pyenv", "root")
    for name in ask("pyenv", "versions", "--bare").split():
        if name.startswith(f"{version}."):
            yield Path(root, "versions", name, "bin", "python")


def ask(*command: str | Path) -> str:
    """What a command prints; nothing if it fails or isn't there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def call(*command: str | Path) -> int:
    """Run a command; what it prints goes to stderr, since stdout carries the answer."""
    return subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode


def how_to_install(version: str) -> str:
    return f"install it from your distribution or with `pyenv install {version}`"


def list_interpreters() -> str:
    versions = [pair.python for pair in PAIRS]
    return "\n".join(f"Python {v}: {find_interpreter(v) or 'missing; ' + how_to_install(v)}" for v in versions)


def main(arguments: list[str]) -> int:
    answers = {"runtime": lambda: ensure(RUNTIME), "development": first_pair, "interpreters": list_interpreters}
    if len(arguments) != 1 or arguments[0] not in answers:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(answers[arguments[0]]())
    except (Unavailable, InstallationFailed) as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
