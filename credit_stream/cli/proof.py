"""Whether a decision proves itself (spec 11): everything in it that follows from something else in it is made again.

Each comparison from its two figures, what exclusions cancel from the comparisons, the reasons from what is left, the
verdict from the reasons, the limit from its parts, exposure from its buckets. Two things are not among a decision's
bytes and so are taken from it: at which level a rule speaks, and which reasons a person's earlier release waives. That
a reason is waived is believed only of an order on which there was a decision before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from credit_stream.cli.words import BUCKETS, GROUP_LIMIT_USED, holds, lines_of_group, subjects_of
from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.limits import base_of
from credit_stream.core.outputs import CreditDecision, ExposureBuckets, LimitParts, RuleOutcome
from credit_stream.core.rules import RULE_OF_TYPE
from credit_stream.wire.currencies import CURRENCIES

PLACE_OF_REASON = {code: place for place, code in enumerate(codes.HOLDING)}
NOT_JUDGED = frozenset({codes.NOT_CHECKED, codes.EXCLUDED, codes.WITHIN_GRACE, codes.WITHIN_TOLERANCE})
"""Releases for which no rule was looked at."""
OF_THE_OWN_LIMIT = ("own", "unlimited")
NOTES = (codes.CUSTOMER_UNKNOWN, codes.STALE_INPUTS)
"""What holds an order or, as the parameters say, is only noted in its release."""


def contradictions(decision: CreditDecision) -> list[str]:
    """What does not follow from the decision's own figures; none of a decision that proves itself."""
    return [
        *_comparison_faults(decision),
        *_cancelling_faults(decision),
        *_verdict_faults(decision),
        *_reason_faults(decision),
        *_sum_faults(decision),
        *_figure_faults(decision),
        *_limit_faults(decision),
        *_origin_faults(decision),
    ]


# --- what the rules saw -----------------------------------------------------------------------------------------


def _comparison_faults(decision: CreditDecision) -> Iterator[str]:
    """Each rule is a hit exactly when its comparison is true; `overdue_amount` when both of its two are."""
    for _, lines in groupby(decision.rules, key=lambda rule: rule.rule_id):
        rules = list(lines)
        compared = [_compared(rule) for rule in rules]
        if _is_one_of_two(rules[0]):
            compared = [all(compared)] * len(rules) if None not in compared else compared
        for rule, hit in zip(rules, compared, strict=True):
            if hit is None:
                yield f"rule {rule.rule_id} compares {rule.observed} with {rule.threshold}, which cannot be compared"
            elif hit != rule.hit and not _is_mandatory_zero(rule, decision.limit):
                said, other = ("to hit", "not ") if rule.hit else ("not to hit", "")
                comparison = f"{rule.observed} is {other}{rule.operator} {rule.threshold}"
                yield f"rule {rule.rule_id} is said {said}, but {comparison}"


def _compared(rule: RuleOutcome) -> bool | None:
    """The comparison made again; None when there is nothing to compare."""
    if rule.threshold == "unlimited" and money.is_decimal(rule.observed):
        return rule.operator == "below"
    return holds(rule)


def _is_one_of_two(rule: RuleOutcome) -> bool:
    return rule.type == "overdue_amount" and rule.kind == "blocking"


def _is_mandatory_zero(rule: RuleOutcome, limit: LimitParts) -> bool:
    """Of a mandatory limit of 0 any use is more, so no exclusion is true, whatever a policy adds (spec 4.3)."""
    return rule.type == "credit_limit_used" and rule.kind == "exclusion" and not rule.hit and base_of(limit) == 0


def _cancelling_faults(decision: CreditDecision) -> Iterator[str]:
    """Spec 5.4: what cancels a hit is a true exclusion of the same type and value type."""
    true = {rule.rule_id: rule for rule in decision.rules if rule.kind == "exclusion" and rule.hit}
    for rule in decision.rules:
        if rule.cancelled_by is None:
            continue
        exclusion = true.get(rule.cancelled_by)
        if not rule.hit or rule.kind != "blocking":
            yield f"rule {rule.rule_id} is said to be excused, and holds nothing that could be"
        elif exclusion is None:
            yield f"rule {rule.rule_id} is excused by {rule.cancelled_by}, which is no true exclusion here"
        elif exclusion.type != rule.type or (exclusion.unit == "days") != (rule.unit == "days"):
            yield f"rule {rule.rule_id} is excused by {rule.cancelled_by}, which is about something else"


def _left(decision: CreditDecision) -> list[tuple[RuleOutcome, bool]]:
    """The blocking rules that hold the order when exclusions have had their say, and which are about its group."""
    lines = zip(decision.rules, lines_of_group(decision), strict=True)
    return [(rule, group) for rule, group in lines if _holds(rule)]


