"""Which partition a record belongs to: its key, and Kafka's partitioner (spec 2, interface section 1).

Everything of one customer must meet in one partition whoever wrote it, so every producer hashes the same key with
murmur2: librdkafka calls it `murmur2_random`, the Java client has it by default.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal

from credit_stream.core import events
from credit_stream.core.calendar import iso
from credit_stream.core.events import Event
from credit_stream.core.topics import GROUP_REQUESTS, TOPIC_OF_EVENT
from credit_stream.wire.records import shape_of

Target = Literal["key", "all"]

SETTINGS_KEY = "settings"
CLOCK_KEY = "clock"
KEYS_KEPT_MAX = 131_072
"""Of keys, their hash: a company has so many customers that write often. About 20 MB."""

_FOR_ALL = (events.SettingsPublished, events.ExchangeRatePublished, events.ClockTicked)
_JOURNAL_SUBJECT = "journal:"
_KEY_FIELDS = ("customer_id", "group_id", "journal_id", "dead_letter_id")
"""The aggregate that an event is about, by the first of these fields that its record has."""


def key_of(event: Event) -> str:
    """The record key. What goes to every partition has a key too: `settings`, `clock`, a rate's, or its event id."""
    if isinstance(event, events.SettingsPublished):
        return SETTINGS_KEY
    if isinstance(event, events.ClockTicked):
        return CLOCK_KEY
    if isinstance(event, events.ExchangeRatePublished):
        day = iso(event.valid_from)
        return f"rate/{event.rate_type}/{event.from_currency}/{event.to_currency}/{day}"
    return _aggregate_of(event) or event.event_id


def target_of(event: Event) -> Target:
    """Whether an event is for the partition of its key, or written once to every partition.

    For all are settings, rates and the clock, and commands for a selection or for all customers: those that could name
    a customer and do not. A journal without an id is made in the partition of its event id.
    """
    if isinstance(event, _FOR_ALL):
        return "all"
    if getattr(event, "selection", None) is not None:
        return "all"
    if isinstance(event, events.ForceHold) and event.order_id is not None:
        return "key"
    if isinstance(event, events.CreateLimitJournal) or _aggregate_of(event) is not None:
        return "key"
    return "all"


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner gives it."""
    return _positive_hash(key) % partitions


@lru_cache(maxsize=KEYS_KEPT_MAX)
def _positive_hash(key: str) -> int:
    return murmur2(key.encode()) & 0x7FFF_FFFF


def _aggregate_of(event: Event) -> str | None:
    if isinstance(event, events.SubmitForApproval) and event.subject.startswith(_JOURNAL_SUBJECT):
        return event.subject.removeprefix(_JOURNAL_SUBJECT).partition(":")[0] or None
    field = _key_field(type(event))
    key: str | None = getattr(event, field)
    return key


@cache
def _key_field(event_type: type[Event]) -> str:
    if TOPIC_OF_EVENT[event_type] == GROUP_REQUESTS:
        return "group_id"
    names = {field.name for field in shape_of(event_type).fields}
    return next(field for field in _KEY_FIELDS if field in names)


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 as Kafka uses it: 32 bits, signed."""
    mask, multiplier, rotation = 0xFFFF_FFFF, 0x5BD1_E995, 24
    length = len(data)
    hashed = 0x9747_B28C ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * multiplier & mask
        word = (word ^ word >> rotation) * multiplier & mask
        hashed = (hashed * multiplier & mask) ^ word
    if whole < length:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    hashed = (hashed ^ hashed >> 13) * multiplier & mask
    hashed ^= hashed >> 15
    return hashed - 0x1_0000_0000 if hashed & 0x8000_0000 else hashed
