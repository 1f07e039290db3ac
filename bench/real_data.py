"""The real files through the memory host: events a second, totals, and a hash of everything that came out.

    python -m bench.real_data                       every file
    python -m bench.real_data ibm online --json     some of them, as JSON

The hash is over the Avro bytes of all outputs in their order, so that two machines or two versions can be compared.
The events are Avro bytes before the clock starts; reading the files is no part of the figure. The data is not part of
the project: it lies in the folder `shared/data` beside the repository, or where `--data` says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from credit_stream.core.events import Event
from credit_stream.core.outputs import CreditDecision, Exposure
from credit_stream.hosts.memory import MemoryHost, Produced
from credit_stream.wire.avro import encode_event, encode_output
from tests.real_data.conversion import LATE_RULE, LIMIT_RULE, online_orders, receivables, settings
from tests.real_data.tables import DATA, highradius_closed, highradius_open, ibm_late_payments, online_retail

FILES: dict[str, Callable[[Path], Iterable[Event]]] = {
    "ibm": lambda folder: receivables(ibm_late_payments(folder), questions=True),
    "highradius-closed": lambda folder: receivables(highradius_closed(folder)),
    "highradius-open": lambda folder: receivables(highradius_open(folder)),
    "online": lambda folder: online_orders(online_retail(folder)),
}


def measure(name: str, events: Iterable[Event]) -> dict[str, object]:
    """Runs one file through a new host. Amounts are in minor units, by currency."""
    payloads = [encode_event(event) for event in events]
    host = MemoryHost(settings_document=settings(LIMIT_RULE, LATE_RULE))
    produced: list[Produced] = []
    began = time.perf_counter()
    for payload in payloads:
        produced += host.process(payload)
    seconds = time.perf_counter() - began
    return {
        "file": name,
        "events": len(payloads),
        "seconds": round(seconds, 3),
        "events_per_second": round(len(payloads) / seconds),
        "outputs": dict(sorted(Counter(topic for topic, _, _ in produced).items())),
        "verdicts": dict(sorted(Counter(r.verdict for _, _, r in produced if isinstance(r, CreditDecision)).items())),
        "totals_minor": totals(produced),
        "sha256": digest(produced),
    }


def totals(produced: Iterable[Produced]) -> dict[str, dict[str, int]]:
    """The last exposure of every customer, added up by currency."""
    last = {key: record for _, key, record in produced if isinstance(record, Exposure)}
    sums: dict[str, dict[str, int]] = {}
    for exposure in last.values():
        row = sums.setdefault(
            exposure.currency, {"open_invoices": 0, "overdue_invoices": 0, "open_orders": 0, "exposure": 0}
        )
        row["open_invoices"] += exposure.current_invoices_minor + exposure.overdue_invoices_minor
        row["overdue_invoices"] += exposure.overdue_invoices_minor
        row["open_orders"] += exposure.open_orders_minor
        row["exposure"] += exposure.exposure_minor
    return dict(sorted(sums.items()))


def digest(produced: Iterable[Produced]) -> str:
    """SHA-256 over topic, key and Avro bytes of every output; a tombstone has none."""
    sha = hashlib.sha256()
    for topic, key, record in produced:
        sha.update(f"{topic}\0{key}\0".encode())
        sha.update(b"" if record is None else encode_output(record))
    return sha.hexdigest()


def show(result: dict[str, object]) -> None:
    """One file's result as lines of text."""
    print(f"{result['file']}: {result['events']:,} events, {result['events_per_second']:,} a second")
    for name in ("outputs", "verdicts", "totals_minor"):
        print(f"  {name.removesuffix('_minor').replace('_', ' ')}: {json.dumps(result[name])}")
    print(f"  sha256: {result['sha256']}")


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit 0 done, 2 wrong usage or no data."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_data", description="Real data through the memory host.")
    parser.add_argument("files", nargs="*", help=f"which files: {', '.join(FILES)}; none: all")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with the files")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.files if name not in FILES]
    if unknown:
        parser.error(f"{unknown[0]} is none of the files: {', '.join(FILES)}")
    if not chosen.data.is_dir():
        print(f"There is no folder {chosen.data}: give the folder with the real data as --data.", file=sys.stderr)
        return 2
    results = [measure(name, FILES[name](chosen.data)) for name in chosen.files or FILES]
    if chosen.json:
        print(json.dumps(results, indent=2))
    else:
        for result in results:
            show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
