"""The engine alone: what it costs to take an input, run a core that only counts, and make a checkpoint.

    python -m bench.engine [--events N] [--customers N] [--partitions N] [--profile]

Every row does the same work: N events of so many customers, one row and one record each; decoding and encoding are
MessagePack, the least that there is. The hash is over all records with partition, key and bytes: every row must have
the same. Times are processor seconds of all threads; the ratio is to the host in memory, which too begins with bytes.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import tempfile
import time
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from credit_stream.core.events import OrderCancelled
from credit_stream.engine.task import PartitionTask, Program
from credit_stream.hosts.clock import SystemClock
from credit_stream.hosts.embedded import SINGLE_OBJECT, EmbeddedHost
from credit_stream.hosts.memory import MemoryHost, MemoryLog, MemoryStore
from credit_stream.hosts.placing import place
from tests.engine.counting import RUNS, counting_step

APPEND = 500
"""Payloads in one call of `append`."""

_decode = msgspec.msgpack.Decoder(OrderCancelled).decode
PROGRAM = Program(lambda payload: _decode(payload[2:]), counting_step, msgspec.msgpack.Encoder().encode)


class Outcome(NamedTuple):
    """What one way of doing it took, and the hash of what came out."""

    name: str
    seconds: float
    digest: str


def payloads(events: int, customers: int) -> list[bytes]:
    """The inputs: small orders' events, spread evenly."""
    return [
        SINGLE_OBJECT
        + msgspec.msgpack.encode(
            OrderCancelled(event_id=f"e{i}", occurred_at=i, order_id=f"o{i}", customer_id=f"c{i * 7919 % customers}")
        )
        for i in range(events)
    ]


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of this process, all threads."""
    gc.collect()
    gc.freeze()
    began = time.process_time()
    work()
    return time.process_time() - began


def digest(records: Iterable[tuple[int, str, bytes | None]]) -> str:
    """A hash of partition, key and value of all records."""
    whole = blake2b(digest_size=8)
    for partition, key, value in records:
        whole.update(b"%d %s %b\n" % (partition, key.encode(), value or b""))
    return whole.hexdigest()


def in_memory(inputs: list[bytes], partitions: int) -> Outcome:
    """Partition tasks over the log and the store in memory."""
    log = MemoryLog(partitions)
    for payload in inputs:
        event = PROGRAM.read(payload)
        placed = place(event, partitions)
        log.append(placed.topic, placed.partitions[0], placed.key, payload, event)
    tasks = [PartitionTask(p, log, MemoryStore(), PROGRAM, SystemClock()) for p in range(partitions)]

    def work() -> None:
        for task in tasks:
            while task.take():
                task.checkpoint()

    seconds = timed(work)
    records = (
        (checkpoint.partition, publication.key, value)
        for made in log.checkpoints
        for checkpoint in made
        for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True)
    )
    return Outcome("memory: tasks", seconds, digest(records))


def memory_host(inputs: list[bytes], partitions: int) -> Outcome:
    """The host in memory, which follows each input to its end; reading the bytes included."""
    host = MemoryHost(partitions, program=PROGRAM, keep_log=True)

    def work() -> None:
        for payload in inputs:
            host.process(payload)
        host.checkpoint()

    seconds = timed(work)
    records = (
        (checkpoint.partition, publication.key, value)
        for made in host.log.checkpoints
        for checkpoint in made
        for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True)
    )
    return Outcome("memory: host, one by one", seconds, digest(records))


def embedded(inputs: list[bytes], partitions: int, directory: Path, live: bool) -> list[Outcome]:
    """The embedded host: append and take, interleaved, or first all of one and after a restart all of the other."""

    def append(host: EmbeddedHost) -> None:
        for at in range(0, len(inputs), APPEND):
            host.append(inputs[at : at + APPEND])
            if live:
                host.process_pending()

    with EmbeddedHost(directory, partitions, program=PROGRAM) as host:
        appended = timed(lambda: append(host))
        if live:
            return [Outcome("embedded: append and take", appended, _embedded_digest(host))]
    with EmbeddedHost(directory, program=PROGRAM) as host:
        taken = timed(host.process_pending)
        result = _embedded_digest(host)
    return [Outcome("embedded: append", appended, ""), Outcome("embedded: take, from disk", taken, result)]


def _embedded_digest(host: EmbeddedHost) -> str:
    def records() -> Iterable[tuple[int, str, bytes | None]]:
        for partition in range(host.partitions):
            offset = 0
            while found := host.read(RUNS, partition, offset):
                offset += len(found)
                yield from ((partition, record.key or "", record.value) for record in found)

    return digest(records())


def main() -> None:
    """Runs all ways and prints them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--profile", action="store_true", help="where the time goes, embedded, append and take")
    options = parser.parse_args()
    inputs = payloads(options.events, options.customers)
    with tempfile.TemporaryDirectory() as folder:
        if options.profile:
            profiler = cProfile.Profile()
            profiler.runcall(embedded, inputs, options.partitions, Path(folder) / "profile", True)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
            return
        outcomes = [
            in_memory(inputs, options.partitions),
            memory_host(inputs, options.partitions),
            *embedded(inputs, options.partitions, Path(folder) / "live", True),
            *embedded(inputs, options.partitions, Path(folder) / "later", False),
        ]
    base = outcomes[1].seconds
    print(f"{'':28}{'events/s':>12}{'us/event':>10}{'ratio':>8}  hash")
    for name, seconds, result in outcomes:
        print(
            f"{name:28}{options.events / seconds:>12,.0f}{seconds / options.events * 1e6:>10.2f}"
            f"{base / seconds:>8.2f}  {result}"
        )


if __name__ == "__main__":
    main()
