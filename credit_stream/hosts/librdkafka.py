"""The Kafka host on librdkafka: a consumer of the group in a loop, for throughput and latency.

It feeds records to `hosts.kafka.partitions` and tells it which partitions the group has given and taken. The rebalance
is eager, with the range assignor: it gives partition p of every input to the same member, which cooperative-sticky
does not promise (it balances partitions one by one), and all members of a group, Faust's too, must speak one protocol.
What an eager rebalance costs is small here: the rows stay where they are, and a partition that comes back to the same
worker opens from its own disk.

One consumer is the member of the group and reads nothing; another reads and is in no group. So a partition is read from
the place that its rows tell, and only once they are restored. With a single consumer the place had to be sought after
it was assigned, and librdkafka sometimes let its own look-up win: inputs were passed over (seen in 1 of 20 starts).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from credit_stream.engine.ports import InputRecord
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import KafkaFailure, MemberTaken, OpeningCancelled, catchable, kafka_failure
from credit_stream.hosts.kafka.input_records import input_record
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS, Partitions, StreamOfPartition

POLL_SECONDS = 0.2
"""How long a wish to stop may wait; a record that comes ends the wait at once."""
FETCH_WAIT_MS = 100
"""So long a broker waits for something new before it says that this is the end; a record that comes ends the wait. With
librdkafka's 500 a partition that catches up waits that long for each stream that has nothing."""
LOOK_SECONDS = 1.0
READ_RECORDS_MAX = 2_000
"""Messages that are fed at once."""
OPENINGS_MAX = 4
"""Partitions that are restored at once: the disk and the brokers carry no more."""
SESSION_SECONDS_DEFAULT = 10
"""So long after a worker was killed its partitions are given to others. Heartbeats come from a thread of librdkafka's,
so it need not cover long batches."""
METADATA_AGE_MS = 5_000
"""How long the member that shares out the partitions may not know of topics that are there: a broker that has just come
up names none of them. Five minutes by default."""
MAX_POLL_INTERVAL_MS = 120_000
"""Longer than `Partitions.close` may take, which is called from inside `poll`."""


