"""One contract test class for each port, passed by every adapter of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from credit_stream.core.events import Event
from credit_stream.core.topics import CUSTOMERS, ORDERS, RUNS, SETTINGS
from credit_stream.core.view import Publication
from credit_stream.engine.checkpoint import NOWHERE, Changes, Checkpoint, Position
from credit_stream.engine.ports import Clock, InputRecord, Log, Store
from credit_stream.engine.sequence import Run, SequenceRecord
from credit_stream.hosts.clock import ManualClock, ScaledClock, SystemClock
from credit_stream.hosts.embedded import FAMILIES
from credit_stream.hosts.embedded_log import EmbeddedLog, NewInput
from credit_stream.hosts.memory import MemoryLog, MemoryStore
from credit_stream.hosts.program import encode_record
from credit_stream.hosts.rocks_store import RocksStore
from credit_stream.hosts.rocksdb import Database
from credit_stream.wire.avro import encode_event
from credit_stream.wire.keys import partition_of
from tests.engine.counting import CLOCKS, COUNTS, Count, cancelled

PARTITIONS = 2
QUARTER_MS = 900_000

Append = Callable[[str, int, Event], None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty RocksDB."""
    opened = Database(tmp_path / "db", FAMILIES)
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest) -> Store:
    """A store of partition 1, from every adapter."""
    if request.param == "memory":
        return MemoryStore()
    return RocksStore(request.getfixturevalue("database"), 1)


@pytest.fixture(params=["memory", "embedded"])
def log(request: pytest.FixtureRequest) -> Log:
    """A log of two partitions, from every adapter."""
    if request.param == "memory":
        return MemoryLog(PARTITIONS)
    return EmbeddedLog(request.getfixturevalue("database"), PARTITIONS)


@pytest.fixture
def append(log: Log) -> Append:
    """Appends an event to a topic and partition of the log, the way its adapter takes inputs."""

    def to_memory(topic: str, partition: int, event: Event) -> None:
        assert isinstance(log, MemoryLog)
        log.append(topic, partition, "key", encode_event(event))

    def to_embedded(topic: str, partition: int, event: Event) -> None:
        assert isinstance(log, EmbeddedLog)
        log.append([NewInput(topic, partition, "key", encode_event(event), None)])

    return to_memory if isinstance(log, MemoryLog) else to_embedded


class TestStore:
    """`engine.ports.Store`."""

    def test_a_new_store_is_nowhere_and_has_nothing(self, store: Store) -> None:
        """What a partition starts from."""
        assert store.position() == NOWHERE
        assert store.get(COUNTS, "", "C1") is None
        assert store.ids(COUNTS, "") == []

    def test_what_was_written_is_read(self, store: Store) -> None:
        """Rows and position, from one batch."""
        position = Position(1, {ORDERS: 7})
        store.write(_changes(position, {("", "C1"): 1, ("p", "C2"): 2}))
        assert store.get(COUNTS, "", "C1") == Count(1, 0)
        assert store.get(COUNTS, "p", "C2") == Count(2, 0)
        assert store.get(COUNTS, "p", "C1") is None
        assert store.get(CLOCKS, "", "C1") is None
        assert store.position() == position

    def test_a_row_is_replaced_and_deleted(self, store: Store) -> None:
        """None deletes, also what is not there."""
        store.write(_changes(Position(1, {}), {("", "C1"): 1, ("", "C2"): 1}))
        store.write(_changes(Position(2, {}), {("", "C1"): 2, ("", "C2"): None, ("", "C3"): None}))
        assert store.get(COUNTS, "", "C1") == Count(2, 0)
        assert store.get(COUNTS, "", "C2") is None
        assert store.ids(COUNTS, "") == ["C1"]

    def test_ids_are_those_of_the_parent_in_code_point_order(self, store: Store) -> None:
        """Whatever characters they have, and none of a parent or table beside it."""
        ids = ["", "1", "10", "2", "a", "ÿ", "\uffee", "\U0001f600", "\x00", "\x7f"]
        store.write(
            _changes(
                Position(1, {}),
                {("p", row_id): 1 for row_id in reversed(ids)} | {("", "p"): 1, ("pp", "x"): 1, ("p\x00", "y"): 1},
            )
        )
        assert store.ids(COUNTS, "p") == sorted(ids)
        assert store.ids(COUNTS, "") == ["p"]
        assert store.ids(CLOCKS, "p") == []

    def test_changes_that_are_in_already_change_nothing(self, store: Store) -> None:
        """A changelog may be read from a little before where the store is."""
        store.write(_changes(Position(1, {ORDERS: 1}), {("", "C1"): 1}))
        store.write(_changes(Position(2, {ORDERS: 2}), {("", "C1"): 2}))
        store.write(_changes(Position(1, {ORDERS: 1}), {("", "C1"): 1, ("", "C2"): 1}))
        assert store.get(COUNTS, "", "C1") == Count(2, 0)
        assert store.get(COUNTS, "", "C2") is None
        assert store.position() == Position(2, {ORDERS: 2})


