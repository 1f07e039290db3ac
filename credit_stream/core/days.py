"""Time as an event (spec 10.1, 10.2): the clock of a partition, and what a new business date brings.

What a date changes stands on an agenda by day, so that a new date touches only the customers that it is about.
"""

from __future__ import annotations

from msgspec.structs import replace as changed

from credit_stream.core.accounts import Ledger, Ledgers
from credit_stream.core.calendar import Day, Instant, day_from_iso, day_of, iso
from credit_stream.core.customers import count_documents
from credit_stream.core.outputs import LimitExpired
from credit_stream.core.pools import Pools
from credit_stream.core.rows import (
    AGENDA,
    AGENDA_DAYS,
    BEYOND_HORIZON,
    MARK,
    ORDERS,
    SEEN,
    SEEN_DAYS,
    SEEN_ON,
    WAITING_FOR_RATE,
    EventIds,
)
from credit_stream.core.work import Work

EVENTS_OF_ROW = 32
"""Ids of events in one row of `SEEN_ON`: a row for each would be a third of all rows that the changelog takes."""


def advance(work: Work, instant: Instant, ledgers: Ledgers, pools: Pools) -> None:
    """Moves the partition's clock to an instant; it never goes back. A new business date does its work first."""
    partition = work.partition
    if instant <= partition.now:
        return
    partition.now = instant
    date = day_of(instant, work.parameters.business_time_zone)
    if date > work.today:
        _begin_day(work, date, ledgers, pools)


def change_zone(work: Work, ledgers: Ledgers, pools: Pools) -> None:
    """The business date is the clock's in the zone of the settings in force, from the settings on (spec 10.1)."""
    date = day_of(work.partition.now, work.parameters.business_time_zone)
    if date > work.today:
        _begin_day(work, date, ledgers, pools)


def _begin_day(work: Work, date: Day, ledgers: Ledgers, pools: Pools) -> None:
    if work.partition.taken:
        _file_events(work)
    work.partition.business_date = work.today = date
    work.put(SEEN_DAYS, "", iso(date), MARK)
    for text in work.ids(AGENDA_DAYS, ""):
        if day_from_iso(text) > date:
            break
        for customer_id in work.ids(AGENDA, text):
            _look_at(work, ledgers.open(customer_id), day_from_iso(text))
            work.drop(AGENDA, text, customer_id)
        work.drop(AGENDA_DAYS, "", text)
    pools.begin_day(date)
    _forget_events(work)


def _look_at(work: Work, ledger: Ledger, day: Day) -> None:
    ledger.fall_due(day - 1)
    if work.get(WAITING_FOR_RATE, "", ledger.customer_id) is not None:
        count_documents(work, ledger)
    _expire_limits(work, ledger, day - 1)
    if work.parameters.credit_horizon_days >= 0:
        _look_at_horizon(work, ledger)
    work.free(ledger.customer_id)


def _look_at_horizon(work: Work, ledger: Ledger) -> None:
    for order_id in work.ids(BEYOND_HORIZON, ledger.customer_id):
        order = work.get(ORDERS, ledger.customer_id, order_id)
        if order is not None and not ledger.is_beyond_horizon(order):
            ledger.count(order, order)


def _expire_limits(work: Work, ledger: Ledger, last_day: Day) -> None:
    """Says which limits had their last day, and forgets temporary limits that are over."""
    customer = ledger.customer
    if customer.credit_limit_expires_on == last_day:
        work.publish(
            ledger.customer_id,
            LimitExpired(
                party="customer",
                customer_id=ledger.customer_id,
                currency=ledger.currency,
                new_limit_minor=customer.credit_limit_minor,
                expires_on=last_day,
            ),
        )
    over = [limit for limit in customer.temporary_limits if limit.to_date == last_day]
    for limit in over:
        work.publish(
            ledger.customer_id,
            LimitExpired(
                party="customer",
                customer_id=ledger.customer_id,
                currency=ledger.currency,
                old_limit_minor=limit.limit_minor,
                new_limit_minor=customer.credit_limit_minor,
                from_date=limit.from_date,
                to_date=limit.to_date,
                journal_id=limit.journal_id,
                line=limit.line,
            ),
        )
    if over:
        lasting = tuple(limit for limit in customer.temporary_limits if limit.to_date > last_day)
        ledger.change_customer(changed(customer, temporary_limits=lasting))


def remember_event(work: Work, event_id: str) -> None:
    """Notes under the business date that an event was taken, so that it can be forgotten after the retention."""
    partition = work.partition
    partition.taken = (*partition.taken, event_id)
    if len(partition.taken) == EVENTS_OF_ROW:
        _file_events(work)


def _file_events(work: Work) -> None:
    taken = work.partition.taken
    work.put(SEEN_ON, iso(work.today), taken[0], EventIds(taken))
    work.partition.taken = ()


def _forget_events(work: Work) -> None:
    """Forgets the events that were taken longer ago than `event_id_retention_days`."""
    last = work.today - work.parameters.event_id_retention_days
    for text in work.ids(SEEN_DAYS, ""):
        if day_from_iso(text) >= last:
            break
        for first in work.ids(SEEN_ON, text):
            row = work.get(SEEN_ON, text, first)
            for event_id in () if row is None else row.event_ids:
                work.drop(SEEN, "", event_id)
            work.drop(SEEN_ON, text, first)
        work.drop(SEEN_DAYS, "", text)
