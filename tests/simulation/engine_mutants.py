"""Broken variants of the engine: of the order of a checkpoint, of what is kept, and of how a task begins anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from unittest.mock import patch

from msgspec import Struct

from credit_stream.core.rows import DUE_DAYS, HOLDS
from credit_stream.core.topics import SEQUENCE, STATE
from credit_stream.core.view import Key
from credit_stream.engine import checkpoint as checkpoints
from credit_stream.engine import task as tasks
from credit_stream.engine.checkpoint import Changes, Checkpoint, Position
from credit_stream.engine.overlay import Overlay
from credit_stream.engine.ports import InputRecord, Log, Store
from credit_stream.engine.sequence import SequenceBuilder, Tick
from credit_stream.engine.task import PartitionTask
from tests.simulation.brokers import Brokers, Transaction
from tests.simulation.mutation import mutant
from tests.simulation.ports import SimulatedStore

# --- the engine: checkpoints ------------------------------------------------------------------------------------


@mutant
def the_store_is_written_before_the_log() -> Iterator[None]:
    """Rows and position are on the disk before the transaction has committed: design 3.3 the wrong way round."""

    def write(checkpoint: Checkpoint, log: Log, store: Store) -> None:
        store.write(checkpoint.changes)
        checkpoint.changes.position = log.commit(checkpoint)
        store.write(checkpoint.changes)

    with patch.object(checkpoints, "write", write):
        yield


@mutant
def the_position_is_written_before_the_commit() -> Iterator[None]:
    """Only the position is; the rows come when they should."""

    def write(checkpoint: Checkpoint, log: Log, store: Store) -> None:
        store.write(Changes({}, checkpoint.changes.position))
        checkpoint.changes.position = log.commit(checkpoint)
        store.write(checkpoint.changes)

    with patch.object(checkpoints, "write", write):
        yield


@mutant
def the_position_is_written_without_its_rows() -> Iterator[None]:
    """Two batches instead of one: whoever dies between them keeps the first."""

    def write(checkpoint: Checkpoint, log: Log, store: Store) -> None:
        position = checkpoint.changes.position = log.commit(checkpoint)
        store.write(Changes({}, Position(position.number, position.offsets, position.changelog - 1)))
        store.write(checkpoint.changes)

    with patch.object(checkpoints, "write", write):
        yield


@mutant
def outputs_of_an_aborted_transaction_stay() -> Iterator[None]:
    """What was produced is seen whether it was committed or not."""
    end = Brokers._end

    def keep(brokers: Brokers, transaction: Transaction, state: str) -> None:
        end(brokers, transaction, state)
        kept = Transaction(transaction.partition, transaction.epoch, "committed")
        for place in transaction.places if state == "aborted" else ():
            for entry in brokers.stream(*place).entries if place[0] not in (SEQUENCE, STATE) else ():
                if entry.transaction is transaction:
                    entry.transaction = kept

    with patch.object(Brokers, "_end", keep):
        yield


@mutant
def a_fenced_owner_goes_on_writing() -> Iterator[None]:
    """Nobody tells a zombie."""
    with patch.object(Brokers, "demand", lambda brokers, partition, epoch: None):
        yield


@mutant
def the_offset_of_the_last_record_is_kept_instead_of_the_next() -> Iterator[None]:
    """Who begins anew takes it twice."""
    take = tasks._Batch.take

    def keep(batch: Any, record: InputRecord) -> None:
        take(batch, record)
        batch.offsets[record.topic] = record.offset

    with patch.object(tasks._Batch, "take", keep):
        yield


# --- the engine: what is kept -----------------------------------------------------------------------------------


@mutant
def ticks_are_not_in_the_sequence() -> Iterator[None]:
    """A replay does not know when the day changed."""
    with patch.object(SequenceBuilder, "tick", lambda builder, instant: None):
        yield


@mutant
def the_sequence_forgets_where_a_run_ends() -> Iterator[None]:
    """Two runs of one topic with a tick between them become one before it."""

    def tick(builder: Any, instant: int) -> None:
        builder._taken.append(Tick(instant))

    with patch.object(SequenceBuilder, "tick", tick):
        yield


@mutant
def deleted_rows_are_not_in_the_changelog() -> Iterator[None]:
    """Whoever restores has them again."""
    encoded = Changes.encoded

    def without(changes: Changes) -> list[tuple[bytes, bytes | None]]:
        return [entry for entry in encoded(changes) if entry[1] is not None]

    with patch.object(Changes, "encoded", without):
        yield


@mutant
def some_rows_are_not_in_the_changelog() -> Iterator[None]:
    """Of one table none is."""

    def rows_of(changes: Changes) -> Mapping[Key, Struct | None]:
        return {key: row for key, row in changes.rows.items() if key[0] not in (HOLDS, DUE_DAYS)}

    encoded = Changes.encoded

    def without(changes: Changes) -> list[tuple[bytes, bytes | None]]:
        return encoded(Changes(rows_of(changes), changes.position) if changes.rows else changes)

    with patch.object(Changes, "encoded", without):
        yield


@mutant
def the_cache_outlives_a_crash() -> Iterator[None]:
    """Rows of a batch that was never committed are believed by the task that begins anew."""
    begin = Overlay.__init__

    def keep(overlay: Overlay, store: Any, *args: Any, **options: Any) -> None:
        begin(overlay, store, *args, **options)
        if isinstance(store, SimulatedStore):
            overlay.at_hand = store.__dict__.setdefault("cache", overlay.at_hand)

    with patch.object(Overlay, "__init__", keep):
        yield


@mutant
def the_changelog_is_not_read_at_the_beginning() -> Iterator[None]:
    """What was committed after the store was last written is done again."""
    with patch.object(tasks, "restore", lambda partition, log, store: store.position()):
        yield


@mutant
def only_a_part_of_the_changelog_is_read() -> Iterator[None]:
    """The rows are those of no moment."""

    def restore(partition: int, log: Log, store: Store) -> Position:
        for changes in islice(log.changelog(partition, store.position()), 1):
            store.write(changes)
        return store.position()

    with patch.object(tasks, "restore", restore):
        yield


@mutant
def the_disk_loses_rows() -> Iterator[None]:
    """Those of a partition's second write."""
    write = SimulatedStore.write

    def lose(store: SimulatedStore, changes: Changes) -> None:
        write(store, Changes.of_bytes(changes.encoded()[:-1], changes.position))

    with patch.object(SimulatedStore, "write", lose):
        yield


@mutant
def rubbish_is_dropped_in_silence() -> Iterator[None]:
    """No dead letter for what cannot be read."""
    bury = PartitionTask._bury

    def drop(task: PartitionTask, record: InputRecord, event_id: str | None, reason: str, message: str) -> None:
        if reason != "unreadable":
            bury(task, record, event_id, reason, message)

    with patch.object(PartitionTask, "_bury", drop):
        yield
