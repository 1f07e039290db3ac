"""JSON Lines: money as text, dates as text, and a sentence that helps for everything else."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from credit_stream.core import events, outputs
from credit_stream.core.topics import INTERNAL_TOPICS, TOPIC_OF_EVENT, TOPIC_OF_OUTPUT
from credit_stream.wire.avro import encode_event
from credit_stream.wire.faults import Fault, Invalid
from credit_stream.wire.json_lines import event_from_json, event_to_json, output_from_json, output_to_json
from credit_stream.wire.read import read_event
from tests.wire.made_records import EVENT_TYPES, OUTPUT_TYPES, records

EXAMPLES = settings(max_examples=12)
SENT_TYPES = [event_type for event_type in EVENT_TYPES if TOPIC_OF_EVENT[event_type] not in INTERNAL_TOPICS]
EVERY_SENT_TYPE = pytest.mark.parametrize("event_type", SENT_TYPES, ids=lambda event_type: event_type.__name__)
ORDER: dict[str, Any] = {
    "type": "OrderPlaced",
    "event_id": "e-1",
    "occurred_at": "2026-03-02T09:00:00Z",
    "order_id": "O1",
    "customer_id": "C1",
    "amount": "1000.50",
    "currency": "EUR",
}
LEFT_OUT = object()


def line_of(fields: dict[str, Any], **changes: Any) -> bytes:
    """A line of these fields, some of them changed or left out."""
    changed = {name: value for name, value in (fields | changes).items() if value is not LEFT_OUT}
    return json.dumps(changed).encode()


def fault_of(line: bytes) -> Fault:
    """The fault of a line that must have one; its sentence is one."""
    fault = read_event(line)
    assert isinstance(fault, Fault), fault
    assert fault.message.endswith((".", "?")), fault.message
    assert "\n" not in fault.message
    assert len(fault.message) < 500
    return fault


# --- both ways --------------------------------------------------------------------------------------------------


@EVERY_SENT_TYPE
@EXAMPLES
@given(data=st.data())
def test_every_event_comes_back_from_json_as_it_was(event_type: type[Struct], data: st.DataObject) -> None:
    """All fields, in any currency, to the limits of their ranges."""
    event = data.draw(records(event_type))
    written = event_to_json(event)
    assert next(iter(written)) == "type"
    assert read_event(json.dumps(written).encode()) == event
    assert read_event(msgspec.json.encode(written)) == event


@pytest.mark.parametrize("output_type", OUTPUT_TYPES, ids=lambda output_type: output_type.__name__)
@EXAMPLES
@given(data=st.data())
def test_every_output_comes_back_from_json_as_it_was(output_type: type[Struct], data: st.DataObject) -> None:
    """Topic, key and record."""
    record = data.draw(records(output_type))
    line = json.dumps(output_to_json(TOPIC_OF_OUTPUT[output_type], "K", record)).encode()
    assert output_from_json(line) == (TOPIC_OF_OUTPUT[output_type], "K", record)


@EVERY_SENT_TYPE
@EXAMPLES
@given(data=st.data())
def test_a_valid_line_with_one_thing_wrong_is_a_fault_and_nothing_else(
    event_type: type[Struct], data: st.DataObject
) -> None:
    """Any field of any event replaced by any JSON value is an event or a fault, never a crash."""
    fields = event_to_json(data.draw(records(event_type)))
    name = data.draw(st.sampled_from(sorted(fields)))
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
    fields[name] = data.draw(anything)
    answer = read_event(json.dumps(fields).encode())
    assert isinstance(answer, events.Event | Fault)
    if isinstance(answer, events.Event):
        assert read_event(encode_event(answer)) == answer


@given(line=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_random_bytes_are_a_fault(line: bytes) -> None:
    """No random bytes are an event."""
    assert isinstance(read_event(line), Fault)


@given(cut=st.integers(0, 400), byte=st.integers(0, 255), at=st.integers(0, 400))
def test_a_valid_line_with_a_byte_changed_is_an_event_or_a_fault(cut: int, byte: int, at: int) -> None:
    """Nothing that arrives stops the stream (spec 12)."""
    line = bytearray(line_of(ORDER))
    line[at % len(line)] = byte
    assert isinstance(read_event(bytes(line)), events.Event | Fault)
    assert isinstance(read_event(bytes(line[:cut])), events.Event | Fault)


# --- money ------------------------------------------------------------------------------------------------------

MONEY = """
    EUR   1000.50               100050
    EUR   1000.5                100050
    EUR   5                        500
    EUR   0                          0
    EUR   -0.01                     -1
    EUR   -0                         0
    EUR   0007.10                  710
    JPY   5                          5
    KWD   1.005                   1005
    CLF   0.0001                     1
    EUR   999999999999999.99  99999999999999999
