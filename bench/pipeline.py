"""The whole of it: Avro in, decisions with their proof, Avro out; in memory and durable, part by part.

    python -m bench.pipeline [--events N] [--customers N] [--repeat N] [--json]

The events are the made-up company's. All rows take the same bytes; the hash is over topic, key and bytes of everything
that came out, in order, and must be the same in every row. Times are processor seconds of the process, all threads;
the best of the repeats counts, since what else runs on a machine only adds.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from hashlib import blake2b

from bench.ways import Feed, decoded, encoded, stepped
from credit_stream.company import Plan, events
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.hosts.memory import MemoryHost
from credit_stream.hosts.program import encode_record
from credit_stream.wire.avro import encode_event

APPEND = 500
"""Payloads in one call of `append`."""


def digest_of(produced: list[tuple[str, str, bytes | None]]) -> str:
    """The hash of what came out."""
    total = blake2b(digest_size=8)
    for topic, key, value in produced:
        total.update(f"{topic}\0{key}\0".encode())
        total.update(value or b"\0")
    return total.hexdigest()


def in_memory(payloads: list[bytes]) -> tuple[float, str]:
    """The memory host, one input at a time, outputs encoded."""
    host = MemoryHost()
    produced: list[tuple[str, str, bytes | None]] = []
    start = time.process_time()
    for payload in payloads:
        for topic, key, record in host.process(payload):
            produced.append((topic, key, None if record is None else encode_record(record)))
    return time.process_time() - start, digest_of(produced)


def durable(payloads: list[bytes]) -> tuple[float, str]:
    """The embedded host with one partition: every append synced, every checkpoint one write batch."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedHost(folder, partitions=1) as host:
        start = time.process_time()
        for first in range(0, len(payloads), APPEND):
            host.append(payloads[first : first + APPEND])
            host.process_pending()
        seconds = time.process_time() - start
    return seconds, ""


def best(work: Callable[[list[bytes]], tuple[float, str]], payloads: list[bytes], repeat: int) -> tuple[float, str]:
    """The shortest of the repeats, and the hash, which must not differ between them."""
    outcomes = []
    for _ in range(repeat):
        gc.collect()
        outcomes.append(work(payloads))
    assert len({digest for _, digest in outcomes}) == 1, "the same inputs gave different outputs"
    return min(outcomes)


def parts(payloads: list[bytes], repeat: int) -> dict[str, float]:
    """Seconds of decoding, deciding and encoding alone, with the plainest state there is."""
    times: dict[str, list[float]] = {"decode": [], "decide": [], "encode": []}
    for _ in range(repeat):
        gc.collect()
        start = time.process_time()
        taken = decoded(payloads)
        times["decode"].append(time.process_time() - start)
        start = time.process_time()
        records = stepped(Feed(), taken)
        times["decide"].append(time.process_time() - start)
        start = time.process_time()
        encoded(records)
        times["encode"].append(time.process_time() - start)
    return {name: min(found) for name, found in times.items()}


def main() -> None:
    """Runs everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    leave_garbage_alone()
    taken = itertools.islice(events(Plan(seed=1, customers=options.customers)), options.events)
    payloads = [encode_event(event) for event in taken]
    count = len(payloads)
    memory, digest = best(in_memory, payloads, options.repeat)
    embedded, _ = best(durable, payloads, options.repeat)
    by_part = parts(payloads, options.repeat)
    by_part["engine and host"] = max(0.0, memory - sum(by_part.values()))
    result = {
        "events": count,
        "hash": digest,
        "memory_events_a_second": round(count / memory),
        "embedded_events_a_second": round(count / embedded),
        "embedded_to_memory": round(memory / embedded, 2),
        "microseconds_an_event": {name: round(seconds / count * 1e6, 1) for name, seconds in by_part.items()},
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{count:,} events, hash {digest}")
    print(f"memory    {count / memory:9,.0f} events a second of one core")
    print(f"embedded  {count / embedded:9,.0f} events a second of one core, {memory / embedded:.2f} of memory")
    for name, seconds in by_part.items():
        print(f"  {name:16} {seconds / count * 1e6:6.1f} us an event")


if __name__ == "__main__":
    main()
