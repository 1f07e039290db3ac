"""Avro with its framing: single-object encoding, and the Confluent wire format when reading (interface section 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TypeAlias, cast

import msgspec
from msgspec import Struct

from credit_stream.core.events import Event
from credit_stream.core.outputs import OutputRecord
from credit_stream.wire.codec import Encoder, decoder_of, encoder_of
from credit_stream.wire.faults import Unreadable
from credit_stream.wire.records import RECORD_TYPES
from credit_stream.wire.schemas import fingerprint_for

SINGLE_OBJECT = b"\xc3\x01"
"""How single-object encoding begins; the fingerprint of the schema follows, then the body."""
FINGERPRINT_BYTES = 8
BODY_AT = len(SINGLE_OBJECT) + FINGERPRINT_BYTES
CONFLUENT = b"\x00"
"""How the Confluent wire format begins; the id of the schema in the registry follows, then the body."""
CONFLUENT_BODY_AT = 5

SCHEMAS_KEPT_MAX = 1024
"""Of schemas from the registry, what was found out about each."""

SchemaOfId: TypeAlias = Callable[[int], str]
"""The text of the schema with this id in the registry; LookupError when the registry has none."""

_AGAIN = "write the record again with a schema of credit-stream"


def encode_event(event: Event) -> bytes:
    """The event in single-object encoding. Equal events have equal bytes."""
    return _encoder_of(type(event))(event)


def encode_output(record: OutputRecord) -> bytes:
    """The output record in single-object encoding. Raises OverflowError for a figure beyond 64 bits."""
    return _encoder_of(type(record))(record)


def decode(data: bytes, schema_of_id: SchemaOfId | None = None) -> Struct:
    """The record in Avro bytes of either framing. Raises `Unreadable` for anything that is not one of ours."""
    if data[:2] == SINGLE_OBJECT:
        if len(data) < BODY_AT:
            raise Unreadable(f"The bytes end before the fingerprint of their schema does; {_AGAIN}.")
        record_type = _types_by_fingerprint().get(data[2:BODY_AT])
        if record_type is None:
            raise Unreadable(f"No known schema has the fingerprint {data[2:BODY_AT].hex()}; {_AGAIN}.")
        return _read_body(record_type, data, BODY_AT)
    if data[:1] == CONFLUENT:
        return _decode_confluent(data, schema_of_id)
    raise Unreadable(f"The bytes begin with {data[:2].hex() or 'nothing'}, not with c301; send Avro single objects.")


@cache
def _encoder_of(record_type: type[Struct]) -> Encoder:
    return encoder_of(record_type, SINGLE_OBJECT + fingerprint_for(record_type.__name__))


@cache
def _types_by_fingerprint() -> Mapping[bytes, type[Struct]]:
    return {fingerprint_for(name): record_type for name, record_type in RECORD_TYPES.items()}


def _read_body(record_type: type[Struct], data: bytes, at: int) -> Struct:
    name = record_type.__name__
    try:
        record, end = decoder_of(record_type)(data, at)
    except IndexError:
        raise Unreadable(f"The Avro body of {name} ends too early; {_AGAIN}.") from None
    except UnicodeDecodeError:
        raise Unreadable(f"A text in the Avro body of {name} is not UTF-8; {_AGAIN}.") from None
    except KeyError as error:
        problem = f"has an index, {error.args[0]} as written, that its enum, union or boolean does not have"
        raise Unreadable(f"The Avro body of {name} {problem}; {_AGAIN}.") from None
    if end > len(data):
        raise Unreadable(f"The Avro body of {name} ends too early; {_AGAIN}.")
    if end < len(data):
        raise Unreadable(f"{len(data) - end} bytes follow the Avro body of {name}; send one record a message.")
    return cast(Struct, record)


# --- the Confluent wire format ----------------------------------------------------------------------------------


def _decode_confluent(data: bytes, schema_of_id: SchemaOfId | None) -> Struct:
    if schema_of_id is None:
        raise Unreadable("The bytes are framed for a schema registry, and none is configured; send single objects.")
    if len(data) < CONFLUENT_BODY_AT:
        raise Unreadable(f"The bytes end before the id of their schema does; {_AGAIN}.")
    schema_id = int.from_bytes(data[1:CONFLUENT_BODY_AT], "big")
    try:
        text = schema_of_id(schema_id)
    except LookupError:
        raise Unreadable(f"The schema registry has no schema with the id {schema_id}; register it first.") from None
    record_type, is_ours = _known(text, schema_id)
    if is_ours:
        return _read_body(record_type, data, CONFLUENT_BODY_AT)
    return _read_other_version(record_type, text, data[CONFLUENT_BODY_AT:])


@lru_cache(maxsize=SCHEMAS_KEPT_MAX)
def _known(text: str, schema_id: int) -> tuple[type[Struct], bool]:
    """The record of a registered schema, and whether it is written as we write it."""
    from credit_stream.wire import foreign

    try:
        name = foreign.record_name_of(text)
        fingerprint = foreign.fingerprint_of(text)
    except Exception as error:  # a foreign schema may be wrong in any way; fastavro answers in as many
        raise Unreadable(f"Schema {schema_id} of the registry cannot be used ({error}).") from None
    if name not in RECORD_TYPES:
        raise Unreadable(f"Schema {schema_id} of the registry is of {name}, which is no record of credit-stream.")
    return RECORD_TYPES[name], fingerprint == fingerprint_for(name)


def _read_other_version(record_type: type[Struct], text: str, body: bytes) -> Struct:
    from credit_stream.wire import foreign

    name = record_type.__name__
    try:
        found, length = foreign.resolved(body, text, name)
        record = msgspec.convert(found, record_type)
    except Exception as error:  # bytes from elsewhere under a schema from elsewhere: fastavro raises what comes
        raise Unreadable(f"The Avro body cannot be read as {name} ({error}); {_AGAIN}.") from None
    if length != len(body):
        raise Unreadable(f"{len(body) - length} bytes follow the Avro body of {name}; send one record a message.")
    return record
