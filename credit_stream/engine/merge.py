"""Puts the inputs of one partition in order: of all its topics, the record with the lowest timestamp is next.

Ties go by the order of `INPUT_TOPICS` (settings and customers before orders), and within a topic the order of offsets
is never left. A topic with nothing buffered is waited for only while it is known to have more; when all that was known
at the last look has been taken, the rest is the next look's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush, heapreplace

from credit_stream.core.topics import INPUT_TOPICS
from credit_stream.engine.ports import InputRecord, Log

READ_RECORDS_MAX = 500
"""Records of one topic that are buffered at once: nine topics of them stay in the low megabytes."""


class Merge:
    """The inputs of one partition from given offsets on, in the order in which they are to be taken."""

    def __init__(
        self, partition: int, log: Log, offsets: Mapping[str, int], topics: Sequence[str] = INPUT_TOPICS
    ) -> None:
        self._partition = partition
        self._log = log
        self._sources = [
            _Source(topic, rank, partition, log, offsets.get(topic, 0)) for rank, topic in enumerate(topics)
        ]
        self._heads: list[tuple[int, int]] = []
        self._waits = False
        self.look()

    def look(self) -> None:
        """Learns how far the topics reach now. Records that come later are not taken before the next look."""
        ends = self._log.ends(self._partition)
        self._waits = False
        for source in self._sources:
            end = ends[source.topic]
            if end == source.end and not source.is_awaited:
                continue
            source.end = end
            if source.head is None:
                self._open(source)

    def take(self) -> InputRecord | None:
        """The next record; None when all that is known of has been taken, or must be waited for."""
        if self._waits or not self._heads:
            return None
        rank = self._heads[0][1]
        source = self._sources[rank]
        record = source.head
        if source.advance():
            heapreplace(self._heads, (source.timestamp, rank))
        else:
            heappop(self._heads)
            self._waits = source.is_awaited
        return record

    def _open(self, source: _Source) -> None:
        if source.advance():
            heappush(self._heads, (source.timestamp, source.rank))
        elif source.is_awaited:
            self._waits = True


class _Source:
    """One topic: the record at its head, a buffer behind it, and up to where more is known to lie in the log."""

    __slots__ = (
        "_buffer", "_log", "_partition", "_taken",
        "end", "head", "is_awaited", "next_offset", "rank", "timestamp", "topic",
    )  # fmt: skip

    def __init__(self, topic: str, rank: int, partition: int, log: Log, offset: int) -> None:
        self.topic = topic
        self.rank = rank
        self.end = offset
        self.next_offset = offset
        self.head: InputRecord | None = None
        self.timestamp = 0
        self.is_awaited = False
        """More is known to lie in the log, but reading gave nothing yet."""
        self._partition = partition
        self._log = log
        self._buffer: Sequence[InputRecord] = ()
        self._taken = 0

    def advance(self) -> bool:
        """Puts the next record at the head; False when none is known of.

        Clocks of producers differ, so timestamps may fall within a topic; the highest so far counts, which keeps the
        order of offsets.
        """
        if self._taken == len(self._buffer) and not self._fill():
            self.head = None
            return False
        head = self._buffer[self._taken]
        self._taken += 1
        self.head = head
        if head.timestamp > self.timestamp:
            self.timestamp = head.timestamp
        return True

    def _fill(self) -> bool:
        known = self.end - self.next_offset
        if known <= 0:
            self.is_awaited = False
            return False
        self._buffer = self._log.read(self.topic, self._partition, self.next_offset, min(known, READ_RECORDS_MAX))
        self._taken = 0
        self.is_awaited = not self._buffer
        if self.is_awaited:
            return False
        self.next_offset = self._buffer[-1].offset + 1
        return True