class TestLog:
    """`engine.ports.Log`."""

    def test_a_new_log_ends_where_it_begins(self, log: Log) -> None:
        """Every input topic has an end, also an empty one."""
        assert set(log.ends(0).values()) == {0}
        assert list(log.read(ORDERS, 0, 0, 10)) == []

    def test_inputs_are_read_from_an_offset_in_their_order(self, log: Log, append: Append) -> None:
        """At most as many as were asked for."""
        for number in range(5):
            append(ORDERS, 1, cancelled(f"e{number}", "C1"))
        assert (log.ends(1)[ORDERS], log.ends(0)[ORDERS], log.ends(1)[CUSTOMERS]) == (5, 0, 0)
        assert [record.offset for record in log.read(ORDERS, 1, 2, 2)] == [2, 3]
        assert [record.offset for record in log.read(ORDERS, 1, 3, 9)] == [3, 4]
        (record,) = log.read(ORDERS, 1, 0, 1)
        assert (record.topic, record.partition, record.key) == (ORDERS, 1, "key")
        assert record.payload == encode_event(cancelled("e0", "C1"))

    def test_arrival_gives_timestamps_that_rise_over_all_topics_and_partitions(self, log: Log, append: Append) -> None:
        """So the order of arrival is the order of taking."""
        places = [(ORDERS, 0), (CUSTOMERS, 1), (ORDERS, 1), (SETTINGS, 0), (ORDERS, 0)]
        for number, (topic, partition) in enumerate(places):
            append(topic, partition, cancelled(f"e{number}", "C1"))
        offsets = [0, 0, 0, 0, 1]
        found = [_read_one(log, topic, partition, at) for (topic, partition), at in zip(places, offsets, strict=True)]
        stamps = [record.timestamp for record in found]
        assert stamps == sorted(set(stamps))

    def test_a_stream_that_all_read_is_the_same_for_every_partition(self, log: Log, append: Append) -> None:
        """Settings lie in partition 0 and are everybody's."""
        append(SETTINGS, 0, cancelled("e1", "C1"))
        assert [log.ends(partition)[SETTINGS] for partition in range(PARTITIONS)] == [1, 1]
        one, other = (_read_one(log, SETTINGS, partition, 0) for partition in range(PARTITIONS))
        assert one == other
        assert one.partition == 0

    def test_what_was_taken_may_be_read_again(self, log: Log, append: Append) -> None:
        """By a task that begins anew, and by a replay."""
        for number in range(3):
            append(ORDERS, 0, cancelled(f"e{number}", "C1"))
        log.commit(_checkpoint(0, [], Position(1, {ORDERS: 2})))
        assert [record.offset for record in log.read(ORDERS, 0, 0, 9)] == [0, 1, 2]

    def test_a_request_becomes_the_last_input_of_the_partition_of_its_key(self, log: Log, append: Append) -> None:
        """It is taken after everything that came before."""
        partition = partition_of("C1", PARTITIONS)
        append(ORDERS, partition, cancelled("before", "C1"))
        request = cancelled("request", "C1")
        log.commit(_checkpoint(1 - partition, [Publication(ORDERS, "C1", request)], Position(1, {})))
        assert log.ends(partition)[ORDERS] == 2
        before, asked = log.read(ORDERS, partition, 0, 9)
        assert (asked.key, asked.payload) == ("C1", encode_event(request))
        assert asked.timestamp > before.timestamp

    def test_an_output_is_no_input(self, log: Log) -> None:
        """Commits move only the ends of topics that tasks read."""
        log.commit(_checkpoint(0, [Publication(RUNS, "C1", None)], Position(1, {})))
        assert set(log.ends(0).values()) == {0}

    def test_the_changelog_ends_with_what_was_committed(self, log: Log) -> None:
        """Nothing is left for a store that has seen all checkpoints."""
        log.commit(_checkpoint(0, [], Position(1, {ORDERS: 1})))
        assert list(log.changelog(0, Position(1, {ORDERS: 1}))) == []


class TestClock:
    """`engine.ports.Clock`."""

    @pytest.fixture(params=["system", "scaled", "slow", "manual"])
    def clock(self, request: pytest.FixtureRequest) -> Clock:
        """Every adapter."""
        clocks: dict[str, Callable[[], Clock]] = {
            "system": SystemClock,
            "scaled": lambda: ScaledClock(1_772_000_000_000, 86_400),
            "slow": lambda: ScaledClock(1_772_000_000_000, 0.5),
            "manual": lambda: ManualClock(1_772_000_000_000),
        }
        return clocks[request.param]()

    def test_it_never_goes_back(self, clock: Clock) -> None:
        """Neither of its two hands."""
        first = (clock.now(), clock.monotonic())
        second = (clock.now(), clock.monotonic())
        assert second[0] >= first[0]
        assert second[1] >= first[1]

    def test_it_ticks_on_every_quarter_of_an_hour(self, clock: Clock) -> None:
        """So on every change of date, in whatever time zone."""
        assert QUARTER_MS % clock.tick_interval_ms == 0

    def test_the_past_is_not_waited_for(self, clock: Clock) -> None:
        """And the future is, unless waiting does not help."""
        assert clock.seconds_until(clock.now() - 1) == 0.0
        left = clock.seconds_until(clock.now() + 3_600_000_000)
        assert left is None or left > 0.0


def _read_one(log: Log, topic: str, partition: int, offset: int) -> InputRecord:
    (record,) = log.read(topic, partition, offset, 1)
    return record


def _changes(position: Position, rows: dict[tuple[str, str], int | None]) -> Changes:
    return Changes(
        {(COUNTS, *key): None if events is None else Count(events, 0) for key, events in rows.items()},  # type: ignore[misc]
        position,
    )


def _checkpoint(partition: int, publications: list[Publication], position: Position) -> Checkpoint:
    values = [None if each.record is None else encode_record(each.record) for each in publications]
    taken = tuple(Run(topic, 0, count) for topic, count in position.offsets.items())
    sequence = SequenceRecord(partition, position.number - 1, taken)
    return Checkpoint(partition, publications, values, sequence, Changes({}, position))
