"""The blocking rules and exclusions of spec 5.3 and 5.4: a table of small functions, in the order of the spec's table.

A row of `RULES` is all there is to a rule: its type, its reason codes, the function that says what it saw for holding
an order, and the function that says what it saw for excusing one. `settings` takes the types from here, `reasons` the
order of codes. A function gets the rule as it stands in the settings and the `Facts` of the order; what it observed
goes into the decision as it is. `docs/add-a-rule.md` shows how to add one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from credit_stream.core.facts import Facts
    from credit_stream.core.settings import Rule


class Observation(Struct, frozen=True, gc=False):
    """What a rule saw. `hit`: it holds the order for `reason` (or, of an exclusion, excuses it).

    `observed operator threshold` is the comparison that was made, as text in `unit`: a currency, `days`, `percent`,
    `text` or `date`.
    """

    reason: str
    hit: bool
    observed: str
    operator: str
    threshold: str
    unit: str


class RateMissing(Exception):
    """A rule needs an exchange rate that is not there; the order is held for that (spec 1.2)."""


class GroupUnasked(Exception):
    """A rule looked at the credit group's pool before the group was asked: its row must say that it does (spec 5.2)."""


NOTHING_OVERDUE, OVERDUE = "nothing overdue", "something overdue"
NO_EXPIRY_DATE = "no expiry date"
"""What is shown where there is no figure to compare."""

Look = Callable[["Rule", "Facts"], tuple[Observation, ...]]


class RuleType(NamedTuple):
    """One row of the table of spec 5.3. `limit` says that it never holds a return or what does not count (spec 5.1).

    `group_holds` and `group_excuses` are what it sees besides of a member's credit group (spec 4.3): the group is
    asked when the customer's own part does not hold the order. `asks_pool`: whether `holds` compares with the group's
    pool, of a member without a limit of its own; then it is looked at only when the group has answered.
    """

    name: str
    reasons: tuple[str, ...]
    holds: Look
    excuses: Look
    limit: bool = False
    group_holds: Look | None = None
    group_excuses: Look | None = None
    asks_pool: Callable[[Rule, Facts], bool] | None = None


def _without(reason: str, observed: str, wanted: str) -> tuple[Observation, ...]:
    """The condition that the rule is about is not there, so it is no hit."""
    return (Observation(reason, False, observed, "equal", wanted, "text"),)


def never(_rule: Rule, _facts: Facts) -> tuple[Observation, ...]:
    """What a rule that knows no exclusions has in place of one."""
    return ()


# --- 1 days_overdue ---------------------------------------------------------------------------------------------


