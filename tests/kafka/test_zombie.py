"""A worker that was stopped past its session and goes on: another one has its partitions, and it must not write."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from credit_stream.company import Plan, events
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.topics import TOPICS, create
from credit_stream.local_kafka import LocalKafka
from tests.kafka.flow import Group, Sender, ends
from tests.kafka.proof import prove
from tests.kafka.rows_proof import prove_rows
from tests.kafka.worker_process import KINDS, Kind, WorkerProcess, until

PARTITIONS = 2
SESSION_SECONDS = 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_zombie_is_fenced_writes_nothing_and_ends_saying_so(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, kind: Kind
) -> None:
    """It is stopped in the middle of a transaction; the other host takes over, goes on, and ends before it wakes."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix.strip("."))
    create(connection, PARTITIONS, 1)
    sender = Sender(connection, PARTITIONS, events(Plan(customers=40, days=None, orders_a_day=50)), 1)
    group = Group(connection, PARTITIONS)
    sender.send(500)

    def start(name: str, of: Kind, failpoint: str = "") -> WorkerProcess:
        rows, log = tmp_path / name, tmp_path / f"{name}.log"
        return WorkerProcess(connection, rows, log, kind=of, session_seconds=SESSION_SECONDS, failpoint=failpoint)

    zombie = start("zombie", kind, "checkpoint.produced:4:stop")
    try:
        zombie.wait_until_stopped()
        heir = start("heir", next(each for each in KINDS if each != kind))
        sender.send(300)
        until(group.has_taken_all, f"the other one takes over and takes all: {heir.text}")
        assert zombie.is_stopped
        assert heir.terminate() == 0
        before = ends(connection, list(TOPICS), PARTITIONS)
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == 1, zombie.text
        assert zombie.failure.get("kind") == "Fenced", zombie.text
        assert "Another worker has partition" in zombie.failure["message"]
        assert ends(connection, list(TOPICS), PARTITIONS) == before
    finally:
        zombie.kill()
    group.close()
    found = prove(connection, PARTITIONS)
    assert found.outputs > 0
    assert not found.differences
    assert not prove_rows(connection, PARTITIONS, [tmp_path / "zombie", tmp_path / "heir"]).differences


def test_one_zombie_after_the_other_in_every_stage_of_a_transaction(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Each takes over from the one before, which then wakes while its heir is at work."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix.strip("."))
    create(connection, PARTITIONS, 1)
    sender = Sender(connection, PARTITIONS, events(Plan(customers=40, days=None, orders_a_day=50)), 2)
    group = Group(connection, PARTITIONS)
    sender.send(300)
    stages = ["checkpoint.begun", "checkpoint.offsets_sent", "checkpoint.committed", "open.fenced", "open.restored", ""]
    workers: list[WorkerProcess] = []
    try:
        for number, stage in enumerate(stages):
            kind = KINDS[number % len(KINDS)]
            rows, log = tmp_path / f"rows-{number}", tmp_path / f"{number}.log"
            failpoint = f"{stage}:2:stop" if stage else ""
            worker = WorkerProcess(
                connection, rows, log, kind=kind, session_seconds=SESSION_SECONDS, failpoint=failpoint
            )
            workers.append(worker)
            if stage:
                worker.wait_until_stopped()
            sender.send(100)
        *zombies, heir = workers
        # Else those that wake may be through with all of it before the heir can be told to stop.
        until(lambda: any(line.get("event") == "started" for line in heir.lines), f"the heir starts: {heir.text}")
        for zombie in zombies:
            zombie.signal(signal.SIGCONT)
        until(group.has_taken_all, f"all is taken: {heir.text}")
        for each in workers:
            each.signal(signal.SIGTERM)
        for zombie in zombies:
            assert zombie.wait() == 0 or zombie.failure.get("kind") == "Fenced", zombie.text
        assert heir.wait() == 0, heir.text
    finally:
        for each in workers:
            each.kill()
    group.close()
    assert not prove(connection, PARTITIONS).differences
    directories = [tmp_path / f"rows-{number}" for number in range(len(stages))]
    assert not prove_rows(connection, PARTITIONS, directories).differences
