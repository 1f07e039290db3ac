"""When a host has its tasks tick (spec 10.1): at every multiple of the clock's interval, once for those it missed."""

from __future__ import annotations

from credit_stream.core.calendar import Instant
from credit_stream.engine.ports import Clock


class Ticker:
    """Knows the last tick. Ticks are aligned, so one falls exactly on every change of the business date.

    Where the host comes late, several ticks become one: the newest. The core goes through the days in between.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: Instant | None = None

    def due(self) -> Instant | None:
        """The instant to tick now, or None when it is too early. Counts as ticked."""
        now = self._clock.now()
        instant = now - now % self._clock.tick_interval_ms
        if self._last is not None and instant <= self._last:
            return None
        self._last = instant
        return instant

    def seconds_left(self) -> float | None:
        """Real seconds until the next tick is due; None: not by waiting."""
        if self._last is None:
            return 0.0
        return self._clock.seconds_until(self._last + self._clock.tick_interval_ms)
