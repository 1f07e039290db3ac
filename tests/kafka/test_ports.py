"""The contracts of `Log` and `Store`, passed by the adapters for Kafka.

A store is one of a state directory and keeps the whole contract. A log is that of one partition, and differs where the
engine lets it: what a host has read is given to one task once, because keeping it would be a second Kafka in memory. So

- `read` gives what was fed and not yet read, whatever offset is asked for; a task only ever asks for the next one;
- what was taken is not read again from the same log, but from a new one, fed again from where the rows are;
- timestamps are those of the producers and order the records of one moment, not of arrival.

Every other promise of the contract is kept against a real broker, through what the hosts are made of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import NewTopic

from credit_stream.core.events import Event
from credit_stream.core.topics import BROADCAST_TOPICS, CUSTOMERS, INPUT_TOPICS, ORDERS, RUNS, SEQUENCE, SETTINGS, STATE
from credit_stream.core.view import Publication
from credit_stream.engine.checkpoint import NOWHERE, Changes, Checkpoint, Position
from credit_stream.engine.ports import InputRecord, Log, Store
from credit_stream.hosts.kafka.admin import ClusterAdmin
from credit_stream.hosts.kafka.changelog import ChangelogReader
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import CheckpointRefused, Fenced
from credit_stream.hosts.kafka.input_records import input_record
from credit_stream.hosts.kafka.log import KafkaLog
from credit_stream.hosts.kafka.partitions import _group_metadata
from credit_stream.hosts.kafka.state import Origin, StateDirectory
from credit_stream.hosts.kafka.transaction import TransactionalWriter
from credit_stream.hosts.placing import home_of, tasks_of
from credit_stream.local_kafka import LocalKafka
from credit_stream.wire.avro import encode_event
from tests.engine.counting import COUNTS, Count, cancelled
from tests.hosts import test_ports as contract
from tests.kafka.workers import MONDAY, PARTITIONS, PATIENCE_SECONDS, Source

pytestmark = pytest.mark.filterwarnings("ignore:Producer abort_transaction failed during close:RuntimeWarning")
"""A producer that was fenced says so once more when it is closed."""

READ = (ORDERS, CUSTOMERS, SETTINGS)
"""The inputs that are made and read here; the others are empty and at their ends."""


class Logs:
    """The logs of all partitions as one `Log`, and a host that reads and feeds them; partition 0 from `begin` on."""

    def __init__(self, connection: Connection, begin: Position = NOWHERE) -> None:
        self.connection = connection
        group = _group_metadata(connection)
        self.writers = [TransactionalWriter(connection, partition, group) for partition in range(PARTITIONS)]
        self.logs = [
            KafkaLog(writer, lambda position, partition=partition: self._changes(partition, position))  # type: ignore[misc]
            for partition, writer in enumerate(self.writers)
        ]
        self.logs[0].begin_at(begin.offsets, {})
        self._consumer = Consumer(
            {
                **connection.client(),
                "group.id": "none",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 20,
            }
        )
        self._begin = begin

    def close(self) -> None:
        """Lets go of the connections."""
        self._consumer.close()
        for writer in self.writers:
            writer.close()

    def read_all(self) -> None:
        """Feeds what there is, as a host does that was just given all partitions."""
        places = {(topic, home_of(topic, partition)) for topic in READ for partition in range(PARTITIONS)}
        topic = self.connection.topic
        self._consumer.assign(
            [
                TopicPartition(topic(name), home, 0 if home else self._begin.offsets.get(name, 0))
                for name, home in places
            ]
        )
        while places:
            message = self._consumer.poll(PATIENCE_SECONDS)
            assert message is not None, "the brokers say nothing"
            name, home = self.connection.stream(message.topic() or ""), message.partition() or 0
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                places.discard((name, home))
            for task in tasks_of(name, home, PARTITIONS):
                stream = self.logs[task].streams[name]
                if error is None:
                    stream.feed(input_record(name, home, message))
                else:
                    stream.reached_end(message.offset() or 0)
        for log in self.logs:
            for name in set(INPUT_TOPICS) - set(READ):
                log.streams[name].reached_end(0)

    def _changes(self, partition: int, position: Position) -> Iterator[Changes]:
        reader = ChangelogReader(self.connection, partition)
        self.writers[partition].changelog_end = reader.end
        try:
            yield from reader.read(position, lambda rows, reached: None)
        finally:
            reader.close()

    # --- `Log` ----------------------------------------------------------------------------------------------------

    def ends(self, partition: int) -> Mapping[str, int]:
        self.read_all()
        return self.logs[partition].ends(partition)

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        self.read_all()
        return self.logs[partition].read(topic, partition, offset, limit)

    def commit(self, checkpoint: Checkpoint) -> Position:
        return self.logs[checkpoint.partition].commit(checkpoint)

    def changelog(self, partition: int, position: Position) -> list[Changes]:
        return list(self.logs[partition].changelog(partition, position))


@pytest.fixture
def log(kafka: LocalKafka, topic_prefix: str) -> Iterator[Logs]:
    """A log of two partitions, with topics of its own."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix)
    ClusterAdmin(connection).create(
        [
            NewTopic(connection.topic(name), 1 if name in BROADCAST_TOPICS else PARTITIONS)
            for name in (*READ, RUNS, STATE, SEQUENCE)
        ]
    )
    logs = Logs(connection)
    yield logs
    logs.close()


