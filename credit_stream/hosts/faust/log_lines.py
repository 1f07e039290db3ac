"""Faust's log and those of its libraries as lines of ours: one JSON object each, with no personal data in it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import faust


class Lines(Protocol):
    """Where lines are written: an event and its fields."""

    def info(self, event: str, **fields: object) -> None:
        """What is as it should be."""

    def warning(self, event: str, **fields: object) -> None:
        """What somebody should look at."""

    def error(self, event: str, **fields: object) -> None:
        """What has gone wrong."""

    def crash(self, event: str, error: BaseException) -> None:
        """An error that should not be; written without its text, which may quote an input."""


SPEAK_OF_PLACES = "aiokafka."
"""Loggers whose lines name brokers, groups, topics and offsets, and never what is in a record."""


class LibraryLines(logging.Handler):
    """Writes what a library logs; without its arguments where those may quote an input."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        text = record.getMessage() if record.name.startswith(SPEAK_OF_PLACES) else str(record.msg)
        fields: dict[str, object] = {"logger": record.name, "message": text}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["error"] = type(error).__name__
        self._write(record.levelno)("library", **fields)

    def _write(self, level: int) -> Callable[..., None]:
        if level >= logging.ERROR:
            return self._lines.error
        return self._lines.warning if level >= logging.WARNING else self._lines.info


class Worker(faust.Worker):
    """Faust's worker with our log in the place of its own; `-l` says how much of the libraries it has."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Faust would write text in colours to stdout, and dots while it starts."""
        self.spinner = None
        logger.handlers = [LibraryLines(self.app.lines)]  # type: ignore[attr-defined] # it is a CreditApp
        logger.setLevel(level)
