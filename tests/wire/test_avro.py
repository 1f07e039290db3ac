"""Avro bytes: what we write others read, what others write we read, and what nobody should write is refused."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import avro.io
import avro.schema
import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from credit_stream.core import events, outputs
from credit_stream.wire import schemas
from credit_stream.wire.avro import BODY_AT, decode, encode_event, encode_output
from credit_stream.wire.codec import encoder_of, long_bytes
from credit_stream.wire.faults import Fault, Unreadable
from credit_stream.wire.read import read_event
from tests.wire.made_records import EVENT_TYPES, OUTPUT_TYPES, RECORD_TYPES, records

EVERY_TYPE = pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda record_type: record_type.__name__)
EXAMPLES = settings(max_examples=12)
ORDER = events.OrderPlaced(
    event_id="e-1",
    occurred_at=1_772_442_000_000,
    order_id="O1",
    customer_id="C1",
    amount_minor=100_050,
    currency="EUR",
    order_date=20_514,
)
RUN = outputs.RunCompleted(
    event_id="e-1", command="EvaluateHolds", partition=3, processed=2, changed=1, failed=0, business_date=20_514
)


def encoded(record: Any) -> bytes:
    """The record in single-object encoding."""
    return encode_event(record) if isinstance(record, events.Event) else encode_output(record)


@cache
def fastavro_schema(record_type: type[Struct]) -> Any:
    """The schema as it is shipped, logical types and all."""
    return fastavro.parse_schema(json.loads(schemas.schema_text(record_type.__name__)))


@cache
def apache_reader(record_type: type[Struct]) -> avro.io.DatumReader:
    """Apache's reader of the schema as it is shipped."""
    return avro.io.DatumReader(avro.schema.parse(schemas.schema_text(record_type.__name__)))


def in_numbers(value: Any) -> Any:
    """What a library read, with the dates and instants that it made as the integers they were."""
    if isinstance(value, dict):
        return {name: in_numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [in_numbers(part) for part in value]
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return (value - date(1970, 1, 1)).days if isinstance(value, date) else value


def with_defaults(record: Struct) -> Any:
    """Every field of a record as plain values, also those that have their defaults; maps sorted as we write them."""
    plain: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(record).items():
        if isinstance(value, dict):
            value = dict(sorted(value.items()))
        elif isinstance(value, tuple):
            value = [with_defaults(item) if isinstance(item, Struct) else item for item in value]
        elif isinstance(value, Struct):
            value = with_defaults(value)
        plain[name] = value
    return plain


@EVERY_TYPE
@EXAMPLES
@given(data=st.data())
def test_every_record_comes_back_from_avro_as_it_was(record_type: type[Struct], data: st.DataObject) -> None:
    """Single-object encoding, all optional fields in and out, to the limits of their ranges."""
    record = data.draw(records(record_type))
    assert decode(encoded(record)) == record


@EVERY_TYPE
@EXAMPLES
@given(data=st.data())
def test_our_bytes_are_those_of_fastavro(record_type: type[Struct], data: st.DataObject) -> None:
    """The functions made for each record write what the general library writes from the schema file."""
    record = data.draw(records(record_type))
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro_schema(record_type), with_defaults(record))
    assert encoded(record)[BODY_AT:] == stream.getvalue()


@EVERY_TYPE
@EXAMPLES
@given(data=st.data())
def test_apache_avro_reads_what_fastavro_and_we_write(record_type: type[Struct], data: st.DataObject) -> None:
    """Two implementations of others agree on our bytes."""
    record = data.draw(records(record_type))
    body = encoded(record)[BODY_AT:]
    apache = apache_reader(record_type).read(avro.io.BinaryDecoder(io.BytesIO(body)))
    general = fastavro.schemaless_reader(io.BytesIO(body), fastavro_schema(record_type), None)
    assert in_numbers(apache) == in_numbers(general) == with_defaults(record)


@pytest.mark.parametrize("record_type", EVENT_TYPES, ids=lambda record_type: record_type.__name__)
@EXAMPLES
@given(data=st.data())
def test_a_valid_event_in_avro_is_accepted(record_type: type[Struct], data: st.DataObject) -> None:
    """The checks let every valid event pass."""
    event = data.draw(records(record_type))
    assert read_event(encode_event(event)) == event