def _holds(rule: RuleOutcome) -> bool:
    return rule.kind == "blocking" and rule.hit and rule.cancelled_by is None


# --- verdict and reasons ----------------------------------------------------------------------------------------


def _verdict_faults(decision: CreditDecision) -> Iterator[str]:
    """The verdict follows from the reasons, and from the rules where there is none."""
    against = [code for code in decision.reasons if code in codes.HOLDING]
    if decision.verdict == "released":
        yield from _release_faults(decision, against)
        return
    if decision.verdict == "on_hold" and not against:
        yield "it is on hold and no reason holds it"
    for code in decision.reasons:
        if code in codes.RELEASING:
            yield f"it is {decision.verdict} and {code} is a reason to release"
    if decision.verdict == "rejected" and decision.actor is None and decision.cause not in ("checkpoint", "change"):
        yield "it is rejected and no person did that"


def _release_faults(decision: CreditDecision, against: list[str]) -> Iterator[str]:
    reason = decision.reasons[0] if decision.reasons else None
    if len(decision.reasons) > 1:
        yield "it is released for more than one reason"
    if against and reason not in NOTES:
        yield f"it is released though {against[0]} holds it"
    if reason is None or reason in NOTES:
        for rule, _ in _left(decision):
            yield f"it is released though rule {rule.rule_id} holds it, and nothing says why"
    if reason in NOT_JUDGED and decision.rules:
        yield f"it is released as {reason}, and rules were looked at all the same"
    if reason == codes.EXCLUSION_RULE and [(rule.kind, rule.hit) for rule in decision.rules] != [("exclusion", True)]:
        yield "it is released by an exclusion, and not one true exclusion alone was looked at"
    if reason == codes.RELEASED_BY_PERSON and None in (decision.actor, decision.release_reason):
        yield "it is released by a person, and does not say by whom and for which reason"
    if reason == codes.AUTOMATIC_RELEASE and None in (decision.posting, decision.release_reason):
        yield "it is released by itself, and does not say how and for which reason"
    if reason in (codes.RELEASE_HONORED, codes.AUTOMATIC_RELEASE) and not _may_follow(decision):
        yield f"it is released as {reason}, and no decision went before it"


def _may_follow(decision: CreditDecision) -> bool:
    """Whether there may have been a decision before. A trial run names none, for it supersedes none."""
    return decision.supersedes is not None or decision.pro_forma


def _reason_faults(decision: CreditDecision) -> Iterator[str]:
    """The reasons of a hold are those of the rules that are left, in the order of spec 5.3, 5.5, 5.6."""
    against = [code for code in decision.reasons if code in codes.HOLDING]
    if against != sorted(set(against), key=PLACE_OF_REASON.__getitem__):
        yield "its reasons do not stand in their order, each once"
    if decision.order_open_amount_minor == 0:
        for rule in decision.rules:
            if rule.kind == "blocking" and rule.type in RULE_OF_TYPE and RULE_OF_TYPE[rule.type].limit:
                yield f"rule {rule.rule_id} is about the limit, and nothing of the order counts"
    if decision.verdict != "on_hold":
        return
    for rule, group in _left(decision):
        if not _may_follow(decision) and not _codes_of(rule, group).intersection(decision.reasons):
            yield f"rule {rule.rule_id} holds the order, and no reason of its type is listed"
    if decision.rules or decision.cause != "checkpoint":
        yield from _reasons_without_rule(decision, against)


def _reasons_without_rule(decision: CreditDecision, against: list[str]) -> Iterator[str]:
    """A reason of rules needs a rule that is left; an account status also holds by itself (spec 5.6)."""
    given = {code for rule, group in _left(decision) for code in _codes_of(rule, group)}
    of_rules = {code for row in RULE_OF_TYPE.values() for code in row.reasons}
    for code in against:
        if code in of_rules and code not in given and code != codes.ACCOUNT_STATUS:
            yield f"{code} is listed, and no rule of that kind holds the order"


def _codes_of(rule: RuleOutcome, of_group: bool) -> frozenset[str]:
    """The reasons that a rule may give, for the customer or for its credit group."""
    row = RULE_OF_TYPE.get(rule.type)
    if row is None:
        return frozenset()
    return frozenset(row.reasons[1:] if of_group else row.reasons[:1])


# --- sums -------------------------------------------------------------------------------------------------------


