"""Talks to a running `credit-stream serve`: one connection, made again when it is lost, patient under back pressure."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Sequence
from time import monotonic, sleep
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from credit_stream.cli.faults import BadInput, RunFailed

DEFAULT_URL = "http://127.0.0.1:8321"
RETRY_SECONDS_MAX = 60.0
"""So long an answer is tried for before the run fails."""
PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX = 0.1, 5.0
TIMEOUT_SECONDS = 60.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
BUSY = frozenset({429, 503})


class RejectedLine(Struct, frozen=True):
    """A line that is no event; `line` counts from 1 in what was posted."""

    line: int
    reason: str
    message: str


class Receipt(Struct, frozen=True):
    """What `POST /events` answers."""

    accepted: int
    rejected_count: int = 0
    rejected: list[RejectedLine] = []


class _Error(Struct, frozen=True):
    code: str
    message: str


class _Failure(Struct, frozen=True):
    error: _Error


class HttpClient:
    """One connection to the system; used with `with`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"'{url}' is no address of a running system; give one such as {DEFAULT_URL}")
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._url = url.rstrip("/")
        self._path = parts.path.rstrip("/")
        self._connection = make(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post_lines(self, payloads: Sequence[bytes]) -> Receipt:
        """Sends lines until they are acknowledged. Lines carry their `event_id`, so sending them again is safe."""
        answer = self._request("POST", "/events", b"\n".join(payloads), patient=True)
        return msgspec.json.decode(answer, type=Receipt)

    def get(self, path: str) -> bytes:
        """The body at a path below the address."""
        return self._request("GET", path, None, patient=False)

    def _request(self, method: str, path: str, body: bytes | None, *, patient: bool) -> bytes:
        give_up_at = monotonic() + (RETRY_SECONDS_MAX if patient else 0.0)
        pause = PAUSE_SECONDS_FIRST
        while True:
            try:
                status, retry_after, answer = self._once(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if monotonic() + pause > give_up_at:
                    raise self._unreachable(error) from None
            else:
                if status < 400:
                    return answer
                if status not in BUSY or monotonic() + pause > give_up_at:
                    raise RunFailed(f"{self._url}{path} answered {status}: {_message(answer)}")
                pause = max(pause, retry_after)
            sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, float, bytes]:
        """Status, seconds of Retry-After, body."""
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/x-ndjson"
        self._connection.request(method, self._path + path, body, headers)
        response = self._connection.getresponse()
        answer = response.read(ANSWER_BYTES_MAX)
        after = response.headers.get("retry-after", "0")
        return response.status, min(int(after), PAUSE_SECONDS_MAX) if after.isdigit() else 0.0, answer

    def _unreachable(self, error: Exception) -> RunFailed:
        reason = "the name is not known" if isinstance(error, socket.gaierror) else str(error) or type(error).__name__
        return RunFailed(
            f"nothing answers at {self._url} ({reason}). "
            "Start the system with `credit-stream serve --data DIR`, or give its address with --url."
        )


def _message(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Failure).error.message
    except msgspec.DecodeError:
        return answer[:200].decode("utf-8", "replace")
