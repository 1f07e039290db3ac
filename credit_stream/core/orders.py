"""The events of an order (spec 2, 3, 5.7, 6): each handler returns None, or why the event is refused."""

from __future__ import annotations

from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.asking import ask_and_begin_anew, give_up_asking
from credit_stream.core.checking import (
    answer,
    check,
    checks_at,
    claim_of,
    is_forced,
    is_within,
    judge_in_place,
    less,
    verdict_of,
    waived_by_person,
    with_todays_rate,
)
from credit_stream.core.commands import forbidden
from credit_stream.core.deciding import Judgement, decision_of
from credit_stream.core.events import (
    CheckOrder,
    Checkpoint,
    OrderCancelled,
    OrderChanged,
    OrderCheckpointReached,
    OrderClosed,
    OrderDelivered,
    OrderPlaced,
    OrderReopened,
)
from credit_stream.core.facts import facts_of
from credit_stream.core.holds import take_off_list
from credit_stream.core.invoices import less_invoice, less_its_invoices
from credit_stream.core.outputs import Cause, Verdict
from credit_stream.core.rows import HOLDS, INVOICES, ORDERS, Invoice, Lifecycle, Order
from credit_stream.core.view import Refusal
from credit_stream.core.work import Work

OrderEvent = OrderCheckpointReached | OrderDelivered | OrderCancelled | OrderClosed | OrderReopened


# --- placed and changed -----------------------------------------------------------------------------------------


def order_placed(work: Work, ledger: Ledger, event: OrderPlaced) -> Refusal | None:
    """A new order: checked at order entry."""
    known = work.get(ORDERS, event.customer_id, event.order_id)
    if known is not None and known.placed:
        return Refusal(
            codes.INVALID, f"Order {event.order_id} was placed already: send its new state as an OrderChanged."
        )
    if refusal := _unacceptable(work, event):
        return refusal
    _place(work, ledger, event, known)
    return None


def _place(work: Work, ledger: Ledger, event: OrderPlaced, known: Order | None) -> None:
    order = with_todays_rate(work, ledger, _with_event(known or Order(event.order_id, event.customer_id), event))
    early = _early_delivered(order, work.currencies[order.currency])
    order = changed(order, placed=True, early_invoices=(), early_delivered=None, delivered_minor=early)
    for invoice_id in () if known is None else known.early_invoices:
        order = _with_early_invoice(work, ledger, order, invoice_id)
    if checks_at(work, "order_entry") or not work.settings.posting_somewhere:
        check(work, ledger, order, None, "order_entry", "order")
    else:
        answer(work, ledger, order, None, "order_entry", (codes.NOT_CHECKED,), "order")


def _with_what_came_before(work: Work, ledger: Ledger, order: Order) -> Order:
    """An order that somebody asks about as it would be placed: less what was invoiced before it came."""
    asked = changed(order, delivered_minor=_early_delivered(order, work.currencies[order.currency]))
    for invoice_id in order.early_invoices:
        invoice = work.get(INVOICES, order.customer_id, invoice_id)
        if invoice is not None and not invoice.voided:
            asked, _ = less_invoice(ledger, asked, invoice)
    return asked


def _early_delivered(order: Order, decimals: int) -> int:
    """What was delivered before the order came, now that its currency is known; finer than that is rounded."""
    exact = money.ratio(order.early_delivered or "0")
    return min(money.AMOUNT_MINOR_MAX, money.divide_half_even(exact.numerator * 10**decimals, 10**exact.places))


def _with_early_invoice(work: Work, ledger: Ledger, order: Order, invoice_id: str) -> Order:
    """The order less an invoice that came before it (spec 2)."""
    invoice = work.get(INVOICES, order.customer_id, invoice_id)
    if invoice is None or invoice.voided:
        return order
    order, invoice = less_invoice(ledger, order, invoice)
    work.put(INVOICES, order.customer_id, invoice_id, invoice)
    return order


def _unacceptable(work: Work, event: OrderPlaced) -> Refusal | None:
    secured, amount = event.secured_amount_minor, event.amount_minor
    if secured < 0:
        return Refusal(codes.INVALID, "The secured amount is negative: send 0 or what is secured.")
    if secured > max(0, amount):
        return Refusal(codes.INVALID, "More is secured than the order's amount: send at most the amount as secured.")
    return None


