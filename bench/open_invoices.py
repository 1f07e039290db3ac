"""What an event costs a customer with ten open invoices, and one with 100,000.

    python -m bench.open_invoices [--few N] [--many N] [--events N] [--json]

Both customers get the same events in turn, round by round: an order, its invoice, a payment of the oldest open one, and
a day's move now and then. The ratio is taken of the medians, in one run, so that it holds on a busy machine. On the
embedded host, since that is where rows have to be found again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b

from credit_stream.core.events import (
    CustomerUpdated,
    Event,
    InvoicePosted,
    OrderPlaced,
    PaymentReceived,
    SettingsPublished,
    Settlement,
)
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.wire.avro import encode_event

FIRST_DAY = 20_500
DAY_MS = 86_400_000
DUE_DAYS = 400
"""Invoices fall due on so many different days."""
RULES = {
    "rules": [
        {"id": "limit", "type": "credit_limit_used"},
        {"id": "late", "type": "days_overdue", "days": 500},
        {"id": "much", "type": "overdue_amount", "amount": "100000000"},
    ]
}


def head(number: int, name: str) -> dict[str, object]:
    """The head of an event, a second after the one before."""
    return {"event_id": f"{name}/{number}", "occurred_at": FIRST_DAY * DAY_MS + number * 1000}


def opening(customer: str, invoices: int) -> Iterator[Event]:
    """The customer and its open invoices, due on days before and after today."""
    yield CustomerUpdated(**head(0, customer), customer_id=customer, credit_currency="EUR", credit_limit_minor=10**14)
    for number in range(invoices):
        due = FIRST_DAY - DUE_DAYS // 2 + number % DUE_DAYS
        yield invoice(customer, f"old-{number}", number, due)


def invoice(customer: str, invoice_id: str, number: int, due: int) -> InvoicePosted:
    """An invoice of 100.00."""
    return InvoicePosted(
        **head(number, f"{customer}/{invoice_id}"),
        invoice_id=invoice_id,
        customer_id=customer,
        amount_minor=10_000,
        currency="EUR",
        invoice_date=due - 30,
        due_date=due,
    )


def round_of(customer: str, number: int) -> list[Event]:
    """An order, an invoice and the payment of that invoice."""
    at = 200_000 + number
    return [
        OrderPlaced(
            **head(at, f"{customer}/o"), order_id=f"{customer}-{number}", customer_id=customer,
            amount_minor=10_000, currency="EUR",
        ),
        invoice(customer, f"new-{number}", at, FIRST_DAY + number % 60),
        PaymentReceived(
            **head(at, f"{customer}/p"), payment_id=f"p-{number}", customer_id=customer, amount_minor=10_000,
            currency="EUR", received_on=FIRST_DAY, settlements=(Settlement(invoice_id=f"new-{number}", amount="100"),),
        ),
    ]  # fmt: skip


def seconds_of(host: EmbeddedHost, payloads: list[bytes]) -> float:
    """Processor seconds to take these and make their checkpoint."""
    host.append(payloads)
    start = time.process_time()
    host.process_pending()
    return time.process_time() - start


def main() -> None:
    """Runs both customers in turn and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=50, help="rounds of events in one measurement")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    leave_garbage_alone()
    times: dict[str, list[float]] = {"few": [], "many": []}
    digest = blake2b(digest_size=8)
    with tempfile.TemporaryDirectory() as folder, EmbeddedHost(folder, partitions=1, fsync="never") as host:
        settings = SettingsPublished(event_id="s", occurred_at=0, version=1, document=json.dumps(RULES))
        host.append([encode_event(settings)])
        for customer, invoices in (("few", options.few), ("many", options.many)):
            batch: list[bytes] = []
            for event in opening(customer, invoices):
                batch.append(encode_event(event))
                if len(batch) == 5_000:
                    seconds_of(host, batch)
                    batch = []
            seconds_of(host, batch)
        for turn in range(options.rounds):
            for customer, found in times.items():
                numbers = range(turn * options.batch, (turn + 1) * options.batch)
                payloads = [encode_event(event) for number in numbers for event in round_of(customer, number)]
                found.append(seconds_of(host, payloads) / len(payloads))
        for customer in times:
            record = host.latest("credit.exposures", customer)
            digest.update(repr(record).encode())
    few, many = (statistics.median(found) for found in times.values())
    result = {
        "few": options.few,
        "many": options.many,
        "microseconds_few": round(few * 1e6, 1),
        "microseconds_many": round(many * 1e6, 1),
        "ratio": round(many / few, 3),
        "hash": digest.hexdigest(),
    }
    if options.json:
        print(json.dumps(result))
    else:
        print(f"an event costs {result['microseconds_few']} us with {options.few:,} open invoices, "
              f"{result['microseconds_many']} us with {options.many:,}: {result['ratio']} times; "
              f"hash {result['hash']}")  # fmt: skip


if __name__ == "__main__":
    main()
