"""A partition's log on Kafka: inputs as a host feeds them, checkpoints as transactions, and the changelog."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from credit_stream.core.topics import INPUT_TOPICS
from credit_stream.engine.checkpoint import Changes, Checkpoint, Position
from credit_stream.engine.ports import InputRecord
from credit_stream.hosts.kafka.transaction import TransactionalWriter

RECORDS_MAX = 8_000
"""Inputs of one stream and partition that wait in memory; then the host is to stop reading it (`Stream.is_crowded`)."""
BYTES_MAX = 8 * 1024 * 1024
"""The same in bytes."""
ROOM = 4
"""Reading goes on when a stream is down to so small a part of the bounds."""

UNKNOWN_END = 2**62
"""The end of a stream whose end was not yet seen: further than anything."""

Changelog = Callable[[Position], Iterable[Changes]]
"""What lies in the changelog from a position on."""


class Stream:
    """One input stream of a partition: what was fed and not yet taken. Fed by one thread, taken by another.

    Until its end was once seen it counts as endless, so that a task which catches up waits for it and takes the
    records of all streams in the order of their timestamps. From then on it is live and never waited for.
    """

    __slots__ = (
        "_bytes_fed", "_bytes_taken", "_empty_until", "_fed_end", "_first_end", "_records", "_was_crowded",
        "is_live", "known_end", "next_offset",
    )  # fmt: skip

    def __init__(self) -> None:
        self.next_offset = 0
        """Of the next record to be fed: what lies before it has been fed or taken."""
        self.is_live = False
        self.known_end = 0
        """The end of the stream on the brokers, as far as the host has said."""
        self._records: deque[InputRecord] = deque()
        # Two counts, each written by one thread: a sum that both write loses what the other wrote meanwhile, drifts,
        # and in the end has the stream paused for ever.
        self._bytes_fed = 0
        self._bytes_taken = 0
        self._fed_end = 0
        self._first_end = UNKNOWN_END
        self._empty_until = 0
        self._was_crowded = False

    def begin_at(self, offset: int, end: int) -> None:
        """Nothing before `offset` is going to be fed. What lies before `end` is there already.

        A consumer tells that it is at the end only when nothing comes for a moment. Where inputs come all the time it
        never does (seen with 230 a second), so to have read as far as the end was is enough.
        """
        self.next_offset = offset
        self.known_end = self._first_end = max(offset, end)
        self.is_live = offset >= end

    def feed(self, record: InputRecord) -> bool:
        """Takes a record in; False when it was there before."""
        if record.offset < self.next_offset:
            return False
        self._bytes_fed += len(record.payload)
        self._records.append(record)
        self.next_offset = self._fed_end = record.offset + 1  # Only now: the task looks from another thread.
        if self.next_offset >= self._first_end:
            self.is_live = True
        return True

    def reached_end(self, offset: int) -> bool:
        """All that the stream had was fed; whether that makes it live.

        `offset` may be beyond the last record: the end of a transaction takes one too, and is never fed.
        """
        self.known_end = max(self.known_end, offset)
        self._empty_until = offset
        if self.is_live or offset < self.next_offset:
            return False
        self.is_live = True
        return True

    @property
    def lag(self) -> int:
        """Records that lie on the brokers, as far as is known, and were not taken by the task."""
        return len(self._records) + max(0, self.known_end - max(self.next_offset, self._empty_until))

    @property
    def end(self) -> int:
        """As far as records are to be expected: not before the first was fed, wherever that will lie."""
        return self._fed_end if self.is_live else UNKNOWN_END

    @property
    def oldest_timestamp(self) -> int | None:
        """When the record that waits longest was written, in milliseconds."""
        try:
            return self._records[0].timestamp
        except IndexError:
            return None

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits that no more should be read; once so, until most of it was taken."""
        share = ROOM if self._was_crowded else 1
        waiting_bytes = self._bytes_fed - self._bytes_taken
        self._was_crowded = len(self._records) * share >= RECORDS_MAX or waiting_bytes * share >= BYTES_MAX
        return self._was_crowded

    def take(self, limit: int) -> list[InputRecord]:
        """The oldest, at most so many."""
        records = self._records
        taken = [records.popleft() for _ in range(min(limit, len(records)))]
        self._bytes_taken += sum(len(record.payload) for record in taken)
        return taken


class KafkaLog:
    """`engine.ports.Log` for one partition. It gives each record once: a task that begins anew gets a new log."""

    def __init__(self, writer: TransactionalWriter, changelog: Changelog) -> None:
        self.streams = {topic: Stream() for topic in INPUT_TOPICS}
        self._writer = writer
        self._changelog = changelog
        self._first_ends: Mapping[str, int] | None = None

    def begin_at(self, offsets: Mapping[str, int], ends: Mapping[str, int]) -> None:
        """From where each stream is going to be fed, and for those of the group where each ends now."""
        for topic, offset in offsets.items():
            if topic in ends:
                self.streams[topic].begin_at(offset, ends[topic])
            else:
                self.streams[topic].next_offset = offset

    def is_caught_up(self, taken: Mapping[str, int]) -> bool:
        """Whether all that was there when the last stream became live lies before these offsets.

        Not whether nothing waits: where inputs come all the time, something always does.
        """
        if self._first_ends is None:
            if not all(stream.is_live for stream in self.streams.values()):
                return False
            self._first_ends = {topic: stream.end for topic, stream in self.streams.items()}
        return all(taken.get(topic, 0) >= end for topic, end in self._first_ends.items())

    def ends(self, partition: int) -> Mapping[str, int]:
        """For every input topic, how far records are to be expected."""
        return {topic: stream.end for topic, stream in self.streams.items()}

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """The records that were fed and not yet read. Offsets have gaps where transactions ended."""
        return self.streams[topic].take(limit)

    def commit(self, checkpoint: Checkpoint) -> Position:
        """All of it in one transaction."""
        return self._writer.write(checkpoint)

    def changelog(self, partition: int, position: Position) -> Iterable[Changes]:
        """What the store lacks."""
        return self._changelog(position)
