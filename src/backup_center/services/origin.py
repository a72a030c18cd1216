"""Where somebody acts from: the address of a request; of a command or a task, the account and the machine."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

from ..conf import get_access_settings, host_function

LONGEST = 200
_address: ContextVar[str | None] = ContextVar("backup_center_address", default=None)


@contextmanager
def acting_for(request: HttpRequest) -> Iterator[None]:
    """Entries of the log that are written meanwhile name this request's address."""
    with acting_from(client_address(request)):
        yield


@contextmanager
def acting_from(place: str) -> Iterator[None]:
    """The same for what was asked for there and is done here."""
    token = _address.set(place)
    try:
        yield
    finally:
        _address.reset(token)


def current() -> str:
    address = _address.get()
    return (_this_process() if address is None else address)[:LONGEST]


def client_address(request: HttpRequest) -> str:
    """What the server saw. What a header claims anybody can write: only the host knows which proxy to believe."""
    if path := get_access_settings().client_address:
        return str(host_function("BACKUP_CLIENT_ADDRESS", path)(request) or "")
    return str(request.META.get("REMOTE_ADDR") or "")


def _this_process() -> str:
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        account = "?"
    return f"{account}@{socket.gethostname()}"
