"""What is owed and what is paid: invoices, credit notes, disputes, voids, payments and what becomes of them.

The department keeps its own open amounts, so that no event settles or credits more than is open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from credit_stream.company.books import Books
from credit_stream.company.countries import DECIMALS, HOUR_MS, day_of, money_text
from credit_stream.company.customers import DISCOUNT_DAYS, DISCOUNT_PERCENT, TERMS_DAYS, Customer
from credit_stream.core.calendar import Day, Instant
from credit_stream.core.events import (
    CreditNotePosted,
    Instalment,
    InvoiceDisputed,
    InvoicePosted,
    InvoiceVoided,
    PaymentApplied,
    PaymentReceived,
    PaymentReversed,
    Settlement,
)

RUN_INVOICES_MAX = 6
"""A customer's payment run settles at most so many invoices; more are looked at by the next run."""
APPLY_TRIES_MAX = 8
"""How often the company looks for an invoice for unapplied cash before it leaves the rest on account."""
FEES_PERMILLE = 2
"""Who pays in another currency adds a little, so that the fees of banks do not leave a rest open."""
PREPAID_REST_DAYS = 25
"""Who pays before it orders is asked for what is still open after so many days."""
CURRENCIES = tuple(DECIMALS)


@dataclass(slots=True)
class OpenInvoice:
    """An invoice as long as something may happen to it. Amounts are in minor units of `currency`."""

    invoice_id: str
    customer: Customer
    entity_id: str
    currency: str
    amount_minor: int
    open_minor: int
    posted_on: Day
    due_on: Day
    touched: bool = False
    disputed: bool = False
    voided: bool = False


@dataclass(slots=True)
class Cash:
    """A payment with something left of it, or one that will bounce. `settled` is what it took off invoices."""

    payment_id: str
    customer: Customer
    entity_id: str
    currency: str
    unapplied_minor: int
    settled: list[tuple[OpenInvoice, int]] = field(default_factory=list)
    reversed: bool = False
    tries: int = 0


