"""Where the company trades: countries with their currency and business hours, and its own legal entities."""

from __future__ import annotations

from dataclasses import dataclass

from credit_stream.core.calendar import DAY_MS, Day, Instant

HOUR_MS = 3_600_000
WORKDAY_MS = 9 * HOUR_MS
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""
SATURDAY_SUNDAY = (5, 6)
FRIDAY_SATURDAY = (4, 5)

DECIMALS: dict[str, int] = {
    "USD": 2,
    "EUR": 2,
    "GBP": 2,
    "JPY": 0,
    "CAD": 2,
    "CHF": 2,
    "SEK": 2,
    "AUD": 2,
    "KWD": 3,
}
"""Decimals of the currencies that the company trades in (ISO 4217; a test holds them equal to the kept library)."""


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """One of the company's own firms: its id, its name and the currency of its books."""

    entity_id: str
    name: str
    currency: str


ENTITIES = (
    LegalEntity("UK01", "Tarnwick & Vale Ltd", "GBP"),
    LegalEntity("US01", "Tarnwick & Vale Inc", "USD"),
    LegalEntity("DE01", "Tarnwick & Vale GmbH", "EUR"),
)


@dataclass(frozen=True, slots=True)
class Country:
    """A country: who sells there, and when its offices open, in milliseconds after midnight UTC (no summer time)."""

    code: str
    currency: str
    entity_id: str
    opens_ms: int
    share: float
    legal_form: str
    weekend: tuple[int, int] = SATURDAY_SUNDAY


COUNTRIES = (
    Country("US", "USD", "US01", 13 * HOUR_MS, 0.25, "Inc"),
    Country("GB", "GBP", "UK01", 8 * HOUR_MS, 0.17, "Ltd"),
    Country("DE", "EUR", "DE01", 7 * HOUR_MS, 0.13, "GmbH"),
    Country("FR", "EUR", "DE01", 8 * HOUR_MS, 0.09, "SARL"),
    Country("NL", "EUR", "DE01", 7 * HOUR_MS, 0.06, "BV"),
    Country("IE", "EUR", "UK01", 9 * HOUR_MS, 0.03, "Ltd"),
    Country("CA", "CAD", "US01", 14 * HOUR_MS, 0.09, "Inc"),
    Country("CH", "CHF", "DE01", 7 * HOUR_MS, 0.05, "AG"),
    Country("SE", "SEK", "UK01", 7 * HOUR_MS, 0.04, "AB"),
    Country("JP", "JPY", "US01", 0, 0.06, "KK"),
    Country("AU", "AUD", "UK01", 0, 0.02, "Pty"),
    Country("KW", "KWD", "UK01", 5 * HOUR_MS, 0.01, "WLL", FRIDAY_SATURDAY),
)


def day_of(at: Instant) -> Day:
    """The UTC day of an instant, which is the business date that documents carry."""
    return at // DAY_MS


def working_day(day: Day, country: Country) -> Day:
    """The day itself, or the next one on which the country's offices are open."""
    while (day + EPOCH_WEEKDAY) % 7 in country.weekend:
        day += 1
    return day


def money_text(minor: int, currency: str) -> str:
    """Minor units as decimal text with the currency's decimals: 123450 USD is "1234.50", 980 JPY is "980"."""
    decimals = DECIMALS[currency]
    if decimals == 0:
        return str(minor)
    scale = 10**decimals
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), scale)
    return f"{sign}{whole}.{part:0{decimals}d}"
