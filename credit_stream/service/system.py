"""The embedded system as the service sees it: the host, what is counted of it, and how it gets on.

One thread, the follower, waits for checkpoints. It keeps the figures, watches that there is progress, and wakes those
who wait for a decision.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Literal, NamedTuple, get_args

from credit_stream.core.events import Event
from credit_stream.core.outputs import CreditDecision, DeadLetter, OutputRecord, Verdict
from credit_stream.core.reasons import REFUSING
from credit_stream.core.topics import DEAD_LETTERS, DECISIONS, HOLDS, INPUT_TOPICS
from credit_stream.engine.ports import Clock
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.embedded_log import Fsync, Receipt
from credit_stream.hosts.failures import HostFailure
from credit_stream.hosts.program import CREDIT, encode_record
from credit_stream.service.metrics import Metrics

FOLLOW_SECONDS_MAX = 1.0
"""The follower looks at least this often."""
FOLLOW_PAUSE_SECONDS = 0.02
"""The follower looks at most this often: under load there is a checkpoint every few milliseconds."""
STUCK_SECONDS = 30.0
"""Something waits and nothing has been decided for so long: the system has failed."""
RATE_SECONDS = 5.0
"""The events a second are those of so long."""
COUNT_PAUSE_SECONDS, COUNT_SHARE = 0.2, 0.02
"""The hold list is counted at most so often, and for at most this share of the time: 100,000 holds take a second."""
BATCHES_WATCHED_MAX = 1_000
"""Of how many appended batches it is measured when they were decided."""

Status = Literal["ok", "behind", "failed"]


class Health(NamedTuple):
    """How the system is."""

    status: Status
    lag: int
    seconds_without_progress: float
    events: int
    events_per_second: int
    decisions: int
    dead_letters: int
    orders_on_hold: int


class System:
    """The embedded host with its figures. `close` ends it after the checkpoint that it is at."""

    def __init__(
        self,
        directory: Path,
        partitions: int | None = None,
        *,
        fsync: Fsync = "always",
        clock: Clock | None = None,
        ticking: bool = True,
    ) -> None:
        """Opens the directory. Raises what `EmbeddedHost` raises."""
        self.metrics = Metrics()
        # A look-up by label takes longer than everything else that is done here for a decision.
        self._decided = {verdict: self.metrics.decisions.labels(verdict) for verdict in get_args(Verdict)}
        self._buried = {reason: self.metrics.dead_letters.labels(reason) for reason in REFUSING}
        self.on_failure: Callable[[BaseException], None] | None = None
        """Called, from any thread, when the engine has stopped for good."""
        self.on_record: Callable[[OutputRecord | Event], object] | None = None
        """Called, from the engine's thread, with every record that is about to be published; tombstones are none."""
        self.on_checkpoint: Callable[[], None] | None = None
        """Called, from the follower's thread, soon after something was decided."""
        self.host = EmbeddedHost(
            directory,
            partitions,
            fsync=fsync,
            clock=clock,
            ticking=ticking,
            program=CREDIT._replace(encode=self._encode),
            on_failure=self._failed,
        )
        self._hold_list = _HoldList(self.host)
        self._progress = _Progress(self.host, self.metrics)
        self._closing = False
        self._follower = Thread(target=self._follow, name="credit-stream-follower", daemon=True)

    def start(self) -> None:
        """Starts the engine and the follower."""
        self.host.start()
        self._follower.start()

    def close(self) -> None:
        """Finishes the batch that is at work, makes its checkpoint and lets go of the directory."""
        self._closing = True
        self.host.stop()
        if self._follower.is_alive():
            self._follower.join()
        self.host.close()

    def append(self, payloads: list[bytes]) -> list[Receipt]:
        """Takes inputs in; they are durable when this returns. Raises what `EmbeddedHost.append` raises."""
        begun = time.monotonic()
        receipts = self.host.append(payloads)
        self.metrics.append_seconds.observe(time.monotonic() - begun)
        for topic, lines in Counter(receipt.topic for receipt in receipts).items():
            self.metrics.events.labels(topic).inc(lines)
        self._progress.appended()
        return receipts

    def health(self) -> Health:
        """How the system is, from what was decided; it does not wait for the engine."""
        counts = self.host.counts()
        lag = self.host.lag()
        idle_seconds = self._progress.idle_seconds(lag)
        return Health(
            status=self._status(lag, idle_seconds),
            lag=lag,
            seconds_without_progress=round(idle_seconds, 1),
            events=sum(counts.get(topic, 0) for topic in INPUT_TOPICS),
            events_per_second=self._progress.events_per_second(),
            decisions=counts.get(DECISIONS, 0),
            dead_letters=counts.get(DEAD_LETTERS, 0),
            orders_on_hold=self._hold_list.length,
        )

    def metrics_text(self) -> bytes:
        """The metrics, with the gauges as of now."""
        self.metrics.lag.set(self.host.lag())
        self.metrics.held.set(self._hold_list.length)
        return self.metrics.text()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _status(self, lag: int, idle_seconds: float) -> Status:
        if self.host.failure is not None or idle_seconds > STUCK_SECONDS:
            return "failed"
        return "behind" if lag else "ok"

    def _failed(self, error: BaseException) -> None:
        if self.on_failure is not None:
            self.on_failure(error)

    def _encode(self, record: OutputRecord | Event) -> bytes:
        """Counts what the engine is about to publish; the cheapest place, since here it is at hand as a record."""
        if isinstance(record, CreditDecision):
            self._decided[record.verdict].inc()
        elif isinstance(record, DeadLetter):
            self._buried[record.reason].inc()
        if self.on_record is not None:
            self.on_record(record)
        return encode_record(record)

    def _follow(self) -> None:
        try:
            seen = 0
            while not self._closing and self.host.failure is None:
                seen = self._look(seen)
        except HostFailure as error:
            if not self._closing:
                self._failed(error)

    def _look(self, seen: int) -> int:
        now_seen = self.host.wait_for_change(seen, FOLLOW_SECONDS_MAX)
        self._progress.look()
        self._hold_list.look()
        if now_seen != seen:
            if (wake := self.on_checkpoint) is not None:
                wake()
            time.sleep(FOLLOW_PAUSE_SECONDS)
        return now_seen


