"""What each input led to: the recorded order of a partition through a fresh task, input by input."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from credit_stream.core import step as core_step
from credit_stream.core.events import ClockTicked, Event
from credit_stream.core.outputs import DeadLetter, InputPosition, OutputRecord
from credit_stream.core.topics import BROADCAST_TOPICS, DEAD_LETTERS, SEQUENCE
from credit_stream.core.view import Publication, Refusal, StepResult, View
from credit_stream.engine.checkpoint import Checkpoint
from credit_stream.engine.ports import InputRecord
from credit_stream.engine.sequence import SequenceRecord
from credit_stream.engine.task import Program
from credit_stream.hosts.program import encode_record
from credit_stream.hosts.replay import recompute
from credit_stream.wire.faults import Fault
from credit_stream.wire.read import read_event

Read = Callable[[str, int, int, int], Sequence[InputRecord]]
"""Records of a topic and partition from an offset on, at most so many."""


@dataclass
class Taken:
    """One input of a partition and what it led to, in the order of arising. `record` is None for a task's own tick."""

    partition: int
    record: InputRecord | None
    event: Event | Fault
    position: InputPosition | None = None
    """Where the core saw it; None when it never came to the core."""
    refusal: Refusal | None = None
    publications: list[Publication] = field(default_factory=list)

    @property
    def is_accepted(self) -> bool:
        """Whether it did what it says; of a refused limit the rest of the update counts (spec 8.1)."""
        refused = self.refusal is not None and self.refusal.reason != "limit_change_refused"
        return self.position is not None and not refused

    @property
    def dead_letter(self) -> DeadLetter | None:
        """Its dead letter."""
        found = [each.record for each in self.publications if isinstance(each.record, DeadLetter)]
        return found[0] if found else None

    @property
    def is_told_elsewhere(self) -> bool:
        """Of what every partition refuses, partition 0 alone says so."""
        return self.record is not None and self.record.topic in BROADCAST_TOPICS and self.partition != 0


class _Inputs:
    """The inputs of all partitions, and those that a replaying task was given and has not looked at."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.given: deque[InputRecord] = deque()

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """What is there from an offset on."""
        found = self._read(topic, partition, offset, limit)
        self.given += found
        return found


class Retelling:
    """The replay of one partition: a task that follows, and a note of what each input led to."""

    def __init__(self, partition: int, partitions: int, read: Read) -> None:
        self._partition = partition
        self._inputs = _Inputs(read)
        self._taken: list[Taken] = []
        self._asked: deque[SequenceRecord] = deque()
        program = Program(self._read, self._step, self._encode)
        self._checkpoints = recompute(partition, self._inputs, self._next(), program, partitions)

    def follow(self, record: SequenceRecord) -> tuple[Checkpoint, list[Taken]]:
        """The checkpoint that took this, computed again, and its inputs one by one."""
        self._taken = []
        self._asked.append(record)
        return next(self._checkpoints), self._taken

    def _next(self) -> Iterator[SequenceRecord]:
        while True:
            yield self._asked.popleft()

    def _read(self, payload: bytes) -> Event | Fault:
        event = read_event(payload)
        self._taken.append(Taken(self._partition, self._inputs.given.popleft(), event))
        return event

    def _step(self, view: View, event: Event, position: InputPosition) -> StepResult:
        if position.topic == SEQUENCE:
            self._taken.append(Taken(self._partition, None, event))
        result = core_step.step(view, event, position)
        taken = self._taken[-1]
        taken.position, taken.refusal = position, result.refusal
        taken.publications += result.publications
        return result

    def _encode(self, record: OutputRecord | Event) -> bytes:
        if isinstance(record, DeadLetter):
            self._taken[-1].publications.append(Publication(DEAD_LETTERS, "", record))
        return encode_record(record)


def is_own_tick(taken: Taken) -> bool:
    """Whether the task made this tick itself."""
    return taken.record is None and isinstance(taken.event, ClockTicked)
