"""Made-up names of firms. They are put together from invented words, so that no real firm is named."""

from __future__ import annotations

from credit_stream.company.countries import Country

_HEADS = (
    "Brindle Quill Thornby Ormsel Fennick Larkholm Tessaly Wexmoor Corvane Dunlish Elsmere Farrowick Gildane Hespery "
    "Ivering Jasmund Kestral Lunmark Merivale Norrick Osterby Pellworth Quorndale Rushmel Selwith Tamrick Ulverley "
    "Vantrell Wendlow Yarrowen Zeldane"
).split()
_TAILS = (
    "mere gate field haven stead combe rath wold ford brook crest lund marsh ness pool quay ridge shaw thorpe vale wick"
).split()
_TRADES = (
    "Textiles Tooling Lighting Ceramics Fixtures Foods Papers Garments Instruments Timber Optics Packaging Gardens"
).split()
_CITIES = "Varn Ostwick Melbury Karsund Tolvane Ebridge Norholt Sundal".split()
_STEP = 2_654_435_761
"""Knuth's multiplier: spreads consecutive customer numbers over the words."""


def firm_name(number: int, country: Country) -> str:
    """The name of a firm, a pure function of the customer's number; far apart numbers may share one."""
    spread = (number * _STEP) % 2**32
    head = _HEADS[spread % len(_HEADS)]
    tail = _TAILS[spread // 31 % len(_TAILS)]
    trade = _TRADES[spread // 1009 % len(_TRADES)]
    return f"{head}{tail} {trade} {country.legal_form}"


def office_name(number: int) -> str:
    """The name of a public office."""
    spread = (number * _STEP) % 2**32
    return f"City of {_HEADS[spread % len(_HEADS)]} {_CITIES[spread // 97 % len(_CITIES)]}, Purchasing Office"
