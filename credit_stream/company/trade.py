"""An order's life: placed, changed, confirmed, picked, packed, delivered, invoiced; or cancelled, or closed short."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from credit_stream.company.books import Act, Books
from credit_stream.company.countries import DECIMALS, HOUR_MS, day_of, money_text
from credit_stream.company.customers import AFFILIATE, LONGER_TERMS, START_UP, Customer
from credit_stream.company.hold_list import HoldList
from credit_stream.company.receivables import OpenInvoice, Receivables
from credit_stream.core.calendar import Day, Instant
from credit_stream.core.events import (
    Checkpoint,
    OrderCancelled,
    OrderChanged,
    OrderCheckpointReached,
    OrderClosed,
    OrderDelivered,
    OrderPlaced,
    OrderReopened,
)

MINUTE_MS = 60_000
EXPORT_CURRENCIES = ("USD", "EUR", "GBP")


@dataclass(slots=True)
class Order:
    """An order as long as something is to be done about it. Amounts are in minor units of `currency`.

    `parts`: what is still to be shipped, one amount a shipment. `shipping`: a shipment is under way.
    """

    order_id: str
    customer: Customer
    entity_id: str
    amount_minor: int
    currency: str
    placed_on: Day
    ships_on: Day
    terms: str
    secured_minor: int = 0
    ordered_by: str | None = None
    excluded: bool = False
    parts: list[int] | None = None
    delivered_minor: int = 0
    unbilled_minor: int = 0
    closed: bool = False
    cancelled: bool = False
    closes_short: bool = False


class Trade:
    """The sales and shipping departments."""

    __slots__ = ("_books", "_chance", "_hold_list", "_receivables")

    def __init__(self, books: Books, receivables: Receivables, hold_list: HoldList) -> None:
        self._books = books
        self._chance = books.chance
        self._receivables = receivables
        self._hold_list = hold_list

    # --- orders -----------------------------------------------------------------------------------------------------

    def take_order(self, customer: Customer, at: Instant) -> None:
        """A customer orders, sends something back, or pays first if it has no credit."""
        if customer.orders_until is not None and day_of(at) > customer.orders_until:
            return
        luck = self._chance.roll()
        if luck < 0.012:
            self._take_return(customer, at)
            return
        order = self._draw_order(customer, at, luck)
        if not customer.prepays or order.amount_minor == 0:
            self.place(order, at)
        elif not customer.fails(day_of(at)):
            self._prepay(order, at)

    def _prepay(self, order: Order, at: Instant) -> None:
        cash = self._receivables.receive(at, order.customer, order.entity_id, order.currency, order.amount_minor, [])
        order.terms = "PREPAID"
        self._books.plan_at(at + self._chance.between(20, 200) * MINUTE_MS, self.place, order)
        self._books.plan_on(order.ships_on + 3, order.customer.country, self._receivables.apply, cash)

    def _draw_order(self, customer: Customer, at: Instant, luck: float) -> Order:
        """What is ordered: a few large orders, some in a foreign currency, some secured by card or down payment."""
        chance, currency = self._chance, customer.currency
        amount = customer.typical_minor * (0.25 + 1.1 * chance.roll())
        if luck > 0.94:
            amount *= 1.5 + 2.0 * chance.roll()
        minor = max(4, int(amount)) if luck > 0.016 else 0
        if 0.05 < luck < 0.11 and minor:
            foreign = chance.pick(EXPORT_CURRENCIES)
            minor, currency = max(4, self._books.rates.convert(minor, currency, foreign)), foreign
        today = day_of(at)
        order = Order(
            order_id=f"SO{self._books.number('order')}",
            customer=customer,
            entity_id=customer.country.entity_id,
            amount_minor=minor,
            currency=currency,
            placed_on=today,
            ships_on=today + chance.between(1, 9) + (chance.between(10, 60) if luck > 0.9 else 0),
            terms=LONGER_TERMS[customer.terms] if 0.12 < luck < 0.126 else customer.terms,
            excluded=0.13 < luck < 0.133,
        )
        if 0.2 < luck < (0.4 if customer.kind is START_UP else 0.21):
            order.secured_minor = minor if luck < 0.3 else minor // 2
        elif 0.5 < luck < 0.52:
            order.ordered_by = f"{customer.customer_id}-S{chance.between(1, 3)}"
        return order

    def place(self, order: Order, at: Instant) -> None:
        """Publishes the order and enters what becomes of it."""
        chance, country, today = self._chance, order.customer.country, day_of(at)
        self._write_order(OrderPlaced, order, at)
        if order.customer.status == "suspended" or chance.happens(0.025):
            self._books.plan_on(today + chance.between(0, 8), country, self.cancel, order)
        if chance.happens(0.05):
            self._books.plan_at(at + chance.between(5, 600) * MINUTE_MS, self.change, order)
        if chance.happens(0.02):
            self._books.plan_at(at + chance.between(2, 15) * MINUTE_MS, self._try_out, order)
        self._books.plan_at(at + chance.between(15, 240) * MINUTE_MS, self.confirm, order)

    def _write_order(self, record: type[OrderPlaced], order: Order, at: Instant) -> None:
        self._books.written.append(
            record(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="web shop" if order.customer.number % 3 == 0 else "sales office",
                legal_entity=order.entity_id,
                order_id=order.order_id,
                customer_id=order.customer.customer_id,
                ordered_by=order.ordered_by,
                amount_minor=order.amount_minor,
                currency=order.currency,
                order_date=order.placed_on,
                payment_terms=order.terms,
                settlement_discount=order.customer.discount,
                ships_on=order.ships_on,
                secured_amount_minor=order.secured_minor,
                intercompany=order.customer.kind is AFFILIATE,
                excluded=order.excluded,
            )
        )

    def change(self, order: Order, at: Instant) -> None:
        """The customer wants more or less than it ordered, while nothing is shipped."""
        if order.cancelled or order.closed or order.parts is not None or self._is_rejected(order):
            return
        order.amount_minor = int(order.amount_minor * (0.5 + 1.1 * self._chance.roll()))
        order.secured_minor = min(order.secured_minor, order.amount_minor)
        self._write_order(OrderChanged, order, at)

    def cancel(self, order: Order, at: Instant) -> None:
        """Cancels an order of which nothing is shipped yet."""
        if order.cancelled or order.parts is not None or self._is_rejected(order):
            return
        order.cancelled = True
        self._books.written.append(
            OrderCancelled(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="sales office",
                legal_entity=order.entity_id,
                order_id=order.order_id,
                customer_id=order.customer.customer_id,
            )
        )

    def _take_return(self, customer: Customer, at: Instant) -> None:
        """Goods come back: a negative order, and a credit note when they have arrived."""
        minor = -max(1, int(customer.typical_minor * (0.05 + 0.3 * self._chance.roll())))
        today = day_of(at)
        order = Order(
            order_id=f"SO{self._books.number('order')}",
            customer=customer,
            entity_id=customer.country.entity_id,
            amount_minor=minor,
            currency=customer.currency,
            placed_on=today,
            ships_on=today,
            terms=customer.terms,
        )
        self._write_order(OrderPlaced, order, at)
        day = today + self._chance.between(3, 12)
        self._books.plan_on(day, customer.country, self._credit_return, order)

    def _credit_return(self, order: Order, at: Instant) -> None:
        if self._is_rejected(order):
            return
        minor = -order.amount_minor
        self._close(order, at)
        at = self._books.stamp(at + 1000)
        invoice = next(iter(order.customer.open.values()), None)
        if invoice is not None and invoice.open_minor >= minor and invoice.currency == order.currency:
            self._receivables.credit(at, invoice, minor)
        else:
            self._receivables.credit_account(at, order.customer, order.entity_id, order.currency, minor)

    # --- shipping ---------------------------------------------------------------------------------------------------

    def _must_wait(self, order: Order, act: Act[Order], at: Instant) -> bool:
        """An order on hold is not carried on but looked at again on the next working day; a rejected one never is."""
        return self._is_rejected(order) or self._waits(order, act, at)

    def _waits(self, order: Order, act: Act[Order], at: Instant) -> bool:
        if order.order_id not in self._hold_list.held:
            return False
        self._books.plan_on(day_of(at) + 1, order.customer.country, act, order)
        return True

    def _is_rejected(self, order: Order) -> bool:
        return order.order_id in self._hold_list.rejected

    def _write_checkpoint(self, order: Order, checkpoint: Checkpoint, at: Instant, pro_forma: bool = False) -> None:
        self._books.written.append(
            OrderCheckpointReached(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="erp",
                legal_entity=order.entity_id,
                order_id=order.order_id,
                customer_id=order.customer.customer_id,
                checkpoint=checkpoint,
                pro_forma=pro_forma,
            )
        )

    def _try_out(self, order: Order, at: Instant) -> None:
        if not order.cancelled and not self._is_rejected(order):
            self._write_checkpoint(order, "confirmation", at, pro_forma=True)

    def confirm(self, order: Order, at: Instant) -> None:
        """Sends the order confirmation."""
        if order.cancelled or self._must_wait(order, self.confirm, at):
            return
        self._write_checkpoint(order, "confirmation", at)
        day = max(order.ships_on, day_of(at))
        self._books.plan_on(day, order.customer.country, self.pick, order)

    def pick(self, order: Order, at: Instant) -> None:
        """Prints the picking list of the next shipment."""
        if order.cancelled or order.closed or self._must_wait(order, self.pick, at):
            return
        if order.parts is None:
            order.parts = self._shipments(order)
            order.closes_short = len(order.parts) > 1 and self._chance.happens(0.12)
        self._write_checkpoint(order, "picking_list", at)
        self._books.plan_at(at + self._chance.between(40, 300) * MINUTE_MS, self.pack, order)

    def _shipments(self, order: Order) -> list[int]:
        """Splits the amount: one shipment in four of five cases, else two or three."""
        luck, minor = self._chance.roll(), order.amount_minor
        if luck < 0.8 or minor < 10 ** DECIMALS[order.currency]:
            return [minor]
        first = int(minor * (0.3 + 0.4 * self._chance.roll()))
        if luck < 0.95:
            return [first, minor - first]
        second = (minor - first) // 2
        return [first, second, minor - first - second]

    def pack(self, order: Order, at: Instant) -> None:
        """Prints the packing slip."""
        if self._must_wait(order, self.pack, at):
            return
        self._write_checkpoint(order, "packing_slip", at)
        self._books.plan_at(at + self._chance.between(10, 90) * MINUTE_MS, self.deliver, order)

    def deliver(self, order: Order, at: Instant) -> None:
        """Goods leave; what is delivered is told as a total."""
        if not order.parts:
            return
        part_minor = order.parts.pop(0)
        order.delivered_minor += part_minor
        order.unbilled_minor += part_minor
        self._books.written.append(
            OrderDelivered(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="warehouse",
                legal_entity=order.entity_id,
                order_id=order.order_id,
                customer_id=order.customer.customer_id,
                delivered_amount=money_text(order.delivered_minor, order.currency),
            )
        )
        if part_minor > 0:
            delay = self._chance.between(20, 180) * MINUTE_MS + (24 * HOUR_MS if self._chance.happens(0.3) else 0)
            self._books.plan_at(at + delay, self.bill, order)
        if order.parts:
            self._go_on(order, at)

    def _go_on(self, order: Order, at: Instant) -> None:
        """The rest of an order is shipped some days later, or never."""
        chance, country = self._chance, order.customer.country
        if order.closes_short:
            self._books.plan_on(day_of(at) + chance.between(3, 20), country, self.close_short, order)
        else:
            self._books.plan_on(day_of(at) + chance.between(2, 12), country, self.pick, order)

    def close_short(self, order: Order, at: Instant) -> None:
        """The rest of the order will not be shipped; one in four customers thinks better of it."""
        self._close(order, at)
        order.closes_short = False
        if self._chance.happens(0.25):
            day = day_of(at) + self._chance.between(2, 12)
            self._books.plan_on(day, order.customer.country, self.reopen, order)

    def _close(self, order: Order, at: Instant) -> None:
        order.closed = True
        self._books.written.append(
            OrderClosed(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="sales office",
                legal_entity=order.entity_id,
                order_id=order.order_id,
                customer_id=order.customer.customer_id,
            )
        )

    def reopen(self, order: Order, at: Instant) -> None:
        """A closed order is open again and its rest is shipped."""
        if not order.closed:
            return
        order.closed = False
        self._books.written.append(
            OrderReopened(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="sales office",
                legal_entity=order.entity_id,
                order_id=order.order_id,
                customer_id=order.customer.customer_id,
            )
        )
        day = day_of(at) + self._chance.between(1, 6)
        self._books.plan_on(day, order.customer.country, self.pick, order)

    # --- invoicing --------------------------------------------------------------------------------------------------

    def bill(self, order: Order, at: Instant) -> None:
        """Invoices what is delivered and not invoiced (also of a rejected order), with freight on top now and then."""
        minor = order.unbilled_minor
        if minor <= 0 or self._waits(order, self.bill, at):
            return
        order.unbilled_minor = 0
        if self._chance.happens(0.02):
            minor += max(1, minor // 40)
        self._write_checkpoint(order, "invoice", at)
        self._books.plan_at(at + self._chance.between(1, 10) * 1000, partial(self.post_invoice, order), minor)

    def post_invoice(self, order: Order, minor: int, at: Instant) -> None:
        """Posts the invoice; one in 150 is wrong, voided and posted again."""
        invoice = self._post(order, minor, at)
        if self._chance.happens(0.007) and order.secured_minor == 0:
            delay = self._chance.between(30, 400) * MINUTE_MS
            self._books.plan_at(at + delay, partial(self._correct, order), invoice)
        elif 0 < order.secured_minor <= order.amount_minor // 2 + 1 or order.secured_minor == 0:
            self._receivables.expect_payment(invoice)
        else:
            self._books.plan_at(at + 5 * MINUTE_MS, self._charge_card, invoice)
        if self._chance.happens(0.035):
            day = day_of(at) + self._chance.between(5, 14)
            self._books.plan_on(day, order.customer.country, partial(self._complain, order), invoice)

    def _post(self, order: Order, minor: int, at: Instant) -> OpenInvoice:
        return self._receivables.post(
            at, order.customer, order.entity_id, order.order_id, minor, order.currency, order.terms
        )

    def _charge_card(self, invoice: OpenInvoice, at: Instant) -> None:
        if invoice.customer.fails(day_of(at)):
            self._receivables.forget(invoice)
        elif invoice.open_minor > 0:
            self._receivables.pay_now(at, invoice)

    def _correct(self, order: Order, invoice: OpenInvoice, at: Instant) -> None:
        if self._receivables.void(invoice, at):
            right = self._post(order, invoice.amount_minor, self._books.stamp(at + MINUTE_MS // 2))
            self._receivables.expect_payment(right)
        else:
            self._receivables.expect_payment(invoice)

    def _complain(self, order: Order, invoice: OpenInvoice, at: Instant) -> None:
        """A credit note for faulty goods. The finished order is closed first: nothing is sent in their place."""
        if order.parts or invoice.open_minor <= 0 or invoice.voided or self._is_rejected(order):
            return
        if not order.closed:
            self._close(order, at)
            at = self._books.stamp(at + 1000)
        share = 1.0 if self._chance.happens(0.1) else 0.05 + 0.25 * self._chance.roll()
        self._receivables.credit(at, invoice, max(1, int(invoice.amount_minor * share)))
