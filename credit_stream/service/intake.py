"""`POST /events`: lines become inputs of the log, and the sender learns which of them are no events.

Requests that come at the same time share one write to the disk. What waits to be written is bounded: beyond that the
sender is told to come again.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from aiohttp import web

from credit_stream.hosts.embedded_log import Receipt
from credit_stream.hosts.failures import HostFailure
from credit_stream.service.answers import Problem, busy
from credit_stream.service.system import System
from credit_stream.wire.faults import Fault
from credit_stream.wire.read import read_event

BODY_BYTES_MAX = 16 * 1024 * 1024
"""Of one request, unpacked."""
LINES_MAX = 20_000
"""Of one request."""
QUEUE_LINES_MAX = 40_000
QUEUE_BYTES_MAX = 64 * 1024 * 1024
"""What may wait to be written, all requests together."""
LAG_EVENTS_MAX = 200_000
"""So many events may lie in the log undecided; beyond that decisions would come minutes late."""
BATCH_LINES_MAX = 5_000
"""One write has at most so many lines, or one request of more."""
LISTED_MAX = 1_000
"""Receipts, and rejected lines, in one answer."""

ONE_OBJECT = "application/json"
JSON_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
GZIP = 16 + zlib.MAX_WBITS
ENCODINGS = frozenset({"", "identity", "gzip"})


class Line(NamedTuple):
    """One event as it was posted; `number` counts from 1 in the body."""

    number: int
    payload: bytes


class Posted(NamedTuple):
    """What became of the lines of one request."""

    receipts: list[Receipt]
    faults: list[tuple[int, Fault]]


class _Waiting(NamedTuple):
    lines: list[Line]
    size_bytes: int
    done: asyncio.Future[Posted]


class Intake:
    """Takes the lines of all requests to the log, in the order in which they came."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._queued_lines = 0
        self._queued_bytes = 0
        self._closed = False
        # One thread: appends keep the order in which requests came.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="credit-stream-intake")
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the writer."""
        self._writer = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Takes no more, and ends when all that was taken is written."""
        self._closed = True
        await self._queue.join()
        if self._writer is not None:
            self._writer.cancel()
        self._executor.shutdown()

    async def take(self, lines: list[Line]) -> Posted:
        """Returns when the lines are durable. Raises `Problem` when they are not, and will not be."""
        size = sum(len(line.payload) for line in lines)
        self._refuse_if_busy(len(lines), size)
        waiting = _Waiting(lines, size, asyncio.get_running_loop().create_future())
        self._count(len(lines), size)
        self._queue.put_nowait(waiting)
        return await waiting.done

    def _refuse_if_busy(self, lines: int, size_bytes: int) -> None:
        if self._closed:
            raise busy(503, "The system is stopping; send the events again when it runs.")
        queued = self._queued_lines
        is_full = queued + lines > QUEUE_LINES_MAX or self._queued_bytes + size_bytes > QUEUE_BYTES_MAX
        if queued and is_full:
            raise busy(429, f"{queued:,} lines wait to be written; send these again a little later.")
        lag = self._system.host.lag()
        if lag > LAG_EVENTS_MAX:
            raise busy(503, f"{lag:,} events wait to be decided; send these again a little later.")

    def _count(self, lines: int, size_bytes: int) -> None:
        self._queued_lines += lines
        self._queued_bytes += size_bytes
        self._system.metrics.queued.set(self._queued_lines)

    # --- writing -----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while sum(len(each.lines) for each in batch) < BATCH_LINES_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                posted = await loop.run_in_executor(self._executor, self._append, [each.lines for each in batch])
            except HostFailure as error:
                self._settle(batch, error)
            else:
                self._settle(batch, posted)

    def _append(self, requests: list[list[Line]]) -> list[Posted]:
        """Runs in the intake's thread: everything here is too slow for the event loop."""
        faults = [[(line.number, fault) for line in lines if (fault := _fault(line.payload))] for lines in requests]
        receipts = self._system.append([line.payload for lines in requests for line in lines])
        posted, begin = [], 0
        for lines, found in zip(requests, faults, strict=True):
            posted.append(Posted(receipts[begin : begin + len(lines)], found))
            begin += len(lines)
        return posted

    def _settle(self, batch: list[_Waiting], outcome: list[Posted] | HostFailure) -> None:
        for index, waiting in enumerate(batch):
            self._count(-len(waiting.lines), -waiting.size_bytes)
            self._queue.task_done()
            if waiting.done.done():  # the sender has gone
                continue
            if isinstance(outcome, HostFailure):
                waiting.done.set_exception(busy(503, f"Nothing was taken: {outcome}"))
            else:
                waiting.done.set_result(outcome[index])


def _fault(payload: bytes) -> Fault | None:
    found = read_event(payload)
    return found if isinstance(found, Fault) else None


# --- bodies to lines --------------------------------------------------------------------------------------------


async def lines_of(request: web.Request) -> list[Line]:
    """The events in the body of a request. Raises `Problem`."""
    kind = request.content_type
    if kind != ONE_OBJECT and kind not in JSON_LINES:
        raise Problem(415, f"The content type is {kind}; send application/x-ndjson (lines) or application/json (one).")
    body = await _body(request)
    if kind == ONE_OBJECT and _is_one_value(body):
        return [Line(1, body.strip())]
    lines = [Line(number, line.strip(b"\r")) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise Problem(400, "The body is empty; send one event as a JSON object on each line.")
    if len(lines) > LINES_MAX:
        raise Problem(413, f"The body has {len(lines):,} lines; send at most {LINES_MAX:,} in one request.")
    return lines


async def _body(request: web.Request) -> bytes:
    encoding = request.headers.get("content-encoding", "").lower()
    if encoding not in ENCODINGS:
        raise Problem(415, f"The content encoding is {encoding}; send the body as it is, or with gzip.")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large() from None
    except web.RequestPayloadError:
        raise Problem(400, "The body ends too early; send it again.") from None
    return _unpacked(body) if encoding == "gzip" else body


def _unpacked(body: bytes) -> bytes:
    """The content of a gzip body. aiohttp would do it too, but it passes over a body that breaks off in the middle."""
    unpacker = zlib.decompressobj(GZIP)
    try:
        content = unpacker.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error:
        raise Problem(400, "The body is no gzip; send it again.") from None
    if len(content) > BODY_BYTES_MAX:
        raise _too_large()
    if not unpacker.eof or unpacker.unused_data:
        raise Problem(400, "The body is no whole gzip file; send it again.")
    return content


def _too_large() -> Problem:
    return Problem(413, f"The body is larger than {BODY_BYTES_MAX:,} bytes; send several requests.")


def _is_one_value(body: bytes) -> bool:
    """Whether the body is one JSON value that may go over several lines; JSON Lines under the wrong name are none."""
    if b"\n" not in body.strip():
        return bool(body.strip())
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def posted_json(posted: Posted) -> dict[str, object]:
    """What the sender is told."""
    rejected = [
        {"line": number, "event_id": fault.event_id, "reason": fault.reason, "message": fault.message}
        for number, fault in posted.faults[:LISTED_MAX]
    ]
    return {
        "accepted": len(posted.receipts),
        "rejected_count": len(posted.faults),
        "rejected": rejected,
        "receipts": posted.receipts[:LISTED_MAX],
    }
