"""How much memory a large state takes, and how soon the system is there again after kill -9.

    python -m bench.size [--customers N] [--invoices N] [--json]

A child process takes customers and open invoices into a directory over the embedded host, and is killed with SIGKILL
while it is at work. Another opens the directory, decides one order, and says how long that took and its peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from credit_stream.core.events import CustomerUpdated, InvoicePosted, OrderPlaced
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.wire.avro import encode_event

FIRST_DAY = 20_500
DAY_MS = 86_400_000
APPEND = 5_000


def peak_mib() -> int:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def fill(folder: Path, customers: int, invoices: int) -> None:
    """Takes everything in, says so, and goes on with more until it is killed."""
    leave_garbage_alone()
    host = EmbeddedHost(folder, partitions=4, fsync="never")
    batch: list[bytes] = []
    at = FIRST_DAY * DAY_MS
    for number in range(customers):
        batch.append(
            encode_event(
                CustomerUpdated(
                    event_id=f"c{number}", occurred_at=at, customer_id=f"c{number}", credit_currency="EUR",
                    credit_limit_minor=10**9,
                )
            )
        )  # fmt: skip
    for number in range(invoices + 50 * APPEND):
        batch.append(encode_event(invoice(number, customers, at)))
        if len(batch) >= APPEND:
            host.append(batch)
            host.process_pending()
            batch = []
        if number == invoices:
            print(peak_mib(), flush=True)


def invoice(number: int, customers: int, at: int) -> InvoicePosted:
    """One of many invoices, spread over all customers."""
    return InvoicePosted(
        event_id=f"i{number}",
        occurred_at=at,
        invoice_id=f"i{number}",
        customer_id=f"c{number % customers}",
        amount_minor=10_000 + number % 1_000,
        currency="EUR",
        invoice_date=FIRST_DAY,
        due_date=FIRST_DAY + number % 120,
    )


def start_again(folder: Path) -> None:
    """Opens the directory, takes what was not taken, decides an order."""
    began = time.monotonic()
    with EmbeddedHost(folder) as host:
        host.process_pending()
        order = OrderPlaced(
            event_id="again", occurred_at=FIRST_DAY * DAY_MS, order_id="again", customer_id="c7", amount_minor=100,
            currency="EUR",
        )  # fmt: skip
        host.append([encode_event(order)])
        host.process_pending()
        assert host.latest("credit.decisions", "again") is not None
        print(json.dumps({"seconds": round(time.monotonic() - began, 2), "mib": peak_mib()}))


def main() -> None:
    """Fills, kills, starts again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--invoices", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--again", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        fill(options.fill, options.customers, options.invoices)
        return
    if options.again:
        start_again(options.again)
        return
    with tempfile.TemporaryDirectory() as folder:
        me = [sys.executable, "-m", "bench.size", "--customers", str(options.customers)]
        command = [*me, "--invoices", str(options.invoices), "--fill", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            filled_mib = int(child.stdout.readline())
            child.kill()
        answer = subprocess.run([*me, "--again", folder], capture_output=True, text=True, check=True)
        again = json.loads(answer.stdout)
        disk_mib = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) // 2**20
    result = {
        "customers": options.customers,
        "open_invoices": options.invoices,
        "peak_mib_while_filling": filled_mib,
        "seconds_from_kill_to_a_decision": again["seconds"],
        "peak_mib_after_start": again["mib"],
        "disk_mib": disk_mib,
    }
    lines = (f"{name:34} {value:>10,}" for name, value in result.items())
    print(json.dumps(result) if options.json else "\n".join(lines))


if __name__ == "__main__":
    main()
