"""Steps 1 to 3 of a checkpoint on Kafka: one transactional producer for each partition (design section 3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from msgspec import msgpack

from credit_stream.core.topics import BROADCAST_TOPICS, SEQUENCE, STATE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import Checkpoint, Position
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failpoints import reach
from credit_stream.hosts.kafka.failures import (
    BrokersLost,
    CheckpointRefused,
    Fenced,
    KafkaFailure,
    catchable,
    kafka_failure,
)

COMMIT_SECONDS_MAX = 90.0
"""One budget for all tries of one checkpoint, through restarts of brokers and changes of leaders. When it ends the
process does too: what is in doubt is settled by the next one, which fences this one first."""
FENCE_SECONDS_MAX = 60.0
CLOSE_SECONDS_MAX = 3.0
REQUEST_TIMEOUT_MS = 10_000
CALL_SECONDS_MAX = 5.0
"""Of one call of librdkafka's. It hands the time on to its requests, and one that waits for a broker that is gone
would wait all of it."""
TRANSACTION_TIMEOUT_MS = 30_000
"""An open transaction of a worker that is gone and that nobody took over holds back `read_committed` readers so long.
It cannot be shorter than what it may take to flush a batch while a broker restarts."""
MESSAGE_BYTES_MAX = 128 * 1024 * 1024
"""librdkafka's own bound, above what the topics take: the broker's refusal says more than librdkafka's."""
QUEUED_RECORDS_MAX = 1_000_000
LINGER_MS = 1
"""`flush` ends the wait anyway."""

POSITION_KEY = b"\x00"
"""Of the record in `credit.state` with which each checkpoint ends there. No row has this key: the first byte of a row's
is the length of its table's name."""


class OutOfTime(Exception):
    """A call would go on after the deadline of its budget."""


