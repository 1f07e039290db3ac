"""The documents of one customer, and its exposure added up anew from them each time (spec 3, 15).

Nothing is kept that could be computed: an invoice knows what came upon it, an order what it says, a payment where it
went. `Books.buckets` goes through all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.auditor.money import Money, convert, decimals, minor

CURRENT, OVERDUE, OPEN, DELIVERED, UNAPPLIED = range(5)
BUCKETS = ("current_invoices", "overdue_invoices", "open_orders", "delivered_not_invoiced", "unapplied")
Buckets = list[Money]


def total(buckets: Buckets) -> Money:
    """The exposure: unapplied money is positive and taken off."""
    return sum(buckets[:UNAPPLIED]) - buckets[UNAPPLIED]


@dataclass
class Release:
    """What a person's release says: until when, up to what amount, which reasons it waives, and the tolerance (5.7)."""

    until: date
    up_to: Money
    waived: frozenset[str]
    percent: Fraction


@dataclass
class Order:
    """An order as it stands; `net` amounts are without the secured part, in its own currency."""

    order_id: str
    legal_entity: str
    amount: Money
    currency: str
    secured: Money = 0
    terms: str | None = None
    discount: str | None = None
    ships_on: date | None = None
    intercompany: bool = False
    excluded: bool = False
    taken_out: bool = False
    """Excluded by a person (7.7): what upstream says afterwards does not bring it back."""
    state: str = "open"
    verdict: str = ""
    rate: Fraction | None = None
    has_rate: bool = True
    delivered: str = "0"
    checkpoint: str | None = None
    held_at: str = "order_entry"
    granted: Money = 0
    tolerance: Fraction | None = None
    """Of a person's release; None: the parameter's."""
    release: Release | None = None
    grace_until: date | None = None
    trial_grace_until: date | None = None
    reasons: list[str] = field(default_factory=list)
    entry: dict[str, Any] | None = None
    forced: str | None = None
    waiting: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    """Events that came while it is pending, with their places."""
    asked: str | None = None
    """The question to its group that it waits for."""
    in_line: str | None = None
    """The question by which its group looks after it while it is on hold."""
    in_report: Money = 0
    """What of its open part the group knows."""
    taken_as_one: dict[Fraction | None, dict[str, Money]] = field(default_factory=dict)
    """By rate, what was invoiced on it in its own currency when it took that rate, invoice by invoice."""

    @property
    def net(self) -> Money:
        """What of its amount is not secured; nothing of a return."""
        return max(0, self.amount - self.secured)


@dataclass
class Move:
    """Something that came upon an invoice: cash and discount of a payment, or a credit note."""

    source: str
    is_credit: bool
    amount: Money
    cash: Money
    alive: bool = True


@dataclass
class Invoice:
    """A posted invoice; parts are due dates and amounts."""

    invoice_id: str
    order_id: str | None
    amount: Money
    currency: str
    day: date
    parts: list[tuple[date, Money]]
    voided: bool = False
    moves: list[tuple[str, Move]] = field(default_factory=list)
    """What happened, in its order: `settled` or `given back`, and by what."""

    @property
    def open(self) -> Money:
        """What is owed of it."""
        return 0 if self.voided else self.amount - sum(move.amount for move in self.alive())

    def alive(self) -> Iterator[Move]:
        """What still settles it."""
        return (move for kind, move in self.moves if kind == "settled" and move.alive)

    @property
    def billed(self) -> Money:
        """What it takes from its order: its amount less credit notes, nothing once it is voided."""
        return 0 if self.voided else self.amount - sum(move.amount for move in self.alive() if move.is_credit)

    def open_parts(self, currency: str, rate: Fraction | None) -> list[tuple[date, Money, Money]]:
        """Due date and open part, in credit currency and in its own.

        Of the parts of a converted whole all but the last are converted, the last is the difference (15, 1.2).
        """
        whole = [amount for _, amount in self.parts]
        worth = [convert(amount, self.currency, currency, rate) for amount in whole[:-1]]
        worth.append(convert(self.amount, self.currency, currency, rate) - sum(worth))
        left, left_worth = list(whole), list(worth)
        for kind, move in self.moves:
            shift(kind == "settled", move.amount, (whole, worth, left, left_worth), (self.currency, currency, rate))
        if self.voided:
            left, left_worth = [0 for _ in left], [0 for _ in left_worth]
        return [(due, *open_part) for (due, _), *open_part in zip(self.parts, left_worth, left, strict=True)]


def shift(
    settles: bool,
    amount: Money,
    parts: tuple[list[Money], list[Money], list[Money], list[Money]],
    pair: tuple[str, str, Fraction | None],
) -> None:
    """Takes an amount off the oldest open parts, or gives it back to the newest settled ones; in two currencies."""
    whole, worth, left, left_worth = parts
    order = range(len(whole)) if settles else reversed(range(len(whole)))
    for at in order:
        portion = min(amount, left[at] if settles else whole[at] - left[at])
        if portion <= 0:
            continue
        amount -= portion
        left[at] += -portion if settles else portion
        value = convert(portion, *pair)
        if settles:
            left_worth[at] = 0 if left[at] == 0 else left_worth[at] - value
        else:
            left_worth[at] = worth[at] if left[at] == whole[at] else left_worth[at] + value


