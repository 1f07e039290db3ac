"""What the service answers: JSON, and one shape for every failure, `{"error": {"code", "message"}}`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

JSON = "application/json"
RETRY_AFTER_SECONDS = 1

CODE_OF_STATUS: Mapping[int, str] = {
    400: "bad_request",
    403: "host_not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    417: "expectation_failed",
    429: "too_many_events",
    500: "internal_error",
    503: "unavailable",
}
"""The code of a failure that has no more special one."""


class Problem(Exception):
    """A request that cannot be answered: status, code and a sentence that says what to do."""

    def __init__(
        self, status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or CODE_OF_STATUS[status]
        self.message = message
        self.headers = dict(headers or {})


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A value as JSON; `no-store`, since every answer is as of its moment."""
    sent = {"cache-control": "no-store", **(headers or {})}
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type=JSON, headers=sent)


def problem_answer(problem: Problem) -> web.Response:
    """The failure as JSON."""
    error = {"code": problem.code, "message": problem.message}
    return json_answer({"error": error}, problem.status, problem.headers)


def busy(status: int, message: str) -> Problem:
    """Back pressure: the sender is to come again a little later."""
    return Problem(status, message, headers={"retry-after": str(RETRY_AFTER_SECONDS)})
