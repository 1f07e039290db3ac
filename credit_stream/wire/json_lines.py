"""JSON Lines: the form of events and outputs in files, on stdin and stdout, and over HTTP (interface section 1).

Money is decimal text in the currency beside it, never a JSON number, so that no cent is lost on the way; dates and
instants are text. A line that is no JSON object is `unreadable`; anything else that is not as section 2 says is
`invalid`, with the name of the field and what to write instead.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import Struct

from credit_stream.core import money
from credit_stream.core.calendar import iso
from credit_stream.core.events import Event
from credit_stream.core.outputs import OutputRecord
from credit_stream.core.topics import INTERNAL_TOPICS, TOPIC_OF_EVENT, TOPIC_OF_OUTPUT
from credit_stream.wire.checks import MESSAGE_BYTES_MAX, check_currency, check_event, is_identifier
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.faults import Invalid, Misfit, Unreadable, did_you_mean, quoted
from credit_stream.wire.instants import day_of_text, instant_of_text, text_of_instant
from credit_stream.wire.records import EVENT_TYPES, OUTPUT_TYPES, RECORD_TYPES, FieldShape, Kind, RecordShape, shape_of

Reader = Callable[[Any, Mapping[str, int], int], object]
"""Makes a value of JSON into one of a record: (value, currencies, decimals of the money). Raises `Misfit`."""
Writer = Callable[[Any, Mapping[str, int], int], object]
"""Makes a value of a record into one of JSON, with the same arguments."""

NO_CURRENCY = -1
"""The decimals where there is no currency, and so no money."""
SENT_TYPES: Mapping[str, type[Event]] = {
    name: event_type for name, event_type in EVENT_TYPES.items() if TOPIC_OF_EVENT[event_type] not in INTERNAL_TOPICS
}
"""The events that are sent from outside; the others are between tasks and are refused in this form."""
_TOO_DEEP = "The line is nested too deeply; an event has few levels."
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class _Repeated(Exception):
    """A name stands twice in one JSON object."""


# --- text to objects --------------------------------------------------------------------------------------------


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(next(name for at, name in enumerate(names) if name in names[:at]))
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
_LENIENT = json.JSONDecoder(parse_constant=_no_constant)


def _text_of(line: bytes) -> str:
    if len(line) > MESSAGE_BYTES_MAX:
        raise Unreadable(
            f"The line has {len(line):,} bytes; at most {MESSAGE_BYTES_MAX:,} are taken, so send it in parts."
        )
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"Byte {error.start + 1} of the line is not UTF-8; send JSON text in UTF-8.") from None


def _parsed(text: str, decoder: json.JSONDecoder) -> dict[str, Any]:
    try:
        found = decoder.decode(text)
    except RecursionError:
        raise Unreadable(_TOO_DEEP) from None
    except ValueError as error:
        raise Unreadable(f"The line is no JSON ({_reason(error, text)}); send one object a line.") from None
    if type(found) is not dict:
        raise Unreadable(f"The line is {_name_of_kind(found)}; send one JSON object a line, in braces.")
    return found


def _reason(error: ValueError, text: str) -> str:
    if text.startswith("\ufeff"):
        return "it begins with a byte order mark, which must be left out"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at character {error.pos + 1}"
    return "it has a number that is none in JSON or that is too long"


def _object_of(line: bytes) -> dict[str, Any]:
    """The JSON object of a line in which no name stands twice and every text is of whole characters."""
    text = _text_of(line)
    try:
        found = _parsed(text, _STRICT)
    except _Repeated as repeated:
        problem = f"Field {quoted(str(repeated))} stands twice in one object; leave one of them out."
        raise Invalid(problem, *_told(_parsed(text, _LENIENT))) from None
    if "\\u" in text and _SURROGATE_ESCAPE.search(text) is not None:
        _refuse_half_characters(found)
    return found


def _refuse_half_characters(found: dict[str, Any]) -> None:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        problem = "The line has half of a surrogate pair (such as \\ud83d alone), which is no character; mend it."
        raise Invalid(problem, *_told(found)) from None
    except RecursionError:
        raise Unreadable(_TOO_DEEP) from None


def _told(found: Mapping[str, object]) -> tuple[str | None, str | None]:
    """The event id and the type, as far as they can be told from a line that has other faults."""
    event_id, type_name = found.get("event_id"), found.get("type")
    return (
        event_id if isinstance(event_id, str) and is_identifier(event_id) else None,
        type_name if isinstance(type_name, str) and type_name in SENT_TYPES else None,
    )


# --- objects to records -----------------------------------------------------------------------------------------


def event_from_json(line: bytes, currencies: Mapping[str, int] = CURRENCIES) -> Event:
    """The event of one line. Raises `Unreadable` and `Invalid`, which carry the `Fault`."""
    found = _object_of(line)
    event_type = _event_type(found)
    del found["type"]
    try:
        event = cast(Event, _read_record(_plan_of(event_type), found, currencies, NO_CURRENCY))
    except Misfit as misfit:
        event_id, _ = _told(found)
        raise Invalid(misfit.sentence(event_type.__name__), event_id, event_type.__name__) from None
    check_event(event, currencies, in_json=True)
    return event


def _event_type(found: Mapping[str, object]) -> type[Event]:
    name = found.get("type")
    known = SENT_TYPES.get(name) if isinstance(name, str) else None
    if known is not None:
        return known
    event_id, _ = _told(found)
    if name is None:
        raise Invalid('Field type is missing; begin the line with the type, such as "type": "OrderPlaced".', event_id)
    if not isinstance(name, str):
        raise Invalid(f"Field type must be text in quotes, not {_name_of_kind(name)}.", event_id)
    if name in RECORD_TYPES:
        raise Invalid(f"Field type is '{name}', which only credit-stream itself writes; send an input.", event_id)
    hint = did_you_mean(name, SENT_TYPES) or "; the types are listed in interface section 2."
    raise Invalid(f"Field type is {quoted(name)}, which is no known type{hint}", event_id)


def output_from_json(line: bytes, currencies: Mapping[str, int] = CURRENCIES) -> tuple[str, str, OutputRecord | None]:
    """Topic, key and record of a line that `output_to_json` made. Raises `Unreadable` and `Invalid`."""
    found = _object_of(line)
    topic, key, name, value = (found.get(part) for part in ("topic", "key", "type", "value"))
    if not (isinstance(topic, str) and isinstance(key, str) and isinstance(name, str) and name in OUTPUT_TYPES):
        raise Invalid('An output is {"topic": ..., "key": ..., "type": ..., "value": ...} with a known type.')
    if value is None:
        return topic, key, None
    return topic, key, output_from_value(OUTPUT_TYPES[name], value, currencies)


def output_from_value(
    output_type: type[Struct], value: object, currencies: Mapping[str, int] = CURRENCIES
) -> OutputRecord:
    """The output record of this type whose `value` in JSON is given. Raises `Invalid`."""
    try:
        if type(value) is not dict:
            raise Misfit(f"is {_name_of_kind(value)}; give an object in braces")
        return cast(OutputRecord, _read_record(_plan_of(output_type), value, currencies, NO_CURRENCY))
    except Misfit as misfit:
        raise Invalid(misfit.sentence(output_type.__name__)) from None


class _Plan(Struct, frozen=True):
    """How to read a record: by name in JSON the name in the record, the reader, whether null means absent, and the
    field with the currency of this money, if that is not the one of the record's other money."""

    shape: RecordShape
    fields: dict[str, tuple[str, Reader, bool, str | None]]
    required: tuple[FieldShape, ...]