@dataclass
class Payment:
    """Money received. What of it went to invoices lies with these; `waiting` is meant for invoices not seen yet."""

    payment_id: str
    amount: Money
    currency: str
    day: date
    reversed: bool = False
    applied: list[tuple[str, Move, Money]] = field(default_factory=list)
    """Invoice, move, and what it took in the payment's currency."""
    waiting: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Invoice, amount, discount, and when that was said."""

    @property
    def unapplied(self) -> Money:
        """What is on account, in its currency."""
        return 0 if self.reversed else self.amount - sum(taken for _, move, taken in self.applied if move.alive)


@dataclass
class CreditNote:
    """A credit note; without an invoice, or before it, it is unapplied credit."""

    credit_note_id: str
    amount: Money
    currency: str
    day: date
    arrived: int
    invoice_id: str | None
    move: Move | None = None

    @property
    def unapplied(self) -> Money:
        """What of it lowers no invoice."""
        return self.amount - (self.move.amount if self.move is not None and self.move.alive else 0)


class Rates:
    """Published exchange rates: the one in force has the newest `valid_from` up to the date."""

    def __init__(self) -> None:
        self.published: dict[tuple[str, str, str], dict[date, Fraction]] = {}

    def publish(self, rate_type: str, pair: tuple[str, str], day: date, rate: Fraction) -> None:
        """A rate from a day on; the same day again replaces it."""
        self.published.setdefault((rate_type, *pair), {})[day] = rate

    def find(self, rate_type: str, source: str, target: str, day: date) -> tuple[bool, Fraction | None]:
        """Whether there is a rate, and which; none is needed within one currency. Nothing is inverted or chained."""
        if source == target:
            return True, None
        days = self.published.get((rate_type, source, target), {})
        newest = max((valid_from for valid_from in days if valid_from <= day), default=None)
        return newest is not None, None if newest is None else days[newest]


@dataclass
class Counting:
    """How to add up: as of which date, by which parameters, and which held order counts for now."""

    today: date
    parameters: dict[str, Any]
    without: str | None = None
    offered: frozenset[str] = frozenset()


@dataclass
class Books:
    """All documents of a customer, in credit currency `currency` once there is a profile."""

    currency: str | None = None
    orders: dict[str, Order] = field(default_factory=dict)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    notes: dict[str, CreditNote] = field(default_factory=dict)
    early_deliveries: dict[str, str] = field(default_factory=dict)
    kept_rates: dict[tuple[str, str], Fraction | None] = field(default_factory=dict)
    """The rate on each row, by kind and id: settling takes off exactly what posting added."""
    lacking: set[tuple[str, str]] = field(default_factory=set)
    """Rows that count when their rate comes."""
    arrivals: int = 0

    def next_arrival(self) -> int:
        """Numbers what came before its invoice: it is matched in the order in which it came."""
        self.arrivals += 1
        return self.arrivals

    # --- orders -----------------------------------------------------------------------------------------------------

    def billed_on(self, order: Order) -> Money:
        """What is invoiced on the order, in its currency."""
        return sum(self.billed_part(order, invoice) for invoice in self.invoices_of(order))

    def invoices_of(self, order: Order) -> list[Invoice]:
        """The invoices that name it."""
        return [invoice for invoice in self.invoices.values() if invoice.order_id == order.order_id]

    def billed_part(self, order: Order, invoice: Invoice) -> Money:
        """What an invoice takes from the order, in the order's currency; in another currency, by its worth."""
        if invoice.currency == order.currency:
            return invoice.billed
        worth = self.worth(invoice.billed, invoice.currency, ("invoice", invoice.invoice_id))
        if order.rate is None or self.currency is None:
            return worth
        own = Fraction(worth, 10 ** decimals(self.currency)) / order.rate
        return round(own * 10 ** decimals(order.currency))

    def counted(self, order: Order) -> tuple[Money, Money]:
        """What would count of the order if it was released: not delivered, and delivered not invoiced."""
        if self.currency is None or not order.has_rate or order.amount <= 0 or order.state == "cancelled":
            return 0, 0
        pair = (order.currency, self.currency, order.rate)
        whole = convert(order.amount, *pair)
        delivered_own = min(minor(order.delivered, order.currency) or 0, order.amount)
        billed_own = self.billed_on(order)
        billed = self.billed_worth(order)
        delivered = whole if delivered_own == order.amount else convert(delivered_own, *pair)
        done = max(delivered_own, billed_own)
        lying = 0 if billed_own >= delivered_own else max(0, delivered - billed)
        not_done = 0 if done >= order.amount else max(0, whole - billed - lying)  # The last part is the difference.
        secured = convert(order.secured, *pair)
        if order.state == "closed":
            not_done = 0
        off_open = min(secured, not_done)
        return not_done - off_open, max(0, lying - (secured - off_open))

    def is_all_billed(self, order: Order) -> bool:
        """Whether nothing of it is left to invoice, in its own currency or by what it is worth."""
        if order.amount <= 0:
            return False
        billed = sum(invoice.billed for invoice in self.invoices_of(order) if invoice.currency == order.currency)
        if self.currency is None or not order.has_rate:
            return billed >= order.amount
        worth = self.billed_worth(order)
        return billed >= order.amount or convert(order.amount, order.currency, self.currency, order.rate) <= worth

    def billed_worth(self, order: Order) -> Money:
        """What invoices take from the order in credit currency: at the order's rate those in its currency.

        What was invoiced when the order took its rate is one part of it, each later invoice one of its own (15, 1.2).
        """
        assert self.currency is not None
        pair, as_one = (order.currency, self.currency, order.rate), order.taken_as_one.get(order.rate, {})
        invoices = self.invoices_of(order)
        worth = sum(
            self.worth(each.billed, each.currency, ("invoice", each.invoice_id))
            for each in invoices
            if each.currency != order.currency
        )
        own = {each.invoice_id: each.billed for each in invoices if each.currency == order.currency}
        if not any(own.values()):
            return worth
        parts = convert(sum(as_one.values()), *pair)
        for invoice_id, billed in own.items():
            parts += convert(billed, *pair) - convert(as_one.get(invoice_id, 0), *pair)
        return worth + max(0, parts)

    def take_as_one(self, order: Order, rate: Fraction | None) -> None:
        """The order takes a rate: what is invoiced on it is converted at that as one part."""
        order.taken_as_one[rate] = {
            each.invoice_id: each.billed for each in self.invoices_of(order) if each.currency == order.currency
        }

    def worth(self, amount: Money, currency: str, row: tuple[str, str]) -> Money:
        """An amount of a row in credit currency, at the rate kept on it; nothing while that is missing."""
        if row in self.lacking or self.currency is None:
            return 0
        return convert(amount, currency, self.currency, self.kept_rates.get(row))

    def own_part(self, order: Order, counting: Counting) -> tuple[Money, Money]:
        """What counts of the order in its own check: an order beyond the horizon only with what is delivered (3.6)."""
        not_delivered, lying = self.counted(order)
        horizon = counting.parameters["credit_horizon_days"]
        if horizon >= 0 and order.ships_on is not None and order.ships_on > counting.today + timedelta(horizon):
            not_delivered = 0
        return not_delivered, lying

    # --- the sum ----------------------------------------------------------------------------------------------------

    def buckets(self, counting: Counting) -> Buckets:
        """The five buckets in credit currency, as far as the scope counts them."""
        sums = [0, 0, 0, 0, 0]
        if self.currency is None:
            return sums
        for invoice in self.counted_invoices():
            rate = self.kept_rates.get(("invoice", invoice.invoice_id))
            for due, open_part, _ in invoice.open_parts(self.currency or invoice.currency, rate):
                sums[OVERDUE if due < counting.today else CURRENT] += open_part
        for order in self.orders.values():
            if order.order_id == counting.without:
                continue
            not_delivered, lying = self.own_part(order, counting)
            if self.consumes(order, counting):
                sums[OPEN] += not_delivered
            sums[DELIVERED] += lying
        scope = counting.parameters["exposure_scope"]
        if scope == "balance":
            sums[DELIVERED] = 0
        if scope in ("balance", "balance_and_delivered"):
            sums[OPEN] = 0
        if counting.parameters["unapplied_payments_reduce_exposure"]:
            sums[UNAPPLIED] = self.unapplied()
        return sums

    def counted_invoices(self) -> Iterator[Invoice]:
        """Those that have their rate."""
        return (each for each in self.invoices.values() if ("invoice", each.invoice_id) not in self.lacking)

    def consumes(self, order: Order, counting: Counting) -> bool:
        """Whether the undelivered part of the order takes credit (3.4)."""
        if order.verdict == "on_hold":
            return counting.parameters["held_orders_consume_credit"] or order.order_id in counting.offered
        return order.verdict in ("released", "pending")

    def unapplied(self) -> Money:
        """Money on account and credit that lowers no invoice, in credit currency."""
        found = 0
        for payment in self.payments.values():
            if payment.unapplied:
                row = ("payment", payment.payment_id)
                parts = [taken for _, move, taken in payment.applied if move.alive]
                found += self.worth(payment.amount, payment.currency, row)
                found -= sum(self.worth(taken, payment.currency, row) for taken in parts)
        for note in self.notes.values():
            found += self.worth(note.unapplied, note.currency, ("note", note.credit_note_id))
        return found

    def overdue(self, today: date) -> tuple[int, Money]:
        """Days of the oldest overdue instalment that is open, and how much is overdue."""
        days, amount = 0, 0
        for invoice in self.counted_invoices():
            rate = self.kept_rates.get(("invoice", invoice.invoice_id))
            for due, open_part, left in invoice.open_parts(self.currency or invoice.currency, rate):
                if due < today and left > 0:
                    days, amount = max(days, (today - due).days), amount + open_part
        return days, amount
