"""Who had the processors: the job, the broker, the benchmark itself, and others that only disturb."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.kafka.worker import TICKS_A_SECOND, Worker, cpu_seconds

BUSY_FIELDS = (0, 1, 2, 5, 6, 7)
"""Of the first line of /proc/stat: user, nice, system, interrupts, and what a hypervisor gave to others."""


class Usage(NamedTuple):
    """Processor seconds until a moment of the monotonic clock."""

    at_s: float
    machine_s: float
    worker_s: float
    broker_s: float
    own_s: float


class Meter:
    """Reads the processor times of workers and of all around them. `broker` is a process of this machine, or None."""

    def __init__(self, workers: Sequence[Worker], broker: int | None) -> None:
        self._workers = workers
        self._broker = broker

    def now(self) -> Usage:
        """Raises `WorkerDied` when a worker has ended."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        return Usage(
            time.monotonic(),
            sum(int(fields[at]) for at in BUSY_FIELDS) / TICKS_A_SECOND,
            sum(worker.cpu_seconds() for worker in self._workers),
            cpu_seconds(self._broker) if self._broker is not None else 0.0,
            sum(os.times()[:4]),
        )


def others(first: Usage, last: Usage) -> float:
    """Between two moments, the share of all processors that went to neither job, broker nor benchmark: 0 is quiet.

    Above a tenth or so absolute figures say little; ratios of processor times still do.
    """
    seconds = (last.at_s - first.at_s) * (os.cpu_count() or 1)
    known = sum(last[2:]) - sum(first[2:])
    return max(0.0, (last.machine_s - first.machine_s - known) / seconds) if seconds else 0.0
