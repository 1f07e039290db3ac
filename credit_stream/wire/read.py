"""The one place where bytes of any form become an event, or the fault that a dead letter tells (spec 12)."""

from __future__ import annotations

from collections.abc import Mapping

from credit_stream.core.events import Event
from credit_stream.wire.avro import CONFLUENT, SINGLE_OBJECT, SchemaOfId, decode
from credit_stream.wire.checks import MESSAGE_BYTES_MAX, check_event
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.faults import Fault, Refused, Unreadable
from credit_stream.wire.json_lines import event_from_json
from credit_stream.wire.quick import quick_event


def read_event(
    payload: bytes, currencies: Mapping[str, int] = CURRENCIES, schema_of_id: SchemaOfId | None = None
) -> Event | Fault:
    """The event in these bytes: Avro by its first bytes (c301, or 00 with a registry), anything else JSON text.

    Never raises for what is in the bytes; whatever that is, the answer is an event that holds the checks, or a `Fault`.
    """
    event = quick_event(payload, currencies)
    if event is not None:
        return event
    try:
        if payload[:2] == SINGLE_OBJECT or payload[:1] == CONFLUENT:
            return _event_from_avro(payload, currencies, schema_of_id)
        return event_from_json(payload, currencies)
    except Refused as refused:
        return refused.fault


def _event_from_avro(payload: bytes, currencies: Mapping[str, int], schema_of_id: SchemaOfId | None) -> Event:
    if len(payload) > MESSAGE_BYTES_MAX:
        size = f"{len(payload):,} bytes; at most {MESSAGE_BYTES_MAX:,} are taken"
        raise Unreadable(f"The message has {size}, so send it in parts.")
    record = decode(payload, schema_of_id)
    if not isinstance(record, Event):
        raise Unreadable(f"The bytes are a {type(record).__name__}, which is an output; send one of the inputs.")
    check_event(record, currencies)
    return record
