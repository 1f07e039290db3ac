"""The core's view of the rows of a partition: pending writes over a cache of decoded rows over the store.

This is the hottest path of the engine: an event asks for ten rows or more, most of them met a moment ago. So a hit is
one look-up in one plain dict, and the cache keeps no books on it. It has two generations: what is read or written goes
into the young one; when that is full it becomes the old one, and what the old one held is forgotten, unless it was
asked for in the meantime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from msgspec import Struct

from credit_stream.core.view import Key, Table
from credit_stream.engine.ports import Store

R = TypeVar("R", bound=Struct)

CACHED_ROWS_MAX = 40_000
"""Decoded rows that stay in memory for one partition, both generations together; a row takes about 1 kB."""

_UNKNOWN: Any = object()
"""Not None, which says that there is no such row: that is worth remembering too."""


class Overlay:
    """A `core.view.View` over a store. Writes are seen at once and reach the store with the next checkpoint."""

    def __init__(self, store: Store, currencies: Mapping[str, int], rows_max: int = CACHED_ROWS_MAX) -> None:
        self.currencies = currencies
        self.pending: dict[Key, Struct | None] = {}
        """What was written since the last checkpoint; None: deleted."""
        self._store = store
        self._generation_max = max(1, rows_max // 2)
        self._young: dict[tuple[Table[Any], str, str], Any] = {}
        self._old: dict[tuple[Table[Any], str, str], Any] = {}
        self._pending_ids: dict[tuple[Table[Any], str], dict[str, bool]] = {}

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row, or None when there is none."""
        key = (table, parent, row_id)
        row = self._young.get(key, _UNKNOWN)
        if row is _UNKNOWN:
            row = self._find(key)
        return cast("R | None", row)

    def ids(self, table: Table[R], parent: str) -> list[str]:
        """The ids of all rows under the parent, in code-point order."""
        stored = self._store.ids(table, parent)
        pending = self._pending_ids.get((table, parent))
        if pending is None:
            return stored
        present = {row_id for row_id, is_there in pending.items() if is_there}
        present.update(row_id for row_id in stored if row_id not in pending)
        return sorted(present)

    def apply(self, writes: Mapping[Key, Struct | None]) -> None:
        """Takes over what one step has written."""
        self.pending.update(writes)
        self._young.update(writes)
        for (table, parent, row_id), row in writes.items():
            ids = self._pending_ids.get((table, parent))
            if ids is None:
                ids = self._pending_ids[table, parent] = {}
            ids[row_id] = row is not None
        self._age()

    def settle(self) -> None:
        """The pending writes are in the store now."""
        self.pending = {}
        self._pending_ids = {}

    def _find(self, key: tuple[Table[Any], str, str]) -> Any:
        row = self._old.get(key, _UNKNOWN)
        if row is _UNKNOWN:
            row = self.pending.get(key, _UNKNOWN)
        if row is _UNKNOWN:
            row = self._store.get(*key)
        self._young[key] = row
        self._age()
        return row

    def _age(self) -> None:
        if len(self._young) > self._generation_max:
            self._old = self._young
            self._young = {}
