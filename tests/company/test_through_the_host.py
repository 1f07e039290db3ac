"""The made-up company through the memory host: every event is accepted, and the books agree."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from credit_stream.company import Company, Plan, events, year_plan
from credit_stream.company.countries import DECIMALS
from credit_stream.core import events as e
from credit_stream.core.outputs import CreditDecision, DeadLetter, Exposure, HoldEntry, OutputRecord
from credit_stream.core.topics import HOLDS
from credit_stream.hosts.memory import MemoryHost
from credit_stream.wire.avro import encode_event
from tests.company.ledger import Ledger

FIRST_EVENTS = 14_000
"""Up to the second month: the takeover, a review of limits, all kinds of documents."""
LISTENING = Plan(seed=3, customers=60, days=150, orders_a_day=6.0)


def accepted(host: MemoryHost, event: e.Event) -> list[tuple[str, str, OutputRecord | None]]:
    """What an event led to; AssertionError if it was refused."""
    produced = host.process(encode_event(event))
    for _, _, record in produced:
        assert not isinstance(record, DeadLetter), f"{record.message} {event}"
    return produced


def test_no_event_of_the_first_weeks_is_refused_and_orders_are_held_and_freed() -> None:
    """What an upstream writes that does not listen to the hold list is acceptable throughout."""
    host = MemoryHost()
    verdicts: Counter[tuple[str, str]] = Counter()
    for event in islice(events(year_plan()), FIRST_EVENTS):
        for _, _, record in accepted(host, event):
            if isinstance(record, CreditDecision):
                verdicts[record.verdict, record.cause] += 1
    assert verdicts["released", "order"] > 10 * verdicts["on_hold", "order"] > 0
    assert verdicts["on_hold", "checkpoint"] > 0
    assert verdicts["released", "evaluation"] > 0


def test_no_command_is_refused_when_the_company_hears_of_every_hold_between_its_batches() -> None:
    """Clerks act on what is still held: each of their commands is carried out."""
    host, company = MemoryHost(), Company(LISTENING)
    verdicts: Counter[tuple[str, str]] = Counter()
    commands = 0
    while (batch := company.next_batch()) is not None:
        heard: list[tuple[str, HoldEntry | None]] = []
        for event in batch:
            commands += isinstance(event, e.ReleaseOrder | e.RejectOrder)
            for topic, key, record in accepted(host, event):
                if isinstance(record, CreditDecision):
                    verdicts[record.verdict, record.cause] += 1
                if topic == HOLDS and (record is None or isinstance(record, HoldEntry)):
                    heard.append((key, record))
        for order_id, entry in heard:
            company.hear(order_id, entry)
    assert verdicts["released", "command"] + verdicts["rejected", "command"] == commands > 10
    assert verdicts["released", "command"] > verdicts["rejected", "command"] > 0


def test_open_invoices_of_the_system_equal_those_of_a_plain_ledger() -> None:
    """Partial payments, instalments, credit notes, voids and bounced payments come to the same open amount."""
    plan = Plan(seed=4, customers=80, days=160, orders_a_day=8.0)
    host, ledger = MemoryHost(), Ledger(DECIMALS)
    exposures: dict[str, Exposure] = {}
    foreign: set[str] = set()
    for event in events(plan):
        ledger.accept(event)
        for _, key, record in accepted(host, event):
            if isinstance(record, Exposure):
                exposures[key] = record
        if (
            isinstance(event, e.InvoicePosted | e.PaymentReceived | e.CreditNotePosted)
            and event.currency != ledger.customers[event.customer_id].credit_currency
        ):
            foreign.add(event.customer_id)
    expected = dict.fromkeys(set(ledger.customers) - foreign, 0)
    for page in ledger.invoices.values():
        if page.customer_id in expected and not page.voided:
            expected[page.customer_id] += page.open
    found = {
        customer_id: exposures[customer_id].current_invoices_minor + exposures[customer_id].overdue_invoices_minor
        if customer_id in exposures
        else 0
        for customer_id in expected
    }
    assert found == expected
    assert sum(1 for minor in expected.values() if minor) > 10
