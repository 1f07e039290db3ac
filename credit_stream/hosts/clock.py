"""Clocks: the machine's, one that runs faster, and one that is moved by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

from credit_stream.core.calendar import Instant

SECOND_MS = 1_000
TICK_INTERVALS_MS = (900_000, 300_000, 60_000, 15_000, 5_000, SECOND_MS)
"""All divide a quarter of an hour: the date changes on one of its multiples in every time zone there is."""


class SystemClock:
    """The machine's clock."""

    tick_interval_ms = SECOND_MS

    def now(self) -> Instant:
        """The present instant."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def seconds_until(self, instant: Instant) -> float | None:
        """Real seconds until this clock shows `instant`."""
        return max(0.0, (instant - self.now()) / 1_000)

    def on_change(self, wake: Callable[[], None]) -> None:
        """The machine's clock moves by waiting only."""


class ScaledClock:
    """Starts at `start` and runs `speed` times as fast as the machine's: 86,400 is a day a second."""

    def __init__(self, start: Instant, speed: float) -> None:
        if speed <= 0:
            raise ValueError(f"a clock cannot run at speed {speed}: give a number above 0; 1 is real time")
        self._start = start
        self._speed = speed
        self._began = time.monotonic()
        self.tick_interval_ms = next((ms for ms in TICK_INTERVALS_MS if ms <= SECOND_MS * speed), SECOND_MS)
        """Once a real second, but never less than once a quarter of an hour on this clock."""

    def now(self) -> Instant:
        """The present instant on this clock."""
        return self._start + int((time.monotonic() - self._began) * 1_000 * self._speed)

    def monotonic(self) -> float:
        """Real seconds since some moment; never goes back."""
        return time.monotonic()

    def seconds_until(self, instant: Instant) -> float | None:
        """Real seconds until this clock shows `instant`."""
        return max(0.0, (instant - self.now()) / 1_000 / self._speed)

    def on_change(self, wake: Callable[[], None]) -> None:
        """This clock moves by waiting only."""


class ManualClock:
    """Stands still until it is moved."""

    tick_interval_ms = SECOND_MS

    def __init__(self, instant: Instant = 0) -> None:
        self._instant = instant
        self._wakes: list[Callable[[], None]] = []

    def now(self) -> Instant:
        """The instant it was moved to."""
        return self._instant

    def monotonic(self) -> float:
        """Seconds; stands still as well."""
        return self._instant / 1_000

    def seconds_until(self, instant: Instant) -> float | None:
        """0 when `instant` has passed; else None: waiting does not help."""
        return 0.0 if instant <= self._instant else None

    def on_change(self, wake: Callable[[], None]) -> None:
        """Calls `wake` after every `advance`."""
        self._wakes.append(wake)

    def advance(self, duration_ms: int) -> None:
        """Moves it on."""
        self._instant += duration_ms
        for wake in self._wakes:
            wake()
