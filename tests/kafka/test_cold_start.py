"""A worker that begins over a long history decides as one that was there all the time (design 3, point 1)."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import count, islice
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from credit_stream.cli.commands import credit_stream
from credit_stream.company import Plan, events
from credit_stream.core.events import Event
from credit_stream.core.topics import DECISIONS, HOLDS, INPUT_TOPICS, SEQUENCE, SETTINGS, TOPIC_OF_EVENT
from credit_stream.engine import sequence
from credit_stream.engine.sequence import Tick
from credit_stream.hosts.kafka import log as kafka_log
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.partitions import Partitions, StreamOfPartition
from credit_stream.hosts.memory import MemoryHost
from credit_stream.hosts.program import encode_record
from credit_stream.local_kafka import LocalKafka
from credit_stream.wire.avro import encode_event
from tests.kafka.workers import (
    MONDAY,
    PARTITIONS,
    Published,
    Source,
    Worker,
    customer,
    customer_of,
    decisions,
    in_order,
    order,
    outputs,
    published,
    send,
    settings,
    system,
    wait_until_taken,
)

EVENTS = 2_500
"""Six weeks of the made-up company: all kinds of documents."""
PLAN = Plan(seed=11, customers=60, ticks=False, journals=False)
WORST_ORDER = tuple(reversed(INPUT_TOPICS))
"""Commands before payments, orders before their customers, and the settings last."""


def history() -> list[Event]:
    """No two at the same instant, so there is one order."""
    return list(islice(events(PLAN), EVENTS))


def by_topic(history: Iterable[Event]) -> list[Event]:
    """As somebody loads a history: one topic after the other, in the worst order of topics."""
    ordered = list(history)
    return [event for topic in WORST_ORDER for event in ordered if TOPIC_OF_EVENT[type(event)] == topic]


def live(inputs: Iterable[Event]) -> Published:
    """What comes out where every input is decided before the next comes."""
    host = MemoryHost(PARTITIONS)
    found: Published = defaultdict(list)
    for event in inputs:
        for topic, key, record in host.process(encode_event(event)):
            found[topic, key].append(None if record is None else encode_record(record))
    return in_order(found)


def test_a_history_that_was_loaded_topic_by_topic_is_decided_as_if_it_had_been_live(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, every output, with streams that have to be paused because they wait for others."""
    monkeypatch.setattr(kafka_log, "RECORDS_MAX", 100)
    crowds: set[StreamOfPartition] = set()
    really = Partitions.crowded

    def crowded(self: Partitions) -> set[StreamOfPartition]:
        found = really(self)
        crowds.update(found)
        return found

    monkeypatch.setattr(Partitions, "crowded", crowded)
    connection = system(kafka, topic_prefix)
    loaded = by_topic(history())
    for topic in WORST_ORDER:
        send(connection, [event for event in loaded if TOPIC_OF_EVENT[type(event)] == topic])
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    expected = live(history())
    assert sum(map(len, expected.values())) > EVENTS
    assert {topic for topic, _ in expected} >= {DECISIONS, HOLDS}
    assert published(connection) == expected
    assert crowds, "nothing had to wait: the history is too small for this test"


def test_the_order_of_loading_would_decide_otherwise() -> None:
    """The test above could fail: in the order in which its topics were loaded hardly a decision is the same."""
    as_live, as_loaded = live(history()), live(by_topic(history()))
    orders = [place for place in as_live if place[0] == DECISIONS]
    assert sum(as_live[place] != as_loaded.get(place) for place in orders) > len(orders) / 2


RULES = '[[rules]]\nid = "own limit"\ntype = "credit_limit_used"\n'


def publish_settings(connection: Connection, file: Path, *options: str) -> Result:
    """As an operator does, today."""
    file.write_text(RULES)
    cluster = ("--brokers", connection.brokers, "--topic-prefix", connection.topic_prefix)
    return CliRunner().invoke(credit_stream, ["settings", "publish", str(file), *cluster, *options])


@pytest.mark.parametrize(("options", "verdict"), [([], "released"), (["--at", "2026-01-05T07:59:59Z"], "on_hold")])
def test_settings_that_are_published_with_an_instant_come_before_a_history_that_is_older_than_today(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, options: list[str], verdict: str
) -> None:
    """Without one they come behind all of it, and it is decided without rules."""
    connection = system(kafka, topic_prefix, 1)
    send(connection, [customer("C1", limit_minor=100), order("O1", "C1", 200)], 1)
    result = publish_settings(connection, tmp_path / "credit.toml", *options)
    assert result.output == "published as version 1\n"
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, 1, worker)
    assert decisions(connection)["O1"].verdict == verdict


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("2026-01-05", "is no instant; write it like 2026-01-01T00:00:00Z"),
        ("2999-01-05T00:00:00Z", "is still to come"),
        ("2026-01-05T07:00:00Z", "version 1 is in force since 2026-01-05T08:00:00Z"),
    ],
)
def test_settings_cannot_take_effect_at_an_instant_that_is_none_or_to_come_or_before_those_in_force(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, at: str, says: str
) -> None:
    """Versions are taken in their order, whatever their times."""
    connection = system(kafka, topic_prefix, 1)
    send(connection, [settings(at=MONDAY)], 1)
    result = publish_settings(connection, tmp_path / "credit.toml", "--at", at)
    assert result.exit_code != 0
    assert says in result.output
    assert len(outputs(connection, (SETTINGS,))[SETTINGS, 0]) == 1


def test_a_worker_ticks_while_inputs_come_without_a_pause(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """There is no moment in which nothing waits, and the business date has to change all the same."""
    connection = system(kafka, topic_prefix, 1)
    name = customer_of(0, 0, 1)
    send(connection, [settings(), customer(name)], 1)
    is_over = threading.Event()

    def upstream() -> None:
        """Three orders every few milliseconds, all to one partition."""
        with Source(connection) as source:
            numbers = count()
            while not is_over.wait(0.005):
                for number in islice(numbers, 3):
                    source.send(order(f"O{number}", name, 1, at=time.time_ns() // 1_000_000), 1)

    def has_ticked() -> bool:
        """Twice: not only at the beginning."""
        found = [sequence.decode(value or b"") for _, value in outputs(connection, (SEQUENCE,)).get((SEQUENCE, 0), [])]
        return sum(isinstance(entry, Tick) for each in found for entry in each.taken) > 1

    thread = threading.Thread(target=upstream)
    thread.start()
    try:
        with Worker(connection, tmp_path / "state", ticking=True) as worker:
            worker.wait_for(has_ticked, "the task ticks")
    finally:
        is_over.set()
        thread.join()
