"""The engine's ports in the simulated world: a log as an owner of a partition sees it, a store, a clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

from msgspec import Struct, msgpack

from credit_stream.core.calendar import Instant
from credit_stream.core.topics import INPUT_TOPICS, STATE
from credit_stream.core.view import Table
from credit_stream.engine.checkpoint import NOWHERE, Changes, Checkpoint, Position
from credit_stream.engine.ports import InputRecord
from credit_stream.engine.row_bytes import decode_key, decode_row
from credit_stream.hosts.placing import home_of
from tests.simulation.brokers import POSITION_KEY, Brokers, Entry

R = TypeVar("R", bound=Struct)

UNKNOWN_END = 2**62
"""The end of a stream whose end was not seen yet: further than anything (as `hosts.kafka.log` has it)."""
ABORTS_MAX = 3
"""Tries of one commit that the brokers may ask to be made again."""

Reach = Callable[[str], None]
"""Is told the place that was reached; what happens there is the world's to choose, and it may raise."""


class SimulatedLog:
    """`engine.ports.Log` for one owner of one partition.

    Of each stream it sees only what has been `shown`: records come late, and later in one topic than in the other.
    While it `is_catching_up` a stream counts as endless until as much was shown as there was when it was opened.
    """

    def __init__(
        self, brokers: Brokers, partition: int, reach: Reach, chance: random.Random, stumbles: float = 0.0
    ) -> None:
        """Fences whoever had the partition before. `stumbles`: how often the brokers abort a transaction."""
        self.partition = partition
        self.epoch = brokers.fence(partition)
        self.shown: dict[str, int] = {}
        self.is_catching_up = False
        self._brokers = brokers
        self._reach = reach
        self._chance = chance
        self._stumbles = stumbles
        self._first_ends = {topic: self._stable_end(topic) for topic in INPUT_TOPICS}

    # --- reading ------------------------------------------------------------------------------------------------

    def begin_at(self, offsets: Mapping[str, int]) -> None:
        """From where on the streams will be shown."""
        self.shown = {topic: offsets.get(topic, 0) for topic in INPUT_TOPICS}

    def show(self, topic: str, records: int) -> None:
        """Some more of a stream has come."""
        self.shown[topic] = self._brokers.stream(topic, self.partition).offset_after(self.shown[topic], records)

    def unseen(self, topic: str) -> int:
        """How many committed records have not been shown."""
        stream = self._brokers.stream(topic, self.partition)
        return stream.count(self.shown[topic], stream.end())

    def ends(self, partition: int) -> Mapping[str, int]:
        """As far as records were shown."""
        return {topic: self._end(topic) for topic in INPUT_TOPICS}

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[InputRecord]:
        """What was shown from an offset on. Offsets have gaps."""
        end = self.shown.get(topic, 0)
        stream = self._brokers.stream(topic, partition)
        return [_input(topic, partition, entry) for entry in stream.read(offset, limit, end)]

    def _end(self, topic: str) -> int:
        shown = self.shown.get(topic, 0)
        if self.is_catching_up and shown < self._first_ends[topic]:
            return UNKNOWN_END
        return shown

    def _stable_end(self, topic: str) -> int:
        return self._brokers.stream(topic, self.partition).end()

    # --- checkpoints --------------------------------------------------------------------------------------------

    def commit(self, checkpoint: Checkpoint) -> Position:
        """Steps 1 to 3 in one transaction, which may have to be made again. Raises `Fenced`."""
        brokers = self._brokers
        self._reach("checkpoint.beginning")
        for _ in range(ABORTS_MAX):
            if self._chance.random() >= self._stumbles:
                break
            stumbling = brokers.begin(self.partition, self.epoch)
            brokers.produce(stumbling, checkpoint, self._chance.randrange(1, 40))
            self._reach("checkpoint.stumbling")
            brokers.abort(stumbling)
        transaction = brokers.begin(self.partition, self.epoch)
        changelog_end = brokers.produce(transaction, checkpoint)
        self._reach("checkpoint.produced")
        brokers.send_offsets(transaction, checkpoint.changes.position)
        self._reach("checkpoint.offsets_sent")
        brokers.commit(transaction)
        self._reach("checkpoint.committed")
        position = checkpoint.changes.position
        return Position(position.number, position.offsets, changelog_end)

    def changelog(self, partition: int, position: Position) -> Iterator[Changes]:
        """What a store lacks, in chunks; only with the last are the rows those of one moment."""
        stream = self._brokers.stream(STATE, partition)
        end, reached = stream.end(), position.changelog
        number, offsets = position.number, position.offsets
        while reached < end:
            chunk = stream.read(reached, self._chance.choice((1, 7, 100, 5_000)), end)
            reached = chunk[-1].offset + 1
            entries: list[tuple[bytes, bytes | None]] = []
            for entry in chunk:
                if entry.key == POSITION_KEY:
                    known = msgpack.decode(cast(bytes, entry.value), type=Position)
                    number, offsets = known.number, known.offsets
                else:
                    entries.append((cast(bytes, entry.key), entry.value))
            yield Changes.of_bytes(entries, Position(number, offsets, reached))
            self._reach("restoring")


