"""A core that only counts: for each event one row and one record. For tests and benchmarks of the engine.

`scripted_step` is the same, but an event's `source` can make it do what a core may do besides.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from credit_stream.core.events import ClockTicked, Event, OrderCancelled
from credit_stream.core.outputs import InputPosition, RunCompleted
from credit_stream.core.topics import ORDERS, RUNS
from credit_stream.core.view import Publication, Refusal, StepResult, Table, View


class Count(Struct, frozen=True, array_like=True, gc=False):
    """How many events a customer has had, and when the clock was last moved before the newest of them."""

    events: int
    instant: int


COUNTS = Table("counts", Count)
"""("", customer)"""
CLOCKS = Table("clocks", Count)
"""("", "")"""


def counting_step(view: View, event: Event, position: InputPosition) -> StepResult:
    """One more for the customer, published with how often that has happened and what the clock was."""
    if type(event) is ClockTicked:
        return StepResult({(CLOCKS, "", ""): Count(0, event.instant)}, [], None)
    customer_id = getattr(event, "customer_id", None) or "nobody"
    clock = view.get(CLOCKS, "", "")
    row = view.get(COUNTS, "", customer_id)
    counted = Count(1 if row is None else row.events + 1, 0 if clock is None else clock.instant)
    record = RunCompleted(
        event_id=event.event_id,
        command=type(event).__name__,
        partition=position.partition,
        processed=counted.events,
        changed=position.offset,
        failed=0,
        business_date=counted.instant // 86_400_000,
    )
    return StepResult({(COUNTS, "", customer_id): counted}, [Publication(RUNS, customer_id, record)], None)


class Crash(Exception):
    """A broken invariant of the core."""


def scripted_step(view: View, event: Event, position: InputPosition) -> StepResult:
    """Counts, and as `source` says: `crash` raises, `refuse` refuses all, `half` refuses beside its writes.

    `forward` asks another task to count a customer named after this one.
    """
    if event.source == "crash":
        raise Crash(event.event_id)
    result = counting_step(view, event, position)
    if event.source == "refuse":
        return StepResult({}, [], Refusal("invalid", "Send it otherwise."))
    if event.source == "half":
        return replace(result, refusal=Refusal("limit_change_refused", "Send a journal."))
    if event.source == "forward":
        customer_id = "friend of " + (getattr(event, "customer_id", None) or "nobody")
        request = cancelled(event.event_id + "/forwarded", customer_id)
        return replace(result, publications=[*result.publications, Publication(ORDERS, customer_id, request)])
    return result


def cancelled(event_id: str, customer_id: str, source: str = "") -> OrderCancelled:
    """A small event to be counted."""
    return OrderCancelled(event_id=event_id, occurred_at=0, source=source, order_id="o", customer_id=customer_id)
