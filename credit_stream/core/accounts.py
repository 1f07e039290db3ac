"""Running totals of a customer (spec 3): what counts, in which bucket, and the record on `credit.exposures`.

A `Ledger` is the account of one customer opened for one step: plain mutable totals, written back once at the end.
Everything that changes exposure goes through it, so the cost of an event does not grow with the documents there are.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core.calendar import Day, day_from_iso, iso
from credit_stream.core.events import CustomerUpdated
from credit_stream.core.limits import own_limit
from credit_stream.core.membership import Question, tell_groups
from credit_stream.core.money import TOTAL_MINOR_MAX, TooLarge
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
from credit_stream.core.settings import Parameters
from credit_stream.core.work import Work

NOBODY = Customer()
NOTHING_DUE = DueDay()
EMPTY = Account()


class Ledger(Struct, eq=False, gc=False):
    """The account of one customer during one step. All amounts are minor units of `currency`, the credit currency.

    `account` is this step's own copy, `row` what it was before. `profile` are the credit attributes, None while the
    customer is not known.
    """

    work: Work
    customer_id: str
    customer: Customer
    profile: CustomerUpdated | None
    currency: str
    row: Account | None
    account: Account
    oldest_closed: bool = False
    is_revalued: bool = False
    """The credit attributes were changed in this step."""
    limit_memo: LimitParts | None = None
    questions: list[Question] = []
    """What this step asks the credit group."""
    settled: list[str] = []
    """Requests to the group that are over with this step."""

    @property
    def group_id(self) -> str | None:
        """The credit group that the customer is in; members of a closed group are in none (spec 4.3)."""
        profile = self.profile
        group_id = None if profile is None else profile.customer_credit_group
        return None if group_id is not None and group_id == self.account.closed_group else group_id

    def limit(self) -> LimitParts:
        """The customer's own limit on the business date."""
        if self.limit_memo is None:
            self.limit_memo = own_limit(self.customer, self.work.today)
        return self.limit_memo

    def change_customer(self, customer: Customer) -> None:
        """Writes another row of credit attributes."""
        self.customer = customer
        self.profile = customer.profile
        self.currency = "" if customer.profile is None else customer.profile.credit_currency
        self.limit_memo = None
        self.is_revalued = True
        self.work.put(CUSTOMERS, "", self.customer_id, customer)

    def to_credit(self, amount_minor: int, currency: str, rate: str) -> int:
        """An amount of a document in the credit currency, at the document's rate."""
        if currency == self.currency:
            return amount_minor
        return converted(self.work, amount_minor, currency, self.currency, rate)

    # --- invoices, by due date ---------------------------------------------------------------------------------

    def change_due(self, due: Day, credit_minor: int, instalments: int) -> None:
        """Adds to (or takes from) what is open of the instalments due on a day, and how many those are."""
        work, account, text = self.work, self.account, iso(due)
        old = work.get(DUE_DAYS, self.customer_id, text) or NOTHING_DUE
        new = DueDay(old.open_credit_minor + credit_minor, old.instalments + instalments)
        if due < work.today:
            account.overdue_invoices_minor += credit_minor
        else:
            account.current_invoices_minor += credit_minor
        if new.instalments:
            work.put(DUE_DAYS, self.customer_id, text, new)
            if account.oldest_due is None or due < account.oldest_due:
                account.oldest_due = due
            if old is NOTHING_DUE:
                work.put_on_agenda(due + 1, self.customer_id)
        else:
            work.drop(DUE_DAYS, self.customer_id, text)
            self.oldest_closed |= due == account.oldest_due

    def fall_due(self, due: Day) -> None:
        """The day after `due` has come: what was due on it is overdue (spec 10.2)."""
        row = self.work.get(DUE_DAYS, self.customer_id, iso(due))
        if row is not None:
            self.account.current_invoices_minor -= row.open_credit_minor
            self.account.overdue_invoices_minor += row.open_credit_minor

    def days_overdue(self) -> int:
        """Days past the oldest open due date; 0 when nothing is overdue (spec 5.3)."""
        if self.oldest_closed:
            self._find_oldest()
        oldest = self.account.oldest_due
        return 0 if oldest is None else max(0, self.work.today - oldest)

    def _find_oldest(self) -> None:
        """The oldest due date with something open; looked for only when asked, since a payment may close many days."""
        days = self.work.ids(DUE_DAYS, self.customer_id)
        self.account.oldest_due = day_from_iso(days[0]) if days else None
        self.oldest_closed = False

    # --- orders ------------------------------------------------------------------------------------------------

    def at_rate(self, order: Order, rate: str) -> Order:
        """The order at another rate, with what is invoiced on it at that rate too."""
        invoiced = self.to_credit(order.invoiced_minor, order.currency, rate)
        return changed(order, rate=rate, invoiced_credit_minor=invoiced)

    def parts_of(self, order: Order) -> tuple[int, int]:
        """What counts of an order, whatever its standing: not delivered, and delivered but not invoiced (spec 3)."""
        amount, rate = order.amount_minor, order.rate
        if rate is None or amount <= 0 or order.lifecycle == "cancelled":
            return 0, 0
        whole = amount if order.currency == self.currency else self.to_credit(amount, order.currency, rate)
        invoiced = order.invoiced_credit_minor + order.invoiced_foreign_credit_minor
        left = whole - invoiced if order.invoiced_minor < amount and invoiced < whole else 0
        delivered = 0
        if left and order.delivered_minor > order.invoiced_minor:  # Else a converted cent would seem to lie there.
            delivered = min(left, max(0, self._delivered(order, whole) - invoiced))
        open_minor = 0 if order.lifecycle == "closed" else left - delivered
        if order.secured_minor:
            secured = self.to_credit(order.secured_minor, order.currency, rate)
            delivered = max(0, delivered - max(0, secured - open_minor))
            open_minor = max(0, open_minor - secured)
        if order.ships_on is not None and self.is_beyond_horizon(order):
            open_minor = 0
        return open_minor, delivered

    def is_all_invoiced(self, order: Order) -> bool:
        """Whether an order is invoiced in full, by invoices in whatever currency; not before its rate is known."""
        amount, rate = order.amount_minor, order.rate
        if amount <= 0 or order.invoiced_minor >= amount:
            return amount > 0
        invoiced = order.invoiced_credit_minor + order.invoiced_foreign_credit_minor
        return rate is not None and self.to_credit(amount, order.currency, rate) <= invoiced

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
        open_minor, delivered_minor = parts or self.parts_of(order)
        if order.standing == "rejected":
            open_minor = 0
        if open_minor != order.counted_open_minor or delivered_minor != order.counted_delivered_minor:
            order = changed(order, counted_open_minor=open_minor, counted_delivered_minor=delivered_minor)
        if order.reported_open_minor > open_minor:
            order = changed(order, reported_open_minor=open_minor)
        if counted_as is not None:
            self._add(counted_as, -1)
            if order.standing == "on_hold" and self.group_id is not None and order is not counted_as:
                self.work.free(self.customer_id)  # What it waits for in its group's line may be something else now.
        self._add(order, 1)
        if self.work.parameters.credit_horizon_days >= 0:
            self._watch_horizon(order)
        self.work.put(ORDERS, self.customer_id, order.order_id, order)
        return order

    def _add(self, order: Order, sign: int) -> None:
        account, open_minor = self.account, sign * order.counted_open_minor
        if order.standing == "on_hold":
            account.held_orders_minor += open_minor
        else:
            account.open_orders_minor += open_minor
            if order.standing == "pending":
                account.asked_minor += open_minor - sign * order.reported_open_minor
        account.delivered_minor += sign * order.counted_delivered_minor

    def reported_open_of(self, order: Order | None) -> int:
        """What the credit group knows of the open part of an order as the totals have it."""
        if order is None or (order.standing == "on_hold" and not self.work.parameters.held_orders_consume_credit):
            return 0
        return order.reported_open_minor if order.standing == "pending" else order.counted_open_minor

    def reported(self) -> tuple[int, ...]:
        """The exposure by bucket as the credit group is to have it: without what waits for its answer."""
        buckets = self.buckets()
        counts_orders = self.work.parameters.exposure_scope in ("balance_and_orders", "none")
        return (
            buckets.current_invoices_minor,
            buckets.overdue_invoices_minor,
            buckets.open_orders_minor - (self.account.asked_minor if counts_orders else 0),
            buckets.delivered_not_invoiced_minor,
            buckets.unapplied_minor,
        )

    def included_of(self, order: Order) -> int:
        """What of an order, as the totals have it, is in `reported`."""
        scope = self.work.parameters.exposure_scope
        open_minor = 0 if scope in ("balance", "balance_and_delivered") else self.reported_open_of(order)
        return open_minor + (0 if scope == "balance" else order.counted_delivered_minor)

    def _watch_horizon(self, order: Order) -> None:
        if self.is_beyond_horizon(order) and order.lifecycle == "open" and order.ships_on is not None:
            self.work.put(BEYOND_HORIZON, self.customer_id, order.order_id, MARK)
            self.work.put_on_agenda(order.ships_on - self.work.parameters.credit_horizon_days, self.customer_id)
        elif self.work.get(BEYOND_HORIZON, self.customer_id, order.order_id) is not None:
            self.work.drop(BEYOND_HORIZON, self.customer_id, order.order_id)

    # --- exposure ----------------------------------------------------------------------------------------------

    def buckets(self, without: Order | None = None) -> ExposureBuckets:
        """Exposure by bucket under the parameters of spec 3, without the order if one is given."""
        account, parameters = self.account, self.work.parameters
        current, overdue = account.current_invoices_minor, account.overdue_invoices_minor
        orders, delivered, unapplied = account.open_orders_minor, account.delivered_minor, account.unapplied_minor
        if without is not None:
            delivered -= without.counted_delivered_minor
            if without.standing != "on_hold" or parameters.held_orders_consume_credit:
                orders -= without.counted_open_minor
        if not self.work.settings.counts_exposure_plainly:
            if parameters.held_orders_consume_credit:
                orders += account.held_orders_minor
            if parameters.exposure_scope in ("balance", "balance_and_delivered"):
                orders = 0
            if parameters.exposure_scope == "balance":
                delivered = 0
            if not parameters.unapplied_payments_reduce_exposure:
                unapplied = 0
        return ExposureBuckets(
            current_invoices_minor=current,
            overdue_invoices_minor=overdue,
            open_orders_minor=orders,
            delivered_not_invoiced_minor=delivered,
            unapplied_minor=unapplied,
            total_minor=current + overdue + orders + delivered - unapplied,
        )

    def close(self) -> None:
        """Publishes the exposure if it changed, and writes the account if it did.

        Exposure and limit follow from the account, the credit attributes, the date and the settings. Where none of them
        is other than at the last look, as after half of all events, nobody need look.
        """
        if self.oldest_closed:
            self._find_oldest()
        account, work = self.account, self.work
        account.valued_on = work.today
        account.valued_by = work.partition.settings_published
        if account == self.row and not self.is_revalued and not self.questions and not self.settled:
            return
        if self.profile is not None:
            self._publish_exposure()
            if account.groups or self.profile.customer_credit_group is not None:
                tell_groups(self)
        work.put(ACCOUNTS, "", self.customer_id, account)

    def fell(self) -> bool:
        """Whether the step so far lowered what the customer uses, so that it may have freed held orders (spec 7.4)."""
        parameters = self.work.parameters
        return _used(self.account, parameters) < _used(self.row or EMPTY, parameters)

    def _publish_exposure(self) -> None:
        buckets, limit = self.buckets(), self.limit().total_minor
        published = PublishedExposure(
            buckets.current_invoices_minor,
            buckets.overdue_invoices_minor,
            buckets.open_orders_minor,
            buckets.delivered_not_invoiced_minor,
            buckets.unapplied_minor,
            limit,
        )
        if published == self.account.published:
            return
        self.account.published = published
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
                as_of=self.work.as_of(),
            ),
        )


