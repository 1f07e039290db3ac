"""From where the inputs of a partition are to be read: after what its rows have seen, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from credit_stream.core.topics import BROADCAST_TOPICS, INPUT_TOPICS
from credit_stream.engine.checkpoint import Position
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import ChangelogLost, InputsLost, kafka_failure
from credit_stream.hosts.kafka.patience import answered, patiently

QUERY_SECONDS_MAX = 30.0


class Positions:
    """Compares what a partition has taken with what the brokers have, and with what the group has committed."""

    def __init__(self, connection: Connection, partition: int) -> None:
        self._connection = connection
        self._partition = partition
        self._consumer = Consumer(
            {**connection.client(), "group.id": connection.application_id, "enable.auto.commit": False}, logger=QUIET
        )

    def close(self) -> None:
        """Lets go of the connections."""
        self._consumer.close()

    def to_read_from(self, position: Position) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """For each stream of the group the offset from which it is to be read, and where it ends now.

        A stream that was never read begins with what it still has. Raises `InputsLost` when some were deleted unread,
        `ChangelogLost` when the group is further than the rows.
        """
        topics = [topic for topic in INPUT_TOPICS if topic not in BROADCAST_TOPICS]
        try:
            committed = self._committed(topics)
            bounds = {topic: self._bounds(topic) for topic in topics}
        except KafkaException as error:
            raise kafka_failure(
                f"asking for the offsets of partition {self._partition}", error.args[0], self._connection
            ) from error
        for topic in topics:
            self._compare(topic, position.offsets.get(topic), *bounds[topic], committed[topic])
        offsets = {topic: position.offsets.get(topic, bounds[topic][0]) for topic in topics}
        return offsets, {topic: end for topic, (_, end) in bounds.items()}

    def _compare(self, topic: str, reached: int | None, begin: int, end: int, committed: int) -> None:
        place = f"{self._connection.topic(topic)}/{self._partition}"
        if reached is not None and end < reached:
            raise InputsLost(
                f"{place} was taken up to offset {reached} and ends at {end}: the topic was made anew, or its newest "
                "records were lost with a broker. What comes now would be taken for what was taken then. Bring the old "
                "topic back, or replay what you have into new topics under another topic prefix."
            )
        if reached is not None and begin > reached:
            raise InputsLost(
                f"{place} was taken up to offset {reached} and begins at {begin}: what lay between was deleted unread. "
                "Bring those records back if you can, and set the topic's retention to unlimited "
                "(`credit-stream topics check` tells). To go on without them is a decision for people: replay what "
                "you have into new topics under another topic prefix."
            )
        if committed > (reached or 0):
            raise ChangelogLost(
                f"The group has taken {place} up to offset {committed}, the rows in the changelog only up to "
                f"{reached or 0}. Was {self._connection.topic('credit.state')} deleted, or were the offsets of the "
                "group moved by hand? Deciding again what was decided would publish it twice. Put the group's offsets "
                "back, or replay into new topics under another topic prefix."
            )

    def _committed(self, topics: list[str]) -> dict[str, int]:
        asked = [TopicPartition(self._connection.topic(topic), self._partition) for topic in topics]
        found = patiently(lambda seconds: answered(self._consumer.committed(asked, seconds)), QUERY_SECONDS_MAX)
        return {self._connection.stream(each.topic): max(0, each.offset) for each in found}

    def _bounds(self, topic: str) -> tuple[int, int]:
        """The offset of the first record and the one after the last."""
        place = TopicPartition(self._connection.topic(topic), self._partition)
        return patiently(lambda seconds: self._consumer.get_watermark_offsets(place, seconds), QUERY_SECONDS_MAX)
