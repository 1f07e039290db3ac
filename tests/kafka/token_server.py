"""An authorization server for tests: RFC 6749 client credentials over HTTP, with the unsigned tokens of `LocalKafka`.

It is as strict as real ones: anything but the client's own id and secret, and the scope that it wants, is refused.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs


class TokenServer:
    """What it gives out and what it was asked. The token's subject is the client id."""

    def __init__(self, clients: dict[str, str], scope: str = "credit", lifetime_seconds: int = 300) -> None:
        self.clients = clients
        self.scope = scope
        self.lifetime_seconds = lifetime_seconds
        self.failures = 0
        """So many of the next questions are answered with 503."""
        self.given: list[str] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[TokenServer]:
        """Listens on a free port of the loopback address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{server.server_port}/token"
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, login: str, body: str) -> tuple[int, dict[str, object]]:
        """Status and answer to a question."""
        if self.failures > 0:
            self.failures -= 1
            return 503, {}
        name, _, secret = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")
        form = {key: values[0] for key, values in parse_qs(body).items()}
        if self.clients.get(name) != secret:
            return 401, {"error": "invalid_client", "error_description": f"no such client as {name}"}
        if form != {"grant_type": "client_credentials", "scope": self.scope}:
            return 400, {"error": "invalid_scope"}
        self.given.append(_unsigned(name, self.scope, self.lifetime_seconds))
        return 200, {"access_token": self.given[-1], "token_type": "Bearer", "expires_in": self.lifetime_seconds}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                status, found = owner.answer(self.headers.get("authorization", ""), body)
                answer = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler


def _unsigned(subject: str, scope: str, lifetime_seconds: int) -> str:
    now = time.time()
    claims = {"sub": subject, "scope": scope, "iat": now, "exp": now + lifetime_seconds, "jti": str(time.time_ns())}
    head = {"alg": "none", "typ": "JWT"}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims)]
    return ".".join([*parts, ""])
