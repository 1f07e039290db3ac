"""The inputs of one partition as a Kafka host feeds them: what waits, for whom, how much, and each record once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Thread
from typing import cast

import pytest

from credit_stream.core.topics import BROADCAST_TOPICS, CUSTOMERS, INPUT_TOPICS, ORDERS, PAYMENTS, POSTINGS
from credit_stream.engine.merge import Merge
from credit_stream.engine.ports import InputRecord
from credit_stream.hosts.kafka import log as kafka_log
from credit_stream.hosts.kafka.log import KafkaLog, Stream
from credit_stream.hosts.kafka.transaction import TransactionalWriter

NO_WRITER = cast("TransactionalWriter", None)
"""Nothing is committed here."""


def record(stream: str, offset: int, timestamp: int = 0, payload: bytes = b"") -> InputRecord:
    """An input of partition 0."""
    return InputRecord(stream, 0, offset, timestamp, None, payload)


class Feeding:
    """A log and the merge over it, with a host that is a table."""

    def __init__(self, begin: dict[str, int] | None = None, ends: dict[str, int] | None = None) -> None:
        self.log = KafkaLog(NO_WRITER, lambda position: ())
        self.log.begin_at(begin or {}, ends or {})
        self.merge = Merge(0, self.log, begin or {})

    def feed(self, stream: str, *offsets_and_timestamps: tuple[int, int]) -> None:
        """Records that have come."""
        for offset, timestamp in offsets_and_timestamps:
            self.log.streams[stream].feed(record(stream, offset, timestamp))

    def reach_ends(self, *but: str) -> None:
        """All streams were read to their ends, but for these."""
        for name, stream in self.log.streams.items():
            if name not in but:
                stream.reached_end(stream.next_offset)

    def taken(self) -> str:
        """What is taken after a look, as `orders@0`."""
        self.merge.look()
        return " ".join(f"{each.topic.removeprefix('credit.')}@{each.offset}" for each in iter(self.merge.take, None))


# --- catching up ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", INPUT_TOPICS)
def test_nothing_is_taken_before_the_end_of_every_stream_was_seen(missing: str) -> None:
    """One that is still being read may have a record that comes first."""
    feeding = Feeding()
    feeding.feed(ORDERS if missing != ORDERS else PAYMENTS, (0, 5))
    feeding.reach_ends(missing)
    assert feeding.taken() == ""
    feeding.reach_ends()
    assert feeding.taken() == ("orders@0" if missing != ORDERS else "payments@0")


def test_streams_that_come_one_after_the_other_are_taken_by_their_timestamps() -> None:
    """A cold start: the orders were there long before the customers."""
    feeding = Feeding()
    feeding.feed(ORDERS, (0, 10), (1, 30))
    feeding.reach_ends(CUSTOMERS)
    assert feeding.taken() == ""
    feeding.feed(CUSTOMERS, (0, 9))
    assert feeding.taken() == "customers@0", "the next customer may be older than the first order"
    feeding.feed(CUSTOMERS, (1, 20), (2, 40))
    assert feeding.taken() == "orders@0 customers@1 orders@1 customers@2"


def test_a_live_stream_is_never_waited_for() -> None:
    """What comes later is taken as it comes, whatever its timestamp says."""
    feeding = Feeding()
    feeding.reach_ends()
    feeding.feed(ORDERS, (0, 50))
    assert feeding.taken() == "orders@0"
    feeding.feed(CUSTOMERS, (0, 1))
    assert feeding.taken() == "customers@0"


def test_an_end_that_lies_behind_what_was_fed_makes_no_stream_live() -> None:
    """The word of a reading that was overtaken by the next."""
    feeding = Feeding()
    feeding.feed(ORDERS, (0, 1), (1, 2))
    assert not feeding.log.streams[ORDERS].reached_end(1)
    assert not feeding.log.streams[ORDERS].is_live


def test_a_stream_that_was_read_as_far_as_it_went_at_first_is_live() -> None:
    """A consumer tells of an end only where nothing comes for a moment; of a busy topic it never does."""
    feeding = Feeding({ORDERS: 0, PAYMENTS: 4}, {ORDERS: 2, PAYMENTS: 4})
    feeding.reach_ends(ORDERS, PAYMENTS)
    assert feeding.log.streams[PAYMENTS].is_live, "there was nothing in it to be read"
    feeding.feed(ORDERS, (0, 5))
    assert feeding.taken() == "orders@0"
    assert not feeding.log.streams[ORDERS].is_live
    feeding.feed(ORDERS, (1, 6))
    assert feeding.log.streams[ORDERS].is_live
    feeding.feed(CUSTOMERS, (0, 1))
    assert feeding.taken() == "customers@0 orders@1"


def test_a_log_is_caught_up_when_what_was_there_at_first_was_taken_however_much_has_come_since() -> None:
    """From then on the task ticks; with inputs that come all the time there is no moment when nothing waits."""
    feeding = Feeding({ORDERS: 3}, {ORDERS: 5})
    feeding.reach_ends(ORDERS)
    feeding.feed(ORDERS, (3, 1))
    assert not feeding.log.is_caught_up({ORDERS: 4})
    feeding.feed(ORDERS, (4, 2))
    assert not feeding.log.is_caught_up({ORDERS: 4})
    feeding.feed(ORDERS, (5, 3))
    assert feeding.log.is_caught_up({ORDERS: 5})
    assert feeding.log.is_caught_up({ORDERS: 6})


# --- offsets ----------------------------------------------------------------------------------------------------


def test_gaps_in_the_offsets_where_transactions_ended_are_no_records() -> None:
    """Requests between tasks are written by transactions, and the end of each takes an offset."""
    feeding = Feeding()
    feeding.feed(POSTINGS, (0, 1), (2, 2), (5, 3))
    feeding.log.streams[POSTINGS].reached_end(7)
    feeding.reach_ends(POSTINGS)
    assert feeding.taken() == "postings@0 postings@2 postings@5"
    feeding.feed(POSTINGS, (8, 4))
    assert feeding.taken() == "postings@8"


def test_a_stream_of_which_only_the_end_of_a_transaction_is_left_is_at_its_end() -> None:
    """A restart behind the last request: nothing more will come, and nobody waits."""
    feeding = Feeding({POSTINGS: 6})
    feeding.log.streams[POSTINGS].reached_end(7)
    feeding.reach_ends(POSTINGS)
    feeding.feed(ORDERS, (0, 1))
    assert feeding.taken() == "orders@0"
    assert feeding.log.streams[POSTINGS].lag == 0


def test_a_stream_that_lost_its_beginning_before_it_was_ever_read_is_not_waited_for() -> None:
    """It begins at 5 and is empty: there is nothing before that which could still come."""
    feeding = Feeding()
    feeding.log.begin_at({CUSTOMERS: 5}, {CUSTOMERS: 5})
    feeding.reach_ends()
    feeding.feed(ORDERS, (0, 1))
    assert feeding.taken() == "orders@0"
    feeding.feed(CUSTOMERS, (5, 2))
    assert feeding.taken() == "customers@5"


def test_a_record_that_comes_twice_is_taken_once() -> None:
    """A host may read again from an earlier offset."""
    feeding = Feeding({ORDERS: 3})
    feeding.reach_ends()
    feeding.feed(ORDERS, (2, 1), (3, 1), (4, 1), (3, 1), (4, 1), (5, 1))
    assert feeding.taken() == "orders@3 orders@4 orders@5"


def test_a_log_gives_each_record_once() -> None:
    """A task that begins anew gets a new log; this one does not keep what it gave."""
    feeding = Feeding()
    feeding.feed(ORDERS, (0, 1), (1, 2))
    assert [each.offset for each in feeding.log.read(ORDERS, 0, 0, 9)] == [0, 1]
    assert list(feeding.log.read(ORDERS, 0, 0, 9)) == []


# --- how much waits ---------------------------------------------------------------------------------------------


def fed(stream: Stream, count: int, payload: bytes = b"") -> None:
    """So many more records."""
    for offset in range(stream.next_offset, stream.next_offset + count):
        stream.feed(record(ORDERS, offset, payload=payload))


def test_a_stream_is_crowded_from_a_bound_on_until_most_of_it_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """So reading is paused seldom and for long, not for every record."""
    monkeypatch.setattr(kafka_log, "RECORDS_MAX", 8)
    stream = Stream()
    fed(stream, 7)
    assert not stream.is_crowded
    fed(stream, 1)
    assert stream.is_crowded
    stream.take(6)
    assert stream.is_crowded
    stream.take(1)
    assert not stream.is_crowded
    fed(stream, 6)
    assert not stream.is_crowded


def test_a_few_large_records_are_a_crowd_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is in bytes as well."""
    monkeypatch.setattr(kafka_log, "BYTES_MAX", 1_000)
    stream = Stream()
    fed(stream, 4, bytes(250))
    assert stream.is_crowded
    stream.take(3)
    assert stream.is_crowded
    stream.take(1)
    assert not stream.is_crowded


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns a thousand times as often as they would."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_bytes_are_counted_right_while_one_thread_feeds_and_another_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that drifts upwards has a stream paused for ever, one that drifts downwards fills the memory."""
    monkeypatch.setattr(kafka_log, "BYTES_MAX", 100)
    monkeypatch.setattr(kafka_log, "RECORDS_MAX", 2**31)
    stream, count = Stream(), 30_000
    feeder = Thread(target=fed, args=(stream, count, b"12345"))
    feeder.start()
    taken = 0
    while taken < count:
        taken += len(stream.take(50))
    feeder.join()
    assert not stream.is_crowded
    fed(stream, 19, b"12345")
    assert not stream.is_crowded
    fed(stream, 1, b"12345")
    assert stream.is_crowded


# --- lag ----------------------------------------------------------------------------------------------------------


def test_the_lag_is_what_waits_here_and_what_is_known_to_lie_on_the_brokers() -> None:
    """Counted in records; ends of transactions that were passed are none."""
    stream = Stream()
    stream.known_end = 10
    fed(stream, 4)
    assert stream.lag == 10
    stream.take(3)
    assert stream.lag == 7
    fed(stream, 5)
    stream.take(6)
    assert stream.lag == 1
    stream.reached_end(10)
    assert stream.lag == 0


def test_the_age_of_what_waits_is_that_of_its_oldest_record() -> None:
    """And there is none where nothing waits."""
    stream = Stream()
    assert stream.oldest_timestamp is None
    stream.feed(record(ORDERS, 0, 7))
    stream.feed(record(ORDERS, 1, 9))
    assert stream.oldest_timestamp == 7
    stream.take(1)
    assert stream.oldest_timestamp == 9


def test_every_stream_has_a_place_in_the_log() -> None:
    """Those of the group and those that every task reads."""
    log = KafkaLog(NO_WRITER, lambda position: ())
    assert set(log.streams) == set(INPUT_TOPICS) == set(log.ends(0))
    assert set(log.streams) > BROADCAST_TOPICS