def _sum_faults(decision: CreditDecision) -> Iterator[str]:
    """Spec 3.5: exposure after is exposure before and what counts of the order, bucket by bucket."""
    before, after, counted = decision.exposure_before, decision.exposure_after, decision.order_open_amount_minor
    for name, buckets in (("before", before), ("after", after)):
        if _total(buckets) != buckets.total_minor:
            yield f"the parts of the exposure {name} do not add up to its total"
    if before.total_minor + counted != after.total_minor:
        yield "the exposure before and what counts of the order do not add up to the exposure after (spec 3.5)"
    for title, field, _ in BUCKETS:
        added = int(getattr(after, field)) - int(getattr(before, field))
        if added < 0 or (added and field not in ("open_orders_minor", "delivered_not_invoiced_minor")):
            yield f"the order changes the exposure by {title}, which no order does"
    if not 0 <= counted <= max(0, decision.order_amount_minor):
        yield "what counts of the order is not between 0 and its amount"


def _total(buckets: ExposureBuckets) -> int:
    total = 0
    for _, field, sign in BUCKETS:
        total += sign * int(getattr(buckets, field))
    return total


def _figure_faults(decision: CreditDecision) -> Iterator[str]:
    """What the rules observed in the credit currency is what the decision says of order, overdue and use."""
    limit, used = decision.limit, decision.exposure_after.total_minor
    pool = None if limit.group_exposure_minor is None else limit.group_exposure_minor + decision.order_open_amount_minor
    share = pool if limit.source == "group" else used
    figures = {
        "order_amount": decision.order_amount_minor,
        "overdue_amount": decision.exposure_before.overdue_invoices_minor,
        "credit_limit_used": used,
    }
    seen: set[str] = set()
    for rule, of_group in zip(decision.rules, lines_of_group(decision), strict=True):
        is_second, seen = rule.rule_id in seen and rule.type == "overdue_amount", seen | {rule.rule_id}
        figure = share if is_second else pool if of_group else figures.get(rule.type)
        if figure is None or rule.unit != decision.currency or not money.is_decimal(rule.observed):
            continue
        if rule.observed != money.text(figure, CURRENCIES[rule.unit]):
            yield f"rule {rule.rule_id} saw {rule.observed}, which is not the figure of the decision"


def _limit_faults(decision: CreditDecision) -> Iterator[str]:
    """Spec 4.2, 4.3: the total from its parts, and by how much it is passed."""
    limit = decision.limit
    has_own = limit.source in ("own", "group", "group_and_own")
    if has_own and limit.total_minor != max(0, base_of(limit) + limit.policies_minor):
        yield "the parts of the limit do not add up to its total (spec 4.2)"
    if limit.source in ("unlimited", "none") and limit.total_minor is not None:
        yield "no limit is checked, and yet there is a total"
    if limit.source == "group" and base_of(limit) != 0:
        yield "the group's limit alone was checked, and the customer has one of its own (spec 4.3)"
    over = _over_limit_by(decision)
    if over is not None and decision.over_limit_by_minor != over:
        yield "the amount over the limit is not the exposure after less the limit"
    for rule in decision.rules if limit.source in OF_THE_OWN_LIMIT else ():
        is_compared = rule.type == "credit_limit_used" and rule.unit != "text"
        if is_compared and (rule.threshold == "unlimited") != (limit.total_minor is None):
            yield f"rule {rule.rule_id} saw another limit than the decision has"


def _over_limit_by(decision: CreditDecision) -> int | None:
    """The more of what the customer's own limit and its group's are passed by; None where no rule saw the group's use
    in another currency, which alone says what the order is there."""
    limit = decision.limit
    own = None if limit.source == "group" else limit.total_minor
    over = 0 if own is None else max(0, decision.exposure_after.total_minor - own)
    if limit.group_total_minor is None or limit.group_exposure_minor is None:
        return over
    opened = decision.order_open_amount_minor
    if limit.group_currency in (None, decision.currency):
        return max(over, limit.group_exposure_minor + opened - limit.group_total_minor)
    used = _pool_seen(decision)
    if used is None:
        return None
    excess, counted = used - limit.group_total_minor, used - limit.group_exposure_minor
    return max(over, money.divide_half_even(excess * opened, counted)) if excess > 0 and counted > 0 else over


def _pool_seen(decision: CreditDecision) -> int | None:
    """What a rule saw of the use of the group's limit, in minor units of the group's currency."""
    currency = decision.limit.group_currency
    for rule, sees in zip(decision.rules, subjects_of(decision), strict=True):
        if sees == GROUP_LIMIT_USED and rule.unit == currency and money.is_decimal(rule.observed):
            return money.minor(rule.observed, CURRENCIES[rule.unit])
    return None


def _origin_faults(decision: CreditDecision) -> Iterator[str]:
    """The id is derived from the input; a trial run takes the place of nothing."""
    if not f"{decision.decision_id}/".startswith(f"{decision.input.event_id}/{decision.order_id}/"):
        yield "its id is not that of its input and its order"
    if decision.supersedes == decision.decision_id or (decision.pro_forma and decision.supersedes is not None):
        yield "it cannot take the place of the decision that it names"
