"""What people do (spec 7): release, reject, force, exclude, review, evaluate."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger, Ledgers
from credit_stream.core.asking import ask_and_begin_anew, wait_behind
from credit_stream.core.checking import claim_of, conclude, judge_in_place, waived_by_person, with_todays_rate
from credit_stream.core.deciding import with_forced_hold
from credit_stream.core.evaluation import evaluate
from credit_stream.core.events import (
    EvaluateHolds,
    Event,
    ExcludeOrder,
    ForceHold,
    RejectOrder,
    ReleaseOrder,
    ReviewOrder,
    Selection,
)
from credit_stream.core.holds import review
from credit_stream.core.outputs import RunCompleted
from credit_stream.core.rows import ACCOUNTS, ASKED, CUSTOMERS, HOLDERS, HOLDS, ORDERS, WAITING, Hold, Order, Release
from credit_stream.core.settings import DAYS_MAX
from credit_stream.core.view import Refusal
from credit_stream.core.work import Work

OrderCommand = ReleaseOrder | RejectOrder | ExcludeOrder | ReviewOrder
EXCLUDING_ROLES = frozenset({"credit_clerk", "credit_manager"})
"""Who may take an order out of credit management (spec 7.7)."""


def forbidden(work: Work, event: Event, roles: frozenset[str] | None = None) -> Refusal | None:
    """Why the actor may not do this; None when they may. With no actors listed everyone may do everything."""
    if not event.actor:
        return Refusal(codes.INVALID, f"{type(event).__name__} needs an actor: say who does it.")
    if not work.settings.actors:
        return None
    has = work.settings.actors.get(event.actor)
    if has is None:
        return Refusal(codes.NOT_ALLOWED, f"{event.actor} is not among the actors of the settings: list them there.")
    if roles is not None and not has & roles:
        return Refusal(codes.NOT_ALLOWED, f"{event.actor} needs one of the roles {', '.join(sorted(roles))} for this.")
    return None


# --- one held order ---------------------------------------------------------------------------------------------


def release_order(work: Work, ledger: Ledger, event: ReleaseOrder) -> Refusal | None:
    """A person releases a held order, whether or not the credit is there (spec 7.2)."""
    held = _held(work, event)
    if isinstance(held, Refusal):
        return held
    if refusal := _unacceptable_release(work, event):
        return refusal
    order, hold = held
    if hold.entry.forced_reason is None and (refusal := _needs_approval(work)):
        return refusal
    rated = with_todays_rate(work, ledger, order)
    found = judge_in_place(work, ledger, rated, order, hold.entry.checkpoint)
    if found.needs_group:  # Not for its consent: the decision says by how much the limit is passed.
        ask_and_begin_anew(work, ledger, rated, order, found, others_wait=True)
        return None
    days = work.parameters.release_valid_days if event.valid_days is None else event.valid_days
    held_for = {reason.code for reason in hold.entry.reasons} | set(found.holding)
    waived = tuple(sorted((held_for | waived_by_person(work, ledger, rated)) - {codes.FORCED_HOLD}))
    tolerance = event.tolerance_percent or work.parameters.release_tolerance_percent
    conclude(
        work,
        ledger,
        rated,
        order,
        found,
        "released",
        (codes.RELEASED_BY_PERSON,),
        "command",
        release=Release(claim_of(ledger, rated), tolerance, work.today + days, waived),
        actor=event.actor,
        release_reason=event.release_reason,
        posting=event.posting,
    )
    return None


def _unacceptable_release(work: Work, event: ReleaseOrder) -> Refusal | None:
    known = work.settings.release_reasons
    if not event.release_reason:
        return Refusal(codes.INVALID, "A release needs a reason: say why.")
    if known and event.release_reason not in known:
        listed = ", ".join(sorted(known))
        return Refusal(
            codes.INVALID, f"{event.release_reason!r} is no release reason of the settings: use one of {listed}."
        )
    if event.valid_days is not None and not 0 <= event.valid_days <= DAYS_MAX:
        return Refusal(codes.INVALID, f"valid_days is {event.valid_days}: it goes from 0 to {DAYS_MAX}.")
    percent = event.tolerance_percent
    if percent is not None and (not money.is_decimal(percent) or money.ratio(percent).numerator < 0):
        return Refusal(codes.INVALID, f"tolerance_percent is {percent!r}: write a decimal number from 0 on.")
    return None


def _needs_approval(work: Work) -> Refusal | None:
    """Approvals are not carried out yet; to release past the configured steps would be worse than to refuse."""
    if not work.settings.document.release_approval.steps:
        return None
    return Refusal(codes.NOT_ALLOWED, "The settings ask for approval of releases, which this version cannot carry out.")


def reject_order(work: Work, ledger: Ledger, event: RejectOrder) -> Refusal | None:
    """A person rejects a held order: it leaves the list and its credit is free (spec 7.3)."""
    held = _held(work, event)
    if isinstance(held, Refusal):
        return held
    order, hold = held
    if not event.reason:
        return Refusal(codes.INVALID, "A rejection needs a reason: say why.")
    if hold.entry.forced_reason is None and (refusal := _needs_approval(work)):
        return refusal
    found = judge_in_place(work, ledger, order, order, hold.entry.checkpoint)
    reasons = codes.in_order({reason.code for reason in hold.entry.reasons})
    conclude(
        work, ledger, order, order, found, "rejected", reasons, "command",
        actor=event.actor, release_reason=event.reason,
    )  # fmt: skip
    work.free(event.customer_id)
    return None


def review_order(work: Work, ledger: Ledger, event: ReviewOrder) -> Refusal | None:
    """Writes a review date, an assignee or a note on an entry of the hold list."""
    held = _held(work, event)
    if isinstance(held, Refusal):
        return held
    review(work, ledger, held[1], event.review_on, event.assignee, event.note)
    return None


def _held(work: Work, event: OrderCommand) -> tuple[Order, Hold] | Refusal:
    order = _known(work, event.customer_id, event.order_id)
    if isinstance(order, Refusal):
        return order
    hold = work.get(HOLDS, event.customer_id, event.order_id)
    if hold is None:
        return Refusal(codes.INVALID, f"Order {event.order_id} is not on hold: nothing was done.")
    return forbidden(work, event) or (order, hold)


def _known(work: Work, customer_id: str, order_id: str) -> Order | Refusal:
    order = work.get(ORDERS, customer_id, order_id)
    if order is None or not order.placed:
        return Refusal(
            codes.UNKNOWN_REFERENCE, f"Customer {customer_id} has no order {order_id}: look at the ids of the command."
        )
    return order


def exclude_order(work: Work, ledger: Ledger, event: ExcludeOrder) -> Refusal | None:
    """Credit management no longer looks at the order; a held one is released (spec 7.7)."""
    order = _known(work, event.customer_id, event.order_id)
    if isinstance(order, Refusal):
        return order
    if refusal := forbidden(work, event, EXCLUDING_ROLES):
        return refusal
    if not event.reason:
        return Refusal(codes.INVALID, "An exclusion needs a reason: say why.")
    if order.lifecycle != "open" or order.standing == "rejected":
        return Refusal(codes.INVALID, f"Order {event.order_id} is no open order: nothing was done.")
    excluded = with_todays_rate(work, ledger, changed(order, excluded_by_person=True))
    found = judge_in_place(work, ledger, excluded, order, order.checkpoint)
    conclude(
        work, ledger, excluded, order, found, "released", (codes.EXCLUDED,), "command",
        actor=event.actor, release_reason=event.reason,
    )  # fmt: skip
    return None


# --- forced holds -----------------------------------------------------------------------------------------------


def force_hold(work: Work, ledger: Ledger, event: ForceHold) -> Refusal | None:
    """A person puts one order, or all open orders of the customer, on hold (spec 7.5)."""
    if not event.reason:
        return Refusal(codes.INVALID, "A forced hold needs a reason: say why.")
    if event.order_id is None:
        _force_all(work, ledger, event)
        return None
    order = _known(work, ledger.customer_id, event.order_id)
    if isinstance(order, Refusal):
        return order
    if not is_open(ledger, order):
        return Refusal(codes.INVALID, f"Order {event.order_id} is no open order: nothing was done.")
    _force(work, ledger, order, event)
    work.free(ledger.customer_id)
    return None


def _force_all(work: Work, ledger: Ledger, event: ForceHold) -> int:
    forced = 0
    for order_id in work.ids(ORDERS, ledger.customer_id):
        order = work.get(ORDERS, ledger.customer_id, order_id)
        if order is not None and is_open(ledger, order):
            _force(work, ledger, order, event)
            forced += 1
    work.free(ledger.customer_id)
    return forced


def force_one_of_many(work: Work, ledger: Ledger, order_id: str, event: ForceHold) -> None:
    """The part of a forced hold of many that had to wait; an order that has ended since is none of the open ones."""
    order = work.get(ORDERS, ledger.customer_id, order_id)
    if order is not None and is_open(ledger, order):
        _force(work, ledger, order, event)
        work.free(ledger.customer_id)


def is_open(ledger: Ledger, order: Order) -> bool:
    """Whether something of the order can still be stopped: not ended, not rejected, not all invoiced."""
    is_running = order.placed and order.lifecycle == "open" and order.standing != "rejected"
    return is_running and not ledger.is_all_invoiced(order)


def _force(work: Work, ledger: Ledger, order: Order, event: ForceHold) -> None:
    if order.asked is not None:
        is_first = work.get(WAITING, order.customer_id, order.order_id) is None
        if order.standing == "pending" and is_first:
            _force_when_answered(work, order, event)
        else:  # A release that a person gave before must not lift the hold when its answer comes.
            wait_behind(work, order.customer_id, order.order_id)
        return
    rated = with_todays_rate(work, ledger, order)
    found = with_forced_hold(judge_in_place(work, ledger, rated, order, order.checkpoint, forced=True))
    conclude(
        work, ledger, rated, order, found, "on_hold", found.holding, "command",
        actor=event.actor, forced_reason=event.reason,
    )  # fmt: skip


def _force_when_answered(work: Work, order: Order, event: ForceHold) -> None:
    """An order that waits for its credit group is held by its check, which says what else the group has against it."""
    asked = None if order.asked is None else work.get(ASKED, order.customer_id, order.asked)
    if asked is not None and order.asked is not None:
        forced = changed(asked, forced_by=event.actor, forced_reason=event.reason)
        work.put(ASKED, order.customer_id, order.asked, forced)


# --- commands for many ------------------------------------------------------------------------------------------


def force_holds(work: Work, event: ForceHold, ledgers: Ledgers) -> Refusal | None:
    """A forced hold of the customers of a selection, or of all."""
    if not event.reason:
        return Refusal(codes.INVALID, "A forced hold needs a reason: say why.")
    done = 0
    chosen = [customer_id for customer_id in work.ids(ACCOUNTS, "") if _is_chosen(work, event.selection, customer_id)]
    for customer_id in chosen:
        ledger = ledgers.open(customer_id)
        done += _force_all(work, ledger, event)
    _complete(work, event, len(chosen), done)
    return None


def evaluate_holds(work: Work, event: EvaluateHolds, ledgers: Ledgers) -> Refusal | None:
    """Evaluates chosen orders, or those of one customer, a selection, or all (spec 7.4).

    Whether an order exists can be said only where its customer is named: each partition has the orders of its own.
    """
    if event.customer_id is not None:
        for order_id in event.order_ids:
            if isinstance(found := _known(work, event.customer_id, order_id), Refusal):
                return found
    chosen: Iterable[str] = [event.customer_id] if event.customer_id is not None else work.ids(HOLDERS, "")
    order_ids = frozenset(event.order_ids) or None
    looked_at = released = 0
    for customer_id in chosen:
        if event.customer_id is not None or _is_chosen(work, event.selection, customer_id):
            ledger = ledgers.open(customer_id)
            seen, freed = evaluate(work, ledger, order_ids)
            looked_at, released = looked_at + seen, released + freed
    if event.customer_id is None:
        _complete(work, event, looked_at, released)
    return None


def _is_chosen(work: Work, selection: Selection | None, customer_id: str) -> bool:
    if selection is None:
        return True
    if selection.customer_ids and customer_id not in selection.customer_ids:
        return False
    if selection.credit_management_group is None:
        return True
    customer = work.get(CUSTOMERS, "", customer_id)
    profile = None if customer is None else customer.profile
    return profile is not None and profile.credit_management_group == selection.credit_management_group


def _complete(work: Work, event: Event, processed: int, changed_count: int) -> None:
    partition = work.position.partition
    work.publish(
        str(partition),
        RunCompleted(
            event_id=event.event_id,
            command=type(event).__name__,
            partition=partition,
            processed=processed,
            changed=changed_count,
            failed=0,
            business_date=work.today,
        ),
    )
