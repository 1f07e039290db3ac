"""What every partition takes: settings, exchange rates, the clock (spec 1.2, 10.1, 12)."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.auditor.customers import count_what_lacked
from tests.auditor.groups import look_at_pool
from tests.auditor.membership import ask_again
from tests.auditor.money import fraction
from tests.auditor.partition import Event, Part, Refused
from tests.auditor.rulebook import RuleBook, faults, read_document

if TYPE_CHECKING:
    from tests.auditor.world import World


def settings_published(world: World, event: Event, part: Part) -> None:
    """`SettingsPublished`: checked as a whole (12)."""
    document = read_document(event["document"])
    if event["version"] != part.published + 1 or document is None or next(faults(document), None) is not None:
        raise Refused("invalid_setting")
    part.book, part.published = RuleBook(document, event["version"]), event["version"]
    for customer in part.customers.values():
        count_what_lacked(world, customer, part)
        world.dirty[customer.customer_id] = customer
        if part.book["evaluate_on"] == "event":
            world.to_evaluate[customer.customer_id] = customer
    for group in part.groups.values():
        look_at_pool(world, group, part, bool(group.line))
    world.tell_time(event, part)


def rate_published(world: World, event: Event, part: Part) -> None:
    """`ExchangeRatePublished`: what waited for it counts, and frees orders; nothing else is (decisions, 7.4)."""
    pair = (event["from_currency"], event["to_currency"])
    day, rate = date.fromisoformat(event["valid_from"]), fraction(event["rate"])
    part.rates.publish(event.get("rate_type") or "default", pair, day, rate or Fraction(0))
    for customer in part.customers.values():
        waiting = any(o.entry is not None and not o.has_rate for o in customer.books.orders.values())
        world.dirty[customer.customer_id] = customer
        count_what_lacked(world, customer, part)
        if waiting and customer.profile is not None and part.book["evaluate_on"] == "event":
            world.to_evaluate[customer.customer_id] = customer  # All of it: who waited may come before who is ready.
            world.by_date.pop(customer.customer_id, None)
    for group in part.groups.values():
        look_at_pool(world, group, part, look=False)


def ticked(world: World, event: Event, part: Part) -> None:
    """`ClockTicked`: time was told already; questions without an answer are asked again."""
    if world.clock_moved:
        ask_again(world, part)
