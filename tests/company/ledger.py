"""A plain ledger of the made-up company, written without looking at how the company makes its events.

It takes events one at a time and refuses, with an AssertionError, what no credit system should have to accept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from credit_stream.core import events as e

DAY_MS = 86_400_000
CHECKPOINT_ORDER = {"confirmation": 0, "picking_list": 1, "packing_slip": 2, "invoice": 3}

OrderEvent = (
    e.OrderPlaced | e.OrderCheckpointReached | e.OrderDelivered | e.OrderCancelled | e.OrderClosed | e.OrderReopened
)


@dataclass
class OrderPage:
    """What is known of an order, in minor units of its currency."""

    customer_id: str
    amount: int
    currency: str
    secured: int
    delivered: int = 0
    invoiced: int = 0
    cancelled: bool = False
    closed: bool = False
    confirmed: bool = False


@dataclass
class InvoicePage:
    """What is open of an invoice, in minor units of its currency."""

    customer_id: str
    order_id: str | None
    amount: int
    currency: str
    open: int
    voided: bool = False
    disputed: bool = False
    untouched: bool = True


@dataclass
class PaymentPage:
    """What is left of a payment, in minor units of its currency, and what it took off which invoices."""

    customer_id: str
    currency: str
    left: int
    settled: list[tuple[str, int]] = field(default_factory=list)
    reversed: bool = False


class Ledger:
    """The books of an auditor."""

    def __init__(self, currencies: dict[str, int]) -> None:
        self.currencies = currencies
        self.now = -1
        self.event_ids: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.customers: dict[str, e.CustomerUpdated] = {}
        self.limits: dict[str, int] = {}
        self.orders: dict[str, OrderPage] = {}
        self.invoices: dict[str, InvoicePage] = {}
        self.payments: dict[str, PaymentPage] = {}
        self.credit_notes: set[str] = set()
        self.policies: set[str] = set()
        self.groups: set[str] = set()
        self.journals: dict[str, bool] = {}
        self.rates: dict[tuple[str, str], Decimal] = {}
        self.versions = 0

    def accept(self, event: e.Event) -> None:
        """Books an event; AssertionError when it must not be."""
        assert event.occurred_at > self.now, "events are sorted, and no two are at one instant"
        assert event.event_id not in self.event_ids, "an event id is used once"
        self.now = event.occurred_at
        self.event_ids.add(event.event_id)
        name = type(event).__name__
        self.counts[name] += 1
        getattr(self, f"_{name}")(event)

    def today(self) -> int:
        """The UTC date of the newest event."""
        return self.now // DAY_MS

    # --- settings ---------------------------------------------------------------------------------------------------

    def _SettingsPublished(self, event: e.SettingsPublished) -> None:
        assert event.version == self.versions + 1
        self.versions += 1

    def _ExchangeRatePublished(self, event: e.ExchangeRatePublished) -> None:
        assert event.from_currency != event.to_currency
        assert event.valid_from == self.today()
        rate = Decimal(event.rate)
        before = self.rates.get((event.from_currency, event.to_currency), rate)
        assert rate > 0 and abs(rate / before - 1) < Decimal("0.08"), "rates drift, they do not jump"
        self.rates[event.from_currency, event.to_currency] = rate

    def _ClockTicked(self, event: e.ClockTicked) -> None:
        assert event.instant == event.occurred_at

    # --- customers --------------------------------------------------------------------------------------------------

    def _CustomerUpdated(self, event: e.CustomerUpdated) -> None:
        before = self.customers.get(event.customer_id)
        assert event.credit_currency in self.currencies
        if before is None:
            assert event.credit_limit_minor is not None and event.credit_limit_minor >= 0
            self.limits[event.customer_id] = event.credit_limit_minor
        else:
            assert event.credit_limit_minor is None and event.credit_limit_expires_on is None, (
                "limits change by journals"
            )
            assert event.credit_currency == before.credit_currency
        assert event.customer_credit_group is None or event.customer_credit_group in self.groups
        self.customers[event.customer_id] = event

    def _PolicyUpdated(self, event: e.PolicyUpdated) -> None:
        self._knows(event.customer_id, event.currency)
        assert event.value_minor > 0 and event.effective_on <= event.expires_on
        assert 0 <= Decimal(event.update_percentage) <= 100
        assert event.kind == "insurance" or event.coverage_type is None
        self.policies.add(event.policy_id)

    def _PolicyRemoved(self, event: e.PolicyRemoved) -> None:
        self.policies.remove(event.policy_id)

    def _CreditGroupUpdated(self, event: e.CreditGroupUpdated) -> None:
        assert event.group_id not in self.groups and event.credit_limit_minor > 0
        assert event.credit_limit_expires_on > self.today()
        self.groups.add(event.group_id)

    def _CreateLimitJournal(self, event: e.CreateLimitJournal) -> None:
        assert event.journal_id is not None and event.journal_id not in self.journals
        assert event.actor and event.lines
        for line in event.lines:
            assert line.customer_id is not None and line.group_id is None
            assert line.currency == self.customers[line.customer_id].credit_currency
            assert line.credit_limit_minor > 0
            if event.journal_type == "credit_limit":
                assert line.expires_on is not None and line.expires_on > self.today()
            else:
                assert line.from_date is not None and line.to_date is not None and line.from_date <= line.to_date
        self.journals[event.journal_id] = False

    def _PostLimitJournal(self, event: e.PostLimitJournal) -> None:
        assert event.actor and self.journals[event.journal_id] is False, "a journal is posted once"
        self.journals[event.journal_id] = True

    # --- orders -----------------------------------------------------------------------------------------------------

    def _OrderPlaced(self, event: e.OrderPlaced) -> None:
        assert event.order_id not in self.orders
        self._check_order(event)
        self.orders[event.order_id] = OrderPage(
            event.customer_id, event.amount_minor, event.currency, event.secured_amount_minor
        )

    def _OrderChanged(self, event: e.OrderChanged) -> None:
        page = self._live_order(event)
        self._check_order(event)
        assert page.delivered == 0 and page.currency == event.currency and not page.closed
        page.amount, page.secured = event.amount_minor, event.secured_amount_minor

    def _check_order(self, event: e.OrderPlaced) -> None:
        self._knows(event.customer_id, event.currency)
        assert 0 <= event.secured_amount_minor <= max(0, event.amount_minor)
        assert event.order_date is not None and event.order_date <= self.today()
        assert event.ships_on is not None and event.ships_on >= event.order_date

    def _OrderCheckpointReached(self, event: e.OrderCheckpointReached) -> None:
        page = self._live_order(event)
        if event.pro_forma:
            return
        assert event.checkpoint in CHECKPOINT_ORDER
        if event.checkpoint == "confirmation":
            assert not page.confirmed, "an order is confirmed once"
            page.confirmed = True
        else:
            assert page.confirmed
        assert event.checkpoint == "invoice" or not page.closed

    def _OrderDelivered(self, event: e.OrderDelivered) -> None:
        page = self._live_order(event)
        minor = self._minor(event.delivered_amount, page.currency)
        assert page.delivered <= minor <= page.amount, "delivered is a total, up to the amount"
        assert not page.closed
        page.delivered = minor

    def _OrderCancelled(self, event: e.OrderCancelled) -> None:
        page = self._live_order(event)
        assert page.delivered == 0 and page.invoiced == 0 and not page.closed
        page.cancelled = True

    def _OrderClosed(self, event: e.OrderClosed) -> None:
        page = self._live_order(event)
        assert not page.closed
        page.closed = True

    def _OrderReopened(self, event: e.OrderReopened) -> None:
        page = self._live_order(event)
        assert page.closed
        page.closed = False

    def _live_order(self, event: OrderEvent) -> OrderPage:
        page = self.orders[event.order_id]
        assert page.customer_id == event.customer_id and not page.cancelled
        return page

    # --- invoices ---------------------------------------------------------------------------------------------------

    def _InvoicePosted(self, event: e.InvoicePosted) -> None:
        self._knows(event.customer_id, event.currency)
        assert event.invoice_id not in self.invoices and event.amount_minor > 0
        assert event.invoice_date == self.today()
        assert event.due_date is not None and event.due_date >= event.invoice_date
        if event.instalments:
            assert sum(part.amount_minor for part in event.instalments) == event.amount_minor
            assert all(part.amount_minor > 0 for part in event.instalments)
            assert event.due_date == max(part.due_date for part in event.instalments)
        if event.order_id is not None:
            page = self.orders[event.order_id]
            assert page.customer_id == event.customer_id and not page.cancelled and page.currency == event.currency
            page.invoiced += event.amount_minor
            assert page.invoiced <= page.delivered * 1.1 + 2, "delivered goods are invoiced once, freight aside"
        self.invoices[event.invoice_id] = InvoicePage(
            event.customer_id, event.order_id, event.amount_minor, event.currency, event.amount_minor
        )

    def _CreditNotePosted(self, event: e.CreditNotePosted) -> None:
        self._knows(event.customer_id, event.currency)
        assert event.credit_note_id not in self.credit_notes and event.amount_minor > 0
        assert event.credit_note_date == self.today()
        self.credit_notes.add(event.credit_note_id)
        if event.invoice_id is not None:
            page = self._live_invoice(event.customer_id, event.invoice_id)
            assert page.currency == event.currency
            self._take_off(page, event.amount_minor)

    def _InvoiceVoided(self, event: e.InvoiceVoided) -> None:
        page = self._live_invoice(event.customer_id, event.invoice_id)
        assert page.untouched, "only what nothing happened to is voided"
        page.voided = True
        if page.order_id is not None:
            self.orders[page.order_id].invoiced -= page.amount

    def _InvoiceDisputed(self, event: e.InvoiceDisputed) -> None:
        page = self._live_invoice(event.customer_id, event.invoice_id)
        assert page.disputed != event.disputed
        page.disputed = event.disputed

    def _live_invoice(self, customer_id: str, invoice_id: str) -> InvoicePage:
        page = self.invoices[invoice_id]
        assert page.customer_id == customer_id and not page.voided
        return page

    def _take_off(self, page: InvoicePage, minor: int) -> None:
        assert 0 < minor <= page.open, "never more than is open"
        page.open -= minor
        page.untouched = False

    # --- payments ---------------------------------------------------------------------------------------------------

    def _PaymentReceived(self, event: e.PaymentReceived) -> None:
        self._knows(event.customer_id, event.currency)
        assert event.payment_id not in self.payments and event.amount_minor > 0
        assert event.received_on == self.today()
        page = PaymentPage(event.customer_id, event.currency, event.amount_minor)
        self.payments[event.payment_id] = page
        self._settle(page, event.settlements)

    def _PaymentApplied(self, event: e.PaymentApplied) -> None:
        page = self.payments[event.payment_id]
        assert page.customer_id == event.customer_id and not page.reversed and event.settlements
        assert event.applied_on == self.today()
        self._settle(page, event.settlements)

    def _PaymentReversed(self, event: e.PaymentReversed) -> None:
        page = self.payments[event.payment_id]
        assert page.customer_id == event.customer_id and not page.reversed
        assert event.reversed_on == self.today()
        page.reversed = True
        for invoice_id, minor in page.settled:
            invoice = self.invoices[invoice_id]
            assert not invoice.voided
            invoice.open += minor
            assert invoice.open <= invoice.amount

    def _settle(self, page: PaymentPage, settlements: tuple[e.Settlement, ...]) -> None:
        for settlement in settlements:
            invoice = self._live_invoice(page.customer_id, settlement.invoice_id)
            paid = self._minor(settlement.amount, invoice.currency)
            minor = paid + self._minor(settlement.discount, invoice.currency)
            assert paid > 0
            self._take_off(invoice, minor)
            page.settled.append((settlement.invoice_id, minor))
            page.left -= self._converted(paid, invoice.currency, page.currency)
        assert page.left >= 0, "settlements are paid for"

    # --- money ------------------------------------------------------------------------------------------------------

    def _knows(self, customer_id: str, currency: str) -> None:
        credit_currency = self.customers[customer_id].credit_currency
        assert currency in self.currencies
        assert currency == credit_currency or (currency, credit_currency) in self.rates

    def _minor(self, text: str, currency: str) -> int:
        scaled = Decimal(text).scaleb(self.currencies[currency])
        assert scaled == int(scaled), "no more decimals than the currency has"
        return int(scaled)

    def _converted(self, minor: int, base: str, quote: str) -> int:
        if base == quote:
            return minor
        exact = minor * self.rates[base, quote]
        return int(exact.scaleb(self.currencies[quote] - self.currencies[base]).to_integral_value(ROUND_HALF_EVEN))