class Budget:
    """Seconds that several calls have together."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises `OutOfTime` when none are."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left


class Delivered(Protocol):
    """The part of a delivered message that is looked at."""

    def offset(self) -> int | None:
        """Where it lies."""


class TransactionalWriter:
    """The only one who writes outputs, changelog and offsets of a partition. One thread at a time."""

    def __init__(
        self, connection: Connection, partition: int, group: Any, on_abort: Callable[[], None] | None = None
    ) -> None:
        """Fences whoever wrote for this partition before, and waits until what that one had committed is whole.

        `group`: consumer group metadata, with which the source offsets are sent. `on_abort` is called at each abort.
        Raises `BrokersLost`, `Fenced`.
        """
        self._connection = connection
        self._partition = partition
        self._group = group
        self._on_abort = on_abort
        self._changelog_end: int | None = None
        self._producer = Producer(_settings(connection, partition), logger=QUIET)
        budget = Budget(FENCE_SECONDS_MAX)
        try:
            self._patiently(self._producer.init_transactions, budget)
        except OutOfTime as error:
            raise BrokersLost(
                f"No broker could begin the transactions of partition {partition} within {FENCE_SECONDS_MAX:.0f} s. "
                "See that the cluster is up and that its transaction log has enough replicas."
            ) from error

    def write(self, checkpoint: Checkpoint) -> Position:
        """Makes a checkpoint visible as a whole; where the partition is then.

        Raises `Fenced` when another worker has the partition, `BrokersLost` when the time is over, `CheckpointRefused`
        when Kafka will never take it. After that the task must not go on.
        """
        budget = Budget(COMMIT_SECONDS_MAX)
        try:
            while not self._try(checkpoint, budget):
                self._abort(budget)
        except OutOfTime as error:
            raise BrokersLost(
                f"A checkpoint of partition {self._partition} was not taken within {COMMIT_SECONDS_MAX:.0f} s. "
                "Nothing is lost: start the worker again when the brokers answer."
            ) from error
        position = checkpoint.changes.position
        if self._changelog_end is None:
            raise RuntimeError(f"the changelog record of partition {self._partition} was committed but not reported")
        return Position(position.number, position.offsets, self._changelog_end)

    def close(self) -> None:
        """Lets go of the connections. An open transaction is left to whoever comes next.

        Closing waits for the brokers without a bound, and they may be gone (a worker hung there for ever, seen): so it
        is left behind after a while, to end by itself or with the process.
        """
        self._producer.purge()
        closing = Thread(target=self._close, name="credit-stream-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS_MAX)

    def _close(self) -> None:
        # That a producer was fenced is said once more here, where nobody wants to know.
        with suppress(KafkaException), catchable():
            self._producer.close()

    def _abort(self, budget: Budget) -> None:
        """What was begun becomes invisible. Here a producer learns that it was fenced if the brokers have ended its
        transaction before."""
        try:
            self._patiently(self._producer.abort_transaction, budget)
        except KafkaException as error:
            raise self._failure(error.args[0]) from error
        if self._on_abort is not None:
            self._on_abort()

    def _try(self, checkpoint: Checkpoint, budget: Budget) -> bool:
        """One transaction; False when it must be aborted and tried again."""
        try:
            self._producer.begin_transaction()
            reach("checkpoint.begun")
            with catchable():
                self._produce(checkpoint, budget)
                self._producer.flush(budget.left())
            reach("checkpoint.produced")
            self._patiently(self._send_offsets, budget, checkpoint.changes.position)
            reach("checkpoint.offsets_sent")
            self._patiently(self._producer.commit_transaction, budget)
        except KafkaException as error:
            kafka_error = error.args[0]
            # What is refused once is refused again: a thousand tries a second until the time was over, seen.
            if kafka_error.txn_requires_abort() and kafka_error.code() not in _REFUSED:
                return False
            raise self._failure(kafka_error) from error
        reach("checkpoint.committed")
        return True

    def _produce(self, checkpoint: Checkpoint, budget: Budget) -> None:
        """Outputs in the order in which they arose, then the rows, then the two records that end a checkpoint."""
        self._changelog_end = None
        topics = {each.topic: self._connection.topic(each.topic) for each in checkpoint.publications}
        produce = self._producer.produce
        for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
            try:
                produce(topics[publication.topic], value, publication.key)
            except BufferError:
                self._produce_slowly(budget, topics[publication.topic], value, publication.key)
        state, partition = self._connection.topic(STATE), self._partition
        for key, row in checkpoint.changes.encoded():
            try:
                produce(state, row, key, partition)
            except BufferError:
                self._produce_slowly(budget, state, row, key, partition)
        taken = sequence.encode(checkpoint.sequence)
        self._produce_slowly(budget, self._connection.topic(SEQUENCE), taken, str(partition).encode(), partition)
        position = msgpack.encode(checkpoint.changes.position)
        self._produce_slowly(budget, state, position, POSITION_KEY, partition, self._delivered)

    def _produce_slowly(self, budget: Budget, *message: Any) -> None:
        """Waits while librdkafka's queue is full."""
        while True:
            try:
                self._producer.produce(*message)
                return
            except BufferError:
                self._producer.poll(min(0.1, budget.left()))

    def _delivered(self, error: KafkaError | None, message: Delivered) -> None:
        offset = message.offset()
        if error is None and offset is not None:
            # The transaction's own marker comes after it.
            self._changelog_end = offset + 1

    def _send_offsets(self, position: Position, seconds: float) -> None:
        offsets = [
            TopicPartition(self._connection.topic(topic), self._partition, offset)
            for topic, offset in position.offsets.items()
            if topic not in BROADCAST_TOPICS
        ]
        if offsets:
            self._producer.send_offsets_to_transaction(offsets, self._group, seconds)

    def _patiently(self, call: Callable[..., object], budget: Budget, *args: object) -> None:
        """Calls until it is through, as long as Kafka says that another try may help.

        A call that timed out goes on inside librdkafka: the same call again takes up its result.
        """
        while True:
            try:
                call(*args, min(budget.left(), CALL_SECONDS_MAX))
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise

    def _failure(self, error: KafkaError) -> KafkaFailure:
        doing = f"the checkpoint of partition {self._partition}"
        if error.code() in _FENCED:
            return Fenced(
                f"Another worker has partition {self._partition} now, or this one stood still until the brokers ended "
                f"its transaction ({error.str()}). What it had not committed is seen by nobody and is taken again."
            )
        if error.code() in _REFUSED:
            return CheckpointRefused(
                f"Kafka refuses {doing}: {error.str()}. See with `credit-stream topics check` what the topics take."
            )
        return kafka_failure(doing, error, self._connection)


_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)
_REFUSED = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION})


def _settings(connection: Connection, partition: int) -> dict[str, Any]:
    return {
        **connection.client(),
        "client.id": f"{connection.application_id}-{partition}",
        "transactional.id": connection.transactional_id(partition),
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        # After a commit the broker still writes markers and answers the next transaction CONCURRENT_TRANSACTIONS;
        # librdkafka then waits `retry.backoff.ms`, 100 by default: 140 ms at the median instead of 7, and less than
        # half the throughput at 500 records a batch (measured; design section 3).
        "retry.backoff.ms": 1,
        "retry.backoff.max.ms": 5,
        # When a broker goes away librdkafka forgets it, and `send_offsets_to_transaction` waits for the coordinator of
        # the group that was there, beyond any time limit, until some connection comes or goes (its issues 5511 and
        # 5456; seen at every kill of a broker). An idle connection goes after this; while ticks are made none is idle.
        "connections.max.idle.ms": 5_000,
        # With the default all brokers are forgotten when none answers, and a thread then spins at a whole core.
        "metadata.recovery.strategy": "none",
        # A request to a broker that is gone waits for it so long, 60 s by default: a restart of the broker then took 25
        # to 90 s out of a partition (seen).
        "socket.timeout.ms": REQUEST_TIMEOUT_MS,
        "reconnect.backoff.max.ms": 500,
        "partitioner": "murmur2_random",
        "linger.ms": LINGER_MS,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "queue.buffering.max.messages": QUEUED_RECORDS_MAX,
        "compression.type": "lz4",
    }
