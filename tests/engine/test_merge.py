"""The order in which the inputs of a partition are taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from credit_stream.core.topics import COMMANDS, CUSTOMERS, INPUT_TOPICS, ORDERS, PAYMENTS, SETTINGS
from credit_stream.engine import merge
from credit_stream.engine.checkpoint import Changes, Checkpoint, Position
from credit_stream.engine.merge import Merge
from credit_stream.engine.ports import InputRecord


class TableLog:
    """A log given as topic to timestamps; `withheld` topics are known to have records that cannot be read yet."""

    def __init__(self, table: Mapping[str, Sequence[int]]) -> None:
        self.table = {topic: list(timestamps) for topic, timestamps in table.items()}
        self.withheld: set[str] = set()

    def ends(self, partition: int) -> Mapping[str, int]:
        return {topic: len(self.table.get(topic, ())) for topic in INPUT_TOPICS}

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        if topic in self.withheld:
            return []
        timestamps = self.table[topic][offset : offset + limit]
        return [InputRecord(topic, partition, at, when, None, b"") for at, when in enumerate(timestamps, offset)]

    def commit(self, checkpoint: Checkpoint) -> Position:
        raise AssertionError("a merge only reads")

    def changelog(self, partition: int, position: Position) -> Iterable[Changes]:
        return ()


def taken(merged: Merge) -> list[str]:
    """What is taken until nothing more is known of, as `orders@0`."""
    order = []
    while (record := merged.take()) is not None:
        order.append(f"{record.topic.removeprefix('credit.')}@{record.offset}")
    return order


@pytest.mark.parametrize(
    ("table", "order"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({ORDERS: [1, 2]}, "orders@0 orders@1", id="one topic in the order of its offsets"),
        pytest.param({ORDERS: [1, 4], PAYMENTS: [2, 3]}, "orders@0 payments@0 payments@1 orders@1", id="lowest first"),
        pytest.param(
            {COMMANDS: [5], ORDERS: [5], CUSTOMERS: [5], SETTINGS: [5]},
            "settings@0 customers@0 orders@0 commands@0",
            id="ties: settings and customers before orders",
        ),
        pytest.param({ORDERS: [5, 3], PAYMENTS: [4]}, "payments@0 orders@0 orders@1", id="offsets before timestamps"),
        pytest.param({ORDERS: [5, 3], PAYMENTS: [5]}, "orders@0 orders@1 payments@0", id="a late one keeps its place"),
    ],
)
def test_the_lowest_timestamp_is_next_and_ties_go_by_topic(table: dict[str, list[int]], order: str) -> None:
    """Design 3, point 1, as a table."""
    assert taken(Merge(0, TableLog(table), {})) == order.split()


def test_a_merge_begins_at_the_given_offsets() -> None:
    """After a restart nothing is taken that was taken."""
    log = TableLog({ORDERS: [1, 2, 3], PAYMENTS: [1]})
    assert taken(Merge(0, log, {ORDERS: 2, PAYMENTS: 1})) == ["orders@2"]


def test_what_comes_after_a_look_is_taken_after_the_next_look() -> None:
    """Else a topic that was looked at early could be overtaken by one that was looked at late."""
    log = TableLog({ORDERS: [1]})
    merged = Merge(0, log, {})
    log.table[ORDERS].append(3)
    log.table[CUSTOMERS] = [2]
    assert taken(merged) == ["orders@0"]
    merged.look()
    assert taken(merged) == ["customers@0", "orders@1"]


def test_a_topic_that_is_known_to_have_more_is_waited_for() -> None:
    """While catching up, a slow topic is not overtaken by a fast one."""
    log = TableLog({CUSTOMERS: [1], ORDERS: [2]})
    log.withheld.add(CUSTOMERS)
    merged = Merge(0, log, {})
    assert taken(merged) == []
    merged.look()
    assert taken(merged) == []
    log.withheld.clear()
    merged.look()
    assert taken(merged) == ["customers@0", "orders@0"]


def test_a_topic_that_dries_up_in_the_middle_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same when some of its records were there."""
    monkeypatch.setattr(merge, "READ_RECORDS_MAX", 1)
    log = TableLog({CUSTOMERS: [1, 2], ORDERS: [3]})
    merged = Merge(0, log, {})
    log.withheld.add(CUSTOMERS)
    assert taken(merged) == ["customers@0"]
    log.withheld.clear()
    merged.look()
    assert taken(merged) == ["customers@1", "orders@0"]


def test_topics_longer_than_a_buffer_are_merged_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer that runs empty is filled before anything else is taken."""
    monkeypatch.setattr(merge, "READ_RECORDS_MAX", 2)
    log = TableLog({ORDERS: [0, 2, 4, 6, 8], PAYMENTS: [1, 3, 5, 7, 9]})
    assert taken(Merge(0, log, {})) == [f"{topic}@{at}" for at in range(5) for topic in ("orders", "payments")]
