"""A customer as a member of its group, at the customer's task: what it tells and asks, and goes on with when answered.

Between an event that needs the group and the answer lies time (docs/groups.md): the order is pending, what comes for it
waits behind it, and it is judged at the answer by the figures of the answer. What the customer's task told its group is
a fact of the protocol; its content must be what the books here say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.auditor.books import OPEN, Buckets, Counting, Order
from tests.auditor.facts import Customer, GroupView, Judgement
from tests.auditor.money import Money, minor, shown

if TYPE_CHECKING:
    from tests.auditor.partition import Event, Part, Value
    from tests.auditor.records import Records
    from tests.auditor.world import World

TOLD = ("current_invoices", "overdue_invoices", "open_orders", "delivered_not_invoiced", "unapplied")
WAITS_BEHIND = frozenset(
    "OrderChanged OrderCheckpointReached OrderReopened ReleaseOrder RejectOrder ExcludeOrder ForceHold".split()
)
"""What comes for an order while it is pending waits (decisions, 5.2)."""
ENDS = frozenset({"OrderCancelled", "OrderClosed"})
"""These wait only if something waits already."""
PATIENCE = timedelta(minutes=1)
"""After which a question is asked again (decisions, 5.2)."""


@dataclass
class Question:
    """A question to the group that has no answer yet, and what goes on when it comes."""

    order_id: str
    event: Event
    input: Value
    since: datetime
    included: Money
    checkpoint: str | None = None
    """Where the check is that goes on; None: the event begins anew, it had no effect yet."""
    forced: tuple[str, str] | None = None
    """Who put the order on hold meanwhile, and why."""


class Asks(Exception):
    """The event needs the group's figures before it can have an effect."""

    def __init__(self, customer: Customer, order: Order, found: Judgement, others_wait: bool, is_new: bool) -> None:
        super().__init__(order.order_id)
        self.customer, self.order, self.found, self.others_wait, self.is_new = (
            customer, order, found, others_wait, is_new,
        )  # fmt: skip


# --- what the group knows -------------------------------------------------------------------------------------------


def told_of(customer: Customer, part: Part) -> Buckets:
    """The exposure as the group is to have it: without what waits for its answer."""
    counting = Counting(part.today, part.book.parameters)
    buckets = customer.books.buckets(counting)
    if part.book["exposure_scope"] in ("balance", "balance_and_delivered"):
        return buckets
    for order in customer.books.orders.values():
        if order.verdict == "pending":
            open_part, _ = customer.books.own_part(order, counting)
            buckets[OPEN] -= open_part - min(order.in_report, open_part)
    return buckets


def note_reported(customer: Customer, part: Part) -> None:
    """What of each order the group knows after this step."""
    if customer.group is None:
        return
    counting = Counting(part.today, part.book.parameters)
    for order in customer.books.orders.values():
        open_part, _ = customer.books.own_part(order, counting)
        if order.verdict == "pending":
            order.in_report = min(order.in_report, open_part)
        else:
            order.in_report = open_part if customer.books.consumes(order, counting) else 0


def included_of(customer: Customer, order: Order, part: Part) -> Money:
    """What of a question's order is in the report that goes before it."""
    counting, scope = Counting(part.today, part.book.parameters), part.book["exposure_scope"]
    open_part, lying = customer.books.own_part(order, counting)
    if order.verdict == "pending":
        open_part = min(order.in_report, open_part)
    elif not customer.books.consumes(order, counting):
        open_part = 0
    open_part = 0 if scope in ("balance", "balance_and_delivered") else open_part
    return open_part + (0 if scope == "balance" else lying)


# --- questions ------------------------------------------------------------------------------------------------------


def ask(
    world: Records,
    customer: Customer,
    order: Order,
    part: Part,
    found: Judgement,
    purposes: tuple[str, ...],
    included: Money,
) -> str | None:
    """The id of the question that must have been put about the order; None if it was not, which is a finding."""
    for request in world.requests:
        about = (request["customer_id"], request["order_id"]) == (customer.customer_id, order.order_id)
        if about and request["purpose"] in purposes:
            world.requests.remove(request)
            check_question(world, customer, order, part, found, request, included)
            return str(request["request_id"])
    world.fault(f"{order.order_id} needs its group", f"a question ({' or '.join(purposes)})", "nothing asked")
    return None


