"""Where the partitions of a topic end, as the broker says."""

from __future__ import annotations

import time
from collections.abc import Iterable

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

DEADLINE_S = 60.0
"""For any one question to the broker."""

AGAIN_S = 0.1
_PASSING = frozenset(
    # Right after a topic was made a broker can be a moment behind with what it leads.
    {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART}
)

_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


def ends(admin: AdminClient, topics: Iterable[str], partitions: int) -> list[int]:
    """The last stable offset of each partition: up to here a `read_committed` reader sees everything."""
    wanted = {TopicPartition(topic, partition): _LATEST for topic in topics for partition in range(partitions)}
    if not wanted:
        return []
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return _ask(admin, wanted)
        except KafkaException as error:
            if error.args[0].code() not in _PASSING or time.monotonic() > deadline:
                raise
            time.sleep(AGAIN_S)


def _ask(admin: AdminClient, wanted: dict[TopicPartition, OffsetSpec]) -> list[int]:
    answers = admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED)
    found = {(place.topic, place.partition): answer.result(DEADLINE_S).offset for place, answer in answers.items()}
    return [found[place] for place in sorted(found)]
