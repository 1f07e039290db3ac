"""Exchange rates, published on the first of every month for every pair of currencies, with a realistic drift."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from credit_stream.company.chance import Chance
from credit_stream.company.countries import DECIMALS

DOLLARS: dict[str, float] = {
    "USD": 1.0,
    "EUR": 1.0825,
    "GBP": 1.2710,
    "JPY": 0.00668,
    "CAD": 0.7312,
    "CHF": 1.1340,
    "SEK": 0.0954,
    "AUD": 0.6555,
    "KWD": 3.2510,
}
"""What one unit of each currency is worth at the start, in US dollars."""
DRIFT = 0.02
"""A currency moves by at most 3 % a month against the dollar, by about 1 % as a rule."""


class Rates:
    """The rates in force. `text[a, b]` is decimal text: units of b for one a."""

    __slots__ = ("dollars", "text")

    def __init__(self) -> None:
        self.dollars = dict(DOLLARS)
        self.text: dict[tuple[str, str], str] = {}
        self._quote()

    def drift(self, chance: Chance) -> None:
        """A month passes: every currency but the dollar takes a step."""
        for currency in self.dollars:
            if currency != "USD":
                step = chance.roll() + chance.roll() + chance.roll() - 1.5
                self.dollars[currency] *= 1.0 + DRIFT * step
        self._quote()

    def _quote(self) -> None:
        for base, base_dollars in self.dollars.items():
            for quote, quote_dollars in self.dollars.items():
                if base != quote:
                    self.text[base, quote] = f"{base_dollars / quote_dollars:.8f}"

    def convert(self, minor: int, base: str, quote: str) -> int:
        """An amount in minor units of another currency, rounded half to even (spec 1.2)."""
        if base == quote:
            return minor
        exact = Decimal(minor) * Decimal(self.text[base, quote])
        return int(exact.scaleb(DECIMALS[quote] - DECIMALS[base]).to_integral_value(ROUND_HALF_EVEN))

    def from_dollars(self, dollars: float, currency: str) -> int:
        """About so many dollars, in minor units of a currency."""
        scale: int = 10 ** DECIMALS[currency]
        return int(dollars / self.dollars[currency] * scale)
