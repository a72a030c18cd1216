"""What the drills of test_drills ask: a probe runs in the child process, so it can tell what that has, or end it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def tell_all() -> str:
    """Everything that this process holds of databases, for the test to look through."""
    from django.conf import settings
    from django.core.cache import caches
    from django.db import connection, connections

    from config import settings as imported  # where the mall's settings came from

    found = {
        "environment": dict(os.environ),
        "arguments": sys.argv,
        "settings": {alias: connections[alias].settings_dict for alias in connections},
        "imported": imported.DATABASES,
        "constant": getattr(settings, "OUR_PASSWORD", None),
        "mail": settings.EMAIL_BACKEND,
        "cache": type(caches["default"]).__name__,
        "session": str(connection.get_connection_params()),
    }
    Path(os.environ["TOLD"]).write_text(json.dumps(found, default=str), encoding="utf-8")
    return "told"


def fail() -> None:
    raise ValueError("the books of January do not add up")


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave_things_behind() -> None:
    """A process, and a thread that the interpreter waits for."""
    child = subprocess.Popen(["sleep", "600"])
    Path(os.environ["TOLD"]).write_text(str(child.pid), encoding="utf-8")
    threading.Thread(target=time.sleep, args=[600]).start()


def hang() -> None:
    """With a process of its own, which must not survive either."""
    child = subprocess.Popen(["sleep", "600"])
    Path(os.environ["TOLD"]).write_text(f"{os.getpid()} {child.pid}", encoding="utf-8")
    time.sleep(600)
