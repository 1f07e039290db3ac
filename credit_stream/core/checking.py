"""Carrying out a check on an order (spec 5.1, 5.7, 6): what its answer does to the order, the totals and the hold list.

`check` is the one way an order gets a verdict from the rules; `answer` publishes a decision where nothing is checked.
"""

from __future__ import annotations

from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.asking import ask_of_check
from credit_stream.core.calendar import Day
from credit_stream.core.deciding import Judgement, decision_of, judge
from credit_stream.core.events import Checkpoint, Posting
from credit_stream.core.facts import facts_of
from credit_stream.core.holds import put_on_list, take_off_list
from credit_stream.core.outputs import Cause, Verdict
from credit_stream.core.rates import next_rate_day, rate_in_force, wait_for_rate
from credit_stream.core.rows import HOLDS, MARK, UNCOUNTED, Asked, Order, Release
from credit_stream.core.work import Work


def claim_of(ledger: Ledger, order: Order) -> int:
    """What could count of the order if nothing of it was invoiced yet, in its currency (spec 5.7)."""
    amount = order.amount_minor
    if order.lifecycle == "cancelled":
        return 0
    if ledger.is_beyond_horizon(order):  # Then only what is delivered does, less what that leaves of the secured part.
        delivered = min(amount, order.delivered_minor)
        return max(0, delivered - max(0, order.secured_minor - (amount - delivered)))
    return max(0, amount - order.secured_minor)


def is_within(claim_minor: int, release: Release) -> bool:
    """Whether a claim is within the amount of a release and its tolerance: 1,000 with 10 % covers 1,100."""
    percent = money.ratio(release.tolerance_percent)
    hundred = 100 * int(10**percent.places)
    return claim_minor * hundred <= release.up_to_minor * (hundred + percent.numerator)


def checks_at(work: Work, checkpoint: Checkpoint, *, pro_forma: bool = False) -> bool:
    """Whether the checkpoint checks (spec 6). With none marked, only the placing of the order does (6.4)."""
    marked = work.settings.checkpoints[checkpoint]
    return marked.pro_forma if pro_forma else marked.posting


def with_todays_rate(work: Work, ledger: Ledger, order: Order) -> Order:
    """The order at the rate of the business date: a check takes it and keeps it on the order (spec 15, 1.2)."""
    if ledger.profile is None:
        work.put(UNCOUNTED, order.customer_id, f"order/{order.order_id}", MARK)
        return order
    rate = rate_in_force(work, order.currency, ledger.currency, work.today)
    if rate is None:
        _wait_for_rate(work, ledger, order)
    return order if rate is None or rate == order.rate else ledger.at_rate(order, rate)


def _wait_for_rate(work: Work, ledger: Ledger, order: Order) -> None:
    wait_for_rate(work, order.customer_id, "order", order.order_id, order.currency)
    day = next_rate_day(work, order.currency, ledger.currency)
    if day is not None:
        work.put_on_agenda(day, order.customer_id)


def check(
    work: Work,
    ledger: Ledger,
    order: Order,
    counted_as: Order | None,
    checkpoint: Checkpoint,
    cause: Cause,
    asked: Asked | None = None,
) -> Order:
    """Runs a check on the order as it now is, and carries out its answer.

    `counted_as` is the order as the totals have it, None for a new one. The order is held or released, counted,
    entered on the hold list or taken off it, and the decision published. Where its credit group has to be asked first
    it is left pending; the check goes on with what was `asked`.
    """
    if asked is None or order.rate is None:  # Else the check has its rate since it began.
        order = with_todays_rate(work, ledger, order)
    forced_by, forced_reason = (None, None) if asked is None else (asked.forced_by, asked.forced_reason)
    forced = forced_reason is not None or (ledger.account.holds > 0 and is_forced(work, order))
    found = judge_in_place(work, ledger, order, counted_as, checkpoint, forced=forced)
    waived = waived_by_person(work, ledger, order)
    if found.needs_group or (found.lacks_grant and not found.holding):
        return ask_of_check(work, ledger, order, counted_as, less(found, waived), asked)
    if found.holding and waived.issuperset(found.holding):
        return conclude(work, ledger, order, counted_as, found, "released", (codes.RELEASE_HONORED,), cause)
    if found.holding:
        found = less(found, waived)
        return conclude(
            work, ledger, order, counted_as, found, "on_hold", found.holding, cause,
            actor=forced_by, forced_reason=forced_reason,
        )  # fmt: skip
    reasons = found.noted if found.releasing is None else (found.releasing,)
    return conclude(work, ledger, order, counted_as, found, "released", reasons, cause)


