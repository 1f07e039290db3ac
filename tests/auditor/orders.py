"""The events of an order (spec 2, 3, 5.7, 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.auditor import forms
from tests.auditor.books import Counting, Order
from tests.auditor.facts import REASON_ORDER, Customer, Judgement
from tests.auditor.membership import Asks
from tests.auditor.money import Money, fraction, minor
from tests.auditor.partition import Event, Part, Refused, Value

if TYPE_CHECKING:
    from tests.auditor.world import World


def order_from(event: Event, order_id: str) -> Order:
    """The order that an event describes."""
    currency = event["currency"]
    return Order(
        order_id,
        event.get("legal_entity") or "",
        minor(event["amount"], currency) or 0,
        currency,
        minor(event.get("secured_amount") or "0", currency) or 0,
        event.get("payment_terms"),
        event.get("settlement_discount"),
        date.fromisoformat(event["ships_on"]) if event.get("ships_on") else None,
        bool(event.get("intercompany")),
        bool(event.get("excluded")),
    )


def known_order(world: World, event: Event, part: Part) -> tuple[Customer, Order]:
    """The order of an event about one that must exist."""
    customer = world.customer(part, event["customer_id"])
    order = customer.books.orders.get(event["order_id"])
    if order is None:
        raise Refused("unknown_reference")
    return customer, order


def placed(world: World, event: Event, part: Part) -> None:
    """`OrderPlaced`."""
    customer = world.customer(part, event["customer_id"])
    if event["order_id"] in customer.books.orders:
        raise Refused("invalid")
    order = order_from(event, event["order_id"])
    delivered = customer.books.early_deliveries.pop(order.order_id, "0")
    order.delivered = delivered
    customer.books.orders[order.order_id] = order
    world.take_rate(customer, order, part, as_one=False)
    if part.book.checkpoints["order_entry"]["posting"] or not part.book.checks_anywhere():
        world.check(customer, order, part, "order_entry", "order")
        return
    not_checked(world, customer, order, part, "order_entry", "order")
    world.released(customer, order, part, checked=False)


def not_checked(
    world: World, customer: Customer, order: Order, part: Part, checkpoint: str, cause: str, reason: str = "not_checked"
) -> None:
    """A decision without a check: released as it stands, for a reason."""
    found = figures_of(world, customer, order, part)
    found.reasons = [reason]
    world.decide(customer, order, part, checkpoint, found, cause)
    order.reasons = found.reasons


def figures_of(world: World, customer: Customer, order: Order, part: Part) -> Judgement:
    """The figures of a decision in which no rule is looked at."""
    from tests.auditor.judge import figures

    return figures(order, world.facts(customer, part))


def changed(world: World, event: Event, part: Part) -> None:
    """`OrderChanged`: spec 5.7."""
    customer = world.customer(part, event["customer_id"])
    order = customer.books.orders.get(event["order_id"])
    if order is None:
        placed(world, event, part)
        world.expected.loose.add("cause")
        return
    if order.state != "open":
        raise Refused("invalid")
    old = replace(order)
    old_net, counted = 0 if is_beyond(order, part) else order.net, counts(customer, order, part)
    take_new_state(order, event)
    if order.currency != old.currency:  # A release was good for an amount of the old one.
        order.rate, order.has_rate, order.release, order.granted, old_net = None, False, None, 0, 0
        world.take_rate(customer, order, part, as_one=False)
    if order.verdict in ("on_hold", "rejected"):
        order.forced = order.forced if order.verdict == "on_hold" else None
        world.check(customer, order, part, order.held_at if order.entry else checked_at(order), "change")
        return
    change_of_released(world, customer, order, part, old, old_net, counted)


def take_new_state(order: Order, event: Event) -> None:
    """What the event says of the order; what happened to it stays."""
    new = order_from(event, order.order_id)
    for name in "amount currency secured terms discount ships_on intercompany excluded legal_entity".split():
        setattr(order, name, getattr(new, name))


def counts(customer: Customer, order: Order, part: Part) -> Money:
    """What counts of an order, in credit currency; nothing without a profile."""
    if customer.profile is None:
        return 0
    return sum(customer.books.own_part(order, Counting(part.today, part.book.parameters)))


def is_beyond(order: Order, part: Part) -> bool:
    """Whether it ships after the horizon (3.6)."""
    horizon = part.book["credit_horizon_days"]
    return horizon >= 0 and order.ships_on is not None and order.ships_on > part.today + timedelta(horizon)


def checked_at(order: Order) -> str:
    """The last checkpoint that checked it, order entry if there was none."""
    return order.checkpoint or "order_entry"


def change_of_released(
    world: World, customer: Customer, order: Order, part: Part, old: Order, old_net: Money, counted: Money
) -> None:
    """A rise, another currency or other terms check again, within tolerance not, a fall never."""
    fall = max(0, old_net - (0 if is_beyond(order, part) else order.net))
    order.granted = max(0, order.granted - fall)  # What was given up may be someone else's by now.
    if order.release is not None:
        order.release = replace(order.release, up_to=max(0, order.release.up_to - fall))
    other_terms = (old.terms, old.discount) != (order.terms, order.discount)
    is_foreign, lacks_rate = order.currency != old.currency, customer.profile is not None and not order.has_rate
    rises = is_foreign or lacks_rate or counts(customer, order, part) > counted
    percent = order.tolerance
    if percent is None:
        percent = fraction(part.book["release_tolerance_percent"]) or Fraction(0)
    tolerated = not is_foreign and order.net <= order.granted + order.granted * percent / 100
    at, unchecked = checked_at(order), not part.book.checks_anywhere()
    may_stay = not lacks_rate and part.book["allow_edit_after_release"]
    if may_stay or unchecked or not (other_terms or rises):
        not_checked(world, customer, order, part, at, "change")
        if unchecked and rises and tolerated and not other_terms:  # both say why it was not checked
            world.expected.loose.add("reasons")
    elif rises and tolerated and not other_terms:
        not_checked(world, customer, order, part, at, "change", "within_tolerance")
        if not part.book.checkpoints[at]["posting"]:  # both say why it was not checked
            world.expected.loose.add("reasons")
    elif not part.book.checkpoints[at]["posting"]:
        not_checked(world, customer, order, part, at, "change")
    else:
        world.check(customer, order, part, at, "change")


def reached(world: World, event: Event, part: Part) -> None:
    """`OrderCheckpointReached`: spec 6."""
    customer, order = known_order(world, event, part)
    if order.state == "cancelled":
        raise Refused("invalid")
    checkpoint, conf = event["checkpoint"], part.book.checkpoints[event["checkpoint"]]
    if event.get("pro_forma"):
        trial(world, customer, order, part, checkpoint)
    elif order.verdict == "rejected" or (order.entry is not None and not conf["posting"]):
        stands(world, customer, order, part, checkpoint)
    elif not conf["posting"]:
        not_checked(world, customer, order, part, checkpoint, "checkpoint")
    elif is_in_grace(order, part, order.grace_until, conf["grace_days"]):
        not_checked(world, customer, order, part, checkpoint, "checkpoint", "within_grace")
    else:
        world.check(customer, order, part, checkpoint, "checkpoint")


def is_in_grace(order: Order, part: Part, until: date | None, grace: int) -> bool:
    """Whether an earlier check is still good: step 1 of 5.1, before exclusions; held orders are held.

    Where the checkpoint reached has no grace days (any more), every marked checkpoint checks (6.2).
    """
    if order.entry is not None or order.verdict == "rejected":
        return False
    return grace > 0 and until is not None and part.today <= until


def stands(
    world: World, customer: Customer, order: Order, part: Part, checkpoint: str, cause: str = "checkpoint"
) -> None:
    """Rejected again, or still on hold where nothing is checked, with the reasons that it has."""
    found = figures_of(world, customer, order, part)
    found.verdict, found.reasons = order.verdict, list(order.reasons)
    if order.entry is not None:
        found.reasons = codes_of(order.entry)
    world.decide(customer, order, part, checkpoint, found, cause)


def codes_of(entry: Value) -> list[str]:
    """The reasons of an entry, each once, in the order of 5.1."""
    return sorted({reason["code"] for reason in entry["reasons"]}, key=REASON_ORDER.index)


def trial(world: World, customer: Customer, order: Order, part: Part, checkpoint: str) -> None:
    """A pro-forma check answers what would happen and changes nothing (6.5)."""
    conf = part.book.checkpoints[checkpoint]
    if order.verdict == "rejected" or (order.entry is not None and not conf["pro_forma"]):
        stands(world, customer, order, part, checkpoint)
        world.expected.decisions[-1]["pro_forma"] = True
        return
    if not conf["pro_forma"]:
        found = figures_of(world, customer, order, part)
        found.reasons = ["not_checked"]
    elif is_in_grace(order, part, order.trial_grace_until, conf["pro_forma_grace_days"]):
        found = figures_of(world, customer, order, part)
        found.reasons = ["within_grace"]
    else:
        kept = (order.rate, order.has_rate)
        found = world.judged(customer, order, part, checkpoint)
        if world.must_ask(order, found):
            order.rate, order.has_rate = kept
            raise Asks(customer, order, found, others_wait=False, is_new=False)
        world.decide(customer, order, part, checkpoint, found, "checkpoint", pro_forma=True)
        order.rate, order.has_rate = kept
        order.trial_grace_until = world.grace(part, checkpoint, "pro_forma_grace_days")
        return
    world.decide(customer, order, part, checkpoint, found, "checkpoint", pro_forma=True)


def delivered(world: World, event: Event, part: Part) -> None:
    """`OrderDelivered`, kept if the order is not known yet."""
    customer = world.customer(part, event["customer_id"])
    order = customer.books.orders.get(event["order_id"])
    if order is None:
        customer.books.early_deliveries[event["order_id"]] = event["delivered_amount"]
    elif not forms.decimals_fit(event["delivered_amount"], order.currency):
        raise Refused("invalid")
    else:
        order.delivered = event["delivered_amount"]


def cancelled(world: World, event: Event, part: Part) -> None:
    """`OrderCancelled`."""
    customer, order = known_order(world, event, part)
    if order.state == "cancelled":
        raise Refused("invalid")
    end(world, customer, order, "cancelled")


def closed(world: World, event: Event, part: Part) -> None:
    """`OrderClosed`."""
    customer, order = known_order(world, event, part)
    if order.state != "open":
        raise Refused("invalid")
    end(world, customer, order, "closed")


def end(world: World, customer: Customer, order: Order, state: str) -> None:
    """The order is over, and off the hold list; its question is over too."""
    if order.verdict == "pending":
        customer.questions.pop(order.asked or "", None)
        order.verdict, order.asked = "released", None
    order.state, order.forced = state, None
    world.leave(order)


def reopened(world: World, event: Event, part: Part) -> None:
    """`OrderReopened`: for closed orders; it checks (5.7), with no checkpoint marked too: else closing and opening
    again would let a held order go."""
    customer, order = known_order(world, event, part)
    if order.state != "closed":
        raise Refused("invalid")
    order.state, order.release = "open", None
    at = order.held_at if order.entry is not None else checked_at(order)
    if part.book.checkpoints[at]["posting"] or not part.book.checks_anywhere() or order.entry is not None:
        world.check(customer, order, part, at, "change")
    elif order.verdict == "rejected":
        stands(world, customer, order, part, at, "change")
    else:
        not_checked(world, customer, order, part, at, "change")
        world.released(customer, order, part, checked=False)
