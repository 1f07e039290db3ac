"""Instants and dates as text: RFC 3339 with `Z`, and `YYYY-MM-DD` (interface section 1)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache

from credit_stream.core.calendar import DAY_MS, EPOCH, Day, Instant, day_from_iso, iso

_DAY_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,3})?Z")
_MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def day_of_text(text: str) -> Day:
    """The day of `YYYY-MM-DD`; ValueError for any other form, and for a date that no calendar has."""
    if _DAY_TEXT.fullmatch(text) is None:
        raise ValueError(text)
    return day_from_iso(text)


def instant_of_text(text: str) -> Instant:
    """The instant of `2026-03-02T09:00:00Z`, at most to the millisecond; ValueError for any other form."""
    if _INSTANT_TEXT.fullmatch(text) is None:
        raise ValueError(text)
    return (datetime.fromisoformat(text) - EPOCH) // _MILLISECOND


def text_of_instant(instant: Instant) -> str:
    """`2026-03-02T09:00:00Z`, with three decimals of a second where there are any."""
    day, rest = divmod(instant, DAY_MS)
    seconds, milliseconds = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    fraction = f".{milliseconds:03}" if milliseconds else ""
    return f"{iso(day)}T{minutes // 60:02}:{minutes % 60:02}:{second:02}{fraction}Z"
