"""The two hosts take turns on one state directory in the middle of a stream, and nobody can tell from the outputs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from credit_stream.company import Plan, events
from credit_stream.core.events import Event
from credit_stream.local_kafka import LocalKafka
from tests.kafka.test_restore import inputs_of, rows_in
from tests.kafka.workers import (
    FAUST,
    LIBRDKAFKA,
    Worker,
    WorkerProcess,
    published,
    send,
    system,
    wait_until_taken,
)

EVENTS = 1_500


def stream() -> list[Event]:
    """No two at the same instant, so there is one order in which they can be taken while catching up."""
    return list(islice(events(Plan(seed=5, customers=50, ticks=False, journals=False)), EVENTS))


NO_TICKS = (
    "from credit_stream.hosts.kafka.partitions import Partitions;"
    "Partitions._is_tick_due = lambda self, owned: False;"
    "from credit_stream.hosts.ticking import Ticker; Ticker.due = lambda self: None"
)
"""Ticks come by the clock, and no two runs have them at the same place."""


HOSTS = (LIBRDKAFKA, FAUST, LIBRDKAFKA)


def test_hosts_that_take_turns_leave_the_outputs_and_rows_of_one_host_alone(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Byte for byte, in the order of every key."""
    alone, turns = system(kafka, topic_prefix + "alone."), system(kafka, topic_prefix + "turns.")
    everything = stream()
    send(alone, everything)
    with Worker(alone, tmp_path / "alone") as worker:
        wait_until_taken(alone, who=worker)
    share = EVENTS // len(HOSTS)
    for turn, host in enumerate(HOSTS):
        send(turns, everything[turn * share : (turn + 1) * share])
        with WorkerProcess(turns, tmp_path / "turns", host, before=NO_TICKS) as process:
            wait_until_taken(turns)
            assert process.stop() == 0, process.log
    expected = published(alone)
    assert sum(map(len, expected.values())) > EVENTS
    assert published(turns) == expected
    rows, positions = rows_in(tmp_path / "alone")
    rows_of_turns, positions_of_turns = rows_in(tmp_path / "turns")
    assert rows_of_turns == rows
    offsets = {partition: taken for partition, (_, taken) in inputs_of(positions).items()}
    assert {partition: taken for partition, (_, taken) in inputs_of(positions_of_turns).items()} == offsets
