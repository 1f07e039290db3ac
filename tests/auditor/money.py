"""Money of the auditor: whole minor units, rates as fractions, rounded half to even (spec 1)."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

NO_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())
THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
TWO_DECIMALS = frozenset(
    """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
    CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD
    KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK
    NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
    TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST YER ZAR ZMW""".split()
)
DECIMAL_TEXT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TEXTS_KEPT = 100_000
Money = int
"""Minor units of a currency that stands beside it."""


def is_currency(code: object) -> bool:
    """Whether there is such a currency."""
    return code in NO_DECIMALS or code in THREE_DECIMALS or code in TWO_DECIMALS


def decimals(currency: str) -> int:
    """How many decimals an amount of the currency has."""
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def fraction(text: object) -> Fraction | None:
    """A decimal text as a number, None if it is none (a JSON number is none)."""
    return number(text) if isinstance(text, str) else None


@lru_cache(maxsize=TEXTS_KEPT)
def number(text: str) -> Fraction | None:
    """A text as a number; the same few texts come again and again."""
    return Fraction(text) if DECIMAL_TEXT.fullmatch(text) else None


def minor(text: object, currency: str) -> Money | None:
    """A decimal text in minor units; None if it is none or has more decimals than the currency."""
    return units_of(text, currency) if isinstance(text, str) else None


@lru_cache(maxsize=TEXTS_KEPT)
def units_of(text: str, currency: str) -> Money | None:
    """The same of a text."""
    value = number(text)
    if value is None:
        return None
    units = value * 10 ** decimals(currency)
    return int(units) if units.denominator == 1 else None


def half_even(value: Fraction) -> int:
    """The nearest whole number, a half to the even one: what `round` does with a fraction."""
    return round(value)


def convert(amount: Money, source: str, target: str, rate: Fraction | None) -> Money:
    """An amount in another currency; no rate: it is the same currency."""
    if rate is None or not amount:
        return amount
    worth, units = amount * rate.numerator * 10 ** decimals(target), rate.denominator * 10 ** decimals(source)
    return half_even(Fraction(worth, units))


def shown(amount: Money, currency: str) -> str:
    """The amount as outputs write it."""
    return in_places(Fraction(amount, 10 ** decimals(currency)), decimals(currency))


def in_places(value: Fraction, places: int) -> str:
    """A number with so many decimals, half to even."""
    units = half_even(value * 10**places)
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(places + 1, "0")
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
