"""What a worker tells those who watch it, over HTTP: `/metrics`, `/health`, `/ready`. It has no other pages."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST

from credit_stream.hosts.failures import HostFailure
from credit_stream.hosts.kafka.partitions import Partitions

TEXT = "text/plain; charset=utf-8"
SERVER_NAME = "credit-stream"


class CannotListen(HostFailure):
    """The address is not to be had."""


class Probes:
    """Answers until it is closed."""

    def __init__(self, partitions: Partitions, host: str, port: int) -> None:
        """Port 0 takes a free one; `url` says which. Raises `CannotListen`."""

        class Handler(_Handler):
            watched = partitions

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise CannotListen(
                f"{host}:{port} cannot be listened on ({error.strerror}); give another --probe-port, or 0."
            ) from error
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, name="credit-stream-probes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    watched: Partitions
    server_version = SERVER_NAME
    sys_version = ""

    def do_GET(self) -> None:
        """The three pages."""
        health = self.watched.health()
        if self.path == "/metrics":
            self._answer(HTTPStatus.OK, self.watched.metrics.text(), CONTENT_TYPE_LATEST)
        elif self.path == "/health":
            self._answer(_status(health.is_healthy), health.says.encode() + b"\n", TEXT)
        elif self.path == "/ready":
            self._answer(_status(health.is_ready), health.says.encode() + b"\n", TEXT)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"There are /metrics, /health and /ready.\n", TEXT)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds; nobody wants to read that."""


def _status(is_well: bool) -> HTTPStatus:
    return HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