"""


@pytest.mark.parametrize("row", MONEY.strip().splitlines())
def test_money_is_decimal_text_of_its_currency(row: str) -> None:
    """Interface section 1: `amount_minor` 100050 in EUR is `"1000.50"`."""
    currency, text, minor = row.split()
    event = event_from_json(line_of(ORDER, amount=text, currency=currency))
    assert isinstance(event, events.OrderPlaced)
    assert event.amount_minor == int(minor)


NOT_MONEY = [
    ("EUR", 100.5, "not a number"),
    ("EUR", 100, "not a number"),
    ("EUR", True, "not true or false"),
    ("EUR", ["1"], "not a list"),
    ("EUR", None, "not null"),
    ("EUR", "1.001", "its currency has 2 decimals"),
    ("EUR", "1.000", "its currency has 2 decimals"),
    ("JPY", "1.00", "its currency has no decimals"),
    ("KWD", "1.0005", "its currency has 3 decimals"),
    ("EUR", "1,000.00", "plain decimal"),
    ("EUR", "1 000", "plain decimal"),
    ("EUR", "1'000", "plain decimal"),
    ("EUR", "+1", "plain decimal"),
    ("EUR", "1e3", "plain decimal"),
    ("EUR", "1E3", "plain decimal"),
    ("EUR", " 1", "plain decimal"),
    ("EUR", "1\n", "plain decimal"),
    ("EUR", "1.", "plain decimal"),
    ("EUR", ".5", "plain decimal"),
    ("EUR", "--1", "plain decimal"),
    ("EUR", "", "plain decimal"),
    ("EUR", "NaN", "plain decimal"),
    ("EUR", "Infinity", "plain decimal"),
    ("EUR", "1_000", "plain decimal"),
    ("EUR", "0x10", "plain decimal"),
    ("EUR", "١٢", "plain decimal"),
    ("EUR", "1000000000000000.00", "larger"),
    ("EUR", "-1000000000000000.00", "larger"),
    ("EUR", "9" * 400, "plain decimal"),
]


@pytest.mark.parametrize(("currency", "value", "words"), NOT_MONEY)
def test_anything_else_is_no_money(currency: str, value: Any, words: str) -> None:
    """Each is `invalid`, says so of the field `amount`, and tells the event id."""
    fault = fault_of(line_of(ORDER, amount=value, currency=currency))
    assert (fault.reason, fault.event_id, fault.event_type) == ("invalid", "e-1", "OrderPlaced")
    assert "Field amount of OrderPlaced" in fault.message
    assert words in fault.message


def test_money_without_its_currency_names_the_currency() -> None:
    """There is no telling what 1000.50 is."""
    assert "Field currency of OrderPlaced is missing" in fault_of(line_of(ORDER, currency=LEFT_OUT)).message


def test_money_in_records_inside_is_in_the_currency_around_them() -> None:
    """Instalments have the currency of the invoice."""
    event = event_from_json(
        line_of(
            {name: ORDER[name] for name in ("event_id", "occurred_at", "customer_id")},
            type="InvoicePosted",
            invoice_id="I1",
            amount="3.000",
            currency="KWD",
            invoice_date="2026-03-02",
            instalments=[{"due_date": "2026-03-12", "amount": "1.005"}, {"amount": "1.995", "due_date": "2026-03-22"}],
        )
    )
    assert isinstance(event, events.InvoicePosted)
    assert [part.amount_minor for part in event.instalments] == [1005, 1995]


def journal(*lines: dict[str, Any]) -> bytes:
    """A command with journal lines."""
    head = {"type": "AddJournalLines", "event_id": "e", "occurred_at": "2026-03-02T09:00:00Z", "actor": "ana"}
    return line_of(head, journal_id="J1", lines=list(lines))


def test_a_journal_line_has_a_currency_of_its_own() -> None:
    """A journal may be about customers of several currencies."""
    event = event_from_json(
        journal({"credit_limit": "5", "currency": "JPY"}, {"credit_limit": "5.00", "currency": "EUR"})
    )
    assert isinstance(event, events.AddJournalLines)
    assert [line.credit_limit_minor for line in event.lines] == [5, 500]


def test_a_fault_in_a_list_says_in_which_item() -> None:
    """Counted from 0."""
    good = {"credit_limit": "5", "currency": "EUR"}
    fault = fault_of(journal(good, good | {"credit_limit": 5}))
    assert fault.message.startswith("Field lines[1].credit_limit of AddJournalLines must be decimal text")
    assert "Field lines[0].currency" in fault_of(journal(good | {"currency": "EUX"})).message
    assert (
        "Field lines[1] of AddJournalLines has an unknown field 'limit'"
        in fault_of(journal(good, good | {"limit": "5"})).message
    )
    assert "Field lines[0] of AddJournalLines must be an object" in fault_of(journal("5")).message  # type: ignore[arg-type]


# --- every other fault ------------------------------------------------------------------------------------------

INVALID = {
    "an unknown field": ({"amont": "5"}, "has an unknown field 'amont'; did you mean 'amount'?"),
    "an unknown field like no other": ({"zzz": 1}, "has an unknown field 'zzz'; known are: event_id"),
    "the name that money has in Avro": ({"amount_minor": 5}, "did you mean 'amount'"),
    "a required field left out": ({"order_id": LEFT_OUT}, "Field order_id of OrderPlaced is missing"),
    "a required field that is null": ({"order_id": None}, "must be text in quotes, not null"),
    "a number for text": ({"order_id": 5}, "Field order_id of OrderPlaced must be text in quotes, not a number"),
    "text for true": ({"excluded": "true"}, "must be true or false, not text"),
    "1 for true": ({"excluded": 1}, "must be true or false, not a number"),
    "an unknown currency": ({"currency": "EUX"}, "no known ISO 4217 currency; did you mean EUR?"),
    "a currency in small letters": ({"currency": "usd"}, "did you mean USD?"),
    "a currency with letters swapped": ({"currency": "UDS"}, "did you mean USD?"),
    "a currency with a letter too many": ({"currency": "EURO"}, "did you mean EUR?"),
    "a currency like no other": ({"currency": "ZZZ"}, "three letters, such as EUR"),
    "a number for a currency": ({"currency": 978}, "Field currency of OrderPlaced must be text"),
    "a date of no calendar": ({"order_date": "2026-02-30"}, "a date of the calendar as YYYY-MM-DD"),
    "a date in another order": ({"order_date": "02.03.2026"}, "YYYY-MM-DD"),
    "a date without hyphens": ({"order_date": "20260302"}, "YYYY-MM-DD"),
    "a date by its week": ({"order_date": "2026-W10-1"}, "YYYY-MM-DD"),
    "a date with a time": ({"order_date": "2026-03-02T00:00:00Z"}, "YYYY-MM-DD"),
    "a date in other digits": ({"order_date": "٢٠٢٦-03-02"}, "YYYY-MM-DD"),
    "a date before 1970": ({"order_date": "1969-12-31"}, "1970-01-01 to 2199-12-31"),
    "a date after 2199": ({"order_date": "2200-01-01"}, "1970-01-01 to 2199-12-31"),
    "an instant without its zone": ({"occurred_at": "2026-03-02T09:00:00"}, "such as 2026-03-02T09:00:00Z"),
    "an instant in another zone": ({"occurred_at": "2026-03-02T09:00:00+01:00"}, "such as 2026-03-02T09:00:00Z"),
    "an instant in small letters": ({"occurred_at": "2026-03-02t09:00:00z"}, "such as 2026-03-02T09:00:00Z"),
    "an instant finer than a millisecond": ({"occurred_at": "2026-03-02T09:00:00.0001Z"}, "to the millisecond"),
    "an instant at 25 o'clock": ({"occurred_at": "2026-03-02T25:00:00Z"}, "such as 2026-03-02T09:00:00Z"),
    "a number for an instant": ({"occurred_at": 1_772_442_000}, "must be text"),
    "an instant before 1970": ({"occurred_at": "1969-12-31T23:59:59.999Z"}, "1970-01-01 to 2199-12-31"),
    "an instant after 2199": ({"occurred_at": "2200-01-01T00:00:00Z"}, "1970-01-01 to 2199-12-31"),
    "an empty id": ({"order_id": ""}, "Field order_id of OrderPlaced is empty"),
    "an id of 201 characters": ({"customer_id": "C" * 201}, "has 201 characters; an id has at most 200"),
    "an id with a NUL": ({"customer_id": "C\0"}, "'C\\x00'; an id has no control characters"),
    "an id with a tab": ({"customer_id": "C\t1"}, "control characters"),
    "a text of 10,001 characters": ({"payment_terms": "x" * 10_001}, "10,001 characters; at most 10,000"),
    "a text with a NUL": ({"source": "a\0"}, "NUL"),
    "an amount too large, by its name here": ({"secured_amount": "1000000000000000.00"}, "Field secured_amount of"),
    "half of a surrogate pair": ({"source": "\ud83d"}, "surrogate"),
}


@pytest.mark.parametrize(("changes", "words"), INVALID.values(), ids=INVALID.keys())
def test_a_field_that_is_not_as_it_must_be_is_invalid(changes: dict[str, Any], words: str) -> None:
    """Spec 12: the sentence names the field and says what to write."""
    fault = fault_of(line_of(ORDER, **changes))
    assert (fault.reason, fault.event_id, fault.event_type) == ("invalid", "e-1", "OrderPlaced")
    assert words in fault.message


TYPES = {
    "an unknown type": ("OrderPlacd", "did you mean 'OrderPlaced'?"),
    "a type like no other": ("Parcel", "'Parcel', which is no known type; the types are listed"),
    "no type": (LEFT_OUT, "Field type is missing"),
    "a type that is null": (None, "Field type is missing"),
    "a type that is a number": (7, "must be text in quotes, not a number"),
    "a type that is an object": ({}, "must be text in quotes, not an object"),
    "an output": ("CreditDecision", "only credit-stream itself writes"),
    "what tasks send to each other": ("JournalLinePosted", "only credit-stream itself writes"),
}


@pytest.mark.parametrize(("type_name", "words"), TYPES.values(), ids=TYPES.keys())
def test_a_line_whose_type_is_unknown_is_invalid_and_tells_its_id(type_name: Any, words: str) -> None:
    """The nearest known type is named."""
    fault = fault_of(line_of(ORDER, type=type_name))
    assert (fault.reason, fault.event_id, fault.event_type) == ("invalid", "e-1", None)
    assert words in fault.message


UNREADABLE = {
    "nothing": (b"", "no JSON"),
    "text": (b"order 5", "no JSON"),
    "half an object": (b'{"type": "OrderPlaced"', "no JSON"),
    "two objects": (b'{"type": "OrderPlaced"} {}', "no JSON"),
    "a list": (b"[]", "is a list; send one JSON object a line"),
    "a number": (b"5", "is a number"),
    "null": (b"null", "is null"),
    "bytes that are no UTF-8": (b'{"type": "\xff"}', "Byte 11 of the line is not UTF-8"),
    "UTF-16": ('{"type": "OrderPlaced"}'.encode("utf-16"), "not UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"type": "OrderPlaced"}', "byte order mark"),
    "NaN": (b'{"amount": NaN}', "no JSON"),
    "Infinity": (b'{"amount": -Infinity}', "no JSON"),
    "a number of 5,000 digits": (b'{"version": ' + b"9" * 5000 + b"}", "too long"),
    "a raw line end in a text": (b'{"type": "a\nb"}', "no JSON"),
    "lists 100,000 deep": (b"[" * 100_000, "nested too deeply"),
    "objects 100,000 deep": (b'{"a":' * 100_000, "nested too deeply"),
    "more than a mebibyte": (line_of(ORDER, source="x" * 1_048_576), "at most 1,048,576"),
}


@pytest.mark.parametrize(("line", "words"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_line_that_is_no_json_object_is_unreadable(line: bytes, words: str) -> None:
    """Interface section 1."""
    fault = fault_of(line)
    assert (fault.reason, fault.event_id) == ("unreadable", None)
    assert words in fault.message


def test_a_line_ten_megabytes_long_is_refused_at_once() -> None:
    """It is not even parsed."""
    assert fault_of(b'{"a":' + b"[" * 10_000_000).reason == "unreadable"


REPEATED = [
    (b', "amount": "1"}', "Field 'amount' stands twice"),
    (b', "order_id": "O1"}', "Field 'order_id' stands twice"),
    (b', "attributes": {"a": "1", "a": "2"}}', "Field 'a' stands twice"),
]


@pytest.mark.parametrize(("ending", "words"), REPEATED)
def test_a_name_that_stands_twice_in_an_object_is_invalid(ending: bytes, words: str) -> None:
    """Which of the two was meant cannot be told, even if they are the same."""
    fault = fault_of(line_of(ORDER)[:-1] + ending)
    assert (fault.reason, fault.event_id, fault.event_type) == ("invalid", "e-1", "OrderPlaced")
    assert words in fault.message


def test_half_a_character_at_any_depth_is_a_fault() -> None:
    """Just below the depth that the parser takes, what looks for half characters must not fail either."""
    for depth in range(800, 1000):
        assert isinstance(read_event(b'{"a":' + b"[" * depth + b'"\\ud83d"' + b"]" * depth + b"}"), Fault)


def test_a_mistyped_name_a_megabyte_long_is_not_compared_with_all_known_ones() -> None:
    """That would take seconds for one line."""
    long = "x" * 1_000_000
    for line in (line_of(ORDER, currency=long), line_of(ORDER, type=long), line_of(ORDER | {long: "1"})):
        assert fault_of(line).reason == "invalid"


def test_an_id_that_no_event_may_have_is_not_told() -> None:
    """Nor one that is no text."""
    for event_id in ("", "x" * 201, "a\nb", 5, None):
        assert fault_of(line_of(ORDER, event_id=event_id)).event_id is None


def test_a_value_that_is_repeated_in_a_sentence_is_cut() -> None:
    """A dead letter has the bytes; its sentence stays one."""
    assert len(fault_of(line_of(ORDER, order_date="x" * 9_000)).message) < 250
    assert len(fault_of(line_of(ORDER, **{"x" * 9_000: "1"})).message) < 600


OTHER_KINDS = {
    "an int with decimals": ({"version": 1.0, "document": "{}"}, "must be a whole number, not a number with decimals"),
    "true for an int": ({"version": True, "document": "{}"}, "must be a whole number, not true or false"),
    "text for an int": ({"version": "1", "document": "{}"}, "must be a whole number, not text"),
    "an int of 64 bits and one": ({"version": 2**63, "document": "{}"}, "beyond 64 bits"),
    "an object for the document": ({"version": 1, "document": {}}, "must be text in quotes, not an object"),
    "a document too long": ({"version": 1, "document": "x" * 1_000_001}, "at most 1,000,000"),
}


@pytest.mark.parametrize(("fields", "words"), OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_settings_that_are_not_as_they_must_be_are_invalid(fields: dict[str, Any], words: str) -> None:
    """Integers are JSON integers of 64 bits; the document is text."""
    head = {"type": "SettingsPublished", "event_id": "e", "occurred_at": "2026-03-02T09:00:00Z"}
    assert words in fault_of(line_of(head | fields)).message


def test_a_settings_document_may_be_a_million_characters() -> None:
    """Longer than any other text."""
    head = {"type": "SettingsPublished", "event_id": "e", "occurred_at": "2026-03-02T09:00:00Z", "version": 1}
    event = event_from_json(line_of(head, document="x" * 1_000_000))
    assert isinstance(event, events.SettingsPublished)


def command(**fields: Any) -> bytes:
    """A line of a command or of another event without money."""
    head = {"event_id": "e", "occurred_at": "2026-03-02T09:00:00Z", "actor": "ana", "customer_id": "C1"}
    return line_of(head | fields)


INSIDE = {
    "a word that is not one of the few": (
        {"type": "OrderCheckpointReached", "order_id": "O1", "checkpoint": "invoicing"},
        "is 'invoicing'; give one of: order_entry, confirmation, picking_list, packing_slip, invoice",
    ),
    "a list for a word": (
        {"type": "OrderCheckpointReached", "order_id": "O1", "checkpoint": ["invoice"]},
        "not a list",
    ),
    "text for a list": ({"type": "EvaluateHolds", "order_ids": "O1"}, "must be a list in brackets, not text"),
    "a number in a list of ids": ({"type": "EvaluateHolds", "order_ids": ["O1", 2]}, "Field order_ids[1] of"),
    "an empty id in a list": ({"type": "EvaluateHolds", "order_ids": ["O1", ""]}, "Field order_ids[1] of"),
    "null in a list": ({"type": "EvaluateHolds", "order_ids": [None]}, "Field order_ids[0] of"),
    "an unknown field inside": (
        {"type": "EvaluateHolds", "selection": {"customers": ["C1"]}},
        "Field selection of EvaluateHolds has an unknown field 'customers'; did you mean 'customer_ids'?",
    ),
    "a list for an object": ({"type": "EvaluateHolds", "selection": []}, "must be an object in braces, not a list"),
    "an exponent in an amount of elsewhere": (
        {"type": "OrderDelivered", "order_id": "O1", "delivered_amount": "1e5"},
        "Field delivered_amount of OrderDelivered is '1e5'; write a plain decimal number",
    ),
    "a number for an amount of elsewhere": (
        {"type": "OrderDelivered", "order_id": "O1", "delivered_amount": 5},
        "must be decimal text in quotes",
    ),
    "a number among the attributes": (
        {"type": "CustomerUpdated", "credit_currency": "EUR", "attributes": {"branch": 7}},
        "Field attributes.branch of CustomerUpdated must be text",
    ),
    "an attribute without a name": (
        {"type": "CustomerUpdated", "credit_currency": "EUR", "attributes": {"": "x"}},
        "Field attributes",
    ),
    "a list for the attributes": (
        {"type": "CustomerUpdated", "credit_currency": "EUR", "attributes": []},
        "must be an object in braces",
    ),
    "a percentage with its sign": (
        {"type": "ReleaseOrder", "order_id": "O1", "release_reason": "paid", "tolerance_percent": "5%"},
        "Field tolerance_percent of ReleaseOrder is '5%'",
    ),
}


@pytest.mark.parametrize(("fields", "words"), INSIDE.values(), ids=INSIDE.keys())
def test_lists_words_and_records_inside_are_checked_too(fields: dict[str, Any], words: str) -> None:
    """With the whole path to the value."""
    fault = fault_of(command(**fields))
    assert fault.reason == "invalid"
    assert words in fault.message


# --- what is taken ----------------------------------------------------------------------------------------------


def test_null_and_absent_are_the_default() -> None:
    """For what may be null and for what has another default."""
    absent = event_from_json(line_of(ORDER))
    null = event_from_json(line_of(ORDER, secured_amount=None, ordered_by=None, excluded=None, legal_entity=None))
    assert null == absent
    assert isinstance(absent, events.OrderPlaced)
    assert (absent.secured_amount_minor, absent.ordered_by, absent.excluded) == (0, None, False)


def test_the_type_may_stand_anywhere_in_the_line() -> None:
    """First is how we write it; JSON objects have no order."""
    fields = {name: ORDER[name] for name in reversed(ORDER)}
    assert event_from_json(line_of(fields)) == event_from_json(line_of(ORDER))


INSTANTS = """
    2026-03-02T09:00:00Z        1772442000000
    2026-03-02T09:00:00.5Z      1772442000500
    2026-03-02T09:00:00.05Z     1772442000050
    2026-03-02T09:00:00.005Z    1772442000005
    1970-01-01T00:00:00Z                    0
    2199-12-31T23:59:59.999Z    7258118399999
    2024-02-29T12:00:00Z        1709208000000
