"""Servers that take what is sent to them and keep it: mail by SMTP, and anything by HTTP."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                content = b"".join(line.removeprefix(b".") for line in lines)
                self.server.taken.append(message_from_bytes(content, policy=policy.default))
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


class _Web(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        if self.server.status == 200:
            self.server.taken.append(json.loads(content))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""


class MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    taken: list[EmailMessage]


class WebServer(ThreadingHTTPServer):
    """``status``: what it answers; only with 200 it keeps what it was sent. ``asked``: how often."""

    taken: list[dict[str, Any]]
    status = 200
    asked = 0


@contextmanager
def running(server: Any) -> Iterator[Any]:
    server.taken = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def mail_server() -> Any:
    return running(MailServer(("127.0.0.1", 0), _Mail))


def web_server() -> Any:
    return running(WebServer(("127.0.0.1", 0), _Web))
