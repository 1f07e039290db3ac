"""Runs in a process of its own, to be killed: appends numbered events to an embedded host while its engine runs.

    python -m tests.hosts.appender DIRECTORY --mode plain|busy [...]

`busy`: tasks ask each other and the clock ticks; what comes out then depends on when. Prints, after each `append` has
returned, how many events were acknowledged. With `--file-bytes` no file may grow beyond that (what a full disk looks
like to a process); then it ends with 3 and the message on stderr. With `--die-at` it kills itself before or after its
write of that number.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from credit_stream.engine.task import BatchLimits, Program
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.failures import DiskFull, EngineStopped
from credit_stream.hosts.program import encode_record
from credit_stream.hosts.rocksdb import Database, Entries
from credit_stream.wire.avro import encode_event
from credit_stream.wire.read import read_event
from tests.engine.counting import cancelled, scripted_step

PROGRAM = Program(read_event, scripted_step, encode_record)
PARTITIONS = 3
CUSTOMERS = 11
DISK_FULL = 3


def payload(number: int, mode: str) -> bytes:
    """The event of that number: some of them are rubbish; in busy mode some ask another task."""
    if number % 97 == 5:
        return b"rubbish %d" % number
    source = "forward" if mode == "busy" and number % 31 == 7 else ""
    return encode_event(cancelled(f"e{number}", f"C{number % CUSTOMERS}", source))


def die_at(number: int, moment: str) -> None:
    """Has this process kill itself around a write of the database."""
    write = Database.write
    left = iter(range(number, 0, -1))

    def deadly(self: Database, batch: Mapping[str, Entries], sync: bool) -> None:
        is_last = next(left) == 1
        if is_last and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, batch, sync)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)

    Database.write = deadly  # type: ignore[method-assign]


def main() -> None:
    """Until it is killed, or the disk is full."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--mode", choices=["plain", "busy"], required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--file-bytes", type=int)
    parser.add_argument("--die-at", type=int)
    parser.add_argument("--die", choices=["before", "after"], default="before")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    limits = BatchLimits(inputs_max=chance.choice([1, 7, 100, 2_000]))
    if options.die_at is not None:
        die_at(options.die_at, options.die)
    host = EmbeddedHost(options.directory, PARTITIONS, program=PROGRAM, limits=limits, ticking=options.mode == "busy")
    if options.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_bytes, resource.RLIM_INFINITY))
    host.start()
    append(host, chance, options.first, options.mode)


def append(host: EmbeddedHost, chance: random.Random, number: int, mode: str) -> None:
    """A few events at a time, as fast as it goes."""
    try:
        while True:
            count = chance.choice([1, 1, 5, 50])
            host.append([payload(each, mode) for each in range(number, number + count)])
            number += count
            print(number, flush=True)
    except (DiskFull, EngineStopped) as error:
        cause = host.failure if isinstance(error, EngineStopped) else error
        print(cause, file=sys.stderr)
        sys.exit(DISK_FULL if isinstance(cause, DiskFull) else 1)


if __name__ == "__main__":
    main()
