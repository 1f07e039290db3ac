"""One check of one order (spec 4.3 to 5.6): every rule in its turn, nothing remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tests.auditor.books import DELIVERED, OPEN, Order, total
from tests.auditor.facts import (
    GROUP_REASON,
    LEVELS,
    REASON_OF,
    REASON_ORDER,
    Facts,
    GroupView,
    Judgement,
    Line,
    limit_of,
)
from tests.auditor.money import half_even
from tests.auditor.rules import (
    cancels,
    in_rule_currency,
    is_release_order,
    lacks_rate,
    line_of,
    look,
    rules_for,
    speaks_for,
)


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
