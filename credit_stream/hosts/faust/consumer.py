"""Faust's Kafka consumer, made to read from where it is told and to commit nothing.

What Faust's own does otherwise, and why that cannot be:
- it joins the group with the assignor "roundrobin", which scatters partition p of the topics over the members, and
  with which a librdkafka worker of the same group ("range") is refused: INCONSISTENT_GROUP_PROTOCOL;
- it reads uncommitted records unless Faust's own exactly-once is on (which loses and doubles);
- it begins at the group's committed offsets, and again at odd moments of a rebalance;
- it commits what its streams have acknowledged, also after an exception in an agent.

It uses what aiokafka and Faust keep to themselves, so their versions are pinned together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode import ServiceT

from credit_stream.hosts.kafka.failures import InputsLost, KafkaFailure, NotAuthorized, Unreachable

if TYPE_CHECKING:
    from credit_stream.hosts.faust.application import CreditApp

T = TypeVar("T")

FETCH_WAIT_MS = 100
"""How long a broker may keep a fetch for which it has nothing. aiokafka has one fetch at a time on its way to a broker,
so a topic with much to read stands still so long between two fetches while the other topics have nothing: with Faust's
1,500 ms a cold start over one long topic stood still most of the time."""
DRAIN_WAIT_SECONDS = 0.1
"""How long the main loop waits for records before it looks again which partitions it may ask for; Faust's 1 s is how
late a partition would begin after its restore, or go on after a pause."""
PARTITION_BYTES_MAX = 1024 * 1024
"""Of one partition in one fetch; aiokafka keeps as much in memory while it is not asked for it."""
METADATA_AGE_MS = 5_000
"""How long the member that shares out the partitions may not know of topics that are there. A broker that has just come
up names none of them; a leader of the group that asked it then gave nobody anything for aiokafka's five minutes."""
START_SECONDS_MAX = 60.0
"""How long the first connection is tried for: the brokers were there a moment ago, and may be starting again."""
START_AGAIN_SECONDS = 0.5

NO_READING = 0
"""Of what was drained before its position was set."""


class End(NamedTuple):
    """How far a topic partition is read."""

    position: int
    """The offset of the next fetch: past records of aborted transactions and past the markers that end them."""
    drained: int
    """Records before this offset were given to Faust."""
    stable: int | None
    """The end for `read_committed`, as of the last fetch; None before the first one."""
    reading: int


class Read(ConsumerMessage):
    """A record as Faust passes it on, with the reading that it belongs to and its timestamp in milliseconds."""

    __slots__ = ("reading", "timestamp_ms")
    reading: int
    timestamp_ms: int


def group_consumer(app: CreditApp) -> AIOKafkaConsumer:
    """The member of the group that a worker is."""
    conf, connection = app.conf, app.connection
    return AIOKafkaConsumer(
        **connection.aiokafka(),
        client_id=conf.broker_client_id,
        client_rack=connection.client_rack or None,
        group_id=conf.id,
        partition_assignment_strategy=[RangePartitionAssignor],
        isolation_level="read_committed",
        enable_auto_commit=False,
        # A position that the brokers do not have is an error to be said; "earliest" would go on behind a hole.
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        metadata_max_age_ms=METADATA_AGE_MS,
        max_partition_fetch_bytes=PARTITION_BYTES_MAX,
        max_poll_records=conf.broker_max_poll_records,
        max_poll_interval_ms=_ms(conf.broker_max_poll_interval),
        request_timeout_ms=_ms(conf.broker_request_timeout),
        session_timeout_ms=_ms(conf.broker_session_timeout),
        rebalance_timeout_ms=_ms(conf.broker_rebalance_timeout),
        heartbeat_interval_ms=_ms(conf.broker_heartbeat_interval),
    )


