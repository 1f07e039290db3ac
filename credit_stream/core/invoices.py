"""Invoices (spec 3): posting, settling by due date, voiding, and what an invoice takes off its order.

An invoice is kept in its own currency and in the credit currency at the rate of its date, instalment by instalment, so
that settling it removes exactly what posting it added (spec 1.2).
"""

from __future__ import annotations

from msgspec.structs import replace as changed

from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.credits import give_back, open_of, settle_waiting
from credit_stream.core.events import InvoiceDisputed, InvoicePosted, InvoiceVoided
from credit_stream.core.rates import missing, rate_in_force
from credit_stream.core.rows import INVOICES, MARK, ORDERS, UNCOUNTED, Invoice, OpenInstalment, Order
from credit_stream.core.view import Refusal
from credit_stream.core.work import Work

INSTALMENTS_MAX = 1_000
"""Instalments of one invoice: every settlement walks them."""


def invoice_posted(work: Work, ledger: Ledger, event: InvoicePosted) -> Refusal | None:
    """An invoice: it counts, takes its part off its order, and is settled by what came before it."""
    known = work.get(INVOICES, event.customer_id, event.invoice_id)
    if known is not None and known.posted:
        return Refusal(codes.INVALID, f"Invoice {event.invoice_id} was posted already: give a new one its own number.")
    if refusal := _unacceptable(event):
        return refusal
    rate = rate_in_force(work, event.currency, ledger.currency, event.invoice_date) if ledger.profile else None
    if ledger.profile is not None and rate is None:
        return missing(event.currency, ledger.currency, work.parameters.credit_rate_type)
    invoice = Invoice(
        invoice_id=event.invoice_id,
        customer_id=event.customer_id,
        order_id=event.order_id,
        amount_minor=event.amount_minor,
        currency=event.currency,
        invoice_date=event.invoice_date,
        posted=True,
        instalments=_instalments(event),
    )
    if rate is not None:
        invoice = count_invoice(ledger, invoice, rate)
    else:
        work.put(UNCOUNTED, event.customer_id, f"invoice/{event.invoice_id}", MARK)
    invoice = _take_off_order(work, ledger, invoice)
    for waiting in () if known is None else known.waiting:
        open_before = open_of(invoice)
        invoice = settle_waiting(work, ledger, invoice, waiting)
        if waiting.kind == "credit_note":
            invoice = give_order_back(work, ledger, invoice, open_before - open_of(invoice))
    work.put(INVOICES, event.customer_id, event.invoice_id, invoice)
    return None


def _unacceptable(event: InvoicePosted) -> Refusal | None:
    if event.amount_minor < 0:
        return Refusal(codes.INVALID, "An invoice is not negative: send a credit note (CreditNotePosted) instead.")
    if len(event.instalments) > INSTALMENTS_MAX:
        return Refusal(codes.INVALID, f"An invoice has at most {INSTALMENTS_MAX} instalments: split it.")
    if any(part.amount_minor < 0 for part in event.instalments):
        return Refusal(codes.INVALID, "An instalment is not negative: mend the instalments.")
    if event.instalments and sum(part.amount_minor for part in event.instalments) != event.amount_minor:
        return Refusal(codes.INVALID, "The instalments do not add up to the invoice's amount: mend one or the other.")
    return None


def _instalments(event: InvoicePosted) -> tuple[OpenInstalment, ...]:
    """The parts of the invoice, oldest due date first."""
    if not event.instalments:
        due = event.invoice_date if event.due_date is None else event.due_date
        return (OpenInstalment(due, event.amount_minor, event.amount_minor, 0),)
    parts = sorted(event.instalments, key=lambda part: part.due_date)
    return tuple(OpenInstalment(part.due_date, part.amount_minor, part.amount_minor, 0) for part in parts)


# --- counting and settling --------------------------------------------------------------------------------------


def whole_credit(ledger: Ledger, invoice: Invoice, rate: str) -> list[int]:
    """Each instalment in credit currency: all but the last are converted, the last is the difference (spec 15, 1.2)."""
    parts = [ledger.to_credit(part.amount_minor, invoice.currency, rate) for part in invoice.instalments]
    parts[-1] = ledger.to_credit(invoice.amount_minor, invoice.currency, rate) - sum(parts[:-1])
    return parts


def count_invoice(ledger: Ledger, invoice: Invoice, rate: str) -> Invoice:
    """Puts what is open of an invoice into the totals, at its rate."""
    instalments = []
    for part, whole in zip(invoice.instalments, whole_credit(ledger, invoice, rate), strict=True):
        settled = ledger.to_credit(part.amount_minor - part.open_minor, invoice.currency, rate)
        credit = whole - settled if part.open_minor else 0
        instalments.append(changed(part, open_credit_minor=credit))
        if part.open_minor:
            ledger.change_due(part.due_date, credit, 1)
    return changed(invoice, rate=rate, instalments=tuple(instalments))


def _take_off_order(work: Work, ledger: Ledger, invoice: Invoice) -> Invoice:
    """An invoice replaces its part of the order (spec 3.3). An order not seen yet gets it when it is placed."""
    if invoice.order_id is None:
        return invoice
    order = work.get(ORDERS, invoice.customer_id, invoice.order_id)
    if order is None or not order.placed:
        early = order or Order(invoice.order_id, invoice.customer_id)
        early = changed(early, early_invoices=(*early.early_invoices, invoice.invoice_id))
        work.put(ORDERS, invoice.customer_id, invoice.order_id, early)
        return invoice
    invoiced, invoice = less_invoice(ledger, order, invoice)
    ledger.count(invoiced, order)
    return invoice


