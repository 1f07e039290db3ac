"""What a partition task promises, over the log and the store in memory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from credit_stream.core.events import Event, JournalLinePosted
from credit_stream.core.outputs import DeadLetter, InputPosition, RunCompleted
from credit_stream.core.topics import DEAD_LETTERS, INBOX, ORDERS, POSTINGS, RUNS, SEQUENCE
from credit_stream.core.view import LateRefusal, Publication, Refusal, StepResult, View
from credit_stream.engine.checkpoint import Changes, Checkpoint, Position
from credit_stream.engine.sequence import Run, Tick
from credit_stream.engine.task import BatchLimits, PartitionTask, Program, TaskStopped
from credit_stream.hosts.clock import ManualClock
from credit_stream.hosts.memory import MemoryLog, MemoryStore
from credit_stream.hosts.program import encode_record
from credit_stream.wire.avro import encode_event
from credit_stream.wire.read import read_event
from tests.engine.counting import COUNTS, Count, Crash, cancelled, scripted_step

PROGRAM = Program(read_event, scripted_step, encode_record)


class Bench:
    """One task with its log and store; `put` appends an input."""

    def __init__(self, limits: BatchLimits | None = None, program: Program = PROGRAM) -> None:
        self.log = MemoryLog(1)
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.limits = limits
        self.program = program
        self.task = self.new_task()

    def new_task(self) -> PartitionTask:
        """A task over the same log and store, as after a restart."""
        return PartitionTask(0, self.log, self.store, self.program, self.clock, self.limits)

    def put(self, event: Event, topic: str = ORDERS) -> None:
        """An input, as its bytes."""
        self.log.append(topic, 0, getattr(event, "customer_id", None), encode_event(event))

    def count(self, customer_id: str) -> Count | None:
        """The row that the store has."""
        return self.store.get(COUNTS, "", customer_id)


def letters(checkpoint: Checkpoint) -> list[Publication]:
    """The dead letters of a checkpoint."""
    return [publication for publication in checkpoint.publications if publication.topic == DEAD_LETTERS]


def test_nothing_is_visible_before_the_checkpoint() -> None:
    """Neither outputs nor rows nor positions."""
    bench = Bench()
    bench.put(cancelled("e1", "C1"))
    assert bench.task.take() == 1
    assert bench.task.is_dirty
    assert (bench.log.checkpoints[0], bench.count("C1"), bench.task.position.offsets) == ([], None, {})


def test_a_checkpoint_makes_outputs_rows_positions_and_sequence_durable() -> None:
    """All of one batch, together."""
    bench = Bench()
    for number in range(3):
        bench.put(cancelled(f"e{number}", "C1"))
    assert bench.task.take() == 3
    made = bench.task.checkpoint()
    assert [publication.record.processed for publication in made.publications] == [1, 2, 3]  # type: ignore[union-attr]
    assert made.values == [encode_record(publication.record) for publication in made.publications]  # type: ignore[arg-type]
    assert made.sequence.taken == (Run(ORDERS, 0, 3),)
    assert bench.count("C1") == Count(3, 0)
    assert bench.task.position.offsets == {ORDERS: 3}
    assert not bench.task.is_dirty


def test_a_crash_in_a_step_leaves_nothing_of_its_batch() -> None:
    """The inputs before it in the batch are taken again by the task that follows."""
    bench = Bench()
    bench.put(cancelled("e1", "C1"))
    assert bench.task.take() == 1
    bench.task.checkpoint()
    bench.put(cancelled("e2", "C1"))
    bench.put(cancelled("e3", "C1", source="crash"))
    with pytest.raises(Crash):
        bench.task.take()
    assert bench.count("C1") == Count(1, 0)
    assert len(bench.log.checkpoints[0]) == 1
    assert bench.new_task().take(1) == 1


def test_a_task_that_crashed_does_nothing_more() -> None:
    """What it has in memory may be half of a batch."""
    bench = Bench()
    bench.put(cancelled("e1", "C1", source="crash"))
    with pytest.raises(Crash):
        bench.task.take()
    for action in (bench.task.take, bench.task.checkpoint, lambda: bench.task.tick(1)):
        with pytest.raises(TaskStopped, match="e1"):
            action()


def test_a_log_that_cannot_commit_leaves_the_store_as_it_was() -> None:
    """The store is never ahead of the log: step 4 comes after step 3."""

    class FailingLog(MemoryLog):
        def commit(self, checkpoint: Checkpoint) -> Position:
            raise OSError("no room")

    bench = Bench()
    bench.log = FailingLog(1)
    bench.put(cancelled("e1", "C1"))
    task = bench.new_task()
    task.take()
    with pytest.raises(OSError, match="no room"):
        task.checkpoint()
    assert (bench.count("C1"), bench.store.position().number) == (None, 0)


def test_a_store_that_was_lost_after_the_commit_is_restored_from_the_changelog() -> None:
    """A crash between steps 3 and 4: the log has the checkpoint, the store does not."""

    class ForgetfulStore(MemoryStore):
        def write(self, changes: Changes) -> None:
            raise OSError("the process died here")

    bench = Bench()
    bench.store = ForgetfulStore()
    bench.put(cancelled("e1", "C1"))
    task = bench.new_task()
    task.take()
    with pytest.raises(OSError, match="died"):
        task.checkpoint()
    bench.store = MemoryStore()
    restored = bench.new_task()
    assert bench.count("C1") == Count(1, 0)
    assert restored.take() == 0


@pytest.mark.parametrize(
    ("source", "counted", "reason"),
    [("refuse", None, "invalid"), ("half", Count(1, 0), "limit_change_refused")],
)
def test_a_refusal_is_a_dead_letter_beside_what_was_written(source: str, counted: Count | None, reason: str) -> None:
    """Spec 12, and 8.1 for a refusal of which the rest counts: writes and publications stand."""
    bench = Bench()
    event = cancelled("e1", "C1", source)
    bench.put(event)
    bench.task.take()
    made = bench.task.checkpoint()
    assert bench.count("C1") == counted
    assert len(made.publications) == (1 if counted is None else 2)
    assert made.publications[-1].key == "C1"
    letter = made.publications[-1].record
    assert isinstance(letter, DeadLetter)
    assert (letter.dead_letter_id, letter.event_id, letter.reason) == (f"{ORDERS}/0/0", "e1", reason)
    assert letter.payload == encode_event(event)


@pytest.mark.parametrize(
    "payload", [b"", b"rubbish", b"\xff\xfe\x00", b"\x00" * 5, b"\xc3\x01" + b"\x00" * 20, b"[]", b'{"type":"Nothing"}']
)
def test_bytes_that_are_no_event_become_a_dead_letter_as_they_came(payload: bytes) -> None:
    """Nothing that arrives stops the stream, and nothing is dropped (spec 12)."""
    bench = Bench()
    bench.log.append(INBOX, 0, None, payload)
    bench.put(cancelled("e1", "C1"))
    assert bench.task.take() == 2
    made = bench.task.checkpoint()
    (buried,) = letters(made)
    assert isinstance(buried.record, DeadLetter)
    assert (buried.record.payload, buried.key, buried.record.reason in ("unreadable", "invalid")) == (
        payload, f"{INBOX}/0/0", True,
    )  # fmt: skip
    assert buried.record.message
    assert bench.count("C1") == Count(1, 0)


def test_a_message_between_tasks_is_not_believed_from_elsewhere() -> None:
    """Else anybody could post a limit that nobody approved."""
    forged = JournalLinePosted(
        event_id="e1", occurred_at=0, journal_id="J1", journal_type="credit_limit", line=1, customer_id="C1",
        credit_limit_minor=10**9, currency="EUR",
    )  # fmt: skip
    bench = Bench()
    bench.put(forged, topic=ORDERS)
    bench.put(forged, topic=POSTINGS)
    bench.task.take()
    made = bench.task.checkpoint()
    (buried,) = letters(made)
    assert isinstance(buried.record, DeadLetter)
    assert (buried.record.topic, buried.record.reason) == (ORDERS, "not_allowed")
    assert bench.count("C1") == Count(1, 0)


def test_what_is_refused_after_it_has_waited_is_buried_with_its_own_bytes_and_place() -> None:
    """Spec 12: an event that waited for an answer and then was not accepted can be sent in again as it came."""
    waited = cancelled("e1", "C1")
    place = InputPosition(topic=ORDERS, partition=0, offset=41, event_id="e1")
    late = LateRefusal(waited, place, Refusal("invalid", "Mend it."))

    def step(view: View, event: Event, position: InputPosition) -> StepResult:
        return StepResult({}, [], None, [late])

    bench = Bench(program=Program(read_event, step, encode_record))
    bench.put(cancelled("answer", "C1"))
    bench.task.take()
    (buried,) = letters(bench.task.checkpoint())
    assert buried.record == DeadLetter(
        dead_letter_id=f"{ORDERS}/0/41", topic=ORDERS, partition=0, offset=41, event_id="e1", reason="invalid",
        message="Mend it.", payload=encode_event(waited),
    )  # fmt: skip
    assert buried.key == "C1"


@pytest.mark.parametrize(
    ("limits", "inputs"),
    [
        pytest.param(BatchLimits(inputs_max=3), 3, id="count"),
        pytest.param(BatchLimits(bytes_max=1), 1, id="bytes"),
    ],
)
def test_a_batch_ends_by_count_or_bytes(limits: BatchLimits, inputs: int) -> None:
    """Whichever comes first; what is left is the next batch's."""
    bench = Bench(limits)
    for number in range(10):
        bench.put(cancelled(f"e{number}", "C1"))
    assert bench.task.take() == inputs
    assert bench.task.take() == 0
    bench.task.checkpoint()
    assert bench.task.take() == inputs


