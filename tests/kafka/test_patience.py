"""What passes by itself on a cluster, a leader that moves above all, does not end a worker that opens a partition."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from credit_stream.core.topics import ORDERS
from credit_stream.engine.checkpoint import NOWHERE, Position
from credit_stream.hosts.kafka import changelog, patience, positions
from credit_stream.hosts.kafka.changelog import POSITION_KEY, ChangelogReader
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import BrokersLost, KafkaFailure
from credit_stream.hosts.kafka.patience import PASSING, answered, patiently
from credit_stream.hosts.kafka.positions import Positions

CONNECTION = Connection(brokers="127.0.0.1:1", application_id="nobody")
FINAL = KafkaError.TOPIC_AUTHORIZATION_FAILED
END = 7
ROW = b"\x05row"


class Message:
    """A record, or what the consumer says in its place."""

    def __init__(self, offset: int, key: bytes = ROW, error: int | None = None) -> None:
        self._offset = offset
        self._key = key
        self._error = error

    def offset(self) -> int:
        """Where it lies."""
        return self._offset

    def key(self) -> bytes:
        """Of a row, or of a position."""
        return self._key

    def value(self) -> None:
        """The row was deleted."""

    def error(self) -> KafkaError | None:
        """None for a record."""
        return None if self._error is None else KafkaError(self._error)


class Cluster:
    """Stands for a consumer: every question is answered with the troubles first, each once, then truly."""

    def __init__(self, *troubles: int) -> None:
        self._troubles = {name: list(troubles) for name in ("ends", "times", "committed", "poll")}
        self.messages = [Message(at) for at in range(END)] + [Message(END, error=KafkaError._PARTITION_EOF)]

    def _ask(self, name: str) -> None:
        if self._troubles[name]:
            raise KafkaException(KafkaError(self._troubles[name].pop(0)))

    def get_watermark_offsets(self, place: TopicPartition, seconds: float) -> tuple[int, int]:
        """Fails as a whole."""
        self._ask("ends")
        return 0, END

    def offsets_for_times(self, asked: list[TopicPartition], seconds: float) -> list[TopicPartition]:
        """Fails for one place and answers: the error stands beside it."""
        return self._beside("times", asked, 3)

    def committed(self, asked: list[TopicPartition], seconds: float) -> list[TopicPartition]:
        """As `offsets_for_times`."""
        return self._beside("committed", asked, 0)

    def _beside(self, name: str, asked: list[TopicPartition], offset: int) -> list[TopicPartition]:
        try:
            self._ask(name)
        except KafkaException as error:
            return [Place(each.topic, each.partition, -1001, error.args[0]) for each in asked]  # type: ignore[misc]
        return [Place(each.topic, each.partition, offset) for each in asked]  # type: ignore[misc]

    def consume(self, count: int, seconds: float) -> list[Message]:
        """Nothing waits: `poll` gives the next."""
        return []

    def poll(self, seconds: float) -> Message:
        """The troubles come as messages."""
        if self._troubles["poll"]:
            return Message(0, error=self._troubles["poll"].pop(0))
        return self.messages.pop(0)

    def assign(self, places: list[TopicPartition]) -> None:
        """From the beginning."""

    def close(self) -> None:
        """Nothing to let go of."""


class Place:
    """A topic partition with an error, which only the library itself can make."""

    def __init__(self, topic: str, partition: int, offset: int, error: KafkaError | None = None) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.error = error


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cluster]:
    """Puts a cluster with these troubles in the place of the brokers."""
    monkeypatch.setattr(patience, "AGAIN_SECONDS", 0.001)

    def put(*troubles: int) -> Cluster:
        cluster = Cluster(*troubles)
        for module in (changelog, positions):
            monkeypatch.setattr(module, "Consumer", lambda *_, **__: cluster)
        return cluster

    return put


def restored(reader: ChangelogReader) -> int:
    """How many rows are read."""
    return sum(len(each.encoded()) for each in reader.read(NOWHERE, lambda rows, reached: None))


@pytest.mark.parametrize("trouble", sorted(PASSING))
def test_whatever_passes_by_itself_is_waited_for_while_a_partition_is_opened(
    on: Callable[..., Cluster], trouble: int
) -> None:
    """Ends, times, committed offsets and the rows themselves."""
    on(trouble, trouble)
    reader = ChangelogReader(CONNECTION, 0)
    assert (reader.end, reader.kept_from) == (END, 3)
    assert restored(reader) == END
    on(trouble, trouble)
    offsets, ends = Positions(CONNECTION, 0).to_read_from(Position(1, {ORDERS: 5}))
    assert (offsets[ORDERS], ends[ORDERS]) == (5, END)


def test_the_end_of_the_rows_is_found_though_a_leader_moves(on: Callable[..., Cluster]) -> None:
    """By it a commit is judged whose answer never came: an error must not pass for the end."""
    cluster = on(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TRANSPORT)
    cluster.messages[-2:-1] = [Message(END - 2, POSITION_KEY)]  # A marker takes the last offset before the end.
    assert ChangelogReader(CONNECTION, 0).end_of_rows(0) == END - 1


def test_what_does_not_pass_is_told_at_once(on: Callable[..., Cluster]) -> None:
    """A right that is missing stays missing."""
    on(FINAL)
    with pytest.raises(BrokersLost, match="not to be had"):
        ChangelogReader(CONNECTION, 0)
    on(FINAL)
    with pytest.raises(KafkaFailure, match="offsets of partition 0"):
        Positions(CONNECTION, 0).to_read_from(NOWHERE)


def test_rows_that_cannot_be_read_are_told_at_once_or_when_the_patience_is_over(
    on: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that hears of nothing but troubles has an end too."""
    cluster = on()
    now = itertools.count(0.0, 10.0)
    monkeypatch.setattr(changelog.time, "monotonic", lambda: next(now))
    reader = ChangelogReader(CONNECTION, 0)
    cluster._troubles["poll"] = [FINAL]
    with pytest.raises(BrokersLost, match="is not to be read"):
        restored(reader)
    cluster._troubles["poll"] = [KafkaError._TRANSPORT] * 1_000
    with pytest.raises(BrokersLost, match="No record of"):
        restored(reader)
    assert len(cluster._troubles["poll"]) > 900


def test_a_question_without_an_answer_has_an_end() -> None:
    """The last reason is the one that is told."""
    asked: list[float] = []

    def nobody(seconds: float) -> Any:
        asked.append(seconds)
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    with pytest.raises(KafkaException):
        patiently(nobody, 0.3)
    assert len(asked) > 1
    assert asked == sorted(asked, reverse=True)


def test_an_error_beside_a_place_is_no_answer() -> None:
    """Its offset would be taken for "there is none", and all rows for forgotten."""
    with pytest.raises(KafkaException):
        answered([Place("t", 0, -1001, KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))])  # type: ignore[list-item]
