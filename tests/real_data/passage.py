"""A passage of events through the memory host, in Avro, as they would come from a log; keeps what tests ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from credit_stream.core.events import ClockTicked, Event
from credit_stream.core.outputs import CreditDecision, DeadLetter, Exposure
from credit_stream.hosts.memory import MemoryHost
from credit_stream.wire.avro import encode_event
from tests.real_data.independent import Totals

DAY_MS = 86_400_000


@dataclass
class Passage:
    """What came out: decisions by order (the last), dead letters, exposures by customer (the last, and at ticks)."""

    host: MemoryHost
    decisions: dict[str, CreditDecision] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    exposures: dict[str, Exposure] = field(default_factory=dict)
    at_day: dict[int, dict[str, Exposure]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, events: Iterable[Event], days: Collection[int] = ()) -> Passage:
        """Sends the events; after the tick of each of the `days` it notes the exposures."""
        for event in events:
            self.send(event)
            if isinstance(event, ClockTicked) and event.instant // DAY_MS in days:
                self.at_day[event.instant // DAY_MS] = dict(self.exposures)
        return self

    def send(self, event: Event) -> None:
        """Sends one event."""
        for topic, key, record in self.host.process(encode_event(event)):
            self.counts[topic] += 1
            if isinstance(record, Exposure):
                self.exposures[key] = record
            elif isinstance(record, CreditDecision):
                self.decisions[record.order_id] = record
            elif isinstance(record, DeadLetter):
                self.dead_letters.append(record)


def passage(settings_document: str) -> Passage:
    """A new host with these settings."""
    return Passage(MemoryHost(settings_document=settings_document))


def totals_of(exposures: dict[str, Exposure]) -> dict[str, Totals]:
    """Published exposures in the form of the independent computation; customers that owe nothing are left out."""
    found = {}
    for customer_id, exposure in exposures.items():
        totals = Totals(
            current=exposure.current_invoices_minor,
            overdue=exposure.overdue_invoices_minor,
            orders=exposure.open_orders_minor + exposure.delivered_not_invoiced_minor,
            unapplied=exposure.unapplied_minor,
        )
        assert totals.exposure == exposure.exposure_minor, f"the buckets of {customer_id} do not add up"
        if totals != Totals():
            found[customer_id] = totals
    return found


def without_zeros(totals: dict[str, Totals]) -> dict[str, Totals]:
    """Without the customers that owe nothing."""
    return {customer_id: each for customer_id, each in totals.items() if each != Totals()}
