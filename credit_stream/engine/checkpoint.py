"""A checkpoint: what a batch of inputs led to, and the one order in which it becomes durable (design 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from credit_stream.core.topics import INPUT_TOPICS
from credit_stream.core.view import Key, Publication
from credit_stream.engine.row_bytes import encode_prefix, encode_row
from credit_stream.engine.sequence import SequenceRecord

if TYPE_CHECKING:
    from credit_stream.engine.ports import Log, Store

INPUTS = frozenset(INPUT_TOPICS)


class Position(Struct, frozen=True):
    """How far a partition is: how many checkpoints it has made, and the next offset of every topic it has read.

    `changelog` is the next offset of the partition's changelog, where the log has one apart from the store; else 0.
    """

    number: int
    offsets: Mapping[str, int]
    changelog: int = 0

    def is_beyond(self, other: Position) -> bool:
        """Whether rows at this position are newer than rows at the other."""
        return (self.number, self.changelog) > (other.number, other.changelog)


NOWHERE = Position(0, {})
"""Where a partition starts."""


class Changes:
    """The rows that a checkpoint leaves (None: deleted) and the position that they stand for.

    Read from a changelog they are bytes and stay so (`of_bytes`): restoring copies them as they are.
    """

    __slots__ = ("_encoded", "position", "rows")

    def __init__(self, rows: Mapping[Key, Struct | None], position: Position) -> None:
        self.rows = rows
        self.position = position
        self._encoded: list[tuple[bytes, bytes | None]] | None = None

    @classmethod
    def of_bytes(cls, entries: list[tuple[bytes, bytes | None]], position: Position) -> Changes:
        """Changes whose rows are known by their bytes only, for a store that keeps bytes."""
        changes = cls({}, position)
        changes._encoded = entries
        return changes

    def encoded(self) -> list[tuple[bytes, bytes | None]]:
        """Key and value bytes of the rows. Made once: the changelog and the store take the same."""
        if self._encoded is None:
            self._encoded = [
                (encode_prefix(table, parent) + row_id.encode(), None if row is None else encode_row(row))
                for (table, parent, row_id), row in self.rows.items()
            ]
        return self._encoded


class Checkpoint(Struct, frozen=True):
    """What one partition task makes durable at once.

    `values` are the encoded records of `publications`, one for one (None: a tombstone); it is empty when the task was
    given no encoder. `sequence` is the order in which the inputs were taken.
    """

    partition: int
    publications: list[Publication]
    values: list[bytes | None]
    sequence: SequenceRecord
    changes: Changes

    @property
    def has_requests(self) -> bool:
        """Whether something published is an input of some partition."""
        return any(publication.topic in INPUTS for publication in self.publications)


def write(checkpoint: Checkpoint, log: Log, store: Store) -> None:
    """Makes a checkpoint durable, in this order and written once.

    1. outputs, requests, changelog rows and one `credit.sequence` record are produced inside a transaction,
    2. the source offsets are sent to the transaction,
    3. it commits,
    4. rows and the positions reached go to the local store in one write batch.

    Whatever fails before 3 ends, aborts: nothing was visible and the batch is taken again. Whatever fails after 3 is
    recovered from the changelog (`restore`). The store is never ahead of the log.
    """
    changes = checkpoint.changes
    changes.position = log.commit(checkpoint)
    store.write(changes)
