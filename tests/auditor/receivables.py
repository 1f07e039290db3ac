"""Invoices, credit notes and payments (spec 3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from tests.auditor.books import CreditNote, Invoice, Move, Payment
from tests.auditor.facts import Customer
from tests.auditor.money import Money, convert, minor
from tests.auditor.partition import Event, Part, Refused, Value

if TYPE_CHECKING:
    from tests.auditor.world import World


def keep_rate(customer: Customer, part: Part, row: tuple[str, str], currency: str, day: date) -> bool:
    """Puts the rate of the document's own date on its row; False if there is none."""
    if customer.profile is None:
        return True
    found, rate = part.rates.find(part.book["credit_rate_type"], currency, customer.currency, day)
    customer.books.kept_rates[row] = rate
    customer.books.lacking.discard(row)
    if not found:
        customer.books.lacking.add(row)
    return found


def posted(world: World, event: Event, part: Part) -> None:
    """`InvoicePosted`, with what came before it."""
    customer = world.customer(part, event["customer_id"])
    if event["invoice_id"] in customer.books.invoices:
        raise Refused("invalid")
    currency, day = event["currency"], date.fromisoformat(event["invoice_date"])
    if not keep_rate(customer, part, ("invoice", event["invoice_id"]), currency, day):
        raise Refused("exchange_rate_missing")
    amount = minor(event["amount"], currency) or 0
    due = date.fromisoformat(event.get("due_date") or event["invoice_date"])
    parts = [
        (date.fromisoformat(p["due_date"]), minor(p["amount"], currency) or 0) for p in event.get("instalments") or ()
    ]
    parts = sorted(parts, key=lambda part: part[0]) or [(due, amount)]
    invoice = Invoice(event["invoice_id"], event.get("order_id"), amount, currency, day, parts)
    customer.books.invoices[invoice.invoice_id] = invoice
    match_early(customer, invoice, part)


def match_early(customer: Customer, invoice: Invoice, part: Part) -> None:
    """What payments and credit notes that came before the invoice meant for it, in the order in which that came."""
    books = customer.books
    wishes: list[tuple[int, Payment | CreditNote, tuple[str, str, str, int] | None]] = [
        (row[3], payment, row)
        for payment in books.payments.values()
        for row in payment.waiting
        if row[0] == invoice.invoice_id
    ]
    notes = (note for note in books.notes.values() if note.invoice_id == invoice.invoice_id and note.move is None)
    wishes += [(note.arrived, note, None) for note in notes]
    for _, document, wish in sorted(wishes, key=lambda row: row[0]):
        if isinstance(document, Payment):
            assert wish is not None
            settle_early(document, invoice, wish, part)
        elif document.currency == invoice.currency and (amount := min(document.amount, invoice.open)) > 0:
            document.move = Move(document.credit_note_id, True, amount, 0)
            invoice.moves.append(("settled", document.move))


def settle_early(payment: Payment, invoice: Invoice, wanted: tuple[str, str, str, int], part: Part) -> None:
    """What was meant for the invoice, as far as it is open and the money is still there; cash before discount.

    In another currency at the rate of the payment's date, in proportion; without one it stays unapplied.
    """
    payment.waiting.remove(wanted)
    pair = (invoice.currency, payment.currency)
    found, rate = part.rates.find(part.book["credit_rate_type"], *pair, payment.day)
    wish, unapplied = minor(wanted[1], invoice.currency) or 0, payment.unapplied
    cash = min(wish, invoice.open)
    taken = cash if rate is None else convert(wish, *pair, rate) * cash // max(1, wish)
    if taken > unapplied:
        cash, taken = cash * unapplied // taken, unapplied
    if found and cash > 0:
        discount = min(minor(wanted[2], invoice.currency) or 0, invoice.open - cash)
        apply(payment, invoice, cash, discount, taken)


def apply(payment: Payment, invoice: Invoice, cash: Money, discount: Money, taken: Money) -> None:
    """A settlement."""
    move = Move(payment.payment_id, False, cash + discount, cash)
    invoice.moves.append(("settled", move))
    payment.applied.append((invoice.invoice_id, move, taken))


def credited(world: World, event: Event, part: Part) -> None:
    """`CreditNotePosted`."""
    customer = world.customer(part, event["customer_id"])
    if event["credit_note_id"] in customer.books.notes:
        raise Refused("invalid")
    currency, day = event["currency"], date.fromisoformat(event["credit_note_date"])
    amount, count = minor(event["amount"], currency) or 0, customer.books.next_arrival()
    note = CreditNote(event["credit_note_id"], amount, currency, day, count, event.get("invoice_id"))
    invoice = customer.books.invoices.get(note.invoice_id or "")
    if invoice is not None and (invoice.currency != currency or note.amount > invoice.open):
        raise Refused("invalid")
    if invoice is not None:
        rate_of_invoice(customer, note, invoice)
    elif not keep_rate(customer, part, ("note", note.credit_note_id), currency, day):
        raise Refused("exchange_rate_missing")
    customer.books.notes[note.credit_note_id] = note
    if invoice is not None and note.amount > 0:
        note.move = Move(note.credit_note_id, True, note.amount, 0)
        invoice.moves.append(("settled", note.move))