def _with_event(order: Order, event: OrderPlaced) -> Order:
    return changed(
        order,
        legal_entity=event.legal_entity,
        amount_minor=event.amount_minor,
        currency=event.currency,
        secured_minor=event.secured_amount_minor,
        payment_terms=event.payment_terms,
        settlement_discount=event.settlement_discount,
        ships_on=event.ships_on,
        intercompany=event.intercompany,
        excluded=event.excluded,
    )


def order_changed(work: Work, ledger: Ledger, event: OrderChanged) -> Refusal | None:
    """The whole new state of an order (spec 5.7). Of an order not seen yet it counts as placed."""
    old = work.get(ORDERS, event.customer_id, event.order_id)
    if refusal := _unacceptable(work, event):
        return refusal
    if old is None or not old.placed:
        _place(work, ledger, event, old)
        return None
    if old.lifecycle != "open":
        return Refusal(codes.INVALID, f"Order {old.order_id} is {old.lifecycle}: only an open order can be changed.")
    new = _with_event(old, event)
    if event.currency != old.currency:
        new, invoices = _in_other_currency(work, ledger, old, new)
        for invoice in invoices:
            work.put(INVOICES, event.customer_id, invoice.invoice_id, invoice)
        new = with_todays_rate(work, ledger, new)
    work.free(event.customer_id)
    if old.standing != "released":
        check(work, ledger, new, old, old.checkpoint, "change")
    else:
        _change_released(work, ledger, old, new)
    return None


def _in_other_currency(work: Work, ledger: Ledger, old: Order, new: Order) -> tuple[Order, list[Invoice]]:
    """The order in its new currency, with its invoices: no rate yet, what was delivered is the same number.

    A release up to an amount of the old currency says nothing of it any more.
    """
    scale = work.currencies[new.currency] - work.currencies[old.currency]
    delivered = old.delivered_minor * 10**scale if scale >= 0 else old.delivered_minor // 10**-scale
    bare = changed(
        new,
        rate=None,
        release=None,
        delivered_minor=min(money.AMOUNT_MINOR_MAX, delivered),
        invoiced_minor=0,
        invoiced_credit_minor=0,
        invoiced_foreign_credit_minor=0,
    )
    return less_its_invoices(work, ledger, bare)


def _change_released(work: Work, ledger: Ledger, old: Order, new: Order) -> None:
    rise = sum(ledger.parts_of(new)) - sum(ledger.parts_of(old))
    claim = claim_of(ledger, new)
    fall = max(0, claim_of(ledger, old) - claim)
    release = new.release
    if release is not None and fall:
        release = changed(release, up_to_minor=max(0, release.up_to_minor - fall))
        new = changed(new, release=release)
    terms_changed = (new.payment_terms, new.settlement_discount) != (old.payment_terms, old.settlement_discount)
    within = release is not None and is_within(claim, release)
    rises = rise > 0 or new.currency != old.currency
    without_rate = new.rate is None and ledger.profile is not None
    if not without_rate and (work.parameters.allow_edit_after_release or not (terms_changed or rises)):
        answer(work, ledger, new, old, old.checkpoint, (codes.NOT_CHECKED,), "change")
    elif not terms_changed and within and new.currency == old.currency:
        answer(work, ledger, new, old, old.checkpoint, (codes.WITHIN_TOLERANCE,), "change")
    elif checks_at(work, old.checkpoint):
        check(work, ledger, new, old, old.checkpoint, "change")
    else:
        answer(work, ledger, new, old, old.checkpoint, (codes.NOT_CHECKED,), "change")


# --- checkpoints ------------------------------------------------------------------------------------------------


