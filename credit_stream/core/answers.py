"""A credit group has answered (spec 5.2): what waited for that goes on, and then what waited behind it.

An answer that is repeated, late, or about an order that has ended meanwhile finds nothing that waits for it, and
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace as changed

from credit_stream.core import commands, events
from credit_stream.core.accounts import Ledger, Ledgers
from credit_stream.core.asking import drop_asked, wait_behind
from credit_stream.core.checking import check
from credit_stream.core.evaluation import evaluate
from credit_stream.core.events import Event, GroupCreditAnswered
from credit_stream.core.kept import KeptEvent, decision_of_values, values_of
from credit_stream.core.limits import GroupFigures
from credit_stream.core.rows import ASKED, ASKED_AT, HOLDS, ORDERS, SEEN, WAITING, Asked, Hold, Order, Waiting
from credit_stream.core.view import LateRefusal, Refusal
from credit_stream.core.work import Work

Handle = Callable[[Work, Ledgers, Event], Refusal | None]
"""How a step takes an event of a customer."""

BEHIND_A_CHECK = frozenset(
    {
        events.OrderChanged,
        events.OrderCheckpointReached,
        events.OrderReopened,
        events.ReleaseOrder,
        events.RejectOrder,
        events.ExcludeOrder,
        events.ForceHold,
    }
)
"""What waits while its order does, trial runs too: there is no standing to answer yet. Deliveries and invoices are
facts and count at once."""
ENDS = frozenset({events.OrderCancelled, events.OrderClosed})
"""These wait only behind others that wait: an order that has ended needs no answer."""


ANSWER_MS_MAX = 60_000
"""A group's task answers within milliseconds. One that is restored after a crash may take longer; the question is in
its log, and to ask once more changes nothing."""
ASKED_AGAIN_MAX = 1_000
"""At one tick."""


# --- what comes meanwhile ---------------------------------------------------------------------------------------


def waits_behind(work: Work, ledger: Ledger, event: Event) -> bool:
    """Whether the event has to wait until its order's credit group has answered; then it is put in line."""
    kind, order_id = type(event), getattr(event, "order_id", None)
    if order_id is None or (kind not in BEHIND_A_CHECK and kind not in ENDS):
        return False
    order = work.get(ORDERS, ledger.customer_id, order_id)
    waiting = work.get(WAITING, ledger.customer_id, order_id)
    if order is None or order.asked is None or (kind in ENDS and waiting is None):
        return False
    wait_behind(work, ledger.customer_id, order_id)
    return True


def _go_on_behind(work: Work, ledgers: Ledgers, ledger: Ledger, order_id: str, handle: Handle) -> None:
    """Takes what waited behind the order's check, one after the other, until one of them has to wait itself."""

    def take(event: Event) -> Refusal | None:
        if not isinstance(event, events.ForceHold) or event.order_id is not None:
            return handle(work, ledgers, event)
        commands.force_one_of_many(work, ledger, order_id, event)
        return None

    waiting = work.get(WAITING, ledger.customer_id, order_id)
    left = () if waiting is None else waiting.events
    while left:
        order = work.get(ORDERS, ledger.customer_id, order_id)
        if order is not None and order.asked is not None:
            break
        first, *rest = left
        left = tuple(rest)
        _take_kept(work, first, take)
    if left:
        work.put(WAITING, ledger.customer_id, order_id, Waiting(left))
    elif waiting is not None:
        work.drop(WAITING, ledger.customer_id, order_id)


def _take_kept(work: Work, origin: KeptEvent, take: Callable[[Event], Refusal | None]) -> None:
    """Goes on with an event of before as if it were the event of this step: decisions are its own (spec 2, 11)."""
    now_event, now_position, now_decisions = work.event, work.position, work.decisions
    event, position = origin.event(), origin.position()
    seen = work.get(SEEN, "", position.event_id)
    work.event, work.position = event, position
    work.decisions = [] if seen is None else [decision_of_values(values) for values in seen.decisions]
    refusal = take(event)
    if refusal is not None:
        work.late.append(LateRefusal(event, position, refusal))
        if seen is not None:  # What was not accepted can be sent again after mending (spec 12).
            work.drop(SEEN, "", position.event_id)
    elif seen is not None:
        work.put(SEEN, "", position.event_id, changed(seen, decisions=tuple(map(values_of, work.decisions))))
    work.event, work.position, work.decisions = now_event, now_position, now_decisions


# --- the answer -------------------------------------------------------------------------------------------------


