"""Money and percentages in exact integers (spec 1.1, 1.2). No floating point.

An amount is an `int` in the minor unit of its currency; how many decimals a currency has comes from outside, since
the core keeps no table of the world. Decimal text is turned into a `Ratio` of integers once, and cached.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

DECIMAL_TEXT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
AMOUNT_MINOR_MAX = 10**17 - 1
"""The largest amount of one document: 15 digits before the point in a currency with two decimals."""
TOTAL_MINOR_MAX = 2**60
"""The largest total of a bucket: exposure is a sum of a few of them, and must fit into 64 bits."""
RATIOS_KEPT_MAX = 65_536
BOUNDS_KEPT_MAX = 4_096
TEXTS_KEPT_MAX = 16_384
THRESHOLDS_KEPT_MAX = 16_384
"""How many answers of `ratio`, `bound`, `text` and `threshold` are remembered; they follow from what is asked alone."""
RATIO_PLACES = 2
"""Decimals of published percentages (interface section 4)."""


class TooLarge(Exception):
    """An amount is beyond what can be kept; the event that leads to it is refused."""


class Ratio(NamedTuple):
    """The exact value `numerator / 10**places` of a decimal text."""

    numerator: int
    places: int


@lru_cache(maxsize=RATIOS_KEPT_MAX)
def ratio(text: str) -> Ratio:
    """The exact value of plain decimal text such as "-12.50"; ValueError for anything else."""
    if DECIMAL_TEXT.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a decimal number such as 12.50")
    whole, _, fraction = text.partition(".")
    return Ratio(int(whole + fraction), len(fraction))


def is_decimal(text: str) -> bool:
    """Whether the text is a plain decimal number that `ratio` takes."""
    return DECIMAL_TEXT.fullmatch(text) is not None


def divide_half_even(numerator: int, denominator: int) -> int:
    """The quotient rounded half to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = rest * 2
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def convert(amount_minor: int, decimals_from: int, decimals_to: int, rate: str) -> int:
    """The amount at a rate (units of the target for one of the source), rounded half to even (spec 1.2).

    Raises `TooLarge` for more than can be kept.

    >>> convert(2005, 2, 2, "0.5"), convert(1001, 0, 2, "0.005")
    (1002, 500)
    """
    exact = ratio(rate)
    there = divide_half_even(amount_minor * exact.numerator * 10**decimals_to, 10 ** (decimals_from + exact.places))
    if abs(there) > AMOUNT_MINOR_MAX:
        raise TooLarge
    return there


def minor(text: str, decimals: int) -> int | None:
    """The minor units of decimal text; None when it is no plain decimal or has more decimals than the currency."""
    try:
        exact = ratio(text)
    except ValueError:
        return None
    if exact.places > decimals:
        return None
    return exact.numerator * int(10 ** (decimals - exact.places))


@lru_cache(maxsize=BOUNDS_KEPT_MAX)
def bound(text: str, decimals: int, up: bool) -> int:
    """The minor units of a rule's amount, such that comparing whole minor units with it is exact.

    What is finer than the currency is rounded down, for "more than" the amount, or `up`, for "less than" it.
    """
    exact = ratio(text)
    scaled, scale = exact.numerator * 10**decimals, 10**exact.places
    return int(-(-scaled // scale) if up else scaled // scale)


def amount_of_document(text: str, decimals: int) -> int | None:
    """The minor units of decimal text from 0 on, None for anything else or for more than a document may have."""
    amount = minor(text, decimals)
    return amount if amount is not None and 0 <= amount <= AMOUNT_MINOR_MAX else None


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def text(amount_minor: int, decimals: int) -> str:
    """The amount as decimal text with all decimals of its currency: `text(100050, 2)` is "1000.50".

    Four in five of the figures that rules show were shown a moment before.
    """
    if decimals == 0:
        return str(amount_minor)
    digits = str(abs(amount_minor)).rjust(decimals + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def percent_of(part_minor: int, whole_minor: int) -> str:
    """The part as a percentage of a positive whole, rounded half to even to two places."""
    return text(divide_half_even(part_minor * 100 * 10**RATIO_PLACES, whole_minor), RATIO_PLACES)


class Threshold(NamedTuple):
    """A percentage of an amount, exactly `numerator / scale` minor units, and as decimal text of the currency."""

    numerator: int
    scale: int
    text: str

    def is_passed_by(self, amount_minor: int, *, or_equal: bool) -> bool:
        """Whether an amount is more than it, or `or_equal` exactly it."""
        scaled = amount_minor * self.scale
        return scaled >= self.numerator if or_equal else scaled > self.numerator


@lru_cache(maxsize=THRESHOLDS_KEPT_MAX)
def threshold(percent: str, whole_minor: int, decimals: int) -> Threshold:
    """`percent` % of an amount. The text has the currency's decimals, and more where they are not zeros."""
    exact = ratio(percent)
    numerator, places = exact.numerator * whole_minor, exact.places + 2
    written = text(numerator, places + decimals)
    while places and written.endswith("0"):
        written, places = written[:-1], places - 1
    return Threshold(numerator, 10 ** (exact.places + 2), written.removesuffix("."))