class _HoldList:
    """How many orders are on hold: counted when the list has changed, and never for more than a small share of time."""

    def __init__(self, host: EmbeddedHost) -> None:
        self.length = 0
        self._host = host
        self._changes = -1
        self._next_at = 0.0

    def look(self) -> None:
        """Counts again if there is something new and the last count is long enough ago."""
        changes, now = self._host.counts().get(HOLDS, 0), time.monotonic()
        if changes == self._changes or now < self._next_at:
            return
        self.length = self._count()
        self._changes = changes
        took = time.monotonic() - now
        self._next_at = now + max(COUNT_PAUSE_SECONDS, took / COUNT_SHARE)

    def _count(self) -> int:
        length = 0
        page = self._host.scan_latest(HOLDS)
        while page:
            length += len(page)
            page = self._host.scan_latest(HOLDS, page[-1].key)
        return length


class _Progress:
    """Whether inputs are taken, how many a second, and how long they waited."""

    def __init__(self, host: EmbeddedHost, metrics: Metrics) -> None:
        self._host = host
        self._metrics = metrics
        self._lock = Lock()
        self._taken = self._count_taken()
        self._moved_at = time.monotonic()
        self._history: deque[tuple[float, int]] = deque([(self._moved_at, self._taken)])
        self._waiting: deque[tuple[float, int]] = deque(maxlen=BATCHES_WATCHED_MAX)

    def appended(self) -> None:
        """Notes that a batch has just become durable."""
        with self._lock:
            self._waiting.append((time.monotonic(), self._taken_when_idle()))

    def look(self) -> None:
        """Looks how far the tasks are. With nothing to do there is no progress to wait for."""
        is_idle = self._host.lag() == 0
        taken, now = self._count_taken(), time.monotonic()
        with self._lock:
            if taken != self._taken or is_idle:
                self._taken = taken
                self._moved_at = now
            while self._waiting and self._waiting[0][1] <= taken:
                self._metrics.decided_seconds.observe(now - self._waiting.popleft()[0])
            self._history.append((now, taken))
            while len(self._history) > 2 and now - self._history[0][0] > RATE_SECONDS:
                self._history.popleft()

    def idle_seconds(self, lag: int) -> float:
        """How long nothing has been taken although something waits."""
        with self._lock:
            return time.monotonic() - self._moved_at if lag else 0.0

    def events_per_second(self) -> int:
        """What was taken a second, of late."""
        with self._lock:
            (then, before), (now, taken) = self._history[0], self._history[-1]
        return round((taken - before) / (now - then)) if now > then else 0

    def _count_taken(self) -> int:
        return sum(sum(offsets.values()) for offsets in self._host.positions())

    def _taken_when_idle(self) -> int:
        return self._count_taken() + self._host.lag()
