"""A producer that does not get on is replaced; what it was about last is found in the changelog, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from credit_stream.core.topics import ORDERS, RUNS, STATE
from credit_stream.core.view import Publication
from credit_stream.engine.checkpoint import Checkpoint, Position
from credit_stream.hosts.kafka import transaction, transactional_producer
from credit_stream.hosts.kafka.changelog import ChangelogReader
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import BrokersLost, Fenced
from credit_stream.hosts.kafka.partitions import _group_metadata
from credit_stream.hosts.kafka.transaction import TransactionalWriter
from credit_stream.local_kafka import LocalKafka
from tests.hosts.test_ports import _checkpoint
from tests.kafka.flow import Group
from tests.kafka.proof import read_committed
from tests.kafka.workers import PARTITIONS, system

pytestmark = pytest.mark.filterwarnings("ignore:Producer abort_transaction failed during close:RuntimeWarning")
"""A producer that was left behind says once more that it was fenced."""

Call = Callable[..., object]
Change = Callable[[Call, tuple[Any, ...]], object]
"""What is done in the place of a call of librdkafka's, which is given with its arguments."""


def never(call: Call, arguments: tuple[Any, ...]) -> object:
    """The request does not leave, and the call says that it timed out."""
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", retriable=True))


class WithoutAnAnswer:
    """The brokers do it once, and nobody hears of it."""

    def __init__(self) -> None:
        self._is_done = False

    def __call__(self, call: Call, arguments: tuple[Any, ...]) -> object:
        if not self._is_done:
            self._is_done = True
            call(30.0)
        return never(call, arguments)


class Broken:
    """A producer, one call of which does not do what it should."""

    def __init__(self, producer: Producer, name: str, change: Change) -> None:
        self._producer = producer
        self._name = name
        self._change = change

    def __len__(self) -> int:
        return len(self._producer)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._producer, name)
        if name != self._name:
            return call
        return lambda *arguments: self._change(call, arguments)


@pytest.fixture
def break_next(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Change], None]:
    """Has the next producer that is made do something else at the call of a name; those after it are whole."""
    monkeypatch.setattr(transactional_producer, "CALL_SECONDS_MAX", 0.3)
    monkeypatch.setattr(transactional_producer, "NO_PROGRESS_SECONDS", 0.5)
    breaks: list[tuple[str, Change]] = []

    def make(*arguments: Any, **options: Any) -> Any:
        producer = Producer(*arguments, **options)
        return Broken(producer, *breaks.pop()) if breaks else producer

    monkeypatch.setattr(transactional_producer, "Producer", make)
    return lambda name, change: breaks.append((name, change))


@pytest.fixture
def connection(kafka: LocalKafka, topic_prefix: str) -> Connection:
    """To topics of its own."""
    return system(kafka, topic_prefix)


@pytest.fixture
def new_writer(connection: Connection) -> Iterator[Callable[[], TransactionalWriter]]:
    """Makes a writer of partition 0 that has read the changelog."""
    made: list[TransactionalWriter] = []
    group = _group_metadata(connection)

    def make() -> TransactionalWriter:
        made.append(TransactionalWriter(connection, 0, group))
        reader = ChangelogReader(connection, 0)
        made[-1].changelog_end = reader.end
        reader.close()
        return made[-1]

    yield make
    for writer in made:
        writer.close()


def checkpoint(number: int) -> Checkpoint:
    """One run completed, by its number."""
    return _checkpoint(0, [Publication(RUNS, f"run {number}", None)], Position(number, {ORDERS: number}))


def seen(connection: Connection) -> list[str | None]:
    """The runs that a `read_committed` reader sees."""
    return [record.key for partition in read_committed(connection, RUNS, PARTITIONS) for record in partition]


