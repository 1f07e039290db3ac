"""Running totals of a customer (spec 3): what counts, in which bucket, and the record on `credit.exposures`.

A `Ledger` is the account of one customer opened for one step: plain mutable totals, written back once at the end.
Everything that changes exposure goes through it, so the cost of an event does not grow with the documents there are.
"""

from __future__ import annotations

from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core.calendar import Day, day_from_iso, iso
from credit_stream.core.events import CustomerUpdated
from credit_stream.core.limits import own_limit
from credit_stream.core.outputs import Exposure, ExposureBuckets, LimitParts
from credit_stream.core.rates import SAME_CURRENCY, converted
from credit_stream.core.rows import (
    ACCOUNTS,
    BEYOND_HORIZON,
    CUSTOMERS,
    DUE_DAYS,
    MARK,
    ORDERS,
    Account,
    Customer,
    DueDay,
    Order,
    PublishedExposure,
)
from credit_stream.core.work import Work

NOBODY = Customer()
NOTHING_DUE = DueDay()
EMPTY = Account()


class Ledger:
    """The account of one customer during one step. All amounts are minor units of `currency`, the credit currency."""

    __slots__ = (
        "_oldest_due",
        "currency",
        "current_minor",
        "customer",
        "customer_id",
        "delivered_minor",
        "held_orders_minor",
        "holds",
        "last_hold",
        "limit_memo",
        "oldest_closed",
        "open_orders_minor",
        "overdue_minor",
        "published",
        "row",
        "unapplied_minor",
        "work",
    )  # fmt: skip

    def __init__(self, work: Work, customer_id: str) -> None:
        row = work.get(ACCOUNTS, "", customer_id)
        self.work = work
        self.customer_id = customer_id
        self.customer = work.get(CUSTOMERS, "", customer_id) or NOBODY
        self.currency = self.customer.profile.credit_currency if self.customer.profile is not None else ""
        self.row = row
        self.limit_memo: LimitParts | None = None
        account = row or EMPTY
        self.current_minor = account.current_invoices_minor
        self.overdue_minor = account.overdue_invoices_minor
        self.open_orders_minor = account.open_orders_minor
        self.held_orders_minor = account.held_orders_minor
        self.delivered_minor = account.delivered_minor
        self.unapplied_minor = account.unapplied_minor
        self._oldest_due = account.oldest_due
        self.oldest_closed = False
        self.holds = account.holds
        self.last_hold = account.last_hold
        self.published = account.published

    @property
    def profile(self) -> CustomerUpdated | None:
        """The credit attributes, None while the customer is not known."""
        return self.customer.profile

    @property
    def limit(self) -> LimitParts:
        """The customer's own limit on the business date."""
        if self.limit_memo is None:
            self.limit_memo = own_limit(self.customer, self.work.today)
        return self.limit_memo

    def change_customer(self, customer: Customer) -> None:
        """Writes another row of credit attributes."""
        self.customer = customer
        self.currency = customer.profile.credit_currency if customer.profile is not None else ""
        self.limit_memo = None
        self.work.put(CUSTOMERS, "", self.customer_id, customer)

    def to_credit(self, amount_minor: int, currency: str, rate: str) -> int:
        """An amount of a document in the credit currency, at the document's rate."""
        if currency == self.currency:
            return amount_minor
        return converted(self.work, amount_minor, currency, self.currency, rate)

    # --- invoices, by due date ---------------------------------------------------------------------------------

    def change_due(self, due: Day, credit_minor: int, instalments: int) -> None:
        """Adds to (or takes from) what is open of the instalments due on a day, and how many those are."""
        work, text = self.work, iso(due)
        old = work.get(DUE_DAYS, self.customer_id, text) or NOTHING_DUE
        new = DueDay(old.open_credit_minor + credit_minor, old.instalments + instalments)
        if due < work.today:
            self.overdue_minor += credit_minor
        else:
            self.current_minor += credit_minor
        if new.instalments:
            work.put(DUE_DAYS, self.customer_id, text, new)
            if self._oldest_due is None or due < self._oldest_due:
                self._oldest_due = due
            work.put_on_agenda(due + 1, self.customer_id)
        else:
            work.drop(DUE_DAYS, self.customer_id, text)
            self.oldest_closed |= due == self._oldest_due

    def fall_due(self, due: Day) -> None:
        """The day after `due` has come: what was due on it is overdue (spec 10.2)."""
        row = self.work.get(DUE_DAYS, self.customer_id, iso(due))
        if row is not None:
            self.current_minor -= row.open_credit_minor
            self.overdue_minor += row.open_credit_minor

    @property
    def oldest_due(self) -> Day | None:
        """The oldest due date with something open; looked for only when asked, since a payment may close many days."""
        if self.oldest_closed:
            days = self.work.ids(DUE_DAYS, self.customer_id)
            self._oldest_due = day_from_iso(days[0]) if days else None
            self.oldest_closed = False
        return self._oldest_due

    @property
    def days_overdue(self) -> int:
        """Days past the oldest open due date; 0 when nothing is overdue (spec 5.3)."""
        oldest = self.oldest_due
        return 0 if oldest is None else max(0, self.work.today - oldest)

    # --- orders ------------------------------------------------------------------------------------------------

    def at_rate(self, order: Order, rate: str) -> Order:
        """The order at another rate, with what is invoiced on it at that rate too."""
        invoiced = self.to_credit(order.invoiced_minor, order.currency, rate)
        return changed(order, rate=rate, invoiced_credit_minor=invoiced)

    def parts_of(self, order: Order) -> tuple[int, int]:
        """What counts of an order, whatever its standing: not delivered, and delivered but not invoiced (spec 3)."""
        if order.rate is None or order.lifecycle == "cancelled" or order.amount_minor <= 0:
            return 0, 0
        whole = self.to_credit(order.amount_minor, order.currency, order.rate)
        invoiced = order.invoiced_credit_minor + order.invoiced_foreign_credit_minor
        if order.invoiced_minor >= order.amount_minor:
            invoiced = whole
        left = max(0, whole - invoiced)
        delivered = min(left, max(0, self._delivered(order, whole) - invoiced)) if order.delivered_minor else 0
        open_minor = 0 if order.lifecycle == "closed" else left - delivered
        if order.secured_minor:
            secured = self.to_credit(order.secured_minor, order.currency, order.rate)
            delivered = max(0, delivered - max(0, secured - open_minor))
            open_minor = max(0, open_minor - secured)
        return 0 if self.is_beyond_horizon(order) else open_minor, delivered

    def _delivered(self, order: Order, whole_minor: int) -> int:
        if order.delivered_minor >= order.amount_minor:
            return whole_minor
        return self.to_credit(order.delivered_minor, order.currency, order.rate or SAME_CURRENCY)

    def is_beyond_horizon(self, order: Order) -> bool:
        """Whether the order ships after the credit horizon and so does not count yet (spec 3.6)."""
        horizon = self.work.parameters.credit_horizon_days
        return horizon >= 0 and order.ships_on is not None and order.ships_on > self.work.today + horizon

    def count(self, order: Order, counted_as: Order | None, parts: tuple[int, int] | None = None) -> Order:
        """Puts the order into the totals in place of what it was `counted_as`, and writes it.

        `parts` is what counts of it, where the caller knows it already.
        """
        if counted_as is not None:
            self._add(counted_as, -1)
        open_minor, delivered_minor = parts or self.parts_of(order)
        if order.standing == "rejected":
            open_minor = 0
        if open_minor != order.counted_open_minor or delivered_minor != order.counted_delivered_minor:
            order = changed(order, counted_open_minor=open_minor, counted_delivered_minor=delivered_minor)
        self._add(order, 1)
        if self.work.parameters.credit_horizon_days >= 0:
            self._watch_horizon(order)
        self.work.put(ORDERS, self.customer_id, order.order_id, order)
        return order

    def _add(self, order: Order, sign: int) -> None:
        if order.standing == "on_hold":
            self.held_orders_minor += sign * order.counted_open_minor
        else:
            self.open_orders_minor += sign * order.counted_open_minor
        self.delivered_minor += sign * order.counted_delivered_minor

    def _watch_horizon(self, order: Order) -> None:
        if self.is_beyond_horizon(order) and order.lifecycle == "open" and order.ships_on is not None:
            self.work.put(BEYOND_HORIZON, self.customer_id, order.order_id, MARK)
            self.work.put_on_agenda(order.ships_on - self.work.parameters.credit_horizon_days, self.customer_id)
        elif self.work.get(BEYOND_HORIZON, self.customer_id, order.order_id) is not None:
            self.work.drop(BEYOND_HORIZON, self.customer_id, order.order_id)

    # --- exposure ----------------------------------------------------------------------------------------------

    def buckets(self, without: Order | None = None) -> ExposureBuckets:
        """Exposure by bucket under the parameters of spec 3, without the order if one is given."""
        parameters = self.work.parameters
        orders = self.open_orders_minor
        delivered = self.delivered_minor
        if parameters.held_orders_consume_credit:
            orders += self.held_orders_minor
        if without is not None:
            delivered -= without.counted_delivered_minor
            if without.standing != "on_hold" or parameters.held_orders_consume_credit:
                orders -= without.counted_open_minor
        if parameters.exposure_scope in ("balance", "balance_and_delivered"):
            orders = 0
            if parameters.exposure_scope == "balance":
                delivered = 0
        unapplied = self.unapplied_minor if parameters.unapplied_payments_reduce_exposure else 0
        return ExposureBuckets(
            current_invoices_minor=self.current_minor,
            overdue_invoices_minor=self.overdue_minor,
            open_orders_minor=orders,
            delivered_not_invoiced_minor=delivered,
            unapplied_minor=unapplied,
            total_minor=self.current_minor + self.overdue_minor + orders + delivered - unapplied,
        )

    def close(self) -> None:
        """Publishes the exposure if it changed, and writes the account if it did."""
        if self.customer.profile is not None:
            self._publish_exposure()
        account = Account(
            self.current_minor,
            self.overdue_minor,
            self.open_orders_minor,
            self.held_orders_minor,
            self.delivered_minor,
            self.unapplied_minor,
            self.oldest_due,
            self.holds,
            self.last_hold,
            self.published,
        )
        if account != self.row:
            self.work.put(ACCOUNTS, "", self.customer_id, account)

    @property
    def fell(self) -> bool:
        """Whether the step so far lowered what the customer uses, so that it may have freed held orders (spec 7.4)."""
        was = self.row or EMPTY
        before = was.current_invoices_minor + was.overdue_invoices_minor + was.open_orders_minor
        before += was.delivered_minor - was.unapplied_minor
        now = self.current_minor + self.overdue_minor + self.open_orders_minor
        return now + self.delivered_minor - self.unapplied_minor < before

    def refuse_overflow(self) -> None:
        """Raises `TooLarge` when a total is beyond what can be kept. What a date only moves was counted before."""
        invoices = self.current_minor + self.overdue_minor
        orders = self.open_orders_minor + self.held_orders_minor
        if max(invoices, orders, self.delivered_minor, self.unapplied_minor) > money.TOTAL_MINOR_MAX:
            raise money.TooLarge

    def _publish_exposure(self) -> None:
        buckets, limit = self.buckets(), self.limit.total_minor
        published = PublishedExposure(
            buckets.current_invoices_minor,
            buckets.overdue_invoices_minor,
            buckets.open_orders_minor,
            buckets.delivered_not_invoiced_minor,
            buckets.unapplied_minor,
            limit,
        )
        if published == self.published:
            return
        self.published = published
        total = buckets.total_minor
        self.work.publish(
            self.customer_id,
            Exposure(
                party="customer",
                customer_id=self.customer_id,
                currency=self.currency,
                current_invoices_minor=buckets.current_invoices_minor,
                overdue_invoices_minor=buckets.overdue_invoices_minor,
                open_orders_minor=buckets.open_orders_minor,
                delivered_not_invoiced_minor=buckets.delivered_not_invoiced_minor,
                unapplied_minor=buckets.unapplied_minor,
                exposure_minor=total,
                limit_minor=limit,
                available_minor=None if limit is None else limit - total,
                utilization_percent=money.percent_of(total, limit) if limit else None,
                business_date=self.work.today,
                as_of=self.work.as_of,
            ),
        )


class Ledgers:
    """The accounts that a step has opened, in the order in which it did."""

    __slots__ = ("_opened", "_work")

    def __init__(self, work: Work) -> None:
        self._work = work
        self._opened: dict[str, Ledger] = {}

    def open(self, customer_id: str) -> Ledger:
        """The customer's ledger; the same one for the whole step."""
        ledger = self._opened.get(customer_id)
        if ledger is None:
            ledger = self._opened[customer_id] = Ledger(self._work, customer_id)
        return ledger

    def note_freed(self) -> None:
        """Says of every account that fell that held orders may be free."""
        for ledger in self._opened.values():
            if ledger.holds and ledger.fell:
                self._work.free(ledger.customer_id)

    def refuse_overflow(self) -> None:
        """Raises `TooLarge` when a total of one of them is beyond what can be kept."""
        for ledger in self._opened.values():
            ledger.refuse_overflow()

    def close(self) -> None:
        """Publishes the exposures that changed and writes the accounts."""
        for ledger in self._opened.values():
            ledger.close()
