"""A second, slow model of one customer's exposure, written from spec 3 and 15 and sharing no code with the core.

It keeps documents only and adds everything up anew each time it is asked. Money is minor units of one currency. Whether
an order is on hold it takes from the decisions: what it audits are the sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain


@dataclass
class Order:
    """An order; `delivered` is cumulative."""

    amount: int
    secured: int = 0
    delivered: int = 0
    state: str = "open"
    verdict: str = "released"


@dataclass
class Invoice:
    """An invoice; `parts` are due dates and amounts."""

    amount: int
    parts: list[tuple[int, int]]
    order: str | None
    settled: int = 0
    credited: int = 0
    with_discount: bool = False
    voided: bool = False

    @property
    def taken_from_order(self) -> int:
        """What it takes from its order: its amount less what came back."""
        return 0 if self.voided else self.amount - self.credited

    @property
    def open(self) -> int:
        """What is owed of it."""
        return 0 if self.voided else self.amount - self.settled

    def open_parts(self) -> list[tuple[int, int]]:
        """Due date and open amount of each part: what is settled went to the oldest first."""
        left, found = (self.amount if self.voided else self.settled), []
        for due, amount in sorted(self.parts):
            taken = min(left, amount)
            left -= taken
            found.append((due, amount - taken))
        return found


@dataclass
class Payment:
    """A payment: what of it is on account, what it settled, and what it is to settle when the invoice comes."""

    unapplied: int
    settled: list[tuple[str, int]] = field(default_factory=list)
    waiting: list[tuple[str, int, int]] = field(default_factory=list)
    reversed: bool = False


@dataclass
class Books:
    """All documents of one customer."""

    orders: dict[str, Order] = field(default_factory=dict)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    credits: int = 0
    today: int = 0

    # --- documents ----------------------------------------------------------------------------------------------

    def place(self, order_id: str, amount: int, secured: int) -> None:
        """A new order, or the whole new state of one."""
        order = self.orders.setdefault(order_id, Order(amount))
        order.amount, order.secured = amount, secured

    def post_invoice(self, invoice_id: str, amount: int, parts: list[tuple[int, int]], order: str | None) -> None:
        """A new invoice; payments that wait for it settle it."""
        self.invoices[invoice_id] = Invoice(amount, parts, order)
        for payment in self.payments.values():
            for waiting in [each for each in payment.waiting if each[0] == invoice_id]:
                payment.waiting.remove(waiting)
                self.settle(payment, *waiting)

    def settle(self, payment: Payment, invoice_id: str, amount: int, discount: int) -> None:
        """A part of a payment goes to an invoice, or waits for it."""
        if invoice_id not in self.invoices:
            payment.waiting.append((invoice_id, amount, discount))
            return
        invoice = self.invoices[invoice_id]
        invoice.settled += amount + discount
        invoice.with_discount |= discount > 0
        payment.unapplied -= amount
        payment.settled.append((invoice_id, amount + discount))

    def credit(self, invoice_id: str, amount: int) -> None:
        """A credit note on an invoice settles it and gives the order its part back."""
        invoice = self.invoices[invoice_id]
        invoice.settled += amount
        invoice.credited += amount

    def void(self, invoice_id: str) -> None:
        """The invoice never was; what had settled it is unapplied."""
        invoice = self.invoices[invoice_id]
        self.credits += invoice.credited
        for payment in self.payments.values():
            payment.unapplied += sum(amount for settled, amount in payment.settled if settled == invoice_id)
            payment.settled = [each for each in payment.settled if each[0] != invoice_id]
        invoice.voided = True

    def reverse(self, payment_id: str) -> None:
        """All that the payment settled is open again."""
        payment = self.payments[payment_id]
        for invoice_id, amount in payment.settled:
            self.invoices[invoice_id].settled -= amount
        self.payments[payment_id] = Payment(0, reversed=True)

    # --- sums ---------------------------------------------------------------------------------------------------

    def invoiced_on(self, order_id: str) -> int:
        """What invoices take from an order."""
        return sum(invoice.taken_from_order for invoice in self.invoices.values() if invoice.order == order_id)

    def parts_of(self, order_id: str) -> tuple[int, int]:
        """What counts of an order if it is not on hold: not delivered, and delivered but not invoiced.

        Of a closed one only what is delivered, whatever comes back from its invoices (spec 3.2, 15).
        """
        order = self.orders[order_id]
        invoiced = self.invoiced_on(order_id)
        if order.state == "cancelled" or order.verdict == "rejected":
            return 0, 0
        delivered = min(order.delivered, order.amount)
        not_delivered = 0 if order.state == "closed" else max(0, order.amount - max(delivered, invoiced))
        not_invoiced = max(0, delivered - invoiced)
        secured_there = min(order.secured, not_delivered)
        return not_delivered - secured_there, max(0, not_invoiced - (order.secured - secured_there))

    def order_buckets(self, order_id: str, held_counts: bool) -> tuple[int, int]:
        """What counts of an order as it stands: of a held one only what is delivered, unless held ones count."""
        not_delivered, not_invoiced = self.parts_of(order_id)
        held = self.orders[order_id].verdict == "on_hold"
        return (0 if held and not held_counts else not_delivered), not_invoiced

    def buckets(self, held_counts: bool) -> dict[str, int]:
        """The five buckets of spec 3.9."""
        parts = list(chain.from_iterable(invoice.open_parts() for invoice in self.invoices.values()))
        orders = [self.order_buckets(order_id, held_counts) for order_id in self.orders]
        return {
            "current_invoices": sum(amount for due, amount in parts if due >= self.today),
            "overdue_invoices": sum(amount for due, amount in parts if due < self.today),
            "open_orders": sum(order[0] for order in orders),
            "delivered_not_invoiced": sum(order[1] for order in orders),
            "unapplied": self.credits + sum(payment.unapplied for payment in self.payments.values()),
        }


def total(buckets: dict[str, int], scope: str = "balance_and_orders", unapplied_counts: bool = True) -> int:
    """Exposure from its buckets (spec 3.1): which of them count. `none` is only that the limit is not checked."""
    counted = buckets["current_invoices"] + buckets["overdue_invoices"]
    counted += buckets["delivered_not_invoiced"] * (scope != "balance")
    counted += buckets["open_orders"] * (scope in ("balance_and_orders", "none"))
    return counted - buckets["unapplied"] * unapplied_counts
