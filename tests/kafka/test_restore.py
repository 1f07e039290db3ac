"""Rows come back from the changelog: all of them, byte for byte, however often the restore is broken off."""

from __future__ import annotations

import shutil
import threading
import uuid
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from msgspec import msgpack

from credit_stream.company import Plan, events
from credit_stream.core.topics import STATE
from credit_stream.engine.checkpoint import Position
from credit_stream.hosts.failures import StorageDamaged
from credit_stream.hosts.kafka import changelog
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failpoints import VARIABLE
from credit_stream.hosts.kafka.failures import OpeningCancelled
from credit_stream.hosts.kafka.worker import begin
from credit_stream.hosts.rocks_store import POSITIONS, STORE_FAMILIES
from credit_stream.hosts.rocks_store import STATE as ROWS
from credit_stream.hosts.rocksdb import Database
from credit_stream.local_kafka import LocalKafka
from tests.kafka.workers import (
    PARTITIONS,
    PATIENCE_SECONDS,
    Worker,
    WorkerProcess,
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

EVENTS = 1_200
"""Of the made-up company: several hundred rows, some of which end."""
Rows = dict[bytes, bytes]


def rows_in(state: Path) -> tuple[Rows, dict[int, Position]]:
    """All rows of a state directory that nobody has open, and how far its partitions are."""
    database = Database(state / "rocksdb", STORE_FAMILIES)
    try:
        rows = dict(database.families[ROWS].scan(b"\x00", b"\xff", 2**31))
        positions = dict(database.families[POSITIONS].scan(b"\x00", b"\xff", 2**31))
    finally:
        database.close()
    return rows, {int.from_bytes(key, "big"): msgpack.decode(value, type=Position) for key, value in positions.items()}


def inputs_of(positions: dict[int, Position]) -> dict[int, tuple[int, dict[str, int]]]:
    """Positions without their offset in the changelog, which may lie before or behind the end of a transaction."""
    return {partition: (each.number, dict(each.offsets)) for partition, each in positions.items()}


class Restored(NamedTuple):
    """What a worker said while it opened its partitions, and how many rows it got from the changelog."""

    said: list[str]
    rows: int


class Lived:
    """A system that has worked for a while, and the state directory of its one worker."""

    def __init__(self, connection: Connection, state: Path) -> None:
        self.connection = connection
        self.state = state
        self.rows, self.positions = rows_in(state)

    def assert_restored(self, state: Path) -> None:
        """The directory has the same rows, byte for byte, and is as far."""
        rows, positions = rows_in(state)
        assert rows == self.rows
        assert inputs_of(positions) == inputs_of(self.positions)

    def restore(self, state: Path) -> Restored:
        """All partitions were opened over this directory, without a group that would have to be waited for."""
        said: list[str] = []
        partitions = begin(self.connection, state, say=said.append, ticking=False)
        try:
            for partition in range(PARTITIONS):
                partitions.open(partition)
            rows = partitions.metrics.registry.get_sample_value("credit_stream_restored_rows_total")
        finally:
            partitions.stop()
        return Restored(said, int(rows or 0))


@pytest.fixture(scope="module")
def lived(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Nothing is written into it any more: it is restored again and again."""
    connection = system(kafka, f"restore.{uuid.uuid4().hex[:8]}.")
    send(connection, islice(events(Plan(customers=40, ticks=False, journals=False)), EVENTS))
    state = tmp_path_factory.mktemp("lived") / "state"
    with Worker(connection, state) as worker:
        wait_until_taken(connection, who=worker)
    lived = Lived(connection, state)
    assert len(lived.rows) > 300
    assert any(value is None for found in outputs(connection, (STATE,)).values() for _, value in found), "no row ended"
    return lived


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore of hundreds of rows has many steps."""
    monkeypatch.setattr(changelog, "CHUNK_ROWS", 25)


# --- a whole restore --------------------------------------------------------------------------------------------


def test_a_lost_directory_is_rebuilt_byte_for_byte(lived: Lived, tmp_path: Path) -> None:
    """The rows, and which inputs they have seen; rows that ended stay ended."""
    restored = lived.restore(tmp_path / "state")
    lived.assert_restored(tmp_path / "state")
    assert restored.rows >= len(lived.rows)


def test_a_directory_that_is_up_to_date_is_not_fetched_again(lived: Lived, tmp_path: Path) -> None:
    """Only what it lacks is read."""
    shutil.copytree(lived.state, tmp_path / "state")
    restored = lived.restore(tmp_path / "state")
    lived.assert_restored(tmp_path / "state")
    assert restored.rows == 0


def test_rows_so_old_that_the_end_of_others_may_be_forgotten_are_fetched_anew(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    """A worker that comes back after a holiday: half of the changelog is not enough for it."""
    break_off(lived, tmp_path / "state", chunks=3)
    monkeypatch.setattr(changelog, "FORGOTTEN_AFTER_MS", 0)
    restored = lived.restore(tmp_path / "state")
    lived.assert_restored(tmp_path / "state")
    assert [sentence for sentence in restored.said if "so old that the changelog may have forgotten" in sentence]


def test_a_changelog_that_was_compacted_gives_the_same_rows(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Most of it is gone by then: of each row only the newest version is left, and offsets have large gaps."""
    connection = system(kafka, topic_prefix)
    name = customer_of(0)
    with Worker(connection, tmp_path / "state") as worker:
        send(connection, [settings(), customer(name)])
        for number in range(30):
            send(connection, [order(f"O{number % 3}-{number}", name)])
            wait_until_taken(connection, who=worker)
        before = state_records(connection)
        have_compacted(kafka, connection)
        send(connection, [order("last", name)])
        wait_until_taken(connection, who=worker)
        worker.wait_for(lambda: state_records(connection) < before, "the brokers have compacted the changelog")
    lived = Lived(connection, tmp_path / "state")
    lived.restore(tmp_path / "new")
    lived.assert_restored(tmp_path / "new")


def state_records(connection: Connection) -> int:
    """How many records a reader of the changelog finds."""
    return sum(map(len, outputs(connection, (STATE,)).values()))


def have_compacted(kafka: LocalKafka, connection: Connection) -> None:
    """Tells the brokers to compact at once what they would compact when there is much of it."""
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    soon = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "100"}
    asked = {
        ConfigResource(ResourceType.TOPIC, connection.topic(STATE)): soon,
        ConfigResource(ResourceType.BROKER, "1"): {"log.cleaner.backoff.ms": "100"},
    }
    resources = [
        ConfigResource(each.restype, each.name, incremental_configs=[_set(*entry) for entry in entries.items()])
        for each, entries in asked.items()
    ]
    for resource in resources:
        # One by one: brokers and topics cannot be asked together.
        for future in client.incremental_alter_configs([resource]).values():
            future.result(PATIENCE_SECONDS)


def _set(name: str, value: str) -> ConfigEntry:
    return ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)


# --- broken off -------------------------------------------------------------------------------------------------


def break_off(lived: Lived, state: Path, chunks: int) -> None:
    """Takes partition 0 away in the middle of its restore, after so many chunks."""
    held, go_on = threading.Event(), threading.Event()
    reached = 0

    def reach(place: str) -> None:
        nonlocal reached
        reached += 1
        if reached == chunks:
            held.set()
            assert go_on.wait(PATIENCE_SECONDS)

    patch = pytest.MonkeyPatch()
    patch.setattr(changelog, "reach", reach)
    partitions = begin(lived.connection, state, say=lambda sentence: None, ticking=False)
    failures: list[BaseException] = []

    def open_it() -> None:
        try:
            partitions.open(0)
        except BaseException as error:
            failures.append(error)

    opening = threading.Thread(target=open_it)
    opening.start()
    assert held.wait(PATIENCE_SECONDS)
    assert partitions.health().says == "restoring partitions [0]"
    closing = threading.Thread(target=partitions.close, args=([0],))
    closing.start()
    until(lambda: partitions._owned[0].is_leaving, "it is being taken away")
    go_on.set()
    opening.join(PATIENCE_SECONDS)
    closing.join(PATIENCE_SECONDS)
    partitions.stop()
    patch.undo()
    assert [type(error) for error in failures] == [OpeningCancelled]


def test_a_restore_that_a_rebalance_breaks_off_is_taken_up_where_it_was(
    lived: Lived, tmp_path: Path, small_chunks: None
) -> None:
    """It ends soon, the worker lives on, and what was written is not fetched again."""
    break_off(lived, tmp_path / "state", chunks=4)
    rows, positions = rows_in(tmp_path / "state")
    assert 0 < positions[0].changelog < lived.positions[0].changelog
    assert 0 < len(rows) < len(lived.rows)
    restored = lived.restore(tmp_path / "state")
    lived.assert_restored(tmp_path / "state")
    assert 0 < restored.rows <= state_records(lived.connection) - len(rows)


def test_a_worker_that_is_killed_in_the_middle_of_a_restore_is_taken_up_where_it_was(
    lived: Lived, tmp_path: Path
) -> None:
    """Each chunk is one batch with how far it goes, so there is never a half of one."""
    chunks = "from credit_stream.hosts.kafka import changelog; changelog.CHUNK_ROWS = 25"
    environment = {VARIABLE: "open.restoring:5"}
    with WorkerProcess(lived.connection, tmp_path / "state", environment=environment, before=chunks) as process:
        assert process.wait() == -9
    _, positions = rows_in(tmp_path / "state")
    assert any(0 < each.changelog < lived.positions[at].changelog for at, each in positions.items())
    lived.restore(tmp_path / "state")
    lived.assert_restored(tmp_path / "state")


@pytest.mark.parametrize("place", ["open.fenced", "open.restored"])
def test_a_worker_that_is_killed_before_or_after_a_restore_leaves_nothing_half_done(
    lived: Lived, tmp_path: Path, place: str
) -> None:
    """The two other moments of opening."""
    with WorkerProcess(lived.connection, tmp_path / "state", environment={VARIABLE: place}) as process:
        assert process.wait() == -9
    lived.restore(tmp_path / "state")
    lived.assert_restored(tmp_path / "state")


# --- rows of several owners -------------------------------------------------------------------------------------


def test_a_worker_that_had_the_partition_long_ago_gets_what_others_wrote_and_loses_what_they_deleted(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Its own rows are old, and are brought up to date from where they were."""
    connection = system(kafka, topic_prefix)
    name = customer_of(0)
    send(connection, [settings(), customer(name), order("O1", name)])
    for number, state in enumerate(("first", "second", "second")):
        send(connection, [order(f"O{number + 2}", name)])
        with Worker(connection, tmp_path / state) as worker:
            wait_until_taken(connection, who=worker)
    send(connection, [order("O5", name, 80_000)])
    with Worker(connection, tmp_path / "first") as worker:
        wait_until_taken(connection, who=worker)
        assert worker.partitions.metrics.registry.get_sample_value("credit_stream_restored_rows_total")
    found = decisions(connection)
    assert {order_id: found[order_id].exposure_after.total_minor for order_id in found} == {
        "O1": 10_000, "O2": 20_000, "O3": 30_000, "O4": 40_000, "O5": 120_000,
    }  # fmt: skip
    assert found["O5"].verdict == "on_hold"


def test_rows_that_are_found_damaged_stop_the_worker_and_the_next_one_has_them_anew(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """The disk has lied: nothing is decided from what it says, and nobody has to repair anything."""
    connection = system(kafka, topic_prefix)
    name = customer_of(0)
    send(connection, [settings(), customer(name), order("O1", name)])
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
    table = max((tmp_path / "state" / "rocksdb").glob("*.sst"), key=lambda path: path.stat().st_size)
    content = bytearray(table.read_bytes())
    # The first block is one of rows; what is needed to open the file is at its end.
    content[20:60] = bytes(40)
    table.write_bytes(content)
    send(connection, [order("O2", name)])
    with Worker(connection, tmp_path / "state") as worker:
        assert isinstance(worker.wait_for_failure(), StorageDamaged)
    with Worker(connection, tmp_path / "state") as worker:
        wait_until_taken(connection, who=worker)
        assert [sentence for sentence in worker.said if "damaged" in sentence]
    assert decisions(connection)["O2"].exposure_after.total_minor == 20_000
