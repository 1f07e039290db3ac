"""What reading and writing one record costs: microseconds, and a hash of all bytes to compare runs by.

    python -m bench.wire                 2,000 different records of each kind
    python -m bench.wire --profile       where the time of a decision goes, by kind of field

The records differ in ids, amounts and dates as those of a stream do, so that nothing is measured of which the answer
is still remembered from the record before.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import msgspec

from credit_stream.core import events, outputs
from credit_stream.core.events import Event, OrderPlaced
from credit_stream.core.outputs import CreditDecision, Exposure
from credit_stream.wire import foreign, schemas
from credit_stream.wire.avro import BODY_AT, decode, encode_event, encode_output
from credit_stream.wire.checks import check_event
from credit_stream.wire.codec import encoder_of
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.json_lines import event_from_json, event_to_json, output_to_json
from credit_stream.wire.read import read_event

RECORDS = 2_000
ROUNDS = 7
SEED = 20_260_302


def main(arguments: Sequence[str]) -> None:
    """Prints a table and the hash."""
    rng = random.Random(SEED)
    orders = [order(rng, number) for number in range(RECORDS)]
    decisions = [decision(rng, number, placed) for number, placed in enumerate(orders)]
    exposures = [exposure(rng, number, placed) for number, placed in enumerate(orders)]
    if "--profile" in arguments:
        profile(decisions)
        return
    messages = [encode_event(placed) for placed in orders]
    lines = [json.dumps(event_to_json(placed)).encode() for placed in orders]
    written = [encode_output(record) for record in decisions] + [encode_output(record) for record in exposures]
    assert [decode(data) for data in written] == [*decisions, *exposures]
    assert [read_event(line) for line in lines] == [read_event(message) for message in messages] == orders
    row("CreditDecision encode", encode_output, decisions)
    row("CreditDecision encode, fastavro", with_fastavro(CreditDecision), decisions)
    row("Exposure encode", encode_output, exposures)
    row("Exposure encode, fastavro", with_fastavro(Exposure), exposures)
    row("OrderPlaced encode", encode_event, orders)
    row("OrderPlaced read_event, Avro", read_event, messages)
    row("    of which decode", decode, messages)
    row("    of which check", lambda placed: check_event(placed, CURRENCIES), orders)
    row("OrderPlaced decode, fastavro", from_fastavro(OrderPlaced), [message[BODY_AT:] for message in messages])
    row("OrderPlaced read_event, JSON", event_from_json, lines)
    row("CreditDecision decode", decode, written[:RECORDS])
    row("CreditDecision to JSON", lambda record: output_to_json("credit.decisions", "K", record), decisions)
    print(f"sha256 of all bytes {hashlib.sha256(b''.join([*messages, *lines, *written])).hexdigest()[:16]}")


def row(name: str, function: Callable[[Any], object], values: Sequence[Any]) -> None:
    """Measures and prints one line."""
    print(f"{name:34}{microseconds(function, values):8.2f} us")


def microseconds(function: Callable[[Any], object], values: Sequence[Any]) -> float:
    """The mean over the values of the shortest of some calls with each, which other work on the machine disturbs least.

    A busy machine still makes all of it slower; the rows with fastavro say how much.
    """
    clock = time.perf_counter_ns
    total = 0
    for value in values:
        times = []
        for _ in range(ROUNDS):
            start = clock()
            function(value)
            times.append(clock() - start)
        total += min(times)
    return total / len(values) / 1000


def profile(decisions: Sequence[CreditDecision]) -> None:
    """The cost of a decision by its parts."""
    row("whole decision", encode_output, decisions)
    row("    without rules", encode_output, [msgspec.structs.replace(record, rules=()) for record in decisions])
    row("    exposure_before", encoder_of(outputs.ExposureBuckets), [record.exposure_before for record in decisions])
    row("    limit", encoder_of(outputs.LimitParts), [record.limit for record in decisions])
    row("    input", encoder_of(outputs.InputPosition), [record.input for record in decisions])
    rules = [rule for record in decisions for rule in record.rules]
    row("    one rule", encoder_of(outputs.RuleOutcome), rules)


# --- the same with the general library --------------------------------------------------------------------------


def with_fastavro(record_type: type[msgspec.Struct]) -> Callable[[Any], object]:
    """The shortest way to write a record with fastavro."""
    schema = foreign.parsed(schemas.schema_text(record_type.__name__))

    def write(record: msgspec.Struct) -> bytes:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, msgspec.to_builtins(record))
        return stream.getvalue()

    return write


def from_fastavro(record_type: type[msgspec.Struct]) -> Callable[[bytes], object]:
    """The shortest way to read a record with fastavro."""
    schema = foreign.parsed(schemas.schema_text(record_type.__name__))

    def read(body: bytes) -> msgspec.Struct:
        found: Any = fastavro.schemaless_reader(io.BytesIO(body), schema, None)
        return record_type(**found)

    return read


# --- records that differ as those of a stream do ----------------------------------------------------------------


def order(rng: random.Random, number: int) -> Event:
    """An order of one of a thousand customers."""
    day = 20_454 + number * 365 // RECORDS
    return events.OrderPlaced(
        event_id=f"erp-orders-{number:08}",
        occurred_at=day * 86_400_000 + rng.randrange(86_400_000),
        source="erp",
        legal_entity="US01",
        order_id=f"SO-{100_000 + number}",
        customer_id=f"C-{rng.randrange(1000):05}",
        amount_minor=rng.randrange(1_000, 5_000_000),
        currency=rng.choice(["USD", "USD", "EUR"]),
        order_date=day,
        payment_terms=rng.choice(["NET30", "NET60"]),
        ships_on=day + rng.randrange(30),
    )


def buckets(rng: random.Random, open_orders_minor: int) -> outputs.ExposureBuckets:
    """An exposure of which nothing but the open orders changes."""
    current, overdue = rng.randrange(10_000_000), rng.choice([0, rng.randrange(1_000_000)])
    return outputs.ExposureBuckets(
        current_invoices_minor=current,
        overdue_invoices_minor=overdue,
        open_orders_minor=open_orders_minor,
        delivered_not_invoiced_minor=0,
        unapplied_minor=0,
        total_minor=current + overdue + open_orders_minor,
    )


def decision(rng: random.Random, number: int, placed: Any) -> CreditDecision:
    """A released order with three rules."""
    before = buckets(rng, rng.randrange(1_000_000))
    total = before.total_minor + placed.amount_minor
    after = msgspec.structs.replace(
        before, open_orders_minor=before.open_orders_minor + placed.amount_minor, total_minor=total
    )
    limit = rng.randrange(20, 400) * 100_000
    return CreditDecision(
        decision_id=f"credit.orders/0/{number}",
        order_id=placed.order_id,
        customer_id=placed.customer_id,
        legal_entity="US01",
        checkpoint="order_entry",
        pro_forma=False,
        verdict="released",
        reasons=(),
        rules=(
            rule("overdue", "days_overdue", str(rng.randrange(30)), "30", "days"),
            rule("large", "order_amount", f"{placed.amount_minor / 100:.2f}", "100000.00", "USD"),
            rule("limit", "credit_limit_used", f"{total / 100:.2f}", f"{limit / 100:.2f}", "USD"),
        ),
        order_amount_minor=placed.amount_minor,
        order_open_amount_minor=placed.amount_minor,
        currency="USD",
        exposure_before=before,
        exposure_after=after,
        limit=outputs.LimitParts(source="own", base_minor=limit, total_minor=limit),
        business_date=placed.order_date,
        settings_version=1,
        input=outputs.InputPosition(topic="credit.orders", partition=0, offset=number, event_id=placed.event_id),
        as_of=outputs.AsOf(invoices=number // 2, payments=number // 3),
        cause="order",
    )


def rule(rule_id: str, rule_type: str, observed: str, threshold: str, unit: str) -> outputs.RuleOutcome:
    """What a rule saw that is no hit."""
    return outputs.RuleOutcome(
        rule_id=rule_id,
        type=rule_type,
        kind="blocking",
        hit=False,
        observed=observed,
        operator=">",
        threshold=threshold,
        unit=unit,
    )


def exposure(rng: random.Random, number: int, placed: Any) -> Exposure:
    """The exposure that is published with the decision."""
    parts = buckets(rng, rng.randrange(1_000_000))
    limit = rng.randrange(20, 400) * 100_000
    return Exposure(
        party="customer",
        customer_id=placed.customer_id,
        currency="USD",
        current_invoices_minor=parts.current_invoices_minor,
        overdue_invoices_minor=parts.overdue_invoices_minor,
        open_orders_minor=parts.open_orders_minor,
        delivered_not_invoiced_minor=0,
        unapplied_minor=0,
        exposure_minor=parts.total_minor,
        limit_minor=limit,
        available_minor=limit - parts.total_minor,
        utilization_percent=f"{parts.total_minor * 100 / limit:.2f}",
        business_date=placed.order_date,
        as_of=outputs.AsOf(invoices=number // 2, payments=number // 3),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
