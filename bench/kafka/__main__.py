"""Kafka benchmarks: our engine beside Kafka Streams, quix-streams and Faust's own tables, on one broker.

    python -m bench.kafka throughput   events a second and processor time an event, over a backlog
    python -m bench.kafka latency      produce to a read_committed reader, at several rates
    python -m bench.kafka restore      changelog records a second, when a state directory is lost
    python -m bench.kafka growth       what an event costs with more customers, a hot one, partitions, workers
    python -m bench.kafka jobs         who takes part

Every job does the same work: one count per key, one output and one changelog record an event, with 100 bytes each.
Jobs are measured alternately and repeated, so that what else the machine does falls on all of them. A broker is started
for it and goes afterwards (--brokers takes another, of which only topics of the benchmark's own names are touched).
What the peers need is fetched once into build/bench-kafka: quix-streams in an environment of its own, the jars of
Kafka Streams; javac compiles the job.

`others` is the share of the machine that neither job, broker nor benchmark had: figures of a run are only as good as
that is small. Ratios are to Kafka Streams of the same round.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bench.kafka import growth, latency, restore, throughput
from bench.kafka.events import Load
from bench.kafka.growth import Size
from bench.kafka.jobs import GROUPS, JOBS, Core, Job, job
from bench.kafka.latency import Latency
from bench.kafka.restore import Restore
from bench.kafka.throughput import Throughput
from bench.kafka.work import Counting, Deciding, Work
from credit_stream.local_kafka import LocalKafka

T = TypeVar("T")

HEAP_MB = 512
ALL_JOBS = tuple(each.name for each in JOBS if each.core != "groups")


class Broker(NamedTuple):
    """Where it is, and which process of this machine; None: somewhere else."""

    address: str
    pid: int | None


@contextmanager
def broker(address: str | None) -> Iterator[Broker]:
    """The given one, or one of this machine for as long as it is needed."""
    if address is not None:
        yield Broker(address, None)
        return
    with LocalKafka(heap_mb=HEAP_MB, jvm_options=()) as kafka:
        yield Broker(kafka.bootstrap, kafka.pid())


def measure_throughput(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Prints a line for each run, and then for each job."""
    load = Load(options.seed, options.customers, options.hot_share)
    works: dict[Core, Work] = {
        "counting": Counting(load, options.events, options.hashed),
        "full": Deciding(options.full_customers, options.full_events, options.hashed, options.hot_share),
    }
    found: list[Throughput] = []
    with broker(options.brokers) as kafka:
        setting = throughput.Setting(kafka.address, kafka.pid, options.partitions, options.seconds, options.warm_up)
        for each in alternately(jobs, options.repeat):
            found.append(throughput.measure(each, works[each.core], setting))
            print(throughput.line(found[-1]), flush=True)
    print(f"\n{throughput.HEAD}")
    for each in jobs:
        print(throughput.summary([run for run in found if run.job == each.name], found))
    write(options.json, found)
    faults = {run.job: run.fault for run in found if run.fault is not None}
    if faults:
        raise SystemExit(f"wrong outputs: {faults}")