@cache
def _plan_of(record_type: type[Struct]) -> _Plan:
    shape = shape_of(record_type)
    fields = {
        field.json_name: (field.name, _reader_of(field), not field.required, field.currency_field)
        for field in shape.fields
    }
    return _Plan(shape, fields, tuple(field for field in shape.fields if field.required))


def _read_record(plan: _Plan, found: dict[str, Any], currencies: Mapping[str, int], decimals: int) -> Struct:
    if plan.shape.currency_field is not None:
        decimals = _decimals_of(plan.shape.currency_field, found, currencies)
    values: dict[str, object] = {}
    fields = plan.fields
    for json_name, value in found.items():
        if json_name not in fields:
            hint = did_you_mean(json_name, fields) or f"; known are: {', '.join(fields)}"
            raise Misfit(f"has an unknown field {quoted(json_name)}{hint}")
        name, read, null_is_absent, currency_field = fields[json_name]
        if value is None and null_is_absent:
            continue
        try:
            places = decimals
            if currency_field is not None and found.get(currency_field) is not None:
                places = _decimals_of(currency_field, found, currencies)
            values[name] = read(value, currencies, places)
        except Misfit as misfit:
            raise misfit.within(json_name) from None
    for field in plan.required:
        if field.name not in values:
            raise Misfit("is missing", (field.json_name,))
    return plan.shape.record_type(**values)


