"""The blocking rules and exclusions (spec 5.3, 5.4), one by one in words of the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from tests.auditor.books import Order, total
from tests.auditor.facts import (
    GROUP_REASON,
    LEVELS,
    REASON_OF,
    Customer,
    Facts,
    Judgement,
    Line,
    is_mandatory_zero,
    limit_of,
)
from tests.auditor.money import Money, convert, decimals, minor
from tests.auditor.rulebook import RULE_TYPES, RuleBook

LIMIT_TYPES = ("credit_limit_expired", "overdue_amount", "credit_limit_used")


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
