"""The host for one machine: a durable log, state and positions in one directory, no broker.

`append` makes inputs durable and says where they lie; the engine (a thread of its own, or `process_pending` in the
caller's) takes them in the order of arrival; readers see what checkpoints have made visible. Every checkpoint is one
write batch over log, rows and positions, so after a kill at any moment each input has been taken wholly or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Condition, RLock, Thread, current_thread
from types import TracebackType

from credit_stream.core.calendar import Instant
from credit_stream.engine.ports import Clock
from credit_stream.engine.task import BatchLimits, PartitionTask, Program
from credit_stream.hosts.clock import SystemClock
from credit_stream.hosts.directory import Directory
from credit_stream.hosts.embedded_log import LOG_FAMILIES, EmbeddedLog, Fsync, NewInput, Receipt, StoredRecord
from credit_stream.hosts.failures import EngineStopped, HostFailure, NotIdle
from credit_stream.hosts.placing import place
from credit_stream.hosts.program import CREDIT
from credit_stream.hosts.replay import Replayed, replay
from credit_stream.hosts.rocks_store import STORE_FAMILIES, RocksStore
from credit_stream.hosts.rocksdb import Database
from credit_stream.hosts.ticking import Ticker
from credit_stream.wire.avro import encode_event
from credit_stream.wire.faults import Fault

FAMILIES = {**LOG_FAMILIES, **STORE_FAMILIES}
CACHED_ROWS_MAX = 60_000
"""Decoded rows in memory, all partitions together: about 60 MB of the 400 MB that the process may take."""
READ_RECORDS_MAX = 1_000
"""Records in one answer to a reader."""
SINGLE_OBJECT = b"\xc3\x01"
"""What Avro's single-object encoding begins with; such a payload is logged as it came."""


