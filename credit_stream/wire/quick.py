"""The short way from Avro bytes to an event, for bytes that are one of ours and have nothing wrong.

Nearly all are, so reading and checking are one function for each type of event, made from source: no record is taken
apart again to be checked. It says of no event what is wrong with it. Whatever it does not take goes the long way
(`read`), which does; both take the same events, which a test holds. Reading an event takes two thirds of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, cast

from credit_stream.core import money
from credit_stream.core.events import Event
from credit_stream.wire.avro import BODY_AT, SINGLE_OBJECT
from credit_stream.wire.checks import MESSAGE_BYTES_MAX, Check, checker_of, condition_of
from credit_stream.wire.codec import DecoderSource
from credit_stream.wire.compiled import function_of
from credit_stream.wire.faults import Misfit, Refused
from credit_stream.wire.records import EVENT_TYPES, FieldShape, shape_of
from credit_stream.wire.schemas import fingerprint_for

Reader = Callable[[bytes, Mapping[str, int]], Event | None]
"""Bytes and known currencies to the event; None, or an exception of `_NOT_QUICK`, where it takes the long way."""
HEADS_KEPT_MAX = 256
"""Of beginnings of messages, ours and others', what reads them."""
_NOT_QUICK = (IndexError, KeyError, UnicodeDecodeError, Refused)


def quick_event(payload: bytes, currencies: Mapping[str, int]) -> Event | None:
    """The event in these bytes, or None where that takes the long way."""
    reader = _reader_of_head(payload[:BODY_AT])
    if reader is None:
        return None
    try:
        return reader(payload, currencies)
    except _NOT_QUICK:
        return None


@lru_cache(maxsize=HEADS_KEPT_MAX)
def _reader_of_head(head: bytes) -> Reader | None:
    event_type = _types_by_head().get(head)
    return None if event_type is None else reader_of(event_type)


@cache
def _types_by_head() -> Mapping[bytes, type[Event]]:
    return {SINGLE_OBJECT + fingerprint_for(name): event_type for name, event_type in EVENT_TYPES.items()}


@cache
def reader_of(event_type: type[Event], body_at: int = BODY_AT) -> Reader:
    """The function that reads and checks events of a type, in messages whose body begins there."""
    source = DecoderSource()
    source.add_fields(event_type, "r")
    conditions = [f"i == len(d) <= {MESSAGE_BYTES_MAX}"]
    conditions += [_condition(source, field) for field in shape_of(event_type).fields]
    made = source.construction(event_type, "r")
    text = source.text(
        f"def read(d, currencies):\n    i = {body_at}", f"return {made} if {' and '.join(conditions)} else None"
    )
    return cast(Reader, function_of(text, source.constants, "read", event_type.__name__))


def _condition(source: DecoderSource, field: FieldShape) -> str:
    """An expression that tells whether the value of a field is fine."""
    variable = f"r_{field.name}"
    if field.kind == "decimal":
        condition = f"{source.constants.name_of(money.is_decimal)}({variable})"
        return f"({variable} is None or {condition})" if field.nullable else condition
    if field.kind == "list" and field.record_type is not None:
        all_fine = source.constants.name_of(_all_fine(checker_of(field.record_type)))
        return f"(not {variable} or {all_fine}({variable}, currencies))"
    return condition_of(field, variable)


def _all_fine(check: Check) -> Callable[[tuple[Any, ...], Mapping[str, int]], bool]:
    def all_fine(items: tuple[Any, ...], currencies: Mapping[str, int]) -> bool:
        try:
            for item in items:
                check(item, currencies)
        except Misfit:
            return False
        return True

    return all_fine
