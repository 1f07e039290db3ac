"""Workers of both hosts are killed at random: nothing is lost, nothing doubled. And the proof of it can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from credit_stream.company import Plan, events
from credit_stream.core.pools import PoolLedger
from credit_stream.core.topics import CUSTOMERS, DECISIONS, EXPOSURES, INPUT_TOPICS, ORDERS, SEQUENCE
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.topics import create
from credit_stream.local_kafka import LocalKafka
from tests.company.pools import contested
from tests.kafka import proof
from tests.kafka.audit import audit
from tests.kafka.campaign import Campaign
from tests.kafka.flow import Group, Sender
from tests.kafka.proof import Record, prove
from tests.kafka.rows_proof import prove_rows
from tests.kafka.worker_process import WorkerProcess, until

KILLS = 8
"""In CI. `make kill-test BUDGET=100` is the long form."""
EVENTS_A_SECOND = 100.0
"""Fewer than by hand: all of them are computed twice more and looked at one by one."""
PARTITIONS = 2

AHEAD_OF_THE_LOG = """
from credit_stream.engine import checkpoint

def write(made, log, store):
    store.write(made.changes)
    made.changes.position = log.commit(made)
    store.write(made.changes)

checkpoint.write = write
"""
"""The fault that a checkpoint's order is there against: rows are on the disk before the transaction has committed."""

CREDIT_GIVEN_TWICE = """
from credit_stream.core.pools import PoolLedger

PoolLedger.reserve = lambda pool, request_id, wish, room: None
"""
"""A fault of the core: what a group has granted does not count until the member reports it."""

Records = list[list[Record]]
"""By partition."""


def test_nothing_is_lost_or_doubled_while_workers_of_both_hosts_are_killed(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, seed: int
) -> None:
    """The short form of the campaign."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix.strip("."))
    report = Campaign(connection, tmp_path, seed).run(KILLS, EVENTS_A_SECOND)
    print(report.text())
    assert report.kills >= KILLS
    assert report.outputs > 0 and report.rows > 0
    assert report.audited.crossing > 0 and report.audited.released_by_group > 0
    assert not report.differences
    assert not report.troubles


@pytest.fixture(scope="module")
def as_it_was(finished: Connection) -> dict[str, Records]:
    """All that the proof reads of it."""
    streams = (*INPUT_TOPICS, *proof.OUTPUTS, SEQUENCE)
    return {each: proof.read_committed(finished, each, PARTITIONS) for each in streams}


@pytest.fixture(scope="module")
def finished(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Connection:
    """A small system whose worker has taken everything and ended."""
    connection = _system(kafka, "finished")
    group = Group(connection, PARTITIONS)
    directory = tmp_path_factory.mktemp("finished")
    worker = WorkerProcess(connection, directory / "rows", directory / "worker.log")
    until(group.has_taken_all, "all inputs are taken")
    assert worker.terminate() == 0
    group.close()
    return connection


def test_the_proof_finds_no_difference_where_there_is_none(finished: Connection) -> None:
    """Outputs and changelog of an undisturbed run."""
    found = prove(finished, PARTITIONS)
    assert found.inputs > 500 and found.outputs > 500
    assert not found.differences
    assert not audit(finished, PARTITIONS).findings
    assert not prove_rows(finished, PARTITIONS, []).differences


def twice(records: Records) -> Records:
    """A record that came twice."""
    return [[*each, *each[-1:]] for each in records]


def missing(records: Records) -> Records:
    """One that never came. The first: the last checkpoint may be a mere tick, which nothing else tells of."""
    return [each[1:] for each in records]


def swapped(records: Records) -> Records:
    """Two of one key in the wrong order."""
    return [_swapped(each) for each in records]


def _swapped(records: list[Record]) -> list[Record]:
    first: dict[str | None, int] = {}
    for at, record in enumerate(records):
        before = first.setdefault(record.key, at)
        if records[before].value != record.value:
            records = [*records]
            records[at], records[before] = records[before], records[at]
            return records
    raise AssertionError("no key has two records")


def changed(records: Records) -> Records:
    """One byte is another."""
    return [[*each[:-1], _changed(each[-1])] for each in records]


def _changed(record: Record) -> Record:
    value = record.value or b""
    return Record(record.offset, record.timestamp, record.key, value[:-1] + bytes((value[-1] ^ 1,)))


def of_another(records: Records) -> Records:
    """Under the key of somebody else."""
    return [[*each[:-1], _of_another(each[-1])] for each in records]


def _of_another(record: Record) -> Record:
    return Record(record.offset, record.timestamp, f"{record.key}x", record.value)


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (DECISIONS, twice),
        (DECISIONS, missing),
        (DECISIONS, swapped),
        (DECISIONS, changed),
        (DECISIONS, of_another),
        (EXPOSURES, missing),
        (ORDERS, missing),
        (ORDERS, changed),
        (SEQUENCE, twice),
        (SEQUENCE, missing),
        (CUSTOMERS, twice),
    ],
)
def test_the_proof_finds_what_is_doubled_missing_swapped_or_changed(
    finished: Connection,
    as_it_was: dict[str, Records],
    monkeypatch: pytest.MonkeyPatch,
    stream: str,
    fault: Callable[[Records], Records],
) -> None:
    """A reader sees one stream otherwise than it was."""
    records = as_it_was | {stream: fault(as_it_was[stream])}
    monkeypatch.setattr(proof, "read_committed", lambda connection, each, partitions: records[each])
    try:
        differences = prove(finished, PARTITIONS).differences
    except LookupError as error:  # An input that was taken is not there.
        differences = [str(error)]
    assert differences


def test_a_worker_whose_disk_runs_ahead_of_kafka_is_found_out(kafka: LocalKafka, tmp_path: Path) -> None:
    """A deliberately broken engine is killed between its two steps, and a sound one goes on from what it left."""
    connection = _system(kafka, "ahead")
    group = Group(connection, PARTITIONS)
    rows = tmp_path / "rows"
    broken = WorkerProcess(
        connection, rows, tmp_path / "broken.log", failpoint="checkpoint.produced:3", change=AHEAD_OF_THE_LOG
    )
    assert broken.wait() == -9, broken.text
    sound = WorkerProcess(connection, rows, tmp_path / "sound.log")
    until(group.has_taken_all, f"all inputs are taken: {sound.text}")
    assert sound.terminate() == 0
    group.close()
    assert prove(connection, PARTITIONS).differences


def test_a_pool_that_is_given_twice_is_found_out_though_every_byte_is_that_of_the_replay(
    kafka: LocalKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The straight replay has the same fault; the second model, which knows nothing of the core, has not."""
    connection = _system(kafka, "twice")
    group = Group(connection, PARTITIONS)
    worker = WorkerProcess(connection, tmp_path / "rows", tmp_path / "worker.log", change=CREDIT_GIVEN_TWICE)
    until(group.has_taken_all, f"all inputs are taken: {worker.text}")
    assert worker.terminate() == 0
    group.close()
    monkeypatch.setattr(PoolLedger, "reserve", lambda pool, request_id, wish, room: None)
    assert not prove(connection, PARTITIONS).differences
    assert [each for each in audit(connection, PARTITIONS).findings if "GroupCreditAnswered" in each]


def _system(kafka: LocalKafka, name: str) -> Connection:
    """Topics with some hundred events in them."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=f"{name}.", application_id=name)
    create(connection, PARTITIONS, 1)
    Sender(connection, PARTITIONS, contested(events(Plan(customers=40, days=None, orders_a_day=50))), 1).send(700)
    return connection
