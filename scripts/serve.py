"""The mall's site on 127.0.0.1 together with a worker and a scheduler, until Ctrl-C or until one of them ends.

make serve              on port 8000
make serve PORT=8001    on another port
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANAGE = (sys.executable, "mall/manage.py")
SECONDS_TO_END = 30  # that a worker is given to finish or take back what it does


def serve(port: int, environment: Mapping[str, str]) -> int:
    """The exit code of whichever ended first; 0 after Ctrl-C."""
    surroundings = {**environment, "MALL_TASKS": "database", "DJANGO_RUNSERVER_HIDE_WARNING": "true"}
    commands = [
        ("runserver", "--noreload", f"127.0.0.1:{port}"),
        ("db_worker", "--no-reload", "--interval", "0.5"),
        ("backup_scheduler",),
    ]
    # In groups of their own, so that Ctrl-C reaches only us and each is ended once, in order.
    children = [
        subprocess.Popen([*MANAGE, *command], cwd=ROOT, env=surroundings, process_group=0) for command in commands
    ]
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.2)
        return next(code for child in children if (code := child.returncode) is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        end(children)


def end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has started us with Ctrl-C ignored
        signal.signal(number, signal.default_int_handler)
    migrated = subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], cwd=ROOT, check=False)
    return migrated.returncode or serve(int(os.environ.get("PORT") or 8000), os.environ)


if __name__ == "__main__":
    sys.exit(main())
