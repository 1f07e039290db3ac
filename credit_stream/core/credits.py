"""Payments and credit notes (spec 3): what they settle of invoices, and what of them stays unapplied.

Both are a `Credit`: money of the customer in its own currency, of which settlements take parts. A settlement takes the
oldest instalment first; what is given back goes to the newest first (spec 15, section 3).
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.events import Settlement
from credit_stream.core.rates import converted, missing, rate_in_force
from credit_stream.core.rows import (
    CREDIT_NOTES,
    INVOICES,
    PAYMENTS,
    Credit,
    CreditKind,
    Invoice,
    OpenInstalment,
    Settled,
    SettledBy,
    WaitingSettlement,
)
from credit_stream.core.view import Refusal, Table
from credit_stream.core.work import Work

SETTLEMENTS_MAX = 10_000
"""Settlements of one payment, or of one invoice: a reversal or a void takes all of them back in one step."""


def table_of(kind: CreditKind) -> Table[Credit]:
    """Where payments or credit notes are kept."""
    return PAYMENTS if kind == "payment" else CREDIT_NOTES


def write(work: Work, credit: Credit) -> None:
    """Writes the row."""
    work.put(table_of(credit.kind), credit.customer_id, credit.credit_id, credit)


# --- one invoice, in its own currency ---------------------------------------------------------------------------


def open_of(invoice: Invoice) -> int:
    """What is open of an invoice, in its currency."""
    return sum(part.open_minor for part in invoice.instalments)


def settle(ledger: Ledger, invoice: Invoice, kind: CreditKind, credit_id: str, amount_minor: int) -> Invoice:
    """Takes an amount, discount included, off what is open of an invoice: the oldest instalment first."""
    left = amount_minor
    instalments: list[OpenInstalment] = []
    for part in invoice.instalments:
        taken = min(left, part.open_minor)
        left -= taken
        instalments.append(_less(ledger, invoice, part, taken) if taken else part)
    settled_by = (*invoice.settled_by, SettledBy(kind, credit_id, amount_minor))
    return changed(invoice, instalments=tuple(instalments), settled_by=settled_by)


def _less(ledger: Ledger, invoice: Invoice, part: OpenInstalment, taken_minor: int) -> OpenInstalment:
    open_minor = part.open_minor - taken_minor
    if invoice.rate is None:
        return changed(part, open_minor=open_minor)
    gone = part.open_credit_minor
    if open_minor:
        gone = min(gone, ledger.to_credit(taken_minor, invoice.currency, invoice.rate))
    ledger.change_due(part.due_date, -gone, 0 if open_minor else -1)
    return changed(part, open_minor=open_minor, open_credit_minor=part.open_credit_minor - gone)


def unsettle(ledger: Ledger, invoice: Invoice, whole: list[int], kind: CreditKind, credit_id: str) -> Invoice:
    """Opens again what a payment settled of an invoice: the newest instalment first.

    `whole` is every instalment in credit currency, as it was when nothing was settled.
    """
    left = sum(by.amount_minor for by in invoice.settled_by if (by.kind, by.credit_id) == (kind, credit_id))
    instalments = list(invoice.instalments)
    for index in reversed(range(len(instalments))):
        part = instalments[index]
        given = min(left, part.amount_minor - part.open_minor)
        left -= given
        if given:
            instalments[index] = _more(ledger, invoice, part, given, whole[index])
    settled_by = tuple(by for by in invoice.settled_by if (by.kind, by.credit_id) != (kind, credit_id))
    return changed(invoice, instalments=tuple(instalments), settled_by=settled_by)


def _more(ledger: Ledger, invoice: Invoice, part: OpenInstalment, given_minor: int, whole_minor: int) -> OpenInstalment:
    open_minor = part.open_minor + given_minor
    if invoice.rate is None:
        return changed(part, open_minor=open_minor)
    back = whole_minor - part.open_credit_minor
    if open_minor < part.amount_minor:
        back = min(back, ledger.to_credit(given_minor, invoice.currency, invoice.rate))
    ledger.change_due(part.due_date, back, 0 if part.open_minor else 1)
    return changed(part, open_minor=open_minor, open_credit_minor=part.open_credit_minor + back)


# --- one credit -------------------------------------------------------------------------------------------------


def count_credit(ledger: Ledger, credit: Credit, rate: str) -> Credit:
    """Puts what is unapplied of a payment or credit note into the totals, at the rate of its date."""
    whole = ledger.to_credit(credit.amount_minor, credit.currency, rate)
    taken = [ledger.to_credit(part.taken_minor, credit.currency, rate) for part in credit.settled]
    settled = tuple(changed(part, taken_credit_minor=gone) for part, gone in zip(credit.settled, taken, strict=True))
    unapplied = 0 if credit.reversed or not credit.unapplied_minor else max(0, whole - sum(taken))
    ledger.account.unapplied_minor += unapplied
    return changed(credit, rate=rate, unapplied_credit_minor=unapplied, settled=settled)


def take(ledger: Ledger, credit: Credit, invoice_id: str, settled_minor: int, taken_minor: int) -> Credit:
    """Takes a settlement out of what is unapplied. `settled_minor` is in the invoice's currency, discount included."""
    gone = credit.unapplied_credit_minor
    if taken_minor < credit.unapplied_minor:
        gone = min(gone, ledger.to_credit(taken_minor, credit.currency, credit.rate)) if credit.rate else 0
    ledger.account.unapplied_minor -= gone
    return changed(
        credit,
        unapplied_minor=credit.unapplied_minor - taken_minor,
        unapplied_credit_minor=credit.unapplied_credit_minor - gone,
        settled=(*credit.settled, Settled(invoice_id, settled_minor, taken_minor, gone)),
    )


