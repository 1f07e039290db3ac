"""Customer credit groups at their own task (spec 2, 4.3, 5.2, 8): the group itself, its members, what they ask."""

from __future__ import annotations

from msgspec.structs import replace as changed

from credit_stream.core import reasons as codes
from credit_stream.core.calendar import Day
from credit_stream.core.events import (
    CreditGroupClosed,
    CreditGroupUpdated,
    GroupCreditRequested,
    GroupLimitPosted,
    GroupMemberReported,
    GroupMembershipChanged,
    GroupState,
)
from credit_stream.core.journals import TEMPORARY_LIMITS_MAX, limit_changed, temporary_limit
from credit_stream.core.outputs import LimitChanged
from credit_stream.core.pools import PoolLedger, Wish, put_group_on_agenda
from credit_stream.core.rows import LINE, MEMBERS, InLine, Member
from credit_stream.core.topics import GROUP_ANSWERS
from credit_stream.core.view import Publication, Refusal
from credit_stream.core.work import Work

NOBODY = Member()


# --- the group --------------------------------------------------------------------------------------------------


def group_updated(work: Work, ledger: PoolLedger, event: CreditGroupUpdated) -> Refusal | None:
    """A group. The first event sets limit and expiry date; later ones may not (spec 8.1)."""
    group = ledger.group
    if refusal := _unacceptable(ledger, event):
        return refusal
    if group.profile is None:
        ledger.change_group(changed(group, profile=event))
        _set_limit(work, ledger, event.credit_limit_minor, event.credit_limit_expires_on)
        ledger.value_again(everybody=True)
        _tell_members(work, ledger, "joined")
        return None
    same = (event.credit_limit_minor, event.credit_limit_expires_on)
    is_other = same != (group.credit_limit_minor, group.credit_limit_expires_on)
    ledger.change_group(changed(group, profile=event))
    if not is_other:
        return None
    if not work.parameters.allow_manual_limits:
        work.refusal = Refusal(
            codes.LIMIT_CHANGE_REFUSED,
            "The limit and its expiry date change by a credit limit adjustment journal only (or set "
            "allow_manual_limits); the rest of the update was taken.",
        )
        return None
    old = group.credit_limit_minor
    _set_limit(work, ledger, event.credit_limit_minor, event.credit_limit_expires_on)
    work.publish(
        event.group_id,
        LimitChanged(
            party="group",
            group_id=event.group_id,
            currency=event.credit_currency,
            old_limit_minor=old,
            new_limit_minor=event.credit_limit_minor,
            expires_on=event.credit_limit_expires_on,
            actor=event.actor,
            reason="group_updated",
        ),
    )
    return None


def _unacceptable(ledger: PoolLedger, event: CreditGroupUpdated) -> Refusal | None:
    group = ledger.group
    if event.credit_limit_minor < 0:
        return Refusal(codes.INVALID, "The credit limit is negative: send an amount from 0 on.")
    if group.is_closed:
        return Refusal(codes.INVALID, f"Group {event.group_id} is closed: make a new one under another id.")
    if group.profile is not None and group.profile.credit_currency != event.credit_currency:
        return Refusal(
            codes.INVALID,
            f"The credit currency of group {event.group_id} is {group.profile.credit_currency} and stays so, since "
            f"its members are counted in it: send the update with that currency.",
        )
    return None


def _set_limit(work: Work, ledger: PoolLedger, limit_minor: int, expires_on: Day) -> None:
    ledger.change_group(
        changed(
            ledger.group,
            credit_limit_minor=limit_minor,
            credit_limit_date=work.today,
            credit_limit_expires_on=expires_on,
        )
    )
    put_group_on_agenda(work, expires_on + 1, ledger.group_id)


def group_closed(work: Work, ledger: PoolLedger, event: CreditGroupClosed) -> Refusal | None:
    """The group is no more: its members are told that they are in none (spec 4.3)."""
    group = ledger.group
    if group.profile is None:
        return Refusal(codes.UNKNOWN_REFERENCE, f"There is no credit group {event.group_id}: nothing was closed.")
    if group.is_closed:
        return Refusal(codes.INVALID, f"Group {event.group_id} is closed already.")
    ledger.change_group(changed(group, is_closed=True))
    for request_id in work.ids(LINE, ledger.group_id):
        ledger.leave_the_line(request_id)
    ledger.retract_exposure()
    _tell_members(work, ledger, "closed")
    return None


def _tell_members(work: Work, ledger: PoolLedger, state: GroupState) -> None:
    for customer_id in work.ids(MEMBERS, ledger.group_id):
        member = work.get(MEMBERS, ledger.group_id, customer_id)
        if member is not None and member.is_member:
            _tell(work, ledger, customer_id, state)


