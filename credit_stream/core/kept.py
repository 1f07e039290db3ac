"""Decisions and events as state keeps them: values by position, without the names of fields.

A repeated event gets its decisions again, byte for byte (spec 2), so each is kept with its event. With names a decision
takes 1,000 to 2,000 bytes, most of what the changelog takes in all; by position it takes a third. As in every row, a
new field goes to the end and has a default.

What is kept is MessagePack inside the row from the start: in tuples each decision gave the garbage collector ten more
containers to walk, in a worker one hundred thousand and more, and hardly any is ever asked for again.
"""

from __future__ import annotations

from typing import get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct, msgpack
from msgspec.structs import astuple

from credit_stream.core.events import Event
from credit_stream.core.outputs import CreditDecision, InputPosition
from credit_stream.core.topics import TOPIC_OF_EVENT

Values = Raw
"""The values of a `CreditDecision`, encoded; those of a record in it are a list of their own, those of many a list of
such."""

_encode = msgpack.Encoder().encode

_NAMES = CreditDecision.__struct_fields__
_HINTS = get_type_hints(CreditDecision)
_RECORDS = {
    place: _HINTS[name]
    for place, name in enumerate(_NAMES)
    if isinstance(_HINTS[name], type) and issubclass(_HINTS[name], Struct)
}
_LISTS = {
    place: get_args(_HINTS[name])[0]
    for place, name in enumerate(_NAMES)
    if get_origin(_HINTS[name]) is tuple and issubclass(get_args(_HINTS[name])[0], Struct)
}
"""Where a decision holds a record, or many, and of which type. None of those holds another."""


def values_of(decision: CreditDecision) -> Values:
    """The values of a decision, as a row keeps them."""
    values = list(astuple(decision))
    for place in _RECORDS:
        values[place] = astuple(values[place])
    for place in _LISTS:
        if values[place]:
            values[place] = tuple(map(astuple, values[place]))
    return Raw(_encode(values))


def decision_of_values(values: Values) -> CreditDecision:
    """The decision of which these are the values."""
    found = msgpack.decode(values, type=list[object])
    named = dict(zip(_NAMES, found, strict=False))
    for place, kind in _RECORDS.items():
        named[_NAMES[place]] = _named(kind, found[place])
    for place, kind in _LISTS.items():
        named[_NAMES[place]] = [_named(kind, one) for one in _list(found[place])]
    return msgspec.convert(named, CreditDecision)


def _named(kind: type[Struct], values: object) -> dict[str, object]:
    return dict(zip(kind.__struct_fields__, _list(values), strict=False))


def _list(values: object) -> list[object]:
    assert isinstance(values, list), f"a kept decision has {values!r} where it keeps a record"
    return values


# --- events -----------------------------------------------------------------------------------------------------

_EVENT_TYPES = {kind.__name__: kind for kind in TOPIC_OF_EVENT}


class KeptEvent(Struct, frozen=True, array_like=True, gc=False):
    """An event that is to be gone on with later, and where it lies in the log."""

    kind: str
    content: bytes
    topic: str
    partition: int
    offset: int
    event_id: str

    def event(self) -> Event:
        """The event as it came."""
        return msgpack.decode(self.content, type=_EVENT_TYPES[self.kind])

    def position(self) -> InputPosition:
        """Where it lies in the log."""
        return InputPosition(topic=self.topic, partition=self.partition, offset=self.offset, event_id=self.event_id)


def kept(event: Event, position: InputPosition) -> KeptEvent:
    """The event as a row keeps it."""
    content = msgpack.encode(event)
    return KeptEvent(
        type(event).__name__, content, position.topic, position.partition, position.offset, position.event_id
    )
