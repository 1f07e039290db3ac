"""The records of the core as this layer sees them: for each field its name in either form, and its kind of value.

Everything in `wire` is made from these shapes, so that a field added to a record in the core is read, checked and
written at once. The kinds of number that Python does not tell apart (days, instants) are told by the annotation.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

from credit_stream.core.events import Event
from credit_stream.core.topics import TOPIC_OF_EVENT, TOPIC_OF_OUTPUT

Kind = Literal[
    "identifier",  # names a thing: never empty, short, no control characters
    "text",
    "document",  # text that may be long
    "currency",
    "decimal",  # decimal text whose currency or unit stands elsewhere
    "money",  # minor units of the record's currency
    "integer",
    "day",
    "instant",
    "flag",
    "symbol",  # one of a few words
    "bytes",
    "record",
    "list",
    "map",
]

EVENT_TYPES: Mapping[str, type[Event]] = {event_type.__name__: event_type for event_type in TOPIC_OF_EVENT}
OUTPUT_TYPES: Mapping[str, type[Struct]] = {output_type.__name__: output_type for output_type in TOPIC_OF_OUTPUT}
RECORD_TYPES: Mapping[str, type[Struct]] = {**EVENT_TYPES, **OUTPUT_TYPES}
"""All records that travel by themselves, by name. Records inside others are not here."""

CURRENCY_FIELDS = ("currency", "credit_currency")
"""Where a record says the currency of its money; a record inside another may have that of the one around it."""

_IDENTIFIERS = frozenset({"actor", "customer_credit_group", "ordered_by", "rate_type"})
_DERIVED = frozenset(
    {
        ("GroupCreditAnswered", "event_id"),
        ("GroupCreditAnswered", "request_id"),
        ("GroupCreditRequested", "event_id"),
        ("GroupCreditRequested", "request_id"),
        ("GroupLimitPosted", "event_id"),
        ("GroupMemberReported", "event_id"),
        ("GroupMembershipChanged", "event_id"),
        ("JournalLinePosted", "event_id"),
    }
)
"""Ids that tasks make by adding to one that came from outside, so that they may be longer than that one may."""
_DOCUMENTS = frozenset({"document", "payload"})
_DECIMALS = frozenset(
    {
        ("ExchangeRatePublished", "rate"),
        ("GenerateJournalLines", "round_to"),
        ("GroupCondition", "excused_below"),
        ("GroupCondition", "percent"),
        ("GroupCreditRequested", "released_below"),
        ("LimitAdjustment", "value"),
        ("OrderDelivered", "delivered_amount"),
        ("PolicyUpdated", "update_percentage"),
        ("ReleaseOrder", "tolerance_percent"),
        ("Settlement", "amount"),
        ("Settlement", "discount"),
    }
)


class _DayMark:
    """Stands for `Day` while annotations are read."""


class _InstantMark:
    """Stands for `Instant` while annotations are read."""


class FieldShape(Struct, frozen=True):
    """One field. `name` is that of Avro and Python; `json_name` leaves out the suffix of money.

    `items` is the kind of the items of a list, `record_type` the record of a record or of a list of records,
    `symbols` the words of a symbol. `default` is NODEFAULT where the field must be given.
    """

    name: str
    json_name: str
    kind: Kind
    nullable: bool
    default: Any
    symbols: tuple[str, ...] = ()
    record_type: type[Struct] | None = None
    items: Kind | None = None
    currency_field: str | None = None
    """The field with the currency of this money, where that is not the one of the record's other money."""

    @property
    def required(self) -> bool:
        """Whether the field must be given."""
        return self.default is NODEFAULT


class RecordShape(Struct, frozen=True):
    """A record. `currency_field` names the field with the currency of its money, if it has one of its own."""

    record_type: type[Struct]
    name: str
    fields: tuple[FieldShape, ...]
    currency_field: str | None

    def having(self, *kinds: Kind) -> tuple[FieldShape, ...]:
        """The fields of these kinds, in order."""
        return tuple(field for field in self.fields if field.kind in kinds)


@cache
def shape_of(record_type: type[Struct]) -> RecordShape:
    """The shape of a record of the core, worked out once."""
    hints = get_type_hints(record_type, localns={"Day": _DayMark, "Instant": _InstantMark})
    fields = tuple(_field(record_type, field, hints[field.name]) for field in msgspec.structs.fields(record_type))
    currency = next((field.name for field in fields if field.name in CURRENCY_FIELDS), None)
    others = {field.name.removesuffix("currency"): field.name for field in fields if _is_currency_of_some(field.name)}
    fields = tuple(_in_currency(field, others) for field in fields)
    return RecordShape(record_type, record_type.__name__, fields, currency)


def _is_currency_of_some(name: str) -> bool:
    """`group_currency` is that of the money whose names begin with `group_`."""
    return name.endswith("_currency") and name not in CURRENCY_FIELDS


def _in_currency(field: FieldShape, others: Mapping[str, str]) -> FieldShape:
    if field.kind != "money":
        return field
    own = next((name for prefix, name in others.items() if field.name.startswith(prefix)), None)
    return field if own is None else msgspec.structs.replace(field, currency_field=own)


def _field(record_type: type[Struct], field: msgspec.structs.FieldInfo, hint: Any) -> FieldShape:
    inner, nullable = _without_none(hint)
    kind = _kind(record_type.__name__, field.name, inner)
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    item = get_args(inner)[0] if kind == "list" else inner
    is_record = isinstance(item, type) and issubclass(item, Struct)
    return FieldShape(
        name=field.name,
        json_name=field.name.removesuffix("_minor"),
        kind=kind,
        nullable=nullable,
        default=default,
        symbols=get_args(inner) if kind == "symbol" else (),
        record_type=item if is_record else None,
        items=_kind(record_type.__name__, field.name.removesuffix("s"), item) if kind == "list" else None,
    )


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    (inner,) = [part for part in get_args(hint) if part is not type(None)]
    return inner, True


def _kind(record_name: str, name: str, hint: Any) -> Kind:
    if hint is str:
        return _kind_of_text(record_name, name)
    if hint is int:
        return "money" if name.endswith("_minor") else "integer"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return "record"
    plain: dict[Any, Kind] = {_DayMark: "day", _InstantMark: "instant", bool: "flag", bytes: "bytes"}
    made: dict[Any, Kind] = {Literal: "symbol", tuple: "list", dict: "map"}
    kind = plain.get(hint) or made.get(get_origin(hint))
    if kind is None:
        raise TypeError(f"{record_name}.{name}: records of this layer cannot hold {hint}")
    return kind


def _kind_of_text(record_name: str, name: str) -> Kind:
    if (record_name, name) in _DERIVED:
        return "text"
    if name.endswith("_id") or name in _IDENTIFIERS:
        return "identifier"
    if name in _DOCUMENTS:
        return "document"
    if name in CURRENCY_FIELDS or name.endswith("_currency"):
        return "currency"
    return "decimal" if (record_name, name) in _DECIMALS else "text"
