"""What the engine needs of the world: a log, a store and a clock.

Every adapter of a port passes that port's contract tests (`tests/hosts/test_ports.py`), so that what holds in memory
holds on a disk and against a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from credit_stream.core.calendar import Instant
from credit_stream.core.events import Event
from credit_stream.core.view import Table
from credit_stream.engine.checkpoint import Changes, Checkpoint, Position
from credit_stream.wire.faults import Fault

R = TypeVar("R", bound=Struct)


class InputRecord(Struct, frozen=True, gc=False):
    """One record of an input topic, with its bytes as they came.

    `timestamp` orders records of different topics: milliseconds for a broker, a strictly increasing arrival number
    where one process is the log. `key` is None when it cannot be told. `event` is what `payload` reads as, where the
    adapter knows it already; a task reads the payload only where it is None.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    payload: bytes
    event: Event | Fault | None = None


class Log(Protocol):
    """The inputs of every partition, and the one place where a checkpoint becomes visible."""

    def ends(self, partition: int) -> Mapping[str, int]:
        """For every input topic of the partition, the offset that its next record will get; as of one moment.

        A topic that every partition reads whole (`BROADCAST_TOPICS`) has one stream, with the same end for all.
        """

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """At most `limit` records from `offset` on, in the order of their offsets; fewer only at the end."""

    def commit(self, checkpoint: Checkpoint) -> Position:
        """Steps 1 to 3 of a checkpoint (see `checkpoint.write`): all of it becomes visible, or nothing.

        A publication whose topic is an input topic is appended there, to the partition of its key, and taken later
        like any other input. The position is that of the checkpoint, with where it lies in the changelog. When this
        raises, the task must not go on.
        """

    def changelog(self, partition: int, position: Position) -> Iterable[Changes]:
        """What the store of a partition that is at `position` still lacks, in order.

        Some may be a part of a checkpoint only: the rows are those of a moment again when all were written.
        """


class Store(Protocol):
    """The rows of one partition as of its last checkpoint."""

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row, or None when there is none."""

    def ids(self, table: Table[R], parent: str) -> list[str]:
        """The ids of all rows under the parent, in code-point order."""

    def position(self) -> Position:
        """How far the rows are: checkpoints seen, and the next offset of every input topic."""

    def write(self, changes: Changes) -> None:
        """Step 4 of a checkpoint: rows and position in one batch; all of it or nothing.

        Changes that are in the store already (their position is not beyond the store's) change nothing.
        """


class Clock(Protocol):
    """Time for the ticks and the linger. Only tasks and hosts look at it; the core never does."""

    @property
    def tick_interval_ms(self) -> int:
        """Ticks are made at instants that are multiples of this; it divides a quarter of an hour.

        So one falls on the change of the business date in every time zone.
        """

    def now(self) -> Instant:
        """The present instant."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def seconds_until(self, instant: Instant) -> float | None:
        """Real seconds until this clock shows `instant`, 0 when it has passed; None: not by waiting."""

    def on_change(self, wake: Callable[[], None]) -> None:
        """Has `wake` called whenever the clock moves otherwise than by waiting."""
