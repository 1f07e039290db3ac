"""The routes of the service. Each is described in `docs/http.md`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from credit_stream import __version__
from credit_stream.core.outputs import OutputRecord
from credit_stream.core.topics import DEAD_LETTERS, DECISIONS, EXPOSURES, HOLDS, SETTINGS
from credit_stream.hosts.embedded_log import StoredRecord
from credit_stream.service.answers import Problem, json_answer, problem_answer
from credit_stream.service.intake import BODY_BYTES_MAX, Intake, lines_of, posted_json
from credit_stream.service.logs import Log
from credit_stream.service.loops import call_soon
from credit_stream.service.page import page_policy, start_page
from credit_stream.service.system import System
from credit_stream.wire.avro import decode
from credit_stream.wire.json_lines import output_to_json

WAIT_SECONDS_MAX = 30
PAGE_DEFAULT, PAGE_MAX = 100, 1_000
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """A method, a path and the name of the method of `Service` that answers."""

    method: str
    path: str
    answer: str


ROUTES = (
    Route("GET", "/", "start"),
    Route("POST", "/events", "post_events"),
    Route("GET", "/decisions/{order_id}", "decision"),
    Route("GET", "/customers/{customer_id}/exposure", "exposure"),
    Route("GET", "/groups/{group_id}/exposure", "group_exposure"),
    Route("GET", "/holds", "holds"),
    Route("GET", "/dead-letters", "dead_letters"),
    Route("GET", "/health", "health"),
    Route("GET", "/metrics", "metrics"),
)


class Service:
    """Answers requests out of the embedded system."""

    def __init__(self, system: System, log: Log, *, loopback_only: bool) -> None:
        self.system = system
        self.intake = Intake(system)
        self._log = log
        self._loopback_only = loopback_only
        self._checkpoints = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        """The aiohttp application with all routes."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._middleware])
        for route in ROUTES:
            handler: Handler = getattr(self, route.answer)
            app.router.add_route(route.method, route.path, handler)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._stop)
        return app

    # --- what is asked -----------------------------------------------------------------------------------------------

    async def start(self, request: web.Request) -> web.Response:
        """`GET /`"""
        has_settings = self.system.host.counts().get(SETTINGS, 0) > 0
        text = start_page(f"{request.scheme}://{request.host}", has_settings=has_settings)
        headers = {"content-security-policy": page_policy(), "cache-control": "no-store"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def post_events(self, request: web.Request) -> web.Response:
        """`POST /events`"""
        return json_answer(posted_json(await self.intake.take(await lines_of(request))))

    async def decision(self, request: web.Request) -> web.Response:
        """`GET /decisions/{order_id}`"""
        order_id = request.match_info["order_id"]
        wait = _number(request, "wait", 0, WAIT_SECONDS_MAX)
        known = request.query.get("after")
        try:
            async with asyncio.timeout(wait if wait else None):
                found = await self._decision(order_id, known, waits=wait > 0)
        except TimeoutError:
            found = None
        if found is None:
            other = f" other than {known!r}" if known else ""
            raise Problem(404, f"There is no decision on order {order_id!r}{other}; ask with ?wait=10 to wait for one.")
        return json_answer(_value(found))

    async def exposure(self, request: web.Request) -> web.Response:
        """`GET /customers/{customer_id}/exposure`"""
        customer_id = request.match_info["customer_id"]
        return self._exposure_of(customer_id, f"Nothing of a customer {customer_id!r} has ever counted")

    async def group_exposure(self, request: web.Request) -> web.Response:
        """`GET /groups/{group_id}/exposure`"""
        group_id = request.match_info["group_id"]
        return self._exposure_of(group_id, f"There is no credit group {group_id!r}, or it is closed")

    def _exposure_of(self, party: str, missing: str) -> web.Response:
        """The newest exposure of a customer or a group. `missing` says what it means that there is none."""
        found = self.system.host.latest(EXPOSURES, party)
        if found is None:
            raise Problem(404, f"{missing}; send it with POST /events.")
        return json_answer(_value(found))

    async def holds(self, request: web.Request) -> web.Response:
        """`GET /holds`"""
        limit = _number(request, "limit", PAGE_DEFAULT, PAGE_MAX, least=1)
        page = self.system.host.scan_latest(HOLDS, request.query.get("after"), limit)
        following = page[-1].key if len(page) == limit else None
        return json_answer({"holds": [_value(record) for record in page], "next": following})

    async def dead_letters(self, request: web.Request) -> web.Response:
        """`GET /dead-letters`"""
        limit = _number(request, "limit", PAGE_DEFAULT, PAGE_MAX, least=1)
        partition, offset = _cursor(request.query.get("after"))
        found: list[StoredRecord] = []
        while partition < self.system.host.partitions and len(found) < limit:
            found += self.system.host.read(DEAD_LETTERS, partition, offset, limit - len(found))
            partition, offset = partition + 1, 0
        following = f"{found[-1].partition}/{found[-1].offset}" if len(found) == limit else None
        return json_answer({"dead_letters": [_value(record) for record in found], "next": following})

    async def health(self, _: web.Request) -> web.Response:
        """`GET /health`"""
        health = self.system.health()
        answer = {**health._asdict(), "partitions": self.system.host.partitions, "version": __version__}
        return json_answer(answer, 503 if health.status == "failed" else 200)

    async def metrics(self, _: web.Request) -> web.Response:
        """`GET /metrics`"""
        return web.Response(body=self.system.metrics_text(), headers={"content-type": METRICS_TYPE})

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _decision(self, order_id: str, known: str | None, *, waits: bool) -> StoredRecord | None:
        """The latest decision other than the known one; waits for it if there is none."""
        async with self._checkpoints:
            while True:
                found = self.system.host.latest(DECISIONS, order_id)
                if found is not None and (known is None or _value(found)["decision_id"] != known):
                    return found
                if not waits:
                    return None
                await self._checkpoints.wait()

    async def _start(self, _: web.Application) -> None:
        self.intake.start()
        loop = asyncio.get_running_loop()

        self.system.on_checkpoint = lambda: call_soon(loop, self._wake)

    async def _stop(self, _: web.Application) -> None:
        self.system.on_checkpoint = None
        await self.intake.close()

    def _wake(self) -> None:
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._checkpoints:
            self._checkpoints.notify_all()

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """One shape for every failure, and the count of requests."""
        try:
            self._check_host(request)
            answer = await handler(request)
        except Problem as problem:
            answer = problem_answer(problem)
        except web.HTTPException as error:
            answer = problem_answer(_problem_of(request, error))
        except Exception as error:
            self._log.crash("request_failed", error)
            answer = problem_answer(Problem(500, "This is a fault of the service; its log says where."))
        route = request.match_info.route.resource
        path = route.canonical if route is not None else "unknown"
        self.system.metrics.requests.labels(f"{request.method} {path}", str(answer.status)).inc()
        return answer

    def _check_host(self, request: web.Request) -> None:
        """A page of another site whose name leads here (DNS rebinding) sends that name."""
        name = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
        if self._loopback_only and (name or request.host).lower() not in LOOPBACK_NAMES:
            raise Problem(403, "This service answers to localhost and 127.0.0.1 only; ask it under one of these names.")


def _problem_of(request: web.Request, error: web.HTTPException) -> Problem:
    if error.status == 404:
        paths = ", ".join(route.path for route in ROUTES)
        return Problem(404, f"There is nothing at {request.path}; there is {paths}.")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.path} does not take {request.method}; it takes {allowed}."
        return Problem(405, message, headers={"allow": allowed})
    return Problem(error.status, error.reason, "bad_request" if error.status < 500 else "internal_error")


def _value(record: StoredRecord) -> dict[str, object]:
    """The record as JSON, without the envelope."""
    assert record.value is not None  # a reader of the newest records sees no tombstones
    output = decode(record.value)
    assert isinstance(output, OutputRecord)
    value = output_to_json(record.topic, record.key or "", output)["value"]
    assert isinstance(value, dict)
    return value


def _number(request: web.Request, name: str, default: int, most: int, least: int = 0) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most or len(text) > 9:
        raise Problem(400, f"{name} is {text!r}; give a whole number from {least} to {most:,}.")
    return int(text)


def _cursor(after: str | None) -> tuple[int, int]:
    """The place behind the dead letter that the page before ended with."""
    if after is None:
        return 0, 0
    partition, _, offset = after.partition("/")
    if not (partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit() and len(after) < 30):
        raise Problem(400, f"after is {after!r}; give what `next` said on the page before.")
    return int(partition), int(offset) + 1
