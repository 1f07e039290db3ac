"""The proof for the rows: the changelog and every worker's directory hold what a straight replay leaves.

Outputs alone show a wrong row only when a decision comes to use it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition
from msgspec import Struct, msgpack

from credit_stream.core.topics import STATE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import NOWHERE, Position
from credit_stream.engine.row_bytes import decode_key
from credit_stream.hosts.kafka.changelog import POSITION_KEY
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.program import CREDIT
from credit_stream.hosts.replay import recompute
from credit_stream.hosts.rocks_store import POSITIONS, STORE_FAMILIES, prefix_of
from credit_stream.hosts.rocks_store import STATE as ROWS
from credit_stream.hosts.rocksdb import Database, after
from tests.kafka.proof import SILENCE_SECONDS_MAX, History

Rows = dict[bytes, bytes]

NO_LIMIT = 2**31


class RowsProof(Struct, frozen=True):
    """How many rows in how many places were compared, and every difference, in words."""

    copies: int
    rows: int
    differences: list[str]


class _Copy(Struct, frozen=True):
    """The rows of one partition in one place."""

    where: str
    position: Position
    rows: Rows


class _Changelog:
    """The records of one partition of `credit.state` that a `read_committed` reader sees."""

    def __init__(self, records: list[tuple[int, bytes, bytes | None]]) -> None:
        self._records = records
        self._offsets = [offset for offset, _, _ in records]

    def copy(self) -> _Copy:
        """What a worker without any rows would restore."""
        rows: Rows = {}
        position = NOWHERE
        for _, key, value in self._records:
            if key == POSITION_KEY:
                position = msgpack.decode(value or b"", type=Position)
            else:
                _put(rows, key, value)
        return _Copy("the changelog", position, rows)

    def ends_a_checkpoint(self, offset: int) -> bool:
        """Whether rows up to here are those of a moment; of a restore that was broken off they are not."""
        before = bisect_left(self._offsets, offset) - 1
        return before >= 0 and self._records[before][1] == POSITION_KEY


def prove_rows(
    connection: Connection, partitions: int, directories: Iterable[Path], history: History | None = None
) -> RowsProof:
    """Compares the changelog, and the state directories of workers that have ended, with a replay.

    `history`: where it was read before.
    """
    changelogs = _changelogs(connection, partitions)
    copies = [[changelog.copy()] for changelog in changelogs]
    for directory in directories:
        for partition, copy in _in_directory(directory, partitions):
            if changelogs[partition].ends_a_checkpoint(copy.position.changelog):
                copies[partition].append(copy)
    history = history or History(connection, partitions)
    differences: list[str] = []
    for partition, taken in enumerate(history.taken):
        differences += _compare_all(partition, copies[partition], taken, history, partitions)
    every = [copy for found in copies for copy in found]
    return RowsProof(len(every), sum(len(copy.rows) for copy in every), differences)


def _compare_all(
    partition: int, copies: list[_Copy], taken: list[sequence.SequenceRecord], history: History, partitions: int
) -> Iterator[str]:
    """Each copy with the rows after as many checkpoints as it stands for."""
    computed: Rows = {}
    for number, checkpoint in enumerate(recompute(partition, history, taken, CREDIT, partitions), 1):
        for key, value in checkpoint.changes.encoded():
            _put(computed, key, value)
        for copy in copies:
            if copy.position.number == number:
                yield from _compare(f"partition {partition}, {copy.where}", copy.rows, computed)
    for copy in copies:
        if copy.position.number > len(taken):
            number = copy.position.number
            yield f"partition {partition}, {copy.where}: stands for {number} checkpoints of {len(taken)}"


def _compare(where: str, found: Mapping[bytes, bytes], computed: Mapping[bytes, bytes]) -> Iterator[str]:
    """One sentence for each table that differs."""
    differing: dict[str, int] = defaultdict(int)
    for key in found.keys() | computed.keys():
        if found.get(key) != computed.get(key):
            differing[decode_key(key)[0]] += 1
    for table, count in sorted(differing.items()):
        yield f"{where}: {count} rows of {table} are not as computed"


def _put(rows: Rows, key: bytes, value: bytes | None) -> None:
    if value is None:
        rows.pop(key, None)
    else:
        rows[key] = value


def _in_directory(directory: Path, partitions: int) -> Iterator[tuple[int, _Copy]]:
    database = Database(directory / "rocksdb", STORE_FAMILIES)
    try:
        for partition in range(partitions):
            prefix = prefix_of(partition)
            position = database.families[POSITIONS].get(prefix)
            if position is None:
                continue
            entries = database.families[ROWS].scan(prefix, after(prefix), NO_LIMIT)
            rows = {key[len(prefix) :]: value for key, value in entries}
            yield partition, _Copy(directory.name, msgpack.decode(position, type=Position), rows)
    finally:
        database.close()


def _changelogs(connection: Connection, partitions: int) -> list[_Changelog]:
    settings: dict[str, Any] = {
        **connection.client(),
        "group.id": f"{connection.application_id}-proof",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 50,
    }
    records: list[list[tuple[int, bytes, bytes | None]]] = [[] for _ in range(partitions)]
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(connection.topic(STATE), partition, 0) for partition in range(partitions)])
        unread = set(range(partitions))
        while unread:
            message = consumer.poll(SILENCE_SECONDS_MAX)
            assert message is not None, f"{STATE}: no record and no end for {SILENCE_SECONDS_MAX:.0f} s"
            error, partition = message.error(), cast(int, message.partition())
            if error is None:
                entry = (cast(int, message.offset()), cast(bytes, message.key()), cast("bytes | None", message.value()))
                records[partition].append(entry)
                continue
            assert error.code() == KafkaError._PARTITION_EOF, str(error)
            unread.discard(partition)
    finally:
        consumer.close()
    return [_Changelog(each) for each in records]
