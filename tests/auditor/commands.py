"""What people do (spec 7): release, reject, force, exclude, review, evaluate, ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.auditor.books import Order, Release
from tests.auditor.facts import Customer
from tests.auditor.judge import judge
from tests.auditor.membership import Asks
from tests.auditor.money import fraction
from tests.auditor.orders import checked_at, codes_of, figures_of, known_order, order_from, take_new_state
from tests.auditor.partition import Event, Part, Refused

if TYPE_CHECKING:
    from tests.auditor.world import World


def held_order(world: World, event: Event, part: Part) -> tuple[Customer, Order]:
    """The order of a command that needs it on hold."""
    customer, order = known_order(world, event, part)
    if order.entry is None:
        raise Refused("invalid")
    return customer, order


def release(world: World, event: Event, part: Part) -> None:
    """`ReleaseOrder` (7.2): reserves the credit whether or not it is there."""
    customer, order = held_order(world, event, part)
    if part.book.with_approval and order.forced is None:
        world.expected.loose.add("*")
        return
    reasons = part.book.release_reasons
    if not event["release_reason"] or (reasons and event["release_reason"] not in reasons):
        raise Refused("invalid")
    assert order.entry is not None
    waived = frozenset(reason["code"] for reason in order.entry["reasons"]) - {"forced_hold"}
    kept = (order.rate, order.has_rate)
    world.take_rate(customer, order, part)
    found = judge(order, order.held_at, world.facts(customer, part, order))
    if world.must_ask(order, found):  # Not for its consent: the decision says by how much the limit is passed.
        order.rate, order.has_rate = kept
        raise Asks(customer, order, found, others_wait=True, is_new=False)
    order.forced = None
    waived |= set(found.reasons)
    found.verdict, found.reasons = "released", ["released_by_person"]
    more = {"actor": event["actor"], "release_reason": event["release_reason"]}
    posting = event.get("posting") or "without_posting"
    world.decide(customer, order, part, order.held_at, found, "command", posting=posting, **more)
    days = event.get("valid_days")
    percent = fraction(event.get("tolerance_percent") or part.book["release_tolerance_percent"]) or Fraction(0)
    until = part.today + timedelta(part.book["release_valid_days"] if days is None else days)
    order.reasons = found.reasons
    world.released(customer, order, part)
    order.tolerance = percent
    order.release = Release(until, order.granted, waived, percent)


def reject(world: World, event: Event, part: Part) -> None:
    """`RejectOrder` (7.3)."""
    customer, order = held_order(world, event, part)
    if part.book.with_approval:
        world.expected.loose.add("*")
        return
    assert order.entry is not None
    reasons = codes_of(order.entry)
    found = judge(order, order.held_at, world.facts(customer, part, order), order.forced is not None, may_ask=False)
    for line in found.lines:
        line.optional = line.optional or order.forced is not None
    found.verdict, found.reasons = "rejected", reasons
    more = {"actor": event["actor"], "release_reason": event["reason"]}
    world.decide(customer, order, part, order.held_at, found, "command", **more)
    order.verdict, order.reasons, order.forced, order.checkpoint = "rejected", reasons, None, order.held_at
    order.release = None  # An earlier release is over: what comes of the order is checked as new (decisions, 5.7).
    world.leave(order)


def exclude(world: World, event: Event, part: Part) -> None:
    """`ExcludeOrder` (7.7)."""
    customer, order = known_order(world, event, part)
    if order.state != "open" or order.verdict == "rejected":
        raise Refused("invalid")
    order.taken_out, order.forced = True, None
    world.take_rate(customer, order, part)
    found = figures_of(world, customer, order, part)
    found.reasons = ["excluded"]
    at = order.held_at if order.entry is not None else checked_at(order)
    more = {"actor": event["actor"], "release_reason": event["reason"]}
    world.decide(customer, order, part, at, found, "command", **more)
    order.reasons = found.reasons
    world.released(customer, order, part)


def review(world: World, event: Event, part: Part) -> None:
    """`ReviewOrder`: what people write on an entry."""
    customer, order = held_order(world, event, part)
    assert order.entry is not None
    order.entry |= {name: event.get(name) for name in ("review_on", "assignee", "note")}
    order.entry["last_actor"] = event["actor"]
    world.show_entry(customer, order)


def force(world: World, event: Event, part: Part) -> None:
    """`ForceHold` (7.5): one order, all open ones of a customer, or of a selection."""
    if event.get("turn_of"):
        customer = world.customer(part, event["customer_id"])
        order = customer.books.orders[event["turn_of"]]
        if order.state == "open" and not is_done(customer, order):
            force_one(world, customer, order, part, event)
            look_again(world, customer, part)
        return
    if event.get("order_id"):
        if not event.get("customer_id"):
            raise Refused("invalid")
        customer, order = known_order(world, event, part)
        if order.state != "open" or is_done(customer, order):
            raise Refused("invalid")
        force_one(world, customer, order, part, event)
        look_again(world, customer, part)
        return
    for customer in selected(world, event, part):
        for _, order in sorted(customer.books.orders.items()):
            if order.state == "open" and not is_done(customer, order):
                force_one(world, customer, order, part, event)
        look_again(world, customer, part)


def look_again(world: World, customer: Customer, part: Part) -> None:
    """Its held orders are evaluated after the event, and its exposure published."""
    world.dirty[customer.customer_id] = customer
    world.by_date.pop(customer.customer_id, None)
    if part.book["evaluate_on"] == "event":
        world.to_evaluate[customer.customer_id] = customer


def is_done(customer: Customer, order: Order) -> bool:
    """Rejected, or invoiced in full: no open order any more, though nobody closed it."""
    return order.verdict == "rejected" or customer.books.is_all_billed(order)


def force_one(world: World, customer: Customer, order: Order, part: Part, event: Event) -> None:
    """The decision says `forced_hold` and whatever other reasons hold; one that waits for its group has it later."""
    question = customer.questions.get(order.asked or "")
    if question is not None and order.verdict == "pending" and not order.waiting:
        question.forced = (event["actor"], event["reason"])
        return
    if order.asked is not None:  # What came before it goes first: a release then does not lift the hold.
        if not event.get("order_id"):  # Of a hold of many, this order's turn.
            event = event | {"customer_id": customer.customer_id, "turn_of": order.order_id}
        order.waiting.append((event, world.input))
        return
    order.forced = event["reason"]
    at = order.held_at if order.entry is not None else checked_at(order)
    world.take_rate(customer, order, part)
    found = judge(order, at, world.facts(customer, part, order), forced=True, may_ask=False)
    if found.verdict != "on_hold":
        found.verdict, found.reasons = "on_hold", ["forced_hold"]
    world.decide(customer, order, part, at, found, "command", actor=event["actor"])
    order.reasons = found.reasons
    world.hold(customer, order, part, at, found)
    assert order.entry is not None
    order.entry["last_actor"] = event["actor"]
    world.show_entry(customer, order)


def selected(world: World, event: Event, part: Part) -> list[Customer]:
    """The customers of this partition that a command is about, in the order of their ids; it is a run if many."""
    selection = event.get("selection")
    if event.get("customer_id"):
        return [world.customer(part, event["customer_id"])]
    world.expected.runs.append(event["event_id"])
    found = sorted(part.customers.values(), key=lambda customer: customer.customer_id)
    if not selection:
        return found
    ids, label = selection.get("customer_ids") or [], selection.get("credit_management_group")
    labelled = [c for c in found if label is not None and c.says("credit_management_group") == label]
    return [c for c in found if c.customer_id in ids or c in labelled]


def evaluate_holds(world: World, event: Event, part: Part) -> None:
    """`EvaluateHolds` (7.4)."""
    if event.get("customer_id") is not None:
        known = world.customer(part, event["customer_id"]).books.orders
        if any(order_id not in known for order_id in event.get("order_ids") or ()):
            raise Refused("unknown_reference")
    for customer in selected(world, event, part):
        world.dirty[customer.customer_id] = customer
        world.strict = True
        world.evaluate(customer, part, event.get("order_ids") or None)
        world.strict = False


def check_order(world: World, event: Event, part: Part) -> None:
    """`CheckOrder` (13.4): a question, answered by a trial decision."""
    customer = world.customer(part, event["customer_id"])
    kept = customer.books.orders.get(event["order_id"])
    order = order_from(event, event["order_id"]) if kept is None else replace(kept)
    take_new_state(order, event)
    if kept is None:
        order.delivered = customer.books.early_deliveries.get(order.order_id, "0")
    if kept is not None and kept.currency != order.currency:  # A release was good for an amount of the old one.
        order.rate, order.has_rate, order.release = None, False, None
    customer.books.orders[order.order_id] = order
    if kept is None or kept.currency != order.currency:
        world.take_rate(customer, order, part, as_one=False)
    try:
        found = world.judged(customer, order, part, "order_entry")
        if world.must_ask(order, found):
            raise Asks(customer, order, found, others_wait=False, is_new=kept is None)
        world.decide(customer, order, part, "order_entry", found, "command", pro_forma=True)
    finally:
        if kept is None:
            del customer.books.orders[order.order_id]
        else:
            customer.books.orders[order.order_id] = kept
