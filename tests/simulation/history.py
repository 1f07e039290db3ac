"""What was committed, computed again: each partition's `credit.sequence` through a fresh task.

`Replay` goes through all checkpoints in the order in which they were committed, compares outputs and rows byte for byte
with what a reader of committed records sees, and tells what each single input led to (`Taken`), for whoever checks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import msgpack

from credit_stream.core.topics import INPUT_TOPICS, SEQUENCE, STATE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import Checkpoint, Position
from credit_stream.engine.ports import InputRecord
from credit_stream.engine.sequence import Run, SequenceRecord
from credit_stream.hosts.placing import home_of
from credit_stream.wire.keys import partition_of
from tests.retold import Retelling, Taken
from tests.simulation.brokers import POSITION_KEY, Brokers, Entry, Place
from tests.simulation.ports import SimulatedStore, put

DIFFERENCES_MAX = 5
"""More of one kind say nothing new."""


class Committed(NamedTuple):
    """A checkpoint as it was committed: its place among all, and the order in which it took its inputs."""

    order: int
    partition: int
    sequence: SequenceRecord


def _record(topic: str, partition: int, entry: Entry) -> InputRecord:
    key: Any = entry.key
    return InputRecord(topic, home_of(topic, partition), entry.offset, entry.timestamp, key, entry.value or b"")


Content = tuple[bytes | str | None, bytes | None]


class Replay:
    """All committed checkpoints once more. Iterating gives the inputs one by one; then `differences` is complete."""

    def __init__(self, brokers: Brokers) -> None:
        self.differences: list[str] = []
        self.checkpoints = 0
        self.outputs = 0
        self.rows: list[dict[tuple[str, str], dict[str, bytes]]] = [{} for _ in range(brokers.partitions)]
        """Of each partition, the rows as the changelog has them at its end."""
        self.offsets: list[dict[str, int]] = [{} for _ in range(brokers.partitions)]
        self.positions: list[Position] = [Position(0, {}) for _ in range(brokers.partitions)]
        self._brokers = brokers
        self._partitions = [
            Retelling(partition, brokers.partitions, self._read) for partition in range(brokers.partitions)
        ]
        self._changelogs = [self._rows_of_checkpoints(partition) for partition in range(brokers.partitions)]
        self._expected: dict[tuple[Place, int], list[Content]] = {}

    def __iter__(self) -> Iterator[list[Taken]]:
        """The inputs of each checkpoint, in the order in which the checkpoints were committed."""
        for committed in self._committed():
            self.checkpoints += 1
            self._follow_offsets(committed)
            try:
                made, taken = self._partitions[committed.partition].follow(committed.sequence)
            except Exception as error:
                self._differ(f"checkpoint {committed.sequence.number} of partition {committed.partition}: {error!r}")
                return
            self._compare_rows(committed, made)
            self._expect(made)
            yield taken
        self._compare_outputs()
        self._compare_ends()

    def compare_stores(self, stores: Sequence[SimulatedStore]) -> None:
        """The disks have what the changelog has."""
        for partition, store in enumerate(stores):
            if store.rows != self.rows[partition]:
                self._differ(f"the store of partition {partition} has other rows than its changelog")
            if store.position() != self.positions[partition]:
                self._differ(f"the store of partition {partition} is at another position than its changelog")

    def _read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        stream = self._brokers.stream(topic, partition)
        return [_record(topic, partition, entry) for entry in stream.read(offset, limit, offset + limit)]

    # --- what was committed -------------------------------------------------------------------------------------

    def _committed(self) -> list[Committed]:
        found: list[Committed] = []
        for partition in range(self._brokers.partitions):
            for number, entry in enumerate(self._brokers.stream(SEQUENCE, partition).committed()):
                record = sequence.decode(entry.value or b"")
                if record.number != number:
                    self._differ(f"checkpoint {number} of partition {partition} says that it is {record.number}")
                order = -1 if entry.transaction is None else entry.transaction.order
                found.append(Committed(order, partition, record))
        return sorted(found, key=lambda committed: committed.order)

    def _rows_of_checkpoints(self, partition: int) -> Iterator[list[tuple[bytes, bytes | None]]]:
        """The rows of one checkpoint after the other, as they lie in the changelog."""
        rows: list[tuple[bytes, bytes | None]] = []
        for entry in self._brokers.stream(STATE, partition).committed():
            if entry.key != POSITION_KEY:
                rows.append((bytes(entry.key or b""), entry.value))  # type: ignore[arg-type] # keys of rows are bytes
                continue
            position = msgpack.decode(entry.value or b"", type=Position)
            self.positions[partition] = Position(position.number, position.offsets, entry.offset + 1)
            yield rows
            rows = []
        if rows:
            self._differ(f"the changelog of partition {partition} does not end with a position")

    # --- comparing ----------------------------------------------------------------------------------------------

    def _follow_offsets(self, committed: Committed) -> None:
        """Every record is taken once and in order: runs go on where the last one ended, over gaps only."""
        reached = self.offsets[committed.partition]
        for entry in committed.sequence.taken:
            if not isinstance(entry, Run):
                continue
            begin = reached.get(entry.topic, 0)
            stream = self._brokers.stream(entry.topic, committed.partition)
            if entry.first_offset < begin or stream.count(begin, entry.first_offset):
                self._differ(f"{entry.topic}/{committed.partition} was taken from {entry.first_offset}, not {begin}")
            reached[entry.topic] = entry.first_offset + entry.count

    def _compare_rows(self, committed: Committed, made: Checkpoint) -> None:
        rows = next(self._changelogs[committed.partition], [])
        if rows != made.changes.encoded():
            where = f"checkpoint {committed.sequence.number} of partition {committed.partition}"
            self._differ(f"{where} has other rows than its replay")
        put(self.rows[committed.partition], rows)

    def _expect(self, made: Checkpoint) -> None:
        self.outputs += len(made.publications)
        for publication, value in zip(made.publications, made.values, strict=True):
            place = (publication.topic, partition_of(publication.key, self._brokers.partitions))
            self._expected.setdefault((place, made.partition), []).append((publication.key, value))

    def _compare_outputs(self) -> None:
        """What a reader of committed records sees is what was computed: none missing, none twice, the same bytes."""
        found: dict[tuple[Place, int], list[Content]] = {}
        for place, stream in self._brokers.streams.items():
            if place[0] in (SEQUENCE, STATE):
                continue
            for entry in stream.committed():
                if entry.transaction is not None:
                    found.setdefault((place, entry.transaction.partition), []).append((entry.key, entry.value))
        for key in self._expected.keys() | found.keys():
            wanted, seen = self._expected.get(key, []), found.get(key, [])
            if wanted != seen:
                self._differ(f"{key[0]} from partition {key[1]}: {_described(wanted, seen)}")

    def _compare_ends(self) -> None:
        """Nothing is left that nobody has taken."""
        for partition, reached in enumerate(self.offsets):
            for topic in INPUT_TOPICS:
                end = self._brokers.stream(topic, partition).end()
                if reached.get(topic, 0) != end:
                    self._differ(f"{topic}/{partition} was taken up to {reached.get(topic, 0)} of {end}")
        if self._brokers.has_open:
            self._differ("a transaction was never ended")

    def _differ(self, text: str) -> None:
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(text)


def _described(wanted: list[Content], seen: list[Content]) -> str:
    missing, extra = Counter(wanted) - Counter(seen), Counter(seen) - Counter(wanted)
    if missing or extra:
        return f"{missing.total()} missing, {extra.total()} that nothing leads to"
    return "in another order"