def check_question(
    world: Records, customer: Customer, order: Order, part: Part, found: Judgement, request: Value, included: Money
) -> None:
    """Whether a question asks what the rules make of the group."""
    amounts = {"amount": found.open_amount, "included": included}
    mine: Value = {name: shown(amount, customer.currency) for name, amount in amounts.items()}
    mine |= {"group_id": customer.group, "currency": customer.currency, "released_below": found.released_below}
    mine["conditions"] = sorted(found.conditions, key=str)
    theirs = {name: request[name] for name in mine} | {"conditions": sorted(request["conditions"], key=str)}
    if mine != theirs:
        world.fault(f"question {request['request_id']} about {order.order_id}", mine, theirs)


def put_off(world: World, asks: Asks, event: Event, part: Part) -> None:
    """The event begins anew when the group has answered."""
    customer, order = asks.customer, asks.order
    included = 0 if asks.is_new else included_of(customer, customer.books.orders[order.order_id], part)
    request_id = ask(world, customer, order, part, asks.found, ("look",), included)
    if request_id is not None:
        customer.questions[request_id] = Question(order.order_id, event, world.input, part.now, included)
        if asks.others_wait:
            order.asked = request_id


def look_at_held(world: World, customer: Customer, part: Part) -> None:
    """Questions that no event put: held orders that could go stand in the group's line, or look what it says."""
    for request in [request for request in world.requests if request["customer_id"] == customer.customer_id]:
        world.requests.remove(request)
        order = customer.books.orders.get(request["order_id"])
        if order is None or order.entry is None or request["purpose"] == "reserve":
            world.fault(f"question {request['request_id']}", "an order on hold that could go", request)
            continue
        rate = (order.rate, order.has_rate)
        found = world.judged(customer, order, part, order.held_at)
        order.rate, order.has_rate = rate
        order.in_line = request["request_id"]
        if not found.asks_group:
            world.fault(f"question {request['request_id']} about {order.order_id}", "nothing depends on it", request)


# --- answers --------------------------------------------------------------------------------------------------------


def answered(world: World, event: Event, part: Part) -> None:
    """`GroupCreditAnswered`: the check, the held order or the event that waited for it goes on. It is waited for once:
    what comes twice or late changes nothing."""
    customer, request_id = world.customer(part, event["customer_id"]), event["request_id"]
    order = customer.books.orders.get(event["order_id"])
    question = customer.questions.pop(request_id, None)
    if event["group_id"] == customer.group:
        world.answers = {event["order_id"]: event}
    if question is not None:
        go_on(world, customer, question, part, request_id, event)
    elif order is not None and order.entry is not None and order.in_line == request_id:
        order.in_line = request_id if event.get("waits") else None
        if world.answers:  # Of a group that it has left it comes late: then nobody has to look.
            world.evaluate(customer, part, [order.order_id])
    world.answers = {}


def go_on(
    world: World, customer: Customer, question: Question, part: Part, request_id: str, answer: Event | None
) -> None:
    """What waited for the answer, and then what waited behind it."""
    order = customer.books.orders.get(question.order_id)
    if order is not None and order.asked == request_id:
        order.asked = None
    if question.checkpoint is None:
        world.go_on_with(question.event, question.input, part)
    elif order is not None and order.verdict == "pending":
        here, world.input = world.input, question.input
        world.check(customer, order, part, question.checkpoint, "group_answer", question)
        world.input = here
        stays = order.verdict == "on_hold" and order.forced is None
        same = included_of(customer, order, part) == question.included
        if stays and same and (answer is None or answer.get("waits")):
            order.in_line = request_id
        elif stays and not same and part.book["evaluate_on"] == "event":  # It has to wait with what it has now.
            world.to_evaluate.setdefault(customer.customer_id, customer)
    world.answers = {}
    if order is not None:
        go_on_behind(world, customer, order, part)


def go_on_behind(world: World, customer: Customer, order: Order, part: Part) -> None:
    """Event after event, until one has to wait itself. What was decided before it is in the report of this step."""
    while order.waiting and order.asked is None:
        note_reported(customer, part)
        event, place = order.waiting.pop(0)
        world.go_on_with(event, place, part)


