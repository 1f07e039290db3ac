"""The order in which a partition's inputs were taken: one record a checkpoint, enough to replay it byte for byte.

Inputs lie in several topics, and between them a broker keeps no order; ticks lie in no topic at all. This record has
both: runs of offsets, and ticks in their place. It is encoded with MessagePack, by position: nothing outside the
engine reads it, its shape is as internal as the rows', and runs of three small integers are what MessagePack is
good at.
"""

from __future__ import annotations

from msgspec import Struct, msgpack

from credit_stream.core.calendar import Instant

FORMAT = 1
_TICK = -1


class Run(Struct, frozen=True, gc=False):
    """`count` records of a topic from `first_offset` on, taken one after the other."""

    topic: str
    first_offset: int
    count: int


class Tick(Struct, frozen=True, gc=False):
    """The task moved its clock to `instant`."""

    instant: Instant


class SequenceRecord(Struct, frozen=True):
    """What the checkpoint `number` of a partition took, in order. The first checkpoint has number 0."""

    partition: int
    number: int
    taken: tuple[Run | Tick, ...]

    @property
    def has_ticks(self) -> bool:
        """Whether the clock was moved in it."""
        return any(type(entry) is Tick for entry in self.taken)


class SequenceUnreadable(ValueError):
    """A `credit.sequence` record is of a format that this release does not know."""


class _Written(Struct, frozen=True, array_like=True):
    """The record as it is written: topics once, entries as (topic's index, first offset, count) or (-1, instant, 0)."""

    format: int
    partition: int
    number: int
    topics: tuple[str, ...]
    taken: tuple[tuple[int, int, int], ...]


class SequenceBuilder:
    """Collects what a batch takes. Cheap for each record: only a change of topic makes a new run."""

    __slots__ = ("_first", "_next", "_taken", "_topic")

    def __init__(self) -> None:
        self._taken: list[Run | Tick] = []
        self._topic = ""
        self._first = 0
        self._next = 0

    def take(self, topic: str, offset: int) -> None:
        """The record at `offset` was taken."""
        if offset == self._next and topic == self._topic:
            self._next += 1
            return
        self._end_run()
        self._topic = topic
        self._first = offset
        self._next = offset + 1

    def tick(self, instant: Instant) -> None:
        """The clock was moved."""
        self._end_run()
        self._taken.append(Tick(instant))

    def record(self, partition: int, number: int) -> SequenceRecord:
        """All of it, as the record of a checkpoint."""
        self._end_run()
        return SequenceRecord(partition, number, tuple(self._taken))

    def _end_run(self) -> None:
        if self._topic:
            self._taken.append(Run(self._topic, self._first, self._next - self._first))
        self._topic = ""


def encode(record: SequenceRecord) -> bytes:
    """The bytes of a `credit.sequence` record."""
    topics: dict[str, int] = {}
    taken = tuple(
        (_TICK, entry.instant, 0)
        if isinstance(entry, Tick)
        else (topics.setdefault(entry.topic, len(topics)), entry.first_offset, entry.count)
        for entry in record.taken
    )
    return msgpack.encode(_Written(FORMAT, record.partition, record.number, tuple(topics), taken))


def decode(data: bytes) -> SequenceRecord:
    """The record of these bytes. Raises `SequenceUnreadable`."""
    try:
        written = msgpack.decode(data, type=_Written)
    except ValueError as error:
        raise SequenceUnreadable(f"a credit.sequence record cannot be read ({error}); the log is damaged") from error
    if written.format != FORMAT:
        raise SequenceUnreadable(
            f"a credit.sequence record has format {written.format}, this release knows {FORMAT}: use a newer release"
        )
    taken = tuple(
        Tick(first) if topic == _TICK else Run(written.topics[topic], first, count)
        for topic, first, count in written.taken
    )
    return SequenceRecord(written.partition, written.number, taken)
