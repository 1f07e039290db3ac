"""Events that lie where they do not belong are told, and become dead letters; those that lie right are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_stream.core.events import CreditGroupUpdated, EvaluateHolds, Event, JournalLinePosted, ReleaseOrder
from credit_stream.core.outputs import DeadLetter
from credit_stream.core.topics import (
    COMMANDS,
    CUSTOMERS,
    DEAD_LETTERS,
    GROUPS,
    INBOX,
    INPUT_TOPICS,
    INTERNAL_TOPICS,
    ORDERS,
    TOPIC_OF_EVENT,
)
from credit_stream.engine.misplaced import misplaced
from credit_stream.engine.ports import InputRecord
from credit_stream.engine.task import PartitionTask, Program
from credit_stream.hosts.clock import ManualClock
from credit_stream.hosts.memory import MemoryLog, MemoryStore
from credit_stream.hosts.placing import place
from credit_stream.hosts.program import encode_record
from credit_stream.wire.avro import encode_event
from credit_stream.wire.keys import key_of, partition_of, target_of
from credit_stream.wire.read import read_event
from tests.engine.counting import cancelled, counting_step
from tests.wire.made_records import records

PARTITIONS = 5
OUTSIDE_TYPES = [kind for kind, topic in TOPIC_OF_EVENT.items() if topic not in INTERNAL_TOPICS]
PROGRAM = Program(read_event, counting_step, encode_record)

outside_events = st.sampled_from(OUTSIDE_TYPES).flatmap(records)


def at(topic: str, partition: int, event: Event) -> InputRecord:
    """A record with this event, here."""
    return InputRecord(topic, partition, 0, 0, None, encode_event(event))


@given(outside_events)
def test_an_event_is_at_home_where_it_is_placed_and_nowhere_else(event: Event) -> None:
    """What places events from files and HTTP, and what judges those that others wrote, agree on every kind of event."""
    placement = place(event, PARTITIONS)
    may_be_anywhere = target_of(event) == "all"
    for partition in range(PARTITIONS):
        is_home = partition in placement.partitions or may_be_anywhere
        assert (misplaced(event, at(placement.topic, partition, event), PARTITIONS) is None) == is_home


@given(outside_events, st.sampled_from(INPUT_TOPICS))
def test_an_event_belongs_on_its_own_topic_only(event: Event, topic: str) -> None:
    """Who may write orders may not therefore write commands."""
    own = TOPIC_OF_EVENT[type(event)]
    partition = place(event, PARTITIONS).partitions[0]
    stray = misplaced(event, at(topic, partition, event), PARTITIONS)
    if topic == own:
        assert stray is None
    else:
        assert stray is not None
        assert own in stray and topic in stray


@pytest.mark.parametrize("kind", [kind for kind, topic in TOPIC_OF_EVENT.items() if topic in INTERNAL_TOPICS])
@given(data=st.data())
def test_what_tasks_write_each_other_is_at_home_in_the_partition_of_its_key(
    kind: type[Event], data: st.DataObject
) -> None:
    """They are produced with that key, by the partitioner that all have."""
    event = data.draw(records(kind))
    home = partition_of(key_of(event), PARTITIONS)
    for partition in range(PARTITIONS):
        stray = misplaced(event, at(TOPIC_OF_EVENT[kind], partition, event), PARTITIONS)
        assert (stray is None) == (partition == home)


HEAD = {"event_id": "e1", "occurred_at": 0}


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (cancelled("e1", "C1"), "C1"),
        (
            CreditGroupUpdated(
                **HEAD, group_id="G1", credit_currency="EUR", credit_limit_minor=1, credit_limit_expires_on=0
            ),
            "G1",
        ),  # type: ignore[arg-type]
        (ReleaseOrder(**HEAD, order_id="O1", customer_id="C1", release_reason="paid"), "C1"),  # type: ignore[arg-type]
    ],
    ids=["an order", "a group", "a command"],
)
def test_a_wrong_partition_is_named_with_the_right_one_and_what_to_do(event: Event, key: str) -> None:
    """A producer that hashes with CRC32, as librdkafka does by default, reads how to mend it."""
    home = partition_of(key, PARTITIONS)
    stray = misplaced(event, at(TOPIC_OF_EVENT[type(event)], (home + 1) % PARTITIONS, event), PARTITIONS)
    assert stray is not None
    assert f"{key!r} belongs in partition {home} of {PARTITIONS}" in stray
    assert "murmur2_random" in stray


def test_a_command_for_all_is_at_home_in_every_partition() -> None:
    """It is written once to each."""
    event = EvaluateHolds(**HEAD, actor="ana")  # type: ignore[arg-type]
    assert all(misplaced(event, at(COMMANDS, partition, event), PARTITIONS) is None for partition in range(PARTITIONS))


# --- through a task ---------------------------------------------------------------------------------------------


def letter_of(topic: str, event: Event, partitions: int | None) -> DeadLetter | None:
    """What the task of partition 0 says of an event on this topic."""
    log = MemoryLog(1)
    log.append(topic, 0, "key", encode_event(event))
    task = PartitionTask(0, log, MemoryStore(), PROGRAM, ManualClock(), partitions=partitions)
    assert task.take() == 1
    found = [each for each in task.checkpoint().publications if each.topic == DEAD_LETTERS]
    assert len(found) <= 1
    if not found:
        return None
    assert found[0].key == "key"
    assert isinstance(found[0].record, DeadLetter)
    return found[0].record


@pytest.mark.parametrize("topic", [CUSTOMERS, GROUPS, COMMANDS, INBOX])
def test_an_event_on_the_topic_of_others_is_a_dead_letter_and_counts_nowhere(topic: str) -> None:
    """With its place and its bytes, so that it can be sent again."""
    event = cancelled("e1", "C1")
    letter = letter_of(topic, event, 1)
    assert letter is not None
    assert (letter.topic, letter.partition, letter.offset) == (topic, 0, 0)
    assert (letter.reason, letter.event_id, letter.payload) == ("invalid", "e1", encode_event(event))


def test_an_event_in_the_partition_of_others_is_a_dead_letter() -> None:
    """Else its customer would have rows, and a limit, in two partitions."""
    stranger = next(name for name in (f"C{number}" for number in range(99)) if partition_of(name, PARTITIONS) != 0)
    letter = letter_of(ORDERS, cancelled("e1", stranger), PARTITIONS)
    assert letter is not None
    assert letter.reason == "invalid"
    assert "murmur2" in letter.message


def test_a_host_that_places_every_input_itself_has_nothing_judged() -> None:
    """Files and HTTP: what cannot be placed lies in partition 0."""
    stranger = next(name for name in (f"C{number}" for number in range(99)) if partition_of(name, PARTITIONS) != 0)
    assert letter_of(ORDERS, cancelled("e1", stranger), None) is None


def test_an_event_of_tasks_is_refused_as_such_wherever_else_it_comes() -> None:
    """That it lies on the wrong topic as well is not what its sender should mend."""
    event = JournalLinePosted(
        event_id="e1",
        occurred_at=0,
        journal_id="J1",
        journal_type="credit_limit",
        line=1,
        customer_id="C1",
        credit_limit_minor=1,
        currency="EUR",
    )
    letter = letter_of(ORDERS, event, 1)
    assert letter is not None
    assert letter.reason == "not_allowed"