@pytest.fixture
def append(log: Logs) -> contract.Append:
    """An upstream that writes to the broker."""

    def write(topic: str, partition: int, event: Event) -> None:
        with Source(log.connection) as source:
            source.write(topic, partition, encode_event(event), "key")

    return write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of partition 1 in a state directory."""
    directory = StateDirectory(tmp_path / "state", Origin(cluster="c", changelog="credit.state"), lambda sentence: None)
    yield directory.store(1, 0, 0)
    directory.close()


class TestStore(contract.TestStore):
    """The whole contract, as it stands."""


class TestLog(contract.TestLog):
    """The contract, with the three differences that the module names."""

    def test_inputs_are_read_from_an_offset_in_their_order(self, log: Log, append: contract.Append) -> None:
        """Each once: the offset is the next one, and what was read is gone."""
        for number in range(5):
            append(ORDERS, 1, cancelled(f"e{number}", "C1"))
        assert (log.ends(1)[ORDERS], log.ends(0)[ORDERS], log.ends(1)[CUSTOMERS]) == (5, 0, 0)
        first = log.read(ORDERS, 1, 0, 2)
        assert [record.offset for record in first] == [0, 1]
        assert [record.offset for record in log.read(ORDERS, 1, 2, 9)] == [2, 3, 4]
        assert list(log.read(ORDERS, 1, 5, 9)) == []
        assert (first[0].topic, first[0].partition, first[0].key) == (ORDERS, 1, "key")
        assert first[0].payload == encode_event(cancelled("e0", "C1"))

    def test_arrival_gives_timestamps_that_rise_over_all_topics_and_partitions(
        self, log: Log, append: contract.Append
    ) -> None:
        """Not here: a record has the timestamp that its producer gave it, which says when the event occurred."""
        assert isinstance(log, Logs)
        with Source(log.connection) as source:
            for offset, timestamp in enumerate((MONDAY + 5, MONDAY, MONDAY + 9)):
                source.write(ORDERS, 0, b"%d" % offset, at=timestamp)
        assert [each.timestamp for each in log.read(ORDERS, 0, 0, 9)] == [MONDAY + 5, MONDAY, MONDAY + 9]

    def test_what_was_taken_may_be_read_again(self, log: Log, append: contract.Append) -> None:
        """From a new log, by a task that begins anew: from where the rows are, or from the beginning."""
        for number in range(3):
            append(ORDERS, 0, cancelled(f"e{number}", "C1"))
        assert isinstance(log, Logs)
        assert len(log.read(ORDERS, 0, 0, 9)) == 3
        position = log.commit(contract._checkpoint(0, [], Position(1, {ORDERS: 2})))
        for begin, offsets in ((position, [2]), (NOWHERE, [0, 1, 2])):
            again = Logs(log.connection, begin)
            assert [record.offset for record in again.read(ORDERS, 0, 0, 9)] == offsets
            again.close()

    def test_the_changelog_ends_with_what_was_committed(self, log: Log) -> None:
        """Nothing is left for a store that has seen all checkpoints, and all of it for one that has seen none."""
        rows = {(COUNTS, "", "C1"): Count(1, 0), (COUNTS, "", "C2"): None}
        changes = Changes(rows, Position(1, {ORDERS: 1}))  # type: ignore[arg-type]
        checkpoint = contract._checkpoint(0, [], changes.position)
        position = log.commit(Checkpoint(0, [], [], checkpoint.sequence, changes))
        assert position.changelog > 0
        found = list(log.changelog(0, NOWHERE))
        assert _rows(log.changelog(0, position)) == []
        assert _rows(found) == changes.encoded()
        assert found[-1].position == position or found[-1].position.is_beyond(position)
        assert found[-1].position.offsets == {ORDERS: 1}
        assert list(log.changelog(1, NOWHERE)) == []


def _rows(found: Iterable[Changes]) -> list[tuple[bytes, bytes | None]]:
    return [row for each in found for row in each.encoded()]


# --- what only a log on a broker promises -------------------------------------------------------------------------


def test_a_writer_is_fenced_by_the_next_one_of_its_partition_and_by_no_other(log: Logs) -> None:
    """The zombie's batch never becomes visible, and it is told so."""
    first = contract._checkpoint(0, [Publication(RUNS, "C1", None)], Position(1, {ORDERS: 1}))
    log.commit(first)
    successor = Logs(log.connection)
    zombie = contract._checkpoint(0, [Publication(RUNS, "zombie", None)], Position(2, {ORDERS: 2}))
    with pytest.raises(Fenced, match="Another worker has partition 0 now"):
        log.commit(zombie)
    heir = contract._checkpoint(0, [Publication(RUNS, "heir", None)], Position(2, {ORDERS: 3}))
    position = successor.commit(heir)
    assert [each.position.offsets for each in successor.changelog(0, NOWHERE)][-1] == {ORDERS: 3}
    assert successor.commit(contract._checkpoint(1, [], Position(1, {}))).changelog < position.changelog
    successor.close()


def test_a_checkpoint_that_no_topic_takes_is_refused_and_nothing_of_it_is_seen(log: Logs) -> None:
    """The next task finds the changelog as it was."""
    huge = contract._checkpoint(0, [Publication(RUNS, "C1", None)], Position(1, {ORDERS: 1}))
    huge = Checkpoint(0, huge.publications, [os.urandom(2_000_000)], huge.sequence, huge.changes)
    with pytest.raises(CheckpointRefused, match="topics check"):
        log.commit(huge)
    again = Logs(log.connection)
    assert _rows(again.changelog(0, NOWHERE)) == []
    again.close()
