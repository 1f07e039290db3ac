"""The log of the embedded host: inputs, outputs and sequence records of all partitions in one RocksDB.

A record's key is its topic, partition and offset; its value is a head (timestamp, length of the record key, whether
there is a value at all), the record key and the payload. Nothing is ever deleted: the outputs are the audit trail.
`latest` has, for each output topic and key, where its newest record lies; a tombstone takes it away.

Inputs get a strictly increasing arrival number as their timestamp, over all topics and partitions: the order of arrival
is the order in which they are taken, live and when catching up, so a batch that was lost is taken again in the same
order and gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct as Layout
from threading import Lock
from typing import Literal, NamedTuple, cast

from msgspec import Struct

from credit_stream.core.events import Event
from credit_stream.core.topics import INPUT_TOPICS, SEQUENCE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import INPUTS, Changes, Checkpoint, Position
from credit_stream.engine.ports import InputRecord
from credit_stream.hosts.placing import home_of
from credit_stream.hosts.rocks_store import entries_of
from credit_stream.hosts.rocksdb import Database, Kind, after
from credit_stream.wire.faults import Fault
from credit_stream.wire.keys import partition_of

Fsync = Literal["always", "never"]

RECORDS = "records"
"""Topic, 0, partition (4 bytes), offset (8 bytes) to record."""
LATEST = "latest"
"""Topic, 0, key to partition (4 bytes) and offset (8 bytes) of the newest record."""

LOG_FAMILIES: dict[str, Kind] = {RECORDS: "log", LATEST: "rows"}

TAIL_RECORDS_MAX = 20_000
TAIL_BYTES_MAX = 16 * 1024 * 1024
"""How many new inputs, and how many bytes of payloads, are kept decoded for the tasks; more are read from the disk."""

_STREAM = Layout(">I")
_OFFSET = Layout(">Q")
_POINTER = Layout(">IQ")
_HEAD = Layout(">Qi?")
_NO_KEY = -1
_LAST = b"\xff" * _OFFSET.size

Stream = tuple[str, int]
"""Topic and partition."""


class StoredRecord(NamedTuple):
    """A record of the log as it lies there. `value` None: a tombstone; `key` None: it could not be told."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None


class NewInput(NamedTuple):
    """An input that is to be appended to a stream."""

    topic: str
    partition: int
    key: str | None
    payload: bytes
    event: Event | Fault | None


class Receipt(Struct, frozen=True, gc=False):
    """Where an input lies in the log."""

    topic: str
    partition: int
    offset: int


