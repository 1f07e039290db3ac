"""The currencies that amounts may be in, and how many decimals each has (spec 1.1).

From the package `iso4217`, which carries the list of the ISO 4217 maintenance agency. What has no minor unit there
(gold, drawing rights, test codes) is no currency here, since an amount in it could not be an integer.
"""

from __future__ import annotations

from collections.abc import Mapping

from iso4217 import Currency

CURRENCIES: Mapping[str, int] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}
"""Decimals by code: EUR 2, JPY 0, KWD 3."""


CODE_CHARS_MAX = 8
"""Longer text is no mistyped code, and is not compared with all of them."""


def nearest_currency(code: str, currencies: Mapping[str, int]) -> str | None:
    """The known code that was probably meant: other case, letters swapped, one letter wrong, or more than three."""
    wanted = code.strip().upper()
    if len(wanted) > CODE_CHARS_MAX:
        return None
    if wanted in currencies:
        return wanted
    known = sorted(currencies)
    swapped = [near for near in known if sorted(near) == sorted(wanted)]
    one_off = [near for near in known if len(wanted) == len(near) and sum(map(str.__ne__, near, wanted)) == 1]
    longer = [near for near in known if wanted.startswith(near)]
    return next(iter(swapped + one_off + longer), None)
