"""Reads topics as others see them: committed records only, from the beginning, outside of any consumer group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import monotonic
from types import TracebackType

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from msgspec import Struct

from credit_stream.hosts.kafka.admin import QUIET, ClusterAdmin, Complaints
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import ReadingFailed, WrongTopics, kafka_failure

POLL_SECONDS = 0.2
FETCH_WAIT_MS = 50
"""So long a broker waits for something new before it says that this is the end; with the library's 500 each empty
partition takes a second."""
SILENCE_SECONDS_MAX = 30.0
"""Without a record or an end; then the brokers are taken to be gone."""
GROUP = "-reader"
"""Behind the application id. Nothing is joined or committed; the library wants a name."""

_OF_THE_GROUP = frozenset({"GROUP_AUTHORIZATION_FAILED", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"})
"""The library asks who would look after the group. It does not matter here whether it may."""


class Record(Struct, frozen=True, gc=False):
    """One record as it lies in a topic."""

    stream: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None

    @property
    def place(self) -> str:
        """Where it lies: `credit.decisions/0/12`."""
        return f"{self.stream}/{self.partition}/{self.offset}"


class TopicReader:
    """Reads the topics of some streams; used with `with`."""

    def __init__(self, connection: Connection, streams: tuple[str, ...]) -> None:
        """Asks for the partitions. Raises WrongTopics when there is no such topic, and KafkaFailure."""
        self._connection = connection
        self._doing = f"reading {', '.join(streams)}"
        self._partitions = _partitions(connection, streams)
        self._complaints = Complaints()
        settings = {
            **connection.client(),
            "error_cb": self._complaints,
            "group.id": connection.application_id + GROUP,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": FETCH_WAIT_MS,
        }
        self._consumer = Consumer(settings, logger=QUIET)

    def __enter__(self) -> TopicReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def records(self, *, follow: bool = False) -> Iterator[Record]:
        """All records that there are, those of a partition in their order; with `follow` also what comes later."""
        everything = [(stream, partition) for stream, count in self._partitions.items() for partition in range(count)]
        yield from self._read(everything, follow)

    def records_by_partition(self) -> Iterator[Record]:
        """All records that there are, one partition after the other: the same at each call."""
        for stream, count in self._partitions.items():
            for partition in range(count):
                yield from self._read([(stream, partition)], follow=False)

    def _read(self, places: list[tuple[str, int]], follow: bool) -> Iterator[Record]:
        topic = self._connection.topic
        self._consumer.assign(
            [TopicPartition(topic(stream), partition, OFFSET_BEGINNING) for stream, partition in places]
        )
        unread = set(places)
        heard_at = monotonic()
        while follow or unread:
            message = self._consumer.poll(POLL_SECONDS)
            if message is None:
                if not follow or self._complaints.are_final:
                    self._raise_silence(monotonic() - heard_at)
                continue
            heard_at = monotonic()
            error = message.error()
            if error is None:
                yield self._record(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(self._place(message))
            elif error.name() not in _OF_THE_GROUP:
                raise kafka_failure(self._doing, error, self._connection, self._complaints.last)

    def _place(self, message: Message) -> tuple[str, int]:
        topic, partition = message.topic(), message.partition()
        assert topic is not None and partition is not None, "a message of the consumer has a place"
        return self._connection.stream(topic), partition

    def _record(self, message: Message) -> Record:
        stream, partition = self._place(message)
        offset = message.offset()
        assert offset is not None, "a message of the consumer has an offset"
        return Record(stream, partition, offset, message.timestamp()[1], _bytes(message.key()), _bytes(message.value()))

    def _raise_silence(self, seconds: float) -> None:
        said = self._complaints.last
        if said is not None and (self._complaints.are_final or seconds > SILENCE_SECONDS_MAX):
            raise kafka_failure(self._doing, said, self._connection)
        if seconds > SILENCE_SECONDS_MAX:
            raise ReadingFailed(
                f"{self._doing} failed: no record and no end came for {SILENCE_SECONDS_MAX:.0f} s. "
                "See that every partition has a leader, and try again."
            )


def _partitions(connection: Connection, streams: tuple[str, ...]) -> Mapping[str, int]:
    names = {connection.topic(stream): stream for stream in streams}
    found = ClusterAdmin(connection).topics(list(names))
    missing = sorted(name for name, topic in found.items() if topic is None)
    if missing:
        raise WrongTopics(
            [
                f"There is no topic {name}; look at topic_prefix, or make it: credit-stream topics create"
                for name in missing
            ]
        )
    return {names[name]: topic.partitions for name, topic in found.items() if topic is not None}


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