def test_a_batch_ends_when_its_first_input_has_waited_long_enough() -> None:
    """A reader does not wait for a full batch while the log is long."""
    clock = ManualClock()

    def slow(payload: bytes) -> Event:
        clock.advance(1)
        return cancelled(payload.decode(), "C1")

    bench = Bench(BatchLimits(linger_ms=100), PROGRAM._replace(read=slow))
    bench.clock = clock
    for number in range(1_000):
        bench.log.append(ORDERS, 0, "C1", str(number).encode())
    assert 100 <= bench.new_task().take() < 200


def test_a_tick_is_an_event_in_its_place_in_the_sequence() -> None:
    """Spec 10.1: replay sees it at the same place."""
    bench = Bench()
    bench.put(cancelled("e1", "C1"))
    bench.task.take()
    bench.task.tick(86_400_000)
    bench.put(cancelled("e2", "C1"))
    bench.task.take()
    made = bench.task.checkpoint()
    assert made.sequence.taken == (Run(ORDERS, 0, 1), Tick(86_400_000), Run(ORDERS, 1, 1))
    assert [_run(publication).business_date for publication in made.publications] == [0, 1]


def test_a_tick_says_that_it_was_made_by_its_task() -> None:
    """Its id is that of partition and instant, its place that of the sequence record."""
    seen: list[tuple[Event, object]] = []

    def watching(view: object, event: Event, position: object) -> object:
        seen.append((event, position))
        return scripted_step(view, event, position)  # type: ignore[arg-type]

    bench = Bench(program=PROGRAM._replace(step=watching))  # type: ignore[arg-type]
    bench.task.checkpoint()
    bench.task.tick(1_000)
    ((event, position),) = seen
    assert event.event_id == "tick/0/1000"
    assert (position.topic, position.partition, position.offset) == (SEQUENCE, 0, 1)  # type: ignore[attr-defined]