def ask_again(world: World, part: Part) -> None:
    """What was not answered for long is asked anew; the old question is over."""
    late = [
        (question.since, request_id, customer)
        for customer in part.customers.values()
        for request_id, question in customer.questions.items()
        if question.since < part.now - PATIENCE
    ]
    for _, request_id, customer in sorted(late, key=lambda row: row[:2]):
        question = customer.questions.pop(request_id)
        world.dirty[customer.customer_id] = customer
        go_on(world, customer, question, part, request_id, None)


def view_of(answer: Event, customer: Customer, open_amount: Money) -> GroupView:
    """The group's limit and pool as the answer has them.

    In one currency the pool without the order is what it is with it less what counts of it now: part of it may be
    invoiced since, and is among the others' commitments.
    """
    currency = answer["currency"]
    limit, before, after = (minor(answer.get(name) or "0", currency) or 0 for name in ("limit", "before", "after"))
    if currency == customer.currency:
        before = after - open_amount
    return GroupView(
        answer["group_id"], limit, before, after, currency, bool(answer.get("granted")),
        bool(answer.get("rate_missing")),
    )  # fmt: skip


def membership_changed(world: World, event: Event, part: Part) -> None:
    """`GroupMembershipChanged`: the group counts the customer now, or is closed. Of another group it comes late."""
    customer = world.customer(part, event["customer_id"])
    if event["group_id"] != customer.group:
        return
    if event["state"] == "closed":
        customer.closed_group = event["group_id"]
    else:
        if customer.counted_in[:1] == [event["group_id"]]:
            customer.leaving, customer.counted_in = customer.counted_in[1:], customer.counted_in[:1]
        world.take_over_expiry(customer, event.get("expires_on"))
    if part.book["evaluate_on"] == "event":
        world.to_evaluate[customer.customer_id] = customer


# --- what it tells --------------------------------------------------------------------------------------------------


def look_at_reports(world: World, customer: Customer, part: Part, reports: list[Value]) -> None:
    """What the customer told its groups in this step must be what it is, and nothing that changed is kept from them."""
    if customer.profile is None:
        for report in reports:
            world.fault(f"report of {customer.customer_id}", "nothing: it has no profile", report)
        return
    if customer.group is None and not (customer.counted_in or customer.leaving or reports):
        return
    mine, group = told_of(customer, part), customer.group
    joins = group is not None and customer.counted_in[:1] != [group]
    if joins:
        customer.counted_in = [str(group), *(other for other in customer.counted_in if other != group)]
    leaves = customer.leaving if group is not None else [*customer.counted_in, *customer.leaving]
    due = set(leaves)
    if group is not None and (joins or mine != customer.told):
        due |= set(customer.counted_in)
    for report in reports:
        check_report(world, customer, part, report, mine, joins, leaves)
        due.discard(report["group_id"])
    for group_id in sorted(due):
        world.fault(f"report of {customer.customer_id} to {group_id}", mine, "nothing told")
    customer.told, customer.leaving = (None if group is None else mine), []
    if group is None:
        customer.counted_in = []


def check_report(
    world: World, customer: Customer, part: Part, report: Value, mine: Buckets, joins: bool, leaves: list[str]
) -> None:
    """One report."""
    group_id = report["group_id"]
    leaves_it = group_id in leaves and not (report["is_member"] and group_id in customer.counted_in)
    buckets = [0, 0, 0, 0, 0] if leaves_it else mine
    wanted: Value = {name: shown(amount, customer.currency) for name, amount in zip(TOLD, buckets, strict=True)}
    wanted |= {"is_member": not leaves_it, "joins": joins and group_id == customer.group}
    wanted |= {"currency": customer.currency, "business_date": str(part.today)}
    found = {name: report[name] for name in wanted}
    if wanted != found or not (leaves_it or group_id in customer.counted_in):
        world.fault(f"report of {customer.customer_id} to {group_id}", wanted, report)
    if report["number"] <= customer.number:
        world.fault(f"number of a report of {customer.customer_id}", f"more than {customer.number}", report["number"])
    customer.number = max(customer.number, report["number"])
    for request_id in report["settled"]:
        if request_id in customer.questions:
            world.fault(f"settled by {customer.customer_id}", "what nobody waits for", request_id)
        for order in customer.books.orders.values():
            order.in_line = None if order.in_line == request_id else order.in_line
