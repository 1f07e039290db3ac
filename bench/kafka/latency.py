"""From the instant at which an event was due to be sent until a `read_committed` reader has its output."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.kafka.backlog import fill
from bench.kafka.events import Load
from bench.kafka.jobs import Job
from bench.kafka.load import Lateness
from bench.kafka.machine import Meter, others
from bench.kafka.outputs import READER
from bench.kafka.run import Run, new_run
from bench.kafka.spread import Spread, percentile
from bench.kafka.traffic import CountingTraffic, DecidingTraffic, Traffic
from bench.kafka.worker import Worker

PRIMING = 20_000
"""Events before anything is measured: classes loaded, code compiled, caches filled, in every job."""
PRIMING_S = 180.0
START_AFTER_S = 3.0
"""The sender makes its events first."""
POLL_S = 0.1
LATE_S = 60.0
"""An output that has not come so long after the last event was due does not come."""


class Latency(NamedTuple):
    """What one run at one rate showed, in milliseconds; `worker_us` is processor time an event.

    `sender_late_ms` is the 99th percentile of how late events were sent, which is part of the latency.
    """

    job: str
    rate: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float
    events: int
    missing: int
    worker_us: float
    sender_late_ms: float
    others: float


class Setting(NamedTuple):
    """What is the same for all jobs of a comparison."""

    brokers: str
    broker: int | None
    partitions: int
    load: Load
    full_load: Load
    rates: tuple[int, ...]
    seconds: float
    warm_up_s: float


class Reader:
    """Reads an output as it comes, and notes when each event was answered."""

    def __init__(self, run: Run, traffic: Traffic, events: int) -> None:
        self.seen_at: list[float] = [0.0] * events
        self.seen = 0
        self._traffic = traffic
        self._consumer = Consumer({"bootstrap.servers": run.brokers, **READER, **_AT_ONCE})
        topic = run.prefix + traffic.output
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(run.partitions)])

    def read_until(self, events: int, deadline_s: float) -> None:
        """Until so many outputs have been seen, or the deadline passes."""
        poll, answered, seen_at, now = self._consumer.poll, self._traffic.answered, self.seen_at, time.monotonic
        while self.seen < events and now() < deadline_s:
            message = poll(POLL_S)
            if message is None:
                continue
            at = now()
            if (error := message.error()) is not None:
                raise KafkaException(error)
            number = answered(message.key() or b"", message.value() or b"")
            if not seen_at[number]:
                seen_at[number] = at
                self.seen += 1

    def close(self) -> None:
        """Ends the reading."""
        self._consumer.close()


_AT_ONCE = {"enable.partition.eof": False, "socket.nagle.disable": True, "fetch.queue.backoff.ms": 1}


def measure(job: Job, setting: Setting) -> list[Latency]:
    """One run of one job, at all rates, one after the other."""
    counts = [int(rate * (setting.warm_up_s + setting.seconds)) for rate in setting.rates]
    total = PRIMING + sum(counts)
    load = setting.load if job.core == "counting" else setting.full_load
    traffic = CountingTraffic(load, total) if job.core == "counting" else DecidingTraffic(load, job.core == "groups")
    with new_run(setting.brokers, setting.partitions) as run:
        job.prepare(run)
        fill(run, chain(traffic.setup(), traffic.events(0, PRIMING)))
        reader = Reader(run, traffic, total)
        try:
            with Worker(job.command(run), run.directory / "log", job.environment(run)) as worker:
                reader.read_until(PRIMING, time.monotonic() + PRIMING_S)
                if reader.seen < PRIMING:
                    raise TimeoutError(f"{PRIMING - reader.seen} outputs are missing; the worker said: {worker.said()}")
                meter = Meter([worker], setting.broker)
                first, found = PRIMING, []
                for rate, count in zip(setting.rates, counts, strict=True):
                    found.append(_at_rate(job, setting, run, reader, meter, rate, first, count))
                    first += count
        finally:
            reader.close()
    return found


def _at_rate(
    job: Job, setting: Setting, run: Run, reader: Reader, meter: Meter, rate: int, first: int, count: int
) -> Latency:
    start_s = time.monotonic() + START_AFTER_S
    load = setting.load if job.core == "counting" else setting.full_load
    told = [run.brokers, run.input, job.core, rate, count, start_s, first, load.customers, load.seed]
    command = [sys.executable, "-m", "bench.kafka.load", *map(str, told)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        before = meter.now()
        reader.read_until(first + count, start_s + count / rate + LATE_S)
        assert sender.stdout is not None
        lateness = msgspec.json.decode(sender.stdout.read(), type=Lateness)
    after = meter.now()
    seen_at = reader.seen_at[first : first + count]
    took = [
        (at - start_s - number / rate) * 1000
        for number, at in enumerate(seen_at)
        if at and number >= rate * setting.warm_up_s
    ]
    return Latency(
        job.name,
        rate,
        percentile(took, 50),
        percentile(took, 99),
        percentile(took, 99.9),
        max(took, default=float("nan")),
        len(took),
        seen_at.count(0.0),
        (after.worker_s - before.worker_s) / count * 1e6,
        lateness.p99_ms,
        others(before, after),
    )


HEAD = (
    f"{'job':18}{'ev/s':>6}{'p50 ms':>9}{'p99':>9}{'p99.9':>9}{'most':>9}{'p50 least-most':>18}{'p99 least-most':>20}"
    f"{'us/event':>10}{'sender p99':>12}{'others':>8}"
)


def line(run: Latency) -> str:
    """One run at one rate as a line."""
    return (
        f"{run.job:18}{run.rate:>6} ev/s: {run.p50_ms:>8.1f} {run.p99_ms:>8.1f} {run.p999_ms:>8.1f} ms, "
        f"sender late {run.sender_late_ms:.1f}, {run.worker_us:.0f} us/event, others {run.others:.0%}"
        f"{f', MISSING: {run.missing}' if run.missing else ''}"
    )


def summary(runs: Sequence[Latency]) -> str:
    """The runs of one job at one rate as a line: medians, and least and most of the runs."""
    half, nearly = Spread.of([run.p50_ms for run in runs]), Spread.of([run.p99_ms for run in runs])
    thousand, most = Spread.of([run.p999_ms for run in runs]), Spread.of([run.most_ms for run in runs])
    work, late = Spread.of([run.worker_us for run in runs]), Spread.of([run.sender_late_ms for run in runs])
    busy = Spread.of([run.others for run in runs])
    return (
        f"{runs[0].job:18}{runs[0].rate:>6}{half.median:>9.1f}{nearly.median:>9.1f}{thousand.median:>9.1f}"
        f"{most.median:>9.1f}{f'{half.least:.1f}-{half.most:.1f}':>18}{f'{nearly.least:.1f}-{nearly.most:.1f}':>20}"
        f"{work.median:>10.0f}{late.median:>12.1f}{busy.median:>8.0%}"
    )
