"""Rows of the real files as events, sorted by time: profiles, then day by day a tick, the invoices, the payments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby

from credit_stream.core import events as e
from tests.real_data.tables import OnlineOrder, Receivable, cancelled_orders

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
POSTING_MS = 8 * HOUR_MS
ASKING_MS = 15 * HOUR_MS
CLEARING_MS = 16 * HOUR_MS
NO_LIMIT_MINOR = 10**14
"""A credit limit that no real customer reaches."""

LATE_RULE: dict[str, object] = {"id": "late", "type": "days_overdue", "scope": "all", "days": 0}
LIMIT_RULE: dict[str, object] = {"id": "limit", "type": "credit_limit_used", "scope": "all", "percent": "100"}


def settings(*rules: dict[str, object]) -> str:
    """A settings document with these rules. Held orders stay held: nothing is evaluated by itself."""
    return json.dumps({"parameters": {"evaluate_on": "command"}, "rules": list(rules)})


def profile(customer_id: str, at: int, credit_currency: str, limit_minor: int = NO_LIMIT_MINOR) -> e.CustomerUpdated:
    """The first profile of a customer, which sets its limit."""
    return e.CustomerUpdated(
        event_id=f"profile/{customer_id}",
        occurred_at=at,
        customer_id=customer_id,
        credit_currency=credit_currency,
        credit_limit_minor=limit_minor,
    )


def tick(day: int) -> e.ClockTicked:
    """Midnight of a day."""
    return e.ClockTicked(event_id=f"tick/{day}", occurred_at=day * DAY_MS, instant=day * DAY_MS)


def invoice(row: Receivable) -> e.InvoicePosted:
    """The posting of an invoice."""
    return e.InvoicePosted(
        event_id=f"invoice/{row.invoice_id}",
        occurred_at=row.posted_on * DAY_MS + POSTING_MS,
        invoice_id=row.invoice_id,
        customer_id=row.customer_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        invoice_date=row.posted_on,
        due_date=row.due_on,
    )


def dispute(row: Receivable) -> e.InvoiceDisputed:
    """The customer disputes the invoice, in the hour after it was posted. It still counts (spec 3)."""
    return e.InvoiceDisputed(
        event_id=f"dispute/{row.invoice_id}",
        occurred_at=row.posted_on * DAY_MS + POSTING_MS + HOUR_MS,
        invoice_id=row.invoice_id,
        customer_id=row.customer_id,
        disputed=True,
    )


def payment(row: Receivable, cleared_on: int) -> e.PaymentReceived:
    """The whole invoice is paid. Cleared before it was posted, the payment waits for its invoice (spec 2)."""
    amount = f"{row.amount_minor // 100}.{row.amount_minor % 100:02d}"
    return e.PaymentReceived(
        event_id=f"payment/{row.invoice_id}",
        occurred_at=cleared_on * DAY_MS + CLEARING_MS,
        payment_id=f"P-{row.invoice_id}",
        customer_id=row.customer_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        received_on=cleared_on,
        settlements=(e.Settlement(invoice_id=row.invoice_id, amount=amount),),
    )


def question(row: Receivable, day: int) -> e.OrderPlaced:
    """An order of one unit in the hour before the payment: its decision says how many days the invoice is overdue."""
    return e.OrderPlaced(
        event_id=f"question/{row.invoice_id}",
        occurred_at=day * DAY_MS + ASKING_MS,
        order_id=f"Q-{row.invoice_id}",
        customer_id=row.customer_id,
        amount_minor=100,
        currency=row.currency,
    )


def documents(rows: Iterable[Receivable], questions: bool = False) -> list[e.Event]:
    """All events about these invoices, sorted by time."""
    found: list[e.Event] = []
    for row in rows:
        found.append(invoice(row))
        if row.disputed:
            found.append(dispute(row))
        if row.cleared_on is not None:
            found.append(payment(row, row.cleared_on))
            if questions:
                found.append(question(row, row.cleared_on))
    return sorted(found, key=lambda event: event.occurred_at)


def day_of(event: e.Event) -> int:
    """The UTC day of an event."""
    return event.occurred_at // DAY_MS


def receivables(
    rows: Iterable[Receivable], credit_currency: str | None = None, questions: bool = False
) -> Iterator[e.Event]:
    """Profiles, then the documents with a tick at the beginning of every day and one after the last.

    `credit_currency`: of every customer; None: the currency of the customer's own invoices.
    """
    rows = list(rows)
    papers = documents(rows, questions)
    currencies = {row.customer_id: credit_currency or row.currency for row in rows}
    first = papers[0].occurred_at // DAY_MS
    for customer_id, currency in currencies.items():
        yield profile(customer_id, first * DAY_MS, currency)
    day = first
    for day, papers_of_day in groupby(papers, key=day_of):
        yield tick(day)
        yield from papers_of_day
    yield tick(day + 1)


def online_orders(orders: tuple[OnlineOrder, ...], limit_minor: int = NO_LIMIT_MINOR) -> Iterator[e.Event]:
    """Profiles, then the orders and cancellations in the order of the file, with a tick at the beginning of a day."""
    cancelled = cancelled_orders(orders)
    first = orders[0].at // DAY_MS
    for customer_id in dict.fromkeys(order.customer_id for order in orders):
        yield profile(customer_id, first * DAY_MS, "GBP", limit_minor)
    day = first
    for order in orders:
        while day < order.at // DAY_MS:
            day += 1
            yield tick(day)
        if order.number in cancelled:
            yield cancellation(order, cancelled[order.number])
        else:
            yield online_order(order)
    yield tick(day + 1)


def online_order(order: OnlineOrder) -> e.OrderPlaced:
    """An order, or with a negative amount a return."""
    return e.OrderPlaced(
        event_id=f"order/{order.number}",
        occurred_at=order.at,
        order_id=order.number,
        customer_id=order.customer_id,
        amount_minor=order.amount_minor,
        currency="GBP",
    )


def cancellation(order: OnlineOrder, cancelled: str) -> e.OrderCancelled:
    """The cancelling row `order` takes back the order of that number."""
    return e.OrderCancelled(
        event_id=f"cancel/{order.number}", occurred_at=order.at, order_id=cancelled, customer_id=order.customer_id
    )