def order_checkpoint_reached(work: Work, ledger: Ledger, event: OrderCheckpointReached) -> Refusal | None:
    """The order came to a checkpoint, or tries it out (spec 6)."""
    order = _placed(work, event)
    if isinstance(order, Refusal):
        return order
    if order.lifecycle == "cancelled":
        return Refusal(codes.INVALID, f"Order {order.order_id} is cancelled: nothing more happens to it.")
    if event.pro_forma:
        _try_out(work, ledger, order, event)
    elif order.standing == "rejected":
        answer(work, ledger, order, order, event.checkpoint, order.last_reasons, "checkpoint")
    elif order.standing == "on_hold" and not checks_at(work, event.checkpoint):
        answer(work, ledger, order, order, event.checkpoint, _held_for(work, order), "checkpoint")
    elif not checks_at(work, event.checkpoint):
        answer(work, ledger, order, order, event.checkpoint, (codes.NOT_CHECKED,), "checkpoint")
    elif order.standing == "released" and _in_grace(work, order):
        answer(work, ledger, order, order, event.checkpoint, (codes.WITHIN_GRACE,), "checkpoint")
    else:
        check(work, ledger, order, order, event.checkpoint, "checkpoint")
    return None


def _in_grace(work: Work, order: Order) -> bool:
    """Whether the check is skipped: grace days run from the last check at a checkpoint that has them (spec 6.1)."""
    return work.settings.has_grace and order.grace_through is not None and work.today <= order.grace_through


def _held_for(work: Work, order: Order) -> tuple[str, ...]:
    """The reasons for which the order stands on the hold list."""
    hold = work.get(HOLDS, order.customer_id, order.order_id)
    if hold is None:
        return order.last_reasons
    return codes.in_order({reason.code for reason in hold.entry.reasons})


def _try_out(work: Work, ledger: Ledger, order: Order, event: OrderCheckpointReached) -> None:
    """A pro-forma check reserves nothing and puts nothing on the hold list (spec 6.5)."""
    checkpoint = event.checkpoint
    grace = order.pro_forma_grace_through
    if order.standing == "rejected":
        _publish_trial(work, ledger, order, checkpoint, order.last_reasons)
    elif not checks_at(work, checkpoint, pro_forma=True):
        held = order.standing != "released"
        _publish_trial(work, ledger, order, checkpoint, _held_for(work, order) if held else (codes.NOT_CHECKED,))
    elif grace is not None and work.today <= grace and order.standing == "released":
        _publish_trial(work, ledger, order, checkpoint, (codes.WITHIN_GRACE,))
    else:
        forced = is_forced(work, order)
        rated = with_todays_rate(work, ledger, order)
        found = judge_in_place(work, ledger, rated, order, checkpoint, forced=forced)
        if found.needs_group:
            ask_and_begin_anew(work, ledger, rated, order, found, others_wait=False)
            return
        publish_trial_of(work, found, "checkpoint", waived_by_person(work, ledger, rated))
        days = work.settings.checkpoints[checkpoint].pro_forma_grace_days
        if days and work.decisions[-1].verdict == "released":
            through = changed(order, pro_forma_grace_through=work.today + days)
            work.put(ORDERS, order.customer_id, order.order_id, through)


def _publish_trial(work: Work, ledger: Ledger, order: Order, checkpoint: Checkpoint, reasons: tuple[str, ...]) -> None:
    found = Judgement(facts_of(work, ledger, order, checkpoint), (), ())
    work.decide(decision_of(work, found, verdict_of(order), reasons, "checkpoint", pro_forma=True))


def publish_trial_of(work: Work, found: Judgement, cause: Cause, waived: frozenset[str]) -> None:
    """What a judgement would have decided, as a pro-forma decision. `waived` is what a person's release waives."""
    if found.holding and waived.issuperset(found.holding):
        work.decide(decision_of(work, found, "released", (codes.RELEASE_HONORED,), cause, pro_forma=True))
        return
    found = less(found, waived)
    verdict: Verdict = "on_hold" if found.holding else "released"
    reasons = found.holding or (found.noted if found.releasing is None else (found.releasing,))
    work.decide(decision_of(work, found, verdict, reasons, cause, pro_forma=True))


