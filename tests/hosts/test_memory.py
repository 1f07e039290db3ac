"""The host in memory, with the core that counts and with the real one."""

from __future__ import annotations

import pytest

from credit_stream.core.events import SettingsPublished
from credit_stream.core.outputs import DeadLetter, RunCompleted
from credit_stream.core.topics import DEAD_LETTERS, INBOX, ORDERS
from credit_stream.engine.checkpoint import Changes, Position
from credit_stream.engine.task import Program, TaskStopped
from credit_stream.hosts.memory import BATCH_INPUTS_MAX, MemoryHost, MemoryStore, SettingsRefused
from credit_stream.hosts.replay import recompute
from credit_stream.wire.avro import encode_event
from credit_stream.wire.read import read_event
from tests.engine.counting import COUNTS, Count, Crash, cancelled, scripted_step

PROGRAM = Program(read_event, scripted_step, None)


def counted(produced: list[tuple[str, str, object]]) -> list[tuple[str, int]]:
    """Customer and count of every record that the counting core published."""
    return [(key, record.processed) for _, key, record in produced if isinstance(record, RunCompleted)]


def test_each_input_answers_with_what_it_led_to() -> None:
    """In the order of arising, and only its own."""
    host = MemoryHost(3, program=PROGRAM)
    assert counted(host.process_event(cancelled("e1", "C1"))) == [("C1", 1)]
    assert counted(host.process_event(cancelled("e2", "C2"))) == [("C2", 1)]
    assert counted(host.process_event(cancelled("e3", "C1"))) == [("C1", 2)]


def test_bytes_and_events_are_the_same_to_it() -> None:
    """A JSON line, Avro and a record lead to the same."""
    line = (
        b'{"type":"OrderCancelled","event_id":"e","occurred_at":"1970-01-01T00:00:00Z",'
        b'"order_id":"o","customer_id":"C"}'
    )
    forms = [
        MemoryHost(program=PROGRAM).process(line),
        MemoryHost(program=PROGRAM).process(encode_event(cancelled("e", "C"))),
        MemoryHost(program=PROGRAM).process_event(cancelled("e", "C")),
    ]
    assert forms[0] == forms[1] == forms[2]


def test_an_input_is_followed_to_its_end_before_the_next() -> None:
    """What a task asks of another is part of the same answer, and no output itself."""
    host = MemoryHost(4, program=PROGRAM)
    assert counted(host.process_event(cancelled("e1", "C1", "forward"))) == [("C1", 1), ("friend of C1", 1)]
    assert counted(host.process_event(cancelled("e2", "friend of C1"))) == [("friend of C1", 2)]


def test_what_is_for_all_goes_to_every_partition() -> None:
    """Settings are one stream that all read."""
    host = MemoryHost(3, program=PROGRAM)
    published = SettingsPublished(event_id="s1", occurred_at=0, version=1, document="{}")
    assert counted(host.process_event(published)) == [("nobody", 1)] * 3


def test_a_line_that_is_no_event_is_a_dead_letter_and_the_next_goes_on() -> None:
    """With the line as it came."""
    host = MemoryHost(program=PROGRAM)
    ((topic, key, letter),) = host.process(b"rubbish")
    assert isinstance(letter, DeadLetter)
    assert (topic, key, letter.payload) == (DEAD_LETTERS, f"{INBOX}/0/0", b"rubbish")
    assert counted(host.process_event(cancelled("e1", "C1"))) == [("C1", 1)]


def test_a_bad_line_of_a_known_type_lies_in_the_topic_of_its_type() -> None:
    """So that whoever owns that stream finds it."""
    host = MemoryHost(program=PROGRAM)
    ((_, _, letter),) = host.process(b'{"type":"OrderCancelled","event_id":"e1"}')
    assert isinstance(letter, DeadLetter)
    assert (letter.topic, letter.event_id) == (ORDERS, "e1")


def test_a_crash_answers_nothing_and_stops_the_host() -> None:
    """A broken invariant is never papered over."""
    host = MemoryHost(program=PROGRAM)
    host.process_event(cancelled("e1", "C1"))
    with pytest.raises(Crash):
        host.process_event(cancelled("e2", "C1", "crash"))
    with pytest.raises(TaskStopped):
        host.process_event(cancelled("e3", "C1"))


def test_batches_end_without_anybody_noticing() -> None:
    """More inputs than a batch has, with requests in between."""
    host = MemoryHost(2, program=PROGRAM)
    for number in range(1, 2 * BATCH_INPUTS_MAX + 2):
        source = "forward" if number % 100 == 0 else ""
        produced = counted(host.process_event(cancelled(f"e{number}", "C1", source)))
        assert produced[0] == ("C1", number)
        assert len(produced) == (2 if source else 1)


def test_without_keeping_the_log_forgets_what_was_taken() -> None:
    """A file of any length goes through."""
    host = MemoryHost(2, program=PROGRAM)
    for number in range(3 * BATCH_INPUTS_MAX):
        host.process_event(cancelled(f"e{number}", f"C{number % 9}"))
    kept = sum(len(records) for records in host.log._streams.values())
    assert kept <= 2 * BATCH_INPUTS_MAX


def test_a_tick_moves_every_partition() -> None:
    """Spec 10.1; what is counted afterwards carries the new date."""
    host = MemoryHost(2, program=PROGRAM)
    assert host.tick(3 * 86_400_000) == []
    days = {
        record.business_date
        for number in range(8)
        for _, _, record in host.process_event(cancelled(f"e{number}", f"C{number}"))
        if isinstance(record, RunCompleted)
    }
    assert days == {3}


def test_a_kept_log_is_replayed_to_the_same_records() -> None:
    """From the inputs and the sequence alone."""
    host = MemoryHost(2, program=PROGRAM, keep_log=True)
    for number in range(700):
        host.process_event(cancelled(f"e{number}", f"C{number % 7}"))
        if number % 50 == 0:
            host.tick(number * 86_400_000)
    host.checkpoint()
    for partition, made in enumerate(host.log.checkpoints):
        again = list(recompute(partition, host.log, [each.sequence for each in made], PROGRAM))
        assert [each.publications for each in again] == [each.publications for each in made]


def test_the_settings_to_begin_with_are_version_1() -> None:
    """The next that is published is version 2."""
    host = MemoryHost(settings_document="{}")
    assert host.process_event(SettingsPublished(event_id="s2", occurred_at=0, version=2, document="{}")) == []


def test_settings_that_are_not_accepted_are_refused_at_once() -> None:
    """With the sentence that the core has for it."""
    with pytest.raises(SettingsRefused, match="no_such"):
        MemoryHost(settings_document='{"no_such": 1}')


def test_a_row_that_was_deleted_leaves_nothing_behind() -> None:
    """A parent without rows takes no memory."""
    store = MemoryStore()
    store.write(Changes({(COUNTS, "p", "1"): Count(1, 0)}, Position(1, {})))  # type: ignore[dict-item]
    store.write(Changes({(COUNTS, "p", "1"): None}, Position(2, {})))  # type: ignore[dict-item]
    assert store._rows == {}