class EmbeddedLog:
    """A `Log` for all partitions. Appends come from any thread, reads and commits from that of the engine."""

    def __init__(self, database: Database, partitions: int, fsync: Fsync = "always") -> None:
        self.partitions = partitions
        self._database = database
        self._records = database.families[RECORDS]
        self._latest = database.families[LATEST]
        self._sync = fsync == "always"
        self._lock = Lock()
        self._prefixes: dict[Stream, bytes] = {}
        self._tails: dict[Stream, _Tail] = {}
        self._tail_records = 0
        self._tail_bytes = 0
        self._ends, self._arrivals = self._find_ends()

    # --- inputs ------------------------------------------------------------------------------------------------------

    def append(self, inputs: Sequence[NewInput]) -> list[Receipt]:
        """Appends all of them or none; they are durable when this returns (with `fsync` "always": on the disk)."""
        with self._lock:
            records = self._number(inputs)
            self._database.write({RECORDS: [self._entry(record) for record in records]}, self._sync)
            self._arrived(records)
        return [Receipt(record.topic, record.partition, record.offset) for record in records]

    def ends(self, partition: int) -> Mapping[str, int]:
        """For every input topic of the partition, the offset that its next record will get; as of one moment."""
        with self._lock:
            return {topic: self._ends.get((topic, home_of(topic, partition)), 0) for topic in INPUT_TOPICS}

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """At most `limit` inputs from `offset` on."""
        stream = (topic, home_of(topic, partition))
        with self._lock:
            tail = self._tails.get(stream)
            if tail is not None and offset >= tail.first:
                start = offset - tail.first
                return tail.records[start : start + limit]
        return [self._input(stream, key, value) for key, value in self._scan(stream, offset, limit)]

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def commit(self, checkpoint: Checkpoint) -> Position:
        """Outputs, requests, sequence record, rows and position of a checkpoint in one batch.

        Which checkpoints are synced: an input is synced when it is appended, and the order in which inputs are taken
        is fixed then. So a checkpoint that took inputs only is a function of what is on the disk already: if the
        machine loses power before the operating system has written it, the batch is taken again and gives the same
        bytes. Ticks are not in the inputs, and a request gets its arrival number only now; what holds one of them is
        synced, and with it everything that was written before.
        """
        wanted = self._requests(checkpoint)
        sync = self._sync and (bool(wanted) or checkpoint.sequence.has_ticks)
        with self._lock:
            requests = self._number(wanted)
            outputs = self._outputs(checkpoint)
            batch = entries_of(checkpoint.partition, checkpoint.changes)
            batch[RECORDS] = [
                *(_stored_entry(self._prefix((each.topic, each.partition)), each) for each in outputs),
                *(self._entry(record) for record in requests),
            ]
            batch[LATEST] = [_latest_entry(each) for each in outputs if each.topic != SEQUENCE]
            self._database.write(batch, sync)
            for each in outputs:
                self._ends[each.topic, each.partition] = each.offset + 1
            self._arrived(requests)
            self._trim(checkpoint.changes.position.offsets, checkpoint.partition)
        return checkpoint.changes.position

    def changelog(self, partition: int, position: Position) -> Iterable[Changes]:
        """Nothing: the rows lie in the same database and are written with the checkpoint."""
        return ()

    # --- for readers -------------------------------------------------------------------------------------------------

    def streams(self) -> Mapping[Stream, int]:
        """Every topic and partition that has records, with how many."""
        with self._lock:
            return dict(self._ends)

    def stored(self, topic: str, partition: int, offset: int, limit: int) -> list[StoredRecord]:
        """At most `limit` records of any topic from `offset` on."""
        stream = (topic, partition)
        return [_stored(stream, key, value) for key, value in self._scan(stream, offset, limit)]

    def latest(self, topic: str, key: str) -> StoredRecord | None:
        """The newest record of the key; None when there is none or the newest is a tombstone."""
        pointer = self._latest.get(_latest_key(topic, key))
        return None if pointer is None else self._follow([(topic, pointer)])[0]

    def scan_latest(self, topic: str, after_key: str | None, limit: int) -> list[StoredRecord]:
        """At most `limit` newest records of a topic, in the order of their keys, from after `after_key` on."""
        prefix = _latest_key(topic, "")
        start = prefix if after_key is None else prefix + after_key.encode() + b"\0"
        found = self._latest.scan(start, after(prefix), limit)
        return self._follow([(topic, pointer) for _, pointer in found])

    # --- inside ------------------------------------------------------------------------------------------------------

    def _find_ends(self) -> tuple[dict[Stream, int], int]:
        """The end of every stream, and the next arrival number: a few seeks for each stream, whatever its length."""
        ends: dict[Stream, int] = {}
        arrivals = 0
        key = self._records.first_from(b"")
        while key is not None:
            prefix = key[: -_OFFSET.size]
            last = self._records.last_to(prefix + _LAST)
            assert last is not None  # `key` itself is there
            topic, partition = prefix[: -_STREAM.size - 1].decode(), _STREAM.unpack(prefix[-_STREAM.size :])[0]
            ends[topic, partition] = _OFFSET.unpack(last[0][-_OFFSET.size :])[0] + 1
            if topic in INPUTS:
                arrivals = max(arrivals, _HEAD.unpack_from(last[1])[0] + 1)
            key = self._records.first_from(after(prefix))
        return ends, arrivals

    def _prefix(self, stream: Stream) -> bytes:
        prefix = self._prefixes.get(stream)
        if prefix is None:
            prefix = self._prefixes[stream] = stream[0].encode() + b"\0" + _STREAM.pack(stream[1])
        return prefix

    def _scan(self, stream: Stream, offset: int, limit: int) -> list[tuple[bytes, bytes]]:
        prefix = self._prefix(stream)
        return self._records.scan(prefix + _OFFSET.pack(offset), after(prefix), limit)

    def _number(self, inputs: Sequence[NewInput]) -> list[InputRecord]:
        """Gives offsets and arrival numbers; they count only when the records have been written (`_arrived`)."""
        ends: dict[Stream, int] = {}
        records = []
        for arrival, (topic, partition, key, payload, event) in enumerate(inputs, self._arrivals):
            stream = (topic, partition)
            offset = ends.get(stream)
            if offset is None:
                offset = self._ends.get(stream, 0)
            ends[stream] = offset + 1
            records.append(InputRecord(topic, partition, offset, arrival, key, payload, event))
        return records

    def _arrived(self, records: Sequence[InputRecord]) -> None:
        for record in records:
            stream = (record.topic, record.partition)
            self._ends[stream] = record.offset + 1
            self._arrivals = record.timestamp + 1
            tail = self._tails.get(stream)
            if tail is None:
                tail = self._tails[stream] = _Tail(record.offset)
            tail.records.append(record)
            self._tail_records += 1
            self._tail_bytes += len(record.payload)
        if self._tail_records > TAIL_RECORDS_MAX or self._tail_bytes > TAIL_BYTES_MAX:
            self._drop_tails()

    def _drop_tails(self) -> None:
        """The tasks are far behind: they go on from the disk until they reach what is new."""
        self._tails.clear()
        self._tail_records = 0
        self._tail_bytes = 0

    def _trim(self, offsets: Mapping[str, int], partition: int) -> None:
        """Lets go of what a task has taken. Streams that all tasks read are short; their tails end with the rest."""
        for topic, offset in offsets.items():
            tail = self._tails.get((topic, partition))
            if tail is None or home_of(topic, partition) != partition or offset <= tail.first:
                continue
            taken = tail.records[: offset - tail.first]
            del tail.records[: len(taken)]
            tail.first += len(taken)
            self._tail_records -= len(taken)
            self._tail_bytes -= sum(len(record.payload) for record in taken)

    def _requests(self, checkpoint: Checkpoint) -> list[NewInput]:
        requests = []
        for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
            if publication.topic in INPUTS:
                partition = home_of(publication.topic, partition_of(publication.key, self.partitions))
                event = cast("Event | None", publication.record)
                requests.append(NewInput(publication.topic, partition, publication.key, value or b"", event))
        return requests

    def _outputs(self, checkpoint: Checkpoint) -> list[StoredRecord]:
        """The outputs and the sequence record, with their offsets: outputs of a task go to its own partition."""
        partition = checkpoint.partition
        ends: dict[str, int] = {}
        outputs = []
        for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
            topic = publication.topic
            if topic in INPUTS:
                continue
            offset = ends.get(topic)
            if offset is None:
                offset = self._ends.get((topic, partition), 0)
            ends[topic] = offset + 1
            outputs.append(StoredRecord(topic, partition, offset, publication.key, value))
        taken = sequence.encode(checkpoint.sequence)
        outputs.append(StoredRecord(SEQUENCE, partition, checkpoint.sequence.number, str(partition), taken))
        return outputs

    def _entry(self, record: InputRecord) -> tuple[bytes, bytes]:
        key = self._prefix((record.topic, record.partition)) + _OFFSET.pack(record.offset)
        return key, _value(record.timestamp, record.key, record.payload)

    def _input(self, stream: Stream, key: bytes, value: bytes) -> InputRecord:
        arrival, record_key, payload = _parts(value)
        offset = _OFFSET.unpack(key[-_OFFSET.size :])[0]
        return InputRecord(stream[0], stream[1], offset, arrival, record_key, payload or b"")

    def _follow(self, pointers: Sequence[tuple[str, bytes]]) -> list[StoredRecord]:
        places = [(topic, *_POINTER.unpack(pointer)) for topic, pointer in pointers]
        keys = [self._prefix((topic, partition)) + _OFFSET.pack(offset) for topic, partition, offset in places]
        found = []
        for (topic, partition, _), key, value in zip(places, keys, self._records.get_many(keys), strict=True):
            assert value is not None  # pointer and record were written in one batch, and records are never deleted
            found.append(_stored((topic, partition), key, value))
        return found