def test_the_first_ten_bytes_are_the_mark_and_the_fingerprint() -> None:
    """Avro specification, single-object encoding."""
    assert encode_event(ORDER)[:BODY_AT] == b"\xc3\x01" + schemas.fingerprints()["OrderPlaced"]


def test_equal_events_have_equal_bytes_whatever_the_order_of_attributes() -> None:
    """The content of an event is compared by its bytes (spec 2)."""
    one, other = (
        events.CustomerUpdated(
            event_id="e", occurred_at=0, customer_id="C1", credit_currency="EUR", attributes=attributes
        )
        for attributes in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    )
    assert encode_event(one) == encode_event(other)


def test_a_figure_beyond_64_bits_is_not_written() -> None:
    """Rather than a wrong figure, nothing goes out."""
    with pytest.raises(OverflowError, match="64 bits"):
        encode_output(msgspec.structs.replace(RUN, processed=2**63))


@given(value=st.integers(-(2**63), 2**63 - 1))
def test_every_integer_of_64_bits_is_written_as_avro_says(value: int) -> None:
    """Zig-zag varints, from the smallest to the largest."""
    stream = io.BytesIO()
    avro.io.BinaryEncoder(stream).write_long(value)
    assert long_bytes(value) == stream.getvalue()


def test_arrays_and_maps_in_several_blocks_with_sizes_are_read() -> None:
    """What Java's blocking encoder writes is Avro as well."""
    event = events.EvaluateHolds(event_id="e", occurred_at=0, order_ids=("A", "B", "C"))
    whole = encode_event(event)
    blocks = b"\x03\x08\x02A\x02B" + b"\x02\x02C" + b"\x00"
    assert decode(whole.replace(b"\x06\x02A\x02B\x02C\x00", blocks)) == event


# --- what is refused --------------------------------------------------------------------------------------------

GOOD = encode_event(ORDER)
HEAD = GOOD[:BODY_AT]
CHECKPOINT = encode_event(
    events.OrderCheckpointReached(event_id="e", occurred_at=0, order_id="O", customer_id="C", checkpoint="invoice")
)
UNREADABLE = {
    "nothing after the mark": (b"\xc3\x01", "before the fingerprint"),
    "half a fingerprint": (GOOD[:6], "before the fingerprint"),
    "an unknown fingerprint": (b"\xc3\x01" + bytes(8) + GOOD[BODY_AT:], "fingerprint 0000000000000000"),
    "no body": (HEAD, "too early"),
    "a body cut in the middle": (GOOD[:-10], "too early"),
    "a body without its last byte": (GOOD[:-1], "too early"),
    "bytes after the body": (GOOD + b"\x00", "1 bytes follow"),
    "text that is no UTF-8": (HEAD + b"\x04\xff\xfe" + GOOD[BODY_AT + 4 :], "not UTF-8"),
    "a length below 0": (HEAD + b"\x03" + GOOD[BODY_AT + 1 :], "below 0"),
    "a length beyond the end": (HEAD + b"\xfe\xff\xff\xff\x0f", "too early"),
    "a number without an end": (HEAD + b"\xff" * 20, "64 bits"),
    "a boolean of 7": (GOOD[:-1] + b"\x07", "boolean"),
    "an index that the enum does not have": (CHECKPOINT[:-2] + b"\x0a\x00", "enum"),
    "an index below 0 into an enum": (CHECKPOINT[:-2] + b"\x01\x00", "enum"),
    "a union branch that is not there": (GOOD.replace(b"\x00\x04O1", b"\x06\x04O1"), "union"),
    "a union branch below 0": (GOOD.replace(b"\x00\x04O1", b"\x01\x04O1"), "union"),
    "an output": (encode_output(RUN), "output"),
    "a registry's frame without a registry": (b"\x00\x00\x00\x00\x01" + GOOD[BODY_AT:], "none is configured"),
}


