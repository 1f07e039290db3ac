"""What a worker tells those who watch it: three pages, and metrics that are what they say."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from credit_stream.core.topics import CUSTOMERS, ORDERS
from credit_stream.engine.ports import InputRecord
from credit_stream.hosts import librdkafka
from credit_stream.hosts.faust.sensor import PrometheusSensor
from credit_stream.hosts.kafka import changelog, partitions, transaction
from credit_stream.hosts.kafka import log as kafka_log
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.metrics import WorkerMetrics
from credit_stream.hosts.kafka.probes import CannotListen, Probes
from credit_stream.hosts.kafka.worker import begin
from credit_stream.local_kafka import LocalKafka
from credit_stream.wire.avro import encode_event
from tests.kafka.workers import (
    PATIENCE_SECONDS,
    Source,
    Worker,
    customer,
    customer_of,
    order,
    send,
    settings,
    system,
    until,
    wait_until_taken,
)

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "metrics.md"


class Answer(NamedTuple):
    """Of one page."""

    status: int
    kind: str
    text: str


def get(url: str) -> Answer:
    """Whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return Answer(answer.status, answer.headers["Content-Type"], answer.read().decode())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.headers["Content-Type"], refused.read().decode())


def samples(url: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """All samples of `/metrics` by name and values of labels, parsed as Prometheus does."""
    families = text_string_to_metric_families(get(f"{url}/metrics").text)
    return {(each.name, tuple(each.labels.values())): each.value for family in families for each in family.samples}


@pytest.fixture(scope="module")
def connection(kafka: LocalKafka) -> Connection:
    """A system with a customer in each partition, an order and a dead letter."""
    made = system(kafka, f"probes.{uuid.uuid4().hex[:8]}.")
    send(made, [settings(), *(customer(customer_of(at)) for at in range(2)), order("O1", customer_of(0))])
    with Source(made) as source:
        source.write(ORDERS, 1, b"no event")
    return made


@pytest.fixture
def clean_state(tmp_path: Path) -> Iterator[Path]:
    """A directory for a worker."""
    yield tmp_path / "state"


def test_a_worker_that_works_is_ready_healthy_and_counts(connection: Connection, clean_state: Path) -> None:
    """The three pages of a worker that has taken all there is."""
    with Worker(connection, clean_state) as worker:
        probes = Probes(worker.partitions, "127.0.0.1", 0)
        wait_until_taken(connection, who=worker)
        worker.wait_for(lambda: get(f"{probes.url}/ready").status == 200, "it is ready")
        assert get(f"{probes.url}/ready") == (200, "text/plain; charset=utf-8", "at work on partitions [0, 1]\n")
        assert get(f"{probes.url}/health").status == 200
        found = samples(probes.url)
        page = get(f"{probes.url}/elsewhere")
        probes.close()
    assert (page.status, page.text) == (404, "There are /metrics, /health and /ready.\n")
    assert found["credit_stream_events_total", (CUSTOMERS,)] == 2
    assert found["credit_stream_events_total", (ORDERS,)] == 2
    assert found["credit_stream_decisions_total", ("released",)] == 1
    assert found["credit_stream_dead_letters_total", ("unreadable",)] == 1
    assert found["credit_stream_lag_events", ()] == 0
    assert found["credit_stream_lag_seconds", ()] == 0
    assert found["credit_stream_partitions_owned", ()] == 2
    assert found["credit_stream_partitions_restoring", ()] == 0
    assert {found["credit_stream_restore_progress", (str(at),)] for at in range(2)} == {1.0}
    assert found["credit_stream_checkpoint_seconds_count", ()] >= found["credit_stream_batch_events_count", ()] > 0


def test_a_worker_that_restores_is_not_ready_and_says_which_partitions(
    connection: Connection, clean_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is healthy: a long restore is no reason to restart it."""
    with Worker(connection, clean_state.with_name("before")) as worker:
        wait_until_taken(connection, who=worker)
    go_on = threading.Event()
    monkeypatch.setattr(changelog, "reach", lambda place: go_on.wait(PATIENCE_SECONDS))
    with Worker(connection, clean_state) as worker:
        probes = Probes(worker.partitions, "127.0.0.1", 0)
        worker.wait_for(lambda: "restoring partitions [0, 1]" in get(f"{probes.url}/ready").text, "it restores both")
        assert get(f"{probes.url}/ready").status == 503
        assert get(f"{probes.url}/health").status == 200
        assert samples(probes.url)["credit_stream_partitions_restoring", ()] == 2
        go_on.set()
        worker.wait_for(lambda: get(f"{probes.url}/ready").status == 200, "it is ready")
        assert samples(probes.url)["credit_stream_restored_rows_total", ()] > 0
        probes.close()


def test_a_worker_that_has_failed_is_neither_ready_nor_healthy_and_says_why(
    connection: Connection, clean_state: Path
) -> None:
    """As long as its process still answers."""
    at_work = begin(connection, clean_state, say=lambda sentence: None, ticking=False)
    probes = Probes(at_work, "127.0.0.1", 0)
    at_work._fail(OSError("the disk is on fire"))
    for page in ("ready", "health"):
        assert get(f"{probes.url}/{page}")[::2] == (503, "stopped: the disk is on fire\n")
    assert get(f"{probes.url}/metrics").status == 200
    probes.close()
    at_work.stop()


def test_a_worker_that_gets_nowhere_is_not_healthy(
    connection: Connection, clean_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something to take, and no position that moves."""
    monkeypatch.setattr(partitions, "NO_PROGRESS_SECONDS_MAX", 0.05)
    stuck = begin(connection, clean_state, say=lambda sentence: None, ticking=False)
    offsets = stuck.open(0)
    assert stuck.health().is_healthy or stuck.lag() > 0
    written_at = time.time_ns() // 1_000_000 - 120_000
    payload = encode_event(order("O9", customer_of(0)))
    stuck.feed([InputRecord(ORDERS, 0, offsets[ORDERS] + 9, written_at, None, payload)])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stuck.health().is_healthy:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert stuck.health().says == "no progress in partitions [0] for 0 s"
    assert stuck.lag() >= 1
    registry = stuck.metrics.registry
    stuck.metrics.text()
    assert 120 <= (registry.get_sample_value("credit_stream_lag_seconds") or 0) < 120 + PATIENCE_SECONDS
    stuck.stop()


def test_what_lies_on_the_brokers_is_lag_before_it_was_read(connection: Connection, clean_state: Path) -> None:
    """A worker that has just been given a long history is behind by all of it, not by what it has in memory."""
    opened = begin(connection, clean_state, say=lambda sentence: None, ticking=False)
    offsets = opened.open(0)
    lag = opened.lag()
    ends = {ORDERS: 1, CUSTOMERS: 1}
    assert lag == sum(ends.get(stream, 0) - offset for stream, offset in offsets.items())
    opened.known_end(ORDERS, 0, 1_000_001)
    assert opened.lag() == lag + 1_000_000
    opened.stop()


def test_what_comes_while_the_memory_is_full_is_lag(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that does not keep up is behind by all that lies on the brokers, not by what it has read of it."""
    connection = system(kafka, topic_prefix, 1)
    name = customer_of(0, 0, 1)
    monkeypatch.setattr(kafka_log, "RECORDS_MAX", 20)
    monkeypatch.setattr(librdkafka, "READ_RECORDS_MAX", 10)
    may_commit, is_held = threading.Event(), threading.Event()
    may_commit.set()

    def reach(place: str) -> None:
        if not may_commit.is_set():
            is_held.set()
            may_commit.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(transaction, "reach", reach)
    with Worker(connection, tmp_path / "state") as worker:
        send(connection, [settings(), customer(name)], 1)
        wait_until_taken(connection, 1, worker)
        may_commit.clear()
        send(connection, [order("first", name)], 1)
        worker.wait_for(is_held.is_set, "a checkpoint is on its way")
        send(connection, [order(f"O{number}", name, 1) for number in range(300)], 1)
        try:
            until(lambda: worker.partitions.lag() == 300, "the worker knows how far it is behind", 20.0)
        finally:
            may_commit.set()
        wait_until_taken(connection, 1, worker)
        worker.wait_for(lambda: worker.partitions.lag() == 0, "nothing is left")


def test_an_address_that_is_taken_is_refused_with_what_to_do(connection: Connection, clean_state: Path) -> None:
    """Two workers on one machine with the same port."""
    at_work = begin(connection, clean_state, say=lambda sentence: None, ticking=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"127.0.0.1:{port} cannot be listened on .*--probe-port"):
            Probes(at_work, "127.0.0.1", port)
    at_work.stop()


def all_metrics() -> list[Counter | Gauge | Histogram]:
    """Those of a worker, and those that a Faust worker has besides."""
    sensor = PrometheusSensor(CollectorRegistry(), Connection(brokers="b:1"))
    values = [*vars(WorkerMetrics()).values(), *vars(sensor).values()]
    return [value for value in values if isinstance(value, Counter | Gauge | Histogram)]


@pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric._name)
def test_every_metric_of_a_worker_is_in_the_docs(metric: Counter | Gauge | Histogram) -> None:
    """`docs/metrics.md`, section "A worker on Kafka": a row with its type and labels."""
    _, heading, section = DOCS.read_text(encoding="utf-8").partition("\n## A worker on Kafka\n")
    assert heading
    described = metric.describe()[0]
    name = f"{described.name}_total" if described.type == "counter" else described.name
    row = re.search(rf"^\| `{name}` \| {described.type} \|([^|]*)\|", section, re.MULTILINE)
    assert row, name
    assert all(f"`{label}`" in row[1] for label in metric._labelnames), name
