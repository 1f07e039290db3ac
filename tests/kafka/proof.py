"""The proof that nothing was lost, doubled or changed: what a `read_committed` reader sees against a straight replay.

The replay runs in memory, in one thread, from the inputs and the recorded order of each partition; it knows no
transactions, no workers and no kills.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition
from msgspec import Struct

from credit_stream.core.topics import BROADCAST_TOPICS, INPUT_TOPICS, INTERNAL_TOPICS, SEQUENCE, TOPIC_OF_OUTPUT
from credit_stream.engine import sequence
from credit_stream.engine.ports import InputRecord
from credit_stream.engine.sequence import Run
from credit_stream.engine.task import Program
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.input_records import input_record
from credit_stream.hosts.program import CREDIT
from credit_stream.hosts.replay import recompute

OUTPUTS = tuple(dict.fromkeys(TOPIC_OF_OUTPUT.values()))
SILENCE_SECONDS_MAX = 30.0

Content = tuple[str | None, bytes | None]
"""Key and value of a record."""


class Record(Struct, frozen=True):
    """What a reader sees of a record."""

    offset: int
    timestamp: int
    key: str | None
    value: bytes | None


class Proof(Struct, frozen=True):
    """What was compared, and every difference, in words."""

    inputs: int
    outputs: int
    checkpoints: int
    differences: list[str]


def read_committed(connection: Connection, stream: str, partitions: int) -> list[list[Record]]:
    """All that a `read_committed` reader sees of a stream now, by partition."""
    settings: dict[str, Any] = {
        **connection.client(),
        "group.id": f"{connection.application_id}-proof",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        # With the library's 500 each stream takes half a second to say that it has ended, and there are twenty.
        "fetch.wait.max.ms": 50,
    }
    count = 1 if stream in BROADCAST_TOPICS else partitions
    records: list[list[Record]] = [[] for _ in range(count)]
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(connection.topic(stream), partition, 0) for partition in range(count)])
        open_partitions = set(range(count))
        while open_partitions:
            message = consumer.poll(SILENCE_SECONDS_MAX)
            assert message is not None, f"{stream}: no record and no end for {SILENCE_SECONDS_MAX:.0f} s"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, str(error)
                open_partitions.discard(cast(int, message.partition()))
                continue
            record = input_record(stream, 0, message)
            value = cast("bytes | None", message.value())
            records[cast(int, message.partition())].append(Record(record.offset, record.timestamp, record.key, value))
    finally:
        consumer.close()
    return records


class History:
    """All inputs of a cluster, and the recorded order of each partition, as a replay reads them."""

    def __init__(self, connection: Connection, partitions: int) -> None:
        self.records = {
            stream: [
                [
                    InputRecord(stream, partition, each.offset, each.timestamp, each.key, each.value or b"")
                    for each in found
                ]
                for partition, found in enumerate(read_committed(connection, stream, partitions))
            ]
            for stream in INPUT_TOPICS
        }
        self.taken = [
            [sequence.decode(record.value or b"") for record in found]
            for found in read_committed(connection, SEQUENCE, partitions)
        ]
        """By partition, what its checkpoints took."""
        self._places = {
            (stream, partition): {record.offset: at for at, record in enumerate(found)}
            for stream, by_partition in self.records.items()
            for partition, found in enumerate(by_partition)
        }

    def of(self, stream: str, partition: int) -> list[InputRecord]:
        """The inputs of a task."""
        return self.records[stream][0 if stream in BROADCAST_TOPICS else partition]

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """Records from an offset on."""
        home = 0 if topic in BROADCAST_TOPICS else partition
        at = self._places[topic, home].get(offset)
        return [] if at is None else self.records[topic][home][at : at + limit]


def prove(
    connection: Connection,
    partitions: int,
    program: Program = CREDIT,
    streams: Sequence[str] = OUTPUTS,
    history: History | None = None,
) -> Proof:
    """Compares everything. An empty list of differences is the proof. `history`: where it was read before."""
    history = history or History(connection, partitions)
    differences: list[str] = []
    computed: dict[tuple[str, str], dict[int, list[bytes | None]]] = defaultdict(lambda: defaultdict(list))
    checkpoints = inputs = 0
    for partition, taken in enumerate(history.taken):
        checkpoints += len(taken)
        inputs += sum(entry.count for each in taken for entry in each.taken if isinstance(entry, Run))
        differences += _faults_of_sequence(partition, taken, history)
        for checkpoint in recompute(partition, history, taken, program, partitions):
            for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
                computed[publication.topic, publication.key][partition].append(value)
    published = _published(connection, partitions, streams, history)
    for place in sorted(computed.keys() | published.keys()):
        if (fault := _compare(published.get(place, []), computed.get(place, {}))) is not None:
            differences.append(f"{place[0]} key {place[1]}: {fault}")
    return Proof(inputs, sum(map(len, published.values())), checkpoints, differences)


def _published(
    connection: Connection, partitions: int, streams: Sequence[str], history: History
) -> dict[tuple[str, str], list[bytes | None]]:
    """Values in the order of their key. Of inputs, those that tasks wrote for each other."""
    published: dict[tuple[str, str], list[bytes | None]] = defaultdict(list)
    for stream in streams:
        for found in read_committed(connection, stream, partitions):
            for record in found:
                published[stream, record.key or ""].append(record.value)
    for stream in INTERNAL_TOPICS:
        for by_partition in history.records[stream]:
            for request in by_partition:
                published[stream, request.key or ""].append(request.payload)
    return published


def _compare(published: list[bytes | None], computed: dict[int, list[bytes | None]]) -> str | None:
    """Nearly all keys have one partition that writes them; of several, each keeps its own order."""
    if len(computed) == 1:
        (values,) = computed.values()
        return None if published == values else f"{len(published)} published, {len(values)} computed, or not the same"
    missing = Counter(value for values in computed.values() for value in values)
    missing.subtract(Counter(published))
    wrong = {value: count for value, count in missing.items() if count}
    return None if not wrong else f"{len(wrong)} values are not as often there as computed"


def _faults_of_sequence(partition: int, taken: Sequence[sequence.SequenceRecord], history: History) -> list[str]:
    """Every checkpoint once and in order, every input taken once and in order."""
    faults = []
    numbers = [each.number for each in taken]
    if numbers != list(range(len(numbers))):
        faults.append(f"partition {partition}: checkpoints {numbers[:20]}... are not all there once and in order")
    offsets: dict[str, list[int]] = defaultdict(list)
    for each in taken:
        for entry in each.taken:
            if isinstance(entry, Run):
                offsets[entry.topic] += range(entry.first_offset, entry.first_offset + entry.count)
    for stream in INPUT_TOPICS:
        there = [record.offset for record in history.of(stream, partition)]
        if there != offsets[stream]:
            faults.append(f"partition {partition}, {stream}: {len(there)} inputs, {len(offsets[stream])} taken")
    return faults