def _decimals_of(field_name: str, found: Mapping[str, object], currencies: Mapping[str, int]) -> int:
    code = found.get(field_name)
    try:
        if code is None:
            raise Misfit("is missing; money needs its currency, such as EUR")
        checked = _read_text(code, currencies, NO_CURRENCY)
        check_currency(checked, currencies)
    except Misfit as misfit:
        raise misfit.within(field_name) from None
    return currencies[checked]


# --- one value of JSON ------------------------------------------------------------------------------------------


def _name_of_kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names[type(value)]


def _read_text(value: object, _: Mapping[str, int], __: int) -> str:
    if type(value) is str:
        return value
    raise Misfit(f"must be text in quotes, not {_name_of_kind(value)}")


def _read_decimal(value: object, _: Mapping[str, int], __: int) -> str:
    if type(value) is str:
        return value
    raise Misfit(f'must be decimal text in quotes, such as "12.50", not {_name_of_kind(value)}')


def _read_money(value: object, _: Mapping[str, int], decimals: int) -> int:
    if type(value) is not str:
        raise Misfit(f'must be decimal text in quotes, such as "100.50", not {_name_of_kind(value)}')
    amount_minor = money.minor(value, decimals)
    if amount_minor is not None:
        return amount_minor
    if money.is_decimal(value):
        places = "no decimals" if decimals == 0 else f"{decimals} decimals"
        raise Misfit(f"is {quoted(value)}, but its currency has {places}")
    raise Misfit(f'is {quoted(value)}; write a plain decimal number such as "100.50", without signs for thousands')


def _read_integer(value: object, _: Mapping[str, int], __: int) -> int:
    if type(value) is int:
        return value
    raise Misfit(f"must be a whole number, not {_name_of_kind(value)}{' with decimals' * (type(value) is float)}")


def _read_flag(value: object, _: Mapping[str, int], __: int) -> bool:
    if type(value) is bool:
        return value
    raise Misfit(f"must be true or false, not {_name_of_kind(value)}")


def _read_day(value: object, currencies: Mapping[str, int], decimals: int) -> int:
    text = _read_text(value, currencies, decimals)
    try:
        return day_of_text(text)
    except ValueError:
        raise Misfit(f"is {quoted(text)}; write a date of the calendar as YYYY-MM-DD") from None


def _read_instant(value: object, currencies: Mapping[str, int], decimals: int) -> int:
    text = _read_text(value, currencies, decimals)
    try:
        return instant_of_text(text)
    except ValueError:
        example = "2026-03-02T09:00:00Z, at most to the millisecond"
        raise Misfit(f"is {quoted(text)}; write an instant in UTC such as {example}") from None


def _read_bytes(value: object, currencies: Mapping[str, int], decimals: int) -> bytes:
    text = _read_text(value, currencies, decimals)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Misfit("is no base64") from None


def _read_map(value: object, currencies: Mapping[str, int], decimals: int) -> dict[str, str]:
    if type(value) is not dict:
        raise Misfit(f"must be an object in braces, not {_name_of_kind(value)}")
    for name, text in value.items():
        try:
            _read_text(text, currencies, decimals)
        except Misfit as misfit:
            raise misfit.within(name) from None
    return value


_READERS: dict[Kind, Reader] = {
    "identifier": _read_text,
    "text": _read_text,
    "document": _read_text,
    "currency": _read_text,
    "decimal": _read_decimal,
    "money": _read_money,
    "integer": _read_integer,
    "day": _read_day,
    "instant": _read_instant,
    "flag": _read_flag,
    "bytes": _read_bytes,
    "map": _read_map,
}


def _reader_of(field: FieldShape) -> Reader:
    if field.kind == "symbol":
        return _symbol_reader(field.symbols)
    if field.kind == "list":
        record_type = field.record_type
        return _list_reader(_record_reader(record_type) if record_type else _READERS[field.items or "text"])
    return _record_reader(field.record_type) if field.record_type else _READERS[field.kind]


def _symbol_reader(symbols: Sequence[str]) -> Reader:
    def read(value: object, currencies: Mapping[str, int], decimals: int) -> str:
        if value in symbols:
            return cast(str, value)
        text = _read_text(value, currencies, decimals)
        raise Misfit(f"is {quoted(text)}; give one of: {', '.join(symbols)}")

    return read