def days_overdue(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 1: the oldest open instalment is more than N days past its due date; N is grace."""
    if rule.value_type == "amount":
        return _overdue_by_amount(rule, facts, "above")
    days = facts.days_overdue
    return (Observation("invoice_overdue", days > rule.days, str(days), "above", str(rule.days), "days"),)


def days_overdue_within(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Overdue, but less than N days; or, by amount, less than A in all. Nothing overdue excuses nothing (spec 15)."""
    if rule.value_type == "amount":
        return _overdue_by_amount(rule, facts, "below")
    days = facts.days_overdue
    if days == 0:
        return _without("invoice_overdue", NOTHING_OVERDUE, OVERDUE)
    return (Observation("invoice_overdue", days < rule.days, str(days), "below", str(rule.days), "days"),)


def _overdue_by_amount(rule: Rule, facts: Facts, operator: str) -> tuple[Observation, ...]:
    if operator == "below" and facts.days_overdue == 0:
        return _without("invoice_overdue", NOTHING_OVERDUE, OVERDUE)
    currency = rule.currency or facts.currency
    overdue, amount = facts.overdue_in(currency), facts.amount_of(rule, currency, below=operator == "below")
    hit = overdue > amount if operator == "above" else overdue < amount
    return (Observation("invoice_overdue", hit, *facts.compared(overdue, operator, amount, currency)),)


# --- 2, 3, 7: a text is the rule's ------------------------------------------------------------------------------


def account_status(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 2: the customer's account status is the rule's. An exclusion looks at the same."""
    return _same("account_status", facts.account_status, rule.value)


def payment_terms(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 3: the order's payment terms are the rule's. An exclusion looks at the same."""
    return _same("payment_terms", facts.payment_terms, rule.value)


def risk_group(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 7: the customer's risk group is the rule's. An exclusion looks at the same."""
    return _same("risk_group", facts.risk_group, rule.value)


def _same(reason: str, observed: str | None, value: str) -> tuple[Observation, ...]:
    return (Observation(reason, observed == value, observed or "", "equal", value, "text"),)


# --- 4 credit_limit_expired -------------------------------------------------------------------------------------


def credit_limit_expired(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 4: the business date is more than N days past the expiry date. Unlimited customers have none (spec 15)."""
    days = facts.days_expired
    if days is None:
        hold = facts.holds_blank_expiry
        wanted = NO_EXPIRY_DATE if hold else "an expiry date"
        return (Observation("credit_limit_expired", hold, NO_EXPIRY_DATE, "equal", wanted, "text"),)
    return (Observation("credit_limit_expired", days > rule.days, str(days), "above", str(rule.days), "days"),)


def credit_limit_expired_within(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Expired, but less than N days ago."""
    days = facts.days_expired
    if days is None or days <= 0:
        return _without("credit_limit_expired", NO_EXPIRY_DATE if days is None else "not expired", "expired")
    return (Observation("credit_limit_expired", days < rule.days, str(days), "below", str(rule.days), "days"),)


# --- 5 overdue_amount -------------------------------------------------------------------------------------------


def overdue_amount(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 5: more overdue than the amount, and more of the limit used than the threshold. Both lines carry the hit."""
    currency = rule.currency or facts.currency
    overdue, amount = facts.overdue_in(currency), facts.amount_of(rule, currency)
    if facts.is_groups_alone and facts.group is None and overdue <= amount:  # Then the group need not be asked.
        return (Observation("overdue_amount", False, *facts.compared(overdue, "above", amount, currency)),)
    uses_more_than = facts.group_uses_more_than if facts.is_groups_alone else facts.uses_more_than
    used, line = uses_more_than(rule.percent, or_equal=False)
    hit = used and overdue > amount
    return (
        Observation("overdue_amount", hit, *facts.compared(overdue, "above", amount, currency)),
        Observation("overdue_amount", hit, *line),
    )


def overdue_amount_asks_pool(rule: Rule, facts: Facts) -> bool:
    """Only when more is overdue than the amount does it depend on what is used of the limit."""
    currency = rule.currency or facts.currency
    return facts.overdue_in(currency) > facts.amount_of(rule, currency)


def overdue_amount_within(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Something is overdue, but less than the amount."""
    if facts.days_overdue == 0:
        return _without("overdue_amount", NOTHING_OVERDUE, OVERDUE)
    currency = rule.currency or facts.currency
    overdue, amount = facts.overdue_in(currency), facts.amount_of(rule, currency, below=True)
    return (Observation("overdue_amount", overdue < amount, *facts.compared(overdue, "below", amount, currency)),)


# --- 6 order_amount ---------------------------------------------------------------------------------------------


def order_amount(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 6: the order's own amount is more than the rule's."""
    currency = rule.currency or facts.currency
    ordered, amount = facts.order_amount_in(currency), facts.amount_of(rule, currency)
    return (Observation("order_amount", ordered > amount, *facts.compared(ordered, "above", amount, currency)),)


def order_amount_within(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """The order's amount is less than the rule's."""
    currency = rule.currency or facts.currency
    ordered, amount = facts.order_amount_in(currency), facts.amount_of(rule, currency, below=True)
    return (Observation("order_amount", ordered < amount, *facts.compared(ordered, "below", amount, currency)),)


# --- 8 credit_limit_used ----------------------------------------------------------------------------------------


def credit_limit_used(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 8: used after the order is more than the threshold percentage of the own limit, if it has one (spec 4.3)."""
    if facts.is_mandatory_zero:
        words = "mandatory limit 0"
        return (Observation("credit_limit_exceeded", True, words, "equal", words, "text"),)
    if facts.is_groups_alone:
        return ()
    hit, line = facts.uses_more_than(rule.percent, or_equal=facts.limit_boundary == "at_or_above")
    return (Observation("credit_limit_exceeded", hit, *line),)


def credit_limit_used_within(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Less of the own limit is used than the percentage. Of a mandatory limit of 0 any use is more."""
    if facts.is_groups_alone:
        return ()
    hit, line = facts.uses_less_than(rule.percent)
    return (Observation("credit_limit_exceeded", hit and not facts.is_mandatory_zero, *line),)


def group_limit_used(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Row 8: the pool after the order is more than the threshold percentage of the group's limit (spec 4.3, 5.2)."""
    hit, line = facts.group_uses_more_than(rule.percent, or_equal=facts.limit_boundary == "at_or_above")
    return (Observation("group_credit_limit_exceeded", hit, *line),)


def group_limit_used_within(rule: Rule, facts: Facts) -> tuple[Observation, ...]:
    """Less of the group's limit is used than the percentage (spec 15, 5.4)."""
    hit, line = facts.group_uses_less_than(rule.percent)
    return (Observation("group_credit_limit_exceeded", hit, *line),)


RULES: tuple[RuleType, ...] = (
    RuleType("days_overdue", ("invoice_overdue",), days_overdue, days_overdue_within),
    RuleType("account_status", ("account_status",), account_status, account_status),
    RuleType("payment_terms", ("payment_terms",), payment_terms, payment_terms),
    RuleType(
        "credit_limit_expired",
        ("credit_limit_expired",),
        credit_limit_expired,
        credit_limit_expired_within,
        limit=True,
    ),
    RuleType(
        "overdue_amount",
        ("overdue_amount",),
        overdue_amount,
        overdue_amount_within,
        limit=True,
        asks_pool=overdue_amount_asks_pool,
    ),
    RuleType("order_amount", ("order_amount",), order_amount, order_amount_within),
    RuleType("risk_group", ("risk_group",), risk_group, risk_group),
    RuleType(
        "credit_limit_used",
        ("credit_limit_exceeded", "group_credit_limit_exceeded"),
        credit_limit_used,
        credit_limit_used_within,
        limit=True,
        group_holds=group_limit_used,
        group_excuses=group_limit_used_within,
    ),
)
"""In the order of spec 5.3, which is the order of the reasons in a decision."""

RULE_TYPES: tuple[str, ...] = tuple(row.name for row in RULES)

RULE_OF_TYPE = {row.name: row for row in RULES}
