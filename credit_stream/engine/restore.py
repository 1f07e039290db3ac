"""How a task begins: the store is brought to the last checkpoint that the log has (design 3, point 4)."""

from __future__ import annotations

from credit_stream.engine.checkpoint import Position
from credit_stream.engine.ports import Log, Store


def restore(partition: int, log: Log, store: Store) -> Position:
    """Brings the store up to date from the changelog; the position from which inputs are to be taken.

    The store may be behind (the process died after the log had committed), never ahead.
    """
    for changes in log.changelog(partition, store.position()):
        store.write(changes)
    return store.position()
