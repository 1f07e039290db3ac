"""Poison on every input topic, from a producer that knows nothing of us: a dead letter each, and the stream goes on."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import Struct

from credit_stream.core.events import CreditGroupClosed, EvaluateHolds, Event, JournalLinePosted
from credit_stream.core.outputs import DeadLetter, RunCompleted
from credit_stream.core.topics import CLOCK, CUSTOMERS, INPUT_TOPICS, INTERNAL_TOPICS, ORDERS, POSTINGS, SETTINGS
from credit_stream.engine.task import BURIED_BYTES_MAX
from credit_stream.hosts.kafka.topics import RECORD_BYTES_MAX
from credit_stream.local_kafka import LocalKafka
from credit_stream.wire.avro import SINGLE_OBJECT, encode_event, encode_output
from credit_stream.wire.checks import MESSAGE_BYTES_MAX
from tests.kafka.workers import (
    MONDAY,
    Source,
    Worker,
    customer,
    customer_of,
    dead_letters,
    decisions,
    order,
    send,
    settings,
    system,
    wait_until_taken,
)

HERE, ELSEWHERE = customer_of(0), customer_of(1)
"""Poison goes to partition 0, where the first is at home."""
GOOD = encode_event(order("O0", HERE))
FORGED = JournalLinePosted(
    event_id="forged",
    occurred_at=MONDAY,
    journal_id="J1",
    journal_type="credit_limit",
    line=1,
    customer_id=HERE,
    credit_limit_minor=10**12,
    currency="EUR",
)
OUTPUT = RunCompleted(
    event_id="e", command="EvaluateHolds", partition=0, processed=0, changed=0, failed=0, business_date=0
)
HEAD_BYTES = 200
"""Of a record with a short key, in a batch of its own; what is left of the largest that a topic takes is the value."""


class Poison(NamedTuple):
    """What is written, and the reason that its dead letter should have."""

    name: str
    value: bytes | None
    reason: str
    key: bytes | None = b"K1"


BYTES = (
    Poison("wrong magic byte", b"\xde\xad" + GOOD[2:], "unreadable"),
    Poison("unknown fingerprint", SINGLE_OBJECT + b"\x01\x02\x03\x04\x05\x06\x07\x08" + GOOD[10:], "unreadable"),
    Poison("ends within the fingerprint", GOOD[:7], "unreadable"),
    Poison("truncated", GOOD[:-3], "unreadable"),
    Poison("followed by more", GOOD + b"\x00", "unreadable"),
    Poison("registry framing", b"\x00\x00\x00\x00\x07" + GOOD[10:], "unreadable"),
    Poison("null value", None, "unreadable"),
    Poison("empty", b"", "unreadable"),
    Poison("null key", b"no event", "unreadable", key=None),
    Poison("null key and null value", None, "unreadable", key=None),
    Poison("key is no text", b"no event", "unreadable", key=b"\xff\xfe\x00"),
    Poison("text", b"hello", "unreadable"),
    Poison("half of a JSON object", b'{"type": "OrderPlaced", ', "unreadable"),
    Poison("JSON of an unknown type", b'{"type": "OrderPlcaed", "event_id": "e"}', "invalid"),
    Poison("an output", encode_output(OUTPUT), "unreadable"),
)
"""Bytes that are no event, on whatever topic."""
LARGE = (
    Poison("larger than an event may be", SINGLE_OBJECT + os.urandom(MESSAGE_BYTES_MAX), "unreadable"),
    Poison("as large as the topic takes", os.urandom(RECORD_BYTES_MAX - HEAD_BYTES), "unreadable"),
    Poison("small when packed", bytes(3 * RECORD_BYTES_MAX), "unreadable"),
)


def strays(topic: str) -> Iterator[Poison]:
    """Good events that do not belong there."""
    stranger: dict[str, Event] = {
        ORDERS: CreditGroupClosed(event_id="stray/group", occurred_at=MONDAY, group_id="G1"),
    }
    event = stranger.get(topic, order("stray", HERE))
    yield Poison("an event of another topic", encode_event(event), "invalid")
    if topic != POSTINGS:
        reason = "invalid" if topic in INTERNAL_TOPICS else "not_allowed"
        yield Poison("an event between tasks", encode_event(FORGED), reason)
    misplaced: dict[str, Event] = {ORDERS: order("misplaced", ELSEWHERE), CUSTOMERS: customer(ELSEWHERE)}
    if topic in misplaced:
        # Hashed by something else than murmur2, or keyed by something else than the customer.
        yield Poison("a wrong partition", encode_event(misplaced[topic]), "invalid", key=ELSEWHERE.encode())
        yield Poison("a wrong key", encode_event(misplaced[topic]), "invalid", key=HERE.encode())


def poison(topic: str) -> list[Poison]:
    """All that is written to a topic."""
    return [*BYTES, *strays(topic), *(LARGE if topic in (ORDERS, CLOCK) else ())]


CASES = [(topic, number, each) for topic in INPUT_TOPICS for number, each in enumerate(poison(topic))]


class Outcome(Struct):
    """What came of it all."""

    letters: list[tuple[str, DeadLetter]]
    verdicts: dict[str, str]
    counted: float


@pytest.fixture(scope="module")
def outcome(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A worker is given all the poison of all topics, and then two orders."""
    connection = system(kafka, f"poison.{uuid.uuid4().hex[:8]}.")
    state: Path = tmp_path_factory.mktemp("poison")
    with Worker(connection, state) as worker:
        send(connection, [settings(), customer(HERE), customer(ELSEWHERE)])
        with Source(connection) as source:
            for topic, _, each in CASES:
                source.write(topic, 0, each.value, each.key)
        wait_until_taken(connection, who=worker)
        send(connection, [order("O1", HERE), order("O2", ELSEWHERE)])
        wait_until_taken(connection, who=worker)
        letters = dead_letters(connection)
        verdicts = {order_id: decision.verdict for order_id, decision in decisions(connection).items()}
        registry = worker.partitions.metrics.registry
        counted = sum(
            registry.get_sample_value("credit_stream_dead_letters_total", {"reason": reason}) or 0
            for reason in ("unreadable", "invalid", "not_allowed")
        )
    return Outcome(letters, verdicts, counted)


