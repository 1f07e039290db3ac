"""The demo's clock: stands still while the past is streamed in, then runs, as fast as is wanted."""

from __future__ import annotations

from collections.abc import Callable

from credit_stream.core.calendar import Instant
from credit_stream.engine.ports import Clock
from credit_stream.hosts.clock import ManualClock, ScaledClock


class DemoClock:
    """A `Clock` that can be set going."""

    def __init__(self) -> None:
        self._clock: Clock = ManualClock()
        self._wakes: list[Callable[[], None]] = []

    @property
    def tick_interval_ms(self) -> int:
        """As the clock that it is at the moment."""
        return self._clock.tick_interval_ms

    def set_going(self, start: Instant, speed: float) -> None:
        """From here on it runs from `start`, `speed` times as fast as the machine's clock."""
        self._clock = ScaledClock(start, speed)
        for wake in self._wakes:
            wake()

    def now(self) -> Instant:
        """The present instant on this clock."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._clock.monotonic()

    def seconds_until(self, instant: Instant) -> float | None:
        """Real seconds until this clock shows `instant`."""
        return self._clock.seconds_until(instant)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Has `wake` called when the clock is set going."""
        self._wakes.append(wake)