class ReaderThread(driver.AIOKafkaConsumerThread):
    """Where aiokafka runs: its event loop, in a thread of its own, keeps up the heartbeats whatever the main one does.

    A *reading* of a topic partition begins when its position is set, and is numbered. A record that was drained before
    belongs to an earlier one: it may lie before or after the new position, in any of Faust's queues, and is left out.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._last_reading = NO_READING
        self._readings: dict[TP, int] = {}
        self._drained: dict[TP, int] = {}
        self.readings_of_last_fetch: Mapping[TP, int] = {}
        """The readings that the records belong to which were drained last; there is one fetch at a time."""

    def _create_worker_consumer(self, transport: object) -> AIOKafkaConsumer:
        return group_consumer(cast("CreditApp", self.app))

    async def on_start(self) -> None:
        """As Faust does, and again where no broker answers; aiokafka asks each of them once."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                await super().on_start()
                return
            except KafkaConnectionError as error:
                if self._consumer is not None:
                    await self._consumer.stop()
                    self._consumer = None
                if time.monotonic() > deadline:
                    failure = _unreachable(cast("CreditApp", self.app), error)
                    cast("CreditApp", self.app).fail(failure)  # Faust would stop without saying why.
                    raise failure from error
            await asyncio.sleep(START_AGAIN_SECONDS)

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> RecordMap:
        """Runs in this thread, like the coordinator: nothing can come between draining records and noting them."""
        try:
            records = await super()._fetch_records(*args, **kwargs)
        except NoOffsetForPartitionError:
            # Assigned and not yet positioned: `seek_to` is still to come.
            return {}
        except OffsetOutOfRangeError as error:
            raise InputsLost(_inputs_lost(error)) from error
        except KafkaError as error:
            _raise_if_final(error)
            return {}
        for place, batch in records.items():
            self._drained[place] = batch[-1].offset + 1
        self.readings_of_last_fetch = {place: self._readings.get(place, NO_READING) for place in records}
        return records

    async def seek_to(self, offsets: Mapping[TP, int]) -> int:
        """Sets positions; the number of the reading that begins. Raises `IllegalStateError` if one is not assigned."""
        return await self._in_thread(self._seek_to(offsets))

    async def _seek_to(self, offsets: Mapping[TP, int]) -> int:
        consumer = self._ensure_consumer()
        self._last_reading += 1
        for place, offset in offsets.items():
            consumer.seek(place, offset)
            self._drained[place] = offset
            self._readings[place] = self._last_reading
        return self._last_reading

    async def ends(self) -> dict[TP, End]:
        """How far everything that was positioned is read, as of one moment."""
        return await self._in_thread(self._ends())

    async def _ends(self) -> dict[TP, End]:
        subscription = self._ensure_consumer()._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return {}
        states = {TP(*place): subscription.assignment.state_value(place) for place in subscription.assignment.tps}
        return {
            place: End(state.position, self._drained[place], state.lso, self._readings[place])
            for place, state in states.items()
            if state.has_valid_position and place in self._readings
        }

    async def check(self) -> None:
        """Raises what has ended aiokafka's work, or holds it up until somebody has heard of it.

        Only who asks for records hears of that; a worker that has no partition yet would wait for ever without a word.
        """
        if self._consumer is not None:
            await self._in_thread(self._check(self._consumer))

    async def _check(self, consumer: AIOKafkaConsumer) -> None:
        if consumer._fetcher is None:
            return  # Its start is not over; a login takes a while.
        fetching = consumer._fetcher.error_future
        try:
            consumer._coordinator.check_errors()
            if fetching.done():
                fetching.result()
        except KafkaError as error:
            _raise_if_final(error)

    async def leave(self) -> None:
        """Leaves the group and ends all connections, so that others get the partitions now and not after a session."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def _in_thread(self, work: Coroutine[Any, Any, T]) -> T:
        """Not by Faust's queue of calls: a fetch that waits for records stands in that."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.thread_loop))


class _NoPositions(dict[TP, int | None]):
    """In the place where Faust keeps how far it has passed records on, so as to drop what it thinks came twice.

    A record that is still under way when positions are set would be noted here afterwards, and all before it dropped.
    """

    def __missing__(self, place: TP) -> None:
        return None

    def __setitem__(self, place: TP, offset: int | None) -> None:
        """Forgets it."""


