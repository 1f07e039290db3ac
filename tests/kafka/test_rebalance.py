"""Workers join and leave: whole partitions move, each has one owner, and a worker that cannot go on says why."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from itertools import product
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from credit_stream.core.topics import CUSTOMERS, ORDERS, SEQUENCE, STATE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import Position
from credit_stream.engine.sequence import Run
from credit_stream.hosts.failures import DirectoryInUse
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import ChangelogLost, Fenced, InputsLost, OpeningCancelled, WrongTopics
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS, Partitions
from credit_stream.hosts.kafka.positions import Positions
from credit_stream.hosts.kafka.topics import TOPICS, inspect
from credit_stream.hosts.librdkafka import LibrdkafkaHost
from credit_stream.local_kafka import LocalKafka
from tests.kafka.workers import (
    PATIENCE_SECONDS,
    Group,
    Worker,
    customer,
    customer_of,
    decisions,
    order,
    outputs,
    send,
    settings,
    system,
    until,
    wait_until_taken,
)

MANY = 6
"""Partitions: more than are opened at once."""


class Operator:
    """Somebody who does things to the cluster, and waits until they are done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Held on to: what was asked of a client that is gone is never answered.
        self._client = AdminClient({"bootstrap.servers": connection.brokers})

    def delete_records(self, stream: str, partition: int, before: int) -> None:
        """As a retention does that is too short."""
        place = TopicPartition(self._connection.topic(stream), partition, before)
        self._result(self._client.delete_records([place]))

    def delete_topics(self, *streams: str) -> None:
        """With all that is in them."""
        topics = [self._connection.topic(stream) for stream in streams]
        self._result(self._client.delete_topics(topics))
        until(lambda: not set(topics) & set(self._client.list_topics(timeout=PATIENCE_SECONDS).topics), "they are gone")

    def add_partition(self, stream: str) -> None:
        """One more, which nobody has foreseen."""
        topic = self._connection.topic(stream)
        found = self._client.list_topics(timeout=PATIENCE_SECONDS).topics[topic].partitions
        self._result(self._client.create_partitions([NewPartitions(topic, len(found) + 1)]))
        until(lambda: inspect(self._connection).faults, "the brokers have heard of it")

    def move_group(self, stream: str, partition: int, offset: int) -> None:
        """Commits for the group by hand."""
        place = TopicPartition(self._connection.topic(stream), partition, offset)
        group = ConsumerGroupTopicPartitions(self._connection.application_id, [place])
        self._result(self._client.alter_consumer_group_offsets([group]))

    def _result(self, asked: Mapping[object, Future[object]]) -> None:
        for future in asked.values():
            future.result(PATIENCE_SECONDS)


def begun(connection: Connection, partitions: int = 2) -> None:
    """Settings, and a customer in each partition."""
    send(connection, [settings(), *(customer(customer_of(at, 0, partitions)) for at in range(partitions))], partitions)


def taken_once(connection: Connection, partitions: int) -> dict[tuple[str, int], int]:
    """How many inputs the sequence has of each stream and partition; fails if one is there twice or out of order."""
    taken: dict[tuple[str, int], int] = {}
    for (_, partition), records in outputs(connection, (SEQUENCE,)).items():
        found = [sequence.decode(value or b"") for _, value in records]
        assert [each.number for each in found] == list(range(len(found)))
        for entry in (entry for each in found for entry in each.taken if isinstance(entry, Run)):
            place = (entry.topic, partition)
            assert entry.first_offset == taken.get(place, 0)
            taken[place] = entry.first_offset + entry.count
    return taken


