"""The host in memory: lists. Every input is followed to its end before the next is taken.

For files (`credit-stream process`), what-if, replay, tests and the simulator. Its log and store are the twins of those
on a disk and pass the same contract tests; rows and outputs stay decoded, because nothing here needs their bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from msgspec import Struct

from credit_stream.core.calendar import Instant
from credit_stream.core.events import Event, SettingsPublished
from credit_stream.core.outputs import DeadLetter, OutputRecord
from credit_stream.core.topics import DEAD_LETTERS, INPUT_TOPICS
from credit_stream.core.view import Publication, Table
from credit_stream.engine.checkpoint import INPUTS, NOWHERE, Changes, Checkpoint, Position
from credit_stream.engine.ports import InputRecord
from credit_stream.engine.sequence import Run
from credit_stream.engine.task import BatchLimits, PartitionTask, Program
from credit_stream.hosts.clock import ManualClock
from credit_stream.hosts.placing import home_of, place, tasks_of
from credit_stream.hosts.program import CREDIT_RECORDS
from credit_stream.wire.faults import Fault
from credit_stream.wire.keys import partition_of

R = TypeVar("R", bound=Struct)

BATCH_INPUTS_MAX = 500
"""Inputs of one open batch, whose writes are held twice."""

Produced = tuple[str, str, OutputRecord | None]
"""Topic, key and record of an output; no record: a tombstone."""


class MemoryStore:
    """The rows of one partition, decoded, in dicts."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Table[Any], str], dict[str, Any]] = {}
        self._position = NOWHERE

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row, or None when there is none."""
        rows = self._rows.get((table, parent))
        return None if rows is None else cast("R | None", rows.get(row_id))

    def ids(self, table: Table[R], parent: str) -> list[str]:
        """The ids of all rows under the parent, in code-point order."""
        return sorted(self._rows.get((table, parent), ()))

    def position(self) -> Position:
        """How far the rows are."""
        return self._position

    def write(self, changes: Changes) -> None:
        """Takes over the rows, unless they are in it already."""
        if not changes.position.is_beyond(self._position):
            return
        for (table, parent, row_id), row in changes.rows.items():
            if row is None:
                self._delete(table, parent, row_id)
            else:
                rows = self._rows.get((table, parent))
                if rows is None:
                    rows = self._rows[table, parent] = {}
                rows[row_id] = row
        self._position = changes.position

    def _delete(self, table: Table[Any], parent: str, row_id: str) -> None:
        rows = self._rows.get((table, parent), {})
        rows.pop(row_id, None)
        if not rows:
            self._rows.pop((table, parent), None)


class MemoryLog:
    """The inputs of all partitions, in lists.

    With `keep` all inputs, publications and checkpoints stay, for replay and restore. Without, an input is forgotten
    when it has been taken: a file of any length goes through.
    """

    def __init__(self, partitions: int = 1, keep: bool = True) -> None:
        self.partitions = partitions
        self.checkpoints: list[list[Checkpoint]] = [[] for _ in range(partitions)]
        """What each partition has committed, if it is kept."""
        self.waiting: deque[tuple[int, InputRecord]] = deque()
        """The inputs that have come and were not taken, in order of arrival, each with the task that is to take it."""
        self._keep = keep
        self._arrivals = 0
        self._streams: dict[tuple[str, int], list[InputRecord]] = {}
        self._forgotten: dict[tuple[str, int], int] = {}
        self._ends: list[dict[str, int]] = [dict.fromkeys(INPUT_TOPICS, 0) for _ in range(partitions)]

    def append(
        self, topic: str, partition: int, key: str | None, payload: bytes, event: Event | Fault | None = None
    ) -> InputRecord:
        """A new input at the end of its topic."""
        record = InputRecord(topic, partition, self._ends[partition][topic], self._arrivals, key, payload, event)
        self._arrivals += 1
        self._streams.setdefault((topic, partition), []).append(record)
        for task in tasks_of(topic, partition, self.partitions):
            self._ends[task][topic] = record.offset + 1
            self.waiting.append((task, record))
        return record

    def ends(self, partition: int) -> Mapping[str, int]:
        """The next offset of every input topic."""
        return self._ends[partition]

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """At most `limit` records from `offset` on."""
        stream = (topic, home_of(topic, partition))
        first = offset - self._forgotten.get(stream, 0)
        if first < 0:
            raise LookupError(f"{topic}/{partition}/{offset} was forgotten; a log with keep=True has it")
        return self._streams.get(stream, [])[first : first + limit]

    def commit(self, checkpoint: Checkpoint) -> Position:
        """Appends the requests among the publications; what was taken is forgotten, or all is kept."""
        for index, publication in enumerate(checkpoint.publications):
            if publication.topic in INPUTS:
                self._request(publication, checkpoint.values[index] if checkpoint.values else None)
        if self._keep:
            self.checkpoints[checkpoint.partition].append(checkpoint)
        else:
            self._forget(checkpoint)
        return checkpoint.changes.position

    def changelog(self, partition: int, position: Position) -> Iterable[Changes]:
        """The changes of the checkpoints after the position, as far as they are kept."""
        return [checkpoint.changes for checkpoint in self.checkpoints[partition][position.number :]]

    def _request(self, publication: Publication, value: bytes | None) -> None:
        event = cast("Event | None", publication.record)
        partition = home_of(publication.topic, partition_of(publication.key, self.partitions))
        self.append(publication.topic, partition, publication.key, value or b"", event)

    def _forget(self, checkpoint: Checkpoint) -> None:
        for entry in checkpoint.sequence.taken:
            if isinstance(entry, Run) and len(tasks_of(entry.topic, 0, self.partitions)) == 1:
                stream = (entry.topic, home_of(entry.topic, checkpoint.partition))
                del self._streams[stream][: entry.count]
                self._forgotten[stream] = self._forgotten.get(stream, 0) + entry.count


class MemoryHost:
    """The whole system in memory: bytes in, records out. Deterministic: the same inputs give the same records."""

    def __init__(
        self,
        partitions: int = 1,
        settings_document: str | None = None,
        *,
        program: Program = CREDIT_RECORDS,
        keep_log: bool = False,
    ) -> None:
        """With `settings_document` (JSON) these settings are in force from the start, as version 1.

        Raises `SettingsRefused` if they are not accepted.
        """
        self.log = MemoryLog(partitions, keep_log)
        self._program = program
        limits = BatchLimits(inputs_max=BATCH_INPUTS_MAX)
        self._tasks = [
            PartitionTask(partition, self.log, MemoryStore(), program, ManualClock(), limits)
            for partition in range(partitions)
        ]
        if settings_document is not None:
            self._begin_with(settings_document)

    def process(self, payload: bytes) -> list[Produced]:
        """Takes one input (a JSON line or Avro) and follows it to its end: what came out, in order of arising."""
        event = self._program.read(payload)
        placement = place(event, self.log.partitions)
        for partition in placement.partitions:
            self.log.append(placement.topic, partition, placement.key, payload, event)
        return self._follow()

    def process_event(self, event: Event) -> list[Produced]:
        """The same for an event that was never bytes; should it be refused, its dead letter has none either."""
        placement = place(event, self.log.partitions)
        for partition in placement.partitions:
            self.log.append(placement.topic, partition, placement.key, b"", event)
        return self._follow()

    def tick(self, instant: Instant) -> list[Produced]:
        """Moves the clock of every partition (spec 10.1)."""
        produced: list[Produced] = []
        for task in self._tasks:
            if task.is_dirty:
                task.checkpoint()
            task.tick(instant)
            produced += _outputs(task.checkpoint().publications)
        return produced + self._follow()

    def checkpoint(self) -> None:
        """Ends the open batches, so that a kept log has all that was taken."""
        for task in self._tasks:
            if task.is_dirty:
                task.checkpoint()

    def _follow(self) -> list[Produced]:
        """Takes what waits. Batches stay open over many inputs: here nothing is durable, and a checkpoint costs more
        than an input. Only requests have to come into the log at once, because they are the next to be taken."""
        produced: list[Produced] = []
        waiting = self.log.waiting
        while waiting:
            partition, record = waiting.popleft()
            task = self._tasks[partition]
            before = len(task.publications)
            if not task.take_next(record):
                task.checkpoint()
                before = 0
                task.take_next(record)
            new = task.publications[before:]
            outputs = _outputs(new)
            if len(outputs) < len(new):
                task.checkpoint()
            produced += outputs
        return produced

    def _begin_with(self, document: str) -> None:
        begin = SettingsPublished(event_id="settings/1", occurred_at=0, version=1, document=document)
        for topic, _, record in self.process_event(begin):
            if topic == DEAD_LETTERS and isinstance(record, DeadLetter):
                raise SettingsRefused(record.message)


class SettingsRefused(ValueError):
    """The settings to begin with are not accepted; the message says why and what to do."""


def _outputs(publications: Iterable[Publication]) -> list[Produced]:
    """What is for others; requests between tasks are inputs, not outputs."""
    outputs = [(each.topic, each.key, each.record) for each in publications if each.topic not in INPUTS]
    return cast("list[Produced]", outputs)