def _record_reader(record_type: type[Struct]) -> Reader:
    def read(value: object, currencies: Mapping[str, int], decimals: int) -> Struct:
        if type(value) is not dict:
            raise Misfit(f"must be an object in braces, not {_name_of_kind(value)}")
        return _read_record(_plan_of(record_type), value, currencies, decimals)

    return read


def _list_reader(read_item: Reader) -> Reader:
    def read(value: object, currencies: Mapping[str, int], decimals: int) -> tuple[object, ...]:
        if type(value) is not list:
            raise Misfit(f"must be a list in brackets, not {_name_of_kind(value)}")
        items = []
        for index, item in enumerate(value):
            try:
                items.append(read_item(item, currencies, decimals))
            except Misfit as misfit:
                raise misfit.within(index) from None
        return tuple(items)

    return read


# --- records to objects -----------------------------------------------------------------------------------------


def event_to_json(event: Event, currencies: Mapping[str, int] = CURRENCIES) -> dict[str, object]:
    """The object of an event, `type` first. What has its default is left out."""
    shape = shape_of(type(event))
    written = _write_record(event, currencies, NO_CURRENCY)
    for field in shape.fields:
        if not field.required and getattr(event, field.name) == field.default:
            del written[field.json_name]
    return {"type": shape.name, **written}


def output_to_json(
    topic: str, key: str, record: OutputRecord | None, currencies: Mapping[str, int] = CURRENCIES
) -> dict[str, object]:
    """`{"topic", "key", "type", "value"}`: every field of the record, absent ones null; for a tombstone the value."""
    if record is None:
        return {"topic": topic, "key": key, "type": _TYPE_ON_TOPIC[topic], "value": None}
    value = _write_record(record, currencies, NO_CURRENCY)
    return {"topic": topic, "key": key, "type": type(record).__name__, "value": value}


_TYPE_ON_TOPIC = {topic: output_type.__name__ for output_type, topic in TOPIC_OF_OUTPUT.items()}


def _write_record(record: Struct, currencies: Mapping[str, int], decimals: int) -> dict[str, object]:
    currency_field, fields = _writers_of(type(record))
    if currency_field is not None:
        decimals = currencies[getattr(record, currency_field)]
    written: dict[str, object] = {}
    for name, json_name, write, own_currency in fields:
        value = getattr(record, name)
        if write is None or value is None:
            written[json_name] = value
            continue
        code = None if own_currency is None else getattr(record, own_currency)
        written[json_name] = write(value, currencies, decimals if code is None else currencies[code])
    return written


@cache
def _writers_of(
    record_type: type[Struct],
) -> tuple[str | None, tuple[tuple[str, str, Writer | None, str | None], ...]]:
    shape = shape_of(record_type)
    fields = tuple((field.name, field.json_name, _writer_of(field), field.currency_field) for field in shape.fields)
    return shape.currency_field, fields


def _writer_of(field: FieldShape) -> Writer | None:
    if field.record_type is None:
        return _write_list if field.kind == "list" else _WRITERS.get(field.kind)
    if _is_plain(field.record_type):
        return _write_plain
    return _write_records if field.kind == "list" else _write_record


def _is_plain(record_type: type[Struct]) -> bool:
    """Whether a record, with all inside it, looks the same in JSON as in Python."""
    fields = shape_of(record_type).fields
    return not any(field.kind in _WRITERS for field in fields) and all(
        _is_plain(field.record_type) for field in fields if field.record_type
    )


def _write_plain(value: object, _: Mapping[str, int], __: int) -> object:
    return msgspec.to_builtins(value)


def _write_list(value: tuple[object, ...], _: Mapping[str, int], __: int) -> object:
    return list(value)


def _write_records(value: tuple[Struct, ...], currencies: Mapping[str, int], decimals: int) -> object:
    return [_write_record(record, currencies, decimals) for record in value]


def _write_money(value: int, _: Mapping[str, int], decimals: int) -> str:
    return money.text(value, decimals)


def _write_day(value: int, _: Mapping[str, int], __: int) -> str:
    return iso(value)


def _write_instant(value: int, _: Mapping[str, int], __: int) -> str:
    return text_of_instant(value)


def _write_bytes(value: bytes, _: Mapping[str, int], __: int) -> str:
    return binascii.b2a_base64(value, newline=False).decode()


_WRITERS: dict[Kind, Writer] = {
    "money": _write_money,
    "day": _write_day,
    "instant": _write_instant,
    "bytes": _write_bytes,
}
