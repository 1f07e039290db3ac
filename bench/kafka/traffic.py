"""Events that come one at a time, and which of them an output answers; for counting and for deciding."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from bench.kafka.backlog import Record
from bench.kafka.events import Load, payload
from credit_stream.company import rule_book_json
from credit_stream.core.events import CreditGroupUpdated, CustomerUpdated, OrderPlaced, SettingsPublished
from credit_stream.core.outputs import CreditDecision
from credit_stream.core.topics import CUSTOMERS, DECISIONS, GROUPS, ORDERS, RUNS, SETTINGS
from credit_stream.wire.avro import decode, encode_event
from credit_stream.wire.keys import SETTINGS_KEY

LIMIT_MINOR = 10**12
AMOUNT_MINOR = 10_000
MEMBERS = 40
"""Of one credit group."""
EXPIRES_ON = 40_000


class Traffic(Protocol):
    """The events of a load, by their numbers. The same load gives the same events in every process."""

    @property
    def output(self) -> str:
        """The stream on which each event has one output."""

    def setup(self) -> Iterator[Record]:
        """What must be there before."""

    def events(self, first: int, count: int) -> Iterator[Record]:
        """Events by number."""

    def answered(self, key: bytes, value: bytes) -> int:
        """The number of the event that an output is about."""


class CountingTraffic:
    """Small events and counts: the nth of a customer is answered by the count n."""

    output = RUNS

    def __init__(self, load: Load, events: int) -> None:
        """`events`: how many will be answered."""
        self._load = load
        self._number_of: dict[bytes, int] = {}
        counts: Counter[str] = Counter()
        for number, key in enumerate(islice(load.keys(), events)):
            counts[key] += 1
            self._number_of[b"%b=%d" % (key.encode(), counts[key])] = number

    def setup(self) -> Iterator[Record]:
        """Nothing."""
        return iter(())

    def events(self, first: int, count: int) -> Iterator[Record]:
        """Of the load."""
        for number, key in enumerate(islice(self._load.keys(), first, first + count), first):
            yield Record(ORDERS, None, key, payload(number, key), None)

    def answered(self, key: bytes, value: bytes) -> int:
        """By customer and count."""
        return self._number_of[b"%b=%b" % (key, value)]


class DecidingTraffic:
    """Orders and decisions, under the rules of the made-up company."""

    output = DECISIONS

    def __init__(self, load: Load, groups: bool = False) -> None:
        """Its customers all have a limit that is never reached, with `groups` one that forty of them share."""
        self._load = load
        self._groups = -(-load.customers // MEMBERS) if groups else 0
        self._now = int(time.time() * 1000)

    def setup(self) -> Iterator[Record]:
        """Rules and customers."""
        now = self._now - 1000
        rules = SettingsPublished(event_id="settings", occurred_at=now, version=1, document=rule_book_json())
        yield Record(SETTINGS, 0, SETTINGS_KEY, encode_event(rules), now)
        for number in range(self._groups):
            yield self._group(number, now)
        for number, key in enumerate(self._load.names()):
            customer = CustomerUpdated(
                event_id=f"customer-{number}",
                occurred_at=now,
                customer_id=key,
                credit_currency="EUR",
                credit_limit_minor=LIMIT_MINOR,
                customer_credit_group=f"g{number % self._groups}" if self._groups else None,
            )
            yield Record(CUSTOMERS, None, key, encode_event(customer), now)

    def _group(self, number: int, now: int) -> Record:
        key = f"g{number}"
        group = CreditGroupUpdated(
            event_id=f"group-{number}",
            occurred_at=now,
            group_id=key,
            credit_currency="EUR",
            credit_limit_minor=MEMBERS * LIMIT_MINOR,
            credit_limit_expires_on=EXPIRES_ON,
        )
        return Record(GROUPS, None, key, encode_event(group), now)

    def events(self, first: int, count: int) -> Iterator[Record]:
        """Orders of the load's customers."""
        for number, key in enumerate(islice(self._load.keys(), first, first + count), first):
            order = OrderPlaced(
                event_id=f"order-{number}",
                occurred_at=self._now,
                order_id=f"o{number}",
                customer_id=key,
                amount_minor=AMOUNT_MINOR,
                currency="EUR",
            )
            yield Record(ORDERS, None, key, encode_event(order), None)

    def answered(self, key: bytes, value: bytes) -> int:
        """By the order of the decision."""
        decision = decode(value)
        assert isinstance(decision, CreditDecision)
        return int(decision.order_id[1:])
