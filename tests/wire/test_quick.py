"""The short way to read an event takes what the long way takes, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from credit_stream.company import Plan
from credit_stream.company import events as company_events
from credit_stream.core.events import Event
from credit_stream.wire import read
from credit_stream.wire.avro import BODY_AT, encode_event
from credit_stream.wire.checks import MESSAGE_BYTES_MAX
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.faults import Fault, Refused
from credit_stream.wire.quick import quick_event, reader_of
from tests.wire.made_records import EVENT_TYPES, records

EVERY_EVENT = pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.__name__)
EXAMPLES = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
ALWAYS_LONG = {"CustomerUpdated", "SettingsPublished", "ResubmitDeadLetter", "ForceHold", "EvaluateHolds"} | {
    "GenerateJournalLines", "UpdateRiskScores", "UpdateBalanceStatistics", "RemoveJournalLines",
}  # fmt: skip
"""Types with a map, a document, a list of texts or a record inside, which may take the long way; all are rare."""


def texts_in(value: object) -> Iterator[str]:
    """Every text of a record as plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def by_the_long_way(payload: bytes) -> Event | Fault:
    """What the long way makes of the bytes."""
    try:
        return read._event_from_avro(payload, CURRENCIES, None)
    except Refused as refused:
        return refused.fault


@EVERY_EVENT
@EXAMPLES
@given(data=st.data())
def test_a_valid_event_is_read_the_short_way(event_type: type[Struct], data: st.DataObject) -> None:
    """To the limits of its fields; a name with a character that cannot be printed is looked at more closely."""
    event = data.draw(records(event_type))
    found = quick_event(encode_event(event), CURRENCIES)
    takes_long = event_type.__name__ in ALWAYS_LONG or not "".join(texts_in(msgspec.to_builtins(event))).isprintable()
    assert found == event or (found is None and takes_long)


def test_a_company_s_events_are_nearly_all_read_the_short_way() -> None:
    """Customers have attributes, and so do not; there are few of their updates among orders and invoices."""
    made = list(itertools.islice(company_events(Plan(seed=1, customers=50)), 3_000))
    quick = [quick_event(encode_event(event), CURRENCIES) for event in made]
    assert all(found is None or found == event for found, event in zip(quick, made, strict=True))
    assert sum(found is not None for found in quick) > 0.9 * len(made)


@EVERY_EVENT
@EXAMPLES
@given(data=st.data())
def test_damaged_bytes_are_taken_the_short_way_only_if_the_long_way_takes_them(
    event_type: type[Struct], data: st.DataObject
) -> None:
    """Bytes changed, lost and added; what is read either way is the same event."""
    payload = bytearray(encode_event(data.draw(records(event_type))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(BODY_AT, len(payload)))
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    found = quick_event(bytes(payload), CURRENCIES)
    assert found is None or found == by_the_long_way(bytes(payload))


def test_a_message_beyond_the_limit_is_refused_whichever_way_it_is_read() -> None:
    """The long way says so before it decodes; the short way must not let it pass."""
    event_type = next(kind for kind in EVENT_TYPES if kind.__name__ == "SettingsPublished")
    event = event_type(event_id="e", occurred_at=0, version=1, document="x" * MESSAGE_BYTES_MAX)
    assert quick_event(encode_event(event), CURRENCIES) is None
    assert isinstance(read.read_event(encode_event(event)), Fault)


def test_bytes_of_no_event_are_left_to_the_long_way() -> None:
    """Nothing, JSON, the Confluent wire format, an unknown fingerprint."""
    for payload in (b"", b"{}", b"\0\0\0\0\1", b"\xc3\x01" + bytes(8)):
        assert quick_event(payload, CURRENCIES) is None


def test_a_body_may_begin_elsewhere() -> None:
    """In the Confluent wire format it begins at the fifth byte."""
    event_type = next(kind for kind in EVENT_TYPES if kind.__name__ == "OrderCancelled")
    event = event_type(event_id="e", occurred_at=1, order_id="O1", customer_id="C1")
    payload = b"\0\0\0\0\1" + encode_event(event)[BODY_AT:]
    assert reader_of(event_type, 5)(payload, CURRENCIES) == event
