"""The directory of an embedded host: one process at a time, and what it was made with."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from credit_stream.hosts.failures import DirectoryInUse, UnknownFormat, WrongPartitions, storage_failure
from credit_stream.hosts.rocks_store import PARTITIONS_MAX

FORMAT = 1
"""Rises when an older release could not read what a newer one writes."""
PARTITIONS_DEFAULT = 4

_FORMAT_FILE = "format.json"
_LOCK_FILE = "lock"


class Format(Struct, frozen=True):
    """What a directory was made with."""

    format: int
    partitions: int


class Directory:
    """A directory that this process has to itself until it is closed."""

    def __init__(self, path: Path, partitions: int | None) -> None:
        """Takes the directory and makes it if it is not there.

        `partitions` None: as it was made, or `PARTITIONS_DEFAULT` for a new one. Raises `DirectoryInUse`,
        `WrongPartitions`, `UnknownFormat`, `StorageFailed`, and ValueError for a number that cannot be.
        """
        if partitions is not None and not 1 <= partitions <= PARTITIONS_MAX:
            raise ValueError(f"{partitions} partitions cannot be; give a number from 1 to {PARTITIONS_MAX}")
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(path)
        except OSError as error:
            raise storage_failure(error, path) from error
        try:
            self.partitions = _settle_format(path, partitions).partitions
        except BaseException:
            self.close()
            raise

    @property
    def database(self) -> Path:
        """Where RocksDB has its files."""
        return self.path / "rocksdb"

    def close(self) -> None:
        """Lets another process have it."""
        self._lock.close()


def take_lock(path: Path) -> BinaryIO:
    """A lock that the operating system takes away when the process ends, however it ends."""
    file = (path / _LOCK_FILE).open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        owner = file.read().decode(errors="replace").strip() or "unknown"
        file.close()
        raise DirectoryInUse(
            f"{path} is in use by another process (id {owner}). Stop that one first, or give another directory."
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def _settle_format(path: Path, partitions: int | None) -> Format:
    file = path / _FORMAT_FILE
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Format)
    except FileNotFoundError:
        return _make_format(path, Format(FORMAT, partitions or PARTITIONS_DEFAULT))
    except msgspec.MsgspecError as error:
        raise UnknownFormat(f"{file} cannot be read ({error}). Give a directory that credit-stream made.") from error
    if found.format != FORMAT:
        raise UnknownFormat(
            f"{path} has format {found.format}, this release knows format {FORMAT}. Use the release that made it."
        )
    if partitions not in (None, found.partitions):
        raise WrongPartitions(
            f"{path} was made with {found.partitions} partitions and cannot be opened with {partitions}: "
            f"customers would move away from their rows. Open it with {found.partitions}, "
            "or send the events to a new directory."
        )
    return found


def _make_format(path: Path, made: Format) -> Format:
    """Writes the file beside its place and moves it there, so that it is whole whenever it is there."""
    if (path / "rocksdb").exists():
        raise UnknownFormat(f"{path} has data but no {_FORMAT_FILE}. Put that file back, or give another directory.")
    unfinished = path / (_FORMAT_FILE + ".new")
    try:
        with unfinished.open("wb") as file:
            file.write(msgspec.json.encode(made) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path / _FORMAT_FILE)
        _sync_directory(path)
    except OSError as error:
        raise storage_failure(error, path) from error
    return made


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
