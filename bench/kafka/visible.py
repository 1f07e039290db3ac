"""How far a job is: what a `read_committed` reader can see at what moment, without reading it.

The broker is asked for the last stable offsets of the output twenty times a second, which costs next to nothing
beside the job; afterwards the output is read once, and tells how many records lie before each of these offsets (the
markers that end transactions take offsets too).
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from bench.kafka.ends import ends
from bench.kafka.machine import Meter, Usage
from bench.kafka.run import Run

SAMPLE_S = 0.05
FIRST_OUTPUT_S = 90.0
SILENCE_S = 8.0
"""So long without anything new means that all is done; the longest commit interval of a job is 5 s."""
BACKLOG_USED = 0.9


class Plan(NamedTuple):
    """How long to look at a job: `seconds` from its first output.

    The first `warm_up_s` of these do not count, nor do the first `preface` of the `events`.
    """

    events: int
    preface: int
    seconds: float
    warm_up_s: float


class Sample(NamedTuple):
    """A moment: who has used how much until then, and the next offset that is visible in each partition."""

    usage: Usage
    ends: list[int]


def watch(run: Run, topic: str, meter: Meter, plan: Plan) -> list[Sample]:
    """A sample whenever something new is visible, until the time is up or nothing comes any more.

    Raises `TimeoutError` when nothing becomes visible at all, and `WorkerDied`.
    """
    admin = AdminClient({"bootstrap.servers": run.brokers})
    began = time.monotonic()
    samples: list[Sample] = []
    while True:
        now, usage = ends(admin, [topic], run.partitions), meter.now()
        if sum(now):
            if not samples or now != samples[-1].ends:
                samples.append(Sample(usage, now))
            if usage.at_s > min(samples[0].usage.at_s + plan.seconds, samples[-1].usage.at_s + SILENCE_S):
                return samples
        elif usage.at_s - began > FIRST_OUTPUT_S:
            raise TimeoutError(f"no output was visible {FIRST_OUTPUT_S:.0f} s after the start")
        time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - usage.at_s)))


class Pace(NamedTuple):
    """A window of a run: how many events became visible between two moments."""

    events: int
    first: Usage
    last: Usage

    @property
    def events_a_second(self) -> float:
        """By the clock on the wall."""
        return self.events / (self.last.at_s - self.first.at_s)

    @property
    def worker_us(self) -> float:
        """Processor microseconds of the job for an event."""
        return (self.last.worker_s - self.first.worker_s) / self.events * 1e6

    @property
    def broker_us(self) -> float:
        """The same of the broker."""
        return (self.last.broker_s - self.first.broker_s) / self.events * 1e6


class Marks(NamedTuple):
    """Of one partition: the offsets of its records, and how many inputs were done with each and all before it."""

    offsets: list[int]
    done: list[int]

    def at(self, end: int) -> int:
        """How many inputs were done when records up to `end` were visible."""
        records = bisect_left(self.offsets, end)
        return self.done[records - 1] if records else 0


def pace(samples: Sequence[Sample], marks: Sequence[Marks], plan: Plan) -> Pace:
    """The window after the warm-up, from one commit that became visible to another.

    The window ends when a tenth of the backlog is left:
    the last transaction of a job waits for its interval with nothing to do, and partitions do not end together.
    """
    steps = [(sum(each.at(end) for each, end in zip(marks, sample.ends, strict=True)), sample) for sample in samples]
    warm_at_s = samples[0].usage.at_s + plan.warm_up_s
    last_done = plan.preface + (plan.events - plan.preface) * BACKLOG_USED
    warm = [step for step in steps if step[1].usage.at_s >= warm_at_s and plan.preface <= step[0] <= last_done]
    if len(warm) < 2 or warm[0][0] == warm[-1][0]:
        raise ValueError("too few commits after the warm-up: give a larger --events, or a shorter --warm-up")
    (count, first), (last_count, last) = warm[0], warm[-1]
    return Pace(last_count - count, first.usage, last.usage)
