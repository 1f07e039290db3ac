"""Replay of an embedded log: the same bytes, or the first difference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from credit_stream.core.events import Event
from credit_stream.core.topics import INBOX, ORDERS, RUNS, SEQUENCE
from credit_stream.core.view import StepResult
from credit_stream.engine.task import Program
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.program import CREDIT, encode_record
from credit_stream.hosts.replay import Replayed
from credit_stream.hosts.replay import replay as replay_log
from credit_stream.wire.avro import encode_event
from credit_stream.wire.keys import partition_of
from credit_stream.wire.read import read_event
from tests.engine.counting import cancelled, scripted_step

PROGRAM = Program(read_event, scripted_step, encode_record)
DAY_MS = 86_400_000


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EmbeddedHost]:
    """Two partitions with inputs, rubbish, requests and ticks, taken in several batches."""
    with EmbeddedHost(tmp_path / "data", 2, program=PROGRAM) as opened:
        for number in range(60):
            source = "forward" if number % 9 == 0 else ""
            opened.append([encode_event(cancelled(f"e{number}", f"C{number % 5}", source)), b"rubbish"])
            opened.process_pending(inputs_max=number % 4)
            if number % 20 == 0:
                opened.tick(number * DAY_MS)
        opened.process_pending()
        yield opened


def changed_step(view: object, event: Event, position: object) -> StepResult:
    """A release that counts differently from the 30th event on."""
    result = scripted_step(view, event, position)  # type: ignore[arg-type]
    if event.event_id == "e30":
        (published,) = result.publications
        return replace(result, publications=[replace(published, record=replace(published.record, failed=1))])  # type: ignore[type-var]
    return result


def test_a_replay_gives_the_same_bytes(host: EmbeddedHost) -> None:
    """All outputs and requests of all partitions, across ticks and checkpoints."""
    outputs = sum(records for topic, records in host.counts().items() if topic not in (ORDERS, INBOX, SEQUENCE))
    requests = 7
    assert host.replay() == Replayed(outputs + requests, None)


def test_a_replay_changes_nothing(host: EmbeddedHost) -> None:
    """Neither the log nor the positions, and the host goes on."""
    before = (host.counts(), host.positions())
    host.replay()
    assert (host.counts(), host.positions()) == before
    host.append([encode_event(cancelled("more", "C1"))])
    assert host.process_pending() == 1


def test_another_core_is_told_with_the_first_record_that_differs(host: EmbeddedHost) -> None:
    """Where it lies, what was published, and what is computed."""
    found = replay_log(host._log, PROGRAM._replace(step=changed_step))  # type: ignore[arg-type]
    difference = found.difference
    assert difference is not None
    assert (difference.topic, difference.partition) == (RUNS, partition_of("C0", 2))
    assert difference.published is not None
    assert difference.computed is not None
    assert difference.published[0] == difference.computed[0] == "C0"
    assert difference.published[1] != difference.computed[1]
    published = host.read(RUNS, difference.partition, difference.offset, 1)[0]
    assert published.value == difference.published[1]


def test_a_record_that_nothing_leads_to_is_told(host: EmbeddedHost) -> None:
    """Published, but not computed."""
    host.append([encode_event(cancelled("last", "C1"))])
    host.process_pending()

    def silent(view: object, event: Event, position: object) -> StepResult:
        result = scripted_step(view, event, position)  # type: ignore[arg-type]
        return replace(result, publications=[]) if event.event_id == "last" else result

    difference = replay_log(host._log, PROGRAM._replace(step=silent)).difference  # type: ignore[arg-type]
    assert difference is not None
    assert (difference.topic, difference.computed) == (RUNS, None)


def test_a_request_that_does_not_lie_in_the_log_is_told(host: EmbeddedHost) -> None:
    """Computed, but never asked."""

    def asking(view: object, event: Event, position: object) -> StepResult:
        asks = replace(event, source="forward") if event.event_id == "e58" else event
        return scripted_step(view, asks, position)  # type: ignore[arg-type]

    difference = replay_log(host._log, PROGRAM._replace(step=asking)).difference  # type: ignore[arg-type]
    assert difference is not None
    assert (difference.topic, difference.published) == (ORDERS, None)
    assert difference.computed is not None
    assert difference.computed[0] == "friend of C3"


def test_the_real_core_is_replayed_to_the_same_bytes(tmp_path: Path) -> None:
    """Customers, orders, invoices and a change of date through the whole product."""
    lines = [
        '{"type":"CustomerUpdated","event_id":"c%d","occurred_at":"2026-03-02T09:00:00Z","customer_id":"C%d",'
        '"credit_currency":"EUR","credit_limit":"1000.00"}',
        '{"type":"InvoicePosted","event_id":"i%d","occurred_at":"2026-03-02T09:01:00Z","customer_id":"C%d",'
        '"invoice_id":"I1","amount":"600.00","currency":"EUR","invoice_date":"2026-03-02","due_date":"2026-03-10"}',
        '{"type":"OrderPlaced","event_id":"o%d","occurred_at":"2026-03-02T09:02:00Z","customer_id":"C%d",'
        '"order_id":"O1","amount":"700.00","currency":"EUR"}',
    ]
    with EmbeddedHost(tmp_path / "data", 2, program=CREDIT) as host:
        host.append([(line % (customer, customer)).encode() for customer in range(10) for line in lines])
        host.process_pending()
        host.tick(1_773_500_000_000)
        assert host.counts()["credit.decisions"] >= 10
        replayed = host.replay()
        assert replayed.difference is None
        assert replayed.agreed > 20
