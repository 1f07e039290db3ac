"""Brokers that are restarted, killed or gone for long, and a disk that is full: nothing is lost, nothing doubled.

A worker goes on by itself, or ends and says why; then it is started again here, as a supervisor would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from credit_stream.company import Plan, events
from credit_stream.core.topics import ORDERS
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.topics import create
from credit_stream.local_kafka import LocalKafka
from tests.kafka.flow import Group, Sender
from tests.kafka.proof import prove
from tests.kafka.rows_proof import prove_rows
from tests.kafka.worker_process import KINDS, Kind, WorkerProcess, until

PARTITIONS = 2
SESSION_SECONDS = 6
"""Where a broker is away only for a while."""
SHORT_SESSION_SECONDS = 2
"""Where the worker ends, and comes back as a new member."""
EVENTS_A_SECOND = 100.0
RECOVERY_SECONDS_MAX = 120.0
"""Brokers notice after 6 s that one of them is gone, and a machine that is busy may take a multiple of everything."""
CLEAR = {"BrokersLost", "Unreachable", "Fenced"}
"""Failures with which a worker may end when a broker goes away."""

IMPATIENT = """
from credit_stream.hosts.kafka import partitions, transaction
transaction.COMMIT_SECONDS_MAX = partitions.COMMIT_SECONDS_MAX = 4.0
partitions.COMMIT_WATCH_SECONDS = 2.0
"""
"""So that a test need not wait as long as an operator would want the workers to."""


class System:
    """Topics with events coming in, and workers that are started again when they end."""

    def __init__(self, kafka: LocalKafka, name: str, directory: Path, session_seconds: int) -> None:
        self.connection = Connection(brokers=kafka.bootstrap, topic_prefix=name, application_id=name.strip("."))
        self._directory = directory
        self._session_seconds = session_seconds
        self._lives = 0
        self.workers: dict[str, WorkerProcess] = {}
        self.ended: list[WorkerProcess] = []
        """Those that ended by themselves."""
        create(self.connection, PARTITIONS)
        self.sender = Sender(self.connection, PARTITIONS, events(Plan(customers=60, days=None, orders_a_day=50)), 3)
        self.group = Group(self.connection, PARTITIONS)
        self.sender.send(200)

    def start(self, name: str, kind: Kind, **options: Any) -> WorkerProcess:
        """A worker whose rows stay under its name when it is started again."""
        self._lives += 1
        log = self._directory / f"{self._lives}.log"
        worker = WorkerProcess(
            self.connection, self.rows(name), log, kind=kind, session_seconds=self._session_seconds, **options
        )
        self.workers[name] = worker
        return worker

    def rows(self, name: str) -> Path:
        """The directory of a worker."""
        return self._directory / name

    def go_on(self, inputs: int) -> None:
        """Waits until so many more inputs are taken."""
        goal = self.group.progress() + inputs
        self.wait_until(lambda: self.group.progress() >= goal, f"{inputs} more inputs are taken")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits, and meanwhile starts again what has ended."""

        def look() -> bool:
            for name, worker in list(self.workers.items()):
                if worker.exit_status is not None:
                    self.ended.append(worker)
                    self.start(name, worker.kind)
            return condition()

        until(look, what, RECOVERY_SECONDS_MAX)

    def finish(self) -> None:
        """Waits until all is taken, ends the workers, and compares outputs and rows with a straight replay."""
        self.sender.stop()
        self.wait_until(self.group.has_taken_all, "all inputs are taken")
        self.wait_until(lambda: all(each.has_started for each in self.workers.values()), "the workers have started")
        for worker in self.workers.values():
            assert worker.terminate() == 0, worker.text
        found = prove(self.connection, PARTITIONS)
        assert found.outputs > 0
        assert not found.differences
        assert not prove_rows(self.connection, PARTITIONS, map(self.rows, self.workers)).differences
        for worker in self.ended:
            assert worker.exit_status == 1 and worker.failure.get("kind") in CLEAR, worker.text

    def close(self) -> None:
        """Leaves nothing running."""
        for worker in self.workers.values():
            worker.kill()
        self.sender.stop()
        self.group.close()


Start = Callable[..., System]