class LibrdkafkaHost:
    """One worker. Everything happens in the thread that calls `run`, but for `stop`."""

    def __init__(
        self,
        connection: Connection,
        partitions: Partitions,
        member: str | None = None,
        session_seconds: int = SESSION_SECONDS_DEFAULT,
    ) -> None:
        """`member`: a name that stays the same through restarts (static membership): a worker that comes back within
        the session timeout gets its partitions back without a rebalance of the others."""
        self._connection = connection
        self._member = member
        self._partitions = partitions
        self._is_stopping = False
        self._opening: dict[int, Future[Mapping[str, int]]] = {}
        self._openers = ThreadPoolExecutor(OPENINGS_MAX, thread_name_prefix="credit-stream-open")
        self._paused: set[StreamOfPartition] = set()
        self._streams = {connection.topic(topic): topic for topic in GROUP_TOPICS}
        self._member_of_group = Consumer(_group_settings(connection, member, session_seconds), logger=QUIET)
        self._reader = Consumer(_reader_settings(connection), logger=QUIET)
        self._reading: set[int] = set()
        self._look_at = 0.0

    def run(self) -> None:
        """Joins the group and works until `stop`, or until the worker cannot go on: then raises why."""
        self._partitions.start()
        try:
            self._member_of_group.subscribe(
                list(self._streams), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
            )
            while not self._is_stopping and self._partitions.failure is None:
                self._heed_the_group()
                self._read()
                self._take_up_opened()
                self._mind_the_crowd()
                self._look_how_far_the_paused_reach()
        finally:
            self._leave()
        if self._partitions.failure is not None:  # Perhaps only now: the last checkpoints are made on leaving.
            raise self._partitions.failure

    def stop(self) -> None:
        """Ends `run` after what is under way. Safe in a signal handler and in any thread."""
        self._is_stopping = True

    def _leave(self) -> None:
        """After a failure nothing is tidied up that could wait for brokers: others fence us, and the group notices."""
        self._is_stopping = True
        if self._partitions.failure is None:
            for consumer in (self._member_of_group, self._reader):
                with suppress(KafkaException), catchable():
                    consumer.close()
        if self._partitions.failure is None:  # Closing gives the partitions up, which may go wrong.
            self._partitions.stop()
        self._openers.shutdown(wait=self._partitions.failure is None, cancel_futures=True)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _heed_the_group(self) -> None:
        """Hears what the group gives and takes. It never gives a message."""
        try:
            with catchable():
                message = self._member_of_group.poll(0)
        except KafkaException as error:
            raise self._failure(error.args[0]) from error
        if message is not None and (failure := message.error()) is not None:
            self._heed(failure, message)

    def _messages(self) -> list[Message]:
        """`poll` gives the first message as soon as it is there, `consume` all that wait beside it.

        `consume` alone would wait until it has as many as it was asked for.
        """
        try:
            with catchable():
                first = self._reader.poll(POLL_SECONDS)
                return [] if first is None else [first, *self._reader.consume(READ_RECORDS_MAX, 0)]
        except KafkaException as error:
            raise self._failure(error.args[0]) from error

    def _read(self) -> None:
        records: list[InputRecord] = []
        for message in self._messages():
            error = message.error()
            if error is None:
                partition = message.partition()
                assert partition is not None
                records.append(input_record(self._streams[message.topic() or ""], partition, message))
            else:
                self._partitions.feed(records)
                records = []
                self._heed(error, message)
        self._partitions.feed(records)

    def _heed(self, error: KafkaError, message: Message) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None and partition is not None and offset is not None
            self._partitions.reached_end(self._streams[topic], partition, offset)
        elif error.fatal() or not (error.retriable() or error.code() in _PASSING):
            raise self._failure(error)

    def _failure(self, error: KafkaError) -> KafkaFailure:
        # It comes as a fatal error whose text alone tells which.
        if error.code() == KafkaError.FENCED_INSTANCE_ID or "Static consumer fenced" in error.str():
            return MemberTaken(
                f"Another worker has joined the group as '{self._member}': give each worker a --member of its own. "
                "If there is no other, a broker died while this one joined: start it again."
            )
        return kafka_failure("reading the inputs", error, self._connection)

    def _mind_the_crowd(self) -> None:
        """Pauses what waits in memory in too large numbers, and goes on with it when most was taken.

        While a partition catches up one of its streams may have to wait for another: so each is paused by itself.
        """
        crowded = self._partitions.crowded()
        if crowded == self._paused:
            return
        pause = self._places(crowded - self._paused)
        resume = self._places(self._paused - crowded)
        if pause:
            self._reader.pause(pause)
        if resume:
            self._reader.resume(resume)
        self._paused = crowded

    def _look_how_far_the_paused_reach(self) -> None:
        """For the lag: of what is not being read nobody tells how much there is."""
        if not self._paused or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        for place in self._places(self._paused):
            with suppress(KafkaException), catchable():
                _, end = self._reader.get_watermark_offsets(place, LOOK_SECONDS)
                self._partitions.known_end(self._streams[place.topic], place.partition, end)

    def _places(self, streams: set[StreamOfPartition]) -> list[TopicPartition]:
        """Those that are being read, as librdkafka names them."""
        return [
            TopicPartition(self._connection.topic(stream), partition)
            for stream, partition in sorted(streams)
            if partition in self._reading
        ]

    # --- rebalance ---------------------------------------------------------------------------------------------------

    def _assigned(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        """Opens the partitions beside the loop, which goes on polling: a long restore must not end our membership."""
        consumer.assign([])  # Else the group's consumer would read as well.
        topics: dict[int, set[str]] = defaultdict(set)
        for each in given:
            topics[each.partition].add(each.topic)
        for partition in sorted(topics):
            if lacking := self._streams.keys() - topics[partition]:
                # A leader of the group that does not know a topic yet leaves it out; it shares out again when it does.
                QUIET.warning("The group gave partition %d without %s: it has to wait.", partition, sorted(lacking))
            else:
                self._opening[partition] = self._openers.submit(self._partitions.open, partition)

    def _take_up_opened(self) -> None:
        for partition, opened in list(self._opening.items()):
            if not opened.done():
                continue
            del self._opening[partition]
            try:
                offsets = opened.result()
            except OpeningCancelled:
                continue
            self._reading.add(partition)
            self._reader.incremental_assign(
                [
                    TopicPartition(self._connection.topic(stream), partition, offset)
                    for stream, offset in offsets.items()
                ]
            )

    def _revoked(self, consumer: Consumer, taken: list[TopicPartition]) -> None:
        """Gives up all of it at once. Lost partitions go the same way: who has them now has fenced us."""
        partitions = {each.partition for each in taken}
        for partition in partitions:
            # One that has not begun would fence the new owner; one that has is told by `close`.
            if (opening := self._opening.pop(partition, None)) is not None:
                opening.cancel()
        self._reader.incremental_unassign(
            [each for each in taken if each.partition in self._reading],
        )
        self._reading -= partitions
        self._paused = {(stream, partition) for stream, partition in self._paused if partition not in partitions}
        self._partitions.close(sorted(partitions))


_PASSING = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT})
"""librdkafka goes on trying by itself; so long nothing is taken, which the health tells."""


def _group_settings(connection: Connection, member: str | None, session_seconds: int) -> dict[str, Any]:
    settings = {
        **connection.client(),
        "group.id": connection.application_id,
        "client.id": member or connection.application_id,
        "partition.assignment.strategy": "range",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "session.timeout.ms": session_seconds * 1_000,
        "heartbeat.interval.ms": session_seconds * 250,
        "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
        "topic.metadata.refresh.interval.ms": METADATA_AGE_MS,
    }
    if member:
        settings["group.instance.id"] = member
    return settings


def _reader_settings(connection: Connection) -> dict[str, Any]:
    return {
        **connection.client(),
        "group.id": connection.application_id,  # librdkafka wants one; this consumer never joins it.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        # The offsets come from the rows; a stream that no longer has them must not begin anywhere else.
        "auto.offset.reset": "error",
        "fetch.queue.backoff.ms": 5,
        "fetch.wait.max.ms": FETCH_WAIT_MS,
        "queued.max.messages.kbytes": 32 * 1024,
    }