class EmbeddedHost:
    """The whole system in one directory. Safe to call from any thread; close it, or use it in a `with`."""

    def __init__(
        self,
        directory: Path | str,
        partitions: int | None = None,
        *,
        fsync: Fsync = "always",
        clock: Clock | None = None,
        ticking: bool = False,
        program: Program = CREDIT,
        limits: BatchLimits | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Opens the directory, or makes it.

        `partitions` None: as the directory was made; 4 for a new one. `fsync` "always": an input is on the disk when
        `append` returns; "never": it is with the operating system, which outlives the process but not a power cut.
        `ticking`: the clock makes ticks. `on_failure` is called in the engine's thread when it stops after a failure.
        Raises `DirectoryInUse`, `WrongPartitions`, `UnknownFormat`, `DiskFull`, `StorageFailed`.
        """
        if program.encode is None:
            raise ValueError("the embedded host writes bytes: give it a program with an encoder")
        self.ticking = ticking
        self._program = program
        self._clock = clock or SystemClock()
        self._on_failure = on_failure
        self._failure: BaseException | None = None
        self._engine = RLock()
        """Held by whoever runs tasks."""
        self._changed = Condition()
        """Notified when inputs came, a checkpoint was made, the clock was moved, or the engine stops."""
        self._changes = 0
        self._stopping = False
        self._thread: Thread | None = None
        self._open(Path(directory), partitions, fsync, limits)
        self._ticker = Ticker(self._clock)
        self._clock.on_change(self._notify)

    @property
    def partitions(self) -> int:
        """How many partitions every input topic has."""
        return self._directory.partitions

    @property
    def failure(self) -> BaseException | None:
        """Why the engine has stopped for good, if it has."""
        return self._failure

    # --- writing -----------------------------------------------------------------------------------------------------

    def append(self, payloads: Iterable[bytes]) -> list[Receipt]:
        """Takes inputs in (JSON lines or Avro), all or none, and says where each lies; then they are durable.

        JSON that reads as an event is logged as Avro. What does not is logged as it came and becomes a dead letter when
        it is taken. An event for all partitions is logged in each; its receipt is that of the first.
        Raises `DiskFull`, `StorageFailed`; `EngineStopped` after a failure.
        """
        inputs: list[NewInput] = []
        firsts: list[int] = []
        for payload in payloads:
            firsts.append(len(inputs))
            inputs += self._inputs_of(payload)
        self._refuse_if_failed()
        if not inputs:
            return []
        try:
            receipts = self._log.append(inputs)
        except HostFailure as error:
            self._fail(error)
            raise
        self._notify()
        return [receipts[first] for first in firsts]

    # --- the engine --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Runs the engine in a thread until `stop`."""
        self._refuse_if_failed()
        if self._thread is None:
            self._stopping = False
            self._thread = Thread(target=self._run, name="credit-stream-engine", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the engine's thread after the checkpoint that it is at."""
        self._stopping = True
        self._notify()
        thread = self._thread
        if thread is not None and thread is not current_thread():
            thread.join()
        self._thread = None

    def process_pending(self, inputs_max: int | None = None) -> int:
        """Takes what is in the log, at most `inputs_max`, with checkpoints; how many inputs that were.

        Raises what a step raised; then the engine has stopped for good.
        """
        done = 0
        while inputs_max is None or done < inputs_max:
            taken = self._round(None if inputs_max is None else inputs_max - done)
            if taken == 0:
                break
            done += taken
        return done

    def tick(self, instant: Instant) -> None:
        """Moves the clock of every partition, as a task does by itself while `ticking` (spec 10.1)."""
        with self._engine:
            self._refuse_if_failed()
            try:
                for task in self._tasks:
                    task.tick(instant)
                    task.checkpoint()
            except BaseException as error:
                self._fail(error)
                raise
        self._notify()

    def wait_idle(self, deadline_seconds: float) -> None:
        """Returns when all that was appended has been taken. Raises `NotIdle` at the deadline, `EngineStopped`."""
        until = time.monotonic() + deadline_seconds
        with self._changed:
            while True:
                self._refuse_if_failed()
                lag = self.lag()
                if lag == 0:
                    return
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise NotIdle(
                        f"{lag} inputs were not yet taken after {deadline_seconds} s. "
                        "Wait longer, or see that the engine was started."
                    )

    def wait_for_change(self, seen: int, timeout_seconds: float) -> int:
        """Waits until something was appended or a checkpoint made since `seen`; what to give as `seen` the next time.

        Returns `seen` itself when nothing came in time, or the engine stopped. Begin with 0.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen or self._stopping, timeout_seconds)
            return self._changes

    # --- reading -----------------------------------------------------------------------------------------------------

    def latest(self, topic: str, key: str) -> StoredRecord | None:
        """The newest record of an output topic and key; None when there is none or it was taken back."""
        return self._log.latest(topic, key)

    def scan_latest(self, topic: str, after: str | None = None, limit: int = READ_RECORDS_MAX) -> list[StoredRecord]:
        """The newest records of a topic by key, from after the key `after` on; at most `READ_RECORDS_MAX` at once."""
        return self._log.scan_latest(topic, after, min(limit, READ_RECORDS_MAX))

    def read(self, topic: str, partition: int, offset: int, limit: int = READ_RECORDS_MAX) -> list[StoredRecord]:
        """Records of any topic from `offset` on, in their order; at most `READ_RECORDS_MAX` at once."""
        return self._log.stored(topic, partition, offset, min(limit, READ_RECORDS_MAX))

    def counts(self) -> dict[str, int]:
        """How many records each topic has, inputs and outputs."""
        counts: dict[str, int] = {}
        for (topic, _), records in self._log.streams().items():
            counts[topic] = counts.get(topic, 0) + records
        return counts

    def positions(self) -> list[Mapping[str, int]]:
        """For each partition, the next offset of every input topic that it has read."""
        return [task.position.offsets for task in self._tasks]

    def lag(self) -> int:
        """How many inputs lie in the log and were not yet taken, over all partitions."""
        lag = 0
        for partition, offsets in enumerate(self.positions()):
            lag += sum(end - offsets.get(topic, 0) for topic, end in self._log.ends(partition).items())
        return lag

    def replay(self) -> Replayed:
        """Computes every output again, from the inputs and the recorded order, and compares byte by byte.

        Changes nothing. For as long as it lasts the engine waits.
        """
        with self._engine:
            return replay(self._log, self._program)

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stops the engine and lets go of the directory."""
        self.stop()
        try:
            with self._engine:
                self._database.close()
        finally:
            self._directory.close()

    def __enter__(self) -> EmbeddedHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _open(self, path: Path, partitions: int | None, fsync: Fsync, limits: BatchLimits | None) -> None:
        self._directory = Directory(path, partitions)
        try:
            self._database = Database(self._directory.database, FAMILIES, path)
            self._log = EmbeddedLog(self._database, self.partitions, fsync)
            self._tasks = [self._task(partition, limits) for partition in range(self.partitions)]
        except BaseException:
            self._directory.close()
            raise

    def _task(self, partition: int, limits: BatchLimits | None) -> PartitionTask:
        return PartitionTask(
            partition,
            self._log,
            RocksStore(self._database, partition),
            self._program,
            self._clock,
            limits,
            cached_rows_max=CACHED_ROWS_MAX // self.partitions,
        )

    def _inputs_of(self, payload: bytes) -> list[NewInput]:
        event = self._program.read(payload)
        placed = place(event, self.partitions)
        if not isinstance(event, Fault) and not payload.startswith(SINGLE_OBJECT):
            payload = encode_event(event)
        return [NewInput(placed.topic, partition, placed.key, payload, event) for partition in placed.partitions]

    def _round(self, inputs_max: int | None) -> int:
        """One batch of every partition that has inputs."""
        with self._engine:
            self._refuse_if_failed()
            try:
                return self._take_all(inputs_max)
            except BaseException as error:
                self._fail(error)
                raise

    def _take_all(self, inputs_max: int | None) -> int:
        taken = 0
        for task in self._tasks:
            taken += task.take(None if inputs_max is None else inputs_max - taken)
            if task.is_dirty:
                task.checkpoint()
                self._notify()
        return taken

    def _run(self) -> None:
        caught_up = False
        try:
            while not self._stopping:
                seen = self._changes
                taken = self._round(None)
                caught_up = caught_up or taken == 0
                if caught_up and self.ticking:
                    self._tick_if_due()
                if taken == 0:
                    self._wait(seen)
        except BaseException as error:
            self._fail(error)

    def _tick_if_due(self) -> None:
        instant = self._ticker.due()
        if instant is not None:
            self.tick(instant)

    def _wait(self, seen: int) -> None:
        timeout = self._ticker.seconds_left() if self.ticking else None
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen or self._stopping, timeout)

    def _notify(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        if self._failure is not None:
            return
        self._failure = error
        self._stopping = True
        self._notify()
        if self._on_failure is not None:
            self._on_failure(error)

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise EngineStopped(
                f"The engine has stopped: {self._failure}. Nothing that was acknowledged is lost. "
                "Mend the cause and start again."
            ) from self._failure
