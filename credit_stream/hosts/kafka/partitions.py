"""The partitions of one worker: opened, fed, taken, checkpointed and closed.

Both Kafka hosts drive this. A host has a consumer of the group; it opens the partitions that the group gives it, feeds
their records, says where streams end, and closes what the group takes away. Taking runs in one thread; the commits of
several partitions overlap in threads beside it, where they mostly wait for brokers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from threading import Condition, Thread
from typing import Any

from confluent_kafka import Consumer

from credit_stream.core.topics import BROADCAST_TOPICS, INPUT_TOPICS
from credit_stream.engine.checkpoint import Position
from credit_stream.engine.ports import Clock, InputRecord
from credit_stream.engine.task import BatchLimits, PartitionTask, Program
from credit_stream.hosts.failures import EngineStopped, StorageDamaged
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.broadcasts import Broadcasts
from credit_stream.hosts.kafka.changelog import ChangelogReader
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failpoints import reach
from credit_stream.hosts.kafka.failures import BrokersLost, ChangelogLost, Fenced, OpeningCancelled, WrongTopics
from credit_stream.hosts.kafka.log import KafkaLog
from credit_stream.hosts.kafka.metrics import WorkerMetrics
from credit_stream.hosts.kafka.positions import Positions
from credit_stream.hosts.kafka.state import Say, StateDirectory
from credit_stream.hosts.kafka.transaction import COMMIT_SECONDS_MAX, TransactionalWriter
from credit_stream.hosts.ticking import Ticker

GROUP_TOPICS = tuple(topic for topic in INPUT_TOPICS if topic not in BROADCAST_TOPICS)
"""What the group subscribes to, exactly: then the range assignor gives partition p of all of them to one member."""
CACHED_ROWS_MAX = 200_000
"""Decoded rows in memory, all partitions together: about 200 MB."""
CLOSE_SECONDS_MAX = 45.0
"""One budget for all partitions that are closed together. When it is over the worker ends: a commit that is still on
its way would write into rows that the same worker may have opened again by then."""
COMMIT_WATCH_SECONDS = 10.0
"""So long after its own time limit a commit is taken to be stuck: librdkafka does not keep to all limits that it is
given (its issue 5456)."""
LOOK_SECONDS_MAX = 5.0
"""How long the engine may go without looking after commits."""
COMMITS_MAX = 8
"""Checkpoints that are on their way at once."""
NO_PROGRESS_SECONDS_MAX = 60.0
"""With work to do and none done for so long, a worker is not healthy."""

StreamOfPartition = tuple[str, int]
"""Name of an input stream, and partition."""


class Stage(Enum):
    """What is going on with a partition. Whoever is at work on it has it to itself."""

    OPENING = "opening"
    IDLE = "idle"
    TAKING = "taking"
    COMMITTING = "committing"
    CLOSED = "closed"


class _Owned:
    """A partition that this worker has."""

    def __init__(self, partition: int, clock: Clock) -> None:
        self.partition = partition
        self.stage = Stage.OPENING
        self.is_leaving = False
        self.has_news = True
        self.has_caught_up = False
        self.ticker = Ticker(clock)
        self.moved_at = time.monotonic()
        self.commit_began_at = 0.0
        self.task: PartitionTask | None = None
        self.log: KafkaLog | None = None
        self.writer: TransactionalWriter | None = None


class Health:
    """What a probe wants to know."""

    def __init__(self, is_ready: bool, is_healthy: bool, says: str) -> None:
        self.is_ready = is_ready
        self.is_healthy = is_healthy
        self.says = says


class Partitions:
    """See the module. Every method may be called from any thread."""

    def __init__(
        self,
        connection: Connection,
        partitions: int,
        state: StateDirectory,
        program: Program,
        clock: Clock,
        *,
        metrics: WorkerMetrics | None = None,
        limits: BatchLimits | None = None,
        ticking: bool = True,
        say: Say = lambda sentence: None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`partitions`: how many the topics have. `on_failure` is called once, in the thread in which it happened."""
        self.partitions = partitions
        self.metrics = metrics or WorkerMetrics()
        self.metrics.before_scrape.append(self._measure)
        self._connection = connection
        self._state = state
        self._program = program
        self._clock = clock
        self._limits = limits
        self._ticking = ticking
        self._say = say
        self._on_failure = on_failure
        self._failure: BaseException | None = None
        self._changed = Condition()
        """Guards `_owned` and the stages; notified whenever there may be something to do."""
        self._changes = 0
        self._owned: dict[int, _Owned] = {}
        self._is_stopping = False
        self._thread: Thread | None = None
        self._commits = ThreadPoolExecutor(COMMITS_MAX, thread_name_prefix="credit-stream-commit")
        self._group = _group_metadata(connection)
        self._broadcasts = Broadcasts(connection, self._wake_all, self._fail)

    # --- what a host calls -------------------------------------------------------------------------------------------

    @property
    def failure(self) -> BaseException | None:
        """Why nothing is taken any more, if so."""
        return self._failure

    def start(self) -> None:
        """Begins to take."""
        self._thread = Thread(target=self._run, name="credit-stream-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the checkpoints that are on their way, and closes all partitions."""
        with self._changed:
            self._is_stopping = True
            self._notify()
        if self._thread is not None:
            self._thread.join()
        self.close(list(self._owned))
        self._commits.shutdown(wait=self._failure is None)
        self._broadcasts.close()
        self._state.close()

    def open(self, partition: int) -> Mapping[str, int]:
        """Fences the former owner, restores the rows; for each stream of `GROUP_TOPICS`, from where it is to be read.

        Blocks as long as that takes. Raises `OpeningCancelled` when the partition is closed meanwhile, and what
        stands in `failures`; then the worker cannot go on.
        """
        owned = _Owned(partition, self._clock)
        with self._changed:
            self._refuse_if_failed()
            self._refuse_if_unknown(partition)
            if partition in self._owned:
                raise ValueError(f"partition {partition} is open")
            self._owned[partition] = owned
        try:
            offsets = self._open(owned)
        except BaseException as error:
            self._drop(owned)
            if not isinstance(error, OpeningCancelled):
                self._fail(error)
            raise
        with self._changed:
            is_leaving = owned.is_leaving
            owned.stage = Stage.IDLE
            self._notify()
        if is_leaving:
            self._drop(owned)
            raise OpeningCancelled(f"Partition {partition} was taken away while it was opened.")
        return offsets

    def close(self, partitions: Iterable[int]) -> None:
        """Gives partitions up: what was taken of them is committed first. Blocks; one deadline for all of them."""
        reach("revoke.begun")
        deadline = time.monotonic() + CLOSE_SECONDS_MAX
        with self._changed:
            leaving = [self._owned[partition] for partition in partitions if partition in self._owned]
            for owned in leaving:
                owned.is_leaving = True
            self._notify()
            for owned in leaving:
                self._changed.wait_for(
                    lambda owned=owned: owned.stage in (Stage.IDLE, Stage.CLOSED) or self._failure is not None,  # type: ignore[misc]
                    max(0.0, deadline - time.monotonic()),
                )
        if any(owned.stage not in (Stage.IDLE, Stage.CLOSED) for owned in leaving):
            self._fail(
                _too_slow(f"Partitions that this worker gave up were not closed within {CLOSE_SECONDS_MAX:.0f} s")
            )
        if self._failure is not None:
            return  # The worker ends. A producer must not be closed while a commit of it is on its way.
        for owned in leaving:
            self._drop(owned)

    def feed(self, records: Sequence[InputRecord]) -> None:
        """Takes records in. Those of a partition that is not open are left out: they are read again when it is."""
        fed = False
        for record in records:
            owned = self._owned.get(record.partition)
            log = None if owned is None else owned.log
            if owned is not None and log is not None and log.streams[record.topic].feed(record):
                owned.has_news = fed = True
        if fed:
            self._wake()

    def reached_end(self, stream: str, partition: int, offset: int) -> None:
        """The consumer has read all that the stream had; the next record will have this offset or a higher one."""
        owned = self._owned.get(partition)
        log = None if owned is None else owned.log
        if owned is not None and log is not None and log.streams[stream].reached_end(offset):
            owned.has_news = True
            self._wake()

    def known_end(self, stream: str, partition: int, offset: int) -> None:
        """How far the stream reaches on the brokers; for the lag only."""
        owned = self._owned.get(partition)
        log = None if owned is None else owned.log
        if log is not None:
            at = log.streams[stream]
            at.known_end = max(at.known_end, offset)

    def crowded(self) -> set[StreamOfPartition]:
        """The streams of which so much waits in memory that reading them should pause."""
        return {
            (topic, owned.partition)
            for owned in list(self._owned.values())
            if (log := owned.log) is not None
            for topic, stream in log.streams.items()
            if topic not in BROADCAST_TOPICS and stream.is_crowded
        }

    def health(self) -> Health:
        """Ready: all partitions restored. Healthy: work gets done while there is some."""
        if self._failure is not None:
            return Health(False, False, f"stopped: {self._failure}")
        owned = list(self._owned.values())
        opening = [each.partition for each in owned if each.stage is Stage.OPENING]
        if opening:
            return Health(False, True, f"restoring partitions {opening}")
        now = time.monotonic()
        stuck = [each.partition for each in owned if _lag_of(each) and now - each.moved_at > NO_PROGRESS_SECONDS_MAX]
        if stuck:
            return Health(True, False, f"no progress in partitions {stuck} for {NO_PROGRESS_SECONDS_MAX:.0f} s")
        return Health(True, True, f"at work on partitions {sorted(each.partition for each in owned)}")

    def lag(self) -> int:
        """Inputs that lie on the brokers, as far as is known, and were not taken."""
        return sum(_lag_of(owned) for owned in list(self._owned.values()))

    # --- opening and closing -----------------------------------------------------------------------------------------

    def _open(self, owned: _Owned) -> Mapping[str, int]:
        """First fence, then read the changelog: after that nobody else can lengthen it."""
        partition = owned.partition
        owned.writer = TransactionalWriter(self._connection, partition, self._group, self.metrics.aborts.inc)
        reach("open.fenced")
        reader = ChangelogReader(self._connection, partition)
        positions = Positions(self._connection, partition)
        owned.writer.changelog_end = reader.end
        try:
            store = self._state.store(partition, reader.kept_from, reader.end)
            progress = self.metrics.restore_progress.labels(str(partition))
            begin = store.position().changelog

            def go_on(rows: int, reached: int) -> None:
                self.metrics.restored_rows.inc(rows)
                progress.set((reached - begin) / max(1, reader.end - begin))
                if owned.is_leaving or self._is_stopping:
                    raise OpeningCancelled(f"Partition {partition} was taken away while it was restored.")

            log = KafkaLog(owned.writer, lambda position: reader.read(position, go_on))
            owned.task = PartitionTask(
                partition,
                log,
                store,
                self._program,
                self._clock,
                self._limits,
                cached_rows_max=CACHED_ROWS_MAX // self.partitions,
                partitions=self.partitions,
            )
            progress.set(1)
            reach("open.restored")
            offsets, ends = _to_read_from(positions, owned.task.position, reader)
        finally:
            positions.close()
            reader.close()
        log.begin_at({**owned.task.position.offsets, **offsets}, ends)
        self._broadcasts.attach(log)
        owned.log = log
        return offsets

    def _drop(self, owned: _Owned) -> None:
        with self._changed:
            if self._owned.get(owned.partition) is owned:
                del self._owned[owned.partition]
            owned.stage = Stage.CLOSED
            log, owned.log = owned.log, None
            writer, owned.writer = owned.writer, None
            self._notify()
        if log is not None:
            self._broadcasts.detach(log)
        if writer is not None:
            writer.close()

    # --- taking ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_stopping and self._failure is None:
                seen = self._changes
                self._look_after_commits()
                if not self._round():
                    self._wait(seen)
        except BaseException as error:
            self._fail(error)

    def _round(self) -> bool:
        """One batch of every partition that has something to take; whether there was any."""
        worked = False
        for owned in list(self._owned.values()):
            if self._reserve(owned):
                worked = self._take(owned) or worked
        return worked

    def _reserve(self, owned: _Owned) -> bool:
        """Has the partition to ourselves, if it is idle and there is something to do."""
        with self._changed:
            if owned.stage is not Stage.IDLE or owned.is_leaving:
                return False
            if not owned.has_news and not self._is_tick_due(owned):
                return False
            owned.stage = Stage.TAKING
            owned.has_news = False
            return True

    def _take(self, owned: _Owned) -> bool:
        task, log = owned.task, owned.log
        assert task is not None
        if task.take():
            owned.has_news = True  # There may be more than one batch.
        if not owned.has_caught_up and log is not None:
            # By the last checkpoint: from then on this one ticks, and a tick must not come before an older input.
            owned.has_caught_up = log.is_caught_up(task.position.offsets)
        if owned.has_caught_up and self._ticking and (instant := owned.ticker.due()) is not None:
            task.tick(instant)
        if task.is_dirty:
            owned.commit_began_at = time.monotonic()
            owned.stage = Stage.COMMITTING
            self._commits.submit(self._commit, owned, task)
            return True
        self._put_back(owned)
        return False

    def _commit(self, owned: _Owned, task: PartitionTask) -> None:
        try:
            began = time.monotonic()
            checkpoint = task.checkpoint()
            owned.moved_at = time.monotonic()
            self.metrics.count(checkpoint, owned.moved_at - began)
        except BaseException as error:
            self._fail(error)
        finally:
            self._put_back(owned)

    def _look_after_commits(self) -> None:
        limit = COMMIT_SECONDS_MAX + COMMIT_WATCH_SECONDS
        now = time.monotonic()
        for owned in list(self._owned.values()):
            if owned.stage is Stage.COMMITTING and now - owned.commit_began_at > limit:
                raise _too_slow(f"A checkpoint of partition {owned.partition} was not taken within {limit:.0f} s")

    def _put_back(self, owned: _Owned) -> None:
        with self._changed:
            if owned.stage is not Stage.CLOSED:
                owned.stage = Stage.IDLE
            self._notify()

    def _is_tick_due(self, owned: _Owned) -> bool:
        return self._ticking and owned.has_caught_up and owned.ticker.seconds_left() == 0

    def _wait(self, seen: int) -> None:
        timeout = LOOK_SECONDS_MAX
        if self._ticking:
            # What is being committed is looked at again when that is through; its tick may be overdue by then.
            waiting = [each for each in list(self._owned.values()) if each.stage is Stage.IDLE and not each.is_leaving]
            left = [each.ticker.seconds_left() for each in waiting if each.has_caught_up]
            timeout = min((seconds for seconds in left if seconds is not None), default=timeout)
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen or self._is_stopping, timeout)

    # --- the rest ----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._changed:
            self._notify()

    def _wake_all(self) -> None:
        for owned in list(self._owned.values()):
            owned.has_news = True
        self._wake()

    def _notify(self) -> None:
        self._changes += 1
        self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._failure is not None:
                return
            self._failure = error
            self._notify()
        if isinstance(error, StorageDamaged):
            self._state.condemn(str(error))
        if self._on_failure is not None:
            self._on_failure(error)

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise EngineStopped(f"The worker has stopped: {self._failure}") from self._failure

    def _refuse_if_unknown(self, partition: int) -> None:
        if partition < self.partitions:
            return
        failure = WrongTopics(
            [
                f"The group gives partition {partition}, but there were {self.partitions} when this worker began. "
                "More partitions would part customers from their rows: make new topics under another topic prefix "
                "and replay the inputs into them."
            ]
        )
        self._fail(failure)
        raise failure

    def _measure(self) -> None:
        owned = list(self._owned.values())
        self.metrics.lag.set(sum(_lag_of(each) for each in owned))
        stamps = [stamp for each in owned if (stamp := _oldest_timestamp(each)) is not None]
        self.metrics.lag_seconds.set(max(0.0, (self._clock.now() - min(stamps)) / 1000) if stamps else 0.0)
        self.metrics.restoring.set(sum(each.stage is Stage.OPENING for each in owned))
        self.metrics.owned.set(sum(each.stage is not Stage.OPENING for each in owned))


