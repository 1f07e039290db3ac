"""How fast a lost state directory is there again: changelog records a second into RocksDB."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import msgspec

from bench.kafka.jobs import KAFKA_STREAMS, Job
from bench.kafka.machine import Meter
from bench.kafka.run import Run, new_run
from bench.kafka.spread import Spread
from bench.kafka.throughput import Setting, started
from bench.kafka.visible import Plan, watch
from bench.kafka.work import Work
from bench.kafka.worker import Worker

RESTORED = re.compile(r"^restored (\d+) records, (\d+) to (\d+) ms$", re.MULTILINE)
DEADLINE_S = 300.0
LOOK_S = 0.1


class Restored(msgspec.Struct, frozen=True):
    """What was restored, in what time."""

    records: int
    seconds: float


class Restore(NamedTuple):
    """What one run showed."""

    job: str
    records: int
    seconds: float

    @property
    def records_a_second(self) -> float:
        """Changelog records."""
        return self.records / self.seconds


def measure(job: Job, work: Work, setting: Setting) -> Restore:
    """Has the job do all of the work, loses its directory, and has it restored."""
    with new_run(setting.brokers, setting.partitions) as run:
        job.prepare(run)
        work.fill(run)
        with started(job, run, 1) as workers:
            everything = Plan(work.events, 0, float("inf"), 0)
            watch(run, run.prefix + work.progress, Meter(workers, setting.broker), everything)
        shutil.rmtree(run.state)
        run.state.mkdir()
        restored = _ours(job, run) if job.name in OURS else _by_starting(job, run)
        return Restore(job.name, restored.records, restored.seconds)


OURS = ("ours", "full")
JOBS = (*OURS, KAFKA_STREAMS)
"""Of these it can be told."""


def _ours(job: Job, run: Run) -> Restored:
    """In a process that does nothing else, all partitions as a worker opens them."""
    arguments = [job.core, run.brokers, run.name, run.prefix, str(run.state)]
    command = [sys.executable, "-m", "bench.kafka.our_restore", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Restored)


def _by_starting(job: Job, run: Run) -> Restored:
    """Kafka Streams says for each partition when it was restored, beginning and end."""
    deadline = time.monotonic() + DEADLINE_S
    log = run.directory / "restore-log"
    with Worker(job.command(run), log, job.environment(run)) as worker:
        while len(found := RESTORED.findall(log.read_text())) < run.partitions:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not restored within {DEADLINE_S:.0f} s; it said:\n{worker.said()}")
            worker.cpu_seconds()
            time.sleep(LOOK_S)
    begun = min(int(first) for _, first, _ in found)
    ended = max(int(last) for _, _, last in found)
    return Restored(sum(int(records) for records, _, _ in found), (ended - begun) / 1000)


def line(run: Restore) -> str:
    """One run as a line."""
    return f"{run.job:18}{run.records:>12,} records in {run.seconds:6.2f} s: {run.records_a_second:>10,.0f} records/s"


def summary(runs: Sequence[Restore], all_runs: Sequence[Restore]) -> str:
    """The runs of one job as a line, with the ratio of its median to that of Kafka Streams."""
    speed = Spread.of([run.records_a_second for run in runs])
    base = [run.records_a_second for run in all_runs if run.job == KAFKA_STREAMS]
    ratio = speed.median / Spread.of(base).median if base else nan
    return (
        f"{runs[0].job:18}{speed.median:>10,.0f} records/s, {speed.least:,.0f} to {speed.most:,.0f}; "
        f"{ratio:.2f} times Kafka Streams"
    )