def measure_latency(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Prints a line for each run and rate, and then for each job and rate."""
    load = Load(options.seed, options.customers)
    rates = tuple(int(rate) for rate in options.rates.split(","))
    found: list[Latency] = []
    with broker(options.brokers) as kafka:
        setting = latency.Setting(
            kafka.address,
            kafka.pid,
            options.partitions,
            load,
            load._replace(customers=options.full_customers),
            rates,
            options.seconds,
            options.warm_up,
        )
        for each in alternately(jobs, options.repeat):
            for run in latency.measure(each, setting):
                found.append(run)
                print(latency.line(run), flush=True)
    print(f"\n{latency.HEAD}")
    for rate in rates:
        for each in jobs:
            print(latency.summary([run for run in found if run.job == each.name and run.rate == rate]))
    write(options.json, found)
    missing = {(run.job, run.rate): run.missing for run in found if run.missing}
    if missing:
        raise SystemExit(f"outputs that never came: {missing}")


def measure_restore(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Prints a line for each run, and the ratio to Kafka Streams."""
    works: dict[Core, Work] = {
        "counting": Counting(Load(options.seed, options.customers), options.events, 0),
        "full": Deciding(options.full_customers, options.full_events, 0),
    }
    found: list[Restore] = []
    with broker(options.brokers) as kafka:
        setting = throughput.Setting(kafka.address, kafka.pid, options.partitions, 0, 0)
        for each in alternately(jobs, options.repeat):
            found.append(restore.measure(each, works[each.core], setting))
            print(restore.line(found[-1]), flush=True)
    print()
    for each in jobs:
        print(restore.summary([run for run in found if run.job == each.name], found))
    write(options.json, found)


def measure_growth(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Prints a line for each run, and then for each size."""
    found: list[Throughput] = []
    with broker(options.brokers) as kafka:
        setting = throughput.Setting(kafka.address, kafka.pid, options.partitions, options.seconds, 0)
        for each in jobs:
            smallest = options.customers if each.core == "counting" else options.full_customers
            events = options.events if each.core == "counting" else options.full_events
            runs: dict[Size, list[Throughput]] = {size: [] for size in growth.sizes(smallest, options.partitions)}
            for size in alternately(list(runs), options.repeat):
                runs[size].append(growth.measure(each, size, events, setting))
                print(f"{size.name}: {throughput.line(runs[size][-1])}", flush=True)
            print("\n".join(["", growth.HEAD, *growth.lines(each.core, runs), ""]), flush=True)
            found += [run for each_size in runs.values() for run in each_size]
    write(options.json, found)


def alternately(contestants: Sequence[T], repeat: int) -> Iterator[T]:
    """All of them, one after the other, so many times; every other round backwards."""
    for number in range(repeat):
        yield from contestants if number % 2 == 0 else reversed(contestants)


def write(file: Path | None, found: Sequence[Throughput | Latency | Restore]) -> None:
    """All runs as JSON, if that was asked for."""
    if file is not None:
        file.write_text(json.dumps([run._asdict() for run in found], indent=1) + "\n")


def list_jobs(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Prints who takes part."""
    for each in jobs:
        print(f"{each.name:18}{each.about}")


def arguments() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.kafka", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    first = command(commands, "throughput", measure_throughput, "events a second over a backlog")
    first.add_argument("--events", type=int, default=1_000_000, help="of the backlog (default: %(default)s)")
    first.add_argument("--seconds", type=float, default=25, help="from the first output on (default: %(default)s)")
    first.add_argument("--warm-up", type=float, default=10, help="of these, not counted (default: %(default)s)")
    first.add_argument("--hot-share", type=float, default=0, help="of all events one customer's (default: none)")
    first.add_argument("--full-events", type=int, default=200_000, help="for the full core (default: %(default)s)")
    first.add_argument("--hashed", type=int, default=2_000, help="outputs of a partition (default: %(default)s)")
    second = command(commands, "latency", measure_latency, "produce to a read_committed reader", (*ALL_JOBS, GROUPS))
    second.add_argument("--rates", default="100,500,2000", help="events a second (default: %(default)s)")
    second.add_argument("--seconds", type=float, default=20, help="measured at a rate (default: %(default)s)")
    second.add_argument("--warm-up", type=float, default=5, help="before these (default: %(default)s)")
    third = command(commands, "restore", measure_restore, "changelog records a second", restore.JOBS)
    third.add_argument("--events", type=int, default=1_000_000, help="counted before (default: %(default)s)")
    third.add_argument("--full-events", type=int, default=100_000, help="decided before (default: %(default)s)")
    fourth = command(commands, "growth", measure_growth, "more customers, a hot one, partitions, workers", growth.JOBS)
    fourth.add_argument("--events", type=int, default=400_000, help="measured, counting (default: %(default)s)")
    fourth.add_argument("--full-events", type=int, default=60_000, help="measured, deciding (default: %(default)s)")
    fourth.add_argument("--seconds", type=float, default=600, help="at most, each (default: %(default)s)")
    fourth.set_defaults(customers=20_000)
    command(commands, "jobs", list_jobs, "who takes part", (*ALL_JOBS, GROUPS))
    return parser


def command(commands: Any, name: str, run: Any, about: str, names: Sequence[str] = ALL_JOBS) -> argparse.ArgumentParser:
    """A command with the options that all have."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    parser.add_argument("--jobs", default=",".join(names), metavar="NAME,...", help="who takes part (see `jobs`)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--partitions", type=int, default=4, help="of every topic (default: %(default)s)")
    parser.add_argument("--customers", type=int, default=50_000, help="keys (default: %(default)s)")
    parser.add_argument("--full-customers", type=int, default=2_000, help="of the full core (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the events (default: %(default)s)")
    parser.add_argument("--brokers", metavar="HOST:PORT", help="instead of one of this machine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all runs there")
    parser.set_defaults(run=run)
    return parser


def main() -> None:
    """Runs what was asked for."""
    options = arguments().parse_args()
    # So that whoever ends it early leaves no worker and no directory behind either.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    options.run(options, [job(name) for name in options.jobs.split(",")])


if __name__ == "__main__":
    main()
