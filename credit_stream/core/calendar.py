"""Instants, days and the business date (spec 1.3 and 10.1): plain integers, no clock.

An `Instant` is milliseconds since 1970-01-01T00:00:00Z, a `Day` is days since 1970-01-01.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

Instant = int
Day = int

DAY_MS = 86_400_000
DAYS_KEPT_MAX = 4_096
"""Eleven years of days as text."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def day_of(instant: Instant, time_zone: str) -> Day:
    """The calendar date of an instant in an IANA time zone.

    Zones differ from UTC by at most a day, so only "UTC", the default, is worth a short way.
    """
    if time_zone == "UTC":
        return instant // DAY_MS
    local = (EPOCH + timedelta(milliseconds=instant)).astimezone(ZoneInfo(time_zone))
    return local.toordinal() - EPOCH_ORDINAL


@lru_cache(maxsize=DAYS_KEPT_MAX)
def iso(day: Day) -> str:
    """`YYYY-MM-DD`. As text, dates sort as they do as days, which keys of the state rely on."""
    return date.fromordinal(day + EPOCH_ORDINAL).isoformat()


@lru_cache(maxsize=DAYS_KEPT_MAX)
def day_from_iso(text: str) -> Day:
    """The day of `YYYY-MM-DD`; ValueError when there is none."""
    return date.fromisoformat(text).toordinal() - EPOCH_ORDINAL