def test_a_request_is_taken_as_an_input_after_the_checkpoint_that_made_it() -> None:
    """It lies in the log like any other input, so that it outlives a crash."""
    bench = Bench()
    bench.put(cancelled("e1", "C1", source="forward"))
    assert bench.task.take() == 1
    assert bench.task.take() == 0
    assert bench.task.checkpoint().has_requests
    assert bench.task.take() == 1
    made = bench.task.checkpoint()
    assert [_run(publication).event_id for publication in made.publications] == ["e1/forwarded"]
    assert bench.count("friend of C1") == Count(1, 0)


def test_following_a_sequence_gives_the_same_checkpoints() -> None:
    """Replay of one task: the same order in, the same bytes out."""
    bench = Bench()
    for number in range(5):
        bench.put(cancelled(f"e{number}", f"C{number % 2}"))
        bench.task.take()
        bench.task.tick(number * 86_400_000)
        if number % 2:
            bench.task.checkpoint()
    bench.task.checkpoint()
    published = bench.log.checkpoints[0]
    bench.log.checkpoints[0] = []
    bench.store = MemoryStore()
    follower = bench.new_task()
    again = [follower.follow(checkpoint.sequence) for checkpoint in published]
    assert [_facts(checkpoint) for checkpoint in again] == [_facts(checkpoint) for checkpoint in published]


def test_following_a_sequence_without_its_inputs_says_what_is_missing() -> None:
    """A replay over a log that was cut off."""
    bench = Bench()
    bench.put(cancelled("e1", "C1"))
    bench.task.take()
    sequence = bench.task.checkpoint().sequence
    bench.log, bench.store = MemoryLog(1), MemoryStore()
    with pytest.raises(LookupError, match=r"credit\.orders of partition 0 has no record at offset 0"):
        bench.new_task().follow(sequence)


def _run(publication: Publication) -> RunCompleted:
    assert publication.topic == RUNS
    assert isinstance(publication.record, RunCompleted)
    return publication.record


def _facts(checkpoint: Checkpoint) -> tuple[object, list[bytes | None], Mapping[object, object]]:
    return checkpoint.sequence, checkpoint.values, checkpoint.changes.rows
