"""Checks that count (spec 5, 6): an order is released, goes on the hold list, or waits for its group."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.auditor.books import Counting, Order, Release
from tests.auditor.facts import Customer, Judgement, Line
from tests.auditor.judge import judge
from tests.auditor.membership import Question, ask, included_of
from tests.auditor.money import fraction, shown
from tests.auditor.orders import is_beyond
from tests.auditor.partition import Part, Value
from tests.auditor.records import Records


class Checks(Records):
    """Takes a judgement over: the decision, the order, its entry on the hold list."""

    def take_rate(self, customer: Customer, order: Order, part: Part, *, as_one: bool = True) -> None:
        """A check takes the rate of its date and keeps it; one that is gone since is kept (decisions, 1.2).

        `as_one`: what is invoiced is converted as one part; else, of an order that is new in its currency, one by one.
        """
        if not as_one:
            order.taken_as_one = {}
        if customer.profile is None:
            order.has_rate = False
            return
        found, rate = part.rates.find(part.book["credit_rate_type"], order.currency, customer.currency, part.today)
        if found:
            if as_one and (not order.has_rate or rate != order.rate):
                customer.books.take_as_one(order, rate)
            order.has_rate, order.rate = True, rate
        elif order.rate is None or order.has_rate is False:
            order.has_rate = False

    def judged(
        self,
        customer: Customer,
        order: Order,
        part: Part,
        checkpoint: str,
        offered: Iterable[str] = (),
        question: Question | None = None,
    ) -> Judgement:
        """A check with what a person's release waives. A `question` has its rate since it was put."""
        if question is None or not order.has_rate:
            self.take_rate(customer, order, part)
        forced = order.forced is not None or (question is not None and question.forced is not None)
        found = judge(order, checkpoint, self.facts(customer, part, order, offered), forced)
        release = order.release
        if release is not None and found.verdict == "on_hold" and self.is_good(release, order, part):
            left = [code for code in found.reasons if code not in release.waived]
            if not left:
                found.verdict, found.reasons, found.waived_all = "released", ["release_honored"], True
            else:
                found.reasons = left
        return found

    def is_good(self, release: Release, order: Order, part: Part) -> bool:
        """Within its days and its amount (5.7)."""
        net = 0 if is_beyond(order, part) else order.net
        return part.today < release.until and net <= release.up_to + release.up_to * release.percent / 100

    def check(
        self,
        customer: Customer,
        order: Order,
        part: Part,
        checkpoint: str,
        cause: str,
        question: Question | None = None,
    ) -> None:
        """A check that counts: the order becomes released or goes on the hold list, or waits for its group."""
        found = self.judged(customer, order, part, checkpoint, (), question)
        if self.must_ask(order, found) or found.lacks_grant:
            order.verdict = "pending"
            order.in_report = min(order.in_report, customer.books.own_part(order, self.counting(part))[0])
            self.ask_of_check(customer, order, part, checkpoint, found, question)
            return
        more: Value = {}
        if question is not None and question.forced is not None and found.verdict == "on_hold":
            more["actor"], order.forced = question.forced
        self.settle(customer, order, part, checkpoint, found, cause, **more)
        if more and order.entry is not None:
            order.entry["last_actor"] = more["actor"]
            self.show_entry(customer, order)

    def ask_of_check(
        self, customer: Customer, order: Order, part: Part, checkpoint: str, found: Judgement, before: Question | None
    ) -> None:
        """The order waits for its group: it counts, and its check goes on when the answer comes."""
        order.in_line = None
        included = included_of(customer, order, part)
        could_go = found.verdict == "released"
        order.asked = ask(self, customer, order, part, found, ("reserve" if could_go else "look",), included)
        if order.asked is not None:
            event, place = (self.event, self.input) if before is None else (before.event, before.input)
            forced = None if before is None else before.forced
            question = Question(order.order_id, event, place, part.now, included, checkpoint, forced)
            customer.questions[order.asked] = question

    def counting(self, part: Part) -> Counting:
        """How to add up now."""
        return Counting(part.today, part.book.parameters)

    def must_ask(self, order: Order, found: Judgement) -> bool:
        """Whether there can be no verdict before the group has answered."""
        return found.asks_group and order.order_id not in self.answers

    def settle(
        self, customer: Customer, order: Order, part: Part, checkpoint: str, found: Judgement, cause: str, **more: Any
    ) -> None:
        """Takes a judgement over."""
        self.decide(customer, order, part, checkpoint, found, cause, **more)
        order.reasons, order.checkpoint = found.reasons, checkpoint
        order.grace_until = self.grace(part, checkpoint, "grace_days")
        if found.verdict == "released":
            self.released(customer, order, part)
        else:
            self.hold(customer, order, part, checkpoint, found)

    def grace(self, part: Part, checkpoint: str, name: str) -> date | None:
        """Until when the next checks are skipped after one today (6.1)."""
        days: int = part.book.checkpoints[checkpoint][name]
        return part.today + timedelta(days) if days else None

    def released(self, customer: Customer, order: Order, part: Part, checked: bool = True) -> None:
        """The order stands: it counts, and a rise is measured from here. What a person said of it as it was before it
        went beyond that is over (decisions, 5.7)."""
        order.verdict, order.forced = "released", None
        if order.release is not None and not self.is_good(order.release, order, part):
            order.release = None
        order.granted = 0 if is_beyond(order, part) else order.net
        order.tolerance = fraction(part.book["release_tolerance_percent"]) if checked else Fraction(0)
        self.leave(order)

    def leave(self, order: Order) -> None:
        """Off the hold list."""
        if order.entry is not None:
            self.expected.holds[order.order_id] = None
        order.entry = order.in_line = None

    def hold(self, customer: Customer, order: Order, part: Part, checkpoint: str, found: Judgement) -> None:
        """On the hold list, or its entry made anew."""
        order.verdict, order.held_at = "on_hold", checkpoint
        if order.entry is None:
            customer.entries += 1
        entry = order.entry or {
            "held_since": part.now,
            "number": customer.entries,
            "review_on": None,
            "assignee": None,
            "note": None,
            "last_actor": None,
        }
        entry |= {"reasons": self.causes(found.reasons, found.lines)}
        entry |= {"amount": shown(order.amount, order.currency), "currency": order.currency}
        order.entry = entry
        self.show_entry(customer, order)

    def causes(self, codes: list[str], lines: list[Line]) -> list[Value]:
        """The reasons of an entry: one for each rule that holds, one for a code that no rule stands behind."""
        found: list[Value] = []
        for code in codes:
            rules = [line for line in lines if line.hit and line.cancelled_by is None and line.reason == code]
            first = {line.rule_id: line for line in reversed(rules) if line.kind == "blocking"}
            behind = [first[rule_id] for rule_id in dict.fromkeys(line.rule_id for line in rules) if rule_id in first]
            found += [{"code": code, "rule_id": line.rule_id, "line": line, "still_valid": True} for line in behind]
            if not behind:
                found.append({"code": code, "rule_id": None, "line": None, "still_valid": True})
        return found

    def show_entry(self, customer: Customer, order: Order) -> None:
        """The entry as it must be published."""
        entry = order.entry
        assert entry is not None
        valid = [reason for reason in entry["reasons"] if reason["still_valid"] and reason["code"] != "forced_hold"]
        codes = [reason["code"] for reason in entry["reasons"]]
        entry["status"] = "held" if valid else "ready_to_release"
        self.expected.holds[order.order_id] = {
            "order_id": order.order_id,
            "customer_id": customer.customer_id,
            "group_id": customer.group,
            "legal_entity": order.legal_entity,
            "checkpoint": order.held_at,
            "amount": entry["amount"],
            "currency": entry["currency"],
            "held_since": entry["held_since"].strftime("%Y-%m-%dT%H:%M:%S"),
            "reasons": [dict(reason) for reason in entry["reasons"]],
            "reason": codes[0] if len(set(codes)) == 1 else "multiple",
            "forced_reason": order.forced,
            "review_on": entry["review_on"],
            "assignee": entry["assignee"],
            "note": entry["note"],
            "status": entry["status"],
            "last_actor": entry["last_actor"],
        }
