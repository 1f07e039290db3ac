"""Fills the inputs of a job before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import Producer

from bench.kafka.run import Run

FLUSH_S = 120.0
SERVED_EVERY = 50_000

PRODUCER: dict[str, object] = {
    # librdkafka's own default is CRC32: a customer's events would lie elsewhere than our engine and Java look for them.
    "partitioner": "murmur2_random",
    # Without it the first batches into a new topic can change places: seen in one of twelve fills.
    "enable.idempotence": True,
    "queue.buffering.max.messages": 2_000_000,
    "queue.buffering.max.kbytes": 1_000_000,
    "linger.ms": 20,
    "batch.size": 500_000,
}


class Record(NamedTuple):
    """One input. No partition: by its key; no timestamp (milliseconds): the time at which it is written."""

    stream: str
    partition: int | None
    key: str
    payload: bytes
    timestamp: int | None


def fill(run: Run, records: Iterable[Record]) -> None:
    """Writes records to the run's inputs."""
    producer = Producer({"bootstrap.servers": run.brokers, **PRODUCER})
    produce, prefix = producer.produce, run.prefix
    for number, (stream, partition, key, payload, timestamp) in enumerate(records):
        produce(prefix + stream, payload, key, -1 if partition is None else partition, timestamp=timestamp or 0)
        if number % SERVED_EVERY == 0:
            producer.poll(0)
    waiting = producer.flush(FLUSH_S)
    if waiting:
        raise TimeoutError(f"{waiting} records were not taken by the broker in {FLUSH_S:.0f} s")