def is_forced(work: Work, order: Order) -> bool:
    """Whether a person put the order on hold, and nobody has released it since (spec 7.5)."""
    hold = work.get(HOLDS, order.customer_id, order.order_id)
    return hold is not None and hold.entry.forced_reason is not None


def judge_in_place(
    work: Work, ledger: Ledger, order: Order, counted_as: Order | None, checkpoint: Checkpoint, *, forced: bool = False
) -> Judgement:
    """Judges the order as it now is against totals that have it as it was: it counts exactly once (spec 3.5)."""
    return judge(work, ledger, in_place_of(order, counted_as), checkpoint, forced=forced)


def in_place_of(order: Order, counted_as: Order | None) -> Order:
    """The order with what the totals hold of it, so that they can be read without it."""
    if counted_as is None or counted_as is order:
        return order
    return changed(
        order,
        counted_open_minor=counted_as.counted_open_minor,
        counted_delivered_minor=counted_as.counted_delivered_minor,
        standing=counted_as.standing,
    )


def waived_by_person(work: Work, ledger: Ledger, order: Order) -> frozenset[str]:
    """The reasons that a person's earlier release waives, while it is good for the day and the amount (spec 5.7)."""
    release = order.release
    if release is None or release.valid_before is None or work.today >= release.valid_before:
        return frozenset()
    return frozenset(release.waived) if is_within(claim_of(ledger, order), release) else frozenset()


def less(found: Judgement, waived: frozenset[str]) -> Judgement:
    """What was found without the reasons that are waived."""
    if waived.isdisjoint(found.holding):
        return found
    return changed(found, holding=tuple(code for code in found.holding if code not in waived))


def conclude(
    work: Work,
    ledger: Ledger,
    order: Order,
    counted_as: Order | None,
    found: Judgement,
    verdict: Verdict,
    reasons: tuple[str, ...],
    cause: Cause,
    *,
    release: Release | None = None,
    actor: str | None = None,
    release_reason: str | None = None,
    posting: Posting | None = None,
    forced_reason: str | None = None,
) -> Order:
    """Carries out a verdict: the decision, the totals, the hold list and what the order remembers of it."""
    decision = decision_of(
        work, found, verdict, reasons, cause, actor=actor, release_reason=release_reason, posting=posting
    )
    work.decide(decision)
    checkpoint = found.facts.checkpoint
    grace_days = work.settings.checkpoints[checkpoint].grace_days
    order = changed(
        order,
        standing=verdict,
        asked=None,
        reported_open_minor=0,
        checkpoint=checkpoint,
        grace_through=_grace_after(work, grace_days) if actor is None else order.grace_through,
        release=_release_after(work, ledger, order, verdict, reasons, release),
        last_decision_id=decision.decision_id,
        last_reasons=reasons,
    )
    if verdict == "on_hold":
        put_on_list(work, ledger, order, found, checkpoint, forced_reason=forced_reason, actor=actor)
    elif ledger.account.holds:
        take_off_list(work, ledger, order.order_id)
    return ledger.count(order, counted_as, (found.facts.open_minor, found.facts.delivered_minor))


def _grace_after(work: Work, grace_days: int) -> Day | None:
    """Without grace days the next checkpoint checks, also if it gets some the same day (spec 6.2)."""
    return work.today + grace_days if grace_days else None


def _release_after(
    work: Work, ledger: Ledger, order: Order, verdict: Verdict, reasons: tuple[str, ...], release: Release | None
) -> Release | None:
    if release is not None:
        return release
    if verdict == "rejected":
        return None
    if verdict == "on_hold" or waived_by_person(work, ledger, order):
        return order.release
    return Release(claim_of(ledger, order), work.parameters.release_tolerance_percent)


def verdict_of(order: Order) -> Verdict:
    """What the standing of an order says. A pending one says nothing yet, and what comes for it waits (spec 5.2)."""
    assert order.standing != "pending", f"order {order.order_id} was to be answered while it waited for its group"
    return order.standing


def answer(
    work: Work,
    ledger: Ledger,
    order: Order,
    counted_as: Order | None,
    checkpoint: Checkpoint,
    reasons: tuple[str, ...],
    cause: Cause,
) -> Order:
    """Publishes the order's standing without a check (spec 5.1: not checked, within grace, within tolerance)."""
    found = Judgement(facts_of(work, ledger, in_place_of(order, counted_as), checkpoint), (), ())
    decision = decision_of(work, found, verdict_of(order), reasons, cause)
    work.decide(decision)
    answered = changed(order, last_decision_id=decision.decision_id, last_reasons=reasons)
    return ledger.count(answered, counted_as, (found.facts.open_minor, found.facts.delivered_minor))
