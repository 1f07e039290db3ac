"""A running service as a test sees it."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from credit_stream.service.system import System

DEADLINE_SECONDS = 20.0


class Answer(msgspec.Struct):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Running:
    """A service at work, and how a test talks to it."""

    def __init__(self, system: System, url: str, log: io.StringIO, stop: Callable[[], None]) -> None:
        self.system = system
        self.url = url
        self.log = log
        self.stop = stop

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            lowered = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, lowered, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """A GET."""
        return self.ask("GET", path)

    def post(self, *events: dict[str, object] | bytes) -> Answer:
        """Posts events as JSON Lines."""
        lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
        return self.ask("POST", "/events", b"\n".join(lines), {"content-type": "application/x-ndjson"})

    def settle(self) -> None:
        """Waits until everything is decided."""
        self.system.host.wait_idle(DEADLINE_SECONDS)


Start = Callable[[Path], Running]
