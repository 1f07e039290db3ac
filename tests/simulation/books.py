"""The documents of one customer, added up anew each time they are asked (spec 3 and 15). Shares no code with the core.

Money is minor units of the documents' currency. What a verdict is the decisions say; what counts in consequence is said
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BUCKETS = ("current_invoices", "overdue_invoices", "open_orders", "delivered_not_invoiced", "unapplied")


@dataclass
class Order:
    """An order; not placed yet while only its deliveries have come."""

    amount: int = 0
    secured: int = 0
    delivered: int = 0
    is_placed: bool = False
    state: str = "open"
    verdict: str = "released"
    last_decision: str | None = None
    decided_amount: int = 0
    """What it was when it was last decided on."""


@dataclass
class Credit:
    """A payment or a credit note: what is unapplied of it."""

    unapplied: int
    is_reversed: bool = False


@dataclass
class Invoice:
    """An invoice; `parts` are due dates and amounts. `settled_by` are credits with what they settled, in order."""

    amount: int
    parts: list[tuple[int, int]]
    order: str | None
    settled_by: list[tuple[str, int]] = field(default_factory=list)
    credited: int = 0
    is_voided: bool = False

    @property
    def open(self) -> int:
        """What is owed of it."""
        return 0 if self.is_voided else self.amount - sum(amount for _, amount in self.settled_by)

    @property
    def taken_from_order(self) -> int:
        """What it takes from its order: its amount less what was credited."""
        return 0 if self.is_voided else self.amount - self.credited

    def open_parts(self) -> list[tuple[int, int]]:
        """Due date and open amount of each part; what is settled went to the oldest first."""
        left, found = self.amount - self.open, []
        for due, amount in sorted(self.parts):
            taken = min(left, amount)
            left -= taken
            found.append((due, amount - taken))
        return found


@dataclass(frozen=True)
class Counting:
    """The parameters that say what counts."""

    scope: str = "balance_and_orders"
    unapplied_counts: bool = True
    held_counts: bool = False


@dataclass
class Books:
    """All documents of one customer."""

    orders: dict[str, Order] = field(default_factory=dict)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    credits: dict[str, Credit] = field(default_factory=dict)
    waiting: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Settlements of invoices that have not come, by invoice."""

    def order(self, order_id: str) -> Order:
        """The order, made if it was not known."""
        return self.orders.setdefault(order_id, Order())

    # --- receivables --------------------------------------------------------------------------------------------

    def post_invoice(self, invoice_id: str, amount: int, parts: list[tuple[int, int]], order_id: str | None) -> None:
        """A new invoice; what has waited for it settles it as far as both reach."""
        invoice = self.invoices[invoice_id] = Invoice(amount, parts, order_id)
        for credit_id, wanted in self.waiting.pop(invoice_id, []):
            credit = self.credits[credit_id]
            if not credit.is_reversed:
                self._settle(invoice, credit_id, min(wanted, invoice.open, credit.unapplied))

    def settle(self, credit_id: str, invoice_id: str, amount: int) -> None:
        """A part of a credit goes to an invoice, or waits for it."""
        invoice = self.invoices.get(invoice_id)
        if invoice is None:
            self.waiting.setdefault(invoice_id, []).append((credit_id, amount))
        else:
            self._settle(invoice, credit_id, amount)

    def _settle(self, invoice: Invoice, credit_id: str, amount: int) -> None:
        self.credits[credit_id].unapplied -= amount
        invoice.settled_by.append((credit_id, amount))
        if credit_id.startswith("N"):
            invoice.credited += amount

    def void(self, invoice_id: str) -> None:
        """The invoice never was; what had settled it is unapplied."""
        invoice = self.invoices[invoice_id]
        for credit_id, amount in invoice.settled_by:
            self.credits[credit_id].unapplied += amount
        invoice.settled_by = []
        invoice.is_voided = True

    def reverse(self, credit_id: str) -> None:
        """All that a payment settled is open again, and nothing of it is left."""
        for invoice in self.invoices.values():
            invoice.settled_by = [each for each in invoice.settled_by if each[0] != credit_id]
        self.credits[credit_id] = Credit(0, True)

    # --- sums ---------------------------------------------------------------------------------------------------

    def parts_of(self, order_id: str) -> tuple[int, int]:
        """What counts of an order whatever its verdict: not delivered, and delivered but not invoiced."""
        order = self.orders[order_id]
        if order.state == "cancelled" or not order.is_placed or order.amount <= 0:
            return 0, 0
        invoiced = sum(each.taken_from_order for each in self.invoices.values() if each.order == order_id)
        delivered = min(order.delivered, order.amount)
        not_delivered = 0 if order.state == "closed" else max(0, order.amount - max(delivered, invoiced))
        not_invoiced = max(0, delivered - invoiced)
        secured_there = min(order.secured, not_delivered)
        return not_delivered - secured_there, max(0, not_invoiced - (order.secured - secured_there))

    def counted_of(self, order_id: str, counting: Counting) -> tuple[int, int]:
        """What counts of an order as it stands: of a held one what is delivered, unless held ones count."""
        order = self.orders[order_id]
        not_delivered, not_invoiced = self.parts_of(order_id)
        is_out = order.verdict == "rejected" or (order.verdict == "on_hold" and not counting.held_counts)
        return 0 if is_out else not_delivered, not_invoiced

    def committed(self) -> int:
        """What released orders and invoices commit, which is what a limit is there for; of an order that waits for its
        decision what was decided before."""
        released = [order for order in self.orders.values() if order.state == "open" and order.verdict == "released"]
        ordered = sum(max(0, min(order.amount, order.decided_amount)) for order in released)
        return ordered - sum(credit.unapplied for credit in self.credits.values())

    def buckets(self, today: int, counting: Counting, without: str | None = None) -> dict[str, int]:
        """The five buckets of spec 3.9, whether the scope counts them or not; without an order, if one is named."""
        parts = [part for invoice in self.invoices.values() for part in invoice.open_parts()]
        orders = [self.counted_of(order_id, counting) for order_id in self.orders if order_id != without]
        return {
            "current_invoices": sum(amount for due, amount in parts if due >= today),
            "overdue_invoices": sum(amount for due, amount in parts if due < today),
            "open_orders": sum(order[0] for order in orders),
            "delivered_not_invoiced": sum(order[1] for order in orders),
            "unapplied": sum(credit.unapplied for credit in self.credits.values()),
        }


def counted(buckets: dict[str, int], counting: Counting) -> dict[str, int]:
    """The buckets as far as the parameters count them (spec 3.1); `none` is only that the limit is not checked."""
    orders = counting.scope in ("balance_and_orders", "none")
    return {
        **buckets,
        "open_orders": buckets["open_orders"] * orders,
        "delivered_not_invoiced": buckets["delivered_not_invoiced"] * (counting.scope != "balance"),
        "unapplied": buckets["unapplied"] * counting.unapplied_counts,
    }


def total(buckets: dict[str, int], counting: Counting) -> int:
    """Exposure from its buckets."""
    found = counted(buckets, counting)
    return sum(found.values()) - 2 * found["unapplied"]
