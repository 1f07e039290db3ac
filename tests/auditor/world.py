"""What must follow from each event: the second model of the whole (spec 1 to 8), from events to expected records.

A `World` takes events one at a time, each with the partition that took it, and says what must come out. What tasks
send each other (lines of journals, reports, questions and answers of groups) comes as events too: at the moment at
which it is put out its content must be what the books here say, and at the moment at which it is taken it is a fact.
Between the two may lie anything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tests.auditor import forms
from tests.auditor.books import (
    BUCKETS,
    Buckets,
    Counting,
    CreditNote,
    Invoice,
    Move,
    Order,
    Payment,
    Rates,
    Release,
    total,
)
from tests.auditor.judge import (
    REASON_ORDER,
    Customer,
    Facts,
    Judgement,
    Line,
    Policy,
    TemporaryLimit,
    judge,
    limit_of,
    temporary_in_force,
)
from tests.auditor.membership import (
    ENDS,
    TOLD,
    WAITS_BEHIND,
    Asks,
    Question,
    answered,
    ask,
    ask_again,
    included_of,
    look_at_held,
    look_at_reports,
    membership_changed,
    note_reported,
    put_off,
    view_of,
)
from tests.auditor.money import Money, convert, fraction, in_places, minor, shown
from tests.auditor.pool import Group, Member, Wish
from tests.auditor.rulebook import RuleBook, faults, read_document

Event = dict[str, Any]
Value = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY = EPOCH.date()
NUMBERED = ("credit.group-requests", "credit.group-answers")
"""What tells by its own numbers what was here before."""
OWN_IDS = (forms.SETTINGS, "credit.postings")
"""Topics whose event ids are a name space of their own."""
NOT_MODELLED = ("UpdateRiskScores", "UpdateBalanceStatistics", "SubmitForApproval", "Approve", "Decline", "Recall",
                "ResubmitDeadLetter")  # fmt: skip
FREEING = ("CreditNotePosted", "InvoiceVoided", "PaymentReceived", "PaymentApplied", "CustomerUpdated",
           "PolicyUpdated", "PolicyRemoved", "OrderCancelled", "OrderClosed", "RejectOrder")  # fmt: skip


class Refused(Exception):
    """The event is a dead letter; the reason is its text."""


@dataclass
class Journal:
    """A limit adjustment journal with its lines as they came."""

    journal_id: str
    journal_type: str
    lines: list[Value]
    status: str = "draft"


@dataclass
class Expected:
    """What one event must lead to. Of compacted streams the last record of a key counts."""

    decisions: list[Value] = field(default_factory=list)
    holds: dict[str, Value | None] = field(default_factory=dict)
    exposures: dict[str, list[Value]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Keys of exposures that get a tombstone."""
    told: list[Value] = field(default_factory=list)
    """What other tasks must be told: answers of groups, and lines of journals."""
    faults: list[tuple[str, Any, Any]] = field(default_factory=list)
    """What did not follow from the books: text, what must be, what is."""
    limits: list[Value] = field(default_factory=list)
    journals: dict[str, Value] = field(default_factory=dict)
    dead: list[tuple[str | None, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    repeated: str | None = None
    loose: set[str] = field(default_factory=set)
    """Keys about which this model does not say everything."""


@dataclass
class Part:
    """One partition: its clock, its settings, how many inputs of each topic it took."""

    number: int
    book: RuleBook
    rates: Rates = field(default_factory=Rates)
    now: datetime = EPOCH
    today: date = FIRST_DAY
    taken: Counter[str] = field(default_factory=Counter)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys((forms.INVOICES, forms.PAYMENTS), -1))
    """The newest offset whose event was accepted."""
    newest: datetime | None = None
    customers: dict[str, Customer] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    published: int = 0
    """The version of the settings that were published last."""
    next_journal: int = 1
    seen: dict[tuple[str, str], str] = field(default_factory=dict)


class World:
    """All partitions, and what must follow from the next event."""

    def __init__(self, document: Value | None = None, partitions: int = 1) -> None:
        self.strict = False
        """Whether a person told to evaluate: then every entry that changes is published."""
        self.differs: Callable[[str, Value, Value | None], bool] = lambda order_id, mine, theirs: False
        """Whether two entries differ, as the auditor compares them."""
        self.parts = [Part(number, RuleBook(document)) for number in range(partitions)]
        if document is not None:
            for part in self.parts:
                part.taken[forms.SETTINGS] = part.published = 1
        self.published: dict[str, Value] = {}
        self.expected = Expected()
        self.event: Event = {}
        self.input: Value = {}
        self.answers: dict[str, Event] = {}
        """What a group has answered in this step, by order."""
        self.requests: list[Value] = []
        """The questions to groups that this step has put, as far as nobody has said yet that they had to be."""
        self.reports: list[Value] = []
        self.offers_seen = False
        """Whether groups have told more than they were asked."""
        self.clock_moved = False
        self.dirty: dict[str, Customer] = {}
        self.to_evaluate: dict[str, Customer] = {}
        self.by_date: dict[str, date] = {}
        """Customers that are looked at only because the date moved, and from which date."""
        self.touched_groups: set[str] = set()
        self.mentioned: Mapping[str, Value | None] = {}
        self.refused: set[str] = set()

    # --- taking an event --------------------------------------------------------------------------------------------

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

    def fault(self, text: str, wanted: Any, found: Any) -> None:
        """Something that does not follow from the books."""
        self.expected.faults.append((text, wanted, found))

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

    def party_of(self, party: Customer | Group) -> Value:
        """How a record names whom it is about."""
        if isinstance(party, Group):
            return {"party": "group", "customer_id": None, "group_id": party.group_id, "currency": party.currency}
        return {"party": "customer", "customer_id": party.customer_id, "group_id": None, "currency": party.currency}

    def show(self, party: Customer | Group, amount: Money) -> str:
        """An amount in the currency of the party."""
        return shown(amount, party.currency)

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
            if customer.customer_id not in self.to_evaluate and any(self.was_looked_at(order) for order in held):
                self.evaluate(customer, part)
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

    def was_looked_at(self, order_id: str) -> bool:
        """Whether an entry was published that is not the one expected so far: it must be what an evaluation says."""
        if order_id not in self.mentioned:
            return False
        expected = self.expected.holds.get(order_id)
        return expected is None or self.differs(order_id, expected, self.mentioned[order_id])

    def customer(self, part: Part, customer_id: str) -> Customer:
        """The customer, made known if it is not."""
        return part.customers.setdefault(customer_id, Customer(customer_id))

    def exposed(self, customer: Customer, part: Part) -> Buckets:
        """The buckets of the customer now."""
        return customer.books.buckets(Counting(part.today, part.book.parameters))

    # --- publishing -------------------------------------------------------------------------------------------------

    def publish_exposures(self, part: Part) -> None:
        """Spec 3.9: whenever it changes."""
        for customer in self.dirty.values():
            if customer.profile is not None:
                buckets = self.exposed(customer, part)
                limit = limit_of(self.facts(customer, self.plain(part)))
                self.publish_exposure(customer, buckets, limit.total, part)
        for group_id in sorted(self.touched_groups):
            group = part.groups[group_id]
            if group.freed or self.offers_seen:
                self.expected.told += group.offers(part)
            group.freed = False
            if group.closed:
                if self.published.pop(f"group/{group_id}", None) is not None:
                    self.expected.gone.add(f"group/{group_id}")
            elif group.is_known:
                self.publish_exposure(group, group.buckets(), group.limit_on(part.today), part)

    def plain(self, part: Part) -> Part:
        """The partition with a scope under which there is a limit: the limit of a record does not go by the scope."""
        book = part.book.with_scope("balance_and_orders")
        return Part(part.number, book, part.rates, part.now, part.today)

    def publish_exposure(self, party: Customer | Group, buckets: Buckets, limit: Money | None, part: Part) -> None:
        """The record, if anything but its position changed."""
        party_id = party.customer_id if isinstance(party, Customer) else party.group_id
        exposure = total(buckets)
        value = self.party_of(party) | {
            name: self.show(party, amount) for name, amount in zip(BUCKETS, buckets, strict=True)
        }
        value |= {"exposure": self.show(party, exposure), "limit": None, "available": None, "utilization_percent": None}
        if limit is not None:
            value |= {"limit": self.show(party, limit), "available": self.show(party, limit - exposure)}
            if limit:
                value["utilization_percent"] = in_places(Fraction(exposure * 100, limit), 2)
        key = f"{value['party']}/{party_id}"
        if self.published.get(key) != value:
            self.published[key] = value
            self.expected.exposures.setdefault(key, []).append(value | {"business_date": str(part.today)})

    def facts(self, customer: Customer, part: Part, order: Order | None = None, offered: Iterable[str] = ()) -> Facts:
        """What a check looks at."""
        age = part.book["max_input_age_minutes"]
        stale = age >= 0 and part.newest is not None and part.now - part.newest > timedelta(minutes=age)
        facts = Facts(customer, part.book, part.rates, part.today, stale, None, frozenset(offered))
        answer = None if order is None else self.answers.get(order.order_id)
        if answer is not None and order is not None:
            facts.in_none = not answer["is_known"]
            if not facts.in_none:
                counts = sum(customer.books.own_part(order, facts.counting()))
                facts.group = view_of(answer, customer, counts)
        return facts

    def decide(
        self, customer: Customer, order: Order, part: Part, checkpoint: str, found: Judgement, cause: str, **more: Any
    ) -> None:
        """Adds the decision to what is expected."""
        known = customer.profile is not None
        currency = customer.currency if known else order.currency
        amount = convert(order.amount, order.currency, currency, order.rate) if order.has_rate or not known else 0
        value: Value = {
            "order_id": order.order_id,
            "customer_id": customer.customer_id,
            "group_id": customer.group,
            "legal_entity": order.legal_entity,
            "checkpoint": checkpoint,
            "pro_forma": False,
            "verdict": found.verdict,
            "reasons": found.reasons,
            "order_amount": shown(amount, currency),
            "order_open_amount": shown(found.open_amount, currency),
            "currency": currency,
            "exposure_before": self.show_buckets(found.before, currency),
            "exposure_after": self.show_buckets(found.after, currency),
            "limit": self.show_limit(found, currency),
            "exchange_rate": None if order.rate is None or not known else order.rate,
            "business_date": str(part.today),
            "settings_version": part.book.version,
            "input": self.input,
            "as_of": {"invoices": part.read[forms.INVOICES], "payments": part.read[forms.PAYMENTS]},
            "actor": None,
            "release_reason": None,
            "posting": None,
            "cause": cause,
            "lines": found.lines,
        }
        value["over_limit_by"] = shown(found.over_limit_by, currency)
        if found.pool is not None and found.group_limit is not None:
            figures = {"group_total": found.group_limit, "group_exposure": found.pool}
            value["limit"] |= {name: shown(amount, found.group_currency) for name, amount in figures.items()}
        self.expected.decisions.append(value | more)

    def show_buckets(self, buckets: Buckets, currency: str) -> Value:
        """The buckets of a decision."""
        texts = {name: shown(amount, currency) for name, amount in zip(BUCKETS, buckets, strict=True)}
        return texts | {"total": shown(total(buckets), currency)}

    def show_limit(self, found: Judgement, currency: str) -> Value:
        """The limit of a decision and its parts, without the group's figures."""
        view = found.limit
        return {
            "source": view.source,
            "base": shown(view.base, currency),
            "temporary": None if view.temporary is None else shown(view.temporary, currency),
            "policies": shown(view.policies, currency),
            "total": None if view.total is None else shown(view.total, currency),
        }

    # --- checks -----------------------------------------------------------------------------------------------------

    def take_rate(self, customer: Customer, order: Order, part: Part) -> None:
        """A check takes the rate of its date and keeps it; one that is gone since is kept (decisions, 1.2)."""
        if customer.profile is None:
            order.has_rate = False
            return
        found, rate = part.rates.find(part.book["credit_rate_type"], order.currency, customer.currency, part.today)
        if found:
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
        net = 0 if is_beyond(order, part) or order.amount <= 0 else order.net
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
        """The order stands: it counts, and a rise is measured from here."""
        order.verdict, order.forced = "released", None
        order.granted = 0 if is_beyond(order, part) or order.state != "open" else order.net
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

    # --- evaluation (7.4) -------------------------------------------------------------------------------------------

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
        """Rules again over held orders; credit is offered in sequence, to each that fits, never twice."""
        ready = [order for order in self.held(customer, part) if self.is_ready(order)]
        offered: set[str] = set()
        if only is not None and customer.group is None:
            offered = {order.order_id for order in ready} - set(only)
        for order in self.held(customer, part):
            if only is None or order.order_id in only:
                self.evaluate_order(customer, order, part, offered)
            is_chosen = only is None or order.order_id in only
            if is_chosen and order.asked is not None:
                continue
            if self.is_ready(order) and (only is None or customer.group is not None):
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
            reasons[at] = now.pop((reason["code"], reason["rule_id"]), reason | {"still_valid": False})
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


# --- orders ---------------------------------------------------------------------------------------------------------


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
    world.take_rate(customer, order, part)
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
        world.take_rate(customer, order, part)
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


# --- invoices and payments ------------------------------------------------------------------------------------------


def keep_rate(customer: Customer, part: Part, row: tuple[str, str], currency: str, day: date) -> bool:
    """Puts the rate of the document's own date on its row; False if there is none."""
    if customer.profile is None:
        return True
    found, rate = part.rates.find(part.book["credit_rate_type"], currency, customer.currency, day)
    customer.books.kept_rates[row] = rate
    customer.books.lacking.discard(row)
    if not found:
        customer.books.lacking.add(row)
    return found


def posted(world: World, event: Event, part: Part) -> None:
    """`InvoicePosted`, with what came before it."""
    customer = world.customer(part, event["customer_id"])
    if event["invoice_id"] in customer.books.invoices:
        raise Refused("invalid")
    currency, day = event["currency"], date.fromisoformat(event["invoice_date"])
    if not keep_rate(customer, part, ("invoice", event["invoice_id"]), currency, day):
        raise Refused("exchange_rate_missing")
    amount = minor(event["amount"], currency) or 0
    due = date.fromisoformat(event.get("due_date") or event["invoice_date"])
    parts = [
        (date.fromisoformat(p["due_date"]), minor(p["amount"], currency) or 0) for p in event.get("instalments") or ()
    ]
    parts = sorted(parts, key=lambda part: part[0]) or [(due, amount)]
    invoice = Invoice(event["invoice_id"], event.get("order_id"), amount, currency, day, parts)
    customer.books.invoices[invoice.invoice_id] = invoice
    match_early(customer, invoice, part)


def match_early(customer: Customer, invoice: Invoice, part: Part) -> None:
    """What payments and credit notes that came before the invoice meant for it, in the order in which that came."""
    books = customer.books
    wishes: list[tuple[int, Payment | CreditNote, tuple[str, str, str, int] | None]] = [
        (row[3], payment, row)
        for payment in books.payments.values()
        for row in payment.waiting
        if row[0] == invoice.invoice_id
    ]
    notes = (note for note in books.notes.values() if note.invoice_id == invoice.invoice_id and note.move is None)
    wishes += [(note.arrived, note, None) for note in notes]
    for _, document, wish in sorted(wishes, key=lambda row: row[0]):
        if isinstance(document, Payment):
            assert wish is not None
            settle_early(document, invoice, wish, part)
        elif document.currency == invoice.currency and (amount := min(document.amount, invoice.open)) > 0:
            document.move = Move(document.credit_note_id, True, amount, 0)
            invoice.moves.append(("settled", document.move))


def settle_early(payment: Payment, invoice: Invoice, wanted: tuple[str, str, str, int], part: Part) -> None:
    """What was meant for the invoice, as far as it is open and the money is still there; cash before discount.

    In another currency at the rate of the payment's date, in proportion; without one it stays unapplied.
    """
    payment.waiting.remove(wanted)
    pair = (invoice.currency, payment.currency)
    found, rate = part.rates.find(part.book["credit_rate_type"], *pair, payment.day)
    wish, unapplied = minor(wanted[1], invoice.currency) or 0, payment.unapplied
    cash = min(wish, invoice.open)
    taken = cash if rate is None else convert(wish, *pair, rate) * cash // max(1, wish)
    if taken > unapplied:
        cash, taken = cash * unapplied // taken, unapplied
    if found and cash > 0:
        discount = min(minor(wanted[2], invoice.currency) or 0, invoice.open - cash)
        apply(payment, invoice, cash, discount, taken)


def apply(payment: Payment, invoice: Invoice, cash: Money, discount: Money, taken: Money) -> None:
    """A settlement."""
    move = Move(payment.payment_id, False, cash + discount, cash)
    invoice.moves.append(("settled", move))
    payment.applied.append((invoice.invoice_id, move, taken))


def credited(world: World, event: Event, part: Part) -> None:
    """`CreditNotePosted`."""
    customer = world.customer(part, event["customer_id"])
    if event["credit_note_id"] in customer.books.notes:
        raise Refused("invalid")
    currency, day = event["currency"], date.fromisoformat(event["credit_note_date"])
    amount, count = minor(event["amount"], currency) or 0, customer.books.next_arrival()
    note = CreditNote(event["credit_note_id"], amount, currency, day, count, event.get("invoice_id"))
    invoice = customer.books.invoices.get(note.invoice_id or "")
    if invoice is not None and (invoice.currency != currency or note.amount > invoice.open):
        raise Refused("invalid")
    if invoice is not None:
        rate_of_invoice(customer, note, invoice)
    elif not keep_rate(customer, part, ("note", note.credit_note_id), currency, day):
        raise Refused("exchange_rate_missing")
    customer.books.notes[note.credit_note_id] = note
    if invoice is not None and note.amount > 0:
        note.move = Move(note.credit_note_id, True, note.amount, 0)
        invoice.moves.append(("settled", note.move))


def rate_of_invoice(customer: Customer, note: CreditNote, invoice: Invoice) -> None:
    """A note on an invoice takes off what the invoice put on, at its rate (1.2); it needs none of its own."""
    books, of_note, of_invoice = customer.books, ("note", note.credit_note_id), ("invoice", invoice.invoice_id)
    books.kept_rates[of_note] = books.kept_rates.get(of_invoice)
    if of_invoice in books.lacking:
        books.lacking.add(of_note)


def known_invoice(world: World, event: Event, part: Part) -> Invoice:
    """The invoice of an event about one that must exist."""
    invoice = world.customer(part, event["customer_id"]).books.invoices.get(event["invoice_id"])
    if invoice is None:
        raise Refused("unknown_reference")
    return invoice


def voided(world: World, event: Event, part: Part) -> None:
    """`InvoiceVoided`: what settled it is unapplied again."""
    invoice = known_invoice(world, event, part)
    if invoice.voided:
        raise Refused("invalid")
    invoice.voided = True
    for _, move in invoice.moves:
        move.alive = False


def disputed(world: World, event: Event, part: Part) -> None:
    """`InvoiceDisputed`: a disputed invoice counts all the same."""
    known_invoice(world, event, part)


def received(world: World, event: Event, part: Part) -> None:
    """`PaymentReceived`."""
    customer = world.customer(part, event["customer_id"])
    if event["payment_id"] in customer.books.payments:
        raise Refused("invalid")
    currency, day = event["currency"], date.fromisoformat(event["received_on"])
    payment = Payment(event["payment_id"], minor(event["amount"], currency) or 0, currency, day)
    settle_invoices(customer, payment, event.get("settlements") or (), part, day)
    if not keep_rate(customer, part, ("payment", payment.payment_id), currency, day):
        undo(customer, payment)
        raise Refused("exchange_rate_missing")
    customer.books.payments[payment.payment_id] = payment


def settle_invoices(customer: Customer, payment: Payment, wanted: Iterable[Value], part: Part, day: date) -> None:
    """All settlements, or none: more than open of an invoice or than there is of the payment is invalid."""
    before, waiting = len(payment.applied), list(payment.waiting)
    try:
        for settlement in wanted:
            settle_one(customer, payment, settlement, part, day)
    except Refused:
        for invoice_id, move, _ in payment.applied[before:]:
            customer.books.invoices[invoice_id].moves.remove(("settled", move))
        del payment.applied[before:]
        payment.waiting = waiting
        raise


def settle_one(customer: Customer, payment: Payment, settlement: Value, part: Part, day: date) -> None:
    """One settlement; of an invoice not seen yet it waits."""
    invoice = customer.books.invoices.get(settlement["invoice_id"])
    discount_text = settlement.get("discount") or "0"
    if invoice is None:
        wish = (settlement["invoice_id"], settlement["amount"], discount_text, customer.books.next_arrival())
        payment.waiting.append(wish)
        return
    found, rate = part.rates.find(part.book["credit_rate_type"], invoice.currency, payment.currency, day)
    if not found:
        raise Refused("exchange_rate_missing")
    cash, discount = minor(settlement["amount"], invoice.currency), minor(discount_text, invoice.currency)
    if invoice.voided or cash is None or discount is None or cash + discount > invoice.open:
        raise Refused("invalid")
    taken = convert(cash, invoice.currency, payment.currency, rate)
    if taken > payment.unapplied:
        raise Refused("invalid")
    apply(payment, invoice, cash, discount, taken)


def undo(customer: Customer, payment: Payment) -> None:
    """Takes the settlements of a payment back, newest instalment first."""
    for invoice_id, move, _ in payment.applied:
        if move.alive:
            customer.books.invoices[invoice_id].moves.append(("given back", move))
            move.alive = False


def applied(world: World, event: Event, part: Part) -> None:
    """`PaymentApplied`."""
    customer = world.customer(part, event["customer_id"])
    payment = customer.books.payments.get(event["payment_id"])
    if payment is None:
        raise Refused("unknown_reference")
    if payment.reversed:
        raise Refused("invalid")
    settle_invoices(customer, payment, event["settlements"], part, payment.day)


def reversed_(world: World, event: Event, part: Part) -> None:
    """`PaymentReversed`."""
    customer = world.customer(part, event["customer_id"])
    payment = customer.books.payments.get(event["payment_id"])
    if payment is None:
        raise Refused("unknown_reference")
    if payment.reversed:
        raise Refused("invalid")
    undo(customer, payment)
    payment.reversed = True
    payment.waiting = []


# --- customers, groups, settings ------------------------------------------------------------------------------------


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


def a_group(part: Part, group_id: str) -> Group:
    """The group at its home, made known if it is not."""
    return part.groups.setdefault(group_id, Group(group_id))


def group_updated(world: World, event: Event, part: Part) -> None:
    """`CreditGroupUpdated`: the first sets limit and expiry date, later ones may not."""
    currency, group = event["credit_currency"], a_group(part, event["group_id"])
    limit, expires = minor(event["credit_limit"], currency) or 0, date.fromisoformat(event["credit_limit_expires_on"])
    if group.closed or group.currency not in ("", currency):
        raise Refused("invalid")
    world.touched_groups.add(group.group_id)
    group.freed = True
    if not group.currency:
        group.currency, group.limit, group.expires = currency, limit, expires
        for member in group.members.values():
            group.value(member, part)
        tell_members(world, group, "joined")
    elif (limit, expires) != (group.limit, group.expires):
        if not part.book["allow_manual_limits"]:
            world.expected.dead.append((event["event_id"], "limit_change_refused"))
            return
        value = {
            "type": "LimitChanged",
            "old_limit": world.show(group, group.limit),
            "new_limit": world.show(group, limit),
        }
        world.expected.limits.append(value | world.party_of(group) | {"expires_on": str(expires)})
        group.limit, group.expires = limit, expires


def tell_members(world: World, group: Group, state: str) -> None:
    """All that it counts are told, in the order of their ids."""
    for customer_id in sorted(group.members):
        if group.members[customer_id].belongs:
            tell_member(world, group, customer_id, state)


def tell_member(world: World, group: Group, customer_id: str, state: str) -> None:
    """The group counts the customer, or is closed."""
    expires = str(group.expires) if state == "joined" and group.currency else None
    value = {"type": "GroupMembershipChanged", "group_id": group.group_id, "customer_id": customer_id}
    world.expected.told.append(value | {"state": state, "expires_on": expires})


def group_closed(world: World, event: Event, part: Part) -> None:
    """`CreditGroupClosed`."""
    group = a_group(part, event["group_id"])
    if not group.currency:
        raise Refused("unknown_reference")
    if group.closed:
        raise Refused("invalid")
    group.closed, group.line = True, {}
    world.touched_groups.add(group.group_id)
    tell_members(world, group, "closed")


def member_reported(world: World, event: Event, part: Part) -> None:
    """`GroupMemberReported`: what is settled by it goes in the same step (5.2)."""
    group = a_group(part, event["group_id"])
    world.touched_groups.add(group.group_id)
    old = group.members.get(event["customer_id"]) or Member()
    if event["number"] <= old.number:
        return
    told = [minor(event.get(name) or "0", event["currency"]) or 0 for name in TOLD]
    belongs = event["is_member"] and not group.closed
    new = Member(event["number"], belongs, event["currency"], date.fromisoformat(event["business_date"]), told)
    group.count(event["customer_id"], new, part)
    for request_id in event.get("settled") or ():
        group.settle(request_id)
    if not event["is_member"]:
        group.forget(event["customer_id"])
    if event.get("joins"):
        tell_member(world, group, event["customer_id"], "closed" if group.closed else "joined")


def credit_requested(world: World, event: Event, part: Part) -> None:
    """`GroupCreditRequested`: the credit is set aside if it is there; else the order may wait in line."""
    group = a_group(part, event["group_id"])
    world.touched_groups.add(group.group_id)
    member = group.members.setdefault(event["customer_id"], Member())
    if event["number"] <= member.number:
        return
    member.number = event["number"]
    wish = Wish(event | {name: event.get(name) for name in ("released_below", "place")})
    wish.value |= {"conditions": event.get("conditions") or [], "place": event.get("place") or 0}
    request_id, purpose = event["request_id"], event["purpose"]
    if purpose == "wait" and group.is_known:
        group.line[request_id], group.freed = wish, True
        return
    room = group.room(wish, part)
    granted = room is not None and (room.released or (room.fits and purpose == "reserve"))
    if granted and room is not None:
        group.reserve(wish, room)
    waits = group.is_known and not granted and purpose == "reserve" and part.book["evaluate_on"] == "event"
    if waits:
        wish.told = False
        group.line[request_id] = wish
    world.expected.told.append(group.answer(wish, room, part, granted, waits))


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


def look_at_pool(world: World, group: Group, part: Part, look: bool) -> None:
    """Members that had no rate are valued anew, and what stands in line is looked at again."""
    if group.lacks_rate or look:
        world.touched_groups.add(group.group_id)
        group.freed = True
        for member in group.members.values():
            if member.belongs and member.worth is None:
                group.value(member, part)


def rate_published(world: World, event: Event, part: Part) -> None:
    """`ExchangeRatePublished`: what waited for it counts, and frees orders; nothing else is (decisions, 7.4)."""
    pair = (event["from_currency"], event["to_currency"])
    day, rate = date.fromisoformat(event["valid_from"]), fraction(event["rate"])
    part.rates.publish(event.get("rate_type") or "default", pair, day, rate or Fraction(0))
    for customer in part.customers.values():
        waiting = [o.order_id for o in customer.books.orders.values() if o.entry is not None and not o.has_rate]
        world.dirty[customer.customer_id] = customer
        count_what_lacked(world, customer, part)
        if waiting and customer.profile is not None and part.book["evaluate_on"] == "event":
            world.evaluate(customer, part, waiting)
    for group in part.groups.values():
        look_at_pool(world, group, part, look=False)


def ticked(world: World, event: Event, part: Part) -> None:
    """`ClockTicked`: time was told already; questions without an answer are asked again."""
    if world.clock_moved:
        ask_again(world, part)


# --- commands -------------------------------------------------------------------------------------------------------


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
    if order.verdict == "pending":
        question = customer.questions.get(order.asked or "")
        if question is not None:
            question.forced = (event["actor"], event["reason"])
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
    if kept is not None and kept.currency != order.currency:
        order.rate, order.has_rate = None, False
    customer.books.orders[order.order_id] = order
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


def not_modelled(world: World, event: Event, part: Part) -> None:
    """Approvals, scores and statistics are not this auditor's matter."""
    world.expected.loose.add("*")


# --- journals (8) ---------------------------------------------------------------------------------------------------


def created(world: World, event: Event, part: Part) -> None:
    """`CreateLimitJournal`."""
    journal_id = event.get("journal_id") or str(part.next_journal)
    if journal_id in part.journals:
        raise Refused("invalid")
    journal = Journal(journal_id, event["journal_type"], [])
    journal.lines = [line_of(journal, line) for line in event.get("lines") or ()]
    if not event.get("journal_id"):
        part.next_journal += 1
    part.journals[journal_id] = journal
    show_journal(world, journal)


def line_of(journal: Journal, line: Value) -> Value:
    """A line that may stand in a journal (8.2)."""
    fields = {"customer_id", "group_id", "credit_limit", "currency", "expires_on", "from_date", "to_date", "reason"}
    currency = line.get("currency")
    if set(line) - fields or bool(line.get("customer_id")) == bool(line.get("group_id")):
        raise Refused("invalid")
    amount = minor(line.get("credit_limit"), currency) if forms.is_currency(currency) else None
    if amount is None or amount < 0:
        raise Refused("invalid")
    first, last, expires = line.get("from_date"), line.get("to_date"), line.get("expires_on")
    if any(day is not None and not forms.is_date(day) for day in (first, last, expires)):
        raise Refused("invalid")
    if journal.journal_type == "credit_limit":
        good = expires is not None and first is None and last is None
    else:
        good = first is not None and last is not None and first <= last and expires is None
    if not good:
        raise Refused("invalid")
    return line


def show_journal(world: World, journal: Journal) -> None:
    """The journal as it must be published."""
    lines = [
        {"line": number, "customer_id": line.get("customer_id"), "group_id": line.get("group_id")}
        | {"credit_limit": line["credit_limit"], "currency": line["currency"], "expires_on": line.get("expires_on")}
        | {"from_date": line.get("from_date"), "to_date": line.get("to_date"), "reason": line.get("reason")}
        for number, line in enumerate(journal.lines, 1)
    ]
    kind = {"journal_id": journal.journal_id, "journal_type": journal.journal_type, "status": journal.status}
    world.expected.journals[journal.journal_id] = kind | {"lines": lines}


def known_journal(event: Event, part: Part) -> Journal:
    """A journal that still changes."""
    journal = part.journals.get(event["journal_id"])
    if journal is None:
        raise Refused("unknown_reference")
    if journal.status == "posted":
        raise Refused("invalid")
    return journal


def lines_added(world: World, event: Event, part: Part) -> None:
    """`AddJournalLines`."""
    journal = known_journal(event, part)
    journal.lines = journal.lines + [line_of(journal, line) for line in event["lines"]]
    show_journal(world, journal)


def lines_removed(world: World, event: Event, part: Part) -> None:
    """`RemoveJournalLines`."""
    journal = known_journal(event, part)
    numbers = event["line_numbers"]
    if any(not 1 <= number <= len(journal.lines) for number in numbers):
        raise Refused("unknown_reference")
    journal.lines = [line for number, line in enumerate(journal.lines, 1) if number not in numbers]
    show_journal(world, journal)


def generated(world: World, event: Event, part: Part) -> None:
    """`GenerateJournalLines`: the lines are taken from what is published, `Auditor` brings them."""
    known_journal(event, part)
    world.expected.loose.add("*")


def journal_posted(world: World, event: Event, part: Part) -> None:
    """`PostLimitJournal` (8.4): every line is applied; a line that cannot be is a dead letter of its own."""
    journal = known_journal(event, part)
    if part.book.limit_approval:
        world.expected.loose.add("*")
        return
    journal.status = "posted"
    show_journal(world, journal)
    fields = ("customer_id", "group_id", "credit_limit", "currency", "expires_on", "from_date", "to_date", "reason")
    for number, line in enumerate(journal.lines, 1):
        kind = "JournalLinePosted" if line.get("customer_id") else "GroupLimitPosted"
        value = {"type": kind, "journal_id": journal.journal_id, "journal_type": journal.journal_type, "line": number}
        value |= {"actor": event["actor"]} | {name: line[name] for name in fields if line.get(name)}
        world.expected.told.append(value)


def line_posted(world: World, event: Event, part: Part) -> None:
    """`JournalLinePosted`, `GroupLimitPosted`: one line, where its customer or group is (8.4)."""
    party: Customer | Group | None
    if event.get("customer_id"):
        party = world.customer(part, event["customer_id"])
        party = party if party.profile is not None else None
    else:
        party = part.groups.get(event["group_id"])
        party = party if party is not None and party.is_known else None
    if party is None or party.currency != event["currency"]:
        raise Refused("unknown_reference" if party is None else "invalid")
    old, amount = party.limit, minor(event["credit_limit"], event["currency"]) or 0
    if event["journal_type"] == "credit_limit":
        party.limit, party.expires = amount, date.fromisoformat(event["expires_on"])
    else:
        first, last = date.fromisoformat(event["from_date"]), date.fromisoformat(event["to_date"])
        count = len(party.temporary)
        party.temporary.append(TemporaryLimit(amount, first, last, count, event["journal_id"], event["line"]))
    value = {"type": "LimitChanged", "old_limit": world.show(party, old), "new_limit": world.show(party, amount)}
    value |= {name: event.get(name) for name in ("expires_on", "from_date", "to_date", "actor", "reason")}
    value |= {"journal_id": event["journal_id"], "line": event["line"]}
    world.expected.limits.append(value | world.party_of(party))
    if isinstance(party, Group):
        world.touched_groups.add(party.group_id)
        party.freed = True
    elif part.book["evaluate_on"] == "event":
        world.to_evaluate[party.customer_id] = party


HANDLERS: dict[str, Callable[[World, Event, Part], None]] = {
    "OrderPlaced": placed,
    "OrderChanged": changed,
    "OrderCheckpointReached": reached,
    "OrderDelivered": delivered,
    "OrderCancelled": cancelled,
    "OrderClosed": closed,
    "OrderReopened": reopened,
    "InvoicePosted": posted,
    "CreditNotePosted": credited,
    "InvoiceVoided": voided,
    "InvoiceDisputed": disputed,
    "PaymentReceived": received,
    "PaymentApplied": applied,
    "PaymentReversed": reversed_,
    "CustomerUpdated": updated,
    "PolicyUpdated": policy_updated,
    "PolicyRemoved": policy_removed,
    "CreditGroupUpdated": group_updated,
    "CreditGroupClosed": group_closed,
    "SettingsPublished": settings_published,
    "ExchangeRatePublished": rate_published,
    "ClockTicked": ticked,
    "ReleaseOrder": release,
    "RejectOrder": reject,
    "ForceHold": force,
    "ExcludeOrder": exclude,
    "ReviewOrder": review,
    "EvaluateHolds": evaluate_holds,
    "CheckOrder": check_order,
    "CreateLimitJournal": created,
    "AddJournalLines": lines_added,
    "RemoveJournalLines": lines_removed,
    "GenerateJournalLines": generated,
    "PostLimitJournal": journal_posted,
    "JournalLinePosted": line_posted,
    "GroupLimitPosted": line_posted,
    "GroupMemberReported": member_reported,
    "GroupCreditRequested": credit_requested,
    "GroupCreditAnswered": answered,
    "GroupMembershipChanged": membership_changed,
    **dict.fromkeys(NOT_MODELLED, not_modelled),
}