"""


@pytest.mark.parametrize("row", INSTANTS.strip().splitlines())
def test_instants_are_rfc_3339_in_utc_to_the_millisecond(row: str) -> None:
    """Interface section 1."""
    text, milliseconds = row.split()
    assert event_from_json(line_of(ORDER, occurred_at=text)).occurred_at == int(milliseconds)


def test_escaped_characters_are_the_characters() -> None:
    """As Python's own writer escapes them; a whole surrogate pair is one."""
    event = event_from_json(line_of(ORDER, source="Müller \U0001f600", customer_id="日本"))
    assert (event.source, getattr(event, "customer_id", "")) == ("Müller \U0001f600", "日本")


def test_the_currencies_are_those_that_are_given() -> None:
    """The caller says which there are."""
    with pytest.raises(Invalid, match="EUR"):
        event_from_json(line_of(ORDER), {"USD": 2})


# --- what is written --------------------------------------------------------------------------------------------

BUCKETS = outputs.ExposureBuckets(
    current_invoices_minor=100_000,
    overdue_invoices_minor=0,
    open_orders_minor=-5,
    delivered_not_invoiced_minor=0,
    unapplied_minor=0,
    total_minor=99_995,
)
DECISION = outputs.CreditDecision(
    decision_id="D1",
    order_id="O1",
    customer_id="C1",
    legal_entity="US01",
    checkpoint="order_entry",
    pro_forma=False,
    verdict="released",
    reasons=(),
    rules=(),
    order_amount_minor=100,
    order_open_amount_minor=100,
    currency="KWD",
    exposure_before=BUCKETS,
    exposure_after=BUCKETS,
    limit=outputs.LimitParts(source="own", base_minor=5, total_minor=5),
    business_date=20_514,
    settings_version=1,
    input=outputs.InputPosition(topic="credit.orders", partition=0, offset=7, event_id="e-1"),
    as_of=outputs.AsOf(invoices=-1, payments=-1),
    cause="order",
)


