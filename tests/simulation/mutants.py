"""The test of the test: an engine and a core that are broken on purpose, each in one way, each of which must be caught.

A mutant is a function that breaks one thing while it is entered, with a name that says what is broken. A new one needs
nothing but its decorator. `catch` runs seeds until one fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any
from unittest.mock import patch

from msgspec import Struct
from msgspec.structs import replace as changed

from credit_stream.core import evaluation, invoices, payments
from credit_stream.core import step as core_step
from credit_stream.core.accounts import Ledger
from credit_stream.core.events import Event
from credit_stream.core.facts import Facts
from credit_stream.core.outputs import ExposureBuckets, InputPosition
from credit_stream.core.rows import DUE_DAYS, HOLDS, SEEN, Order
from credit_stream.core.topics import SEQUENCE, STATE
from credit_stream.core.view import Key, StepResult, View
from credit_stream.engine import checkpoint as checkpoints
from credit_stream.engine import task as tasks
from credit_stream.engine.checkpoint import Changes, Checkpoint, Position
from credit_stream.engine.overlay import Overlay
from credit_stream.engine.ports import InputRecord, Log, Store
from credit_stream.engine.sequence import SequenceBuilder, Tick
from credit_stream.engine.task import PartitionTask
from tests.simulation.brokers import Brokers, Transaction
from tests.simulation.ports import SimulatedStore
from tests.simulation.run import Outcome, run

Mutant = Callable[[], AbstractContextManager[None]]

MUTANTS: dict[str, Mutant] = {}


def mutant(breaking: Callable[[], Iterator[None]]) -> Mutant:
    """Registers a mutant under its name."""
    made = contextmanager(breaking)
    MUTANTS[breaking.__name__] = made
    return made


def catch(name: str, seeds: Iterator[int], seeds_max: int) -> Outcome | None:
    """The first seed that finds the mutant out; None when it lives."""
    with MUTANTS[name]():
        for seed in islice(seeds, seeds_max):
            outcome = run(seed)
            if outcome.findings:
                return outcome
    return None


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


# --- the core ---------------------------------------------------------------------------------------------------


@mutant
def an_order_that_reaches_the_limit_is_held() -> Iterator[None]:
    """The boundary is off by one, on the safe side."""
    look = Facts.uses_more_than
    with patch.object(Facts, "uses_more_than", lambda facts, percent, *, or_equal: look(facts, percent, or_equal=True)):
        yield


@mutant
def an_order_that_passes_the_limit_by_one_is_released() -> Iterator[None]:
    """The boundary is off by one, on the other side."""
    look = Facts.uses_more_than

    def lenient(facts: Facts, percent: str, *, or_equal: bool) -> Any:
        hit, line = look(facts, percent, or_equal=or_equal)
        is_less, _ = look(changed(facts, used_after_minor=facts.used_after_minor - 1), percent, or_equal=or_equal)
        return hit and is_less, line

    with patch.object(Facts, "uses_more_than", lenient):
        yield


@mutant
def an_invoice_counts_beside_its_order() -> Iterator[None]:
    """The same goods twice (spec 3.3)."""
    with patch.object(invoices, "less_invoice", lambda ledger, order, invoice: (order, invoice)):
        yield


@mutant
def event_ids_are_forgotten() -> Iterator[None]:
    """What comes twice is done twice."""
    step = core_step.step

    def forget(view: View, event: Event, position: InputPosition) -> StepResult:
        result = step(view, event, position)
        return changed(result, writes={key: row for key, row in result.writes.items() if key[0] is not SEEN})

    with patch.object(core_step, "step", forget):
        yield


@mutant
def secured_amounts_count() -> Iterator[None]:
    """As if nobody had guaranteed for them (spec 3.7)."""
    parts_of = Ledger.parts_of
    with patch.object(Ledger, "parts_of", lambda ledger, order: parts_of(ledger, changed(order, secured_minor=0))):
        yield


@mutant
def freed_credit_is_offered_to_everybody() -> Iterator[None]:
    """Each held order finds all of it (spec 7.4)."""
    with patch.object(evaluation, "open_part_of", lambda work, ledger, hold: 0):
        yield


@mutant
def held_orders_use_credit() -> Iterator[None]:
    """Though the parameter says that they do not (spec 3.4)."""
    buckets = Ledger.buckets

    def with_held(ledger: Ledger, without: Order | None = None) -> ExposureBuckets:
        found, held = buckets(ledger, without), ledger.account.held_orders_minor
        orders = found.open_orders_minor + held
        return changed(found, open_orders_minor=orders, total_minor=found.total_minor + held)

    with patch.object(Ledger, "buckets", with_held):
        yield


@mutant
def a_bounced_payment_stays_paid() -> Iterator[None]:
    """What it had settled is not opened again (G14)."""
    with patch.object(payments, "unsettle", lambda ledger, invoice, whole, kind, credit_id: invoice):
        yield


@mutant
def invoices_never_fall_due() -> Iterator[None]:
    """The day after the due date is a day like any other (spec 10.2)."""
    with patch.object(Ledger, "fall_due", lambda ledger, due: None):
        yield


@mutant
def a_cancelled_order_keeps_its_credit() -> Iterator[None]:
    """Its open part is not 0 (spec 3.2)."""
    parts_of = Ledger.parts_of

    def keep(ledger: Ledger, order: Order) -> tuple[int, int]:
        return parts_of(ledger, changed(order, lifecycle="open") if order.lifecycle == "cancelled" else order)

    with patch.object(Ledger, "parts_of", keep):
        yield


@mutant
def an_order_counts_twice_in_its_own_check() -> Iterator[None]:
    """Once as it stands, once as the one that is checked (spec 3.5)."""
    buckets = Ledger.buckets
    with patch.object(Ledger, "buckets", lambda ledger, without=None: buckets(ledger)):
        yield


if find_spec("credit_stream.core.pools") is not None:  # Credit groups are there, so they can be broken too.
    import_module("tests.simulation.group_mutants")
