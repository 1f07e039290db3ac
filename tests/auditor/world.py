"""What must follow from each event: the second model of the whole (spec 1 to 8), from events to expected records.

A `World` takes events one at a time, each with the partition that took it, and says what must come out. What tasks
send each other (lines of journals, reports, questions and answers of groups) comes as events too: at the moment at
which it is put out its content must be what the books here say, and at the moment at which it is taken it is a fact.
Between the two may lie anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from tests.auditor import forms
from tests.auditor.books import total
from tests.auditor.customers import count_what_lacked
from tests.auditor.evaluation import Evaluation
from tests.auditor.facts import Customer, temporary_in_force
from tests.auditor.handlers import HANDLERS
from tests.auditor.membership import ENDS, WAITS_BEHIND, Asks, look_at_held, look_at_reports, note_reported, put_off
from tests.auditor.partition import EPOCH, NUMBERED, OWN_IDS, Event, Expected, Part, Refused, Value
from tests.auditor.pool import Group

FREEING = ("CreditNotePosted", "InvoiceVoided", "PaymentReceived", "PaymentApplied", "CustomerUpdated",
           "PolicyUpdated", "PolicyRemoved", "OrderCancelled", "OrderClosed", "RejectOrder")  # fmt: skip


class World(Evaluation):
    """All partitions, and what must follow from the next event."""

    def take(
        self,
        event: Event | str,
        number: int = 0,
        place: Value | None = None,
        mentioned: Mapping[str, Value | None] | None = None,
        refused: Iterable[str] = (),
        told: Iterable[Value] = (),
    ) -> Expected:
        """What must follow from the event in the partition.

        `place`: topic and offset where it lies, else it is the next of its topic. `mentioned`: entries that were
        published, to look at what was looked at; `refused`: the dead letters, whose events do not move the clock;
        `told`: what was sent to other tasks.
        """
        self.mentioned, self.refused = mentioned or {}, set(refused)
        self.expected, part = Expected(), self.parts[number]
        self.dirty, self.to_evaluate, self.touched_groups, self.by_date = {}, {}, set(), {}
        self.answers = {}
        told = list(told)
        self.requests = [value for value in told if value["type"] == "GroupCreditRequested"]
        self.reports = [value for value in told if value["type"] == "GroupMemberReported"]
        answers = [value["request_id"] for value in told if value["type"] == "GroupCreditAnswered"]
        self.offers_seen = any(isinstance(event, str) or event.get("request_id") != asked for asked in answers)
        reason = self.unreadable(event)
        if reason is not None:
            self.expected.dead.append((event.get("event_id") if isinstance(event, dict) else None, reason))
            if isinstance(event, dict) and event.get("type") in forms.FORMS:
                topic = forms.FORMS[event["type"]][0]
                part.taken[topic] += 1
                if (topic if topic in OWN_IDS else "", str(event.get("event_id"))) in part.seen:
                    self.expected.loose.add("reason")  # Its id is another's as well: either may be said.
            return self.expected
        assert isinstance(event, dict)
        topic = forms.INTERNAL.get(event["type"]) or forms.FORMS[event["type"]][0]
        if place is not None:
            part.taken[topic] = place["offset"]
        self.event = event
        self.input = place or {
            "topic": topic,
            "partition": number,
            "offset": part.taken[topic],
            "event_id": event.get("event_id"),
        }
        part.taken[topic] += 1
        if not self.is_repeat(event, part, topic):
            if event.get("event_id") not in self.refused:
                self.tell_time(event, part)
            self.handle(event, part, topic)
        return self.expected

    def unreadable(self, event: Event | str) -> str | None:
        """The reason code of an event that cannot be read by itself."""
        if isinstance(event, str):
            try:
                event = json.loads(event)
            except ValueError:
                return "unreadable"
        if not isinstance(event, dict):
            return "unreadable"
        if event.get("type") not in forms.FORMS:
            return None if event.get("type") in forms.INTERNAL else "invalid"
        return "invalid" if forms.fault(event) is not None else None

    def is_repeat(self, event: Event, part: Part, topic: str) -> bool:
        """Spec 2: the same again has no effect, the same id with other content is a dead letter."""
        if topic == forms.CLOCK or topic in NUMBERED:
            return False
        key = (topic if topic in OWN_IDS else "", event["event_id"])
        content = json.dumps({name: event[name] for name in sorted(event) if event[name] is not None}, sort_keys=True)
        known = part.seen.get(key)
        if known is None:
            part.seen[key] = content
            return False
        if known == content:
            self.expected.repeated = event["event_id"]
        else:
            self.expected.dead.append((event["event_id"], "event_id_reused"))
        return True

    def tell_time(self, event: Event, part: Part) -> None:
        """Spec 10.1: now is the newest tick or event, never going back."""
        instant = forms.instant(event.get("instant") or event["occurred_at"])
        assert instant is not None
        self.clock_moved = instant > part.now
        part.now = max(part.now, instant)
        before, zone = part.today, ZoneInfo(part.book["business_time_zone"])
        part.today = max(before, part.now.astimezone(zone).date())
        if part.today > before > EPOCH.date():
            self.roll(part, before)

    def roll(self, part: Part, before: date) -> None:
        """Spec 10.2: the business date moves."""
        for customer in part.customers.values():
            self.expire(customer, before, part.today)
            count_what_lacked(self, customer, part)
            self.dirty[customer.customer_id] = customer
            if part.book["evaluate_on"] == "event":
                self.to_evaluate[customer.customer_id] = customer
                self.by_date[customer.customer_id] = before
        for group in part.groups.values():
            if not group.closed and group.is_known:
                self.expire(group, before, part.today)
                self.touched_groups.add(group.group_id)
                group.freed |= self.begins_or_ends(group, before, part.today)

    def begins_or_ends(self, group: Group, before: date, today: date) -> bool:
        """Whether the group's limit, or a temporary one, is another since the date moved."""
        days = [group.expires + timedelta(1)]
        days += [day for limit in group.temporary for day in (limit.first, limit.last + timedelta(1))]
        return any(before < day <= today for day in days)

    def expire(self, party: Customer | Group, before: date, today: date) -> None:
        """`LimitExpired` of a limit and of temporary limits whose last day is over."""
        if isinstance(party, Customer) and party.profile is None:
            return
        if party.expires is not None and before <= party.expires < today:
            value = {"type": "LimitExpired", "old_limit": None, "new_limit": self.show(party, party.limit)}
            self.expected.limits.append(value | self.party_of(party) | {"expires_on": str(party.expires)})
        for limit in party.temporary:
            if before <= limit.last < today:
                after = temporary_in_force(party.temporary, today)
                value = {"type": "LimitExpired", "old_limit": self.show(party, limit.amount)}
                if after is None:
                    value |= {"new_limit": self.show(party, party.limit)}
                value |= {"from_date": str(limit.first), "to_date": str(limit.last), "journal_id": limit.journal_id}
                self.expected.limits.append(value | self.party_of(party))

    def take_over_expiry(self, customer: Customer, text: str | None) -> None:
        """Joining a group sets the customer's limit expiry date to the group's (4.3)."""
        expires = None if text is None else date.fromisoformat(text)
        if expires is None or customer.expires == expires or customer.profile is None:
            return
        limit = self.show(customer, customer.limit)
        value = {"type": "LimitChanged", "old_limit": limit, "new_limit": limit, "reason": "joined_group"}
        self.expected.limits.append(value | self.party_of(customer) | {"expires_on": text})
        customer.expires = expires

    def handle(self, event: Event, part: Part, topic: str) -> None:
        """Carries the event out, looks at held orders, and publishes exposures."""
        customer = None
        if event.get("customer_id") and topic not in (forms.GROUPS, "credit.group-requests"):
            customer = self.customer(part, event["customer_id"])
            self.dirty[customer.customer_id] = customer
        before = None if customer is None else self.exposed(customer, part)
        read = part.read.get(topic, -1)
        if topic in part.read:
            part.read[topic] = part.taken[topic] - 1
        newest = part.newest
        if topic in part.read:
            instant = forms.instant(event["occurred_at"])
            assert instant is not None
            part.newest = instant if part.newest is None else max(part.newest, instant)
        outcome = self.carry_out(event, self.input, part)
        accepted = outcome != "refused"
        if not accepted and topic in part.read:
            part.read[topic], part.newest = read, newest
        if outcome == "done" and customer is not None and part.book["evaluate_on"] == "event":
            after = self.exposed(customer, part)
            if event["type"] in FREEING or (before is not None and total(after) < total(before)):
                self.to_evaluate[customer.customer_id] = customer
                self.by_date.pop(customer.customer_id, None)
        if accepted:
            self.finish(part)

    def carry_out(self, event: Event, place: Value, part: Part) -> Literal["done", "waits", "refused"]:
        """Does what the event says, or has it wait behind a check or for its group; refused, its id is free again."""
        topic = forms.INTERNAL.get(event["type"]) or forms.FORMS[event["type"]][0]
        if self.waits_behind(event, place, part):
            return "waits"
        try:
            if topic == forms.COMMANDS and part.book.with_actors and event["actor"] not in part.book.actors:
                raise Refused("not_allowed")
            HANDLERS[event["type"]](self, event, part)
        except Refused as refused:
            self.expected.dead.append((event["event_id"], str(refused)))
            part.seen.pop((topic if topic in OWN_IDS else "", event["event_id"]), None)
            return "refused"
        except Asks as asks:
            put_off(self, asks, event, part)
            return "waits"
        return "done"

    def waits_behind(self, event: Event, place: Value, part: Part) -> bool:
        """What comes for an order that waits for its group waits behind it (decisions, 5.2)."""
        customer = part.customers.get(event.get("customer_id") or "")
        order = None if customer is None else customer.books.orders.get(event.get("order_id") or "")
        if order is None or order.asked is None or event["type"] not in WAITS_BEHIND | ENDS:
            return False
        if event["type"] in ENDS and not order.waiting:
            return False
        order.waiting.append((event, place))
        return True

    def go_on_with(self, event: Event, place: Value, part: Part) -> None:
        """An event of before, as if it came now; its decisions are its own."""
        here = self.event, self.input
        self.event, self.input = event, place
        customer = self.customer(part, event["customer_id"])
        before = self.exposed(customer, part)
        is_done = self.carry_out(event, place, part) == "done"
        fell = total(self.exposed(customer, part)) < total(before)
        if is_done and (event["type"] in FREEING or fell) and part.book["evaluate_on"] == "event":
            self.to_evaluate[customer.customer_id] = customer
        self.event, self.input = here

    def finish(self, part: Part) -> None:
        """Evaluations in order of customers, exposures, what groups are told and what they offer.

        What must be looked at is what something may have freed (7.4); what was looked at all the same must be right.
        """
        for customer in list(self.to_evaluate.values()):
            self.evaluate(customer, part)
        for customer in self.dirty.values():
            held = [order.order_id for order in customer.books.orders.values() if order.entry is not None]
            looked_at = [order_id for order_id in held if self.was_looked_at(order_id)]
            if customer.customer_id not in self.to_evaluate and looked_at:
                self.evaluate(customer, part, None if part.book["evaluate_on"] == "event" else looked_at)
        for request in self.requests:
            customer = self.customer(part, request["customer_id"])
            self.dirty[customer.customer_id] = customer
        self.publish_exposures(part)
        for customer in self.dirty.values():
            look_at_held(self, customer, part)
            mine = [report for report in self.reports if report["customer_id"] == customer.customer_id]
            look_at_reports(self, customer, part, mine)
            note_reported(customer, part)
        for report in self.reports:
            if report["customer_id"] not in self.dirty:
                self.fault("a report of nobody who was looked at", None, report)
