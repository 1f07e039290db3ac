"""What an event costs when there are more customers, one that is hot, more partitions, more workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.kafka import throughput
from bench.kafka.events import Load
from bench.kafka.jobs import Core, Job
from bench.kafka.spread import Spread
from bench.kafka.throughput import Setting, Throughput
from bench.kafka.work import Counting, Deciding, Work

FACTORS = (1, 10, 100)
HOT_SHARE = 0.25
PARTITIONS = (16, 64)
WORKERS = (2, 4)
JOBS = ("ours", "full")


class Size(NamedTuple):
    """A system to be measured."""

    name: str
    customers: int
    hot_share: float = 0.0
    partitions: int = 4
    workers: int = 1


def sizes(customers: int, partitions: int) -> list[Size]:
    """The first is what the others are compared with."""
    least = Size(f"{customers:,} customers", customers, partitions=partitions)
    return [
        *(least._replace(name=f"{many * customers:,} customers", customers=many * customers) for many in FACTORS),
        least._replace(name="one with a quarter", hot_share=HOT_SHARE),
        *(least._replace(name=f"{many} partitions", partitions=many) for many in PARTITIONS),
        *(least._replace(name=f"{many} workers", workers=many) for many in WORKERS),
    ]


def work_of(core: Core, size: Size, events: int) -> Work:
    """All customers are there before what is measured begins."""
    if core == "full":
        return Deciding(size.customers, size.customers + events, 0, size.hot_share)
    load = Load(customers=size.customers, hot_share=size.hot_share, known=True)
    return Counting(load, size.customers + events, 0)


def measure(job: Job, size: Size, events: int, setting: Setting) -> Throughput:
    """One run. It goes on until all is done: how long that takes depends on the size."""
    here = setting._replace(partitions=size.partitions, workers=size.workers)
    return throughput.measure(job, work_of(job.core, size, events), here)


HEAD = f"{'':32}{'us/event':>10}{'ratio':>7}{'least-most':>16}{'events/s':>10}{'broker us':>11}{'MiB':>8}{'others':>8}"


def lines(core: Core, found: Mapping[Size, Sequence[Throughput]]) -> Iterator[str]:
    """A line for each size; the ratio is of processor time to that of the first, so above 1 is dearer."""
    base = Spread.of([run.worker_us for run in next(iter(found.values()))]).median
    for size, runs in found.items():
        work = Spread.of([run.worker_us for run in runs])
        rate = Spread.of([run.events_a_second for run in runs])
        broker = Spread.of([run.broker_us for run in runs])
        memory = Spread.of([run.peak_mib for run in runs])
        busy = Spread.of([run.others for run in runs])
        yield (
            f"{f'{core}, {size.name}':32}{work.median:>10.1f}{work.median / base:>7.2f}"
            f"{f'{work.least:.1f}-{work.most:.1f}':>16}{rate.median:>10,.0f}{broker.median:>11.1f}{memory.median:>8,.0f}"
            f"{busy.median:>8.0%}"
        )