def less_invoice(ledger: Ledger, order: Order, invoice: Invoice) -> tuple[Order, Invoice]:
    """The order with the invoice taken off it, and the invoice with its share of the order.

    In the order's currency the share is kept as such, and in credit currency at the order's rate; an invoice in another
    currency takes off what it is itself in credit currency.
    """
    credited = sum(by.amount_minor for by in invoice.settled_by if by.kind == "credit_note")
    amount = invoice.amount_minor - credited
    if invoice.currency != order.currency:
        foreign = 0 if invoice.rate is None else ledger.to_credit(amount, invoice.currency, invoice.rate)
        before = order.invoiced_foreign_credit_minor
        invoice = changed(invoice, order_share_foreign_credit_minor=foreign)
        return changed(order, invoiced_foreign_credit_minor=before + foreign), invoice
    at_orders_rate = 0 if order.rate is None else ledger.to_credit(amount, order.currency, order.rate)
    invoiced = changed(
        order,
        invoiced_minor=order.invoiced_minor + amount,
        invoiced_credit_minor=order.invoiced_credit_minor + at_orders_rate,
    )
    return invoiced, changed(invoice, order_share_minor=amount)


def less_its_invoices(work: Work, ledger: Ledger, order: Order) -> tuple[Order, list[Invoice]]:
    """The order, of which nothing is invoiced yet, with all its invoices taken off it, and these as they are then.

    For an order that comes in another currency: what is invoiced in its own now was foreign before, and the reverse.
    """
    taken = []
    for invoice_id in work.ids(INVOICES, order.customer_id):
        invoice = work.get(INVOICES, order.customer_id, invoice_id)
        if invoice is not None and invoice.order_id == order.order_id and invoice.posted and not invoice.voided:
            bare = changed(invoice, order_share_minor=0, order_share_foreign_credit_minor=0)
            order, invoice = less_invoice(ledger, order, bare)
            taken.append(invoice)
    return order, taken


def give_order_back(work: Work, ledger: Ledger, invoice: Invoice, amount_minor: int) -> Invoice:
    """A credit note or a void gives the order back what the invoice took off it (spec 3.2).

    Of a closed order only what is delivered counts again, since nothing else of it does (spec 15, section 3).
    """
    order = None if invoice.order_id is None else work.get(ORDERS, invoice.customer_id, invoice.order_id)
    if order is None or not order.placed or order.lifecycle == "cancelled":
        return invoice
    if invoice.currency != order.currency:
        return _give_back_foreign(ledger, order, invoice, amount_minor)
    left = max(0, invoice.order_share_minor - amount_minor)
    back = invoice.order_share_minor - left
    in_credit = 0
    if order.rate is not None:
        in_credit = ledger.to_credit(invoice.order_share_minor, order.currency, order.rate)
        in_credit -= ledger.to_credit(left, order.currency, order.rate)
    invoiced = max(0, order.invoiced_minor - back)
    given = changed(
        order,
        invoiced_minor=invoiced,
        # At a rate that came after several invoices they were converted as one: no cent of them may stay behind.
        invoiced_credit_minor=max(0, order.invoiced_credit_minor - in_credit) if invoiced else 0,
    )
    ledger.count(given, order)
    return changed(invoice, order_share_minor=left)


def _give_back_foreign(ledger: Ledger, order: Order, invoice: Invoice, amount_minor: int) -> Invoice:
    share = invoice.order_share_foreign_credit_minor
    part = share
    if amount_minor < invoice.amount_minor and invoice.rate is not None:
        part = min(share, ledger.to_credit(amount_minor, invoice.currency, invoice.rate))
    given = max(0, order.invoiced_foreign_credit_minor - part)
    ledger.count(changed(order, invoiced_foreign_credit_minor=given), order)
    return changed(invoice, order_share_foreign_credit_minor=share - part)


# --- void and dispute -------------------------------------------------------------------------------------------


def invoice_voided(work: Work, ledger: Ledger, event: InvoiceVoided) -> Refusal | None:
    """The invoice never was: its open part goes, its order gets its part back, what settled it is unapplied."""
    invoice = _posted(work, event)
    if isinstance(invoice, Refusal):
        return invoice
    if invoice.voided:
        return Refusal(codes.INVALID, f"Invoice {invoice.invoice_id} is voided already.")
    for part in invoice.instalments:
        if part.open_minor and invoice.rate is not None:
            ledger.change_due(part.due_date, -part.open_credit_minor, -1)
    for settled in invoice.settled_by:
        give_back(work, ledger, invoice, settled)
    closed = tuple(changed(part, open_minor=0, open_credit_minor=0) for part in invoice.instalments)
    invoice = give_order_back(work, ledger, invoice, invoice.amount_minor)
    voided = changed(invoice, voided=True, instalments=closed, settled_by=())
    work.put(INVOICES, event.customer_id, event.invoice_id, voided)
    work.free(event.customer_id)
    return None


def invoice_disputed(work: Work, _ledger: Ledger, event: InvoiceDisputed) -> Refusal | None:
    """A dispute begins or ends; the invoice counts all the same (spec 3)."""
    invoice = _posted(work, event)
    if isinstance(invoice, Refusal):
        return invoice
    work.put(INVOICES, event.customer_id, event.invoice_id, changed(invoice, disputed=event.disputed))
    return None


def _posted(work: Work, event: InvoiceVoided | InvoiceDisputed) -> Invoice | Refusal:
    invoice = work.get(INVOICES, event.customer_id, event.invoice_id)
    if invoice is None or not invoice.posted:
        return Refusal(
            codes.UNKNOWN_REFERENCE,
            f"Customer {event.customer_id} has no invoice {event.invoice_id}: "
            f"send its InvoicePosted first, then this again.",
        )
    return invoice
