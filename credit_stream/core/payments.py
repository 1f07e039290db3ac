"""The events of payments and credit notes (spec 3): each handler returns None, or why the event is refused."""

from __future__ import annotations

from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.credits import (
    SETTLEMENTS_MAX,
    apply_settlements,
    count_credit,
    open_of,
    settle,
    take,
    too_many_settlements,
    unsettle,
    write,
)
from credit_stream.core.events import CreditNotePosted, PaymentApplied, PaymentReceived, PaymentReversed
from credit_stream.core.invoices import give_order_back, whole_credit
from credit_stream.core.rates import missing, rate_in_force
from credit_stream.core.rows import (
    CREDIT_NOTES,
    INVOICES,
    MARK,
    PAYMENTS,
    UNCOUNTED,
    Credit,
    Invoice,
    WaitingSettlement,
)
from credit_stream.core.view import Refusal
from credit_stream.core.work import Work


def payment_received(work: Work, ledger: Ledger, event: PaymentReceived) -> Refusal | None:
    """Money came in: it settles invoices, the rest is unapplied and lowers exposure."""
    if event.amount_minor < 0:
        return Refusal(codes.INVALID, "A payment is not negative: send PaymentReversed for one that was returned.")
    if work.get(PAYMENTS, event.customer_id, event.payment_id) is not None:
        return Refusal(
            codes.INVALID, f"Payment {event.payment_id} was received already: give a new one its own number."
        )
    credit = Credit(
        kind="payment",
        credit_id=event.payment_id,
        customer_id=event.customer_id,
        amount_minor=event.amount_minor,
        currency=event.currency,
        dated=event.received_on,
        unapplied_minor=event.amount_minor,
    )
    counted = _counted(work, ledger, credit)
    if isinstance(counted, Refusal):
        return counted
    return _apply(work, ledger, counted, event)


def _counted(work: Work, ledger: Ledger, credit: Credit) -> Credit | Refusal:
    if ledger.profile is None:
        work.put(UNCOUNTED, credit.customer_id, f"{credit.kind}/{credit.credit_id}", MARK)
        return credit
    rate = rate_in_force(work, credit.currency, ledger.currency, credit.dated)
    if rate is None:
        return missing(credit.currency, ledger.currency, work.parameters.credit_rate_type)
    return count_credit(ledger, credit, rate)


def _apply(work: Work, ledger: Ledger, credit: Credit, event: PaymentReceived | PaymentApplied) -> Refusal | None:
    applied = apply_settlements(work, ledger, credit, event.settlements)
    if isinstance(applied, Refusal):
        return applied
    write(work, applied)
    work.free(event.customer_id)
    return None


def payment_applied(work: Work, ledger: Ledger, event: PaymentApplied) -> Refusal | None:
    """Unapplied cash settles invoices later."""
    credit = _received(work, event)
    if isinstance(credit, Refusal):
        return credit
    return _apply(work, ledger, credit, event)


def payment_reversed(work: Work, ledger: Ledger, event: PaymentReversed) -> Refusal | None:
    """The payment was returned: what it settled is open again, what was unapplied is gone (G14)."""
    credit = _received(work, event)
    if isinstance(credit, Refusal):
        return credit
    for invoice_id in dict.fromkeys(part.invoice_id for part in credit.settled):
        invoice = work.get(INVOICES, event.customer_id, invoice_id)
        if invoice is not None:
            whole = [] if invoice.rate is None else whole_credit(ledger, invoice, invoice.rate)
            whole = whole or [0] * len(invoice.instalments)
            work.put(
                INVOICES, event.customer_id, invoice_id, unsettle(ledger, invoice, whole, "payment", credit.credit_id)
            )
    for invoice_id in dict.fromkeys(credit.waiting):
        _stop_waiting(work, credit, invoice_id)
    ledger.account.unapplied_minor -= credit.unapplied_credit_minor
    write(work, changed(credit, unapplied_minor=0, unapplied_credit_minor=0, settled=(), waiting=(), reversed=True))
    work.free(event.customer_id)
    return None