def last_row(connection: Connection) -> int:
    """The offset after the last record of the changelog."""
    return read_committed(connection, STATE, PARTITIONS)[0][-1].offset + 1


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("init_transactions", never),
        ("flush", lambda call, arguments: 1),
        ("send_offsets_to_transaction", never),
        ("commit_transaction", never),
        ("commit_transaction", WithoutAnAnswer()),
    ],
    ids=["fencing", "producing", "offsets", "commit lost", "answer to the commit lost"],
)
def test_a_checkpoint_is_there_once_whichever_call_gets_no_answer(
    connection: Connection,
    new_writer: Callable[[], TransactionalWriter],
    break_next: Callable[[str, Change], None],
    call: str,
    change: Change,
) -> None:
    """In particular a commit that was carried out is not made again, and one that was not is."""
    break_next(call, change)
    writer = new_writer()
    positions = [writer.write(checkpoint(1)), writer.write(checkpoint(2))]
    assert [each.number for each in positions] == [1, 2]
    assert sorted(map(str, seen(connection))) == ["run 1", "run 2"]
    assert positions[-1].changelog == last_row(connection)
    group = Group(connection, PARTITIONS)
    assert group.taken()[ORDERS, 0] == 2
    group.close()


def test_a_call_that_does_not_return_is_left_behind(
    connection: Connection, new_writer: Callable[[], TransactionalWriter], break_next: Callable[[str, Change], None]
) -> None:
    """`send_offsets_to_transaction` waits for a coordinator that is gone, whatever time it is given."""
    go_on, returned = Event(), Event()

    def hang(call: Call, arguments: tuple[Any, ...]) -> object:
        go_on.wait()
        try:
            return call(*arguments)
        finally:
            returned.set()

    break_next("send_offsets_to_transaction", hang)
    writer = new_writer()
    writer.write(checkpoint(1))
    go_on.set()  # The old one goes on in the middle of the next checkpoint, and must not disturb it.
    writer.write(checkpoint(2))
    assert returned.wait(30)
    writer.write(checkpoint(3))
    assert sorted(map(str, seen(connection))) == ["run 1", "run 2", "run 3"]


@pytest.mark.parametrize("call", ["flush", "commit_transaction"])
def test_whoever_has_the_partition_by_now_is_not_fenced_by_one_that_did_not_get_on(
    connection: Connection,
    new_writer: Callable[[], TransactionalWriter],
    break_next: Callable[[str, Change], None],
    call: str,
) -> None:
    """It sees in the changelog that it is not alone, ends, and the heir goes on."""
    heirs: list[TransactionalWriter] = []

    def be_overtaken(real: Call, arguments: tuple[Any, ...]) -> object:
        if not heirs:
            heirs.append(new_writer())
            heirs[0].write(checkpoint(1))
        return 1 if call == "flush" else never(real, arguments)

    break_next(call, be_overtaken)
    writer = new_writer()
    with pytest.raises(Fenced, match="Another worker has partition 0 now"):
        writer.write(checkpoint(1))
    heirs[0].write(checkpoint(2))
    assert sorted(map(str, seen(connection))) == ["run 1", "run 2"]


def test_one_that_is_fenced_says_so_also_where_the_call_says_only_that_all_is_over(
    connection: Connection, new_writer: Callable[[], TransactionalWriter], break_next: Callable[[str, Change], None]
) -> None:
    """`produce` does not tell which error was fatal."""
    told: list[object] = []

    def fatal(call: Call, arguments: tuple[Any, ...]) -> object:
        if told:
            return call(*arguments)
        told.append(True)
        new_writer().write(checkpoint(1))
        raise KafkaException(KafkaError(KafkaError._FATAL, "over", fatal=True))

    break_next("produce", fatal)
    writer = new_writer()
    with pytest.raises(Fenced):
        writer.write(checkpoint(1))
    assert seen(connection) == ["run 1"]


def test_a_writer_that_gets_on_with_no_producer_gives_up_when_its_time_is_over(
    connection: Connection,
    new_writer: Callable[[], TransactionalWriter],
    break_next: Callable[[str, Change], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then the process ends, and what is in doubt is settled by the next."""
    monkeypatch.setattr(transaction, "COMMIT_SECONDS_MAX", 2.0)
    for _ in range(20):
        break_next("flush", lambda call, arguments: 1)
    writer = new_writer()
    with pytest.raises(BrokersLost, match="start the worker again"):
        writer.write(checkpoint(1))
    assert seen(connection) == []