def _input(topic: str, partition: int, entry: Entry) -> InputRecord:
    key = cast("str | None", entry.key)
    return InputRecord(topic, home_of(topic, partition), entry.offset, entry.timestamp, key, entry.value or b"")


class SimulatedStore:
    """`engine.ports.Store`: the rows of one partition as bytes, on a disk that keeps what was once written."""

    def __init__(self, reach: Reach = lambda place: None) -> None:
        self.rows: dict[tuple[str, str], dict[str, bytes]] = {}
        """Table and parent, then id, to the bytes of a row."""
        self.reach = reach
        self._position = NOWHERE

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row, or None when there is none."""
        data = self.rows.get((table.name, parent), {}).get(row_id)
        return None if data is None else decode_row(table, data)

    def ids(self, table: Table[R], parent: str) -> list[str]:
        """The ids of all rows under the parent, in code-point order."""
        return sorted(self.rows.get((table.name, parent), ()))

    def position(self) -> Position:
        """How far the rows are."""
        return self._position

    def write(self, changes: Changes) -> None:
        """All of it or nothing; what is in it already changes nothing."""
        self.reach("store.writing")
        if changes.position.is_beyond(self._position):
            put(self.rows, changes.encoded())
            self._position = changes.position
        self.reach("store.written")

    def copy(self) -> SimulatedStore:
        """As it is now, for a disk that will come back old."""
        copied = SimulatedStore(self.reach)
        copied.rows = {place: dict(under) for place, under in self.rows.items()}
        copied._position = self._position
        return copied


def put(rows: dict[tuple[str, str], dict[str, bytes]], entries: Sequence[tuple[bytes, bytes | None]]) -> None:
    """Writes rows by the bytes of their keys; None deletes."""
    for key, value in entries:
        table, parent, row_id = decode_key(key)
        under = rows.setdefault((table, parent), {})
        if value is None:
            under.pop(row_id, None)
        else:
            under[row_id] = value
        if not under:
            del rows[table, parent]


class SimulatedClock:
    """`engine.ports.Clock` of one machine: the world's time, off by what this machine's clock is wrong."""

    def __init__(self, brokers: Brokers, chance: random.Random, skew_ms: int, tick_interval_ms: int) -> None:
        self.tick_interval_ms = tick_interval_ms
        self._brokers = brokers
        self._chance = chance
        self._skew_ms = skew_ms
        self._seconds = 0.0

    def now(self) -> Instant:
        """The present instant, as this machine has it."""
        return self._brokers.now + self._skew_ms

    def monotonic(self) -> float:
        """Seconds; a little later at each look, now and then much, so that batches end by their linger too."""
        self._seconds += self._chance.choice((0.0, 0.001, 0.1))
        return self._seconds

    def seconds_until(self, instant: Instant) -> float | None:
        """0 when it has passed; nobody waits here."""
        return 0.0 if instant <= self.now() else None

    def on_change(self, wake: Callable[[], None]) -> None:
        """Nobody sleeps here."""
