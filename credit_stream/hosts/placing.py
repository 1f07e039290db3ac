"""Where an input belongs: its topic, its partitions and its key (spec section 2).

Brokers are written to by producers who know that; a line of a file or of an HTTP request has to be placed here, also
one that no event could be made of: it goes where its type says, or to the inbox, and becomes a dead letter there.
"""

from __future__ import annotations

from msgspec import Struct

from credit_stream.core.events import Event
from credit_stream.core.topics import BROADCAST_TOPICS, INBOX, INTERNAL_TOPICS, TOPIC_OF_EVENT
from credit_stream.engine.misplaced import BY_CUSTOMER
from credit_stream.wire.faults import Fault
from credit_stream.wire.keys import key_of, partition_of, target_of

_TOPIC_OF_TYPE = {event_type.__name__: topic for event_type, topic in TOPIC_OF_EVENT.items()}


class Placement(Struct, frozen=True, gc=False):
    """Where an input goes. More than one partition: one record for each, with the same `event_id`."""

    topic: str
    partitions: tuple[int, ...]
    key: str | None


def place(event: Event | Fault, partitions: int) -> Placement:
    """The place of an event that came from outside, or of bytes that are none, among so many partitions."""
    if isinstance(event, Fault):
        return Placement(_TOPIC_OF_TYPE.get(event.event_type or "", INBOX), (0,), None)
    kind = type(event)
    topic = TOPIC_OF_EVENT[kind]
    if topic in INTERNAL_TOPICS:
        return Placement(INBOX, (0,), None)
    if kind in BY_CUSTOMER:
        customer_id: str = event.customer_id  # type: ignore[attr-defined]
        if customer_id:
            return Placement(topic, (partition_of(customer_id, partitions),), customer_id)
    key = key_of(event)
    if topic in BROADCAST_TOPICS:
        return Placement(topic, (0,), key)
    if target_of(event) == "all":
        return Placement(topic, tuple(range(partitions)), key)
    return Placement(topic, (partition_of(key, partitions),), key)


def tasks_of(topic: str, partition: int, partitions: int) -> range:
    """The partition tasks that read a stream: its own, or all where every task reads the one stream."""
    return range(partitions) if topic in BROADCAST_TOPICS else range(partition, partition + 1)


def home_of(topic: str, partition: int) -> int:
    """The partition of a topic in which the inputs of a task lie: its own, or 0 where there is one stream for all."""
    return 0 if topic in BROADCAST_TOPICS else partition