class Reader(driver.Consumer):
    """What the rest of Faust sees of the consumer, in the main event loop."""

    _thread: ReaderThread
    _readings: Mapping[TP, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoPositions()
        self._readings = {}

    def _new_consumer_thread(self) -> ReaderThread:
        return ReaderThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def thread(self) -> ReaderThread:
        """Where aiokafka runs."""
        return self._thread

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Passes records on to the queues of the agents, all of a fetch at once.

        Faust waits for every single record together with three other things: four tasks of asyncio and a waking of the
        agent for each, 500 us of CPU a record where this takes a tenth of it.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                records, _ = await self._wait_next_records(DRAIN_WAIT_SECONDS)
                if records and not self.flow_active:
                    # What came while the flow was stopped may be of the new reading already: read it again.
                    await self.perform_seek()
                    continue
                for place, record in self.scheduler.iterate(records or {}):
                    await self.callback(self._to_message(place, record))
                await asyncio.sleep(0)
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _wait_next_records(self, timeout: float) -> tuple[RecordMap | None, set[TP] | None]:
        """As Faust does, with a copy of the set (the other thread looks at it while this one changes it), and looking
        again after `DRAIN_WAIT_SECONDS`."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type] # as in Faust: any event will do
        active = set(self._get_active_partitions())
        if not active:
            await asyncio.sleep(DRAIN_WAIT_SECONDS)
            return {}, active
        records = await self._getmany(active, DRAIN_WAIT_SECONDS)
        self._readings = self._thread.readings_of_last_fetch
        return records, active

    def _to_message(self, tp: TP, record: Any) -> Read:
        """As Faust does, and with what it leaves out."""
        message = Read(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp / 1000,
            record.timestamp_type,
            record.headers,
            record.key,
            record.value,
            record.checksum,
            record.serialized_key_size,
            record.serialized_value_size,
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.reading = self._readings[tp]
        message.timestamp_ms = record.timestamp
        return message

    async def perform_seek(self) -> None:
        """Reads again from what was handed over last; Faust would go to the group's committed offsets.

        Faust calls this when it takes up work after a rebalance, and when it has thrown away records that came while
        work was stopped. The flow is stopped because Faust clears its queues after this: what came in between would be
        lost.
        """
        self.stop_flow()
        await cast("CreditApp", self.app).read_again()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust would say that an agent hangs while a partition is restored. The health tells that."""

    async def commit(self, topics: object = None, start_new_transaction: bool = True) -> bool:
        """Nothing: offsets are committed with the results, in one transaction, or not at all."""
        return False

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        raise AssertionError(f"Faust was about to commit {dict(offsets)}")


class Transport(driver.Transport):
    """Faust's connection to Kafka, with the consumer above."""

    Consumer = Reader


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _raise_if_final(error: KafkaError) -> None:
    """What may pass, aiokafka tries again by itself."""
    text = f"Reading the inputs failed: {error}."
    if isinstance(error, TopicAuthorizationFailedError | GroupAuthorizationFailedError):
        raise NotAuthorized(
            f"{text} Give the user of the workers the rights of its role: deploy/acls has them."
        ) from error
    if not error.retriable:
        raise KafkaFailure(f"{text} Look at the logs of the brokers.") from error


def _unreachable(app: CreditApp, error: KafkaConnectionError) -> Unreachable:
    return Unreachable(
        f"No broker answered at {app.connection.brokers} within {START_SECONDS_MAX:.0f} s: {error}. "
        "Nothing is lost: start the worker again when the brokers answer."
    )


def _inputs_lost(error: OffsetOutOfRangeError) -> str:
    found = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    places = ", ".join(f"{place.topic}/{place.partition}/{offset}" for place, offset in found.items())
    return (
        f"The brokers do not have what begins at {places}: it was deleted before it was taken, or the topic was made "
        "anew. Bring the records back if you can, and set the topic's retention to unlimited "
        "(`credit-stream topics check` tells)."
    )
