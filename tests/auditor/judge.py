"""One check of one order (spec 4.2 to 5.6): every rule in words of the specification, nothing remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from tests.auditor.books import DELIVERED, OPEN, Books, Buckets, Counting, Order, Rates, total
from tests.auditor.money import Money, convert, decimals, half_even, minor
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
LIMIT_TYPES = ("credit_limit_expired", "overdue_amount", "credit_limit_used")
TEXT_TYPES = {"account_status": "account_status", "risk_group": "risk_group"}


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


def judge(order: Order, checkpoint: str, facts: Facts, forced: bool = False, may_ask: bool = True) -> Judgement:
    """Steps 2 to 7 of 5.1; step 1, whether the checkpoint checks, is the caller's.

    `may_ask` False: a forced hold does not wait for the group.
    """
    conditions, below = wishes(order, checkpoint, replace(facts, group=None), forced) if may_ask else ([], None)
    asks = bool(conditions or below)
    if facts.in_none or not may_ask or not has_a_say(order, facts):
        facts = replace(facts, group=None)
    found = verdict_of(order, checkpoint, facts, forced)
    found.asks_group, found.conditions, found.released_below = asks, conditions, below
    if facts.group is not None and (asks or looks_at_pool(found)):
        by_group(found, facts.group, facts.customer.currency)
        could_go = found.verdict == "released" and found.reasons not in (["excluded"], ["exclusion_rule"])
        found.lacks_grant = could_go and bool(conditions) and not facts.group.granted
    return found


def looks_at_pool(found: Judgement) -> bool:
    """Whether a rule that asks for no credit has seen the pool: of limit 0 in a group the used share is the group's."""
    of_overdue = any(line.type == "overdue_amount" and line.kind == "blocking" for line in found.lines)
    return found.limit.source == "group" and of_overdue


def by_group(found: Judgement, group: GroupView, currency: str) -> None:
    """The limit that was checked is the group's too, and of two that are passed the more counts.

    What the pool is over in another currency is measured by what the order is in both.
    """
    found.limit.source = "group" if found.limit.source == "group" else "group_and_own"
    if group.rate_missing:
        return
    found.pool, found.group_limit, found.group_currency = group.pool, group.limit, group.currency
    excess, counts = max(0, group.after - group.limit), group.after - group.pool
    if group.currency != currency:
        excess = half_even(Fraction(excess * found.open_amount, counts)) if counts > 0 else 0
    found.over_limit_by = max(found.over_limit_by, excess)


def wishes(order: Order, checkpoint: str, facts: Facts, forced: bool) -> tuple[list[dict[str, Any]], str | None]:
    """What the rules ask of the group, and below which share of its limit an exclusion releases the order (4.3, 5.2).

    Nothing where the own limit holds the order already.
    """
    nothing: tuple[list[dict[str, Any]], str | None] = ([], None)
    facts = replace(facts, in_none=False)
    if not has_a_say(order, facts):
        return nothing
    found = figures(order, facts)
    exclusions = seen_by("exclusion", order, checkpoint, facts, found)
    if not forced and any(line.hit and is_release_order(line, facts) for line in exclusions):
        return nothing
    excusing = [
        rule for rule in rules_for(order, checkpoint, facts, "exclusion") if rule["type"] == "credit_limit_used"
    ]
    releasing = [rule["percent"] for rule in excusing if rule["release_order"] and not forced]
    blocking = rules_for(order, checkpoint, facts, "blocking")
    asking = [rule for rule in blocking if depends_on_group(rule, order, facts, found, exclusions)]
    conditions = [condition_of(rule, excusing, facts) for rule in asking]
    return conditions, max(releasing, key=Fraction, default=None)


def has_a_say(order: Order, facts: Facts) -> bool:
    """Whether the group's limit may matter: not of unlimited members, excluded orders, returns, what does not count."""
    if facts.customer.group is None or row_of(facts) not in ("group", "group_and_own") or is_excluded(order, facts):
        return False
    return something_counts(order, facts) and order.has_rate


def condition_of(rule: dict[str, Any], excusing: list[dict[str, Any]], facts: Facts) -> dict[str, Any]:
    """What a rule asks: at most a share of the group's limit, or what an exclusion at a narrower level excuses."""
    is_limit = rule["type"] == "credit_limit_used"
    level = LEVELS.index(rule["scope"])
    narrower = [other["percent"] for other in excusing if is_limit and LEVELS.index(other["scope"]) < level]
    return {
        "percent": rule["percent"],
        "at_or_above": is_limit and facts.book["limit_boundary"] == "at_or_above",
        "excused_below": max(narrower, key=Fraction, default=None),
    }


