"""How big the company is, when it starts and what it does: all that a stream of events depends on."""

from __future__ import annotations

from dataclasses import dataclass

from credit_stream.core.calendar import Day

CUSTOMERS_MAX = 10_000_000
FIRST_DAY_MAX = 80_000
"""2189-01-13: a start after that is a mistake in units (an instant instead of a day)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the company's events follow from.

    The stream does not depend on `days`: a longer plan only goes on further, so a year can be continued.

    - `customers`: how many there are after the first year; nine of ten are there from the start.
    - `start`: the day of the take-over: settings, rates and customers come on it, trade begins the day after.
    - `days`: how many days of events, the day of the take-over included; None: without end.
    - `orders_a_day`: mean number of orders on a day of the first month; an order is about ten events.
    - `hot_share`: from 0 to 1; this share of all orders is one customer's, the first.
    - `groups`: whether some customers share the limit of a customer credit group.
    - `journals`: whether limits change by journals; without them limits never expire.
    - `ticks`: whether a `ClockTicked` begins every day.
    - `settings_version`: of the first `SettingsPublished`.
    """

    seed: int = 1
    customers: int = 400
    start: Day = 20_089
    days: int | None = 365
    orders_a_day: float = 27.4
    hot_share: float = 0.0
    groups: bool = False
    journals: bool = True
    ticks: bool = True
    settings_version: int = 1

    def __post_init__(self) -> None:
        """Refuses what no company can be, with a ValueError that says what to change."""
        if not 1 <= self.customers <= CUSTOMERS_MAX:
            raise ValueError(f"customers is {self.customers}: give a number from 1 to {CUSTOMERS_MAX}")
        if not 0 <= self.start <= FIRST_DAY_MAX:
            raise ValueError(f"start is {self.start}: give days since 1970-01-01, such as 20089 for 2025-01-01")
        if self.days is not None and self.days < 1:
            raise ValueError(f"days is {self.days}: give at least 1, or None for no end")
        if self.orders_a_day < 0:
            raise ValueError(f"orders_a_day is {self.orders_a_day}: give 0 or more")
        if not 0 <= self.hot_share <= 1:
            raise ValueError(f"hot_share is {self.hot_share}: give a share from 0 to 1, such as 0.25")
        if self.settings_version < 1:
            raise ValueError(f"settings_version is {self.settings_version}: versions begin with 1")


def year_plan(seed: int = 1) -> Plan:
    """The default company over 2025: about 100,000 events."""
    return Plan(seed=seed)
