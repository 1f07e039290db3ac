"""Avro with its framing: single-object encoding, or the Confluent wire format (interface section 1).

Both are read, always, and in every version of a schema that can be known: under single objects those of this and of all
earlier releases, with a registry whatever it has and Avro can resolve to ours. What is in the bytes is judged by them
and by the schema that they name, never by when they are read.
"""

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
from credit_stream.wire.released import released_by_fingerprint
from credit_stream.wire.schemas import fingerprint_for

SINGLE_OBJECT = b"\xc3\x01"
"""How single-object encoding begins; the fingerprint of the schema follows, then the body."""
FINGERPRINT_BYTES = 8
BODY_AT = len(SINGLE_OBJECT) + FINGERPRINT_BYTES
CONFLUENT = b"\x00"
"""How the Confluent wire format begins; the id of the schema in the registry follows, then the body."""
SCHEMA_ID_BYTES = 4
CONFLUENT_BODY_AT = len(CONFLUENT) + SCHEMA_ID_BYTES

SCHEMAS_KEPT_MAX = 1024
"""Of schemas from the registry, what was found out about each."""

SchemaOfId: TypeAlias = Callable[[int], str]
"""The text of the schema with this id in the registry; LookupError when the registry says that it has none."""

_AGAIN = "write the record again with a schema of credit-stream"


def encode_event(event: Event) -> bytes:
    """The event in single-object encoding. Equal events have equal bytes."""
    return _encoder_of(type(event))(event)


def encode_output(record: OutputRecord) -> bytes:
    """The output record in single-object encoding. Raises OverflowError for a figure beyond 64 bits."""
    return _encoder_of(type(record))(record)


def encode_record(record: OutputRecord | Event) -> bytes:
    """An output, or a request of one task to another, which is an event."""
    return _encoder_of(type(record))(record)


def encoder_with_ids(ids: Mapping[str, int]) -> Callable[[OutputRecord | Event], bytes]:
    """The function that writes any record: in the Confluent wire format if its name has an id, else a single object.

    The bodies are the same in either framing. Looking for the encoder is a third of a microsecond less than asking
    what kind of record it is.
    """
    encoders = {record_type: _encoder_of(record_type) for record_type in RECORD_TYPES.values()}
    for name, schema_id in ids.items():
        head = CONFLUENT + schema_id.to_bytes(SCHEMA_ID_BYTES, "big")
        encoders[RECORD_TYPES[name]] = encoder_of(RECORD_TYPES[name], head)
    return lambda record: encoders[type(record)](record)


def decode(data: bytes, schema_of_id: SchemaOfId | None = None) -> Struct:
    """The record in Avro bytes of either framing. Raises `Unreadable` for anything that is not one of ours.

    What `schema_of_id` raises besides LookupError passes through: nothing is known about the bytes then.
    """
    if data[:2] == SINGLE_OBJECT:
        record_type = _types_by_fingerprint().get(data[2:BODY_AT])
        if record_type is None:
            return _decode_released(data)
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


# --- other versions of our records ------------------------------------------------------------------------------


def _decode_released(data: bytes) -> Struct:
    """Single objects with another fingerprint than those of our present schemas."""
    if len(data) < BODY_AT:
        raise Unreadable(f"The bytes end before the fingerprint of their schema does; {_AGAIN}.")
    released = released_by_fingerprint().get(data[2:BODY_AT])
    if released is None or released.record_name not in RECORD_TYPES:
        raise Unreadable(f"No known schema has the fingerprint {data[2:BODY_AT].hex()}; {_AGAIN}.")
    return _read_other_version(RECORD_TYPES[released.record_name], released.text(), data[BODY_AT:])


def _decode_confluent(data: bytes, schema_of_id: SchemaOfId | None) -> Struct:
    if schema_of_id is None:
        raise Unreadable(
            "The bytes are framed for a schema registry, and none is configured; "
            "start the workers with --schema-registry, or send Avro single objects."
        )
    if len(data) < CONFLUENT_BODY_AT:
        raise Unreadable(f"The bytes end before the id of their schema does; {_AGAIN}.")
    schema_id = int.from_bytes(data[1:CONFLUENT_BODY_AT], "big")
    known = _known_with_id(schema_id, schema_of_id)
    if known is None:
        # One sentence for an id that nobody has and for one of a schema that is not ours: the first can become the
        # second, and the dead letter must be the same when the record is read again.
        raise Unreadable(
            f"The schema registry has no Avro schema of a record of credit-stream under the id {schema_id}; {_AGAIN}."
        )
    record_type, text = known
    if text is None:
        return _read_body(record_type, data, CONFLUENT_BODY_AT)
    return _read_other_version(record_type, text, data[CONFLUENT_BODY_AT:])


def _known_with_id(schema_id: int, schema_of_id: SchemaOfId) -> tuple[type[Struct], str | None] | None:
    try:
        text = schema_of_id(schema_id)
    except LookupError:
        return None
    return _known(text)


@lru_cache(maxsize=SCHEMAS_KEPT_MAX)
def _known(text: str) -> tuple[type[Struct], str | None] | None:
    """The record of a registered schema, with the schema if it is not written as we write it; None if not ours."""
    from credit_stream.wire import foreign

    try:
        name = foreign.record_name_of(text)
        fingerprint = foreign.fingerprint_of(text)
        foreign.refuse_endless(text)
    except Exception:  # a foreign schema may be wrong in any way; fastavro answers in as many
        return None
    if name not in RECORD_TYPES:
        return None
    return RECORD_TYPES[name], None if fingerprint == fingerprint_for(name) else text


def _read_other_version(record_type: type[Struct], text: str, body: bytes) -> Struct:
    from credit_stream.wire import foreign

    name = record_type.__name__
    try:
        found, length = foreign.resolved(body, text, name)
        record = msgspec.convert(found, record_type)
    except Exception as error:  # bytes from elsewhere under a schema from elsewhere: fastavro raises what comes
        raise Unreadable(f"The Avro body cannot be read as {name}: {foreign.reason_of(error)}; {_AGAIN}.") from None
    if length != len(body):
        raise Unreadable(f"{len(body) - length} bytes follow the Avro body of {name}; send one record a message.")
    return record
