"""Evaluating holds (spec 7.4): freed credit is offered to held orders, one by one, in one declared sequence."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.asking import ask_for_hold, leave_the_line
from credit_stream.core.checking import conclude, judge_in_place, less, waived_by_person, with_todays_rate
from credit_stream.core.holds import in_priority, mark_entry
from credit_stream.core.money import TooLarge
from credit_stream.core.outputs import HoldStatus
from credit_stream.core.rows import ORDERS, Hold
from credit_stream.core.work import Work


def evaluate(work: Work, ledger: Ledger, order_ids: Container[str] | None = None) -> tuple[int, int]:
    """Runs the rules again on the customer's held orders, or the chosen ones; how many were looked at and released.

    An order that does not fit does not block the next. What one takes, or is shown as ready for, the next no longer
    finds: credit is not offered twice.
    """
    looked_at = released = 0
    offers = work.parameters.automatic_release == "off" and not work.parameters.held_orders_consume_credit
    offered = 0
    if offers and order_ids is not None and ledger.group_id is None:
        offered = _offered_before(work, ledger, order_ids)
    ledger.account.open_orders_minor += offered
    for hold in in_priority(work, ledger):
        status: HoldStatus | Literal["released"] = hold.entry.status
        is_chosen = order_ids is None or hold.entry.order_id in order_ids
        if is_chosen:
            looked_at += 1
            status = _evaluate_if_countable(work, ledger, hold)
            released += status == "released"
        counts = offers and (is_chosen or ledger.group_id is not None)
        if counts and status == "ready_to_release" and hold.entry.forced_reason is None:
            open_minor = open_part_of(work, ledger, hold)
            offered += open_minor
            ledger.account.open_orders_minor += open_minor
    ledger.account.open_orders_minor -= offered
    return looked_at, released


def _offered_before(work: Work, ledger: Ledger, order_ids: Container[str]) -> int:
    """What the customer's other orders were shown as ready for, when only the chosen ones are looked at."""
    return sum(
        open_part_of(work, ledger, hold)
        for hold in in_priority(work, ledger)
        if hold.entry.order_id not in order_ids
        and hold.entry.status == "ready_to_release"
        and hold.entry.forced_reason is None
    )


def open_part_of(work: Work, ledger: Ledger, hold: Hold) -> int:
    """What the order would add to open orders; what is delivered counts already, and so does all of a pending one."""
    order = work.get(ORDERS, hold.entry.customer_id, hold.entry.order_id)
    return 0 if order is None or order.standing == "pending" else ledger.parts_of(order)[0]


def _evaluate_if_countable(work: Work, ledger: Ledger, hold: Hold) -> HoldStatus | Literal["released"]:
    """Evaluates an order; one that a rate makes too large to count stays as it is."""
    try:
        return _evaluate(work, ledger, hold)
    except TooLarge:
        return "held"


def _evaluate(work: Work, ledger: Ledger, hold: Hold) -> HoldStatus | Literal["released"]:
    entry = hold.entry
    held = work.get(ORDERS, entry.customer_id, entry.order_id)
    if held is None or held.asked is not None:
        return entry.status
    order = with_todays_rate(work, ledger, held)
    forced = entry.forced_reason is not None
    found = judge_in_place(work, ledger, order, held, entry.checkpoint, forced=forced)
    found = less(found, waived_by_person(work, ledger, order))
    if found.needs_group:
        return ask_for_hold(work, ledger, hold, held, found)
    if found.facts.group is None:
        hold = leave_the_line(work, ledger, hold)
    posting = work.parameters.automatic_release
    if found.holding or forced or posting == "off":
        return mark_entry(work, ledger, hold, found)
    if found.lacks_grant:
        return ask_for_hold(work, ledger, hold, held, found)
    conclude(
        work,
        ledger,
        order,
        held,
        found,
        "released",
        (codes.AUTOMATIC_RELEASE,),
        "evaluation",
        release_reason=work.parameters.automatic_release_reason,
        posting=posting,
    )
    return "released"