def give_back(work: Work, ledger: Ledger, invoice: Invoice, settled: SettledBy) -> None:
    """What settled a voided invoice becomes unapplied credit; a discount was no money and is gone."""
    credit = work.get(table_of(settled.kind), invoice.customer_id, settled.credit_id)
    if credit is None:
        return
    parts = [part for part in credit.settled if part.invoice_id == invoice.invoice_id]
    back = sum(part.taken_credit_minor for part in parts)
    ledger.account.unapplied_minor += back
    given = changed(
        credit,
        unapplied_minor=credit.unapplied_minor + sum(part.taken_minor for part in parts),
        unapplied_credit_minor=credit.unapplied_credit_minor + back,
        settled=tuple(part for part in credit.settled if part.invoice_id != invoice.invoice_id),
    )
    write(work, given)


# --- settlements ------------------------------------------------------------------------------------------------


class Amounts(NamedTuple):
    """A settlement in the invoice's currency, and what it takes of the payment in the payment's."""

    settled_minor: int
    taken_minor: int


def apply_settlements(
    work: Work, ledger: Ledger, credit: Credit, settlements: tuple[Settlement, ...]
) -> Credit | Refusal:
    """Settles invoices with a payment; those not seen yet wait for theirs (spec 2)."""
    if len(credit.settled) + len(credit.waiting) + len(settlements) > SETTLEMENTS_MAX:
        return Refusal(codes.INVALID, f"A payment settles at most {SETTLEMENTS_MAX} invoices: split it.")
    for settlement in settlements:
        invoice = work.get(INVOICES, credit.customer_id, settlement.invoice_id)
        if invoice is None or not invoice.posted:
            outcome = _wait(work, credit, settlement, invoice)
        else:
            outcome = _settle_now(work, ledger, credit, settlement, invoice)
        if isinstance(outcome, Refusal):
            return outcome
        credit = outcome
    return credit


def _more_than_there_is(credit: Credit) -> Refusal:
    return Refusal(
        codes.INVALID,
        f"The settlements take more than what is unapplied of {credit.credit_id}: lower them and send again.",
    )


def too_many_settlements(invoice: Invoice) -> Refusal:
    """The refusal of one more part payment of an invoice that has very many."""
    return Refusal(codes.INVALID, f"Invoice {invoice.invoice_id} has {SETTLEMENTS_MAX} settlements already.")