class Receivables:
    """The department that posts invoices and receives money."""

    __slots__ = ("_books", "_chance")

    def __init__(self, books: Books) -> None:
        self._books = books
        self._chance = books.chance

    # --- invoices ---------------------------------------------------------------------------------------------------

    def post(
        self,
        at: Instant,
        customer: Customer,
        entity_id: str,
        order_id: str,
        amount_minor: int,
        currency: str,
        terms: str,
    ) -> OpenInvoice:
        """Posts an invoice on an order, in instalments now and then."""
        today = day_of(at)
        invoice_id = f"IN{self._books.number('invoice')}"
        due_on = today + TERMS_DAYS[terms]
        instalments = self._instalments(amount_minor, currency, today) if self._chance.happens(0.04) else ()
        self._books.written.append(
            InvoicePosted(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="erp",
                legal_entity=entity_id,
                invoice_id=invoice_id,
                customer_id=customer.customer_id,
                order_id=order_id,
                amount_minor=amount_minor,
                currency=currency,
                invoice_date=today,
                due_date=instalments[-1].due_date if instalments else due_on,
                instalments=instalments,
                payment_terms=terms,
            )
        )
        last_due = instalments[-1].due_date if instalments else due_on
        invoice = OpenInvoice(invoice_id, customer, entity_id, currency, amount_minor, amount_minor, today, last_due)
        customer.open[invoice_id] = invoice
        for instalment in instalments[:-1]:
            self._expect_part(invoice, instalment)
        return invoice

    def _instalments(self, amount_minor: int, currency: str, today: Day) -> tuple[Instalment, ...]:
        """Two to four instalments a month apart that add up to the amount; none for small amounts."""
        count = self._chance.between(2, 4)
        part_minor = amount_minor // count
        if part_minor < 10 ** DECIMALS[currency]:
            return ()
        parts = [part_minor] * (count - 1) + [amount_minor - part_minor * (count - 1)]
        return tuple(Instalment(due_date=today + 30 * n, amount_minor=part) for n, part in enumerate(parts, 1))

    def expect_payment(self, invoice: OpenInvoice) -> None:
        """What will become of an invoice: most are paid by the customer's habit, some are disputed first."""
        chance, customer = self._chance, invoice.customer
        if customer.fails(invoice.posted_on):
            self.forget(invoice)
            return
        day = invoice.due_on + customer.late_days + chance.between(-2, 3)
        if customer.prepays:
            day = invoice.posted_on + PREPAID_REST_DAYS
        elif customer.discount and chance.happens(0.6):
            day = invoice.posted_on + chance.between(4, DISCOUNT_DAYS)
        if chance.happens(0.03):
            doubts_on = invoice.posted_on + chance.between(3, 20)
            self._books.plan_on(doubts_on, customer.country, self.dispute, invoice)
        self._books.plan_on(max(day, invoice.posted_on + 1), customer.country, self.pay, invoice)

    def _expect_part(self, invoice: OpenInvoice, instalment: Instalment) -> None:
        day = instalment.due_date + max(0, invoice.customer.late_days)
        pay_part = partial(self.pay_part, invoice)
        self._books.plan_on(day, invoice.customer.country, pay_part, instalment.amount_minor)

    def void(self, invoice: OpenInvoice, at: Instant) -> bool:
        """Takes back an invoice to which nothing has happened yet; says whether it did."""
        if invoice.touched or invoice.voided:
            return False
        invoice.voided = True
        self.forget(invoice)
        self._books.written.append(
            InvoiceVoided(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="erp",
                legal_entity=invoice.entity_id,
                invoice_id=invoice.invoice_id,
                customer_id=invoice.customer.customer_id,
            )
        )
        return True

    def credit(self, at: Instant, invoice: OpenInvoice, amount_minor: int) -> bool:
        """A credit note of at most what is open of an invoice; says whether there was anything to credit."""
        amount_minor = min(amount_minor, invoice.open_minor)
        if invoice.voided or amount_minor <= 0:
            return False
        self._write_credit_note(
            at, invoice.customer, invoice.entity_id, invoice.currency, amount_minor, invoice.invoice_id
        )
        self._take_off(invoice, amount_minor)
        return True

    def credit_account(self, at: Instant, customer: Customer, entity_id: str, currency: str, amount_minor: int) -> None:
        """A credit note without an invoice: a bonus, or goods that came back after they were paid."""
        self._write_credit_note(at, customer, entity_id, currency, amount_minor, None)

    def _write_credit_note(
        self, at: Instant, customer: Customer, entity_id: str, currency: str, amount_minor: int, invoice_id: str | None
    ) -> None:
        self._books.written.append(
            CreditNotePosted(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="erp",
                legal_entity=entity_id,
                credit_note_id=f"CN{self._books.number('credit note')}",
                customer_id=customer.customer_id,
                invoice_id=invoice_id,
                amount_minor=amount_minor,
                currency=currency,
                credit_note_date=day_of(at),
            )
        )

    def dispute(self, invoice: OpenInvoice, at: Instant) -> None:
        """The customer does not agree with an open invoice; it is settled some weeks later."""
        if invoice.open_minor <= 0 or invoice.voided or invoice.disputed:
            return
        invoice.disputed = True
        self._write_dispute(at, invoice)
        day = day_of(at) + self._chance.between(8, 40)
        self._books.plan_on(day, invoice.customer.country, self.settle_dispute, invoice)

    def settle_dispute(self, invoice: OpenInvoice, at: Instant) -> None:
        """The dispute ends: with a credit note for a part in half of the cases, then with a payment."""
        invoice.disputed = False
        self._write_dispute(at, invoice)
        if self._chance.happens(0.5):
            share = 0.05 + 0.25 * self._chance.roll()
            self.credit(self._books.stamp(at + 1000), invoice, int(invoice.amount_minor * share))
        day = day_of(at) + self._chance.between(2, 12)
        self._books.plan_on(day, invoice.customer.country, self.pay, invoice)

    def _write_dispute(self, at: Instant, invoice: OpenInvoice) -> None:
        self._books.written.append(
            InvoiceDisputed(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="erp",
                legal_entity=invoice.entity_id,
                invoice_id=invoice.invoice_id,
                customer_id=invoice.customer.customer_id,
                disputed=invoice.disputed,
            )
        )

    # --- payments ---------------------------------------------------------------------------------------------------

    def pay(self, invoice: OpenInvoice, at: Instant) -> None:
        """The customer pays: a run over several invoices as a rule, sometimes a part, on account or too much."""
        customer = invoice.customer
        if invoice.open_minor <= 0 or invoice.voided or invoice.disputed:
            return
        if customer.fails(day_of(at)):
            self.forget(invoice)
            return
        luck = self._chance.roll()
        if luck < 0.07:
            self.pay_part(invoice, int(invoice.open_minor * (0.3 + 0.4 * self._chance.roll())), at)
            self._books.plan_on(day_of(at) + self._chance.between(7, 35), customer.country, self.pay, invoice)
        elif luck < 0.10:
            cash = self.receive(at, customer, invoice.entity_id, invoice.currency, invoice.open_minor, [])
            self.apply_later(cash, at)
            self._books.plan_on(day_of(at) + 15, customer.country, self.pay, invoice)
        elif luck < 0.12:
            self._pay_in_another_currency(at, invoice)
        else:
            self._pay_run(at, invoice, luck)

    def pay_now(self, at: Instant, invoice: OpenInvoice) -> None:
        """Pays one invoice in full at once, as by payment card."""
        self.receive(at, invoice.customer, invoice.entity_id, invoice.currency, 0, [(invoice, invoice.open_minor, 0)])

    def pay_part(self, invoice: OpenInvoice, part_minor: int, at: Instant) -> None:
        """Pays a part of one invoice, at most what is open."""
        part_minor = min(part_minor, invoice.open_minor)
        customer = invoice.customer
        if part_minor <= 0 or invoice.voided or invoice.disputed or customer.fails(day_of(at)):
            return
        self.receive(at, customer, invoice.entity_id, invoice.currency, 0, [(invoice, part_minor, 0)])

    def _pay_run(self, at: Instant, invoice: OpenInvoice, luck: float) -> None:
        """Pays an invoice and what else is due by then, with a settlement discount where one may be taken."""
        customer, today = invoice.customer, day_of(at)
        run = [invoice]
        for other in islice(customer.open.values(), RUN_INVOICES_MAX):
            is_due = other.due_on <= today + 3 and not other.disputed
            if is_due and other is not invoice and other.currency == invoice.currency:
                run.append(other)
        settlements = []
        for each in run:
            discount_minor = 0
            if customer.discount and today <= each.posted_on + DISCOUNT_DAYS and not each.touched:
                discount_minor = each.open_minor * DISCOUNT_PERCENT[customer.discount] // 100
            settlements.append((each, each.open_minor - discount_minor, discount_minor))
        extra_minor = int(customer.typical_minor * 0.1) if luck > 0.985 else 0
        cash = self.receive(at, customer, invoice.entity_id, invoice.currency, extra_minor, settlements)
        if extra_minor:
            self.apply_later(cash, at)
        elif luck > 0.97:
            self._books.plan_on(today + self._chance.between(2, 9), customer.country, self.bounce, cash)

    def _pay_in_another_currency(self, at: Instant, invoice: OpenInvoice) -> None:
        """Pays one invoice from an account in another currency; a small rest stays unapplied."""
        currency = self._chance.pick(CURRENCIES)
        if currency == invoice.currency:
            currency = "USD" if invoice.currency != "USD" else "EUR"
        gross = invoice.open_minor * (1000 + FEES_PERMILLE)
        paid_minor = self._books.rates.convert(gross, invoice.currency, currency) // 1000 + 2
        settlement = (invoice, invoice.open_minor, 0)
        self._receive(at, invoice.customer, invoice.entity_id, currency, paid_minor, 0, [settlement])

    def receive(
        self,
        at: Instant,
        customer: Customer,
        entity_id: str,
        currency: str,
        on_account_minor: int,
        settlements: list[tuple[OpenInvoice, int, int]],
    ) -> Cash:
        """Money comes in: so much per invoice (paid, discount), and `on_account_minor` beyond that."""
        amount_minor = on_account_minor + sum(paid_minor for _, paid_minor, _ in settlements)
        return self._receive(at, customer, entity_id, currency, amount_minor, on_account_minor, settlements)

    def _receive(
        self,
        at: Instant,
        customer: Customer,
        entity_id: str,
        currency: str,
        amount_minor: int,
        unapplied_minor: int,
        settlements: list[tuple[OpenInvoice, int, int]],
    ) -> Cash:
        payment_id = f"PM{self._books.number('payment')}"
        cash = Cash(payment_id, customer, entity_id, currency, unapplied_minor)
        self._books.written.append(
            PaymentReceived(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="bank",
                legal_entity=entity_id,
                payment_id=payment_id,
                customer_id=customer.customer_id,
                amount_minor=amount_minor,
                currency=currency,
                received_on=day_of(at),
                settlements=self._settle(cash, settlements),
            )
        )
        return cash

    def _settle(self, cash: Cash, settlements: list[tuple[OpenInvoice, int, int]]) -> tuple[Settlement, ...]:
        lines = []
        for invoice, paid_minor, discount_minor in settlements:
            self._take_off(invoice, paid_minor + discount_minor)
            cash.settled.append((invoice, paid_minor + discount_minor))
            lines.append(
                Settlement(
                    invoice_id=invoice.invoice_id,
                    amount=money_text(paid_minor, invoice.currency),
                    discount=money_text(discount_minor, invoice.currency) if discount_minor else "0",
                )
            )
        return tuple(lines)

    def apply_later(self, cash: Cash, at: Instant) -> None:
        """Enters that somebody will look for invoices for unapplied cash."""
        self._books.plan_on(day_of(at) + self._chance.between(1, 9), cash.customer.country, self.apply, cash)

    def apply(self, cash: Cash, at: Instant) -> None:
        """Applies unapplied cash to the oldest open invoices in its currency; waits if there are none."""
        if cash.reversed or cash.unapplied_minor <= 0:
            return
        settlements = []
        for invoice in islice(cash.customer.open.values(), RUN_INVOICES_MAX):
            part_minor = min(cash.unapplied_minor, invoice.open_minor)
            if invoice.currency == cash.currency and part_minor > 0 and not invoice.disputed:
                cash.unapplied_minor -= part_minor
                settlements.append((invoice, part_minor, 0))
        if settlements:
            self._books.written.append(
                PaymentApplied(
                    event_id=self._books.event_id(),
                    occurred_at=at,
                    source="erp",
                    legal_entity=cash.entity_id,
                    payment_id=cash.payment_id,
                    customer_id=cash.customer.customer_id,
                    applied_on=day_of(at),
                    settlements=self._settle(cash, settlements),
                )
            )
        cash.tries += 1
        if cash.unapplied_minor > 0 and cash.tries < APPLY_TRIES_MAX:
            self.apply_later(cash, at + cash.tries * 24 * HOUR_MS)

    def bounce(self, cash: Cash, at: Instant) -> None:
        """The bank takes a payment back: what it settled is open again, and mostly paid again later."""
        cash.reversed = True
        self._books.written.append(
            PaymentReversed(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="bank",
                legal_entity=cash.entity_id,
                payment_id=cash.payment_id,
                customer_id=cash.customer.customer_id,
                reversed_on=day_of(at),
                reason=self._chance.pick(("insufficient funds", "account closed", "refused by payer")),
            )
        )
        country = cash.customer.country
        for invoice, minor in cash.settled:
            invoice.open_minor += minor
            cash.customer.open[invoice.invoice_id] = invoice
            self._books.plan_on(day_of(at) + self._chance.between(4, 25), country, self.pay, invoice)

    # --- what is open -----------------------------------------------------------------------------------------------

    def _take_off(self, invoice: OpenInvoice, minor: int) -> None:
        invoice.touched = True
        invoice.open_minor -= minor
        if invoice.open_minor <= 0:
            self.forget(invoice)

    def forget(self, invoice: OpenInvoice) -> None:
        """Nothing more is expected of an invoice by itself: it is paid, voided, or the customer has failed."""
        invoice.customer.open.pop(invoice.invoice_id, None)
