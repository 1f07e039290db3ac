"""The simulated brokers: streams of records, transactions, fencing, committed offsets and the changelog, in lists.

What a real cluster does that matters to an engine is here: a transaction leaves its records in the streams from the
moment they are produced, readers of committed records stop before the first one that is still open, aborted records
and the marker that ends a transaction leave gaps in the offsets, whoever opens a partition ends the open transaction of
the one before it and fences him, and the changelog is compacted under its readers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import msgpack

from credit_stream.core.topics import BROADCAST_TOPICS, SEQUENCE, STATE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import Checkpoint, Position
from credit_stream.wire.keys import partition_of

Place = tuple[str, int]
"""Topic and partition."""

POSITION_KEY = b"\x00"
"""Of the record that ends each checkpoint in the changelog."""


class Fenced(Exception):
    """Another one has the partition now."""


@dataclass(eq=False)
class Transaction:
    """What one owner of a partition writes at once. `order` is its place among all that were committed."""

    partition: int
    epoch: int
    state: str = "open"
    order: int = -1
    offsets: dict[str, int] = field(default_factory=dict)
    places: dict[Place, None] = field(default_factory=dict)


@dataclass(eq=False)
class Entry:
    """A record. Without a transaction it is there at once; the marker of a transaction is never seen."""

    offset: int
    timestamp: int
    key: bytes | str | None
    value: bytes | None
    transaction: Transaction | None = None
    is_marker: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet if anybody will see it."""
        return self.transaction is not None and self.transaction.state == "open"

    @property
    def is_seen(self) -> bool:
        """Whether a reader of committed records sees it."""
        return not self.is_marker and (self.transaction is None or self.transaction.state == "committed")


