"""The core's view of the rows of a partition: pending writes over a cache of decoded rows over the store.

This is the hottest path of the engine: an event asks for ten rows or more, most of them met a moment ago. So a hit is
one look-up in one plain dict, and the cache keeps no books on it. It has two generations: what is read or
written goes into the young one; when that is full it becomes the old one, and what the old one held is forgotten,
unless it was asked for in the meantime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct

from credit_stream.core.view import NOT_AT_HAND, Key, Table
from credit_stream.engine.ports import Store

R = TypeVar("R", bound=Struct)

CACHED_ROWS_MAX = 40_000
"""Decoded rows that stay in memory for one partition, both generations together; a row takes about 1 kB."""


class Overlay:
    """A `core.view.View` over a store. Writes are seen at once and reach the store with the next checkpoint."""

    def __init__(self, store: Store, currencies: Mapping[str, int], rows_max: int = CACHED_ROWS_MAX) -> None:
        self.currencies = currencies
        self.pending: dict[Key, Struct | None] = {}
        """What was written since the last checkpoint; None: deleted."""
        self.at_hand: dict[Key, Struct | None] = {}
        """The young generation."""
        self._old: dict[Key, Struct | None] = {}
        self._store = store
        self._generation_max = max(1, rows_max // 2)
        self._pending_ids: dict[Table[Any], dict[str, dict[str, bool]]] = {}
        """Of the tables that were ever listed, what was written since the last checkpoint, by parent."""
        self._unlisted: list[Mapping[Key, Struct | None]] = []
        """What steps wrote that is not in there yet: most batches list nothing."""

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row, or None when there is none."""
        key = (table, parent, row_id)
        row = self.at_hand.get(key, NOT_AT_HAND)
        if row is NOT_AT_HAND:
            row = self._old.get(key, NOT_AT_HAND)
            if row is NOT_AT_HAND:
                row = self.pending.get(key, NOT_AT_HAND)
            if row is NOT_AT_HAND:
                row = self._store.get(table, parent, row_id)
            self.at_hand[key] = row
            if len(self.at_hand) > self._generation_max:
                self._age()
        return row  # type: ignore[return-value] # under a key of Table[R] lies an R

    def ids(self, table: Table[R], parent: str) -> list[str]:
        """The ids of all rows under the parent, in code-point order."""
        stored = self._store.ids(table, parent)
        if table not in self._pending_ids:
            self._pending_ids[table] = {}
            self._unlisted = [self.pending]
        for writes in self._unlisted:
            self._note_ids(writes)
        self._unlisted = []
        written = self._pending_ids[table].get(parent)
        if written is None:
            return stored
        present = {row_id for row_id, is_there in written.items() if is_there}
        present.update(row_id for row_id in stored if row_id not in written)
        return sorted(present)

    def apply(self, writes: Mapping[Key, Struct | None]) -> None:
        """Takes over what one step has written."""
        self.pending.update(writes)
        self.at_hand.update(writes)
        self._unlisted.append(writes)
        if len(self.at_hand) > self._generation_max:
            self._age()

    def settle(self) -> None:
        """The pending writes are in the store now."""
        self.pending = {}
        self._unlisted = []
        self._pending_ids = {table: {} for table in self._pending_ids}

    def _note_ids(self, writes: Mapping[Key, Struct | None]) -> None:
        listed = self._pending_ids
        for key in writes:
            if key[0] in listed:
                table, parent, row_id = key
                listed[table].setdefault(parent, {})[row_id] = writes[key] is not None

    def _age(self) -> None:
        """A step that holds the young generation goes on with it; what it does not find there it asks for."""
        self._old = self.at_hand
        self.at_hand = {}
