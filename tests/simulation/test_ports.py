"""The simulated log, store and clock keep the contracts that those of every host keep."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

import pytest

from credit_stream.core.events import Event
from credit_stream.core.topics import INPUT_TOPICS
from credit_stream.engine.checkpoint import NOWHERE, Changes, Checkpoint, Position
from credit_stream.engine.ports import Clock, InputRecord, Log, Store
from credit_stream.wire.avro import encode_event
from tests.hosts import test_ports as contract
from tests.simulation.brokers import Brokers
from tests.simulation.ports import SimulatedClock, SimulatedLog, SimulatedStore
from tests.simulation.workload import START_MS


def _go_on(place: str) -> None:
    """Nothing happens anywhere."""


class Logs:
    """The logs of all partitions as one, with everything shown."""

    def __init__(self) -> None:
        self.brokers = Brokers(contract.PARTITIONS)
        chance = random.Random(0)
        self.logs = [SimulatedLog(self.brokers, number, _go_on, chance) for number in range(contract.PARTITIONS)]
        for log in self.logs:
            log.begin_at(NOWHERE.offsets)

    def ends(self, partition: int) -> Mapping[str, int]:
        """Of everything that is there."""
        return self._shown(partition).ends(partition)

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """The same."""
        return self._shown(partition).read(topic, partition, offset, limit)

    def commit(self, checkpoint: Checkpoint) -> Position:
        """By the owner."""
        self.brokers.now += 1
        return self.logs[checkpoint.partition].commit(checkpoint)

    def changelog(self, partition: int, position: Position) -> Iterable[Changes]:
        """Of the partition."""
        return self.logs[partition].changelog(partition, position)

    def _shown(self, partition: int) -> SimulatedLog:
        log = self.logs[partition]
        for topic in INPUT_TOPICS:
            log.show(topic, 1_000)
        return log


@pytest.fixture
def log() -> Log:
    """A log of two partitions."""
    return Logs()


@pytest.fixture
def append(log: Log) -> contract.Append:
    """Appends an event as a producer outside would, a moment after the one before."""
    assert isinstance(log, Logs)
    brokers = log.brokers

    def to_brokers(topic: str, partition: int, event: Event) -> None:
        brokers.now += 1
        brokers.send(topic, partition, brokers.now, "key", encode_event(event))

    return to_brokers


@pytest.fixture
def store() -> Store:
    """A store on a disk that never fails."""
    return SimulatedStore()


class TestSimulatedLog(contract.TestLog):
    """`engine.ports.Log`."""

    def test_the_changelog_ends_with_what_was_committed(self, log: Log) -> None:
        """Nothing is left for a store that has seen all checkpoints; its position says where they end here."""
        position = log.commit(contract._checkpoint(0, [], Position(1, {"credit.orders": 1})))
        assert list(log.changelog(0, position)) == []


class TestSimulatedStore(contract.TestStore):
    """`engine.ports.Store`."""


class TestSimulatedClock(contract.TestClock):
    """`engine.ports.Clock`."""

    @pytest.fixture
    def clock(self) -> Clock:
        """Of a machine whose clock is a little wrong."""
        brokers = Brokers(1)
        brokers.now = START_MS
        return SimulatedClock(brokers, random.Random(0), 500, 60_000)
