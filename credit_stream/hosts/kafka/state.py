"""The state directory of a worker: the rows of the partitions that it has or had, in one RocksDB.

All of it is a copy: what is lost or damaged comes again from the changelog. So nothing in it may stop a worker for
good, and nothing in it is believed that belongs to another cluster or is too old to be brought up to date.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from credit_stream.engine.checkpoint import NOWHERE
from credit_stream.hosts.directory import take_lock
from credit_stream.hosts.failures import StorageDamaged, StorageFailed, storage_failure
from credit_stream.hosts.rocks_store import STORE_FAMILIES, RocksStore
from credit_stream.hosts.rocksdb import Database

FORMAT = 1
"""Rises when an older release could not read what a newer one writes; what has another is moved aside and rebuilt."""

_ORIGIN_FILE = "origin.json"
_DAMAGED_FILE = "damaged"
_DATABASE = "rocksdb"
_MISSING = "IO error: No such file or directory"
"""What RocksDB says where a file of its own is gone, such as the MANIFEST that CURRENT names: it does not call it
damage, but it would never open again."""

Say = Callable[[str], None]
"""Told, in a sentence, what was found and done."""


class Origin(Struct, frozen=True):
    """Of which cluster and changelog the rows are a copy."""

    cluster: str
    changelog: str
    """Name of the topic, and its id where the brokers give one: a topic made anew has the same name."""
    format: int = FORMAT


class StateDirectory:
    """A directory that this process has to itself until it is closed."""

    def __init__(self, path: Path, origin: Origin, say: Say) -> None:
        """Takes the directory, or makes it; what it cannot use is moved aside.

        Raises `DirectoryInUse`, `DiskFull`, `StorageFailed`.
        """
        self.path = path
        self._say = say
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(path)
        except OSError as error:
            raise storage_failure(error, path) from error
        try:
            self._refuse_what_is_foreign(origin)
            self._database = self._open()
        except BaseException:
            self._lock.close()
            raise

    def store(self, partition: int, kept_from: int, changelog_end: int) -> RocksStore:
        """The rows of a partition as far as they can be used: a new store where they are too old or go too far.

        From offset `kept_from` on the changelog has not yet forgotten which rows were deleted.
        """
        store = RocksStore(self._database, partition)
        position = store.position()
        unusable = None
        if position.changelog > changelog_end:
            unusable = f"go to offset {position.changelog} of the changelog, which ends at {changelog_end}"
        elif position != NOWHERE and position.changelog < kept_from:
            unusable = "are so old that the changelog may have forgotten what was deleted since"
        if unusable is not None:
            self._say(f"The rows of partition {partition} in {self.path} {unusable}: they are fetched anew.")
        if unusable is not None or store.position() == NOWHERE:
            store.forget()
        return store

    def condemn(self, reason: str) -> None:
        """Has the next start move the rows aside: they were found to be damaged while in use."""
        (self.path / _DAMAGED_FILE).write_text(reason + "\n", encoding="utf-8")

    def close(self) -> None:
        """Flushes what is in memory and lets another process have the directory."""
        try:
            self._database.close()
        finally:
            self._lock.close()

    def _refuse_what_is_foreign(self, origin: Origin) -> None:
        file = self.path / _ORIGIN_FILE
        damaged = self.path / _DAMAGED_FILE
        if damaged.exists():
            self._move_aside(f"were found damaged ({damaged.read_text(encoding='utf-8').strip()})")
            damaged.unlink()
        elif (self.path / _DATABASE).exists() and (found := _origin_in(file)) != origin:
            self._move_aside(
                "are of another cluster, changelog or release" if found else "have nothing that names them"
            )
        _write_durably(file, msgspec.json.encode(origin) + b"\n")

    def _open(self) -> Database:
        try:
            return Database(self.path / _DATABASE, STORE_FAMILIES, self.path)
        except StorageFailed as error:
            if not isinstance(error, StorageDamaged) and _MISSING not in str(error):
                raise
            self._move_aside(f"are damaged ({error})")
            return Database(self.path / _DATABASE, STORE_FAMILIES, self.path)

    def _move_aside(self, why: str) -> None:
        database = self.path / _DATABASE
        number = 1
        while (aside := self.path / f"{_DATABASE}.aside-{number}").exists():
            number += 1
        if database.exists():
            database.rename(aside)
        self._say(
            f"The rows in {self.path} {why}: they are in {aside} now and are fetched anew from the changelog. "
            "Delete that when you no longer want to look at it."
        )


def _origin_in(file: Path) -> Origin | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Origin)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write_durably(file: Path, content: bytes) -> None:
    unfinished = file.with_suffix(".new")
    try:
        with unfinished.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise storage_failure(error, file.parent) from error