def rate_of_invoice(customer: Customer, note: CreditNote, invoice: Invoice) -> None:
    """A note on an invoice takes off what the invoice put on, at its rate (1.2); it needs none of its own."""
    books, of_note, of_invoice = customer.books, ("note", note.credit_note_id), ("invoice", invoice.invoice_id)
    books.kept_rates[of_note] = books.kept_rates.get(of_invoice)
    if of_invoice in books.lacking:
        books.lacking.add(of_note)


def known_invoice(world: World, event: Event, part: Part) -> Invoice:
    """The invoice of an event about one that must exist."""
    invoice = world.customer(part, event["customer_id"]).books.invoices.get(event["invoice_id"])
    if invoice is None:
        raise Refused("unknown_reference")
    return invoice


def voided(world: World, event: Event, part: Part) -> None:
    """`InvoiceVoided`: what settled it is unapplied again."""
    invoice = known_invoice(world, event, part)
    if invoice.voided:
        raise Refused("invalid")
    invoice.voided = True
    for _, move in invoice.moves:
        move.alive = False


def disputed(world: World, event: Event, part: Part) -> None:
    """`InvoiceDisputed`: a disputed invoice counts all the same."""
    known_invoice(world, event, part)


def received(world: World, event: Event, part: Part) -> None:
    """`PaymentReceived`."""
    customer = world.customer(part, event["customer_id"])
    if event["payment_id"] in customer.books.payments:
        raise Refused("invalid")
    currency, day = event["currency"], date.fromisoformat(event["received_on"])
    payment = Payment(event["payment_id"], minor(event["amount"], currency) or 0, currency, day)
    if not keep_rate(customer, part, ("payment", payment.payment_id), currency, day):
        raise Refused("exchange_rate_missing")
    settle_invoices(customer, payment, event.get("settlements") or (), part, day)
    customer.books.payments[payment.payment_id] = payment


def settle_invoices(customer: Customer, payment: Payment, wanted: Iterable[Value], part: Part, day: date) -> None:
    """All settlements, or none: more than open of an invoice or than there is of the payment is invalid."""
    before, waiting = len(payment.applied), list(payment.waiting)
    try:
        for settlement in wanted:
            settle_one(customer, payment, settlement, part, day)
    except Refused:
        for invoice_id, move, _ in payment.applied[before:]:
            customer.books.invoices[invoice_id].moves.remove(("settled", move))
        del payment.applied[before:]
        payment.waiting = waiting
        raise


def settle_one(customer: Customer, payment: Payment, settlement: Value, part: Part, day: date) -> None:
    """One settlement; of an invoice not seen yet it waits."""
    invoice = customer.books.invoices.get(settlement["invoice_id"])
    discount_text = settlement.get("discount") or "0"
    if invoice is None:
        wish = (settlement["invoice_id"], settlement["amount"], discount_text, customer.books.next_arrival())
        payment.waiting.append(wish)
        return
    found, rate = part.rates.find(part.book["credit_rate_type"], invoice.currency, payment.currency, day)
    if not found:
        raise Refused("exchange_rate_missing")
    cash, discount = minor(settlement["amount"], invoice.currency), minor(discount_text, invoice.currency)
    if invoice.voided or cash is None or discount is None or cash + discount > invoice.open:
        raise Refused("invalid")
    taken = convert(cash, invoice.currency, payment.currency, rate)
    if taken > payment.unapplied:
        raise Refused("invalid")
    apply(payment, invoice, cash, discount, taken)


def undo(customer: Customer, payment: Payment) -> None:
    """Takes the settlements of a payment back, newest instalment first."""
    for invoice_id, move, _ in payment.applied:
        if move.alive:
            customer.books.invoices[invoice_id].moves.append(("given back", move))
            move.alive = False


def standing_payment(world: World, event: Event, part: Part) -> tuple[Customer, Payment]:
    """The payment of an event about one that must be there and not be reversed, and whose it is."""
    customer = world.customer(part, event["customer_id"])
    payment = customer.books.payments.get(event["payment_id"])
    if payment is None:
        raise Refused("unknown_reference")
    if payment.reversed:
        raise Refused("invalid")
    return customer, payment


def applied(world: World, event: Event, part: Part) -> None:
    """`PaymentApplied`."""
    customer, payment = standing_payment(world, event, part)
    settle_invoices(customer, payment, event["settlements"], part, payment.day)


def reversed_(world: World, event: Event, part: Part) -> None:
    """`PaymentReversed`."""
    customer, payment = standing_payment(world, event, part)
    undo(customer, payment)
    payment.reversed = True
    payment.waiting = []
