"""The proof of `explain`: whatever is changed in a decision, so that something no longer follows, is found.

The decisions are those of all small ledgers in `tests/core`: every rule, exclusion and act of a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from msgspec.structs import replace

from credit_stream.cli.proof import contradictions
from credit_stream.core.outputs import CreditDecision, RuleOutcome
from credit_stream.core.rules import RULE_OF_TYPE
from credit_stream.core.work import Work
from tests.core.ledger import load, play
from tests.core.rules_page import examples
from tests.every_decision import EXPLAINER, Explainer

Change = Callable[[CreditDecision], Iterator[CreditDecision]]
NO_BUCKETS = frozenset({"total_minor"})
SELDOM_MIN, OFTEN_MIN = 3, 100
"""Changes that must apply to at least so many decisions, so that the test is about something."""


@cache
def decisions() -> tuple[CreditDecision, ...]:
    """Every decision of the ledgers, as the core made it."""
    made: list[CreditDecision] = []
    decide = Work.decide

    def decide_and_keep(work: Work, decision: CreditDecision) -> None:
        decide(work, decision)
        made.append(decision)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "decide", decide_and_keep)
        for case in (*load(), *examples()):
            play(case)
    return tuple(made)


# --- changes ----------------------------------------------------------------------------------------------------


def with_rule(decision: CreditDecision, index: int, rule: RuleOutcome) -> CreditDecision:
    """The decision with another outcome of one rule."""
    return replace(decision, rules=(*decision.rules[:index], rule, *decision.rules[index + 1 :]))


def another_verdict(decision: CreditDecision) -> Iterator[CreditDecision]:
    """Held instead of released, released instead of held; but a note alone does one or the other, as settings say."""
    if decision.reasons not in (("customer_unknown",), ("stale_inputs",)):
        yield replace(decision, verdict="on_hold" if decision.verdict == "released" else "released")


def a_hit_more_or_less(decision: CreditDecision) -> Iterator[CreditDecision]:
    """A rule that hit did not, one that did not did; but of a base of 0 an exclusion may not be true (spec 4.3)."""
    for index, rule in enumerate(decision.rules):
        if rule.kind == "blocking" or rule.type != "credit_limit_used":
            yield with_rule(decision, index, replace(rule, hit=not rule.hit))


def no_longer_excused(decision: CreditDecision) -> Iterator[CreditDecision]:
    """What cancelled a hit is not named. Of an order decided before, a person may have waived the reason."""
    for index, rule in enumerate(decision.rules):
        listed = set(RULE_OF_TYPE[rule.type].reasons).intersection(decision.reasons)
        if rule.cancelled_by is not None and decision.supersedes is None and not listed:
            yield with_rule(decision, index, replace(rule, cancelled_by=None))


def excused_by_another(decision: CreditDecision) -> Iterator[CreditDecision]:
    """A hit is cancelled by what is no true exclusion."""
    for index, rule in enumerate(decision.rules):
        yield with_rule(decision, index, replace(rule, cancelled_by="nobody"))


def a_reason_less(decision: CreditDecision) -> Iterator[CreditDecision]:
    """A reason that a rule gave is not listed."""
    given = {code for rule in decision.rules if rule.kind == "blocking" for code in RULE_OF_TYPE[rule.type].reasons}
    if decision.verdict == "on_hold" and decision.supersedes is None:
        for code in decision.reasons:
            if code in given and code != "account_status":
                yield replace(decision, reasons=tuple(other for other in decision.reasons if other != code))


def a_reason_more(decision: CreditDecision) -> Iterator[CreditDecision]:
    """A reason that no rule gave is listed."""
    hits = {rule.type for rule in decision.rules if rule.hit}
    if decision.verdict == "on_hold" and decision.rules:
        for rule_type, code in (("order_amount", "order_amount"), ("credit_limit_used", "credit_limit_exceeded")):
            if code not in decision.reasons and rule_type not in hits:
                yield replace(decision, reasons=(*decision.reasons, code))


def reasons_in_another_order(decision: CreditDecision) -> Iterator[CreditDecision]:
    """The last first."""
    if len(decision.reasons) > 1:
        yield replace(decision, reasons=decision.reasons[::-1])


def a_cent_in_a_bucket(decision: CreditDecision) -> Iterator[CreditDecision]:
    """Before or after, in any bucket or in the total."""
    for side in ("exposure_before", "exposure_after"):
        buckets = getattr(decision, side)
        for field in buckets.__struct_fields__:
            changed = replace(buckets, **{field: getattr(buckets, field) + 1})
            yield replace(decision, **{side: changed})


def an_invoice_that_the_order_made(decision: CreditDecision) -> Iterator[CreditDecision]:
    """The sums are right and the bucket is not."""
    counted, before, after = decision.order_open_amount_minor, decision.exposure_before, decision.exposure_after
    if counted:
        moved = {"open_orders_minor": before.open_orders_minor}
        moved["delivered_not_invoiced_minor"] = before.delivered_not_invoiced_minor
        moved["current_invoices_minor"] = after.current_invoices_minor + counted
        yield replace(decision, exposure_after=replace(after, **moved))


def another_limit(decision: CreditDecision) -> Iterator[CreditDecision]:
    """A cent more in any part of the own limit, or in what the order is above it."""
    if decision.limit.source == "own" and decision.limit.total_minor:
        yield replace(decision, over_limit_by_minor=decision.over_limit_by_minor + 1)
        for field in ("base_minor", "policies_minor", "total_minor"):
            value = getattr(decision.limit, field)
            hidden = decision.limit.temporary_minor is not None and field == "base_minor"
            if value and value > 0 and not hidden:
                yield replace(decision, limit=replace(decision.limit, **{field: value + 1}))


def no_limit_where_there_is_one(decision: CreditDecision) -> Iterator[CreditDecision]:
    """A limit becomes unlimited credit for the rule that compares with it, or in the decision."""
    for index, rule in enumerate(decision.rules):
        has_limit = decision.limit.source == "own" and rule.unit == decision.currency
        if rule.type == "credit_limit_used" and has_limit:
            yield with_rule(decision, index, replace(rule, threshold="unlimited"))
            unlimited = replace(decision.limit, source="unlimited", total_minor=None)
            yield replace(decision, limit=unlimited, over_limit_by_minor=0)


def an_order_of_more_than_it_is(decision: CreditDecision) -> Iterator[CreditDecision]:
    """More counts of the order than its amount, all sums made to fit."""
    more = max(0, decision.order_amount_minor) + 1
    before, after = decision.exposure_before, decision.exposure_after
    total = before.total_minor + more
    orders = before.open_orders_minor + more
    delivered = before.delivered_not_invoiced_minor
    fitting = replace(after, open_orders_minor=orders, delivered_not_invoiced_minor=delivered, total_minor=total)
    over = 0 if decision.limit.total_minor is None else max(0, total - decision.limit.total_minor)
    yield replace(decision, order_open_amount_minor=more, exposure_after=fitting, over_limit_by_minor=over)


def another_figure_observed(decision: CreditDecision) -> Iterator[CreditDecision]:
    """The rule about the own limit, or about the order, saw other figures than the decision has."""
    for index, rule in enumerate(decision.rules):
        compares = rule.type in ("credit_limit_used", "order_amount") and rule.unit == decision.currency
        if compares and rule.observed[-1] in "012345678":
            observed = rule.observed[:-1] + str(int(rule.observed[-1]) + 1)
            yield with_rule(decision, index, replace(rule, observed=observed))


def an_id_of_something_else(decision: CreditDecision) -> Iterator[CreditDecision]:
    """The decision says that another input led to it, or that it takes its own place."""
    yield replace(decision, decision_id="somewhere/else")
    yield replace(decision, supersedes=decision.decision_id)


def a_person_who_is_not_named(decision: CreditDecision) -> Iterator[CreditDecision]:
    """A release by a person without person or reason; by itself without its reason; a rejection without person."""
    if decision.reasons == ("released_by_person",):
        yield replace(decision, actor=None)
    if decision.reasons in (("released_by_person",), ("automatic_release",)):
        yield replace(decision, release_reason=None)
    if decision.verdict == "rejected" and decision.actor is not None:
        yield replace(decision, actor=None)


OFTEN: tuple[Change, ...] = (
    another_verdict,
    a_hit_more_or_less,
    excused_by_another,
    a_reason_less,
    a_reason_more,
    a_cent_in_a_bucket,
    an_invoice_that_the_order_made,
    another_limit,
    no_limit_where_there_is_one,
    an_order_of_more_than_it_is,
    another_figure_observed,
    an_id_of_something_else,
)
SELDOM: tuple[Change, ...] = (no_longer_excused, reasons_in_another_order, a_person_who_is_not_named)


# --- tests ------------------------------------------------------------------------------------------------------


def test_every_decision_of_the_ledgers_proves_itself() -> None:
    """The other side: a proof that found fault with good decisions would be switched off."""
    assert [fault for decision in decisions() for fault in contradictions(decision)] == []
    assert {decision.verdict for decision in decisions()} == {"released", "on_hold", "rejected"}


@pytest.mark.parametrize("change", [*OFTEN, *SELDOM], ids=lambda change: change.__name__)
def test_what_is_changed_in_a_decision_is_found(change: Change) -> None:
    """In every decision that can be changed in this way."""
    changed = [wrong for decision in decisions() for wrong in change(decision)]
    assert len(changed) >= (OFTEN_MIN if change in OFTEN else SELDOM_MIN)
    assert [wrong for wrong in changed if not contradictions(wrong)] == []


def test_a_reason_that_a_persons_release_waives_is_no_contradiction() -> None:
    """Spec 5.7: the rule's line shows its hit, and the reason is not listed because it was waived."""
    waived = [
        decision
        for decision in decisions()
        if decision.verdict == "on_hold"
        and any(
            rule.kind == "blocking"
            and rule.hit
            and rule.cancelled_by is None
            and not {*RULE_OF_TYPE[rule.type].reasons} & {*decision.reasons}
            for rule in decision.rules
        )
    ]
    assert waived
    assert [fault for decision in waived for fault in contradictions(decision)] == []


def test_a_decision_of_any_test_is_explained_and_a_bad_one_fails_it() -> None:
    """The watch over all tests: it counts what the core decides here, and does not swallow what it finds."""
    before = EXPLAINER.decisions
    play(load()[0])
    assert EXPLAINER.decisions > before
    explainer = Explainer()
    explainer.explain(replace(decisions()[0], reasons=("order_amount", "invoice_overdue")))
    (fault,) = explainer.take_faults()
    assert fault.startswith("Order ") and "do not stand in their order" in fault
    assert explainer.take_faults() == []