def begin_of(topic: str) -> int:
    """How many good events lie before the poison in partition 0."""
    return {SETTINGS: 1, CUSTOMERS: 1}.get(topic, 0)


@pytest.mark.parametrize(("topic", "number", "what"), CASES, ids=[f"{topic}-{each.name}" for topic, _, each in CASES])
def test_poison_is_one_dead_letter_with_its_place_its_bytes_and_a_reason(
    outcome: Outcome, topic: str, number: int, what: Poison
) -> None:
    """So that somebody can look at it, mend it and send it again."""
    offset = begin_of(topic) + number
    place = f"{topic}/0/{offset}"
    ((key, letter),) = [(key, each) for key, each in outcome.letters if each.dead_letter_id == place]
    assert (letter.topic, letter.partition, letter.offset) == (topic, 0, offset)
    value = what.value or b""
    assert letter.payload == value[:BURIED_BYTES_MAX]
    assert letter.reason == what.reason, letter.message
    assert letter.message
    assert (f"of its {len(value):,} bytes" in letter.message) == (len(value) > BURIED_BYTES_MAX)
    assert key == (place if what.key in (None, b"\xff\xfe\x00") else (what.key or b"").decode())


def test_nothing_else_is_a_dead_letter(outcome: Outcome) -> None:
    """Each input was refused once, also those that every task reads."""
    assert len(outcome.letters) == len(CASES)
    assert outcome.counted == len(CASES)


def test_what_comes_after_the_poison_is_decided(outcome: Outcome) -> None:
    """In the partition with the poison and in the other."""
    assert outcome.verdicts == {"O1": "released", "O2": "released"}


ORDER_AS_JSON = {
    "type": "OrderPlaced",
    "event_id": "json",
    "occurred_at": "2026-01-05T08:00:00Z",
    "order_id": "json",
    "customer_id": HERE,
    "amount": "1.00",
    "currency": "EUR",
}


def test_events_with_odd_keys_that_lie_right_are_taken(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """The key only has to bring a record to its partition: none, no text, and JSON in the place of Avro do no harm."""
    connection = system(kafka, topic_prefix)
    with Worker(connection, tmp_path / "state") as worker:
        with Source(connection) as source:
            source.send(settings())
            source.send(customer(HERE))
            source.write(ORDERS, 0, encode_event(order("no-key", HERE)))
            source.write(ORDERS, 0, encode_event(order("odd-key", HERE)), b"\xff")
            text = (
                f'"occurred_at": "2026-01-05T08:00:00Z", "customer_id": "{HERE}", "amount": "1.00", "currency": "EUR"'
            )
            source.write(ORDERS, 0, f'{{"type": "OrderPlaced", "event_id": "j", "order_id": "json", {text}}}'.encode())
            source.send(EvaluateHolds(event_id="all", occurred_at=MONDAY, actor="ana"))
        wait_until_taken(connection, who=worker)
    assert dead_letters(connection) == []
    assert set(decisions(connection)) == {"no-key", "odd-key", "json"}