def check_order(work: Work, ledger: Ledger, event: CheckOrder) -> Refusal | None:
    """Would this order be released? Nothing is reserved or written (spec 13.4)."""
    if refusal := forbidden(work, event) or _unacceptable(work, event):
        return refusal
    known = work.get(ORDERS, event.customer_id, event.order_id)
    order = _with_event(known or Order(event.order_id, event.customer_id), event)
    if known is not None and known.placed and known.currency != event.currency:
        order, _ = _in_other_currency(work, ledger, known, order)
    order = with_todays_rate(work, ledger, order)
    if known is not None and not known.placed:
        order = _with_what_came_before(work, ledger, order)
    forced = known is not None and is_forced(work, known)
    counted_as = known if known is not None and known.placed else None
    found = judge_in_place(work, ledger, order, known, "order_entry", forced=forced)
    if found.needs_group:
        ask_and_begin_anew(work, ledger, order, counted_as, found, others_wait=False)
    else:
        publish_trial_of(work, found, "command", waived_by_person(work, ledger, order))
    return None


# --- deliveries and ends ----------------------------------------------------------------------------------------


def order_delivered(work: Work, ledger: Ledger, event: OrderDelivered) -> Refusal | None:
    """The value delivered so far. It counts even if its order is on hold or closed (spec 15, 3)."""
    order = work.get(ORDERS, event.customer_id, event.order_id)
    if not money.is_decimal(event.delivered_amount) or money.ratio(event.delivered_amount).numerator < 0:
        return Refusal(codes.INVALID, 'The delivered amount must be decimal text from 0 on, such as "600.00".')
    if order is None or not order.placed:
        early = order or Order(event.order_id, event.customer_id)
        work.put(ORDERS, event.customer_id, event.order_id, changed(early, early_delivered=event.delivered_amount))
        return None
    delivered = money.amount_of_document(event.delivered_amount, work.currencies[order.currency])
    if delivered is None:
        return Refusal(
            codes.INVALID,
            f"The delivered amount is too large or has more decimals than {order.currency} has: mend it first.",
        )
    ledger.count(changed(order, delivered_minor=delivered), order)
    return None


def order_cancelled(work: Work, ledger: Ledger, event: OrderCancelled) -> Refusal | None:
    """The open part of the order is 0; a held one leaves the list (spec 3.2, 7.1)."""
    return _end(work, ledger, event, "cancelled")


def order_closed(work: Work, ledger: Ledger, event: OrderClosed) -> Refusal | None:
    """Short close: what is neither delivered nor invoiced is dropped (spec 3.2, G16)."""
    return _end(work, ledger, event, "closed")


def _end(work: Work, ledger: Ledger, event: OrderCancelled | OrderClosed, lifecycle: Lifecycle) -> Refusal | None:
    order = _placed(work, event)
    if isinstance(order, Refusal):
        return order
    if order.lifecycle == "cancelled" or order.lifecycle == lifecycle:
        return Refusal(codes.INVALID, f"Order {order.order_id} is {order.lifecycle} already.")
    if ledger.account.holds:
        take_off_list(work, ledger, order.order_id)
    ended = give_up_asking(work, ledger, order)
    standing = "released" if ended.standing == "on_hold" else ended.standing
    ledger.count(changed(ended, lifecycle=lifecycle, standing=standing), order)
    work.free(event.customer_id)
    return None


def order_reopened(work: Work, ledger: Ledger, event: OrderReopened) -> Refusal | None:
    """A closed order is open again, and is checked (spec 5.7). A checkpoint may have held it while it was closed: then
    it is checked there, whether or not that checks any more, as a held order that changes is."""
    order = _placed(work, event)
    if isinstance(order, Refusal):
        return order
    if order.lifecycle != "closed":
        return Refusal(codes.INVALID, f"Order {order.order_id} is {order.lifecycle}: only a closed order is reopened.")
    reopened = changed(order, lifecycle="open", release=None)
    is_checked = checks_at(work, order.checkpoint) or not work.settings.posting_somewhere
    if is_checked or order.standing == "on_hold":
        check(work, ledger, reopened, order, order.checkpoint, "change")
    else:
        reasons = order.last_reasons if order.standing == "rejected" else (codes.NOT_CHECKED,)
        answer(work, ledger, reopened, order, order.checkpoint, reasons, "change")
    return None


def _placed(work: Work, event: OrderEvent) -> Order | Refusal:
    order = work.get(ORDERS, event.customer_id, event.order_id)
    if order is None or not order.placed:
        return Refusal(
            codes.UNKNOWN_REFERENCE,
            f"Customer {event.customer_id} has no order {event.order_id}: send its OrderPlaced first, then this again.",
        )
    return order