def _used(account: Account, parameters: Parameters) -> int:
    """What a customer uses, orders on hold apart unless they consume credit."""
    used = account.current_invoices_minor + account.overdue_invoices_minor
    used += account.open_orders_minor + account.delivered_minor
    if parameters.held_orders_consume_credit:
        used += account.held_orders_minor
    if parameters.unapplied_payments_reduce_exposure:
        used -= account.unapplied_minor
    return used


def _ledger_of(work: Work, customer_id: str) -> Ledger:
    row = work.get(ACCOUNTS, "", customer_id)
    customer = work.get(CUSTOMERS, "", customer_id) or NOBODY
    profile = customer.profile
    currency = "" if profile is None else profile.credit_currency
    return Ledger(work, customer_id, customer, profile, currency, row, changed(row or EMPTY))


class Ledgers(Struct, eq=False, gc=False):
    """The accounts that a step has opened, in the order in which it did."""

    work: Work
    opened: dict[str, Ledger] = {}

    def open(self, customer_id: str) -> Ledger:
        """The customer's ledger; the same one for the whole step."""
        ledger = self.opened.get(customer_id)
        if ledger is None:
            ledger = self.opened[customer_id] = _ledger_of(self.work, customer_id)
        return ledger

    def note_freed(self) -> None:
        """Says of every account that fell that held orders may be free."""
        for ledger in self.opened.values():
            if ledger.account.holds and ledger.fell():
                self.work.free(ledger.customer_id)

    def refuse_overflow(self) -> None:
        """Raises `TooLarge` when a total is beyond what can be kept. What a date only moves was counted before."""
        for ledger in self.opened.values():
            account = ledger.account
            if (
                account.current_invoices_minor + account.overdue_invoices_minor > TOTAL_MINOR_MAX
                or account.open_orders_minor + account.held_orders_minor > TOTAL_MINOR_MAX
                or account.delivered_minor > TOTAL_MINOR_MAX
                or account.unapplied_minor > TOTAL_MINOR_MAX
            ):
                raise TooLarge

    def close(self) -> None:
        """Publishes the exposures that changed and writes the accounts."""
        for ledger in self.opened.values():
            ledger.close()