def depends_on_group(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement, excuses: list[Line]) -> bool:
    """Whether a rule looks at the group's limit: its own part holds nothing (15, 4.3)."""
    lines = look(rule, order, facts, found)
    if rule["type"] == "credit_limit_used":
        return not any(line.hit and excuse_for(line, excuses) is None for line in lines)
    if rule["type"] == "overdue_amount" and row_of(facts) == "group":
        _, amount = facts.customer.books.overdue(facts.today)
        observed, limit = in_rule_currency(rule, amount, facts.customer.currency, facts)
        line = line_of(rule, True, observed, limit, REASON_OF[rule["type"]])
        line.level = LEVELS.index(rule["scope"])
        return observed > limit and excuse_for(line, excuses) is None
    return False


def row_of(facts: Facts) -> str:
    """The row of table 4.3 as the customer has it, whether or not its group was ever announced."""
    view = limit_of(facts)
    if view.source == "own" and facts.customer.group is not None and facts.book["check_group_limit"]:
        return "group_and_own"  # Mandatory 0: the own limit holds every order, unless an exclusion excuses that.
    return view.source


def something_counts(order: Order, facts: Facts) -> bool:
    """No return, and something of it counts."""
    return order.amount > 0 and sum(facts.customer.books.own_part(order, facts.counting())) > 0


def excuse_for(line: Line, exclusions: list[Line]) -> str | None:
    """The exclusion that cancels the hit."""
    return next((other.rule_id for other in exclusions if cancels(other, line)), None) if line.hit else None


def seen_by(kind: str, order: Order, checkpoint: str, facts: Facts, found: Judgement) -> list[Line]:
    """What all rules of a kind see."""
    return [line for rule in rules_for(order, checkpoint, facts, kind) for line in look(rule, order, facts, found)]


def verdict_of(order: Order, checkpoint: str, facts: Facts, forced: bool) -> Judgement:
    """The check itself, with the group's figures if it was asked."""
    found = figures(order, facts)
    if is_excluded(order, facts):
        found.reasons = ["excluded"]
        return found
    if facts.customer.profile is None:
        return unknown_customer(found, facts, forced)
    exclusions = seen_by("exclusion", order, checkpoint, facts, found)
    if not forced and any(line.hit and is_release_order(line, facts) for line in exclusions):
        found.lines, found.reasons = exclusions, ["exclusion_rule"]
        for line in exclusions:
            line.optional = True
        return found
    blocking = seen_by("blocking", order, checkpoint, facts, found)
    for line in blocking:
        line.cancelled_by = excuse_for(line, exclusions)
    blocking = [line for line in blocking if line.reason != GROUP_REASON or not own_part_holds(line, blocking)]
    found.lines = exclusions + blocking
    reasons = {line.reason for line in blocking if line.hit and line.cancelled_by is None}
    reasons |= set(other_reasons(order, checkpoint, facts, forced))
    if forced:
        reasons.add("forced_hold")
    if facts.book["stale_policy"] == "release" and reasons != {"stale_inputs"}:
        reasons.discard("stale_inputs")
    found.reasons = [code for code in REASON_ORDER if code in reasons]
    waits = found.reasons and (found.reasons != ["stale_inputs"] or facts.book["stale_policy"] == "hold")
    found.verdict = "on_hold" if waits else "released"
    return found


def own_part_holds(line: Line, lines: list[Line]) -> bool:
    """Whether the rule's own part holds the order: then its group is not looked at (4.3)."""
    own = (other for other in lines if other.rule_id == line.rule_id and other.reason != GROUP_REASON)
    return any(other.hit and other.cancelled_by is None for other in own)


def figures(order: Order, facts: Facts) -> Judgement:
    """Exposure without and with the order, and the limit (3.5)."""
    books, counting = facts.customer.books, facts.counting(order.order_id)
    before = books.buckets(counting) if facts.customer.profile is not None else [0, 0, 0, 0, 0]
    not_delivered, lying = books.own_part(order, counting)
    after = list(before)
    after[OPEN] += not_delivered
    after[DELIVERED] += lying
    limit = limit_of(facts)
    if limit.source == "group" and not something_counts(order, facts):
        limit.source = "own"
    if limit.source == "group_and_own":
        limit.source = "own"  # The group's is checked too once it was asked.
    over = 0 if limit.total is None or limit.source == "group" else max(0, total(after) - limit.total)
    return Judgement("released", [], [], before, after, not_delivered + lying, limit, over)


