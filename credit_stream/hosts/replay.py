"""Replay: every output computed again from the inputs and the recorded order, and compared with what was published.

A partition's `credit.sequence` says what it took and in which order, ticks included; the core is a function of that.
So the bytes must be the same, or the log, or the release, is not the one that published them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from credit_stream.core.topics import INPUT_TOPICS, SEQUENCE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import INPUTS, Changes, Checkpoint, Position
from credit_stream.engine.ports import InputRecord
from credit_stream.engine.sequence import SequenceRecord
from credit_stream.engine.task import PartitionTask, Program
from credit_stream.hosts.clock import ManualClock
from credit_stream.hosts.embedded_log import EmbeddedLog, StoredRecord, Stream
from credit_stream.hosts.memory import MemoryStore
from credit_stream.hosts.placing import home_of
from credit_stream.wire.keys import partition_of

READ_RECORDS_MAX = 500
"""Published records that are read at once for comparison."""

Content = tuple[str | None, bytes | None]
"""Key and value of a record."""


class Difference(Struct, frozen=True):
    """A record that was published otherwise than it is computed. None: there is no such record."""

    topic: str
    partition: int
    offset: int
    published: Content | None
    computed: Content | None


class Replayed(Struct, frozen=True):
    """What a replay found: how many records agree, and the first that does not, if there is one."""

    agreed: int
    difference: Difference | None


class Inputs(Protocol):
    """The part of a log that a replay reads."""

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """At most `limit` records from `offset` on."""


def recompute(
    partition: int,
    inputs: Inputs,
    sequences: Iterable[SequenceRecord],
    program: Program,
    partitions: int | None = None,
) -> Iterator[Checkpoint]:
    """The checkpoints of a partition, computed again from nothing. `partitions`: as the task had it."""
    log = _ReplayLog(inputs)
    task = PartitionTask(partition, log, MemoryStore(), program, ManualClock(), partitions=partitions)
    for taken in sequences:
        yield task.follow(taken)


def replay(log: EmbeddedLog, program: Program) -> Replayed:
    """Recomputes all partitions of a log and compares, up to the first difference."""
    agreed = 0
    requests = _Requests(log)
    for partition in range(log.partitions):
        comparison = _Comparison(log, partition)
        for checkpoint in recompute(partition, log, _sequences(log, partition), program):
            for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
                if publication.topic in INPUTS:
                    requests.expect(partition, publication.topic, publication.key, value)
                    continue
                difference = comparison.next(publication.topic, (publication.key, value))
                if difference is not None:
                    return Replayed(agreed, difference)
                agreed += 1
        difference = comparison.rest()
        if difference is not None:
            return Replayed(agreed, difference)
    return Replayed(agreed + requests.found(), requests.missing())


class _ReplayLog:
    """A `Log` in which nothing new comes and nothing is published."""

    def __init__(self, inputs: Inputs) -> None:
        self.read = inputs.read

    def ends(self, partition: int) -> Mapping[str, int]:
        return dict.fromkeys(INPUT_TOPICS, 0)

    def commit(self, checkpoint: Checkpoint) -> Position:
        return checkpoint.changes.position

    def changelog(self, partition: int, position: Position) -> Iterable[Changes]:
        return ()


class _Comparison:
    """The published outputs of one partition, and how far each topic was compared."""

    def __init__(self, log: EmbeddedLog, partition: int) -> None:
        self._log = log
        self._partition = partition
        self._offsets: dict[str, int] = {}
        self._published: dict[str, deque[StoredRecord]] = {}

    def next(self, topic: str, computed: Content) -> Difference | None:
        """Compares the next record of the topic."""
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        found = self._published.setdefault(topic, deque())
        if not found:
            found += self._log.stored(topic, self._partition, offset, READ_RECORDS_MAX)
        if not found:
            return Difference(topic, self._partition, offset, None, computed)
        record = found.popleft()
        published = (record.key, record.value)
        return None if published == computed else Difference(topic, self._partition, offset, published, computed)

    def rest(self) -> Difference | None:
        """A published record that nothing computed stands against."""
        for (topic, partition), end in self._log.streams().items():
            offset = self._offsets.get(topic, 0)
            if partition == self._partition and topic not in INPUTS and topic != SEQUENCE and offset < end:
                record = self._log.stored(topic, partition, offset, 1)[0]
                return Difference(topic, partition, offset, (record.key, record.value), None)
        return None


class _Requests:
    """Requests lie among the inputs of other partitions, mixed with those of other tasks: each task's in its order."""

    def __init__(self, log: EmbeddedLog) -> None:
        self._log = log
        self._expected: dict[Stream, dict[int, deque[Content]]] = {}

    def expect(self, producer: int, topic: str, key: str, value: bytes | None) -> None:
        """The task of partition `producer` computed this request."""
        stream = (topic, home_of(topic, partition_of(key, self._log.partitions)))
        self._expected.setdefault(stream, {}).setdefault(producer, deque()).append((key, value))

    def found(self) -> int:
        """How many of them lie where they were expected; those that do not remain for `missing`."""
        return sum(self._find(stream, list(queues.values())) for stream, queues in self._expected.items())

    def missing(self) -> Difference | None:
        """A request that was computed but does not lie in the log."""
        for (topic, partition), queues in self._expected.items():
            for queue in queues.values():
                if queue:
                    return Difference(topic, partition, -1, None, queue[0])
        return None

    def _find(self, stream: Stream, queues: list[deque[Content]]) -> int:
        found = 0
        offset = 0
        while records := self._log.stored(*stream, offset, READ_RECORDS_MAX):
            offset += len(records)
            for record in records:
                queue = next((queue for queue in queues if queue and queue[0] == (record.key, record.value)), None)
                if queue is not None:
                    queue.popleft()
                    found += 1
        return found


def _sequences(log: EmbeddedLog, partition: int) -> Iterator[SequenceRecord]:
    offset = 0
    while records := log.stored(SEQUENCE, partition, offset, READ_RECORDS_MAX):
        offset += len(records)
        for record in records:
            yield sequence.decode(record.value or b"")
