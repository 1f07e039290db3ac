"""Sends events on a schedule, in a process of its own: event n at `start + n / rate`, whatever became of those before.

    python -m bench.kafka.load BROKERS TOPIC CORE RATE COUNT START FIRST CUSTOMERS SEED

START is on the monotonic clock of the machine, which is one for all processes. An event that could not be sent in time
is sent at once, and counts from when it was due: a wait is then part of what is measured (no coordinated omission).
Prints how late the sender itself was, in milliseconds at the 99th percentile and at most.
"""

from __future__ import annotations

import sys
import time

import msgspec
from confluent_kafka import Producer

from bench.kafka.backlog import Record
from bench.kafka.events import Load
from bench.kafka.spread import percentile
from bench.kafka.traffic import CountingTraffic, DecidingTraffic

FLUSH_S = 30.0


class Lateness(msgspec.Struct):
    """How well the schedule was kept."""

    p99_ms: float
    most_ms: float


def send(brokers: str, topic: str, rate: float, start_s: float, events: list[Record]) -> Lateness:
    """Sends all of them."""
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 0,
            "socket.nagle.disable": True,
        }
    )
    producer.list_topics(topic, FLUSH_S)  # Else the first events would wait for the connection.
    late: list[float] = []
    for number, event in enumerate(events):
        due = start_s + number / rate
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        late.append(time.monotonic() - due)
        producer.produce(topic, event.payload, event.key)
        producer.poll(0)
    if producer.flush(FLUSH_S):
        raise TimeoutError(f"the broker did not take all events within {FLUSH_S:.0f} s of the last")
    return Lateness(percentile(late, 99) * 1000, max(late) * 1000)


def main() -> None:
    """Makes the events first, so that sending has nothing else to do."""
    brokers, topic, core, rate, count, start_s, first, customers, seed = sys.argv[1:]
    load = Load(int(seed), int(customers))
    traffic = CountingTraffic(load, 0) if core == "counting" else DecidingTraffic(load, core == "groups")
    events = list(traffic.events(int(first), int(count)))
    print(msgspec.json.encode(send(brokers, topic, float(rate), float(start_s), events)).decode())


if __name__ == "__main__":
    main()
