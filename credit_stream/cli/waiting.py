"""A line on stderr for what goes on for seconds with an end that nobody can foresee: a broker that starts."""

from __future__ import annotations

from threading import Event, Lock, Thread
from time import monotonic
from types import TracebackType
from typing import Self

import click

from credit_stream.cli.progress import REDRAW_SECONDS, Progress


class Waiting:
    """Says what is waited for, and since when. Used with `with`, it leaves no line behind."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = monotonic()
        self._progress = Progress(label, None)
        self._drawing = Lock()
        self._is_over = Event()
        self._thread = Thread(target=self._draw, name="credit-stream-waiting", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._progress.clear()

    def say(self, sentence: str) -> None:
        """A sentence that stays, above the line."""
        with self._drawing:
            self._progress.clear()
            click.echo(sentence, err=True)

    def _draw(self) -> None:
        while not self._is_over.wait(REDRAW_SECONDS):
            with self._drawing:
                self._progress.show(0, f"{monotonic() - self._begun:.0f} s")