def credit_answered(work: Work, ledgers: Ledgers, event: GroupCreditAnswered, handle: Handle) -> None:
    """Goes on with what the answer was waited for by: a check, a held order, or an event from its beginning."""
    ledger = ledgers.open(event.customer_id)
    asked = work.get(ASKED, event.customer_id, event.request_id)
    if asked is not None:
        drop_asked(work, ledger, event.request_id, asked)
        with_figures(work, ledger, event)
        _go_on(work, ledgers, ledger, event, asked, handle)
    else:
        hold = work.get(HOLDS, event.customer_id, event.order_id)
        if hold is not None and hold.request == event.request_id:
            with_figures(work, ledger, event)
            _go_on_with_hold(work, ledger, event, hold)
    work.answers.pop(event.order_id, None)


def with_figures(work: Work, ledger: Ledger, event: GroupCreditAnswered) -> None:
    """What is judged in this step knows the answer, unless the customer is in another group by now."""
    if event.group_id == ledger.group_id:
        work.answers[event.order_id] = GroupFigures(
            event.is_known,
            event.currency,
            event.limit_minor,
            event.before_minor,
            event.after_minor,
            event.granted,
            event.rate_missing,
        )


def _go_on(
    work: Work, ledgers: Ledgers, ledger: Ledger, event: GroupCreditAnswered, asked: Asked, handle: Handle
) -> None:
    order = work.get(ORDERS, event.customer_id, asked.order_id)
    if order is not None and order.asked == event.request_id:
        order = changed(order, asked=None)
        work.put(ORDERS, event.customer_id, asked.order_id, order)
        ledger.account.asking -= 1
    if asked.checkpoint is None:
        _take_kept(work, asked.origin, lambda origin: handle(work, ledgers, origin))
    elif order is not None and order.standing == "pending":
        _go_on_with_check(work, ledger, event, asked, order)
    work.answers.pop(event.order_id, None)
    _go_on_behind(work, ledgers, ledger, asked.order_id, handle)


def _go_on_with_check(work: Work, ledger: Ledger, event: GroupCreditAnswered, asked: Asked, order: Order) -> None:
    checkpoint = asked.checkpoint
    assert checkpoint is not None, "it is a check"

    def take(_origin: Event) -> None:
        check(work, ledger, order, order, checkpoint, "group_answer", asked)

    _take_kept(work, asked.origin, take)
    hold = work.get(HOLDS, event.customer_id, asked.order_id)
    after = work.get(ORDERS, event.customer_id, asked.order_id)
    stays = hold is not None and after is not None and after.standing == "on_hold"
    if stays and after is not None and ledger.included_of(after) != asked.included_minor:
        stays = False  # Held it is no longer in the exposure with what it had; it has to wait with what it has now.
        work.free(event.customer_id)
    if event.waits and stays and hold is not None and not hold.entry.forced_reason:
        waiting = changed(hold, request=event.request_id, question=asked.question)
        work.put(HOLDS, event.customer_id, asked.order_id, waiting)
    elif event.granted or event.waits:
        ledger.settled.append(event.request_id)


def _go_on_with_hold(work: Work, ledger: Ledger, event: GroupCreditAnswered, hold: Hold) -> None:
    request = event.request_id if event.waits else None
    work.put(HOLDS, event.customer_id, event.order_id, changed(hold, request=request))
    evaluate(work, ledger, frozenset({event.order_id}))
    if event.granted:
        ledger.settled.append(event.request_id)


# --- no answer --------------------------------------------------------------------------------------------------


def ask_again(work: Work, ledgers: Ledgers, handle: Handle) -> None:
    """Asks anew what has not been answered for long; the old question is over, whether its answer comes or not.

    Time is an event here as everywhere: a tick of the partition's clock (spec 10.1).
    """
    last = f"{max(0, work.partition.now - ANSWER_MS_MAX):015d}"
    for row_id in work.ids(ASKED_AT, "")[:ASKED_AGAIN_MAX]:
        if row_id > last:
            break
        row = work.get(ASKED_AT, "", row_id)
        asked = None if row is None else work.get(ASKED, row.customer_id, row.request_id)
        if row is None or asked is None:
            continue
        ledger = ledgers.open(row.customer_id)
        drop_asked(work, ledger, row.request_id, asked)
        nothing = GroupCreditAnswered(
            event_id=row.request_id,
            occurred_at=work.partition.now,
            group_id="",
            customer_id=row.customer_id,
            order_id=asked.order_id,
            request_id=row.request_id,
            is_known=False,
            waits=True,
            currency="",
        )
        _go_on(work, ledgers, ledger, nothing, asked, handle)