class _Tail:
    """The newest inputs of one stream, decoded: the task need not read and decode what was written a moment ago."""

    __slots__ = ("first", "records")

    def __init__(self, first: int) -> None:
        self.first = first
        self.records: list[InputRecord] = []


def _value(timestamp: int, key: str | None, payload: bytes | None) -> bytes:
    name = b"" if key is None else key.encode()
    head = _HEAD.pack(timestamp, _NO_KEY if key is None else len(name), payload is not None)
    return head + name + (payload or b"")


def _parts(value: bytes) -> tuple[int, str | None, bytes | None]:
    timestamp, key_length, has_payload = _HEAD.unpack_from(value)
    payload_at = _HEAD.size + max(0, key_length)
    key = None if key_length == _NO_KEY else value[_HEAD.size : payload_at].decode()
    return timestamp, key, value[payload_at:] if has_payload else None


def _stored(stream: Stream, key: bytes, value: bytes) -> StoredRecord:
    _, record_key, payload = _parts(value)
    return StoredRecord(stream[0], stream[1], _OFFSET.unpack(key[-_OFFSET.size :])[0], record_key, payload)


def _stored_entry(prefix: bytes, record: StoredRecord) -> tuple[bytes, bytes]:
    return prefix + _OFFSET.pack(record.offset), _value(0, record.key, record.value)


def _latest_key(topic: str, key: str) -> bytes:
    return topic.encode() + b"\0" + key.encode()


def _latest_entry(record: StoredRecord) -> tuple[bytes, bytes | None]:
    pointer = None if record.value is None else _POINTER.pack(record.partition, record.offset)
    return _latest_key(record.topic, record.key or ""), pointer
