"""Steps 1 to 3 of a checkpoint on Kafka: one transactional producer for each partition (design section 3)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from msgspec import msgpack

from credit_stream.core.topics import BROADCAST_TOPICS, SEQUENCE, STATE
from credit_stream.engine import sequence
from credit_stream.engine.checkpoint import Checkpoint, Position
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.changelog import POSITION_KEY, ChangelogReader
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
from credit_stream.hosts.kafka.transactional_producer import Budget, NoProgress, OutOfTime, TransactionalProducer

COMMIT_SECONDS_MAX = 90.0
"""One budget for all tries of one checkpoint, through restarts of brokers and changes of leaders. When it ends the
process does too: what is in doubt is settled by the next one, which fences this one first."""
FENCE_SECONDS_MAX = 60.0
REQUEST_TIMEOUT_MS = 10_000
TRANSACTION_TIMEOUT_MS = 30_000
"""An open transaction of a worker that is gone and that nobody took over holds back `read_committed` readers so long.
It cannot be shorter than what it may take to flush a batch while a broker restarts."""
MESSAGE_BYTES_MAX = 128 * 1024 * 1024
"""librdkafka's own bound, above what the topics take: the broker's refusal says more than librdkafka's."""
QUEUED_RECORDS_MAX = 1_000_000
LINGER_MS = 1
"""`flush` ends the wait anyway."""


class Delivered(Protocol):
    """The part of a delivered message that is looked at."""

    def offset(self) -> int | None:
        """Where it lies."""


