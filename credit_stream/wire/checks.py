"""What every input must hold whatever form it came in: lengths, currencies, dates, magnitudes (spec 12, `invalid`).

Only what can be told from the record alone and means the same for every type. Whether instalments add up, an amount
may be negative or a reference exists is for the core to say. The checks of a record type are worked out once; an
`OrderPlaced` passes them in less than 2 us.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from msgspec import Struct

from credit_stream.core import money
from credit_stream.core.calendar import Day, Instant, iso
from credit_stream.core.events import Event
from credit_stream.core.topics import NUMBERED_TOPICS, TOPIC_OF_EVENT
from credit_stream.wire.compiled import function_of
from credit_stream.wire.currencies import nearest_currency
from credit_stream.wire.faults import Invalid, Misfit, quoted
from credit_stream.wire.records import FieldShape, Kind, shape_of

MESSAGE_BYTES_MAX = 1_048_576
"""Of one input in any form: 1 MiB."""
IDENTIFIER_CHARS_MAX = 200
TEXT_CHARS_MAX = 10_000
DOCUMENT_CHARS_MAX = 1_000_000
"""Of a settings document and of the mended payload of a dead letter."""
AMOUNT_MINOR_MAX = money.AMOUNT_MINOR_MAX
"""Of one amount, in the minor unit of its currency."""
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
DAY_MIN: Day = 0
DAY_MAX: Day = 84_005
"""1970-01-01 to 2199-12-31."""
INSTANT_MIN: Instant = 0
INSTANT_MAX: Instant = (DAY_MAX + 1) * 86_400_000 - 1

Check = Callable[[Any, Mapping[str, int]], None]
"""Raises `Misfit` for a value that is not as it must be; takes the value and the known currencies."""


def check_event(event: Event, currencies: Mapping[str, int], *, in_json: bool = False) -> None:
    """Raises `Invalid` for the first field that is not as its kind must be. Fields are named as in that form."""
    try:
        checker_of(type(event))(event, currencies)
    except Misfit as misfit:
        name = type(event).__name__
        event_id = event.event_id if is_identifier(event.event_id) else None
        shown = misfit if not in_json else in_json_names(misfit)
        raise Invalid(shown.sentence(name), event_id, name) from None


def in_json_names(misfit: Misfit) -> Misfit:
    """The same fault with the field names of JSON Lines, where money has no suffix."""
    place = [part.removesuffix("_minor") if isinstance(part, str) else part for part in misfit.place]
    return Misfit(misfit.problem, tuple(place))


def is_identifier(value: str) -> bool:
    """Whether the text may name a thing."""
    return 0 < len(value) <= IDENTIFIER_CHARS_MAX and (value.isprintable() or not _has_control(value))


def check_currency(code: str, currencies: Mapping[str, int]) -> None:
    """Raises `Misfit`, with the nearest code, for a currency that is not known."""
    if code in currencies:
        return
    near = nearest_currency(code, currencies)
    hint = f"; did you mean {near}?" if near else "; give its three letters, such as EUR"
    raise Misfit(f"is {quoted(code)}, which is no known ISO 4217 currency{hint}")


# --- one value --------------------------------------------------------------------------------------------------


def _has_control(value: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _check_identifier(value: str, _: Mapping[str, int]) -> None:
    if is_identifier(value):
        return
    if not value:
        raise Misfit("is empty; give a value, or leave the field out if it is optional")
    if len(value) > IDENTIFIER_CHARS_MAX:
        raise Misfit(f"has {len(value)} characters; an id has at most {IDENTIFIER_CHARS_MAX}")
    raise Misfit(f"is {quoted(value)}; an id has no control characters, so take them out")


def _check_length(value: str, chars_max: int) -> None:
    if len(value) > chars_max:
        raise Misfit(f"has {len(value):,} characters; at most {chars_max:,} are taken")
    if "\0" in value:
        raise Misfit("has a NUL character; take it out")


def _check_text(value: str, _: Mapping[str, int]) -> None:
    _check_length(value, TEXT_CHARS_MAX)


def _check_document(value: str, _: Mapping[str, int]) -> None:
    _check_length(value, DOCUMENT_CHARS_MAX)


def _check_decimal(value: str, _: Mapping[str, int]) -> None:
    if not money.is_decimal(value):
        raise Misfit(f'is {quoted(value)}; write a plain decimal number such as "12.50"')


def _check_amount(value: int, _: Mapping[str, int]) -> None:
    if not -AMOUNT_MINOR_MAX <= value <= AMOUNT_MINOR_MAX:
        raise Misfit(f"is larger than {AMOUNT_MINOR_MAX:,} in the minor unit of its currency, the most that is taken")


def _check_integer(value: int, _: Mapping[str, int]) -> None:
    if not INTEGER_MIN <= value <= INTEGER_MAX:
        raise Misfit(f"is beyond 64 bits; give a number from {INTEGER_MIN} to {INTEGER_MAX}")


def _check_day(value: Day, _: Mapping[str, int]) -> None:
    if not DAY_MIN <= value <= DAY_MAX:
        raise Misfit(f"is out of range; dates from {iso(DAY_MIN)} to {iso(DAY_MAX)} are taken")


def _check_instant(value: Instant, _: Mapping[str, int]) -> None:
    if not INSTANT_MIN <= value <= INSTANT_MAX:
        raise Misfit(f"is out of range; instants from {iso(DAY_MIN)} to {iso(DAY_MAX)} (UTC) are taken")


def _check_map(value: Mapping[str, str], currencies: Mapping[str, int]) -> None:
    for name, text in value.items():
        try:
            _check_identifier(name, currencies)
            _check_text(text, currencies)
        except Misfit as misfit:
            raise misfit.within(name) from None


# --- a record ---------------------------------------------------------------------------------------------------

_CHECKS: dict[Kind, Check] = {
    "identifier": _check_identifier,
    "text": _check_text,
    "document": _check_document,
    "currency": check_currency,
    "decimal": _check_decimal,
    "money": _check_amount,
    "integer": _check_integer,
    "day": _check_day,
    "instant": _check_instant,
    "map": _check_map,
}

_BOUNDS: dict[Kind, tuple[int, int]] = {
    "money": (-AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX),
    "integer": (INTEGER_MIN, INTEGER_MAX),
    "day": (DAY_MIN, DAY_MAX),
    "instant": (INSTANT_MIN, INSTANT_MAX),
}
_QUICK: frozenset[Kind] = frozenset({"identifier", "text", *_BOUNDS})


@cache
def checker_of(record_type: type[Struct]) -> Check:
    """The check of a record of this type.

    Nearly all fields of nearly all records pass, so `_quick_check` looks at most of them at once. Only where it does
    not pass is every field taken by itself, to say which one is wrong and why.
    """
    fields = [field for field in shape_of(record_type).fields if field.kind not in ("symbol", "flag", "bytes")]
    every = [(field.name, _check_of(record_type, field)) for field in fields]
    others = [(field.name, _check_of(record_type, field)) for field in fields if field.kind not in _QUICK]
    passes = _quick_check(record_type)

    def check(record: Struct, currencies: Mapping[str, int]) -> None:
        for name, check_field in others if passes(record) else every:
            value = getattr(record, name)
            if value is not None:
                try:
                    check_field(value, currencies)
                except Misfit as misfit:
                    raise misfit.within(name) from None

    return check


def _quick_check(record_type: type[Struct]) -> Callable[[Struct], bool]:
    """Whether the fields of the kinds in `_QUICK` are fine; False also where that takes a closer look."""
    fields = [field for field in shape_of(record_type).fields if field.kind in _QUICK]
    taken = "".join(f"    {field.name} = r.{field.name}\n" for field in fields)
    conditions = [condition_of(field, field.name) for field in fields]
    text = f"def passes(r):\n{taken}    return {' and '.join(conditions) or 'True'}\n"
    return cast(Callable[[Struct], bool], function_of(text, {}, "passes", record_type.__name__))


_CONDITIONS: dict[Kind, str] = {
    **{kind: f"{low} <= {{v}} <= {high}" for kind, (low, high) in _BOUNDS.items()},
    "identifier": f"0 < len({{v}}) <= {IDENTIFIER_CHARS_MAX} and {{v}}.isprintable()",
    "text": f"len({{v}}) <= {TEXT_CHARS_MAX} and '\\0' not in {{v}}",
    "currency": "{v} in currencies",
    "symbol": "True",
    "flag": "True",
}


def condition_of(field: FieldShape, variable: str) -> str:
    """An expression that tells whether the value in a variable is fine; it may be false where only a closer look tells.

    Besides the variable it refers to `currencies`.
    """
    condition = _CONDITIONS.get(field.kind, "False").format(v=variable)
    if field.kind in ("list", "map"):
        condition = f"not {variable}"
    return f"({variable} is None or {condition})" if field.nullable else condition


def _check_of(record_type: type[Struct], field: FieldShape) -> Check:
    if field.kind == "money" and _is_between_tasks(record_type):
        return _check_integer  # Totals of many documents; and a refused question would be waited for without an end.
    if field.kind == "list":
        item = field.items or "text"
        return _check_each(checker_of(field.record_type) if field.record_type else _CHECKS[item])
    return checker_of(field.record_type) if field.record_type else _CHECKS[field.kind]


def _is_between_tasks(record_type: type[Struct]) -> bool:
    return issubclass(record_type, Event) and TOPIC_OF_EVENT[record_type] in NUMBERED_TOPICS


def _check_each(check: Check) -> Check:
    def check_items(values: tuple[Any, ...], currencies: Mapping[str, int]) -> None:
        for index, value in enumerate(values):
            try:
                check(value, currencies)
            except Misfit as misfit:
                raise misfit.within(index) from None

    return check_items
