"""The stream of the company's events, day after day, in the order of time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date

from credit_stream.company.books import Books
from credit_stream.company.countries import EPOCH_WEEKDAY, day_of, working_day
from credit_stream.company.credit_office import OFFICE, CreditOffice
from credit_stream.company.customers import YEAR_DAYS, Customer, Founding
from credit_stream.company.hold_list import HoldList
from credit_stream.company.plan import Plan
from credit_stream.company.receivables import Receivables
from credit_stream.company.rule_book import EDITIONS, rule_book_json
from credit_stream.company.trade import Trade
from credit_stream.core.calendar import DAY_MS, EPOCH_ORDINAL, Day, Instant
from credit_stream.core.events import ClockTicked, Event, ExchangeRatePublished, SettingsPublished
from credit_stream.core.outputs import HoldEntry

BATCH_CUSTOMERS = 500
"""On the day of the take-over, customers are founded in batches of so many."""
SEASON = (0.86, 0.88, 0.98, 1.0, 1.02, 1.0, 0.92, 0.88, 1.04, 1.08, 1.2, 1.14)
"""How a month's orders compare with the mean; the mean of the twelve is 1."""
WEEK = (1.40, 1.42, 1.40, 1.36, 1.26, 0.11, 0.05)
"""The same for weekdays, Monday first: at weekends only the web shop sells."""
GROWTH_A_YEAR = 0.25
REVIEW_DAY = 5
SEASON_MONTH = 11
NEW_EDITION_AFTER_DAYS = 182


class Company:
    """The company at work. `next_batch` gives the events of at most a day; what it does next may depend on `hear`.

    Everything it remembers can be pickled: a copy goes on with the same events.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._books = Books(plan)
        self._hold_list = HoldList(self._books)
        self._receivables = Receivables(self._books)
        self._trade = Trade(self._books, self._receivables, self._hold_list)
        self._founding = Founding(plan, self._books.chance, self._books.rates)
        self._office = CreditOffice(self._books, self._founding)
        self._weights: list[float] = []
        self._today: Day = plan.start
        self._day_has_begun = False
        self._edition = 0

    def __iter__(self) -> Iterator[Event]:
        """Every event from here on."""
        while (batch := self.next_batch()) is not None:
            yield from batch

    def hear(self, order_id: str, entry: HoldEntry | None) -> None:
        """Tells the company what came on `credit.holds`: its clerks act on it, and held orders wait."""
        self._hold_list.hear(order_id, entry)

    def next_batch(self) -> list[Event] | None:
        """The events of the next day or a part of it, which may be none at all; None at the end of the plan."""
        if self.plan.days is not None and self._today >= self.plan.start + self.plan.days:
            return None
        if self._today == self.plan.start:
            self._take_over()
        else:
            self._trade_on()
        return self._books.take_written()

    # --- the first day ----------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Settings and rates first, then the customers in batches."""
        if not self._weights:
            self._publish_settings(self._books.stamp(0))
            self._publish_rates()
        last = min(len(self._weights) + BATCH_CUSTOMERS, self._founding.at_start())
        while len(self._weights) < last:
            self._found(self._books.stamp(0))
        if last == self._founding.at_start():
            self._today += 1

    def _found(self, at: Instant) -> None:
        customer = self._office.found(len(self._weights), at)
        weight = customer.kind.weight
        self._weights.append(weight + (self._weights[-1] if self._weights else 0.0))

    def _found_at(self, _number: int, at: Instant) -> None:
        self._found(at)

    # --- every other day --------------------------------------------------------------------------------------------

    def _trade_on(self) -> None:
        """Goes on with the day, or begins it."""
        if not self._day_has_begun:
            self._books.begin_day(self._today)
            self._begin_day(self._today)
        self._day_has_begun = not self._books.run_day()
        if not self._day_has_begun:
            self._today += 1

    def _begin_day(self, day: Day) -> None:
        """What a day brings: the tick, rates and reviews of the month, new customers, orders."""
        at = self._books.stamp(day * DAY_MS)
        if self.plan.ticks:
            self._books.written.append(ClockTicked(event_id=self._books.event_id(), occurred_at=at, instant=at))
        calendar_date = date.fromordinal(day + EPOCH_ORDINAL)
        if calendar_date.day == 1:
            self._books.rates.drift(self._books.chance)
            self._publish_rates()
        if calendar_date.day == REVIEW_DAY and self.plan.journals:
            self._books.plan_on(day, OFFICE, self._office.review_limits, day)
            if calendar_date.month == SEASON_MONTH:
                self._books.plan_on(day, OFFICE, self._office.raise_for_season, day)
        if day == self.plan.start + NEW_EDITION_AFTER_DAYS and self._edition < EDITIONS:
            self._publish_settings(self._books.stamp(0))
        self._welcome(day)
        self._office.review_profiles(day)
        self._expect_orders(day, calendar_date.month)

    def _publish_settings(self, at: Instant) -> None:
        self._edition += 1
        self._books.written.append(
            SettingsPublished(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="credit office",
                actor="ana",
                version=self.plan.settings_version + self._edition - 1,
                document=rule_book_json(self._edition),
                comment="take-over" if self._edition == 1 else "start-ups: a week of grace",
            )
        )

    def _publish_rates(self) -> None:
        for (base, quote), text in self._books.rates.text.items():
            at = self._books.stamp(0)
            self._books.written.append(
                ExchangeRatePublished(
                    event_id=self._books.event_id(),
                    occurred_at=at,
                    source="treasury",
                    from_currency=base,
                    to_currency=quote,
                    valid_from=day_of(at),
                    rate=text,
                )
            )

    def _welcome(self, day: Day) -> None:
        """Enters the customers that come on this day."""
        number = len(self._weights)
        while number < self.plan.customers and self._founding.coming_on(number) <= day:
            self._books.plan_at(day * DAY_MS + OFFICE.opens_ms, self._found_at, number)
            number += 1

    def _expect_orders(self, day: Day, month: int) -> None:
        """Enters the day's orders, each at a moment of the customer's business hours."""
        chance = self._books.chance
        growth = 1.0 + GROWTH_A_YEAR * (day - self.plan.start) / YEAR_DAYS
        expected = self.plan.orders_a_day * SEASON[month - 1] * WEEK[(day + EPOCH_WEEKDAY) % 7] * growth
        for _ in range(int(expected * (0.85 + 0.3 * chance.roll()) + chance.roll())):
            customer = self._who_orders()
            on = working_day(day, customer.country) if day == working_day(day, OFFICE) else day
            at = self._books.moment(on, customer.country)
            self._books.plan_at(at, self._trade.take_order, customer)

    def _who_orders(self) -> Customer:
        chance = self._books.chance
        if self.plan.hot_share and chance.happens(self.plan.hot_share):
            return self._office.customers[0]
        first = 1 if self.plan.hot_share and len(self._weights) > 1 else 0
        skipped = self._weights[0] if first else 0.0
        found = bisect_right(self._weights, skipped + chance.roll() * (self._weights[-1] - skipped))
        return self._office.customers[min(found, len(self._weights) - 1)]


def events(plan: Plan) -> Iterator[Event]:
    """Every event of a plan, sorted by `occurred_at`, no two at the same instant."""
    return iter(Company(plan))
