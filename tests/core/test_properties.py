"""What holds for every history: random ones, found and made small by Hypothesis, which prints how to repeat them.

That decisions are monotone is in `test_monotone.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from credit_stream.core import events as e
from credit_stream.core.outputs import CreditDecision, DeadLetter, Exposure, ExposureBuckets
from credit_stream.hosts.memory import MemoryHost, Produced
from credit_stream.wire.avro import encode_output
from credit_stream.wire.keys import partition_of
from tests.core.histories import CUSTOMER, DAY_MS, FIRST_DAY, History, Variant, variants
from tests.core.made_events import any_events
from tests.core.moves import Move, moves, play

HISTORIES = settings(max_examples=150)
PAIRS = settings(max_examples=60)
CHECKS = settings(max_examples=200)

POSITIONS = ("input", "as_of", "dead_letter_id", "partition", "offset", "payload")
"""Where an input lies in the log, and so what other inputs move."""


def played(variant: Variant, history_moves: Sequence[Move]) -> History:
    """The history that these moves make."""
    history = History(variant)
    for move in history_moves:
        play(history, move)
    return history


def without_positions(produced: Iterable[Produced]) -> list[tuple[str, str, Any]]:
    """The outputs as plain values, without what says where their inputs lie."""
    found = []
    for topic, key, record in produced:
        value = None if record is None else msgspec.to_builtins(record)
        if value is not None:
            value = {name: each for name, each in value.items() if name not in POSITIONS}
        found.append((topic, key, value))
    return found


# --- sums -------------------------------------------------------------------------------------------------------


@HISTORIES
@given(variant=variants, history_moves=moves)
def test_exposure_is_what_the_documents_add_up_to(variant: Variant, history_moves: list[Move]) -> None:
    """Spec 3: after every event, accepted or refused, the published buckets are those of a slow second model."""
    played(variant, history_moves)


@pytest.mark.parametrize("part", ["credits", "today", "orders", "invoices", "payments"])
def test_the_second_model_notices_what_is_left_out(part: str) -> None:
    """The comparison can fail: with a cent, a day or a document less the books do not agree any more."""
    history = played(
        Variant(), [("place", 1, 0, 500), ("invoice", 0, 5, 70), ("pay", 3, 0, 20), ("credit_freely", 0, 0, 9)]
    )
    books = history.books
    assert books.orders and books.invoices and books.payments
    if part in ("credits", "today"):
        setattr(books, part, getattr(books, part) + 1)
    else:
        getattr(books, part).popitem()
    with pytest.raises(AssertionError):
        history.compare()


# --- repeats and order ------------------------------------------------------------------------------------------


@PAIRS
@given(variant=variants, history_moves=moves, repeats=st.lists(st.tuples(st.integers(0), st.integers(0)), max_size=12))
def test_repeating_any_event_anywhere_changes_nothing(
    variant: Variant, history_moves: list[Move], repeats: list[tuple[int, int]]
) -> None:
    """Spec 2: a repeat leads to the decisions that there were, as they were, and what comes after is as without it."""
    sent = accepted_events(played(variant, history_moves))
    once = MemoryHost(settings_document=variant.document())
    plain = [once.process_event(event) for event in sent]
    host = MemoryHost(settings_document=variant.document())
    before: list[list[Produced]] = []
    for index, event in enumerate(sent):
        before.append(host.process_event(event))
        assert without_positions(before[index]) == without_positions(plain[index])
        for _, which in [each for each in repeats if each[0] % len(sent) == index]:
            again = which % (index + 1)
            assert host.process_event(sent[again]) == decisions_in(before[again])


@PAIRS
@given(variant=variants, history_moves=moves)
def test_a_history_sent_twice_is_as_sent_once(variant: Variant, history_moves: list[Move]) -> None:
    """Spec 2: after a crash a whole prefix may come again; it gives the same decisions and no more."""
    sent = accepted_events(played(variant, history_moves))
    host = MemoryHost(settings_document=variant.document())
    first = [host.process_event(event) for event in sent]
    assert [host.process_event(event) for event in sent] == [decisions_in(outputs) for outputs in first]


def accepted_events(history: History) -> list[e.Event]:
    """What was sent and accepted; a refused event would be refused again."""
    refused = {record.event_id for _, _, record in history.outputs if isinstance(record, DeadLetter)}
    return [event for event in history.sent if event.event_id not in refused]


def decisions_in(produced: Sequence[Produced]) -> list[Produced]:
    """The decisions among outputs."""
    return [each for each in produced if isinstance(each[2], CreditDecision)]


@PAIRS
@given(variant=variants, first=moves, second=moves, order=st.lists(st.booleans(), max_size=120))
def test_other_customers_change_nothing(
    variant: Variant, first: list[Move], second: list[Move], order: list[bool]
) -> None:
    """Spec 2: however the events of two customers lie among each other, each gets what it would get alone."""
    one = [of_customer(event, "A") for event in played(variant, first).sent]
    other = [of_customer(event, "B") for event in played(variant, second).sent if not isinstance(event, e.ClockTicked)]
    merged = stamped(interleaved(one, other, order))
    together = outputs_of(variant, merged)
    for name in ("A", "B"):
        alone = [event for event in merged if isinstance(event, e.ClockTicked) or of(event) == name]
        mine = [each for each in together if each[1].endswith(name)]
        assert mine == [each for each in outputs_of(variant, alone) if each[1].endswith(name)]


@PAIRS
@given(variant=variants, first=moves, second=moves, order=st.lists(st.booleans(), max_size=120))
def test_the_number_of_partitions_changes_nothing(
    variant: Variant, first: list[Move], second: list[Move], order: list[bool]
) -> None:
    """Design 1: each customer gets from a partition of its own what it gets from one that it shares."""
    one = [of_customer(event, "A") for event in played(variant, first).sent]
    other = [of_customer(event, "B") for event in played(variant, second).sent if not isinstance(event, e.ClockTicked)]
    merged = stamped(interleaved(one, other, order))
    shared, apart = outputs_of(variant, merged), outputs_of(variant, merged, PARTITIONS)
    for name in ("A", "B"):
        assert [each for each in shared if each[1].endswith(name)] == [each for each in apart if each[1].endswith(name)]


PARTITIONS = 5


def test_the_two_customers_lie_in_different_partitions() -> None:
    """Or the test before would say nothing."""
    assert partition_of(f"{CUSTOMER}-A", PARTITIONS) != partition_of(f"{CUSTOMER}-B", PARTITIONS)


ID_NAMES = ("event_id", "customer_id", "order_id", "invoice_id", "payment_id", "credit_note_id")


def of_customer(event: e.Event, name: str) -> e.Event:
    """The same event of another customer: every id gets the name."""
    changes: dict[str, Any] = {
        field: f"{getattr(event, field)}-{name}" for field in ID_NAMES if getattr(event, field, None) is not None
    }
    if isinstance(event, e.PaymentReceived | e.PaymentApplied):
        changes["settlements"] = tuple(replace(s, invoice_id=f"{s.invoice_id}-{name}") for s in event.settlements)
    return replace(event, **changes)


def of(event: e.Event) -> str:
    """The name that `of_customer` gave."""
    return event.event_id[-1]


def interleaved(one: Sequence[e.Event], other: Sequence[e.Event], order: Sequence[bool]) -> list[e.Event]:
    """Both in their own order; `order` says from which the next is taken, at the end what is left."""
    sides = [list(one), list(other)]
    merged = [sides[second].pop(0) for second in order if sides[second]]
    return merged + sides[0] + sides[1]


def stamped(events: Iterable[e.Event]) -> list[e.Event]:
    """Each event a second after the one before, on the day of the newest tick, so that none is late."""
    day, found = FIRST_DAY, []
    for second, event in enumerate(events):
        if isinstance(event, e.ClockTicked):
            day = event.instant // DAY_MS
            found.append(replace(event, occurred_at=event.instant))
        else:
            found.append(replace(event, occurred_at=day * DAY_MS + 36_000_000 + second * 1000))
    return found


def outputs_of(variant: Variant, events: Iterable[e.Event], partitions: int = 1) -> list[tuple[str, str, Any]]:
    """What these events lead to, without positions."""
    host = MemoryHost(partitions, settings_document=variant.document())
    return without_positions([each for event in events for each in host.process_event(event)])


class Paper(msgspec.Struct, frozen=True):
    """An invoice, the order that it is on, and how much of it a payment settles, with what is paid beyond that."""

    order: int
    amount: int
    due_in: int
    paid: int
    beyond: int


papers = st.builds(
    Paper,
    order=st.integers(0, 3),
    amount=st.integers(1, 5000),
    due_in=st.integers(-3, 3),
    paid=st.integers(0, 1000),
    beyond=st.integers(0, 50),
)
AUTOMATIC = '{"parameters": {"automatic_release": "without_posting"}}'


def documents(orders: Sequence[int], written: Sequence[Paper]) -> list[e.Event]:
    """A profile, orders, invoices and payments, each before what speaks of it. Order 0 never comes."""
    found: list[e.Event] = [made(e.CustomerUpdated, "C", credit_currency="USD")]
    for number, amount in enumerate(orders, start=1):
        found.append(made(e.OrderPlaced, f"O{number}", order_id=f"O{number}", amount_minor=amount, currency="USD"))
    for number, paper in enumerate(written):
        dates = {"invoice_date": FIRST_DAY - 9, "due_date": FIRST_DAY + paper.due_in, "currency": "USD"}
        fields = {"invoice_id": f"I{number}", "order_id": f"O{paper.order}", "amount_minor": paper.amount, **dates}
        found.append(made(e.InvoicePosted, f"I{number}", **fields))
        share = paper.amount * paper.paid // 1000
        settlements = (e.Settlement(invoice_id=f"I{number}", amount=f"{share // 100}.{share % 100:02}"),)
        payment = {"amount_minor": share + paper.beyond + 1, "currency": "USD", "received_on": FIRST_DAY}
        fields = {"payment_id": f"P{number}", "settlements": settlements if share else (), **payment}
        found.append(made(e.PaymentReceived, f"P{number}", **fields))
    return found


def made(event_type: type[e.Event], event_id: str, **fields: Any) -> e.Event:
    """An event of the customer."""
    return event_type(event_id=event_id, occurred_at=0, customer_id=CUSTOMER, **fields)


@CHECKS
@given(data=st.data(), orders=st.lists(st.integers(1, 9000), max_size=3), written=st.lists(papers, max_size=4))
def test_documents_may_arrive_in_any_order(data: st.DataObject, orders: list[int], written: list[Paper]) -> None:
    """Spec 2: what speaks of something that is yet to come is kept and matched; in the end exposure is the same."""
    in_order = documents(orders, written)
    shuffled = data.draw(st.permutations(in_order))
    assert last_exposure(shuffled) == last_exposure(in_order)


def last_exposure(events: Sequence[e.Event]) -> dict[str, Any]:
    """The newest published exposure, without the position as of which it is."""
    host = MemoryHost(settings_document=AUTOMATIC)
    produced = [each for event in stamped(events) for each in host.process_event(event)]
    assert not [record for _, _, record in produced if isinstance(record, DeadLetter)]
    newest: Exposure = [record for _, _, record in produced if isinstance(record, Exposure)][-1]
    return {name: value for name, value in msgspec.to_builtins(newest).items() if name != "as_of"}


# --- goods, money, and back -------------------------------------------------------------------------------------


class Sale(msgspec.Struct, frozen=True):
    """An order in a foreign currency and what is delivered and invoiced of it, in thousandths."""

    amount: int
    rate: str
    delivered: tuple[int, ...]
    invoiced: tuple[int, ...]

    def parts(self) -> list[int]:
        """The amounts of the invoices; together they are at most the order's."""
        left, found = self.amount, []
        for share in self.invoiced:
            found.append(min(left, max(1, self.amount * share // 1000)))
            left -= found[-1]
        return [part for part in found if part]


def sales_at(*rates: str) -> st.SearchStrategy[Sale]:
    """Sales at one of these rates."""
    return st.builds(
        Sale,
        amount=st.integers(1, 10_000_000),
        rate=st.sampled_from(rates),
        delivered=st.lists(st.integers(0, 1000), max_size=4).map(tuple),
        invoiced=st.lists(st.integers(1, 400), max_size=6).map(tuple),
    )


def sold(sale: Sale) -> list[Exposure]:
    """The exposures of a sale from the order on."""
    host = MemoryHost()
    send(host, e.CustomerUpdated, customer_id=CUSTOMER, credit_currency="USD", credit_limit_minor=10**12)
    rate = {"from_currency": "EUR", "to_currency": "USD", "valid_from": FIRST_DAY, "rate": sale.rate}
    send(host, e.ExchangeRatePublished, **rate)
    amount = {"amount_minor": sale.amount, "currency": "EUR"}
    produced = send(host, e.OrderPlaced, order_id="O1", customer_id=CUSTOMER, **amount)
    for share in sorted(sale.delivered):
        text = f"{sale.amount * share // 1000 // 100}.{sale.amount * share // 1000 % 100:02}"
        produced += send(host, e.OrderDelivered, order_id="O1", customer_id=CUSTOMER, delivered_amount=text)
    for number, part in enumerate(sale.parts()):
        produced += send_invoice(host, f"I{number}", part)
    return [record for _, _, record in produced if isinstance(record, Exposure)]


@CHECKS
@given(sale=sales_at("1", "2", "17"))
def test_exposure_is_the_same_from_order_to_delivery_to_invoice(sale: Sale) -> None:
    """Spec 3.3: at one rate, with any deliveries and partial invoices in between, not a cent comes or goes."""
    shown = sold(sale)
    assert {exposure.exposure_minor for exposure in shown} == {sale.amount * int(sale.rate)}
    assert shown[-1].current_invoices_minor == sum(sale.parts()) * int(sale.rate)


@CHECKS
@given(sale=sales_at("0.5", "1.1", "0.9", "0.333333", "3.14159265", "0.0001"))
def test_rounding_moves_exposure_by_no_more_than_half_a_cent_an_invoice(sale: Sale) -> None:
    """Spec 1.2, 3.3: every document is rounded by itself, so each can differ by half a cent, the order by another."""
    shown = sold(sale)
    exact = Fraction(sale.amount) * Fraction(sale.rate)
    bound = Fraction(1 + len(sale.parts()), 2)
    assert all(abs(exposure.exposure_minor - exact) <= bound for exposure in shown)


@CHECKS
@given(sale=sales_at("0.5", "1.1", "0.9", "0.333333", "3.14159265"))
def test_an_order_that_is_invoiced_in_whole_leaves_nothing_of_itself(sale: Sale) -> None:
    """Spec 3.2: its open part is 0 then, whatever the invoices were rounded to."""
    whole = replace(sale, invoiced=(*sale.invoiced, 1000))
    last = sold(whole)[-1] if sum(whole.parts()) * Fraction(sale.rate) > 1 else None
    assert last is None or (last.open_orders_minor, last.delivered_not_invoiced_minor) == (0, 0)


def send(host: MemoryHost, event_type: type[e.Event], **fields: Any) -> list[Produced]:
    """Sends an event with a head of its own; it must be accepted."""
    number = host.log.ends(0)
    event_id = f"e{sum(number.values())}"
    event = event_type(event_id=event_id, occurred_at=FIRST_DAY * DAY_MS, actor="ana", **fields)
    produced = host.process_event(event)
    assert not [record for _, _, record in produced if isinstance(record, DeadLetter)], produced
    return produced


def send_invoice(host: MemoryHost, invoice_id: str, amount: int) -> list[Produced]:
    """A part of the order in its currency."""
    return send(
        host,
        e.InvoicePosted,
        invoice_id=invoice_id,
        customer_id=CUSTOMER,
        order_id="O1",
        amount_minor=amount,
        currency="EUR",
        invoice_date=FIRST_DAY,
    )


@PAIRS
@given(
    variant=variants, history_moves=moves, move=st.tuples(st.integers(0, 9), st.integers(2, 9), st.integers(0, 9999))
)
def test_a_payment_that_comes_back_leaves_exposure_as_it_was(
    variant: Variant, history_moves: list[Move], move: tuple[int, int, int]
) -> None:
    """Spec 3: whatever a payment settled, its reversal gives back, bucket by bucket."""
    history = played(replace(variant, automatic_release="off"), history_moves)
    before = buckets_of(history)
    play(history, ("pay", *move))
    payment_id = history.payments()[-1]
    fields = {"payment_id": payment_id, "customer_id": CUSTOMER, "reversed_on": history.books.today}
    history.send(e.PaymentReversed, **fields)
    assert buckets_of(history) == before


@PAIRS
@given(
    variant=variants, history_moves=moves, move=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9999))
)
def test_a_voided_invoice_leaves_exposure_as_it_was(
    variant: Variant, history_moves: list[Move], move: tuple[int, int, int]
) -> None:
    """Spec 3.2: whatever an invoice took from its order, its void gives back."""
    history = played(replace(variant, automatic_release="off"), history_moves)
    before = buckets_of(history)
    a, b, c = move
    play(history, ("invoice", a - a % 2, b, c))
    invoice_id = list(history.books.invoices)[-1]
    history.send(e.InvoiceVoided, invoice_id=invoice_id, customer_id=CUSTOMER)
    assert buckets_of(history) == before


@PAIRS
@given(
    variant=variants, history_moves=moves, move=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9999))
)
def test_an_invoice_and_its_credit_note_leave_exposure_as_it_was(
    variant: Variant, history_moves: list[Move], move: tuple[int, int, int]
) -> None:
    """Spec 3.2: a credit note in full gives back what the invoice took."""
    history = played(replace(variant, automatic_release="off"), history_moves)
    before = buckets_of(history)
    a, b, c = move
    play(history, ("invoice", a - a % 2, b, c))
    invoice_id, invoice = list(history.books.invoices.items())[-1]
    note = {"credit_note_id": "N", "invoice_id": invoice_id, "customer_id": CUSTOMER, "credit_note_date": FIRST_DAY}
    history.send(e.CreditNotePosted, amount_minor=invoice.amount, currency=history.variant.currency, **note)
    assert buckets_of(history) == before


def buckets_of(history: History) -> ExposureBuckets:
    """The newest published figures."""
    shown = history.published
    assert shown is not None
    names = ("current_invoices", "overdue_invoices", "open_orders", "delivered_not_invoiced", "unapplied")
    buckets = {f"{name}_minor": getattr(shown, f"{name}_minor") for name in names}
    return ExposureBuckets(total_minor=shown.exposure_minor, **buckets)


# --- nothing stops it -------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(events=any_events)
def test_no_event_stops_the_core_and_the_same_events_give_the_same_bytes(events: list[e.Event]) -> None:
    """Spec 12 and 13.3: events of every type with ids in common are accepted or refused, twice in the same way."""
    assert bytes_of(events) == bytes_of(events)


def bytes_of(events: Iterable[e.Event]) -> list[tuple[str, str, bytes | None]]:
    """All outputs as they would be written."""
    host = MemoryHost()
    produced = [each for event in events for each in host.process_event(event)]
    return [(topic, key, None if record is None else encode_output(record)) for topic, key, record in produced]