def _tell(work: Work, ledger: PoolLedger, customer_id: str, state: GroupState) -> None:
    ledger.pool.answers += 1
    told = GroupMembershipChanged(
        event_id=f"{ledger.group_id}/answer/{ledger.pool.answers}",
        occurred_at=work.partition.now,
        group_id=ledger.group_id,
        customer_id=customer_id,
        state=state,
        expires_on=ledger.group.credit_limit_expires_on if state == "joined" else None,
    )
    work.publications.append(Publication(GROUP_ANSWERS, customer_id, told))


def group_limit_posted(work: Work, ledger: PoolLedger, event: GroupLimitPosted) -> Refusal | None:
    """Applies a posted line: the new limit with its date, or a temporary limit (spec 8.4)."""
    at = f"Line {event.line} of journal {event.journal_id}"
    if not ledger.is_known:
        return Refusal(
            codes.UNKNOWN_REFERENCE,
            f"{at} is for the credit group {event.group_id}, which is not there or closed: send its "
            "CreditGroupUpdated, then post the line in another journal.",
        )
    if event.currency != ledger.currency:
        return Refusal(
            codes.INVALID,
            f"{at} is in {event.currency}, but the credit currency of group {event.group_id} is "
            f"{ledger.currency}: post it in that.",
        )
    old = ledger.group.credit_limit_minor
    if event.journal_type == "credit_limit" and event.expires_on is not None:
        _set_limit(work, ledger, event.credit_limit_minor, event.expires_on)
    elif len(ledger.group.temporary_limits) >= TEMPORARY_LIMITS_MAX:
        return Refusal(codes.INVALID, f"A group has at most {TEMPORARY_LIMITS_MAX} temporary limits at once.")
    else:
        _add_temporary(work, ledger, event)
    work.publish(event.group_id, limit_changed(event, old))
    return None


def _add_temporary(work: Work, ledger: PoolLedger, event: GroupLimitPosted) -> None:
    limit = temporary_limit(event)
    lasting = [other for other in ledger.group.temporary_limits if other.to_date >= work.today]
    ledger.change_group(changed(ledger.group, temporary_limits=(*lasting, limit)))
    put_group_on_agenda(work, limit.from_date, ledger.group_id)
    put_group_on_agenda(work, limit.to_date + 1, ledger.group_id)


# --- what members tell and ask ----------------------------------------------------------------------------------


def member_reported(work: Work, ledger: PoolLedger, event: GroupMemberReported) -> None:
    """Counts a member's exposure as it is now; what is settled by it goes in the same step (spec 5.2)."""
    old = work.get(MEMBERS, ledger.group_id, event.customer_id) or NOBODY
    if event.number <= old.number:
        return
    reported = (
        event.current_invoices_minor,
        event.overdue_invoices_minor,
        event.open_orders_minor,
        event.delivered_not_invoiced_minor,
        event.unapplied_minor,
    )
    is_member = event.is_member and not ledger.group.is_closed
    new = Member(event.number, is_member, event.currency, event.business_date, reported)
    ledger.count(event.customer_id, old, new)
    for request_id in event.settled:
        ledger.settle(request_id)
    if not event.is_member:
        ledger.forget_member(event.customer_id)
    if event.joins:
        _tell(work, ledger, event.customer_id, "closed" if ledger.group.is_closed else "joined")


def credit_requested(work: Work, ledger: PoolLedger, event: GroupCreditRequested) -> None:
    """Reserves the credit for an order if it is there, and answers; or has the order wait in line (spec 5.2, 7.4)."""
    member = work.get(MEMBERS, ledger.group_id, event.customer_id) or NOBODY
    if event.number <= member.number:
        return
    work.put(MEMBERS, ledger.group_id, event.customer_id, changed(member, number=event.number))
    wish = Wish(
        event.customer_id,
        event.order_id,
        event.currency,
        event.amount_minor,
        event.included_minor,
        event.conditions,
        event.released_below,
    )
    if event.purpose == "wait" and ledger.is_known:
        _queue(ledger, event)
        ledger.is_freed = True
        return
    room = ledger.room_for(wish) if ledger.is_known else None
    fits = room is not None and (room.is_released or (room.fits and event.purpose == "reserve"))
    if fits and room is not None:
        ledger.reserve(event.request_id, wish, room)
    waits = ledger.is_known and not fits and event.purpose == "reserve" and work.parameters.evaluate_on == "event"
    if waits:
        _queue(ledger, event, told=False)
    ledger.answer(event.request_id, wish, room, granted=fits, waits=waits)


def _queue(ledger: PoolLedger, event: GroupCreditRequested, told: bool | None = None) -> None:
    ledger.wait_in_line(
        event.request_id,
        InLine(
            event.customer_id,
            event.order_id,
            event.currency,
            event.amount_minor,
            event.included_minor,
            event.conditions,
            event.released_below,
            event.since,
            event.place,
            told,
        ),
    )