class _Receipt:
    """What the brokers have said about the last record of one try of a checkpoint, its position.

    A try has its own: a producer that was left behind may still hear of its records while the next one is at work.
    """

    def __init__(self) -> None:
        self.end: int | None = None
        """The offset after the record, if it was acknowledged; the transaction's own marker comes after it."""

    def __call__(self, error: KafkaError | None, message: Delivered) -> None:
        """The delivery report."""
        offset = message.offset()
        if error is None and offset is not None:
            self.end = offset + 1


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
        self.changelog_end: int | None = None
        """Up to here the changelog is known: to be set before the first checkpoint, once it was read."""
        try:
            self._producer = self._fence(Budget(FENCE_SECONDS_MAX))
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
        receipt = _Receipt()
        try:
            while not self._try(checkpoint, receipt, budget):
                receipt = _Receipt()
        except OutOfTime as error:
            raise BrokersLost(
                f"A checkpoint of partition {self._partition} was not taken within {COMMIT_SECONDS_MAX:.0f} s. "
                "Nothing is lost: start the worker again when the brokers answer."
            ) from error
        position = checkpoint.changes.position
        if receipt.end is None:
            raise RuntimeError(f"the changelog record of partition {self._partition} was committed but not reported")
        self.changelog_end = receipt.end
        return Position(position.number, position.offsets, receipt.end)

    def close(self) -> None:
        """Lets go of the connections. An open transaction is left to whoever comes next."""
        self._producer.leave()

    def _fence(self, budget: Budget) -> TransactionalProducer:
        """A producer that is the only one of this partition now. One that does not get on makes room for the next."""
        while True:
            producer = TransactionalProducer(_settings(self._connection, self._partition))
            try:
                producer.fence(budget)
                return producer
            except NoProgress:
                producer.leave(0)
            except BaseException as error:
                producer.leave(0)
                if isinstance(error, KafkaException):
                    raise self._failure(error.args[0]) from error
                raise

    def _try(self, checkpoint: Checkpoint, receipt: _Receipt, budget: Budget) -> bool:
        """Whether one try made the checkpoint visible; if not, nothing of it is."""
        try:
            if self._transact(checkpoint, receipt, budget):
                return True
            self._abort(budget)
            return False
        except NoProgress:
            return self._begin_anew(receipt, budget)

    def _begin_anew(self, receipt: _Receipt, budget: Budget) -> bool:
        """Puts a new producer in the place of one that does not get on; whether what that one was about is visible.

        Fencing it settles that: from then on the brokers have either ended its transaction or taken it back, and
        nothing can come after. Nobody asks what it was told last: the changelog has its record or has it not.
        """
        QUIET.warning("The producer of partition %s does not get on. A new one takes its place.", self._partition)
        self._producer.leave(0)
        with suppress(BrokersLost):
            self._is_visible(receipt)  # Whoever has the partition by now shows here, and is not to be fenced by us.
        self._producer = self._fence(budget)
        if self._on_abort is not None:
            self._on_abort()
        return self._is_visible(receipt)

    def _is_visible(self, receipt: _Receipt) -> bool:
        """Whether the changelog ends with the record of the receipt, and not where it did before.

        Raises `Fenced` when it ends with any other: that is somebody else's.
        """
        if self.changelog_end is None:
            raise RuntimeError(f"nobody has said where the changelog of partition {self._partition} ends")
        reader = ChangelogReader(self._connection, self._partition)
        try:
            end = reader.end_of_rows(self.changelog_end)
        finally:
            reader.close()
        if end == self.changelog_end:
            return False
        if end == receipt.end:
            return True
        raise Fenced(_another_has(self._partition, f"its changelog ends at {end}"))

    def _abort(self, budget: Budget) -> None:
        try:
            self._producer.abort(budget)
        except KafkaException as error:
            raise self._failure(error.args[0]) from error
        if self._on_abort is not None:
            self._on_abort()

    def _transact(self, checkpoint: Checkpoint, receipt: _Receipt, budget: Budget) -> bool:
        """One transaction; False when it must be aborted and tried again."""
        producer = self._producer
        try:
            producer.begin()
            reach("checkpoint.begun")
            with catchable():
                self._produce(checkpoint, receipt, budget)
                producer.flush(budget)
            reach("checkpoint.produced")
            offsets = self._group_offsets(checkpoint.changes.position)
            if offsets:
                producer.send_offsets(offsets, self._group, budget)
            reach("checkpoint.offsets_sent")
            producer.commit(budget)
        except KafkaException as error:
            kafka_error = error.args[0]
            # What is refused once is refused again: a thousand tries a second until the time was over, seen.
            if kafka_error.txn_requires_abort() and kafka_error.code() not in _REFUSED:
                return False
            # Which error was fatal `produce` does not say; the abort does (a fenced worker ended without saying so).
            if kafka_error.code() == KafkaError._FATAL:
                return False
            raise self._failure(kafka_error) from error
        reach("checkpoint.committed")
        return True

    def _produce(self, checkpoint: Checkpoint, receipt: _Receipt, budget: Budget) -> None:
        """Outputs in the order in which they arose, then the rows, then the two records that end a checkpoint."""
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
        self._produce_slowly(budget, state, position, POSITION_KEY, partition, receipt)

    def _produce_slowly(self, budget: Budget, *message: Any) -> None:
        """Waits while librdkafka's queue is full."""
        while True:
            try:
                self._producer.produce(*message)
                return
            except BufferError:
                self._producer.poll(min(0.1, budget.left()))

    def _group_offsets(self, position: Position) -> list[TopicPartition]:
        return [
            TopicPartition(self._connection.topic(topic), self._partition, offset)
            for topic, offset in position.offsets.items()
            if topic not in BROADCAST_TOPICS
        ]

    def _failure(self, error: KafkaError) -> KafkaFailure:
        doing = f"the checkpoint of partition {self._partition}"
        if error.code() in _FENCED:
            return Fenced(_another_has(self._partition, error.str()))
        if error.code() in _REFUSED:
            return CheckpointRefused(
                f"Kafka refuses {doing}: {error.str()}. See with `credit-stream topics check` what the topics take."
            )
        return kafka_failure(doing, error, self._connection)


def _another_has(partition: int, why: str) -> str:
    return (
        f"Another worker has partition {partition} now, or this one stood still until the brokers ended "
        f"its transaction ({why}). What it had not committed is seen by nobody and is taken again."
    )


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
        # An idle connection that goes wakes a `send_offsets_to_transaction` that waits for a coordinator which is no
        # more (`transactional_producer`); while ticks are made none is idle.
        "connections.max.idle.ms": 5_000,
        # With the default a producer without brokers looks for them again, which mostly helps, not always, and spins
        # meanwhile; one that does not get on is replaced in any case.
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
