"""Whether a decision proves itself (spec 11): its rules and sums are run again on its own figures."""

from __future__ import annotations

from collections.abc import Iterator

from credit_stream.cli.words import BUCKETS, holds
from credit_stream.core.outputs import CreditDecision, ExposureBuckets, RuleOutcome
from credit_stream.core.reasons import HOLDING
from credit_stream.core.rules import RULES

REASONS_OF_TYPE = {row.name: frozenset(row.reasons) for row in RULES}


def contradictions(decision: CreditDecision) -> list[str]:
    """What does not follow from the decision's own figures; none of a decision that proves itself."""
    return [*_rule_faults(decision), *_verdict_faults(decision), *_sum_faults(decision), *_limit_faults(decision)]


def _rule_faults(decision: CreditDecision) -> Iterator[str]:
    """A hit needs a true comparison. The reverse is not asked: a rule of two comparisons may have one true."""
    for rule in decision.rules:
        if rule.hit and holds(rule) is False:
            yield f"rule {rule.rule_id} is said to hit, but {rule.observed} is not {rule.operator} {rule.threshold}"


def _verdict_faults(decision: CreditDecision) -> Iterator[str]:
    against = [code for code in decision.reasons if code in HOLDING]
    if decision.verdict == "on_hold" and not against:
        yield "it is on hold and no reason holds it"
    for rule in decision.rules:
        if decision.verdict == "on_hold" and _speaks_against(rule) and not _is_listed(rule, decision):
            yield f"rule {rule.rule_id} holds the order, and no reason of its type is listed"
        if decision.verdict == "released" and _speaks_against(rule) and not decision.reasons:
            yield f"it is released though rule {rule.rule_id} holds it, and nothing says why"


def _speaks_against(rule: RuleOutcome) -> bool:
    return rule.kind == "blocking" and rule.hit and rule.cancelled_by is None


def _is_listed(rule: RuleOutcome, decision: CreditDecision) -> bool:
    return not REASONS_OF_TYPE.get(rule.type, frozenset()).isdisjoint(decision.reasons)


def _sum_faults(decision: CreditDecision) -> Iterator[str]:
    before, after = decision.exposure_before, decision.exposure_after
    for name, buckets in (("before", before), ("after", after)):
        if _total(buckets) != buckets.total_minor:
            yield f"the parts of the exposure {name} do not add up to its total"
    if before.total_minor + decision.order_open_amount_minor != after.total_minor:
        yield "the exposure before and what counts of the order do not add up to the exposure after (spec 3.5)"


def _total(buckets: ExposureBuckets) -> int:
    total = 0
    for _, field, sign in BUCKETS:
        total += sign * int(getattr(buckets, field))
    return total


def _limit_faults(decision: CreditDecision) -> Iterator[str]:
    limit = decision.limit
    if limit.total_minor is None or limit.source != "own":
        return
    base = limit.base_minor if limit.temporary_minor is None else limit.temporary_minor
    if limit.total_minor != max(0, base + limit.policies_minor):
        yield "the parts of the limit do not add up to its total (spec 4.2)"
    over = max(0, decision.exposure_after.total_minor - limit.total_minor)
    if decision.over_limit_by_minor != over:
        yield "the amount over the limit is not the exposure after less the limit"
