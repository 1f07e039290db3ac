"""Questions to a credit group (spec 5.2): what a check, a hold or a person's command has to know before it can go on.

A check that needs its group leaves the order `pending`: it counts on its customer, and what comes for it meanwhile
waits behind (`core/answers.py` goes on with all of it when the answer comes). The questions leave at the end of the
step, after the customer's exposure (`core/membership.py`).
"""

from __future__ import annotations

from msgspec import msgpack
from msgspec.structs import replace as changed

from credit_stream.core.accounts import Ledger
from credit_stream.core.calendar import Instant
from credit_stream.core.deciding import Judgement
from credit_stream.core.events import GroupPurpose
from credit_stream.core.kept import kept
from credit_stream.core.membership import Question, next_number
from credit_stream.core.outputs import HoldStatus
from credit_stream.core.rows import ASKED, ASKED_AT, HOLDS, ORDERS, WAITING, Asked, AskedAt, Hold, Order, Waiting
from credit_stream.core.work import Work


def signature(ledger: Ledger, found: Judgement, purpose: GroupPurpose, included_minor: int) -> bytes:
    """What exactly is asked: while it stays the same, nothing new is to be learned by asking again."""
    could_go, counted = purpose != "look", found.facts.counted_minor
    return msgpack.encode((ledger.group_id, could_go, counted, included_minor, found.conditions, found.released_below))


def ask_of_check(
    work: Work, ledger: Ledger, order: Order, counted_as: Order | None, found: Judgement, again: Asked | None = None
) -> Order:
    """The order waits for its group: it is counted, and its check goes on when the answer comes.

    `again`: it has been asked before, and something is otherwise now.
    """
    facts, now, request_id = found.facts, work.partition.now, _new_request(ledger)
    pending = changed(
        order,
        standing="pending",
        asked=request_id,
        reported_open_minor=min(facts.open_minor, ledger.reported_open_of(counted_as)),
    )
    pending = ledger.count(pending, counted_as, (facts.open_minor, facts.delivered_minor))
    hold = work.get(HOLDS, order.customer_id, order.order_id)
    if hold is not None:
        leave_the_line(work, ledger, hold)
    purpose: GroupPurpose = "look" if found.holding else "reserve"
    included, place = ledger.included_of(pending), ledger.account.last_hold + 1
    _send(ledger, request_id, order.order_id, found, purpose, included, now, place)
    question = signature(ledger, found, purpose, included)
    origin = kept(work.event, work.position) if again is None else again.origin
    forced_by, forced_reason = (None, None) if again is None else (again.forced_by, again.forced_reason)
    asked = Asked(order.order_id, origin, question, included, now, facts.checkpoint, forced_by, forced_reason)
    _write(work, ledger, request_id, asked)
    ledger.account.asking += 1
    return pending


def ask_and_begin_anew(
    work: Work, ledger: Ledger, order: Order, counted_as: Order | None, found: Judgement, *, others_wait: bool
) -> None:
    """The event has no effect yet; it begins anew when the group has answered.

    `others_wait`: what comes for the order meanwhile waits behind it. A trial run keeps nobody waiting.
    """
    request_id = _new_request(ledger)
    if others_wait and counted_as is not None:
        work.put(ORDERS, order.customer_id, order.order_id, changed(counted_as, asked=request_id))
        ledger.account.asking += 1
    included = 0 if counted_as is None else ledger.included_of(counted_as)
    question = signature(ledger, found, "look", included)
    _send(ledger, request_id, order.order_id, found, "look", included, work.partition.now, 0)
    asked = Asked(order.order_id, kept(work.event, work.position), question, included, work.partition.now)
    _write(work, ledger, request_id, asked)


def ask_for_hold(work: Work, ledger: Ledger, hold: Hold, held: Order, found: Judgement) -> HoldStatus:
    """Has a held order that could go wait in its group's line, or looks what the group says of one that could not."""
    purpose: GroupPurpose = "look" if found.holding else "wait"
    included = ledger.included_of(held)
    question = signature(ledger, found, purpose, included)
    if hold.request is not None and hold.question == question:
        return hold.entry.status
    if hold.request is not None:  # With the report, so that the line never has what the exposure no longer has.
        ledger.settled.append(hold.request)
    request_id = _new_request(ledger)
    _send(ledger, request_id, held.order_id, found, purpose, included, hold.entry.held_since, hold.number)
    work.put(HOLDS, held.customer_id, held.order_id, changed(hold, request=request_id, question=question))
    return hold.entry.status


def leave_the_line(work: Work, ledger: Ledger, hold: Hold) -> Hold:
    """What its group was asked for the order counts no more: it is checked anew, or no group has a say in it now."""
    if hold.request is None:
        return hold
    ledger.settled.append(hold.request)
    left = changed(hold, request=None)
    work.put(HOLDS, ledger.customer_id, hold.entry.order_id, left)
    return left


def give_up_asking(work: Work, ledger: Ledger, order: Order) -> Order:
    """The order has ended while it was pending: its answer will change nothing, and what it reserves is given back."""
    if order.asked is None or order.standing != "pending":
        return order
    asked = work.get(ASKED, ledger.customer_id, order.asked)
    if asked is not None:
        drop_asked(work, ledger, order.asked, asked)
    ledger.settled.append(order.asked)
    ledger.account.asking -= 1
    return changed(order, asked=None, standing="released")


def wait_behind(work: Work, customer_id: str, order_id: str) -> None:
    """The event of this step goes on for the order when what it waits for now has its answer."""
    waiting = work.get(WAITING, customer_id, order_id)
    before = () if waiting is None else waiting.events
    work.put(WAITING, customer_id, order_id, Waiting((*before, kept(work.event, work.position))))


def _write(work: Work, ledger: Ledger, request_id: str, asked: Asked) -> None:
    work.put(ASKED, ledger.customer_id, request_id, asked)
    work.put(ASKED_AT, "", _asked_at(request_id, asked), AskedAt(ledger.customer_id, request_id))


def drop_asked(work: Work, ledger: Ledger, request_id: str, asked: Asked) -> None:
    """Nothing waits for the answer any more."""
    work.drop(ASKED, ledger.customer_id, request_id)
    work.drop(ASKED_AT, "", _asked_at(request_id, asked))


def _asked_at(request_id: str, asked: Asked) -> str:
    return f"{asked.since:015d}/{request_id}"


def _new_request(ledger: Ledger) -> str:
    return f"{ledger.customer_id}/{next_number(ledger)}"


def _send(
    ledger: Ledger,
    request_id: str,
    order_id: str,
    found: Judgement,
    purpose: GroupPurpose,
    included_minor: int,
    since: Instant,
    place: int,
) -> None:
    ledger.questions.append(
        Question(
            request_id,
            order_id,
            purpose,
            found.facts.counted_minor,
            included_minor,
            found.conditions,
            found.released_below,
            since,
            place,
        )
    )
