"""A progress bar on stderr for what takes longer than a second; none where stderr is no terminal."""

from __future__ import annotations

import shutil
import sys
from time import monotonic
from typing import TextIO

QUIET_SECONDS = 1.0
"""What is done sooner needs no bar."""
REDRAW_SECONDS = 0.1
BAR_CHARS = 28
ERASE_LINE = "\r\x1b[2K"


class Progress:
    """How much of `total` is done; a total of None is not known. Used with `with`, it leaves no line behind."""

    def __init__(self, label: str, total: int | None, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._stream = stream if stream is not None else sys.stderr
        self._begun = monotonic()
        self._next_at = self._begun + QUIET_SECONDS
        self._drawn = False
        self._shows = self._stream.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Takes the bar away, for something to be written in its place; `show` draws it again."""
        if self._drawn:
            self._stream.write(ERASE_LINE)
            self._stream.flush()

    def show(self, done: int, note: str = "") -> None:
        """Draws the bar if it is time to: `done` of the total, with a note behind it."""
        if not self._shows:
            return
        now = monotonic()
        if now < self._next_at:
            return
        self._next_at = now + REDRAW_SECONDS
        self._drawn = True
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(ERASE_LINE + self._line(done, now - self._begun, note)[:width])
        self._stream.flush()

    def _line(self, done: int, seconds: float, note: str) -> str:
        if not self._total:
            return f"{self._label}  {note}"
        share = min(1.0, done / self._total)
        filled = round(share * BAR_CHARS)
        bar = "#" * filled + "." * (BAR_CHARS - filled)
        left = f"  {_clock(seconds / share - seconds)} left" if share > 0 else ""
        return f"{self._label}  [{bar}] {share:4.0%}  {note}{left}"


def _clock(seconds: float) -> str:
    """Minutes and seconds: 75 is 1:15."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
