"""What can stand between us and a schema registry: a door that can be shut, and servers that are no registry."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

DEADLINE_SECONDS = 30.0


class Door:
    """Forwards to a server while it is open, and cuts every connection off while it is shut.

    `requests` are the first lines of all requests that went through; `refused` counts the connections that did not.
    """

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        assert there.hostname is not None
        assert there.port is not None
        self._there = (there.hostname, there.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._is_open = True
        self._sockets: list[socket.socket] = []
        self.refused = 0
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{there.path}"
        threading.Thread(target=self._listen, daemon=True).start()

    def shut(self) -> None:
        """From now on nothing comes through, what is under way neither."""
        with self._changed:
            self._is_open = False
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """From now on it forwards again."""
        with self._changed:
            self._is_open = True

    def wait_for_refused(self, number: int) -> None:
        """Returns when so many connections were cut off."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.refused >= number, DEADLINE_SECONDS)

    def close(self) -> None:
        """The end of it."""
        self.shut()
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                self._connect(here)

    def _connect(self, here: socket.socket) -> None:
        with self._changed:
            if not self._is_open:
                self.refused += 1
                self._changed.notify_all()
                here.close()
                return
            there = socket.create_connection(self._there)
            self._sockets += [here, there]
        threading.Thread(target=self._forward, args=(here, there, True), daemon=True).start()
        threading.Thread(target=self._forward, args=(there, here, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, requests: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if requests and data.startswith((b"GET ", b"POST ", b"PUT ")):
                    self.requests.append(data.split(b"\r\n", 1)[0].decode())
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The URL of a server that answers everything with this status and body."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(DEADLINE_SECONDS)
        server.server_close()


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
