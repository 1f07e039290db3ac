"""A decision in words, for a credit manager, from the decision alone.

What is asked of `explain`: the verdict, why, what each rule saw, the limit and its parts, the exposure before and
after, who acted, and as of which position of the log all that was true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from credit_stream.cli.tables import grouped, table
from credit_stream.core import money
from credit_stream.core.calendar import iso
from credit_stream.core.outputs import CreditDecision, ExposureBuckets, LimitParts, RuleOutcome
from credit_stream.wire.currencies import CURRENCIES

VERDICTS: Mapping[str, str] = {"released": "RELEASED", "on_hold": "ON HOLD", "rejected": "REJECTED"}

REASONS: Mapping[str, str] = {
    "invoice_overdue": "An invoice is overdue for longer than is allowed.",
    "account_status": "The customer's account status holds orders.",
    "payment_terms": "Orders with these payment terms are held.",
    "credit_limit_expired": "The credit limit has expired.",
    "overdue_amount": "Too much is overdue for how much of the limit is used.",
    "order_amount": "The order is larger than is allowed.",
    "risk_group": "Customers of this risk group are held.",
    "credit_limit_exceeded": "With this order the customer would use more than the credit limit allows.",
    "group_credit_limit_exceeded": "With this order the credit group would use more than its limit allows.",
    "payment_terms_increased": "The order has longer payment terms than the customer's own.",
    "settlement_discount_increased": "The order has a higher settlement discount than the customer's own.",
    "forced_hold": "A person put the order on hold.",
    "customer_unknown": "There is no credit profile of this customer.",
    "exchange_rate_missing": "An exchange rate that the check needs is missing.",
    "stale_inputs": "The newest invoice or payment in the log is too old to judge by.",
    "not_checked": "This checkpoint does not check credit.",
    "excluded": "The order or the customer is excluded from credit management.",
    "exclusion_rule": "An exclusion rule releases the order at once.",
    "within_grace": "The last check was recent enough: the grace days are not over.",
    "within_tolerance": "The rise is within the tolerance of the release.",
    "release_honored": "A person's release still covers the order.",
    "released_by_person": "A person released the order.",
    "automatic_release": "What held the order is gone, and it was released by itself.",
}
"""A sentence for every reason code of a decision."""

CAUSES: Mapping[str, str] = {
    "order": "the order came in",
    "checkpoint": "the order reached a checkpoint",
    "change": "the order was changed",
    "evaluation": "held orders were looked at again",
    "command": "a person or a program asked for it",
    "group_answer": "the credit group answered",
}

OPERATORS: Mapping[str, str] = {
    "above": "above",
    "at_or_above": "at or above",
    "below": "below",
    "at_or_below": "at or below",
    "equal": "the same as",
}

LIMIT_SOURCES: Mapping[str, str] = {
    "own": "the customer's own",
    "group": "the credit group's",
    "group_and_own": "the credit group's and the customer's own",
    "unlimited": "unlimited credit: no limit is checked",
    "none": "no limit is checked",
}

GROUP_LIMIT_USED = "group_limit_used"
"""Not a type of rule: what `credit_limit_used` sees of the credit group."""
SUBJECTS: Mapping[str, str] = {
    "days_overdue": "the oldest open invoice is {observed} overdue",
    "account_status": "the account status is {observed}",
    "payment_terms": "the order's payment terms are {observed}",
    "credit_limit_expired": "the limit is {observed} past its expiry date",
    "overdue_amount": "{observed} is overdue",
    "order_amount": "the order is {observed}",
    "risk_group": "the customer's risk group is {observed}",
    "credit_limit_used": "used with this order: {observed}",
}
"""What a rule of a type looks at, with its figure."""
GROUP_SUBJECT = "used by the credit group with this order: {observed}"
TEXT_TYPES = frozenset({"account_status", "payment_terms", "risk_group"})
"""Types that compare two texts. Where others show a text, there was no figure to compare: "nothing overdue"."""


def explained(decision: CreditDecision) -> list[str]:
    """The whole explanation, line by line."""
    parts = [
        _headline(decision),
        _section("Why", _why(decision)),
        _section("What the rules saw", _rules(decision)),
        _section(f"Credit limit ({LIMIT_SOURCES[decision.limit.source]})", _limit(decision)),
        _section(f"Exposure in {decision.currency}", _exposure(decision)),
        _section("Who, when, as of what", _origin(decision)),
    ]
    return [line for part in parts for line in part]


def _section(title: str, body: list[str]) -> list[str]:
    return ["", title, *(f"  {line}".rstrip() for line in body)]


def amount(amount_minor: int, currency: str) -> str:
    """An amount as people write it, without its currency: 1,200.00."""
    return grouped(money.text(amount_minor, CURRENCIES[currency]))


# --- verdict and reasons ----------------------------------------------------------------------------------------


def _headline(decision: CreditDecision) -> list[str]:
    trial = " (trial run: nothing is reserved)" if decision.pro_forma else ""
    placed = f"{amount(decision.order_amount_minor, decision.currency)} {decision.currency}"
    return [
        f"Order {decision.order_id} of customer {decision.customer_id}: {placed}",
        f"{VERDICTS[decision.verdict]} at {decision.checkpoint} on {iso(decision.business_date)}{trial}",
    ]


def _why(decision: CreditDecision) -> list[str]:
    if not decision.reasons:
        spoke = "Nothing spoke against it." if decision.verdict == "released" else "A person decided so."
        return [spoke]
    lines = [f"{code}: {REASONS.get(code, 'a reason that this version does not know')}" for code in decision.reasons]
    if decision.over_limit_by_minor:
        over = amount(decision.over_limit_by_minor, decision.currency)
        lines.append(f"The limit would be passed by {over} {decision.currency}.")
    return lines


# --- rules ------------------------------------------------------------------------------------------------------


def _rules(decision: CreditDecision) -> list[str]:
    if not decision.rules:
        return ["No rule was looked at."]
    lines = zip(decision.rules, subjects_of(decision), strict=True)
    return [f"{_mark(rule)} {rule.rule_id}: {_rule_sentence(rule, sees, decision)}" for rule, sees in lines]


def _mark(rule: RuleOutcome) -> str:
    if rule.kind == "exclusion":
        return "[excuses]" if rule.hit else "[       ]"
    if rule.hit:
        return "[excused]" if rule.cancelled_by else "[ HOLDS ]"
    return "[   ok  ]"


def subjects_of(decision: CreditDecision) -> list[str]:
    """What each line of a rule is about, as `SUBJECTS` names it.

    The second line of `overdue_amount` is about what is used of the limit (spec 5.3), which of a member without one of
    its own is the credit group's.
    """
    seen: set[str] = set()
    found = []
    for rule, of_group in zip(decision.rules, lines_of_group(decision), strict=True):
        is_share, seen = rule.type == "overdue_amount" and rule.rule_id in seen, seen | {rule.rule_id}
        if of_group or (is_share and decision.limit.source == "group"):
            found.append(GROUP_LIMIT_USED)
        else:
            found.append("credit_limit_used" if is_share else rule.type)
    return found


def lines_of_group(decision: CreditDecision) -> list[bool]:
    """Of what each rule saw of the use of a limit, whether that is about the limit of the credit group (spec 4.3).

    Of a member without a limit of its own every such line is; of another the second one of a rule.
    """
    seen: set[str] = set()
    found = []
    for rule in decision.rules:
        is_second, seen = rule.rule_id in seen, seen | {rule.rule_id}
        found.append(rule.type == "credit_limit_used" and (is_second or decision.limit.source == "group"))
    return found


def _rule_sentence(rule: RuleOutcome, sees: str, decision: CreditDecision) -> str:
    """What one rule saw, with its figures: "used with this order: 1,200.00 USD; ... 120 % is above 100 %"."""
    if rule.unit == "text" and sees not in TEXT_TYPES:
        sentence = rule.observed
    else:
        by_amount = sees == "days_overdue" and rule.unit in CURRENCIES
        known = {**SUBJECTS, GROUP_LIMIT_USED: GROUP_SUBJECT}
        subject = known.get("overdue_amount" if by_amount else sees, "{observed}")
        sentence = f"{subject.format(observed=_figure(rule.observed, rule.unit))}, {_comparison(rule)}"
        limit = decision.limit
        if sees == "credit_limit_used":
            sentence += _share_of_limit(rule, decision.currency, limit.total_minor)
        elif sees == GROUP_LIMIT_USED:
            sentence += _share_of_limit(rule, limit.group_currency or decision.currency, limit.group_total_minor)
    return f"{sentence}; excused by the exclusion {rule.cancelled_by}" if rule.cancelled_by else sentence


def _comparison(rule: RuleOutcome) -> str:
    operator, threshold = OPERATORS.get(rule.operator, rule.operator), _figure(rule.threshold, rule.unit)
    compares = holds(rule)
    if compares is None:
        return f"which counts as {operator} {threshold}" if rule.hit else f"which is not {operator} {threshold}"
    return f"which is {'' if compares else 'not '}{operator} {threshold}"


def _figure(text: str, unit: str) -> str:
    if unit == "text":
        return f"'{text}'" if text else "blank"
    if not money.is_decimal(text):
        return text
    if unit == "days":
        return f"{text} day" if text == "1" else f"{text} days"
    if unit == "percent":
        return f"{text} %"
    return f"{grouped(text)} {unit}" if unit in CURRENCIES else text


def _share_of_limit(rule: RuleOutcome, currency: str, total: int | None) -> str:
    """The comparison once more as shares of the limit, where it was made with the limit."""
    if rule.unit != currency or not total:
        return ""
    if not (money.is_decimal(rule.observed) and money.is_decimal(rule.threshold)):
        return ""
    used, allowed = _percent(rule.observed, total, rule.unit), _percent(rule.threshold, total, rule.unit)
    operator = OPERATORS.get(rule.operator, rule.operator)
    compared = f"{used} % is {'' if holds(rule) else 'not '}{operator} {allowed} %"
    return f": of the limit {amount(total, rule.unit)}, {compared}"


def _percent(text: str, total_minor: int, currency: str) -> str:
    """Decimal text of an amount as a percentage of the total, without zeros at its end: "120", "33.33"."""
    exact = money.ratio(text)
    percent = money.percent_of(exact.numerator * 10 ** CURRENCIES[currency], total_minor * 10**exact.places)
    return percent.rstrip("0").rstrip(".")


def holds(rule: RuleOutcome) -> bool | None:
    """Whether `observed operator threshold` is true; None when the two are not to be compared as they stand."""
    if rule.operator == "equal":
        return rule.observed == rule.threshold
    if not (money.is_decimal(rule.observed) and money.is_decimal(rule.threshold)):
        return None
    seen, bound = money.ratio(rule.observed), money.ratio(rule.threshold)
    left, right = seen.numerator * 10**bound.places, bound.numerator * 10**seen.places
    outcomes = {
        "above": left > right,
        "at_or_above": left >= right,
        "below": left < right,
        "at_or_below": left <= right,
    }
    return outcomes.get(rule.operator)


# --- limit and exposure -----------------------------------------------------------------------------------------


def _limit(decision: CreditDecision) -> list[str]:
    limit = decision.limit
    if limit.source == "none":
        return ["There is none."]
    return table(list(_limit_rows(limit, decision.currency)), right=frozenset({1}))


def _limit_rows(limit: LimitParts, currency: str) -> Iterator[tuple[str, str]]:
    yield "credit limit", amount(limit.base_minor, currency)
    if limit.temporary_minor is not None:
        yield "temporary limit in its place", amount(limit.temporary_minor, currency)
    if limit.policies_minor:
        yield "insurance and guarantees", amount(limit.policies_minor, currency)
    yield "limit in all", "unlimited" if limit.total_minor is None else amount(limit.total_minor, currency)
    of_group = limit.group_currency or currency
    if limit.group_total_minor is not None:
        yield "limit of the credit group", amount(limit.group_total_minor, of_group)
    if limit.group_exposure_minor is not None:
        yield "exposure of the credit group", amount(limit.group_exposure_minor, of_group)


BUCKETS: tuple[tuple[str, str, int], ...] = (
    ("current invoices", "current_invoices_minor", 1),
    ("overdue invoices", "overdue_invoices_minor", 1),
    ("open orders", "open_orders_minor", 1),
    ("delivered, not invoiced", "delivered_not_invoiced_minor", 1),
    ("unapplied payments", "unapplied_minor", -1),
)
"""Title, field and sign of each bucket: what is unapplied is subtracted."""


def _exposure(decision: CreditDecision) -> list[str]:
    before, after, currency = decision.exposure_before, decision.exposure_after, decision.currency
    rows = [("", "without this order", "with it")]
    for title, field, sign in BUCKETS:
        left, right = sign * _bucket(before, field), sign * _bucket(after, field)
        if left or right:
            rows.append((title, amount(left, currency), amount(right, currency)))
    rows.append(("exposure", amount(before.total_minor, currency), amount(after.total_minor, currency)))
    counted = f"Of the order {amount(decision.order_open_amount_minor, currency)} {currency} counts."
    lines = [*table(rows, right=frozenset({1, 2})), counted]
    if decision.exchange_rate is not None:
        lines.append(f"The order is in another currency; it was converted at {decision.exchange_rate}.")
    return lines


def _bucket(buckets: ExposureBuckets, field: str) -> int:
    value = getattr(buckets, field)
    assert isinstance(value, int)
    return value


# --- who and when -----------------------------------------------------------------------------------------------


def _origin(decision: CreditDecision) -> list[str]:
    came = decision.input
    lines = [
        _who(decision),
        f"Cause: {CAUSES[decision.cause]}: event {came.event_id} at {came.topic}/{came.partition}/{came.offset}.",
        _as_of(decision),
        f"Settings version {decision.settings_version}, decision {decision.decision_id}.",
    ]
    lines += [f"Approved by {approval.actor} as {approval.role}." for approval in decision.approvals]
    if decision.supersedes is not None:
        lines.append(f"It takes the place of decision {decision.supersedes}.")
    return lines


def _who(decision: CreditDecision) -> str:
    if decision.actor is None:
        return "Decided by the rules."
    reason = f", for the reason '{decision.release_reason}'" if decision.release_reason else ""
    posting = f", {decision.posting.replace('_', ' ')}" if decision.posting else ""
    return f"{decision.actor} acted{reason}{posting}."


def _as_of(decision: CreditDecision) -> str:
    """An offset of -1 says that nothing of the stream had been counted."""
    counted = [
        f"{name} up to offset {offset}" if offset >= 0 else f"no {name} yet"
        for name, offset in (("invoices", decision.as_of.invoices), ("payments", decision.as_of.payments))
    ]
    return f"Counted: {', '.join(counted)} of partition {decision.input.partition}."
