"""What goes into a cluster while workers are killed, and how far they have come."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from threading import Event as Signal
from threading import Thread
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from credit_stream.core.events import Event
from credit_stream.core.topics import BROADCAST_TOPICS, COMMANDS, INTERNAL_TOPICS, ORDERS, PAYMENTS
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS
from credit_stream.hosts.placing import place
from credit_stream.wire.avro import encode_event

ANSWER_SECONDS_MAX = 30.0
FLUSH_SECONDS_MAX = 120.0
POISON_EVERY = 400
"""So many events to one message that nobody can read: dead letters too must be there once."""
OUTSIDE_TOPICS = tuple(topic for topic in GROUP_TOPICS if topic not in INTERNAL_TOPICS)
"""What only we write to."""

Place = tuple[str, int]
"""Stream and partition."""


class Sender:
    """Sends events into a cluster as other systems would. It doubles nothing itself, also when a broker dies."""

    def __init__(self, connection: Connection, partitions: int, events: Iterator[Event], seed: int) -> None:
        self._connection = connection
        self._partitions = partitions
        self._events = events
        self._chance = random.Random(seed)
        self._stopped = Signal()
        self._thread: Thread | None = None
        self._fault: BaseException | KafkaError | None = None
        self.sent = 0
        """Records, not events: some go to every partition."""
        settings: dict[str, Any] = {
            **connection.client(),
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
            "message.timeout.ms": 0,  # As patient as it takes for a broker to come back.
            "linger.ms": 2,
            "log_level": 0,
        }
        self._producer = Producer(settings)

    def send(self, count: int) -> None:
        """The next events, and waits until the brokers have them."""
        for event in islice(self._events, count):
            placed = place(event, self._partitions)
            value = encode_event(event)
            for partition in placed.partitions:
                self._produce(placed.topic, value, placed.key, partition, event.occurred_at)
            if self._chance.randrange(POISON_EVERY) == 0:
                self._poison(event.occurred_at)
        left = self._producer.flush(FLUSH_SECONDS_MAX)
        if left or self._fault is not None:
            raise AssertionError(f"{left} events were not taken by the brokers: {self._fault}")

    def start(self, events_a_second: float) -> None:
        """Goes on sending in a thread, in batches of all sizes, on average so many a second."""
        self._stopped.clear()
        self._thread = Thread(target=self._run, args=(events_a_second,), name="sender", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and raises what went wrong in it."""
        if self._thread is None:
            return
        self._stopped.set()
        self._thread.join()
        self._thread = None
        if isinstance(self._fault, BaseException):
            raise self._fault

    def _run(self, events_a_second: float) -> None:
        try:
            while not self._stopped.is_set():
                count = int(self._chance.choice((1, 5, 20, 100, 1_000)) * self._chance.uniform(0.5, 1.5)) + 1
                self.send(count)
                self._stopped.wait(count / events_a_second)
        except BaseException as error:
            self._fault = error

    def _produce(self, stream: str, value: bytes, key: str | None, partition: int, timestamp: int) -> None:
        topic = self._connection.topic(stream)
        self._producer.produce(topic, value, key, partition, timestamp=timestamp, on_delivery=self._delivered)
        self.sent += 1

    def _poison(self, timestamp: int) -> None:
        stream = self._chance.choice((ORDERS, PAYMENTS, COMMANDS))
        value = self._chance.randbytes(self._chance.randrange(1, 40))
        self._produce(stream, value, "poison", self._chance.randrange(self._partitions), timestamp)

    def _delivered(self, error: KafkaError | None, message: object) -> None:
        if error is not None and self._fault is None:
            self._fault = error


class Group:
    """What the group of the workers has taken, as the brokers know it. One thread at a time."""

    def __init__(self, connection: Connection, partitions: int) -> None:
        self._connection = connection
        self._places = [(stream, partition) for stream in GROUP_TOPICS for partition in range(partitions)]
        # Uncommitted: else the brokers answer only when no transaction is open, and killed workers leave some.
        self._open = _consumer(connection, "read_uncommitted")
        self._stable = _consumer(connection, "read_committed")
        self._progress = 0

    def close(self) -> None:
        """Lets go of the connections."""
        self._open.close()
        self._stable.close()

    def taken(self) -> dict[Place, int]:
        """The committed offset of each stream and partition; 0 where there is none."""
        found = self._open.committed(self._topic_partitions(self._places), ANSWER_SECONDS_MAX)
        return {(self._connection.stream(each.topic), each.partition): max(0, each.offset) for each in found}

    def progress(self) -> int:
        """A number that rises with every input that is taken; the last known where the brokers give no answer."""
        with suppress(KafkaException):
            self._progress = sum(self.taken().values())
        return self._progress

    def has_taken_all(self) -> bool:
        """Whether nothing is left to take, also of what the tasks send each other.

        First the streams from outside: whoever took their last input has written what follows from it to the others
        before that. Those are looked at twice: what came while they were looked at may have led to more.
        """
        try:
            taken = self.taken()
            if any(taken[each] < self._ends(self._open, each) for each in self._places if each[0] in OUTSIDE_TOPICS):
                return False
            inside = [each for each in self._places if each[0] in INTERNAL_TOPICS]
            ends = {each: self._ends(self._open, each) for each in inside}
            taken = self.taken()
            return all(
                self._ends(self._stable, each) == ends[each] and not self._has_more(each, taken[each], ends[each])
                for each in inside
            ) and ends == {each: self._ends(self._open, each) for each in inside}
        except KafkaException:
            return False

    def _ends(self, consumer: Consumer, where: Place) -> int:
        (asked,) = self._topic_partitions([where])
        _, end = consumer.get_watermark_offsets(asked, ANSWER_SECONDS_MAX)
        return cast(int, end)

    def _has_more(self, where: Place, offset: int, end: int) -> bool:
        """Whether there is a record from the offset on: the end of a transaction takes an offset and is none."""
        if offset >= end:
            return False
        (asked,) = self._topic_partitions([where])
        asked.offset = offset
        self._stable.assign([asked])
        try:
            message = self._stable.poll(ANSWER_SECONDS_MAX)
            return message is None or message.error() is None
        finally:
            self._stable.unassign()

    def _topic_partitions(self, places: list[Place]) -> list[TopicPartition]:
        return [TopicPartition(self._connection.topic(stream), partition) for stream, partition in places]


def ends(connection: Connection, streams: Sequence[str], partitions: int) -> dict[Place, int]:
    """Where the next record would lie, whether those before it were committed or not: it moves with any writing."""
    consumer = _consumer(connection, "read_uncommitted")
    found: dict[Place, int] = {}
    try:
        for stream in streams:
            for partition in range(1 if stream in BROADCAST_TOPICS else partitions):
                asked = TopicPartition(connection.topic(stream), partition)
                found[stream, partition] = consumer.get_watermark_offsets(asked, ANSWER_SECONDS_MAX)[1]
    finally:
        consumer.close()
    return found


def _consumer(connection: Connection, isolation_level: str) -> Consumer:
    settings: dict[str, Any] = {
        **connection.client(),
        "group.id": connection.application_id,  # It asks for the group's offsets and never joins.
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": isolation_level,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 50,
        "log_level": 0,
    }
    return Consumer(settings)