def _settle_now(
    work: Work, ledger: Ledger, credit: Credit, settlement: Settlement, invoice: Invoice
) -> Credit | Refusal:
    amounts = _amounts(work, credit, settlement, invoice)
    if isinstance(amounts, Refusal):
        return amounts
    if invoice.voided or amounts.settled_minor > open_of(invoice):
        return Refusal(
            codes.INVALID,
            f"More is settled than is open of invoice {invoice.invoice_id}: settle at most its open amount.",
        )
    if amounts.taken_minor > credit.unapplied_minor:
        return _more_than_there_is(credit)
    if len(invoice.settled_by) >= SETTLEMENTS_MAX:
        return too_many_settlements(invoice)
    settled = settle(ledger, invoice, credit.kind, credit.credit_id, amounts.settled_minor)
    work.put(INVOICES, invoice.customer_id, invoice.invoice_id, settled)
    return take(ledger, credit, invoice.invoice_id, amounts.settled_minor, amounts.taken_minor)


def _amounts(work: Work, credit: Credit, settlement: Settlement, invoice: Invoice) -> Amounts | Refusal:
    decimals = work.currencies[invoice.currency]
    amount = money.amount_of_document(settlement.amount, decimals)
    discount = money.amount_of_document(settlement.discount, decimals)
    if amount is None or discount is None:
        return Refusal(
            codes.INVALID,
            f"A settlement of invoice {invoice.invoice_id} is no amount from 0 on in {invoice.currency}: mend it.",
        )
    rate = rate_in_force(work, invoice.currency, credit.currency, credit.dated)
    if rate is None:
        return missing(invoice.currency, credit.currency, work.parameters.credit_rate_type)
    return Amounts(amount + discount, converted(work, amount, invoice.currency, credit.currency, rate))


def _wait(work: Work, credit: Credit, settlement: Settlement, invoice: Invoice | None) -> Credit | Refusal:
    for amount in (settlement.amount, settlement.discount):
        if not money.is_decimal(amount) or money.ratio(amount).numerator < 0:
            return Refusal(
                codes.INVALID, f"A settlement of invoice {settlement.invoice_id} is no amount from 0 on: mend it."
            )
    if invoice is not None and len(invoice.waiting) >= SETTLEMENTS_MAX:
        return Refusal(
            codes.INVALID,
            f"{SETTLEMENTS_MAX} settlements wait for invoice {invoice.invoice_id}: send the invoice first.",
        )
    early = invoice or Invoice(settlement.invoice_id, credit.customer_id)
    waiting = WaitingSettlement(credit.kind, credit.credit_id, settlement.amount, settlement.discount)
    early = changed(early, waiting=(*early.waiting, waiting))
    work.put(INVOICES, credit.customer_id, settlement.invoice_id, early)
    return changed(credit, waiting=(*credit.waiting, settlement.invoice_id))


def settle_waiting(work: Work, ledger: Ledger, invoice: Invoice, waiting: WaitingSettlement) -> Invoice:
    """Settles an invoice that has just come with what waited for it, as far as both reach."""
    credit = work.get(table_of(waiting.kind), invoice.customer_id, waiting.credit_id)
    if credit is None or credit.reversed:
        return invoice
    settlement = Settlement(invoice_id=invoice.invoice_id, amount=waiting.amount, discount=waiting.discount)
    still_waiting = list(credit.waiting)
    still_waiting.remove(invoice.invoice_id)
    credit = changed(credit, waiting=tuple(still_waiting))
    amounts = _amounts(work, credit, settlement, invoice)
    if isinstance(amounts, Amounts) and (credit.kind == "payment" or credit.currency == invoice.currency):
        fitting = _as_far_as_both_reach(amounts, open_of(invoice), credit.unapplied_minor)
        if fitting.settled_minor:
            invoice = settle(ledger, invoice, credit.kind, credit.credit_id, fitting.settled_minor)
            credit = take(ledger, credit, invoice.invoice_id, fitting.settled_minor, fitting.taken_minor)
    write(work, credit)
    return invoice


def _as_far_as_both_reach(wanted: Amounts, open_minor: int, unapplied_minor: int) -> Amounts:
    """The settlement, lowered to what is open of the invoice and to what is unapplied of the payment."""
    settled, taken = wanted
    if settled > open_minor:
        settled, taken = open_minor, taken * open_minor // settled
    if taken > unapplied_minor:
        settled, taken = settled * unapplied_minor // taken, unapplied_minor
    return Amounts(settled, taken)
