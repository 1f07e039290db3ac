"""The moves of a random history: what Hypothesis gives are small numbers, what they mean depends on what is there.

`a` and `b` choose, `c` is an amount. A move that there is nothing for answers None and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from credit_stream.core import events as e
from credit_stream.core.outputs import CreditDecision, DeadLetter
from credit_stream.hosts.memory import Produced
from tests.core.histories import CUSTOMER, DAY_MS, History
from tests.core.model import Payment

Move = tuple[str, int, int, int]
"""Name, a, b, c."""
Played = list[Produced] | None
PlayMove = Callable[[History, int, int, int], Played]


def play(history: History, move: Move) -> None:
    """One move, left out where there is nothing to make it on; then the books are compared."""
    name, a, b, c = move
    produced = MOVES[name](history, a, b, c)
    if produced is not None:
        history.note_verdicts(produced)
        history.compare()


def pick(ids: Sequence[str], number: int) -> str | None:
    """One of the ids, None when there is none."""
    return ids[number % len(ids)] if ids else None


# --- moves: orders ----------------------------------------------------------------------------------------------


def _place(history: History, a: int, b: int, c: int) -> list[Produced]:
    order_id = f"O{len(history.books.orders)}"
    event_type = e.OrderChanged if a == 0 else e.OrderPlaced
    return _state(history, event_type, order_id, -c if b == 1 else c, c // 3 if b == 2 else 0)


def _state(
    history: History, event_type: type[e.OrderPlaced], order_id: str, amount: int, secured: int
) -> list[Produced]:
    fields = {"amount_minor": amount, "secured_amount_minor": secured, "currency": history.variant.currency}
    known = history.books.orders.get(order_id)
    before = 0 if known is None else sum(history.books.parts_of(order_id))
    produced = history.send(event_type, order_id=order_id, customer_id=CUSTOMER, **fields)
    history.books.place(order_id, amount, secured)
    rises = sum(history.books.parts_of(order_id)) > before
    if known is None or known.verdict == "on_hold" or rises:
        history.compare_check(order_id, produced)
    else:
        (decision, *_) = [record for _, key, record in produced if key == order_id]
        assert isinstance(decision, CreditDecision) and decision.reasons == ("not_checked",)
    return produced


def _change(history: History, a: int, b: int, c: int) -> Played:
    order_id = pick([id for id in history.orders("open") if id not in history.forced], a)
    if order_id is None:
        return None
    return _state(history, e.OrderChanged, order_id, c, c // 2 if b == 2 else 0)


def _place_again(history: History, a: int, b: int, c: int) -> Played:
    order_id = pick(list(history.books.orders), a)
    if order_id is None:
        return None
    fields = {"order_id": order_id, "customer_id": CUSTOMER, "amount_minor": c, "currency": history.variant.currency}
    return history.send(e.OrderPlaced, refused=True, **fields)


def _deliver(history: History, a: int, b: int, c: int) -> Played:
    order_id = pick([id for id in history.orders("open") if history.books.orders[id].amount > 0], a)
    if order_id is None:
        return None
    order = history.books.orders[order_id]
    order.delivered = max(order.delivered, c)
    amount = history.text(order.delivered)
    return history.send(e.OrderDelivered, order_id=order_id, customer_id=CUSTOMER, delivered_amount=amount)


def _ends(event_type: type[e.Event], state: str, *states: str) -> PlayMove:
    def move(history: History, a: int, b: int, c: int) -> Played:
        order_id = pick(history.orders(*states), a)
        if order_id is None:
            return None
        history.books.orders[order_id].state = state
        return history.send(event_type, order_id=order_id, customer_id=CUSTOMER)

    return move


def _reopen(history: History, a: int, b: int, c: int) -> Played:
    order_id = pick(history.orders("closed"), a)
    if order_id is None:
        return None
    history.books.orders[order_id].state = "open"
    return history.send(e.OrderReopened, order_id=order_id, customer_id=CUSTOMER)


# --- moves: people ----------------------------------------------------------------------------------------------


def _release(history: History, a: int, b: int, c: int) -> Played:
    order_id = pick(history.orders("open", verdicts=("on_hold",)), a)
    if order_id is None:
        return None
    history.forced.discard(order_id)
    return history.send(e.ReleaseOrder, order_id=order_id, customer_id=CUSTOMER, release_reason="paid")


def _reject(history: History, a: int, b: int, c: int) -> Played:
    held = history.orders("open", verdicts=("on_hold",))
    order_id = pick([id for id in held if not history.books.orders[id].delivered], a)
    if order_id is None:
        return None
    return history.send(e.RejectOrder, order_id=order_id, customer_id=CUSTOMER, reason="no")


def _force(history: History, a: int, b: int, c: int) -> Played:
    order_id = pick([id for id in history.orders("open") if sum(history.books.parts_of(id))], a)
    if order_id is None:
        return None
    history.forced.add(order_id)
    return history.send(e.ForceHold, order_id=order_id, customer_id=CUSTOMER, reason="clearing")


def _evaluate(history: History, a: int, b: int, c: int) -> list[Produced]:
    return history.send(e.EvaluateHolds, customer_id=CUSTOMER)


# --- moves: invoices --------------------------------------------------------------------------------------------


def _invoice(history: History, a: int, b: int, c: int) -> list[Produced]:
    books = history.books
    awaited = [id for payment in books.payments.values() for id, _, _ in payment.waiting]
    invoice_id = awaited[0] if awaited and a % 2 else f"I{len(books.invoices)}"
    needed = sum(x + d for p in books.payments.values() for id, x, d in p.waiting if id == invoice_id)
    amount = max(c, needed, 3)
    order = pick([*books.orders, f"O{len(books.orders)}"], b) if a % 3 else None
    first = amount // 3
    parts = [(books.today + b - 5, amount)]
    if a % 4 == 1:
        parts = [(books.today + b, first), (books.today - b, amount - first)]
    instalments = tuple(e.Instalment(due_date=due, amount_minor=part) for due, part in parts) if len(parts) > 1 else ()
    produced = history.send(
        e.InvoicePosted,
        invoice_id=invoice_id,
        customer_id=CUSTOMER,
        order_id=order,
        amount_minor=amount,
        currency=history.variant.currency,
        invoice_date=books.today - 10,
        due_date=None if instalments else parts[0][0],
        instalments=instalments,
    )
    books.post_invoice(invoice_id, amount, parts, order)
    return produced


def _bad_invoice(history: History, a: int, b: int, c: int) -> list[Produced]:
    parts = (e.Instalment(due_date=history.books.today, amount_minor=c), e.Instalment(due_date=1, amount_minor=a + 1))
    fields = {
        "invoice_date": history.books.today,
        "currency": history.variant.currency,
        "amount_minor": c,
        "instalments": parts,
    }
    return history.send(e.InvoicePosted, refused=True, invoice_id="bad", customer_id=CUSTOMER, **fields)


def _credit(history: History, a: int, b: int, c: int) -> Played:
    invoice_id = pick(history.invoices(), a)
    if invoice_id is None:
        return None
    amount = min(max(c, 1), history.books.invoices[invoice_id].open) + (b == 1) * 10**9
    produced = _credit_note(history, invoice_id, amount, refused=b == 1)
    if b != 1:
        history.books.credit(invoice_id, amount)
    return produced


def _credit_freely(history: History, a: int, b: int, c: int) -> list[Produced]:
    history.books.credits += c + 1
    return _credit_note(history, None, c + 1)


def _credit_note(history: History, invoice_id: str | None, amount: int, refused: bool = False) -> list[Produced]:
    return history.send(
        e.CreditNotePosted,
        refused=refused,
        credit_note_id=f"N{len(history.sent)}",
        customer_id=CUSTOMER,
        invoice_id=invoice_id,
        amount_minor=amount,
        currency=history.variant.currency,
        credit_note_date=history.books.today,
    )


def _void(history: History, a: int, b: int, c: int) -> Played:
    invoices = history.books.invoices
    invoice_id = pick([id for id, invoice in invoices.items() if not (invoice.voided or invoice.with_discount)], a)
    if invoice_id is None:
        return None
    history.books.void(invoice_id)
    return history.send(e.InvoiceVoided, invoice_id=invoice_id, customer_id=CUSTOMER)


def _dispute(history: History, a: int, b: int, c: int) -> Played:
    invoice_id = pick(history.invoices(), a)
    if invoice_id is None:
        return None
    return history.send(e.InvoiceDisputed, invoice_id=invoice_id, customer_id=CUSTOMER, disputed=b % 2 == 0)


# --- moves: payments --------------------------------------------------------------------------------------------


def _pay(history: History, a: int, b: int, c: int) -> list[Produced]:
    """A payment on up to two invoices, with or without discount; `b` 1: more than is open, which is refused."""
    books = history.books
    ids = history.invoices()[a % 3 :][:2]
    shares = [(id, min(c // 2 + 1, books.invoices[id].open)) for id in ids]
    settlements = [(id, share - share // 10, share // 10 if b == 2 else 0) for id, share in shares]
    refused = b == 1 and bool(ids)
    if refused:
        settlements = [(ids[0], books.invoices[ids[0]].open + 1, 0)]
    return _payment(history, sum(s[1] for s in settlements) + a * 100, settlements, refused)


def _pay_ahead(history: History, a: int, b: int, c: int) -> list[Produced]:
    """A payment on an invoice that is yet to come."""
    return _payment(history, c + 10 + a, [(f"F{len(history.sent)}", c + 10, b)])


def _payment(
    history: History, amount: int, settlements: list[tuple[str, int, int]], refused: bool = False
) -> list[Produced]:
    books = history.books
    payment_id = f"P{len(history.sent)}"
    produced = history.send(
        e.PaymentReceived,
        refused=refused,
        payment_id=payment_id,
        customer_id=CUSTOMER,
        amount_minor=amount + 1,
        currency=history.variant.currency,
        received_on=books.today,
        settlements=_settlements(history, settlements),
    )
    if not refused:
        payment = books.payments[payment_id] = Payment(amount + 1)
        for settlement in settlements:
            books.settle(payment, *settlement)
    return produced


def _settlements(history: History, shares: Sequence[tuple[str, int, int]]) -> tuple[e.Settlement, ...]:
    text = history.text
    return tuple(e.Settlement(invoice_id=id, amount=text(x), discount=text(d)) for id, x, d in shares)


def _apply(history: History, a: int, b: int, c: int) -> Played:
    """Money on account goes to an invoice; `b` 1: more than there is, which is refused."""
    books = history.books
    payment_id = pick([id for id in history.payments() if not books.payments[id].waiting], a)
    invoice_id = pick(history.invoices(), b)
    if payment_id is None or invoice_id is None or books.payments[payment_id].unapplied == 0:
        return None
    payment, refused = books.payments[payment_id], b == 1
    amount = payment.unapplied + 1 if refused else min(c + 1, payment.unapplied, books.invoices[invoice_id].open)
    fields = {"applied_on": books.today, "settlements": _settlements(history, [(invoice_id, amount, 0)])}
    produced = history.send(e.PaymentApplied, refused=refused, payment_id=payment_id, customer_id=CUSTOMER, **fields)
    if not refused:
        books.settle(payment, invoice_id, amount, 0)
    return produced


def _reverse(history: History, a: int, b: int, c: int) -> Played:
    payment_id = pick(history.payments(), a)
    if payment_id is None:
        return None
    history.books.reverse(payment_id)
    return history.send(e.PaymentReversed, payment_id=payment_id, customer_id=CUSTOMER, reversed_on=history.books.today)


# --- moves: time ------------------------------------------------------------------------------------------------


def _day(history: History, a: int, b: int, c: int) -> list[Produced]:
    history.books.today += a % 4 + 1
    history.seconds = 0
    return history.send(e.ClockTicked, instant=history.books.today * DAY_MS)


def _repeat(history: History, a: int, b: int, c: int) -> list[Produced]:
    """An event of the past once more; a refused one would be refused again, so it is left out."""
    before = len(history.outputs)
    event = history.sent[a % len(history.sent)]
    refused = any(isinstance(r, DeadLetter) and r.event_id == event.event_id for _, _, r in history.outputs)
    produced = [] if refused else history.take(event)
    assert all(isinstance(record, CreditDecision) for _, _, record in produced)
    assert all(output in history.outputs[:before] for output in produced)
    return []


def _nothing(history: History, a: int, b: int, c: int) -> None:
    """What Hypothesis makes of a move that does not matter."""


MOVES: dict[str, PlayMove] = {
    "nothing": _nothing,
    "place": _place,
    "change": _change,
    "place_again": _place_again,
    "deliver": _deliver,
    "cancel": _ends(e.OrderCancelled, "cancelled", "open", "closed"),
    "close": _ends(e.OrderClosed, "closed", "open"),
    "reopen": _reopen,
    "release": _release,
    "reject": _reject,
    "force": _force,
    "evaluate": _evaluate,
    "invoice": _invoice,
    "bad_invoice": _bad_invoice,
    "credit": _credit,
    "credit_freely": _credit_freely,
    "void": _void,
    "dispute": _dispute,
    "pay": _pay,
    "pay_ahead": _pay_ahead,
    "apply": _apply,
    "reverse": _reverse,
    "day": _day,
    "repeat": _repeat,
}
FREQUENT = ("place", "invoice", "invoice", "pay", "deliver", "change", "close", "reopen", "release", "apply")
"""Moves that come more often than the others: something to make the others on, and what needs others before it."""

_move = st.tuples(
    st.sampled_from((*MOVES, *FREQUENT)),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 99) | st.integers(0, 150_000),
)
moves = st.lists(_move, max_size=10) | st.lists(_move, min_size=30, max_size=60)
"""Short histories, and long ones, in which a move can meet what many others left."""
