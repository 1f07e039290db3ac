"""The rows of one partition in RocksDB. Several partitions share a family; each key begins with its partition."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct, msgpack

from credit_stream.core.view import Table
from credit_stream.engine.checkpoint import NOWHERE, Changes, Position
from credit_stream.engine.row_bytes import decode_row, encode_key, encode_prefix
from credit_stream.hosts.rocksdb import Database, Entries, Kind

R = TypeVar("R", bound=Struct)

STATE = "state"
"""Partition (2 bytes, big-endian) and row key (`engine.row_bytes`) to row."""
POSITIONS = "positions"
"""Partition (2 bytes, big-endian) to `Position`."""
STORE_FAMILIES: dict[str, Kind] = {STATE: "rows", POSITIONS: "rows"}
PARTITIONS_MAX = 65_535


def prefix_of(partition: int) -> bytes:
    """What every key of the partition begins with."""
    return partition.to_bytes(2, "big")


def entries_of(partition: int, changes: Changes) -> dict[str, Entries]:
    """The rows and the position of a checkpoint, for a batch."""
    prefix = prefix_of(partition)
    return {
        STATE: [(prefix + key, value) for key, value in changes.encoded()],
        POSITIONS: [(prefix, msgpack.encode(changes.position))],
    }


class RocksStore:
    """A store in a database that has the families `STATE` and `POSITIONS`."""

    def __init__(self, database: Database, partition: int) -> None:
        self._database = database
        self._rows = database.families[STATE]
        self._positions = database.families[POSITIONS]
        self._partition = partition
        self._prefix = prefix_of(partition)

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row, or None when there is none."""
        data = self._rows.get(self._prefix + encode_key(table, parent, row_id))
        return None if data is None else decode_row(table, data)

    def ids(self, table: Table[R], parent: str) -> list[str]:
        """The ids of all rows under the parent, in code-point order."""
        prefix = self._prefix + encode_prefix(table, parent)
        return [key[len(prefix) :].decode() for key in self._rows.keys(prefix)]

    def position(self) -> Position:
        """How far the rows are."""
        data = self._positions.get(self._prefix)
        return NOWHERE if data is None else msgpack.decode(data, type=Position)

    def forget(self) -> None:
        """Makes the store a new one. The position goes first: rows without one are never believed."""
        self._database.write({POSITIONS: [(self._prefix, None)]}, sync=True)
        self._database.delete_all(STATE, self._prefix)

    def write(self, changes: Changes) -> None:
        """Takes over rows and position in one batch, unless they are in it already.

        They are when the log is in the same database: there the rows are their own changelog, and step 3 of a
        checkpoint has written them together with the outputs.
        """
        if changes.position.is_beyond(self.position()):
            self._database.write(entries_of(self._partition, changes), sync=False)