def is_excluded(order: Order, facts: Facts) -> bool:
    """Step 2: the order, the customer, or trade within one's own companies."""
    return (
        order.excluded
        or order.taken_out
        or order.intercompany
        or bool(facts.customer.says("exclude_from_credit_management"))
    )


def unknown_customer(found: Judgement, facts: Facts, forced: bool) -> Judgement:
    """Spec 2: held or released by parameter; nothing else is known."""
    holds = facts.book["unknown_customer"] == "hold"
    found.reasons = [*(["forced_hold"] if forced else []), *(["customer_unknown"] if holds or not forced else [])]
    found.verdict = "on_hold" if forced or holds else "released"
    return found


def other_reasons(order: Order, checkpoint: str, facts: Facts, forced: bool) -> Iterator[str]:
    """Ranks (5.5), the effect of the account status, a missing rate and stale inputs (5.6)."""
    customer, book = facts.customer, facts.book
    effect = book.effects.get(customer.says("account_status"), "none")
    if effect == "hold_all" or (effect == "hold_invoicing" and checkpoint == "invoice"):
        yield "account_status"
    terms = book.terms.get(order.terms, 0) > book.terms.get(customer.says("payment_terms"), 0)
    if terms and book["check_payment_terms_rank"]:
        yield "payment_terms_increased"
    discount = book.discounts.get(order.discount, 0) > book.discounts.get(customer.says("settlement_discount"), 0)
    if discount and book["check_settlement_discount_rank"]:
        yield "settlement_discount_increased"
    lacking = (rule for rule in facts.book.rules if rule["enabled"] and speaks_for(rule, customer))
    unknown_pool = facts.group is not None and facts.group.rate_missing
    if unknown_pool and wishes(order, checkpoint, replace(facts, group=None), forced)[0]:
        yield "exchange_rate_missing"
    if not order.has_rate or any(lacks_rate(rule, order, facts) for rule in lacking):
        yield "exchange_rate_missing"
    if facts.stale:
        yield "stale_inputs"


# --- rules ----------------------------------------------------------------------------------------------------------


def rules_for(order: Order, checkpoint: str, facts: Facts, kind: str) -> Iterator[dict[str, Any]]:
    """The rules of the kind that speak at the checkpoint for this customer and this order.

    An exclusion about a limit speaks of a return too: it excuses the smallest order, and a return is less.
    """
    nothing_counts = order.amount <= 0 or sum(facts.customer.books.own_part(order, facts.counting())) == 0
    for rule in sorted(facts.book.rules, key=lambda rule: RULE_TYPES.index(rule["type"])):
        if rule["kind"] != kind or not rule["enabled"] or not speaks_for(rule, facts.customer):
            continue
        if rule["checkpoints"] and checkpoint not in rule["checkpoints"]:
            continue
        if rule["type"] in LIMIT_TYPES and (nothing_counts or not order.has_rate) and not excludes(rule):
            continue
        if rule["type"] == "credit_limit_used" and not order.has_rate and not facts.customer.says("unlimited_credit"):
            continue
        in_credit_currency = rule["currency"] in ("", facts.customer.currency)
        if rule["type"] == "order_amount" and not order.has_rate and in_credit_currency:
            continue
        if lacks_rate(rule, order, facts):
            continue
        if rule["type"] == "credit_limit_used" and not checks_limit(facts.book):
            continue
        yield rule


def checks_limit(book: RuleBook) -> bool:
    """Whether limits are looked at at all (3.1, 5.3 row 8)."""
    return bool(book["check_credit_limit"]) and book["exposure_scope"] != "none"


def speaks_for(rule: dict[str, Any], customer: Customer) -> bool:
    """Scope and risk group of the rule."""
    if rule["scope"] == "customer":
        return bool(rule["account"] == customer.customer_id)
    if rule["risk_group"] and rule["risk_group"] != customer.risk_group:
        return False
    return rule["scope"] == "all" or rule["account"] == customer.says("credit_management_group")


def look(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement) -> list[Line]:
    """What the rule sees: one line, two for `overdue_amount` and for a limit of one's own and the group's."""
    lines = LOOKS[rule["type"]](rule, order, facts, found)
    for line in lines:
        line.level = LEVELS.index(rule["scope"])
        line.value_type = rule["value_type"] if rule["type"] == "days_overdue" else ""
        line.reason = line.reason or REASON_OF[rule["type"]]
    return lines


