"""The bytes that the writers remember: never those of another value, and never more than so many."""

from __future__ import annotations

import io
import random

import fastavro
import msgspec

from credit_stream.core.outputs import AsOf, Exposure
from credit_stream.wire.avro import BODY_AT, encode_output
from credit_stream.wire.codec import _TABLES, TABLE_BYTES_MAX, TABLE_ENTRIES_MAX, _encoder_inside, encoder_of
from credit_stream.wire.schemas import schema_text


def exposure(rng: random.Random) -> Exposure:
    """A record of which most figures come once."""
    return Exposure(
        party="customer",
        customer_id=f"C{rng.randrange(10_000)}",
        currency=rng.choice(["EUR", "USD", "JPY"]),
        current_invoices_minor=rng.randrange(10**12),
        overdue_invoices_minor=rng.choice([0, rng.randrange(10**5)]),
        open_orders_minor=rng.randrange(100),
        delivered_not_invoiced_minor=-rng.randrange(10**4),
        unapplied_minor=0,
        exposure_minor=rng.randrange(10**17),
        limit_minor=rng.choice([None, 0, 10**6]),
        utilization_percent=rng.choice([None, "0.00", "99.99"]),
        business_date=rng.randrange(20_000, 20_400),
        as_of=AsOf(invoices=rng.randrange(10**6), payments=rng.randrange(-1, 10)),
    )


def test_more_values_than_are_remembered_are_written_as_fastavro_writes_them() -> None:
    """Full tables begin anew; what was written before and comes again is the same."""
    schema = fastavro.parse_schema(msgspec.json.decode(schema_text("Exposure")))
    rng = random.Random(7)
    made = [exposure(rng) for _ in range(TABLE_ENTRIES_MAX)]
    for record in [*made, *made[:100]]:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, msgspec.to_builtins(record))
        assert encode_output(record)[BODY_AT:] == stream.getvalue()


def test_no_table_grows_beyond_its_bound() -> None:
    """Numbers, texts, lists of texts, and records inside others."""
    values = {"number": 0, "number_or_null": 0, "text": "", "text_or_null": "", "texts": ()}
    for name, table in _TABLES.items():
        known = table.__self__  # type: ignore[attr-defined]
        for n in range(TABLE_ENTRIES_MAX + 2):
            table({0: n, "": str(n), (): (str(n),)}[values[name]])  # type: ignore[index]
            assert len(known) <= TABLE_ENTRIES_MAX
    inside = _encoder_inside(AsOf)
    for n in range(TABLE_ENTRIES_MAX + 2):
        assert inside(AsOf(invoices=n, payments=-1)) == encoder_of(AsOf)(AsOf(invoices=n, payments=-1))
    assert len(inside.__self__) <= TABLE_ENTRIES_MAX  # type: ignore[attr-defined]


def test_a_long_text_is_written_and_not_remembered() -> None:
    """A note of 10,000 characters in 4,096 places would be 40 MB."""
    table = _TABLES["text"]
    text = "x" * (TABLE_BYTES_MAX + 1)
    assert table(text).endswith(text.encode())
    assert text not in table.__self__  # type: ignore[attr-defined]
