"""Questions to brokers that may be in the middle of something: asked again until there is an answer or no time is left.

Librdkafka asks again by itself where it writes and reads; where it is asked once for an offset it gives the first
answer. After a topic was made, a broker was restarted or a leader has moved, that is "not leader" for a moment, and the
worker that was just being given the partition would end with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicPartition

T = TypeVar("T")

AGAIN_SECONDS = 0.1

PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)
"""What another try may help against. `KafkaError.retriable` says it of transactions only."""


def answered(places: list[TopicPartition]) -> list[TopicPartition]:
    """The answer for several places. What failed for one stands beside it there, and would pass for "no offset"."""
    for each in places:
        if each.error is not None:
            raise KafkaException(each.error)
    return places


def patiently(question: Callable[[float], T], seconds_max: float) -> T:
    """The answer to a question, which is given the seconds that are left. Raises KafkaException when there is none."""
    deadline = time.monotonic() + seconds_max
    while True:
        left = deadline - time.monotonic()
        try:
            return question(max(left, AGAIN_SECONDS))
        except KafkaException as error:
            if error.args[0].code() not in PASSING or left <= 0:
                raise
        time.sleep(AGAIN_SECONDS)