def is_release_order(line: Line, facts: Facts) -> bool:
    """Whether the exclusion releases the whole order."""
    return any(rule["id"] == line.rule_id and rule["release_order"] for rule in facts.book.rules)


def cancels(exclusion: Line, blocking: Line) -> bool:
    """Spec 5.4: the same type, value type and (of limits) whose limit, at a narrower level."""
    return (
        exclusion.hit
        and (exclusion.type, exclusion.value_type, exclusion.reason)
        == (blocking.type, blocking.value_type, blocking.reason)
        and exclusion.level < blocking.level
    )


def line_of(rule: dict[str, Any], hit: bool, observed: Any, threshold: Any, reason: str = "") -> Line:
    """A line of a decision."""
    return Line(rule["id"], rule["type"], rule["kind"], hit, observed, threshold, reason=reason)


def nothing_there(rule: dict[str, Any]) -> Line:
    """An exclusion about a condition that is not there is not true (15, 5.4)."""
    return line_of(rule, False, None, None)


def excludes(rule: dict[str, Any]) -> bool:
    """Whether the rule is an exclusion."""
    return bool(rule["kind"] == "exclusion")


def in_rule_currency(rule: dict[str, Any], amount: Money, currency: str, facts: Facts) -> tuple[Fraction, Fraction]:
    """An amount and the rule's amount as numbers of the rule's currency."""
    target = rule["currency"] or facts.customer.currency
    _, rate = facts.rates.find(facts.book["credit_rate_type"], currency, target, facts.today)
    scale = Fraction(10 ** decimals(target))
    return convert(amount, currency, target, rate) / scale, (minor(rule["amount"], target) or 0) / scale


def lacks_rate(rule: dict[str, Any], order: Order, facts: Facts) -> bool:
    """Whether there is no way of the rule's observation into the rule's currency."""
    if (rule["type"] not in ("overdue_amount", "order_amount") and rule["value_type"] != "amount") or not rule[
        "currency"
    ]:
        return False
    source = order.currency if rule["type"] == "order_amount" else facts.customer.currency
    return not facts.rates.find(facts.book["credit_rate_type"], source, rule["currency"], facts.today)[0]


def units(amount: Money | Fraction, facts: Facts) -> Fraction:
    """An amount as a number of the currency's units."""
    return Fraction(amount) / 10 ** decimals(facts.customer.currency)


def days_overdue(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement) -> list[Line]:
    """Row 1; an exclusion is true of something overdue, less than N days or less than A."""
    days, amount = facts.customer.books.overdue(facts.today)
    if rule["value_type"] == "amount":
        observed, limit = in_rule_currency(rule, amount, facts.customer.currency, facts)
        hit = 0 < observed < limit if excludes(rule) else observed > limit
        return [line_of(rule, hit, observed, limit) if amount or not excludes(rule) else nothing_there(rule)]
    if not days and excludes(rule):
        return [nothing_there(rule)]
    hit = 0 < days < rule["days"] if excludes(rule) else days > rule["days"]
    return [line_of(rule, hit, Fraction(days), Fraction(rule["days"]))]


def equal_text(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement) -> list[Line]:
    """Rows 2, 3 and 7: a text of the customer or the order is the rule's."""
    value = {
        "account_status": facts.customer.says("account_status"),
        "payment_terms": order.terms,
        "risk_group": facts.customer.risk_group,
    }[rule["type"]]
    return [line_of(rule, value == rule["value"], value or "", rule["value"])]


def credit_limit_expired(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement) -> list[Line]:
    """Row 4; does not speak of unlimited customers."""
    if facts.customer.says("unlimited_credit"):
        return [line_of(rule, False, None, None)]
    if facts.customer.expires is None:
        counts = not facts.book["ignore_blank_expiry"] and not excludes(rule)
        return [line_of(rule, counts, None, None)]
    days = (facts.today - facts.customer.expires).days
    if days <= 0 and excludes(rule):
        return [nothing_there(rule)]
    hit = days < rule["days"] if excludes(rule) else days > rule["days"]
    return [line_of(rule, hit, Fraction(days), Fraction(rule["days"]))]


def share(used: Money, percent: str, limit: Money) -> tuple[Fraction, Fraction]:
    """What is used, and the threshold's share of the limit: two amounts, so that nothing is rounded."""
    return Fraction(used), Fraction(percent) * limit / 100


