"""How far the partitions of a system have come, as everybody can see it: from what is committed in `credit.sequence`.

The offsets that the group has committed tell less: not those of settings and clock, which no group reads, and on topics
that tasks write they stay behind the end for ever, because the end of a transaction takes an offset too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from credit_stream.core.topics import BROADCAST_TOPICS, INPUT_TOPICS, INTERNAL_TOPICS, SEQUENCE
from credit_stream.engine import sequence
from credit_stream.engine.sequence import Run
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import kafka_failure
from credit_stream.hosts.kafka.topics import partitions_of

ANSWER_SECONDS_MAX = 30.0
AGAIN_SECONDS = 0.1
RECORDS_MAX = 500
"""Read at once; a record stands for a whole checkpoint."""
GROUP = "-taken"
"""Behind the application id. Nothing is joined or committed; the library wants a name."""

_OF_THE_GROUP = frozenset({"GROUP_AUTHORIZATION_FAILED", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"})
"""The library asks who would look after the group. It does not matter here whether it may."""
_NO_LEADER_YET = frozenset({"NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE"})

Place = tuple[str, int]
"""An input stream and the partition of the task that takes it."""


class Taken:
    """Inputs that lay in the topics when this began, and those that tasks write for each other. Used with `with`."""

    def __init__(self, connection: Connection) -> None:
        """Asks how far the inputs reach. Raises KafkaFailure."""
        self._connection = connection
        self._partitions = partitions_of(connection)
        self._taken: defaultdict[Place, int] = defaultdict(int)
        self._ends: dict[Place, int] = {}
        settings: dict[str, Any] = {
            **connection.client(),
            "group.id": connection.application_id + GROUP,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
        }
        self._consumer = Consumer(settings, logger=QUIET)
        try:
            self._ends.update(self._ends_of_inputs())
            followed = [SEQUENCE, *sorted(INTERNAL_TOPICS)]
            self._consumer.assign([self._place(stream, partition) for stream in followed for partition in self._all])
        except KafkaException as error:
            self._consumer.close()
            raise kafka_failure("asking how far the inputs reach", error.args[0], connection) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    @property
    def total(self) -> int:
        """How many inputs there are for all tasks; settings and clock count for each of them."""
        return sum(self._ends.values())

    @property
    def left(self) -> int:
        """How many of them are not taken yet, by what was read until now."""
        return sum(max(0, end - self._taken[place]) for place, end in self._ends.items())

    def look(self, seconds: float) -> None:
        """Reads for so long what is committed meanwhile. Raises KafkaFailure."""
        for message in self._consumer.consume(RECORDS_MAX, seconds):
            error = message.error()
            if error is None:
                self._note(message)
            elif error.name() not in _OF_THE_GROUP:
                raise kafka_failure("reading what was taken", error, self._connection)

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def _all(self) -> range:
        return range(self._partitions)

    def _ends_of_inputs(self) -> Iterator[tuple[Place, int]]:
        """Of what comes from outside. It comes without transactions, so that an offset is a record."""
        for stream in INPUT_TOPICS:
            for partition in self._all if stream not in INTERNAL_TOPICS else ():
                at = self._place(stream, 0 if stream in BROADCAST_TOPICS else partition)
                yield (stream, partition), self._end(at)

    def _end(self, at: TopicPartition) -> int:
        """A broker that has just started is not at work on all its partitions at once."""
        deadline = monotonic() + ANSWER_SECONDS_MAX
        while True:
            try:
                _, end = self._consumer.get_watermark_offsets(at, ANSWER_SECONDS_MAX)
                return end
            except KafkaException as error:
                if error.args[0].name() not in _NO_LEADER_YET or monotonic() > deadline:
                    raise
                sleep(AGAIN_SECONDS)

    def _place(self, stream: str, partition: int) -> TopicPartition:
        return TopicPartition(self._connection.topic(stream), partition, OFFSET_BEGINNING)

    def _note(self, message: Message) -> None:
        topic, partition, offset, value = message.topic(), message.partition(), message.offset(), message.value()
        assert topic is not None and partition is not None and offset is not None, "a record has a place"
        stream = self._connection.stream(topic)
        if stream != SEQUENCE:
            self._ends[stream, partition] = offset + 1
            return
        assert isinstance(value, bytes), "sequence records have a value"
        for entry in sequence.decode(value).taken:
            if isinstance(entry, Run):
                self._taken[entry.topic, partition] = entry.first_offset + entry.count
