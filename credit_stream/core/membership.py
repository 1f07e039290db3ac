"""A customer as a member of its credit group, seen from the customer's task (spec 3.8, 4.3, 5.2).

The group has a task of its own, perhaps elsewhere. It is told the customer's whole exposure whenever that changes
(`GroupMemberReported`); what it is asked of orders goes after that, so that it never knows less than the one who asks.
A customer that moves joins its new group first and leaves the old one when the new one has confirmed: there is no
moment at which neither counts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace as changed

from credit_stream.core.calendar import Instant
from credit_stream.core.events import (
    GroupCondition,
    GroupCreditRequested,
    GroupMemberReported,
    GroupMembershipChanged,
    GroupPurpose,
)
from credit_stream.core.outputs import LimitChanged
from credit_stream.core.topics import GROUP_REQUESTS
from credit_stream.core.view import Publication, Refusal
from credit_stream.core.work import Work

if TYPE_CHECKING:
    from credit_stream.core.accounts import Ledger

EMPTY_REPORT = (0, 0, 0, 0, 0)
JOINED_GROUP = "joined_group"
"""Why a limit has another expiry date: the customer has the group's now (spec 4.3)."""


class Question(Struct, frozen=True, gc=False):
    """What a step asks the group of an order, but for what follows from the report before it."""

    request_id: str
    order_id: str
    purpose: GroupPurpose
    amount_minor: int
    included_minor: int
    conditions: tuple[GroupCondition, ...]
    released_below: str | None
    since: Instant
    place: int


def next_number(ledger: Ledger) -> int:
    """Numbers what the customer tells or asks groups."""
    ledger.account.told += 1
    return ledger.account.told


def tell_groups(ledger: Ledger) -> None:
    """Sends what groups have to know after a step: the exposure if it changed, what is settled, what is asked."""
    account, group_id = ledger.account, ledger.group_id
    joins = group_id is not None and group_id not in account.groups[:1]
    left = () if group_id is not None else account.groups
    if group_id is not None and joins:
        account.groups = (group_id, *(other for other in account.groups if other != group_id))
    reported = ledger.reported()
    if joins or ledger.settled or (account.groups and reported != account.reported):
        for place, member_of in enumerate(account.groups):
            _report(ledger, member_of, reported, joins=joins and place == 0, is_member=group_id is not None)
    elif left:
        for member_of in left:
            _report(ledger, member_of, reported, is_member=False)
    account.reported = reported
    if group_id is None:
        account.groups, account.reported = (), ()
    else:
        for question in ledger.questions:
            _ask(ledger, group_id, question)
    ledger.questions.clear()
    ledger.settled.clear()


def _report(ledger: Ledger, group_id: str, reported: tuple[int, ...], *, is_member: bool, joins: bool = False) -> None:
    work = ledger.work
    number = next_number(ledger)
    current, overdue, orders, delivered, unapplied = reported if is_member else EMPTY_REPORT
    report = GroupMemberReported(
        event_id=f"{ledger.customer_id}/report/{number}",
        occurred_at=work.partition.now,
        group_id=group_id,
        customer_id=ledger.customer_id,
        number=number,
        is_member=is_member,
        joins=joins,
        currency=ledger.currency,
        current_invoices_minor=current,
        overdue_invoices_minor=overdue,
        open_orders_minor=orders,
        delivered_not_invoiced_minor=delivered,
        unapplied_minor=unapplied,
        business_date=work.today,
        settled=tuple(ledger.settled),
    )
    work.publications.append(Publication(GROUP_REQUESTS, group_id, report))


def _ask(ledger: Ledger, group_id: str, question: Question) -> None:
    work = ledger.work
    request = GroupCreditRequested(
        event_id=question.request_id,
        occurred_at=work.partition.now,
        group_id=group_id,
        customer_id=ledger.customer_id,
        order_id=question.order_id,
        request_id=question.request_id,
        number=next_number(ledger),
        purpose=question.purpose,
        currency=ledger.currency,
        amount_minor=question.amount_minor,
        included_minor=question.included_minor,
        conditions=question.conditions,
        released_below=question.released_below,
        since=question.since,
        place=question.place,
    )
    work.publications.append(Publication(GROUP_REQUESTS, group_id, request))


# --- what the group tells ---------------------------------------------------------------------------------------


def membership_changed(work: Work, ledger: Ledger, event: GroupMembershipChanged) -> Refusal | None:
    """The group has confirmed that it counts the customer, or is closed. What is not about today's group is late."""
    if event.group_id != ledger.group_id:
        return None
    if event.state == "closed":
        ledger.account.closed_group = event.group_id
        work.free(ledger.customer_id)
        return None
    account = ledger.account
    if account.groups[:1] == (event.group_id,):
        for left in account.groups[1:]:
            _report(ledger, left, EMPTY_REPORT, is_member=False)
        account.groups = account.groups[:1]
    if event.expires_on is not None:
        _take_over_expiry(work, ledger, event)
    work.free(ledger.customer_id)
    return None


def _take_over_expiry(work: Work, ledger: Ledger, event: GroupMembershipChanged) -> None:
    """Joining a group sets the customer's limit expiry date to the group's (spec 4.3)."""
    customer, expires_on = ledger.customer, event.expires_on
    if expires_on is None or customer.credit_limit_expires_on == expires_on:
        return
    ledger.change_customer(changed(customer, credit_limit_expires_on=expires_on))
    work.put_on_agenda(expires_on + 1, ledger.customer_id)
    work.publish(
        ledger.customer_id,
        LimitChanged(
            party="customer",
            customer_id=ledger.customer_id,
            currency=ledger.currency,
            old_limit_minor=customer.credit_limit_minor,
            new_limit_minor=customer.credit_limit_minor,
            expires_on=expires_on,
            reason=JOINED_GROUP,
        ),
    )
