"""What a check looks at: the customer, its limit (spec 4.2, 4.3), what its group said; and what it found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from tests.auditor.books import Books, Buckets, Counting, Rates
from tests.auditor.money import Money, convert, half_even
from tests.auditor.rulebook import RULE_TYPES, RuleBook

LEVELS = ("customer", "group", "all")
REASON_OF = {
    "days_overdue": "invoice_overdue",
    "account_status": "account_status",
    "payment_terms": "payment_terms",
    "credit_limit_expired": "credit_limit_expired",
    "overdue_amount": "overdue_amount",
    "order_amount": "order_amount",
    "risk_group": "risk_group",
    "credit_limit_used": "credit_limit_exceeded",
}
GROUP_REASON = "group_credit_limit_exceeded"
REASON_ORDER = (
    *[REASON_OF[name] for name in RULE_TYPES],
    GROUP_REASON,
    "payment_terms_increased",
    "settlement_discount_increased",
    "forced_hold",
    "customer_unknown",
    "exchange_rate_missing",
    "stale_inputs",
)


@dataclass
class TemporaryLimit:
    """A temporary limit; of several in force the latest `from` wins, of equal ones the later posted (4.2)."""

    amount: Money
    first: date
    last: date
    number: int
    journal_id: str | None = None
    line: int | None = None


@dataclass
class Policy:
    """Insurance or a guarantee."""

    value: Money
    currency: str
    percentage: Fraction
    included: bool
    first: date
    last: date


def temporary_in_force(limits: list[TemporaryLimit], today: date) -> TemporaryLimit | None:
    """The one that counts on the date."""
    return max(
        (limit for limit in limits if limit.first <= today <= limit.last),
        key=lambda limit: (limit.first, limit.number),
        default=None,
    )


@dataclass
class Customer:
    """A customer: profile, limits and documents, and what it and its group know of each other (`membership`)."""

    customer_id: str
    books: Books = field(default_factory=Books)
    profile: dict[str, Any] | None = None
    limit: Money = 0
    expires: date | None = None
    risk_group: str | None = None
    closed_group: str | None = None
    """The group that it was told is closed."""
    questions: dict[str, Any] = field(default_factory=dict)
    """By id, what it has asked its group and has no answer to."""
    told: Buckets | None = None
    """What its group knows of it."""
    counted_in: list[str] = field(default_factory=list)
    """The groups that count it, the one that it joined last before those that it will leave."""
    leaving: list[str] = field(default_factory=list)
    number: int = 0
    """Of the last report."""
    entries: int = 0
    """How many of its orders ever came on the hold list."""
    temporary: list[TemporaryLimit] = field(default_factory=list)
    policies: dict[str, Policy] = field(default_factory=dict)

    @property
    def currency(self) -> str:
        """The credit currency; there must be a profile."""
        assert self.books.currency is not None
        return self.books.currency

    def says(self, attribute: str) -> Any:
        """An attribute of the profile."""
        return (self.profile or {}).get(attribute)

    @property
    def group(self) -> str | None:
        """The group that it is in, announced or not; members of a closed group are in none (4.3)."""
        named: str | None = self.says("customer_credit_group")
        return None if named == self.closed_group else named


@dataclass
class GroupView:
    """What the group answered: its limit, its pool without the order and with it, in its currency."""

    group_id: str
    limit: Money
    pool: Money
    after: Money
    currency: str
    granted: bool = False
    rate_missing: bool = False
    """The pool cannot be told for want of an exchange rate."""


@dataclass
class Facts:
    """All that a check looks at besides the order itself."""

    customer: Customer
    book: RuleBook
    rates: Rates
    today: date
    stale: bool = False
    group: GroupView | None = None
    offered: frozenset[str] = frozenset()
    in_none: bool = False
    """The group has answered that it was never announced, or is closed."""

    def counting(self, without: str | None = None) -> Counting:
        """How to add up as of this check."""
        return Counting(self.today, self.book.parameters, without, self.offered)


@dataclass
class LimitView:
    """The limit that is checked, with its parts (4.2, 4.3); amounts in credit currency."""

    source: str
    base: Money = 0
    temporary: Money | None = None
    policies: Money = 0
    total: Money | None = None


def limit_of(facts: Facts) -> LimitView:
    """Which row of table 4.3 the customer is in, and the figure on the date."""
    customer, today = facts.customer, facts.today
    if customer.profile is None or facts.book["exposure_scope"] == "none":
        return LimitView("none")
    temporary = temporary_in_force(customer.temporary, today)
    base = customer.limit if temporary is None else temporary.amount
    policies = half_even(sum((worth_of(policy, facts) for policy in in_force(customer, today)), Fraction(0)))
    view = LimitView("own", customer.limit, temporary.amount if temporary else None, policies, max(0, base + policies))
    if customer.says("unlimited_credit"):
        view.source, view.total = "unlimited", None
    elif customer.group is not None and facts.book["check_group_limit"] and not facts.in_none:
        if base > 0:
            view.source = "group_and_own"
        elif not customer.says("mandatory_credit_limit"):
            view.source = "group"
    return view


def in_force(customer: Customer, today: date) -> Iterator[Policy]:
    """The policies of the date."""
    return (policy for policy in customer.policies.values() if policy.first <= today <= policy.last)


def worth_of(policy: Policy, facts: Facts) -> Fraction:
    """What a policy adds to the limit; included in exposure, its value goes off again. Rounded by itself."""
    found, rate = facts.rates.find(
        facts.book["credit_rate_type"], policy.currency, facts.customer.currency, facts.today
    )
    if not found:
        return Fraction(0)
    value = convert(policy.value, policy.currency, facts.customer.currency, rate)
    added = half_even(value * policy.percentage / 100)
    return Fraction(added - (value if policy.included else 0))


def is_mandatory_zero(facts: Facts) -> bool:
    """Row 2 of 4.3: holds every order, whatever the exposure."""
    view = limit_of(facts)
    base = view.base if view.temporary is None else view.temporary
    return view.source in ("own", "group_and_own") and base == 0 and bool(facts.customer.says("mandatory_credit_limit"))


@dataclass
class Line:
    """What a rule saw; numbers are exact, texts are texts, None: not looked at by this model."""

    rule_id: str
    type: str
    kind: str
    hit: bool
    observed: Fraction | str | None = None
    threshold: Fraction | str | None = None
    cancelled_by: str | None = None
    reason: str = ""
    level: int = 2
    value_type: str = ""
    optional: bool = False
    """Nothing else is looked at once an exclusion releases the order: where that was is not said."""


@dataclass
class Judgement:
    """The outcome of a check."""

    verdict: str
    reasons: list[str]
    lines: list[Line]
    before: Buckets
    after: Buckets
    open_amount: Money
    limit: LimitView
    over_limit_by: Money
    asks_group: bool = False
    conditions: list[dict[str, Any]] = field(default_factory=list)
    """What the rules ask of the group."""
    released_below: str | None = None
    lacks_grant: bool = False
    """The rules let it go, but the group has not set the credit aside."""
    pool: Money | None = None
    """What of the group's pool is not this order; None where the group has no say."""
    group_limit: Money | None = None
    group_currency: str = ""
    waived_all: bool = False
