"""Record keys and partitions: what belongs together meets, whoever wrote it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_stream.core import events
from credit_stream.core.events import Event
from credit_stream.core.topics import TOPIC_OF_EVENT
from credit_stream.wire.keys import key_of, murmur2, partition_of, target_of
from tests.wire.made_records import records

KAFKA_VECTORS = """
    21                                                   -973932308
    foobar                                               -790332482
    a-little-bit-long-string                             -985981536
    a-little-bit-longer-string                          -1486304829
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8      -58897971
    abc                                                   479470107
"""


@pytest.mark.parametrize("row", KAFKA_VECTORS.strip().splitlines())
def test_murmur2_gives_the_values_of_kafkas_own_test(row: str) -> None:
    """UtilsTest of Apache Kafka."""
    text, expected = row.split()
    assert murmur2(text.encode()) == int(expected)


def test_a_partition_is_kafkas_positive_hash() -> None:
    """The sign bit is cleared, not the number negated."""
    assert partition_of("21", 12) == (-973932308 & 0x7FFFFFFF) % 12
    assert partition_of("abc", 7) == 479470107 % 7
    assert {partition_of(f"C{number}", 4) for number in range(100)} == {0, 1, 2, 3}


def made(name: str, **fields: Any) -> Event:
    """An event of this type with a head."""
    event_type = next(event_type for event_type in TOPIC_OF_EVENT if event_type.__name__ == name)
    return event_type(event_id="e-1", occurred_at=0, **fields)


SELECTION = events.Selection(customer_ids=("C1",))
ORDER = {"order_id": "O1", "customer_id": "C1"}
MONEY = {"amount_minor": 1, "currency": "EUR"}
PLACES = [
    (made("OrderPlaced", **ORDER, **MONEY), "C1", "key"),
    (made("CheckOrder", **ORDER, **MONEY), "C1", "key"),
    (made("OrderClosed", **ORDER), "C1", "key"),
    (made("InvoiceVoided", invoice_id="I1", customer_id="C1"), "C1", "key"),
    (made("PaymentReversed", payment_id="P1", customer_id="C1", reversed_on=0), "C1", "key"),
    (made("CustomerUpdated", customer_id="C1", credit_currency="EUR"), "C1", "key"),
    (made("PolicyRemoved", policy_id="P1", customer_id="C1"), "C1", "key"),
    (made("CreditGroupClosed", group_id="G1"), "G1", "key"),
    (made("ReleaseOrder", **ORDER, release_reason="paid"), "C1", "key"),
    (made("ForceHold", reason="audit", customer_id="C1"), "C1", "key"),
    (made("ForceHold", reason="audit"), "e-1", "all"),
    (made("ForceHold", reason="audit", order_id="O1"), "e-1", "key"),
    (made("ForceHold", reason="audit", selection=SELECTION), "e-1", "all"),
    (made("EvaluateHolds", customer_id="C1", order_ids=("O1",)), "C1", "key"),
    (made("EvaluateHolds", customer_id="C1", selection=SELECTION), "C1", "all"),
    (made("EvaluateHolds"), "e-1", "all"),
    (made("UpdateRiskScores"), "e-1", "all"),
    (made("UpdateRiskScores", customer_id="C1"), "C1", "key"),
    (made("UpdateBalanceStatistics", selection=SELECTION), "e-1", "all"),
    (made("Approve", subject="order:O1", customer_id="C1"), "C1", "key"),
    (made("Approve", subject="order:O1"), "e-1", "all"),
    (made("Decline", subject="journal:J1"), "J1", "key"),
    (made("Recall", subject="journal:J1:3", customer_id="C1"), "J1", "key"),
    (made("CreateLimitJournal", journal_id="J1", journal_type="credit_limit", description=""), "J1", "key"),
    (made("CreateLimitJournal", journal_type="credit_limit", description=""), "e-1", "key"),
    (made("AddJournalLines", journal_id="J1", lines=()), "J1", "key"),
    (made("GenerateJournalLines", journal_id="J1", origin="groups", customer_ids=("C1",)), "J1", "key"),
    (made("PostLimitJournal", journal_id="J1"), "J1", "key"),
    (made("ResubmitDeadLetter", dead_letter_id="credit.orders/0/7"), "credit.orders/0/7", "key"),
    (made("SettingsPublished", version=1, document="{}"), "settings", "all"),
    (
        made("ExchangeRatePublished", from_currency="EUR", to_currency="USD", valid_from=20_514, rate="1.1"),
        "rate/default/EUR/USD/2026-03-02",
        "all",
    ),
    (made("ClockTicked", instant=0), "clock", "all"),
]


@pytest.mark.parametrize(("event", "key", "target"), PLACES)
def test_an_event_has_the_key_of_what_it_is_about(event: Event, key: str, target: str) -> None:
    """Spec 2: the customer, the group or the journal; what is for all goes to every partition."""
    assert (key_of(event), target_of(event)) == (key, target)


@pytest.mark.parametrize("event_type", TOPIC_OF_EVENT, ids=lambda event_type: event_type.__name__)
@settings(max_examples=5)
@given(data=st.data())
def test_every_type_of_event_has_a_key(event_type: type[Event], data: st.DataObject) -> None:
    """A new type of event without one of the ids is noticed here."""
    event = data.draw(records(event_type))
    assert key_of(event)
    assert target_of(event) in ("key", "all")
