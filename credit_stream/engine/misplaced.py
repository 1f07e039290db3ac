"""Tells an event that lies where it does not belong: on the topic of others, or in the partition of others.

Where producers write the topics themselves, one may hash keys otherwise than everybody else (librdkafka does by
default, with CRC32): rows of one customer would be in two partitions, and its limit would be given twice. And who may
write orders may not therefore write commands. So such an event is a dead letter (spec 2 and 12, interface section 1).
"""

from __future__ import annotations

from credit_stream.core.events import Event
from credit_stream.core.topics import BROADCAST_TOPICS, COMMANDS, GROUP_REQUESTS, TOPIC_OF_EVENT
from credit_stream.engine.ports import InputRecord
from credit_stream.wire.keys import key_of, partition_of, target_of

NOT_BY_CUSTOMER = BROADCAST_TOPICS | {COMMANDS, GROUP_REQUESTS}
BY_CUSTOMER = frozenset(
    kind
    for kind, topic in TOPIC_OF_EVENT.items()
    if topic not in NOT_BY_CUSTOMER and "customer_id" in kind.__struct_fields__
)
"""Nearly all that comes, so these are told without asking for the target."""


def misplaced(event: Event, record: InputRecord, partitions: int) -> str | None:
    """What is wrong with the place of an event, and what to do; None when it lies where it belongs."""
    kind = type(event)
    topic = TOPIC_OF_EVENT[kind]
    if topic != record.topic:
        return f"{kind.__name__} belongs on {topic} and came on {record.topic}: send it there."
    if kind in BY_CUSTOMER:
        key: str = event.customer_id  # type: ignore[attr-defined]
    elif topic in BROADCAST_TOPICS or target_of(event) == "all":
        return None
    else:
        key = key_of(event)
    home = partition_of(key, partitions)
    if home == record.partition:
        return None
    return (
        f"What has the key {key!r} belongs in partition {home} of {partitions} and came in partition "
        f"{record.partition}. Have the producer use that key and the partitioner murmur2 "
        "(murmur2_random in librdkafka), and send it again."
    )
