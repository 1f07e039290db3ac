"""The records that must be published (spec 3.9, 4, 11): decisions, exposures, limits as they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.auditor import forms
from tests.auditor.books import BUCKETS, Buckets, Counting, Order, total
from tests.auditor.facts import Customer, Facts, Judgement, limit_of
from tests.auditor.membership import view_of
from tests.auditor.money import Money, convert, in_places, shown
from tests.auditor.partition import Event, Expected, Part, Value
from tests.auditor.pool import Group
from tests.auditor.rulebook import RuleBook


class Records:
    """All partitions, and what is expected of the event that is taken."""

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

    def fault(self, text: str, wanted: Any, found: Any) -> None:
        """Something that does not follow from the books."""
        self.expected.faults.append((text, wanted, found))

    def customer(self, part: Part, customer_id: str) -> Customer:
        """The customer, made known if it is not."""
        return part.customers.setdefault(customer_id, Customer(customer_id))

    def exposed(self, customer: Customer, part: Part) -> Buckets:
        """The buckets of the customer now."""
        return customer.books.buckets(Counting(part.today, part.book.parameters))

    def party_of(self, party: Customer | Group) -> Value:
        """How a record names whom it is about."""
        if isinstance(party, Group):
            return {"party": "group", "customer_id": None, "group_id": party.group_id, "currency": party.currency}
        return {"party": "customer", "customer_id": party.customer_id, "group_id": None, "currency": party.currency}

    def show(self, party: Customer | Group, amount: Money) -> str:
        """An amount in the currency of the party."""
        return shown(amount, party.currency)

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
            value["limit"]["group_currency"] = found.group_currency
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