def test_partitions_move_whole_between_workers_that_come_and_go_and_nothing_is_taken_twice(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """One, two, three workers, then one again; orders come all the time."""
    connection = system(kafka, topic_prefix, MANY)
    begun(connection, MANY)
    everything = set(range(MANY))
    placed = 0

    def orders() -> None:
        """One for each partition."""
        nonlocal placed
        placed += 1
        send(connection, [order(f"O{placed}-{at}", customer_of(at, 0, MANY)) for at in everything], MANY)

    def shared_by(*workers: Worker) -> bool:
        """Whether each has some, and all together have each partition once."""
        shares = [worker.at_work for worker in workers]
        return all(shares) and sum(map(len, shares)) == MANY and set().union(*shares) == everything

    with Worker(connection, tmp_path / "1") as first:
        orders()
        first.wait_for(lambda: shared_by(first), "the first has all")
        with Worker(connection, tmp_path / "2") as second:
            orders()
            second.wait_for(lambda: shared_by(first, second), "two share")
            with Worker(connection, tmp_path / "3") as third:
                third.wait_for(lambda: shared_by(first, second, third), "three share")
                orders()
                for worker in (first, second, third):
                    assert worker.given == set(product(GROUP_TOPICS, worker.at_work))
                wait_until_taken(connection, MANY, third)
        first.wait_for(lambda: shared_by(first), "the first has all again")
        orders()
        wait_until_taken(connection, MANY, first)
    taken = taken_once(connection, MANY)
    assert {partition: taken[ORDERS, partition] for partition in everything} == dict.fromkeys(everything, placed)
    assert len(decisions(connection)) == placed * MANY


def test_a_worker_that_comes_back_goes_on_from_its_own_rows(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Nothing is read from the changelog but what it lacks, and nothing of the inputs is taken again."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    for number in range(2):
        send(connection, [order(f"O{number}", customer_of(0))])
        with Worker(connection, tmp_path / "state") as worker:
            wait_until_taken(connection, who=worker)
            rows = worker.partitions.metrics.registry.get_sample_value("credit_stream_restored_rows_total")
            assert rows == 0
            assert worker.said == [warning for warning in worker.said if "1 copy" in warning]
    assert taken_once(connection, 2)[ORDERS, 0] == 2
    assert set(decisions(connection)) == {"O0", "O1"}


# --- opening and closing at once --------------------------------------------------------------------------------


def test_partitions_that_wait_to_be_opened_are_not_opened_when_they_were_taken_away_meanwhile(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening fences whoever has the partition: a worker that opens what is another's ends that one."""
    connection = system(kafka, topic_prefix, MANY)
    opened: list[int] = []
    opened_later: list[int] = []
    is_revoked = threading.Event()
    really_open, really_close = Partitions.open, Partitions.close

    def slow_open(self: Partitions, partition: int) -> Mapping[str, int]:
        """Takes until something was given up."""
        if self is not first.partitions:
            return really_open(self, partition)
        if is_revoked.is_set():
            opened_later.append(partition)
            return really_open(self, partition)
        opened.append(partition)
        assert is_revoked.wait(PATIENCE_SECONDS)
        raise OpeningCancelled("taken away")

    def close(self: Partitions, partitions: Iterable[int]) -> None:
        """Ends the waiting of what is being opened."""
        really_close(self, partitions)
        is_revoked.set()

    monkeypatch.setattr(Partitions, "open", slow_open)
    monkeypatch.setattr(Partitions, "close", close)
    with Worker(connection, tmp_path / "1") as first:
        first.wait_for(lambda: len(opened) == 4, "as many are being opened as may be at once")
        with Worker(connection, tmp_path / "2") as second:
            second.wait_for(lambda: len(first.at_work) == len(second.at_work) == MANY // 2, "two share")
            assert sorted(opened_later) == sorted(first.at_work)


class _NoMember:
    """Stands for the consumer of the group."""

    def assign(self, places: list[TopicPartition]) -> None:
        """Reads nothing."""


class _Opened:
    """Stands for `Partitions`: notes what is opened."""

    failure = None

    def __init__(self) -> None:
        self.partitions: list[int] = []

    def open(self, partition: int) -> Mapping[str, int]:
        """Nothing to restore."""
        self.partitions.append(partition)
        return {}


def test_a_partition_that_comes_with_some_topics_only_is_not_opened() -> None:
    """A leader that does not know a topic yet leaves it out, and its partition may be another's too: they would fence
    each other."""
    opened = _Opened()
    host = LibrdkafkaHost(Connection(brokers="127.0.0.1:1", application_id="nobody"), cast("Partitions", opened))
    whole = [TopicPartition(topic, 0) for topic in GROUP_TOPICS]
    part = [TopicPartition(topic, 1) for topic in GROUP_TOPICS[1:]]
    host._assigned(cast("Consumer", _NoMember()), whole + part)
    host._openers.shutdown()
    assert opened.partitions == [0]


# --- what a worker refuses ----------------------------------------------------------------------------------------


def failing(connection: Connection, state: Path) -> BaseException:
    """Why a worker that is started now ends."""
    with Worker(connection, state) as worker:
        return worker.wait_for_failure()


def test_offsets_of_the_group_that_were_moved_ahead_are_refused(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """To believe them would be to leave inputs out; to believe the rows, perhaps to publish twice."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    with Group(connection) as group:
        until(lambda: group.committed()[CUSTOMERS, 0] == 1, "the group has committed")
    Operator(connection).move_group(ORDERS, 1, 7)
    failure = failing(connection, tmp_path / "state")
    assert isinstance(failure, ChangelogLost)
    assert f"has taken {connection.topic(ORDERS)}/1 up to offset 7" in str(failure)
    assert "only up to 0" in str(failure)
    assert "Put the group's offsets back" in str(failure)


def test_a_worker_that_is_overtaken_while_it_restores_says_so_and_not_that_something_is_lost(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one has fenced it, written to the changelog and committed since it read the changelog to its end."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    Operator(connection).move_group(ORDERS, 1, 7)
    to_read_from = Positions.to_read_from

    def overtaken(self: Positions, position: Position) -> tuple[Mapping[str, int], Mapping[str, int]]:
        other = Producer(connection.client())
        other.produce(connection.topic(STATE), b"", b"a row of the other", 1)
        other.flush(10)
        return to_read_from(self, position)

    monkeypatch.setattr(Positions, "to_read_from", overtaken)
    failure = failing(connection, tmp_path / "state")
    assert isinstance(failure, Fenced), failure


def test_offsets_of_the_group_that_were_moved_back_change_nothing(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """The rows say what was taken, and it is not taken again."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    send(connection, [order("O1", customer_of(0))])
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    Operator(connection).move_group(ORDERS, 0, 0)
    send(connection, [order("O2", customer_of(0))])
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    assert taken_once(connection, 2)[ORDERS, 0] == 2
    assert set(decisions(connection)) == {"O1", "O2"}


def test_inputs_that_were_deleted_unread_are_said_and_those_that_were_read_are_not_missed(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """A retention that is too short, or a person: what is gone cannot be decided, and must not be passed over."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
        send(connection, [order("O1", customer_of(0))])
        wait_until_taken(connection, who=worker)
    operator = Operator(connection)
    operator.delete_records(ORDERS, 0, before=1)
    send(connection, [order("O2", customer_of(0))])
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    send(connection, [order("O3", customer_of(0)), order("O4", customer_of(0))])
    operator.delete_records(ORDERS, 0, before=3)
    failure = failing(connection, tmp_path / "state")
    assert isinstance(failure, InputsLost)
    assert f"{connection.topic(ORDERS)}/0 was taken up to offset 2 and begins at 3" in str(failure)
    assert "retention" in str(failure)
    assert set(decisions(connection)) == {"O1", "O2"}


def test_a_topic_that_was_emptied_before_the_first_worker_came_holds_nobody_up(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """It begins at some offset and has nothing; the others go on."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    Operator(connection).delete_records(CUSTOMERS, 0, before=1)
    send(connection, [order("O1", customer_of(0))])
    with Worker(connection, tmp_path / "state") as worker:
        worker.wait_for(lambda: "O1" in decisions(connection), "the order is decided")
    assert decisions(connection)["O1"].reasons == ("customer_unknown",)


def test_an_input_topic_that_was_made_anew_is_refused(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """Its offsets begin again: what comes now would be taken for what was taken then."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    send(connection, [order(f"O{number}", customer_of(0)) for number in range(3)])
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    Operator(connection).delete_topics(ORDERS)
    system(kafka, topic_prefix)
    failure = failing(connection, tmp_path / "state")
    assert isinstance(failure, InputsLost)
    assert f"{connection.topic(ORDERS)}/0 was taken up to offset 3 and ends at 0" in str(failure)


def test_rows_of_topics_that_were_deleted_and_made_anew_are_not_those_of_the_new_ones(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """The names are the same, and by now the new changelog goes further than the old one did."""
    connection = system(kafka, topic_prefix)
    begun(connection)
    old, new = customer_of(0), customer_of(0, 1)
    send(connection, [order("O1", old)])
    with Worker(connection, tmp_path / "old") as worker:
        wait_until_taken(connection, who=worker)
    Operator(connection).delete_topics(*TOPICS)
    system(kafka, topic_prefix)
    send(connection, [settings(), customer(new), *(order(f"O{number}", new, 1) for number in range(20))])
    with Worker(connection, tmp_path / "new") as worker:
        wait_until_taken(connection, who=worker)
        send(connection, [order("O30", new, 1)])
        wait_until_taken(connection, who=worker)
    send(connection, [order("O31", old)])
    with Worker(connection, tmp_path / "old") as worker:
        wait_until_taken(connection, who=worker)
        assert [sentence for sentence in worker.said if "another cluster, changelog or release" in sentence]
    assert decisions(connection)["O31"].reasons == ("customer_unknown",)


def test_a_worker_does_not_begin_on_topics_that_are_not_as_they_must_be(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """With a sentence for each, before anything is touched."""
    connection = system(kafka, topic_prefix)
    Operator(connection).add_partition(ORDERS)
    with pytest.raises(WrongTopics, match=rf"{connection.topic(ORDERS)} has 3 partitions"):
        Worker(connection, tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_state_directory_has_one_worker(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """The second is refused, and the first does not notice."""
    connection = system(kafka, topic_prefix)
    with Worker(connection, tmp_path / "state") as worker:
        with pytest.raises(DirectoryInUse, match="give another directory"):
            Worker(connection, tmp_path / "state")
        begun(connection)
        send(connection, [order("O1", customer_of(0))])
        wait_until_taken(connection, who=worker)