class Stream:
    """One partition of a topic."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._stable_end = 0
        self._stable: list[Entry] = []
        self._offsets: list[int] = []

    def append(
        self, timestamp: int, key: bytes | str | None, value: bytes | None, transaction: Transaction | None = None
    ) -> Entry:
        """A new record at the end."""
        entry = Entry(len(self.entries), timestamp, key, value, transaction)
        self.entries.append(entry)
        return entry

    def end_transaction(self, timestamp: int) -> None:
        """The marker of a transaction takes an offset too."""
        self.append(timestamp, None, None).is_marker = True

    def stable(self) -> list[Entry]:
        """The committed records before the first that is still open, without those that were compacted away."""
        while self._stable_end < len(self.entries) and not self.entries[self._stable_end].is_open:
            entry = self.entries[self._stable_end]
            self._stable_end += 1
            if entry.is_seen:
                self._stable.append(entry)
                self._offsets.append(entry.offset)
        return self._stable

    def end(self) -> int:
        """After the last committed record."""
        stable = self.stable()
        return stable[-1].offset + 1 if stable else 0

    def read(self, offset: int, limit: int, end: int) -> list[Entry]:
        """At most so many committed records from an offset on, before the end."""
        stable = self.stable()
        first = bisect_left(self._offsets, offset)
        last = min(first + limit, bisect_left(self._offsets, end))
        return stable[first:last]

    def count(self, first: int, end: int) -> int:
        """How many committed records lie between two offsets."""
        self.stable()
        return bisect_left(self._offsets, end) - bisect_left(self._offsets, first)

    def offset_after(self, offset: int, records: int) -> int:
        """The offset after so many committed records from one on, or after the last that there is."""
        stable = self.stable()
        last = min(bisect_left(self._offsets, offset) + records, len(stable)) - 1
        return max(offset, stable[last].offset + 1) if last >= 0 else offset

    def compact(self, end: int) -> None:
        """Forgets what was written again before an offset. Readers that stand in the middle see only what is left."""
        newest = {entry.key: entry.offset for entry in self.stable() if entry.offset < end}
        kept = [entry for entry in self._stable if entry.offset >= end or newest[entry.key] == entry.offset]
        self._stable = kept
        self._offsets = [entry.offset for entry in kept]

    def committed(self) -> Iterator[Entry]:
        """All records that were ever committed, compacted or not."""
        return (entry for entry in self.entries if entry.is_seen)


class Brokers:
    """All streams, and who may write for a partition."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.now = 0
        """What the brokers' clock shows."""
        self.streams: dict[Place, Stream] = {}
        self.offsets: list[dict[str, int]] = [{} for _ in range(partitions)]
        """Of each partition, how far the group has come by what was committed."""
        self.commits = 0
        self._epochs = [0] * partitions
        self._open: dict[int, Transaction] = {}

    def stream(self, topic: str, partition: int) -> Stream:
        """The stream in which the inputs of a task lie; one for all where everybody reads the same."""
        place = (topic, 0 if topic in BROADCAST_TOPICS else partition)
        found = self.streams.get(place)
        if found is None:
            found = self.streams[place] = Stream()
        return found

    def send(self, topic: str, partition: int, timestamp: int, key: str | None, value: bytes) -> None:
        """What comes from outside."""
        self.stream(topic, partition).append(timestamp, key, value)

    # --- transactions -------------------------------------------------------------------------------------------

    def fence(self, partition: int) -> int:
        """Ends what the owner before had open, and shuts him out. The epoch of the new one."""
        left = self._open.pop(partition, None)
        if left is not None:
            self._end(left, "aborted")
        self._epochs[partition] += 1
        return self._epochs[partition]

    def begin(self, partition: int, epoch: int) -> Transaction:
        """A new transaction."""
        self.demand(partition, epoch)
        transaction = Transaction(partition, epoch)
        self._open[partition] = transaction
        return transaction

    def produce(self, transaction: Transaction, checkpoint: Checkpoint, records_max: int | None = None) -> int:
        """Writes what a checkpoint holds, or only its first records; where its changelog ends."""
        self.demand(transaction.partition, transaction.epoch)
        for topic, partition, key, value in list(self._records(checkpoint))[:records_max]:
            self._append(transaction, (topic, partition), key, value)
        return len(self.stream(STATE, transaction.partition).entries)

    def send_offsets(self, transaction: Transaction, position: Position) -> None:
        """The source offsets go with the transaction."""
        self.demand(transaction.partition, transaction.epoch)
        transaction.offsets = {
            topic: offset for topic, offset in position.offsets.items() if topic not in BROADCAST_TOPICS
        }

    def commit(self, transaction: Transaction) -> None:
        """All of it becomes visible."""
        self.demand(transaction.partition, transaction.epoch)
        self._open.pop(transaction.partition, None)
        transaction.order = self.commits
        self.commits += 1
        self.offsets[transaction.partition].update(transaction.offsets)
        self._end(transaction, "committed")

    def abort(self, transaction: Transaction) -> None:
        """None of it ever does."""
        self.demand(transaction.partition, transaction.epoch)
        self._open.pop(transaction.partition, None)
        self._end(transaction, "aborted")

    def demand(self, partition: int, epoch: int) -> None:
        """Raises `Fenced` for one that has been shut out."""
        if not self.is_owner(partition, epoch):
            raise Fenced(f"partition {partition}, epoch {epoch}: another one is at {self._epochs[partition]}")

    def is_owner(self, partition: int, epoch: int) -> bool:
        """Whether nobody has opened the partition since."""
        return self._epochs[partition] == epoch

    @property
    def has_open(self) -> bool:
        """Whether some transaction has neither been committed nor aborted."""
        return bool(self._open)

    def _end(self, transaction: Transaction, state: str) -> None:
        transaction.state = state
        for topic, partition in transaction.places:
            self.stream(topic, partition).end_transaction(self.now)

    def _append(self, transaction: Transaction, place: Place, key: bytes | str, value: bytes | None) -> None:
        transaction.places[place] = None
        self.stream(*place).append(self.now, key, value, transaction)

    def _records(self, checkpoint: Checkpoint) -> Iterator[tuple[str, int, bytes | str, bytes | None]]:
        """Outputs and requests in the order in which they arose, the order of inputs, then the rows and the position.

        The position comes last: where it lies, the changelog of the checkpoint ends.
        """
        own = checkpoint.partition
        for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
            yield publication.topic, partition_of(publication.key, self.partitions), publication.key, value
        yield SEQUENCE, own, str(own), sequence.encode(checkpoint.sequence)
        for key, row in checkpoint.changes.encoded():
            yield STATE, own, key, row
        yield STATE, own, POSITION_KEY, msgpack.encode(checkpoint.changes.position)
