"""Logs: one JSON object a line, with no personal data in it: no ids, no names, no bodies."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

import msgspec

Level = Literal["info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("info", "warning", "error")
LIBRDKAFKA = "credit_stream.librdkafka"
LIBRARIES = ("aiohttp", "asyncio", LIBRDKAFKA)


class Log:
    """Writes lines of JSON, those of a level and graver."""

    def __init__(self, stream: TextIO | None = None, level: Level = "info") -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._least = LEVELS.index(level)

    def info(self, event: str, **fields: object) -> None:
        """What is as it should be."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """What somebody should look at."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """What has gone wrong."""
        self._write("error", event, fields)

    def crash(self, event: str, error: BaseException) -> None:
        """An error that should not be. Its text may quote an input, so only its type and where it arose are written."""
        self.error(event, error=type(error).__name__, at=places(error.__traceback__))

    def take_libraries(self) -> None:
        """From here on the warnings of the libraries come out in the same shape."""
        for name in LIBRARIES:
            logger = logging.getLogger(name)
            logger.handlers = [_LibraryHandler(self)]
            logger.setLevel(logging.WARNING)
            logger.propagate = False

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if LEVELS.index(level) < self._least:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = msgspec.json.encode({"time": now, "level": level, "event": event, **fields})
        self._stream.write(line.decode() + "\n")
        self._stream.flush()


def places(trace: TracebackType | None) -> list[str]:
    """File, line and function of every frame, the innermost last."""
    frames = traceback.extract_tb(trace)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


class _LibraryHandler(logging.Handler):
    """Writes what a library logs without its arguments, which may quote a request."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        # librdkafka speaks of brokers and connections only.
        message = record.getMessage() if record.name == LIBRDKAFKA else str(record.msg)
        fields: dict[str, object] = {"logger": record.name, "message": message}
        if error is not None:
            fields |= {"error": type(error).__name__, "at": places(error.__traceback__)}
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        write("library", **fields)