def test_an_output_has_every_field_and_all_decimals_of_its_money() -> None:
    """Absent fields are null; records inside have the currency around them."""
    line = output_to_json("credit.decisions", "O1", DECISION)
    value = line["value"]
    assert list(line) == ["topic", "key", "type", "value"]
    assert line["type"] == "CreditDecision"
    assert isinstance(value, dict)
    assert list(value) == [field.name.removesuffix("_minor") for field in msgspec.structs.fields(DECISION)]
    assert (value["order_amount"], value["over_limit_by"], value["group_id"]) == ("0.100", "0.000", None)
    assert value["exposure_after"]["open_orders"] == "-0.005"
    assert value["limit"] == {
        "source": "own",
        "base": "0.005",
        "temporary": None,
        "policies": "0.000",
        "total": "0.005",
        "group_total": None,
        "group_exposure": None,
        "group_currency": None,
    }
    assert value["business_date"] == "2026-03-02"


def test_the_figures_of_a_group_have_the_decimals_of_its_own_currency() -> None:
    """The customer's has three, the group's none; a decision of a release that did not say it has the customer's."""
    figures = {"group_total_minor": 5_000, "group_exposure_minor": -12}
    for currency, texts in (("JPY", ("5000", "-12")), (None, ("5.000", "-0.012"))):
        limit = msgspec.structs.replace(DECISION.limit, **figures, group_currency=currency)
        decision = msgspec.structs.replace(DECISION, limit=limit)
        line = output_to_json("credit.decisions", "O1", decision)
        written = cast(Any, line["value"])["limit"]
        assert (written["group_total"], written["group_exposure"], written["base"]) == (*texts, "0.005")
        assert output_from_json(json.dumps(line).encode())[2] == decision


