"""What must come out, computed from the rows alone with plain integers: nothing of the core is used here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from tests.real_data.tables import OnlineOrder, Receivable, cancelled_orders

DAY_MS = 86_400_000


@dataclass
class Totals:
    """What a customer owes at the very beginning of a day, in minor units of its credit currency."""

    current: int = 0
    overdue: int = 0
    orders: int = 0
    unapplied: int = 0

    @property
    def exposure(self) -> int:
        """Spec 3: open invoices and orders less unapplied payments."""
        return self.current + self.overdue + self.orders - self.unapplied


RatesByDay = Mapping[int, Decimal]
"""Rates of one currency by the day from which they are valid; empty: no conversion."""


def converted(minor: int, day: int, rates: RatesByDay) -> int:
    """An amount at the rate in force on a day, rounded half to even."""
    if not rates:
        return minor
    rate = rates[max(valid_from for valid_from in rates if valid_from <= day)]
    return int((minor * rate).to_integral_value(ROUND_HALF_EVEN))


def owed(rows: Iterable[Receivable], today: int, rates: Mapping[str, RatesByDay] | None = None) -> dict[str, Totals]:
    """Totals by customer as the day begins: what was posted before it and not cleared before it is open.

    An invoice is overdue from the day after its due date. What was cleared before it is posted is unapplied till then.
    """
    rates = rates or {}
    totals: defaultdict[str, Totals] = defaultdict(Totals)
    for row in rows:
        posted = row.posted_on < today
        cleared = row.cleared_on is not None and row.cleared_on < today
        own_rates = rates.get(row.currency, {})
        if posted and not cleared:
            minor = converted(row.amount_minor, row.posted_on, own_rates)
            if row.due_on < today:
                totals[row.customer_id].overdue += minor
            else:
                totals[row.customer_id].current += minor
        elif cleared and not posted and row.cleared_on is not None:
            totals[row.customer_id].unapplied += converted(row.amount_minor, row.cleared_on, own_rates)
    return dict(totals)


def ordered(orders: tuple[OnlineOrder, ...], today: int) -> dict[str, Totals]:
    """Open orders by customer as the day begins: all positive orders that were not taken back by then."""
    cancelled = cancelled_orders(orders)
    by_number = {order.number: order for order in orders}
    totals: defaultdict[str, Totals] = defaultdict(Totals)
    for order in orders:
        if order.at < today * DAY_MS:
            if order.number in cancelled:
                totals[order.customer_id].orders -= by_number[cancelled[order.number]].amount_minor
            else:
                totals[order.customer_id].orders += max(0, order.amount_minor)
    return dict(totals)


def verdicts(orders: tuple[OnlineOrder, ...], limit_minor: int) -> dict[str, str]:
    """Who is released and who is held under that limit: first come, first served, held orders use nothing."""
    cancelled = cancelled_orders(orders)
    used: defaultdict[str, int] = defaultdict(int)
    released: dict[str, int] = {}
    found = {}
    for order in orders:
        if order.number in cancelled:
            used[order.customer_id] -= released.pop(cancelled[order.number], 0)
        elif order.amount_minor > 0 and used[order.customer_id] + order.amount_minor > limit_minor:
            found[order.number] = "on_hold"
        else:
            found[order.number] = "released"
            released[order.number] = max(0, order.amount_minor)
            used[order.customer_id] += released[order.number]
    return found
