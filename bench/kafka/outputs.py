"""What a job has put out, read as `read_committed`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bench.kafka.ends import DEADLINE_S
from bench.kafka.run import Run

READER: dict[str, object] = {
    "group.id": "bench-reader",
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
}
TOO_FEW = "too few"
FETCHED_MAX = 20_000
FETCHED_S = 0.5
"""`consume` waits so long for a full batch, so this is what the last one costs."""


class Stream(NamedTuple):
    """One partition of an output: offsets, and `key=value` of each record."""

    offsets: list[int]
    records: list[bytes]


def read_outputs(run: Run, topic: str) -> list[Stream]:
    """All that is visible in a topic now."""
    consumer = Consumer({"bootstrap.servers": run.brokers, **READER})
    streams = [Stream([], []) for _ in range(run.partitions)]
    reading = set(range(run.partitions))
    consumer.assign([TopicPartition(topic, partition, 0) for partition in reading])
    try:
        heard = time.monotonic()
        while reading:
            messages = consumer.consume(FETCHED_MAX, FETCHED_S)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > DEADLINE_S:
                raise TimeoutError(f"{topic} could not be read to its end: nothing came for {DEADLINE_S:.0f} s")
            for message in messages:
                partition, error = message.partition(), message.error()
                assert partition is not None
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                    reading.discard(partition)
                    continue
                offsets, records = streams[partition]
                offsets.append(message.offset() or 0)
                records.append(b"%b=%b" % (message.key() or b"", message.value() or b""))
    finally:
        consumer.close()
    return streams


def digest(streams: Sequence[Stream], hashed: int) -> str:
    """A hash of the first `hashed` records of each partition, so that jobs can be compared that got further or not."""
    if any(len(stream.records) < hashed for stream in streams):
        return TOO_FEW
    return digest_of(record for stream in streams for record in stream.records[:hashed])


def digest_of(records: Iterable[bytes]) -> str:
    """A hash of these records, in their order."""
    total = blake2b(digest_size=8)
    for record in records:
        total.update(record + b"\n")
    return total.hexdigest()
