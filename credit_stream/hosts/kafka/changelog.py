"""Reading `credit.state`: what a store lacks of the rows of its partition (design section 3, point 4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import msgpack

from credit_stream.core.topics import STATE
from credit_stream.engine.checkpoint import Changes, Position
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failpoints import reach
from credit_stream.hosts.kafka.failures import BrokersLost
from credit_stream.hosts.kafka.patience import PASSING, answered, patiently

POSITION_KEY = b"\x00"
"""Of the record in `credit.state` with which each checkpoint ends there. No row has this key: the first byte of a row's
is the length of its table's name."""
CHUNK_ROWS = 5_000
"""Rows that are written to the store at once while it is restored."""
SILENCE_SECONDS_MAX = 60.0
"""So long may the brokers be without an answer while a partition is restored."""
QUERY_SECONDS_MAX = 30.0
TOMBSTONES_KEPT_MS = 7 * 86_400_000
"""`delete.retention.ms` of the changelog: so long it still says that a row was deleted."""
FORGOTTEN_AFTER_MS = TOMBSTONES_KEPT_MS // 2
"""What a store lacks must be younger than this, with a margin for clocks that differ."""

Entries = list[tuple[bytes, bytes | None]]


class ChangelogReader:
    """Reads the changelog of one partition, once, up to where it ended when this was made.

    It is made after the partition's former owner was fenced: from then on nobody else can lengthen the changelog.
    """

    def __init__(self, connection: Connection, partition: int) -> None:
        self._place = TopicPartition(connection.topic(STATE), partition)
        self._consumer = Consumer(_settings(connection), logger=QUIET)
        self._heard_at = time.monotonic()
        try:
            _, self.end = patiently(
                lambda seconds: self._consumer.get_watermark_offsets(self._place, seconds), QUERY_SECONDS_MAX
            )
            self.kept_from = self._first_since(int(time.time() * 1000) - FORGOTTEN_AFTER_MS)
            """From here on all rows that were deleted are still told."""
        except KafkaException as error:
            self._consumer.close()
            raise BrokersLost(f"The ends of {self._place.topic} are not to be had: {error.args[0].str()}.") from error

    def _first_since(self, timestamp_ms: int) -> int:
        topic, partition = self._place.topic, self._place.partition
        asked = [TopicPartition(topic, partition, timestamp_ms)]
        (found,) = patiently(
            lambda seconds: answered(self._consumer.offsets_for_times(asked, seconds)), QUERY_SECONDS_MAX
        )
        # The last offset may be the end of a transaction, which is no row.
        return int(found.offset) if found.offset >= 0 else max(0, self.end - 1)

    def close(self) -> None:
        """Lets go of the connections."""
        self._consumer.close()

    def has_grown(self) -> bool:
        """Whether somebody has written since this was made: then another worker has the partition."""
        _, end = patiently(
            lambda seconds: self._consumer.get_watermark_offsets(self._place, seconds), QUERY_SECONDS_MAX
        )
        return bool(end > self.end)

    def read(self, position: Position, go_on: Callable[[int, int], None]) -> Iterator[Changes]:
        """The changes from a position on, in chunks of rows; only with the last are they those of one moment.

        `go_on` is called with the rows of each chunk and the offset reached, and may raise to end the reading.
        """
        if position.changelog >= self.end:
            return
        self._consumer.assign([TopicPartition(self._place.topic, self._place.partition, position.changelog)])
        number, offsets = position.number, position.offsets
        reached = position.changelog
        while reached < self.end:
            entries, last_position, reached = self._chunk(reached)
            if last_position is not None:
                number, offsets = last_position.number, last_position.offsets
            go_on(len(entries), reached)
            yield Changes.of_bytes(entries, Position(number, offsets, reached))
            reach("open.restoring")

    def end_of_rows(self, begin: int) -> int:
        """The offset after the last committed record, or `begin` if there is none from there on."""
        end = reached = begin
        if begin < self.end:
            self._consumer.assign([TopicPartition(self._place.topic, self._place.partition, begin)])
        while reached < self.end:
            for message in self._messages():
                error = message.error()
                if error is None:
                    end = reached = cast(int, message.offset()) + 1
                else:
                    reached = max(reached, self._after(error, message, reached))
        return end

    def _chunk(self, reached: int) -> tuple[Entries, Position | None, int]:
        """Some rows, the newest position among them, and the offset after them."""
        entries: Entries = []
        position: Position | None = None
        for message in self._messages():
            error = message.error()
            if error is not None:
                reached = max(reached, self._after(error, message, reached))
                continue
            key, value = cast(bytes, message.key()), message.value()
            reached = cast(int, message.offset()) + 1
            if key == POSITION_KEY and value is not None:
                position = msgpack.decode(value, type=Position)
            else:
                entries.append((key, value))
        return entries, position, reached

    def _messages(self) -> list[Message]:
        messages: list[Message] = self._consumer.consume(CHUNK_ROWS, 0)
        if not messages:
            # `consume` waits for all that it was asked for; `poll` gives the first that comes.
            message = self._consumer.poll(SILENCE_SECONDS_MAX)
            messages = [] if message is None else [message]
        if any(message.error() is None for message in messages):
            self._heard_at = time.monotonic()
        if not messages:
            raise self._silence()
        return messages

    def _after(self, error: KafkaError, message: Message, reached: int) -> int:
        """The end of a transaction takes an offset, and shows itself only at the end of the partition."""
        if error.code() == KafkaError._PARTITION_EOF:
            return cast(int, message.offset())
        if error.code() not in PASSING:
            raise BrokersLost(f"{self._place.topic} is not to be read: {error.str()}.")
        if time.monotonic() - self._heard_at > SILENCE_SECONDS_MAX:
            raise self._silence()
        return reached  # The consumer goes on by itself when a leader has moved or a broker is back.

    def _silence(self) -> BrokersLost:
        return BrokersLost(
            f"No record of {self._place.topic}/{self._place.partition} came for {SILENCE_SECONDS_MAX:.0f} s "
            "while it was read. See that the brokers are up."
        )


def _settings(connection: Connection) -> dict[str, Any]:
    return {
        **connection.client(),
        "group.id": connection.application_id,  # librdkafka wants one; nothing is committed under it here.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "check.crcs": True,
        "fetch.queue.backoff.ms": 5,
        "fetch.wait.max.ms": 20,  # Short: the end of the partition is waited for.
    }