def overdue_amount(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement) -> list[Line]:
    """Row 5: two comparisons that both must hold; an exclusion looks at the overdue amount alone."""
    _, amount = facts.customer.books.overdue(facts.today)
    first = observed, limit = in_rule_currency(rule, amount, facts.customer.currency, facts)
    if excludes(rule):
        return [line_of(rule, 0 < observed < limit, *first) if amount else nothing_there(rule)]
    if found.limit.source == "group" and facts.group is not None and facts.group.rate_missing:
        return []
    if found.limit.source == "group" and facts.group is None:  # The share is the group's, which was not asked.
        return [] if observed > limit else [line_of(rule, False, *first)]
    used, of, much = share_used(rule, facts, found)
    hit = observed > limit and much
    return [line_of(rule, hit, *first), line_of(rule, hit, used, of)]


def share_used(rule: dict[str, Any], facts: Facts, found: Judgement) -> tuple[Any, Any, bool]:
    """Used and threshold of the own limit, of the group's for limit 0 in a group; limit 0: any use is more."""
    if facts.customer.says("unlimited_credit"):
        return None, None, False
    if found.limit.source == "group" and facts.group is not None:
        used, of = group_share(rule, facts, found)
        return None, None, used > of if facts.group.limit else used > 0
    own = own_limit(facts)
    used, of = share(total(found.after), rule["percent"], own)
    return units(used, facts), units(of, facts), used > of if own else used > 0


def own_limit(facts: Facts) -> Money:
    """The customer's own total, also where limits are not checked."""
    view = limit_of(facts)
    if view.total is not None:
        return view.total
    plain = facts.book.with_scope("balance_and_orders")
    view = limit_of(Facts(facts.customer, plain, facts.rates, facts.today))
    return view.total or 0


def group_share(rule: dict[str, Any], facts: Facts, found: Judgement) -> tuple[Fraction, Fraction]:
    """The pool with the order in it, and the threshold's share of the group's limit."""
    assert facts.group is not None
    return share(facts.group.after, rule["percent"], facts.group.limit)


def order_amount(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement) -> list[Line]:
    """Row 6: the order's own amount, in credit currency at the order's rate, or in the rule's currency."""
    if rule["currency"]:
        observed, limit = in_rule_currency(rule, order.amount, order.currency, facts)
    else:
        amount = convert(order.amount, order.currency, facts.customer.currency, order.rate)
        observed, limit = in_rule_currency(rule, amount, facts.customer.currency, facts)
    return [line_of(rule, observed < limit if excludes(rule) else observed > limit, observed, limit)]


def credit_limit_used(rule: dict[str, Any], order: Order, facts: Facts, found: Judgement) -> list[Line]:
    """Row 8 by table 4.3: the own limit, then the group's if the own part holds."""
    if found.limit.source == "unlimited":
        return [line_of(rule, excludes(rule), None, None)]
    lines = []
    if found.limit.source != "group":
        lines.append(own_part_of(rule, facts, found))
    if facts.group is not None and facts.group.rate_missing:
        return [] if excludes(rule) else lines
    if facts.group is not None:
        used, of = group_share(rule, facts, found)
        scale = Fraction(10 ** decimals(facts.group.currency))
        lines.append(line_of(rule, passed(rule, used, of, facts.book), used / scale, of / scale, GROUP_REASON))
    return lines


def own_part_of(rule: dict[str, Any], facts: Facts, found: Judgement) -> Line:
    """The own limit; mandatory 0 holds every order."""
    used, of = share(total(found.after), rule["percent"], found.limit.total or 0)
    hit = passed(rule, used, of, facts.book)
    if is_mandatory_zero(facts):
        return line_of(rule, not excludes(rule), None, None)
    return line_of(rule, hit, units(used, facts), units(of, facts))


def passed(rule: dict[str, Any], used: Fraction, of: Fraction, book: RuleBook) -> bool:
    """The comparison at the boundary (4.4); within means strictly less."""
    if excludes(rule):
        return used < of
    return used >= of if book["limit_boundary"] == "at_or_above" else used > of


LOOKS: dict[str, Callable[[dict[str, Any], Order, Facts, Judgement], list[Line]]] = {
    "days_overdue": days_overdue,
    "account_status": equal_text,
    "payment_terms": equal_text,
    "credit_limit_expired": credit_limit_expired,
    "overdue_amount": overdue_amount,
    "order_amount": order_amount,
    "risk_group": equal_text,
    "credit_limit_used": credit_limit_used,
}
