"""Commands that stay until they are ended from outside: Ctrl-C and SIGTERM end them in order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

LOOK_SECONDS = 0.2
"""How often a command that only stays looks after what it has started."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt inside, as Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def stay(look_after: Callable[[], None]) -> None:
    """Looks after what was started, over and over. Ends with KeyboardInterrupt, or with what `look_after` raises."""
    nothing = Event()
    while True:
        look_after()
        nothing.wait(LOOK_SECONDS)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