def _to_read_from(
    positions: Positions, position: Position, reader: ChangelogReader
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """From where the inputs are to be read, and where they end.

    A worker that lost its membership while it restored may find the group ahead of the rows that it read: who has the
    partition by now has gone on (seen in 1 of 100 kills). That is no loss.
    """
    try:
        return positions.to_read_from(position)
    except ChangelogLost:
        if reader.has_grown():
            raise Fenced("Another worker took the partition over while this one restored it, and went on.") from None
        raise


def _too_slow(what: str) -> BrokersLost:
    return BrokersLost(f"{what}. Nothing is lost: start the worker again when the brokers answer.")


def _lag_of(owned: _Owned) -> int:
    log = owned.log
    if log is None:
        return 0
    return sum(stream.lag for topic, stream in log.streams.items() if topic not in BROADCAST_TOPICS)


def _oldest_timestamp(owned: _Owned) -> int | None:
    log = owned.log
    if log is None:
        return None
    stamps = (stream.oldest_timestamp for stream in log.streams.values())
    return min((stamp for stamp in stamps if stamp is not None), default=None)


def _group_metadata(connection: Connection) -> Any:
    """Of a consumer that never joined. Kafka accepts it for the offsets of a transaction; fencing is by the
    transactional id, so both hosts can do alike, also the one that has no metadata of its own to send (design 3)."""
    consumer = Consumer(
        {**connection.client(), "group.id": connection.application_id, "enable.auto.commit": False}, logger=QUIET
    )
    try:
        return consumer.consumer_group_metadata()
    finally:
        consumer.close()
