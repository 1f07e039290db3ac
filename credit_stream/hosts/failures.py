"""What can go wrong with a directory of the embedded host. Every message says what to do."""

from __future__ import annotations

from pathlib import Path


class HostFailure(Exception):
    """The embedded host cannot open its directory, or cannot go on."""


class StorageFailed(HostFailure):
    """The disk, or what lies on it, failed. What was acknowledged is safe; the process must stop."""


class DiskFull(StorageFailed):
    """The disk, or a quota or limit of it, is full."""


class StorageDamaged(StorageFailed):
    """What lies on the disk is not what was written there."""


class DirectoryInUse(HostFailure):
    """Another process has the directory open."""


class WrongPartitions(HostFailure):
    """The directory was made with another number of partitions."""


class UnknownFormat(HostFailure):
    """The directory is of a format that this release does not know."""


class EngineStopped(HostFailure):
    """The engine has stopped after a failure; nothing more is taken or accepted."""


class HostClosed(HostFailure):
    """The host was closed before."""


class NotIdle(HostFailure, TimeoutError):
    """There were still inputs to be taken when the deadline came."""


_FULL = ("No space left on device", "Disk quota exceeded", "File too large")


_DAMAGED = ("Corruption", "checksum mismatch", "bad block")


_CLOSED = "already closed"


def storage_failure(error: Exception, directory: Path) -> HostFailure:
    """The failure to raise for what RocksDB said, which is text only."""
    if _CLOSED in str(error):
        return closed(directory)
    if any(sign in str(error) for sign in _FULL):
        return DiskFull(
            f"The disk of {directory} is full: {error}. Nothing that was acknowledged is lost. "
            "Free some space, or move the whole directory to a larger disk, and start again."
        )
    if any(sign in str(error) for sign in _DAMAGED):
        return StorageDamaged(
            f"What lies in {directory} is damaged: {error}. Look at the disk. Bring the directory back from a copy, "
            "or on Kafka start again: the rows are then fetched from the changelog."
        )
    return StorageFailed(
        f"The storage in {directory} failed: {error}. Nothing that was acknowledged is lost. "
        "Look at the disk and at the permissions of the directory, then start again."
    )


def closed(directory: Path) -> HostClosed:
    """The failure to raise for what came after the end."""
    return HostClosed(f"{directory} was closed: open it again.")
