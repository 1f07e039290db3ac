"""Customers and their policies (spec 4, 8.1), and the documents that waited for a profile or a rate."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.auditor.facts import Customer, Policy
from tests.auditor.money import Money, fraction, minor
from tests.auditor.partition import Event, Part, Refused
from tests.auditor.receivables import keep_rate

if TYPE_CHECKING:
    from tests.auditor.world import World


def updated(world: World, event: Event, part: Part) -> None:
    """`CustomerUpdated`: the first sets limit and expiry date, later ones may not (8.1)."""
    customer = world.customer(part, event["customer_id"])
    currency, first = event["credit_currency"], customer.profile is None
    if not first and currency != customer.currency:
        raise Refused("invalid")
    limit = None if event.get("credit_limit") is None else minor(event["credit_limit"], currency)
    expires = date.fromisoformat(event["credit_limit_expires_on"]) if event.get("credit_limit_expires_on") else None
    others = limit not in (None, customer.limit) or expires not in (None, customer.expires)
    customer.profile, customer.books.currency = event, currency
    if first or part.book["allow_manual_limits"]:
        change_limit(world, customer, part, limit, expires, first)
    elif others:
        world.expected.dead.append((event["event_id"], "limit_change_refused"))
    if first:
        count_from_now(world, customer, part)


def change_limit(
    world: World, customer: Customer, part: Part, limit: Money | None, expires: date | None, first: bool
) -> None:
    """Taken over by the first update; a `LimitChanged` where manual limits are allowed."""
    old = customer.limit
    if not first and (limit not in (None, old) or expires not in (None, customer.expires)):
        value = {"type": "LimitChanged", "old_limit": world.show(customer, old)}
        value |= {"new_limit": world.show(customer, old if limit is None else limit)}
        world.expected.limits.append(value | world.party_of(customer))
    customer.limit = old if limit is None else limit
    customer.expires = customer.expires if expires is None else expires


def count_from_now(world: World, customer: Customer, part: Part) -> None:
    """Documents kept without a profile count from when it comes (15, 2)."""
    count_documents(world, customer, part, rows_of(customer))
    for order in customer.books.orders.values():
        order.has_rate = False
        world.take_rate(customer, order, part)


def count_what_lacked(world: World, customer: Customer, part: Part) -> None:
    """Documents without a rate count from when it comes."""
    if customer.profile is None:
        return
    lacking = customer.books.lacking
    count_documents(world, customer, part, [row for row in rows_of(customer) if row[0] in lacking])
    for order in customer.books.orders.values():
        if not order.has_rate:
            world.take_rate(customer, order, part)


def rows_of(customer: Customer) -> list[tuple[tuple[str, str], str, date]]:
    """The rows that keep a rate: what they are, their currency, their date."""
    books = customer.books
    rows = [(("invoice", invoice.invoice_id), invoice.currency, invoice.day) for invoice in books.invoices.values()]
    rows += [(("payment", payment.payment_id), payment.currency, payment.day) for payment in books.payments.values()]
    return rows + [(("note", note.credit_note_id), note.currency, note.day) for note in books.notes.values()]


def count_documents(
    world: World, customer: Customer, part: Part, rows: list[tuple[tuple[str, str], str, date]]
) -> None:
    """Puts the rates of their own dates on the rows."""
    for row, currency, day in rows:
        keep_rate(customer, part, row, currency, day)


def policy_updated(world: World, event: Event, part: Part) -> None:
    """`PolicyUpdated`."""
    customer = world.customer(part, event["customer_id"])
    customer.policies[event["policy_id"]] = Policy(
        minor(event["value"], event["currency"]) or 0,
        event["currency"],
        fraction(event.get("update_percentage") or "100") or Fraction(0),
        bool(event.get("included_in_exposure")),
        date.fromisoformat(event["effective_on"]),
        date.fromisoformat(event["expires_on"]),
    )


def policy_removed(world: World, event: Event, part: Part) -> None:
    """`PolicyRemoved`."""
    if world.customer(part, event["customer_id"]).policies.pop(event["policy_id"], None) is None:
        raise Refused("unknown_reference")