def test_the_payload_of_a_dead_letter_is_base64() -> None:
    """The bytes as they came, whatever they were."""
    letter = outputs.DeadLetter(
        dead_letter_id="credit.inbox/0/7",
        topic="credit.inbox",
        partition=0,
        offset=7,
        reason="unreadable",
        message="The line is no JSON.",
        payload=b"\xff\x00",
    )
    value = output_to_json("credit.dead-letters", "K", letter)["value"]
    assert isinstance(value, dict)
    assert value["payload"] == "/wA="


def test_a_tombstone_has_the_type_of_its_topic_and_no_value() -> None:
    """An order that left the hold list."""
    line = output_to_json("credit.holds", "O1", None)
    assert line == {"topic": "credit.holds", "key": "O1", "type": "HoldEntry", "value": None}
    assert output_from_json(json.dumps(line).encode()) == ("credit.holds", "O1", None)


def test_an_event_is_written_without_what_has_its_default() -> None:
    """So that a file of events reads easily."""
    assert event_to_json(event_from_json(line_of(ORDER))) == ORDER


NO_OUTPUTS = [
    ({"topic": "credit.holds", "key": "O1", "value": None}, "An output is"),
    ({"topic": "credit.holds", "key": "O1", "type": "OrderPlaced", "value": {}}, "known type"),
    ({"topic": "credit.holds", "key": "O1", "type": "HoldEntry", "value": []}, "HoldEntry is a list"),
    ({"topic": "credit.holds", "key": "O1", "type": "RunCompleted", "value": {}}, "Field event_id of RunCompleted"),
]


@pytest.mark.parametrize(("fields", "words"), NO_OUTPUTS)
def test_a_line_that_is_no_output_is_refused_with_what_is_wrong(fields: dict[str, Any], words: str) -> None:
    """Commands that read decisions from files say so to people."""
    with pytest.raises(Invalid, match=words):
        output_from_json(line_of(fields))
