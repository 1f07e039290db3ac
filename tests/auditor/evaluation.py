"""Held orders are looked at again (spec 7.4): freed credit is offered in one declared sequence, never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.auditor.books import Order
from tests.auditor.checks import Checks
from tests.auditor.facts import Customer, Judgement
from tests.auditor.orders import counts
from tests.auditor.partition import Part, Value


class Evaluation(Checks):
    """The evaluation of one customer's held orders."""

    def held(self, customer: Customer, part: Part) -> list[Order]:
        """Held orders in the declared sequence."""
        found = [order for order in customer.books.orders.values() if order.entry is not None]
        found.sort(key=self.priority(customer, part))
        return found

    def priority(self, customer: Customer, part: Part) -> Callable[[Order], Any]:
        """The key of the declared sequence; equal ones in the order of their holding."""
        sign = {"oldest_first": 0, "smallest_first": 1, "largest_first": -1}[part.book["release_priority"]]

        def key(order: Order) -> Any:
            assert order.entry is not None
            worth = counts(customer, order, part) if order.has_rate else 0
            return (sign * worth, order.entry["number"])

        return key

    def evaluate(self, customer: Customer, part: Part, only: list[str] | None = None) -> None:
        """Rules again over held orders; credit is offered in sequence, to each that fits, never twice.

        What is ready has its credit set aside where a person has yet to release it. With `automatic_release` it is
        released at once or waits for its group to grant it, and until then nothing is set aside (decisions, 7.4).
        """
        ready = [order for order in self.held(customer, part) if self.is_ready(order)]
        sets_aside = part.book["automatic_release"] == "off"
        offered: set[str] = set()
        if sets_aside and only is not None and customer.group is None:
            offered = {order.order_id for order in ready} - set(only)
        for order in self.held(customer, part):
            if only is None or order.order_id in only:
                self.evaluate_order(customer, order, part, offered)
            if sets_aside and self.is_ready(order) and (only is None or customer.group is not None):
                offered.add(order.order_id)

    def is_ready(self, order: Order) -> bool:
        """Shown as ready and not forced: credit is set aside for it."""
        return order.entry is not None and order.entry["status"] == "ready_to_release" and order.forced is None

    def evaluate_order(self, customer: Customer, order: Order, part: Part, offered: set[str]) -> None:
        """One held order: reasons marked, ready, or released by itself."""
        rate = (order.rate, order.has_rate)
        if order.asked is not None:
            return
        found = self.judged(customer, order, part, order.held_at, offered)
        is_free = found.verdict == "released" and order.forced is None
        if self.must_ask(order, found) or (is_free and found.lacks_grant and part.book["automatic_release"] != "off"):
            order.rate, order.has_rate = rate
            return
        holding = [] if found.verdict == "released" else found.reasons
        if set(holding) <= {"forced_hold"} and self.was_free_before(customer, order, part):
            order.rate, order.has_rate = rate
            return
        if not holding and order.forced is None:
            if part.book["automatic_release"] != "off":
                self.release_by_itself(customer, order, part, found)
                return
            offered.add(order.order_id)
        assert order.entry is not None
        before = order.entry | {"reasons": [dict(reason) for reason in order.entry["reasons"]]}
        looked_at = self.was_looked_at(order.order_id)
        shown_before = self.expected.holds.get(order.order_id)
        self.mark(order, found, holding)
        self.show_entry(customer, order)
        if rate[1]:
            order.rate, order.has_rate = rate
        freed = order.entry["status"] == "ready_to_release" != before["status"]
        if not (freed or looked_at or self.strict):
            order.entry, (order.rate, order.has_rate) = before, rate
            del self.expected.holds[order.order_id]
            if shown_before is not None:
                self.expected.holds[order.order_id] = shown_before

    def was_looked_at(self, order_id: str) -> bool:
        """Whether an entry was published that is not the one expected so far: it must be what an evaluation says."""
        if order_id not in self.mentioned:
            return False
        expected = self.expected.holds.get(order_id)
        return expected is None or self.differs(order_id, expected, self.mentioned[order_id])

    def was_free_before(self, customer: Customer, order: Order, part: Part) -> bool:
        """Only the date moved, and it freed nothing: there is no need to look (10.2), unless it was looked at."""
        before = self.by_date.get(customer.customer_id)
        if before is None or self.was_looked_at(order.order_id):
            return False
        today, part.today = part.today, before
        found = self.judged(customer, order, part, order.held_at)
        part.today = today
        return found.verdict == "released" or found.reasons == ["forced_hold"]

    def mark(self, order: Order, found: Judgement, holding: list[str]) -> None:
        """Reasons no longer true are marked so, new ones stand behind them."""
        assert order.entry is not None
        reasons: list[Value] = order.entry["reasons"]
        now = {(reason["code"], reason["rule_id"]): reason for reason in self.causes(holding, found.lines)}
        for at, reason in enumerate(reasons):
            stays = reason["code"] == "forced_hold" and order.forced is not None  # Until a person releases it (7.5).
            reasons[at] = now.pop((reason["code"], reason["rule_id"]), reason | {"still_valid": stays})
        reasons += now.values()

    def release_by_itself(self, customer: Customer, order: Order, part: Part, found: Judgement) -> None:
        """Parameter `automatic_release`."""
        found.reasons = ["automatic_release"]
        reason, posting = part.book["automatic_release_reason"], part.book["automatic_release"]
        more: Value = {"release_reason": reason, "posting": posting}
        self.decide(customer, order, part, order.held_at, found, "evaluation", **more)
        order.reasons = found.reasons
        order.grace_until = self.grace(part, order.held_at, "grace_days")
        self.released(customer, order, part)

    def adopt(self, value: Value) -> None:
        """An order as a decision that this model does not make left it."""
        for part in self.parts:
            customer = part.customers.get(value["customer_id"])
            order = customer.books.orders.get(value["order_id"]) if customer is not None else None
            if order is not None and not value["pro_forma"] and value["verdict"] != "on_hold":
                self.released(customer, order, part)
                order.verdict, order.reasons = value["verdict"], value["reasons"]

    def adopt_exposures(self, values: Iterable[Value]) -> None:
        """Exposures as they were published."""
        for value in values:
            key = f"{value['party']}/{value['customer_id'] or value['group_id']}"
            self.published[key] = {name: text for name, text in value.items() if name not in ("as_of", "business_date")}
