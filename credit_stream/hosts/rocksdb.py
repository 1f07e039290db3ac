"""RocksDB through rocksdict: the only file that imports it.

One database, several families of keys (RocksDB's column families), batches over all of them that are written whole or
not at all, and memory that does not grow with what lies on the disk. Keys and values are bytes (raw mode). A failure is
raised as `failures.StorageFailed`; after a failed write RocksDB refuses every further one, and so must the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import rocksdict

from credit_stream.hosts.failures import closed, storage_failure

MEBIBYTE = 1024 * 1024
BLOCK_CACHE_BYTES = 96 * MEBIBYTE
"""Blocks that were read, of all families."""
WRITE_BUFFERS_BYTES = 64 * MEBIBYTE
"""What is not yet in a table file, all families together."""
WRITE_BUFFER_BYTES = 16 * MEBIBYTE
"""The same for one family."""
WAL_BYTES_MAX = 96 * MEBIBYTE
"""What is read again after a kill: under a second of it."""
OPEN_FILES_MAX = 256
BLOOM_BITS_PER_KEY = 10
"""One look in a hundred for a key that is not there reads the disk; most new ids are looked for once."""
UNWRITTEN_FILTER_SHARE = 0.1
"""Of a write buffer, for the same filter over what is not yet in a table file: 0.5 us a look in place of 0.9."""
LOG_BLOCK_BYTES = 16 * 1024
"""The log is read in order: large blocks pack better."""

Kind = Literal["rows", "log"]
"""`rows` are looked for one by one, `log` is appended to and read in order."""

Entries = Sequence[tuple[bytes, bytes | None]]
"""Keys with their new values; None deletes."""


class Family:
    """One family of keys, for reading."""

    def __init__(self, directory: Path, rows: rocksdict.Rdict) -> None:
        self._directory = directory
        self._rows = rows

    def close(self) -> None:
        """Lets go of the database, which stays open as long as one of its families is."""
        self._rows.close()

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        try:
            return cast("bytes | None", self._rows.get(key))
        except Exception as error:
            raise storage_failure(error, self._directory) from error

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values of several keys, in their order."""
        try:
            return cast("list[bytes | None]", self._rows.get([*keys]))
        except Exception as error:
            raise storage_failure(error, self._directory) from error

    def keys(self, prefix: bytes) -> list[bytes]:
        """All keys that begin with the prefix, in byte order."""
        bounds = _until(after(prefix))
        try:
            found = list(cast("Iterator[bytes]", self._rows.keys(from_key=prefix, read_opt=bounds)))
            self._check_end(found[-1] if found else prefix)
            return found
        except Exception as error:
            raise storage_failure(error, self._directory) from error

    def scan(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """At most `limit` keys from `start` on and before `end`, with their values, in byte order."""
        bounds = _until(end)
        try:
            items = cast("Iterator[tuple[bytes, bytes]]", self._rows.items(from_key=start, read_opt=bounds))
            found = [item for item, _ in zip(items, range(limit), strict=False)]
            self._check_end(found[-1][0] if found else start)
            return found
        except Exception as error:
            raise storage_failure(error, self._directory) from error

    def _check_end(self, last: bytes) -> None:
        """Raises if what comes after a key cannot be read.

        rocksdict's iterators end at a damaged block as if nothing came after it; only a cursor tells.
        """
        cursor = self._rows.iter()
        cursor.seek(last)
        if cursor.valid():
            cursor.next()
        cursor.status()

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Deletes the keys from `start` on and before `end`."""
        self._rows.delete_range(start, end)

    def first_from(self, key: bytes) -> bytes | None:
        """The first key that is not before `key`."""
        try:
            cursor = self._rows.iter()
            cursor.seek(key)
            return cast(bytes, cursor.key()) if cursor.valid() else None
        except Exception as error:
            raise storage_failure(error, self._directory) from error

    def last_to(self, key: bytes) -> tuple[bytes, bytes] | None:
        """The last key that is not after `key`, and its value."""
        try:
            cursor = self._rows.iter()
            cursor.seek_for_prev(key)
            return (cast(bytes, cursor.key()), cast(bytes, cursor.value())) if cursor.valid() else None
        except Exception as error:
            raise storage_failure(error, self._directory) from error


class Database:
    """A RocksDB in a directory of its own."""

    def __init__(self, directory: Path, families: Mapping[str, Kind], part_of: Path | None = None) -> None:
        """Opens it, and makes it if it is not there. Raises `StorageFailed`, which names `part_of` if that is given:
        the directory that a person knows and may move."""
        self._directory = part_of or directory
        cache = rocksdict.Cache(BLOCK_CACHE_BYTES)
        try:
            options = {name: _family_options(kind, cache) for name, kind in families.items()}
            self._db = rocksdict.Rdict(str(directory), _database_options(cache), options)
            self._handles = {name: self._db.get_column_family_handle(name) for name in families}
            self.families = {name: Family(self._directory, self._db.get_column_family(name)) for name in families}
        except Exception as error:
            raise storage_failure(error, self._directory) from error
        self._open_parts: list[Family | rocksdict.Rdict] = [*self.families.values(), self._db]

    def write(self, batch: Mapping[str, Entries], sync: bool) -> None:
        """Writes the entries of all families at once, or none of them.

        With `sync` they, and all that was written before them, are on the disk when this returns. Without, they are
        with the operating system: they outlive the process, not the machine's power. Raises `StorageFailed`.
        """
        if not self._handles:
            raise closed(self._directory)
        options = rocksdict.WriteOptions()
        options.sync = sync
        try:
            self._db.write(self._assemble(batch), options)
        except Exception as error:
            raise storage_failure(error, self._directory) from error

    def delete_all(self, family: str, prefix: bytes) -> None:
        """Deletes all keys of a family that begin with the prefix. Raises `StorageFailed`."""
        if not self._handles:
            raise closed(self._directory)
        try:
            self.families[family].delete_range(prefix, after(prefix))
        except Exception as error:
            raise storage_failure(error, self._directory) from error

    def close(self) -> None:
        """Flushes and closes it, once. Raises `StorageFailed`; it is closed then too."""
        parts, self._open_parts = self._open_parts, []
        self._handles = {}  # They too keep the database open.
        failures: list[Exception] = []
        for part in parts:
            try:
                part.close()
            except Exception as error:
                failures.append(error)
        if failures:
            raise storage_failure(failures[0], self._directory) from failures[0]

    def _assemble(self, batch: Mapping[str, Entries]) -> rocksdict.WriteBatch:
        # Item assignment into a batch with a default family takes 0.3 us a key; `put` with a family takes 1.8 us.
        assembled = rocksdict.WriteBatch(raw_mode=True)
        for name, entries in batch.items():
            assembled.set_default_column_family(self._handles[name])
            for key, value in entries:
                if value is None:
                    del assembled[key]
                else:
                    assembled[key] = value
        return assembled


def after(prefix: bytes) -> bytes:
    """The first key, in byte order, after all keys that begin with the prefix."""
    stem = prefix.rstrip(b"\xff")
    if not stem:
        raise ValueError("no key comes after a prefix of nothing but FF bytes")
    return stem[:-1] + bytes((stem[-1] + 1,))


def _until(end: bytes) -> rocksdict.ReadOptions:
    """Bounds for an iterator. The caller must hold them for as long as it iterates.

    The iterator points into them and does not keep them: given as a temporary they are freed under it, and it ends
    early or reads rubbish (seen with rocksdict 0.3.29).
    """
    options = rocksdict.ReadOptions()
    options.set_iterate_upper_bound(end)
    return options


def _database_options(cache: rocksdict.Cache) -> rocksdict.Options:
    options = _family_options("rows", cache)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES)
    options.set_max_total_wal_size(WAL_BYTES_MAX)
    options.set_max_open_files(OPEN_FILES_MAX)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(MEBIBYTE)
    options.set_bytes_per_sync(MEBIBYTE)
    return options


def _family_options(kind: Kind, cache: rocksdict.Cache) -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    options.set_bottommost_compression_type(rocksdict.DBCompressionType.zstd())
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_block_based_table_factory(_row_blocks(cache) if kind == "rows" else _log_blocks(cache))
    if kind == "rows":
        options.set_memtable_prefix_bloom_ratio(UNWRITTEN_FILTER_SHARE)
        options.set_memtable_whole_key_filtering(True)
    return options


def _row_blocks(cache: rocksdict.Cache) -> rocksdict.BlockBasedOptions:
    """Indexes and filters stay in memory while a file is open: two bytes a row.

    In the cache they would be whole blocks of a megabyte, too large for a shard of it, and be read again for every
    row: 1,200 us a look instead of 25, seen at 1.5 million rows.
    """
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, False)
    blocks.set_format_version(5)
    return blocks


def _log_blocks(cache: rocksdict.Cache) -> rocksdict.BlockBasedOptions:
    """The log grows for ever: its index is in pieces, which come and go with the cache, and it needs no filter."""
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_block_size(LOG_BLOCK_BYTES)
    blocks.set_index_type(rocksdict.BlockBasedIndexType.two_level_index_search())
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_top_level_index_and_filter(True)
    blocks.set_format_version(5)
    return blocks