def _stop_waiting(work: Work, credit: Credit, invoice_id: str) -> None:
    invoice = work.get(INVOICES, credit.customer_id, invoice_id)
    if invoice is not None:
        left = tuple(one for one in invoice.waiting if (one.kind, one.credit_id) != ("payment", credit.credit_id))
        work.put(INVOICES, credit.customer_id, invoice_id, changed(invoice, waiting=left))


def _received(work: Work, event: PaymentApplied | PaymentReversed) -> Credit | Refusal:
    credit = work.get(PAYMENTS, event.customer_id, event.payment_id)
    if credit is None:
        return Refusal(
            codes.UNKNOWN_REFERENCE,
            f"Customer {event.customer_id} has no payment {event.payment_id}: "
            f"send its PaymentReceived first, then this again.",
        )
    if credit.reversed:
        return Refusal(codes.INVALID, f"Payment {event.payment_id} was reversed: nothing more can be done with it.")
    return credit


# --- credit notes -----------------------------------------------------------------------------------------------


def credit_note_posted(work: Work, ledger: Ledger, event: CreditNotePosted) -> Refusal | None:
    """A credit note on an invoice lowers what is open of it and gives its order the part back (G5).

    Without an invoice it is unapplied credit; one whose invoice is not seen yet counts as such until that comes.
    """
    if event.amount_minor < 0:
        return Refusal(codes.INVALID, "A credit note is not negative: send an invoice (InvoicePosted) instead.")
    if work.get(CREDIT_NOTES, event.customer_id, event.credit_note_id) is not None:
        return Refusal(
            codes.INVALID, f"Credit note {event.credit_note_id} was posted already: give a new one its number."
        )
    credit = Credit(
        kind="credit_note",
        credit_id=event.credit_note_id,
        customer_id=event.customer_id,
        amount_minor=event.amount_minor,
        currency=event.currency,
        dated=event.credit_note_date,
        unapplied_minor=event.amount_minor,
    )
    invoice = None if event.invoice_id is None else work.get(INVOICES, event.customer_id, event.invoice_id)
    if invoice is not None and invoice.posted:
        return _credit_invoice(work, ledger, credit, invoice)
    counted = _counted(work, ledger, credit)
    if isinstance(counted, Refusal):
        return counted
    if event.invoice_id is not None:
        counted = _wait_for_invoice(work, counted, event.invoice_id, invoice)
    write(work, counted)
    work.free(event.customer_id)
    return None


def _credit_invoice(work: Work, ledger: Ledger, credit: Credit, invoice: Invoice) -> Refusal | None:
    if credit.currency != invoice.currency:
        return Refusal(codes.INVALID, f"A credit note is in the currency of its invoice, {invoice.currency}: mend it.")
    if len(invoice.settled_by) >= SETTLEMENTS_MAX:
        return too_many_settlements(invoice)
    if invoice.voided or credit.amount_minor > open_of(invoice):
        return Refusal(
            codes.INVALID,
            f"The credit note is more than what is open of invoice {invoice.invoice_id}: "
            f"lower it, or send it without an invoice.",
        )
    at_invoices_rate = changed(credit, rate=invoice.rate)
    settled = settle(ledger, invoice, "credit_note", credit.credit_id, credit.amount_minor)
    settled = give_order_back(work, ledger, settled, credit.amount_minor)
    work.put(INVOICES, invoice.customer_id, invoice.invoice_id, settled)
    if invoice.rate is not None:
        at_invoices_rate = count_credit(ledger, at_invoices_rate, invoice.rate)
    else:
        work.put(UNCOUNTED, credit.customer_id, f"credit_note/{credit.credit_id}", MARK)
    write(work, take(ledger, at_invoices_rate, invoice.invoice_id, credit.amount_minor, credit.amount_minor))
    work.free(credit.customer_id)
    return None


def _wait_for_invoice(work: Work, credit: Credit, invoice_id: str, invoice: Invoice | None) -> Credit:
    early = invoice or Invoice(invoice_id, credit.customer_id)
    text = money.text(credit.amount_minor, work.currencies[credit.currency])
    waiting = WaitingSettlement("credit_note", credit.credit_id, text, "0")
    work.put(INVOICES, credit.customer_id, invoice_id, changed(early, waiting=(*early.waiting, waiting)))
    return changed(credit, waiting=(invoice_id,))