@pytest.mark.parametrize(("payload", "words"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_bytes_that_are_no_avro_of_ours_are_unreadable(payload: bytes, words: str) -> None:
    """Spec 12: not Avro, unknown schema. The sentence says what it was."""
    fault = read_event(payload)
    assert isinstance(fault, Fault)
    assert fault.reason == "unreadable"
    assert words in fault.message
    assert fault.message.endswith(".")


INVALID = {
    "a day before 1970": ({"order_date": -1}, "order_date", "1970-01-01 to 2199-12-31"),
    "a day after 2199": ({"ships_on": 84_006}, "ships_on", "1970-01-01 to 2199-12-31"),
    "an instant before 1970": ({"occurred_at": -1}, "occurred_at", "1970-01-01 to 2199-12-31"),
    "an instant after 2199": ({"occurred_at": 84_006 * 86_400_000}, "occurred_at", "out of range"),
    "an unknown currency": ({"currency": "EUX"}, "currency", "did you mean EUR"),
    "a currency in small letters": ({"currency": "eur"}, "currency", "did you mean EUR"),
    "a currency like no other": ({"currency": "ZZZ"}, "currency", "'ZZZ'"),
    "gold, which has no decimals": ({"currency": "XAU"}, "currency", "'XAU'"),
    "an empty id": ({"order_id": ""}, "order_id", "empty"),
    "an id of 201 characters": ({"customer_id": "C" * 201}, "customer_id", "200"),
    "an id with a NUL": ({"customer_id": "C\0"}, "customer_id", "control"),
    "an id with a line end": ({"order_id": "O\n1"}, "order_id", "control"),
    "an empty optional id": ({"ordered_by": ""}, "ordered_by", "leave the field out"),
    "a text of 10,001 characters": ({"payment_terms": "x" * 10_001}, "payment_terms", "10,000"),
    "a text with a NUL": ({"source": "\0"}, "source", "NUL"),
    "an amount of 18 digits": ({"amount_minor": 10**17}, "amount_minor", "larger"),
    "a negative one of 18 digits": ({"secured_amount_minor": -(10**17)}, "secured_amount_minor", "larger"),
}


@pytest.mark.parametrize(("changes", "field", "words"), INVALID.values(), ids=INVALID.keys())
def test_a_field_out_of_range_is_invalid_in_avro(changes: dict[str, Any], field: str, words: str) -> None:
    """Spec 12: the field is named as in Avro, and the event id is told."""
    fault = read_event(encode_event(msgspec.structs.replace(ORDER, **changes)))
    assert isinstance(fault, Fault)
    assert (fault.reason, fault.event_id, fault.event_type) == ("invalid", "e-1", "OrderPlaced")
    assert f"Field {field} of OrderPlaced" in fault.message
    assert words in fault.message


@pytest.mark.parametrize("text", ["1e5", "1,000.00", "+1", " 1", "1.", ".5", "NaN", "", "0x1", "1" * 40, "١"])
def test_decimal_text_that_is_not_plain_is_invalid_in_avro(text: str) -> None:
    """Amounts whose currency stands elsewhere, rates and percentages."""
    event = events.OrderDelivered(event_id="e", occurred_at=0, order_id="O1", customer_id="C1", delivered_amount=text)
    fault = read_event(encode_event(event))
    assert isinstance(fault, Fault)
    assert "delivered_amount" in fault.message


def test_a_fault_in_a_list_says_in_which_item() -> None:
    """Counted from 0, as in JSON."""
    settlements = (events.Settlement(invoice_id="I1", amount="1"), events.Settlement(invoice_id="I2", amount="x"))
    event = events.PaymentApplied(
        event_id="e", occurred_at=0, payment_id="P", customer_id="C", applied_on=0, settlements=settlements
    )
    fault = read_event(encode_event(event))
    assert isinstance(fault, Fault)
    assert fault.message.startswith("Field settlements[1].amount of PaymentApplied is 'x'")


def test_an_id_that_is_itself_at_fault_is_not_told() -> None:
    """A dead letter must not carry what no event may carry."""
    fault = read_event(encode_event(msgspec.structs.replace(ORDER, event_id="")))
    assert isinstance(fault, Fault)
    assert fault.event_id is None


def test_an_id_may_have_spaces_and_letters_of_any_script() -> None:
    """Only control characters are refused; a no-break space is a space."""
    event = msgspec.structs.replace(ORDER, customer_id="Müller\u00a0& Söhne 日本 \u200d")
    assert read_event(encode_event(event)) == event


def test_a_message_over_one_mebibyte_is_unreadable() -> None:
    """Whatever is in it is not looked at."""
    event = events.SettingsPublished(event_id="e", occurred_at=0, version=1, document="x" * 1_048_576)
    fault = read_event(encode_event(event))
    assert isinstance(fault, Fault)
    assert (fault.reason, "1,048,576" in fault.message) == ("unreadable", True)


def test_a_dead_letter_may_be_longer_than_an_input() -> None:
    """It has the bytes as they came, however many."""
    letter = outputs.DeadLetter(
        dead_letter_id="credit.inbox/0/7",
        topic="credit.inbox",
        partition=0,
        offset=7,
        reason="unreadable",
        message="The line is too long.",
        payload=bytes(3_000_000),
    )
    assert decode(encode_output(letter)) == letter


# --- a schema registry ------------------------------------------------------------------------------------------


def confluent(schema_id: int, body: bytes) -> bytes:
    """The Confluent wire format."""
    return b"\x00" + schema_id.to_bytes(4, "big") + body


def older_order_schema() -> str:
    """An OrderPlaced as a producer of long ago might have it: fields missing, another one there, in another order."""
    schema = json.loads(schemas.schema_text("OrderPlaced"))
    kept = [field for field in schema["fields"] if field["name"] not in ("source", "excluded", "intercompany")]
    schema["fields"] = [{"name": "channel", "type": "string"}, *reversed(kept)]
    return json.dumps(schema)


def newer_schema(record_name: str) -> str:
    """A record as a later release may have it: a new optional field at its end."""
    schema = json.loads(schemas.schema_text(record_name))
    schema["fields"].append({"name": "channel", "type": "string", "default": ""})
    return json.dumps(schema)


def test_a_registered_schema_that_is_ours_is_read() -> None:
    """The body is the same in either framing."""
    texts = {7: schemas.schema_text("OrderPlaced")}
    assert decode(confluent(7, GOOD[BODY_AT:]), texts.__getitem__) == ORDER
    assert read_event(confluent(7, GOOD[BODY_AT:]), schema_of_id=texts.__getitem__) == ORDER


def test_another_version_of_a_schema_is_resolved_to_ours() -> None:
    """Unknown fields are left out, missing ones have their defaults."""
    text = older_order_schema()
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, json.loads(text), with_defaults(ORDER) | {"channel": "web"})
    assert decode(confluent(8, stream.getvalue()), {8: text}.__getitem__) == ORDER


HOLDS_ITSELF = json.dumps(
    {
        "type": "record",
        "name": "OrderPlaced",
        "namespace": "credit.v1",
        "fields": [{"name": "inner", "type": ["null", "OrderPlaced"]}],
    }
)
ITEMS_WITHOUT_BYTES = json.dumps(
    {
        "type": "record",
        "name": "OrderPlaced",
        "namespace": "credit.v1",
        "fields": [
            {"name": "one", "type": {"type": "record", "name": "Nothing", "fields": [{"name": "n", "type": "null"}]}},
            {"name": "many", "type": {"type": "array", "items": "Nothing"}},
        ],
    }
)
NOT_THERE = "no Avro schema of a record of credit-stream under the id 9"
REGISTRY = {
    "an id that the registry does not have": ({}, GOOD[BODY_AT:], NOT_THERE),
    "a schema of no record of ours": ({9: '{"type": "record", "name": "Parcel", "fields": []}'}, b"", NOT_THERE),
    "a schema that is none": ({9: '{"type": "enum"'}, b"", NOT_THERE),
    "a schema in another language": ({9: 'syntax = "proto3"; message OrderPlaced {}'}, b"", NOT_THERE),
    "a record that holds itself": ({9: HOLDS_ITSELF}, b"\x02" * 500 + b"\x00", NOT_THERE),
    "an array of nothing, of which ten bytes have many": ({9: ITEMS_WITHOUT_BYTES}, b"\x80\x80\x40\x00", NOT_THERE),
    "half an id": ({}, None, "before the id of their schema"),
    "an older version, cut": (
        {9: older_order_schema()},
        b"\x06web",
        "cannot be read as OrderPlaced: it ends too early",
    ),
    "a newer version with text that is no UTF-8": ({9: newer_schema("OrderPlaced")}, b"\x02\xff", "is not UTF-8"),
    "a newer version with more behind it": (
        {9: newer_schema("OrderPlaced")},
        GOOD[BODY_AT:] + b"\x06web\x00",
        "1 bytes follow",
    ),
    "a newer version with an index that its enum does not have": (
        {9: newer_schema("OrderCheckpointReached")},
        CHECKPOINT[BODY_AT:-2] + b"\x0c\x00\x06web",
        "an index is one that its enum or union does not have",
    ),
    "a schema that cannot become ours": (
        {9: '{"type": "record", "name": "OrderPlaced", "namespace": "credit.v1", "fields": []}'},
        b"",
        "cannot be read as OrderPlaced: No default value for field event_id",
    ),
}


@pytest.mark.parametrize(("texts", "body", "words"), REGISTRY.values(), ids=REGISTRY.keys())
def test_what_cannot_be_read_under_a_registered_schema_is_unreadable(
    texts: dict[int, str], body: bytes | None, words: str
) -> None:
    """The registry answered; the bytes or the schema are at fault. None: the bytes end within the id."""
    payload = b"\x00\x00\x00" if body is None else confluent(9, body)
    fault = read_event(payload, schema_of_id=texts.__getitem__)
    assert isinstance(fault, Fault)
    assert fault.reason == "unreadable"
    assert words in fault.message


def test_a_registry_out_of_reach_is_no_fault_of_the_event() -> None:
    """Its error passes through, so that the event is taken again and does not become a dead letter."""

    def unreachable(schema_id: int) -> str:
        raise ConnectionError(f"no answer for {schema_id}")

    with pytest.raises(ConnectionError):
        read_event(confluent(9, b""), schema_of_id=unreachable)


def test_every_byte_of_a_mark_that_is_not_avro_is_refused() -> None:
    """`decode` takes nothing but Avro."""
    with pytest.raises(Unreadable, match="not with c301"):
        decode(b'{"type": "OrderPlaced"}')


# --- rubbish ----------------------------------------------------------------------------------------------------


@given(body=st.binary(max_size=200), record_type=st.sampled_from(EVENT_TYPES))
def test_random_bytes_after_a_good_head_are_an_event_or_a_fault(body: bytes, record_type: type[Struct]) -> None:
    """Nothing that arrives stops the stream (spec 12)."""
    answer = read_event(b"\xc3\x01" + schemas.fingerprints()[record_type.__name__] + body)
    assert isinstance(answer, events.Event | Fault)


@pytest.mark.parametrize("record_type", EVENT_TYPES, ids=lambda record_type: record_type.__name__)
@EXAMPLES
@given(data=st.data())
def test_a_valid_event_with_some_bytes_changed_is_an_event_or_a_fault(
    record_type: type[Struct], data: st.DataObject
) -> None:
    """What is accepted after the change can be written again and read as the same."""
    payload = bytearray(encode_event(data.draw(records(record_type))))
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(rng.randint(1, 4)):
        payload[rng.randrange(2, len(payload))] = rng.randrange(256)
    cut = rng.choice([len(payload), rng.randrange(len(payload))])
    answer = read_event(bytes(payload[:cut]))
    assert isinstance(answer, events.Event | Fault)
    if isinstance(answer, events.Event):
        assert read_event(encode_event(answer)) == answer


# --- weight -----------------------------------------------------------------------------------------------------

LIGHT = """
import sys
import credit_stream.wire.json_lines
from credit_stream.wire.read import read_event
assert not isinstance(read_event(bytes.fromhex(sys.argv[1])), tuple)
sys.exit("fastavro" in sys.modules or "avro" in sys.modules)
"""


def test_our_own_records_are_read_without_loading_an_avro_library() -> None:
    """It would be a fifth of the time that the command line takes to start."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", LIGHT, GOOD.hex()], check=False, env=environment)
    assert done.returncode == 0


def test_a_table_of_remembered_values_is_emptied_when_it_is_full() -> None:
    """A stream of ever new texts does not fill the memory, and is written right all the same."""
    encode = encoder_of(outputs.ScoreComponent)
    for number in range(10_000):
        component = outputs.ScoreComponent(scoring_group="g", type=f"type {number}", score=0)
        text = component.type.encode()
        assert encode(component) == b"\x02g" + long_bytes(len(text)) + text + b"\x00\x00"


def test_every_output_type_has_a_topic() -> None:
    """The records of this test are those of the core."""
    assert len(OUTPUT_TYPES) + len(EVENT_TYPES) == len(schemas.fingerprints())
