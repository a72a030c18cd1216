"""Storages and servers that fail when they are told to. A fault that was never reached fails the test."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, Storage

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}
ERROR_BODY = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We failed.</Message></Error>'


@dataclass
class Fault:
    """``when`` says of a call or request whether it is meant; from the ``nth`` such on, ``times`` of them fail."""

    when: Callable[[str], bool]
    act: Any
    nth: int = 1
    times: int = 1
    seen: int = 0

    @property
    def reached(self) -> bool:
        return self.seen >= self.nth

    def strikes(self, what: str) -> bool:
        if not self.when(what):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


class FaultyStorage(Storage):
    """A storage of no kind that we know, in memory; ``fault`` is shared, since Django makes the object."""

    fault: ClassVar[Fault | None] = None
    inner: ClassVar[InMemoryStorage] = InMemoryStorage()

    def _call(self, name: str, *arguments: Any) -> Any:
        if self.fault and self.fault.strikes(name):
            return self.fault.act(self, *arguments)
        return getattr(self.inner, name)(*arguments)

    def save(self, name, content, max_length=None):
        return self._call("save", name, content)

    def _open(self, name, mode="rb"):
        return self._call("open", name, mode)

    def delete(self, name):
        return self._call("delete", name)

    def exists(self, name):
        return self._call("exists", name)

    def size(self, name):
        return self._call("size", name)

    def listdir(self, path):
        return self._call("listdir", path)


def fails(storage: FaultyStorage, *_arguments: Any) -> Any:
    raise ConnectionResetError("reset by peer")


def is_slow(storage: FaultyStorage, *arguments: Any) -> Any:
    time.sleep(0.3)
    return storage.inner.save(*arguments)


def leaves_a_part(storage: FaultyStorage, name: str, content: Any) -> Any:
    storage.inner.save(name, ContentFile(content.read()[:1000]))
    raise ConnectionResetError("in the middle of an upload")


def keeps_a_part(storage: FaultyStorage, name: str, content: Any) -> Any:
    """… and says that all is well."""
    return storage.inner.save(name, ContentFile(content.read()[:1000]))


def renames(storage: FaultyStorage, name: str, content: Any) -> Any:
    return storage.inner.save("other-" + name, content)


def reads_short(storage: FaultyStorage, name: str, mode: str) -> Any:
    with storage.inner.open(name) as stream:
        return ContentFile(stream.read()[:-10])


def lists_nothing(storage: FaultyStorage, path: str) -> Any:
    return [], []


@pytest.fixture
def faulty_storage(settings) -> Iterator[Callable[..., None]]:
    """The vault "offsite" over a storage that will fail: ``(method, act, nth=1, times=1)``."""
    settings.STORAGES = {**settings.STORAGES, "offsite": {"BACKEND": "tests.faulty.FaultyStorage"}}
    settings.BACKUP_VAULTS = ["local", "offsite"]
    FaultyStorage.inner, FaultyStorage.fault = InMemoryStorage(), None

    def arm(method: str, act: Any, **options: int) -> None:
        FaultyStorage.fault = Fault(lambda name: name == method, act, **options)

    yield arm
    fault, FaultyStorage.fault = FaultyStorage.fault, None
    assert fault is None or fault.reached, "the fault was never reached"


class FaultyServer(ThreadingHTTPServer):
    """Passes requests on to S3, but for those that a fault answers: with a status and an error to read, or a reset."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.fault: Fault | None = None
        self.requests: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up after a reset is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: FaultyServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = f"{self.command} {self.path}"
        self.server.requests.append(what)
        fault = self.server.fault
        if fault and fault.strikes(what):
            if fault.act == "reset":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            else:
                self._send(fault.act, ERROR_BODY, {"Content-Type": "application/xml"})
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        self._send(answer.status, answer.read(), dict(answer.getheaders()))
        behind.close()

    def handle_expect_100(self) -> bool:
        """Without a word from us, botocore waits a second before it sends a body."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {*HOP_BY_HOP, "date", "server"}:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

    def log_message(self, *_arguments: Any) -> None:
        """Tests look at ``requests``."""


@pytest.fixture
def faulty_s3(s3, offsite) -> Iterator[FaultyServer]:
    """The vault "offsite" on S3, behind a server that will fail."""
    server = FaultyServer(urlsplit(s3.storage["OPTIONS"]["endpoint_url"]).port or 0)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    s3.storage["OPTIONS"]["endpoint_url"] = f"http://127.0.0.1:{server.server_address[1]}"
    offsite(s3)
    yield server
    server.shutdown()
    server.server_close()
    assert server.fault is None or server.fault.reached, "the fault was never reached"