@pytest.fixture
def start(topic_prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Makes a system on a Kafka, and ends what of it still runs."""
    made: list[System] = []

    def start_on(kafka: LocalKafka, session_seconds: int = SESSION_SECONDS) -> System:
        made.append(System(kafka, topic_prefix, tmp_path, session_seconds))
        return made[-1]

    yield start_on
    for system in made:
        system.close()


def test_a_broker_is_restarted_and_then_killed_while_events_come_in(broker: LocalKafka, start: Start) -> None:
    """Under both hosts at once. What the sender writes meanwhile comes later, and nothing of it twice."""
    system = start(broker)
    for kind in KINDS:
        system.start(kind, kind)
    system.sender.start(EVENTS_A_SECOND)
    system.go_on(100)
    broker.restart()
    system.go_on(300)
    broker.kill()
    broker.start_node()
    system.go_on(300)
    system.finish()


@pytest.mark.parametrize("kind", KINDS)
def test_without_brokers_for_longer_than_its_patience_a_worker_ends_and_says_so(
    broker: LocalKafka, start: Start, kind: Kind
) -> None:
    """Started again when they are back, it has lost nothing."""
    system = start(broker, SHORT_SESSION_SECONDS)
    worker = system.start("rows", kind, change=IMPATIENT)
    system.go_on(100)
    broker.kill()
    try:
        assert worker.wait() == 1, worker.text
    finally:
        broker.start_node()
    assert worker.failure["kind"] in ("BrokersLost", "Unreachable"), worker.text
    assert "start the worker again" in worker.failure["message"]
    system.sender.send(200)
    system.finish()


@pytest.mark.parametrize("kind", KINDS)
def test_when_its_disk_is_full_a_worker_ends_and_says_so(broker: LocalKafka, start: Start, kind: Kind) -> None:
    """What it could not write to its disk lies in the changelog; with room again it goes on from there."""
    system = start(broker, SHORT_SESSION_SECONDS)
    system.sender.send(1_500)
    worker = system.start("rows", kind, file_bytes_max=512 * 1024)
    assert worker.wait() == 1, worker.text
    assert worker.failure["kind"] == "DiskFull", worker.text
    assert "is full" in worker.failure["message"] and "Free some space" in worker.failure["message"]
    system.start("rows", kind)
    system.finish()


def test_leaders_and_coordinators_are_killed_one_after_the_other(cluster: LocalKafka, start: Start) -> None:
    """Of three brokers: the one that leads the orders, the coordinator of transactions, that of the group."""
    system = start(cluster)
    for kind in KINDS:
        system.start(kind, kind)
    system.sender.start(EVENTS_A_SECOND)
    admin = AdminClient(system.connection.client())
    for find in (leader_of_orders, coordinator_of_transactions, coordinator_of_the_group):
        system.go_on(100)
        node = find(admin, system.connection)
        cluster.kill(node)
        system.go_on(200)
        cluster.start_node(node)
        until(lambda: all_copies_are_there(admin), "all brokers have everything", RECOVERY_SECONDS_MAX)
    system.finish()


def leader_of_orders(admin: AdminClient, connection: Connection) -> int:
    """Of partition 0."""
    topic = connection.topic(ORDERS)
    return int(admin.list_topics(topic, RECOVERY_SECONDS_MAX).topics[topic].partitions[0].leader)


def coordinator_of_transactions(admin: AdminClient, connection: Connection) -> int:
    """Of partition 0: the leader of the partition of Kafka's own topic in which its transactional id lies."""
    partitions = admin.list_topics("__transaction_state", RECOVERY_SECONDS_MAX).topics["__transaction_state"].partitions
    number = 0
    for letter in connection.transactional_id(0):
        number = (31 * number + ord(letter)) % 2**32
    return int(partitions[number % 2**31 % len(partitions)].leader)


def coordinator_of_the_group(admin: AdminClient, connection: Connection) -> int:
    """Who looks after the members."""
    asked = admin.describe_consumer_groups([connection.application_id])
    return int(asked[connection.application_id].result(RECOVERY_SECONDS_MAX).coordinator.id)


def all_copies_are_there(admin: AdminClient) -> bool:
    """Whether one more broker may be lost."""
    topics = admin.list_topics(timeout=RECOVERY_SECONDS_MAX).topics.values()
    return all(len(each.isrs) == len(each.replicas) for topic in topics for each in topic.partitions.values())
