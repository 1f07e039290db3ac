"""Events a second and processor time an event, over a backlog that was there before the job started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import nan
from typing import NamedTuple

from bench.kafka.jobs import KAFKA_STREAMS, Job
from bench.kafka.machine import Meter, others
from bench.kafka.our_programs import NO_TICKS
from bench.kafka.outputs import read_outputs
from bench.kafka.run import Run, changelog_records, new_run
from bench.kafka.spread import Spread
from bench.kafka.visible import Marks, Plan, pace, watch
from bench.kafka.work import Work
from bench.kafka.worker import Worker


class Throughput(NamedTuple):
    """What one run showed. `fault` says what is wrong with what came out; None: nothing."""

    job: str
    events_a_second: float
    worker_us: float
    broker_us: float
    changelog: float
    """Changelog records to an event: less than one where a job writes a key once for several events of a commit."""
    others: float
    """Share of the machine that others had meanwhile."""
    peak_mib: float
    events: int
    digest: str
    fault: str | None


class Setting(NamedTuple):
    """What is the same for all jobs of a comparison."""

    brokers: str
    broker: int | None
    partitions: int
    seconds: float
    warm_up_s: float
    workers: int = 1


def measure(job: Job, work: Work, setting: Setting) -> Throughput:
    """One run of one job."""
    plan = Plan(work.events, work.preface, setting.seconds, setting.warm_up_s)
    with new_run(setting.brokers, setting.partitions) as run:
        job.prepare(run)
        work.fill(run)
        progress = run.prefix + work.progress
        with started(job, run, setting.workers) as workers:
            samples = watch(run, progress, Meter(workers, setting.broker), plan)
            peak_mib = sum(worker.peak_mib() for worker in workers)
        streams = read_outputs(run, progress)
        marks = [Marks(stream.offsets, work.done(stream)) for stream in streams]
        window = pace(samples, marks, plan)
        verdict = work.judge(run, streams)
        done = sum(each.done[-1] for each in marks if each.done)
        return Throughput(
            job.name,
            window.events_a_second,
            window.worker_us,
            window.broker_us,
            changelog_records(run) / done,
            others(window.first, window.last),
            peak_mib,
            done,
            verdict.digest,
            verdict.fault,
        )


@contextmanager
def started(job: Job, run: Run, count: int) -> Iterator[list[Worker]]:
    """So many workers of a job, each with a state directory of its own, until they are no longer needed."""
    with ExitStack() as stack:
        workers = []
        for number in range(count):
            place = run if number == 0 else run.beside(number)
            # That all is done is seen from silence, and a tick a second is none.
            environment = {**job.environment(place), NO_TICKS: "1"}
            workers.append(stack.enter_context(Worker(job.command(place), place.directory / "log", environment)))
        yield workers


HEAD = (
    f"{'job':18}{'events/s':>10}{'least':>10}{'most':>10}{'ratio':>7}{'us/event':>10}{'ratio':>7}"
    f"{'broker us':>11}{'changelog':>11}{'others':>8}  hash"
)


def line(run: Throughput) -> str:
    """One run as a line."""
    return (
        f"{run.job:18}{run.events_a_second:>10,.0f} events/s {run.worker_us:>7.1f} us/event {run.broker_us:>7.1f} of "
        f"the broker, others {run.others:.0%}, hash {run.digest}{f', WRONG: {run.fault}' if run.fault else ''}"
    )


def summary(runs: Sequence[Throughput], all_runs: Sequence[Throughput]) -> str:
    """The runs of one job as a line, with ratios to the medians of Kafka Streams; above 1 is faster, or less work."""
    rate = Spread.of([run.events_a_second for run in runs])
    work = Spread.of([run.worker_us for run in runs])
    base = [run for run in all_runs if run.job == KAFKA_STREAMS]
    rate_ratio = rate.median / Spread.of([run.events_a_second for run in base]).median if base else nan
    work_ratio = Spread.of([run.worker_us for run in base]).median / work.median if base else nan
    broker = Spread.of([run.broker_us for run in runs])
    changelog = Spread.of([run.changelog for run in runs])
    busy = Spread.of([run.others for run in runs])
    return (
        f"{runs[0].job:18}{rate.median:>10,.0f}{rate.least:>10,.0f}{rate.most:>10,.0f}{rate_ratio:>7.2f}"
        f"{work.median:>10.1f}{work_ratio:>7.2f}{broker.median:>11.1f}{changelog.median:>11.2f}{busy.median:>8.0%}"
        f"  {' '.join(sorted({run.digest for run in runs}))}"
    )
