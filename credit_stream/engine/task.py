"""A partition task: takes the inputs of one partition in order, runs the core over them, makes checkpoints.

It owns partition p of every input and the rows of that partition; nobody else writes them. A host gets records to it
(through a `Log`), says when to take, when to tick and when to make a checkpoint; everything else is here, the same in
every host. An exception in a step is a broken invariant, not bad input: the task stops, and nothing of the batch that
it was in becomes visible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

from msgspec import Struct

from credit_stream.core.calendar import Instant
from credit_stream.core.events import ClockTicked, Event
from credit_stream.core.outputs import DeadLetter, InputPosition, OutputRecord
from credit_stream.core.topics import BROADCAST_TOPICS, DEAD_LETTERS, INTERNAL_TOPICS, SEQUENCE, TOPIC_OF_EVENT
from credit_stream.core.view import LateRefusal, Publication, Refusal, StepResult, View
from credit_stream.engine import checkpoint as checkpoints
from credit_stream.engine.checkpoint import Changes, Checkpoint, Position
from credit_stream.engine.merge import Merge
from credit_stream.engine.misplaced import misplaced
from credit_stream.engine.overlay import CACHED_ROWS_MAX, Overlay
from credit_stream.engine.ports import Clock, InputRecord, Log, Store
from credit_stream.engine.restore import restore
from credit_stream.engine.sequence import Run, SequenceBuilder, SequenceRecord, Tick
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.faults import Fault
from credit_stream.wire.keys import key_of

P = ParamSpec("P")
T = TypeVar("T")

Step = Callable[[View, Event, InputPosition], StepResult]
"""The core: a function of the rows, one event and where it lies in the log."""

INTERNAL_TYPES = frozenset(kind for kind, topic in TOPIC_OF_EVENT.items() if topic in INTERNAL_TOPICS)
"""Believed only where nobody but a task can write: they were checked when they were made."""

BURIED_BYTES_MAX = 3 * 1024 * 1024
"""Of an input, in its dead letter. A broker bounds what is written packed, so an input can be any size unpacked, and a
dead letter too large for its own topic would stop the partition for good."""
LINGER_LOOKS = 32
"""The clock is looked at once for so many inputs."""


class Program(NamedTuple):
    """What a task runs: bytes to event, the core's step, record to bytes.

    With no `encode` the checkpoints hold records only; that is for a host which prints or compares them.
    """

    read: Callable[[bytes], Event | Fault]
    step: Step
    encode: Callable[[OutputRecord | Event], bytes] | None


class BatchLimits(Struct, frozen=True):
    """What ends a batch, whichever comes first. `bytes_max` counts inputs and encoded outputs."""

    inputs_max: int = 2_000
    bytes_max: int = 4 * 1024 * 1024
    linger_ms: int = 10


class TaskStopped(RuntimeError):
    """The task crashed before; it must be made anew, from its last checkpoint."""


class PartitionTask:
    """One partition, from its last checkpoint on. Not thread-safe: one thread at a time."""

    def __init__(
        self,
        partition: int,
        log: Log,
        store: Store,
        program: Program,
        clock: Clock,
        limits: BatchLimits | None = None,
        currencies: Mapping[str, int] = CURRENCIES,
        cached_rows_max: int = CACHED_ROWS_MAX,
        partitions: int | None = None,
    ) -> None:
        """`partitions`: how many there are, where others write the inputs; an event that belongs in another partition
        is then a dead letter. None: the host has placed every input itself."""
        self.partition = partition
        self._partitions = partitions
        self._log = log
        self._store = store
        self._program = program
        self._clock = clock
        self._limits = limits or BatchLimits()
        self._position = restore(partition, log, store)
        self._overlay = Overlay(store, currencies, cached_rows_max)
        self._merge = Merge(partition, log, self._position.offsets)
        self._batch = _Batch(self._position)
        self._crash: BaseException | None = None

    @property
    def position(self) -> Position:
        """How far the last checkpoint is."""
        return self._position

    @property
    def is_dirty(self) -> bool:
        """Whether something was taken since the last checkpoint."""
        return self._batch.is_dirty

    @property
    def publications(self) -> Sequence[Publication]:
        """What the batch has led to so far; nobody sees it before the checkpoint but a host that keeps nothing."""
        return self._batch.publications

    def take(self, inputs_max: int | None = None) -> int:
        """Takes what the log has now, at most until the batch is full; how many inputs that were."""
        return self._guarded(self._take, self._limits.inputs_max if inputs_max is None else inputs_max)

    def take_next(self, record: InputRecord) -> bool:
        """Takes an input of which its host knows that it is the next, without a look into the log; False: the batch is
        full.

        For a host that follows each input to its end before it has another one, so that there is nothing to merge. A
        task gets its inputs in this way or by `take`, never in both.
        """
        return self._guarded(self._take_next, record)

    def tick(self, instant: Instant) -> None:
        """Moves the clock of the partition; part of the batch and of its sequence record (spec 10.1)."""
        self._guarded(self._tick, instant)

    def checkpoint(self) -> Checkpoint:
        """Makes the batch durable and visible, and begins the next one. See `checkpoint.write` for the order."""
        return self._guarded(self._checkpoint)

    def follow(self, sequence: SequenceRecord) -> Checkpoint:
        """Takes exactly what a checkpoint took before, in the same order, and makes that checkpoint (replay)."""
        return self._guarded(self._follow, sequence)

    def _guarded(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Whatever is raised stops the task for good: what is in memory may be half of a batch."""
        if self._crash is not None:
            raise TaskStopped(f"partition {self.partition} stopped before: {self._crash!r}") from self._crash
        try:
            return action(*args, **kwargs)
        except BaseException as error:
            self._crash = error
            raise

    def _follow(self, sequence: SequenceRecord) -> Checkpoint:
        for entry in sequence.taken:
            if isinstance(entry, Tick):
                self._tick(entry.instant)
            else:
                self._follow_run(entry)
        return self._checkpoint()

    def _take(self, inputs_max: int) -> int:
        merge, batch, limits = self._merge, self._batch, self._limits
        merge.look()
        taken = 0
        inputs_max = min(inputs_max, limits.inputs_max - batch.inputs)
        while taken < inputs_max and batch.size_bytes < limits.bytes_max:
            if not batch.inputs % LINGER_LOOKS and self._has_lingered(batch):
                break
            record = merge.take()
            if record is None:
                break
            self._handle(record)
            taken += 1
        return taken

    def _take_next(self, record: InputRecord) -> bool:
        batch, limits = self._batch, self._limits
        if batch.inputs >= limits.inputs_max or batch.size_bytes >= limits.bytes_max:
            return False
        self._handle(record)
        return True

    def _follow_run(self, run: Run) -> None:
        offset, end = run.first_offset, run.first_offset + run.count
        while offset < end:
            records = self._log.read(run.topic, self.partition, offset, end - offset)
            if not records:
                raise LookupError(
                    f"{run.topic} of partition {self.partition} has no record at offset {offset}, which was taken "
                    "once. A replay needs all inputs: keep them, or export them before they are deleted."
                )
            for record in records:
                self._handle(record)
            offset = records[-1].offset + 1

    def _handle(self, record: InputRecord) -> None:
        batch = self._batch
        batch.take(record)
        event = record.event
        if event is None:
            event = self._program.read(record.payload)
        if isinstance(event, Fault):
            self._bury(record, event.event_id, event.reason, event.message)
            return
        event_id = event.event_id
        if type(event) in INTERNAL_TYPES and record.topic not in INTERNAL_TOPICS:
            self._bury(record, event_id, "not_allowed", _forged(event))
            return
        if self._partitions is not None and (stray := misplaced(event, record, self._partitions)) is not None:
            self._bury(record, event_id, "invalid", stray)
            return
        position = InputPosition(
            topic=record.topic, partition=record.partition, offset=record.offset, event_id=event_id
        )
        refusal = self._run(event, position)
        if refusal is not None:
            self._bury(record, event_id, refusal.reason, refusal.message)

    def _tick(self, instant: Instant) -> None:
        event_id = f"tick/{self.partition}/{instant}"
        position = InputPosition(
            topic=SEQUENCE, partition=self.partition, offset=self._position.number, event_id=event_id
        )
        self._batch.tick(instant)
        refusal = self._run(ClockTicked(event_id=event_id, occurred_at=instant, instant=instant), position)
        if refusal is not None:
            raise RuntimeError(f"the core refused its own tick at {instant} ({refusal.reason}): {refusal.message}")

    def _run(self, event: Event, position: InputPosition) -> Refusal | None:
        result = self._program.step(self._overlay, event, position)
        if result.writes:
            self._overlay.apply(result.writes)
        if result.publications:
            self._publish(result.publications)
        for late in result.late:
            self._bury_late(late)
        return result.refusal

    def _publish(self, publications: list[Publication]) -> None:
        batch, encode = self._batch, self._program.encode
        batch.publications += publications
        if encode is None:
            return
        for publication in publications:
            record = publication.record
            value = None if record is None else encode(record)
            batch.values.append(value)
            if value is not None:
                batch.size_bytes += len(value)

    def _bury_late(self, late: LateRefusal) -> None:
        """A dead letter of an event that waited before it was refused, with the bytes that it is in Avro."""
        position, encode = late.position, self._program.encode
        payload = b"" if encode is None else encode(late.event)
        record = InputRecord(
            position.topic, position.partition, position.offset, 0, key_of(late.event), payload, late.event
        )
        self._bury(record, position.event_id, late.refusal.reason, late.refusal.message)

    def _bury(self, record: InputRecord, event_id: str | None, reason: str, message: str) -> None:
        """A dead letter with the bytes as they came (spec 12), keyed as the input was, if that can be told.

        What every partition reads is refused by every partition; partition 0 alone says so. Of bytes that no dead
        letter can hold it has the first: the rest lies where they came.
        """
        if record.topic in BROADCAST_TOPICS and self.partition != 0:
            return
        payload = record.payload
        if len(payload) > BURIED_BYTES_MAX:
            message = f"{message} Here are the first {BURIED_BYTES_MAX:,} of its {len(payload):,} bytes."
            payload = payload[:BURIED_BYTES_MAX]
        place = f"{record.topic}/{record.partition}/{record.offset}"
        letter = DeadLetter(
            dead_letter_id=place,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            event_id=event_id,
            reason=reason,
            message=message,
            payload=payload,
        )
        self._publish([Publication(DEAD_LETTERS, place if record.key is None else record.key, letter)])

    def _has_lingered(self, batch: _Batch) -> bool:
        """Whether the batch was open for as long as it may; a batch opens when this is asked before its first input."""
        now = self._clock.monotonic()
        if batch.inputs == 0:
            batch.opened_at = now
        return now - batch.opened_at > self._limits.linger_ms / 1000

    def _checkpoint(self) -> Checkpoint:
        batch = self._batch
        position = Position(self._position.number + 1, batch.offsets)
        made = Checkpoint(
            partition=self.partition,
            publications=batch.publications,
            values=batch.values,
            sequence=batch.sequence.record(self.partition, self._position.number),
            changes=Changes(self._overlay.pending, position),
        )
        checkpoints.write(made, self._log, self._store)
        self._overlay.settle()
        self._position = made.changes.position
        self._batch = _Batch(self._position)
        return made


def _forged(event: Event) -> str:
    kind = type(event).__name__
    return f"{kind} is what tasks send each other, and nobody else: send the command that leads to it instead."


class _Batch:
    """What was taken since the last checkpoint and what it led to; the rows are in the overlay."""

    __slots__ = ("inputs", "is_dirty", "offsets", "opened_at", "publications", "sequence", "size_bytes", "values")

    def __init__(self, begin: Position) -> None:
        self.offsets = dict(begin.offsets)
        self.publications: list[Publication] = []
        self.values: list[bytes | None] = []
        self.sequence = SequenceBuilder()
        self.inputs = 0
        self.size_bytes = 0
        self.opened_at = 0.0
        self.is_dirty = False

    def take(self, record: InputRecord) -> None:
        self.offsets[record.topic] = record.offset + 1
        self.sequence.take(record.topic, record.offset)
        self.inputs += 1
        self.size_bytes += len(record.payload)
        self.is_dirty = True

    def tick(self, instant: Instant) -> None:
        self.sequence.tick(instant)
        self.is_dirty = True
