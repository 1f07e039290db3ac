"""The company's books: its agenda, its numbering, its luck and the events written so far.

Every act of the company is an entry of the agenda: an instant and what is then done. Only what lies ahead is kept, so
memory goes by what is open, not by how long the company trades.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, TypeVar

from credit_stream.company.chance import Chance
from credit_stream.company.countries import WORKDAY_MS, Country, working_day
from credit_stream.company.plan import Plan
from credit_stream.company.rates import Rates
from credit_stream.core.calendar import DAY_MS, Day, Instant
from credit_stream.core.events import Event

BATCH_EVENTS = 500
"""A day is worked in batches of about so many events: what is written and not yet taken costs memory and time."""

T = TypeVar("T")
Act = Callable[[T, Instant], None]
Entry = tuple[Instant, int, Callable[[Any, Instant], None], Any]
"""When, the number of the entry, what is done, and with what: `act(subject, at)`."""


class Books:
    """What all departments share. `written` are the events not yet taken out."""

    __slots__ = (
        "_ahead",
        "_entries",
        "_events",
        "_numbers",
        "_prefix",
        "_today",
        "_todays",
        "batch_over",
        "chance",
        "now",
        "plan",
        "rates",
        "written",
    )

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = Chance(plan.seed)
        self.rates = Rates()
        self.now: Instant = plan.start * DAY_MS - 1
        self.written: list[Event] = []
        self.batch_over = False
        self._ahead: dict[Day, list[Entry]] = {}
        self._todays: list[Entry] = []
        self._today: Day = plan.start
        self._entries = 0
        self._events = 0
        self._prefix = f"E{plan.seed}-"
        self._numbers: dict[str, int] = {}

    def stamp(self, at: Instant) -> Instant:
        """The instant at which something is written: `at`, or just after what was written last. No two are equal."""
        self.now = at if at > self.now else self.now + 1
        return self.now

    def event_id(self) -> str:
        """A new event id."""
        self._events += 1
        return f"{self._prefix}{self._events:07d}"

    def number(self, series: str) -> str:
        """The next number of a series of documents, from 1."""
        number = self._numbers.get(series, 0) + 1
        self._numbers[series] = number
        return f"{number:07d}"

    def plan_at(self, at: Instant, act: Act[T], subject: T) -> None:
        """Enters that `act(subject, at)` is done; what would lie in the past is done next."""
        at = max(at, self.now + 1)
        self._entries += 1
        entry = (at, self._entries, act, subject)
        day = at // DAY_MS
        if day <= self._today:
            heappush(self._todays, entry)
        else:
            self._ahead.setdefault(day, []).append(entry)

    def plan_on(self, day: Day, country: Country, act: Act[T], subject: T) -> None:
        """Enters an act for the business hours of the day, or of the next working day."""
        self.plan_at(self.moment(working_day(day, country), country), act, subject)

    def moment(self, day: Day, country: Country) -> Instant:
        """A moment in the business hours of a day."""
        return day * DAY_MS + country.opens_ms + int(self.chance.roll() * WORKDAY_MS)

    def begin_day(self, day: Day) -> None:
        """Opens the agenda at a day."""
        self._today = day
        self._todays.extend(self._ahead.pop(day, ()))
        heapify(self._todays)

    def run_day(self) -> bool:
        """Does what is entered for the day, in the order of time, up to a batch; says whether the day is over."""
        todays, written = self._todays, self.written
        self.batch_over = False
        while todays and len(written) < BATCH_EVENTS and not self.batch_over:
            at, _, act, subject = heappop(todays)
            act(subject, self.stamp(at))
        return not todays

    def take_written(self) -> list[Event]:
        """Takes out the events written since the last time."""
        written, self.written = self.written, []
        return written
