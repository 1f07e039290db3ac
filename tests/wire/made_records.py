"""Hypothesis strategies for every record, worked out from the records by themselves and not by `wire.records`."""

from __future__ import annotations

import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from credit_stream.core.topics import TOPIC_OF_EVENT, TOPIC_OF_OUTPUT

EVENT_TYPES = tuple(TOPIC_OF_EVENT)
OUTPUT_TYPES = tuple(TOPIC_OF_OUTPUT)
RECORD_TYPES: tuple[type[Struct], ...] = (*EVENT_TYPES, *OUTPUT_TYPES)

DAY_LAST = 84_005
INSTANT_LAST = (DAY_LAST + 1) * 86_400_000 - 1
CURRENCY_NAMES = {"currency", "credit_currency", "from_currency", "to_currency", "group_currency"}
DECIMAL_NAMES = {
    "delivered_amount",
    "amount",
    "discount",
    "update_percentage",
    "tolerance_percent",
    "value",
    "round_to",
    "rate",
    "percent",
    "excused_below",
    "released_below",
}
LONG_TEXT_NAMES = {"notes", "note", "comment", "message", "document", "description", "reason"}
SURROGATES: list[Literal["Cs"]] = ["Cs"]
CONTROLS: list[Literal["Cc", "Cs"]] = ["Cc", "Cs"]

names = st.text(st.characters(exclude_categories=CONTROLS), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=SURROGATES, exclude_characters="\0"), max_size=200)
decimals = st.from_regex(r"-?[0-9]{1,15}(\.[0-9]{1,12})?", fullmatch=True)
currencies = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF"])
longs = st.integers(-(2**63), 2**63 - 1)
amounts = st.integers(-(10**17) + 1, 10**17 - 1) | st.integers(-10_000, 10_000)
days = st.integers(0, DAY_LAST)
instants = st.integers(0, INSTANT_LAST) | st.integers(0, INSTANT_LAST // 1000).map(lambda seconds: seconds * 1000)


class DayMark:
    """Stands for `Day`, which is a plain int."""


class InstantMark:
    """Stands for `Instant`, which is a plain int."""


@cache
def records(record_type: type[Struct]) -> st.SearchStrategy[Any]:
    """Valid records of a type; optional fields are there or not."""
    hints = get_type_hints(record_type, localns={"Day": DayMark, "Instant": InstantMark})
    fields = {field.name: _values(field.name, hints[field.name]) for field in msgspec.structs.fields(record_type)}
    return st.builds(record_type, **fields)


def _values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = [part for part in arguments if part is not type(None)]
        return st.none() | _values(name, inner)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(_values(name, arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(names, texts, max_size=3)
    if hint is str:
        return _strings(name)
    if hint is int:
        return amounts if name.endswith("_minor") else longs
    plain: dict[Any, st.SearchStrategy[Any]] = {bool: st.booleans(), bytes: st.binary(max_size=50)}
    plain |= {DayMark: days, InstantMark: instants}
    return plain[hint] if hint in plain else records(hint)


def _strings(name: str) -> st.SearchStrategy[str]:
    if name in CURRENCY_NAMES:
        return currencies
    if name in DECIMAL_NAMES:
        return decimals
    return texts if name in LONG_TEXT_NAMES else names
