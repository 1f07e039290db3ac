"""This checkout and another one, by turns: what a change is worth on a machine where every run takes another time.

    git worktree add ../before COMMIT
    .venv/bin/python -m bench.turns ../before [--events N] [--rounds N] [--parts NAME,...]

Each checkout runs in a process of its own. Both take the same few hundred events, one after the other, then the next
few hundred, so that whatever else the machine does falls on both. A slice gives a ratio of processor times; a round,
which begins with new processes, the median of those; the table the mean of the rounds, with the least and the most.
Above 1 this checkout is faster. The hash is over the outputs, and both must have the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from bench.ways import Feed, decoded, encoded, stepped
from credit_stream.company import Plan, events
from credit_stream.core.events import Event
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.hosts.memory import MemoryHost
from credit_stream.wire.avro import encode_event

SLICE = 500
"""Events between two turns: a twentieth of a second, in which a machine hardly changes."""
PARTS = ("decode", "decide", "encode", "memory", "embedded")
HASH = "hash"


class Parts:
    """The parts of one checkout. Each is gone through slice by slice and gives the processor seconds of each."""

    def __init__(self, count: int) -> None:
        payloads = [encode_event(event) for event in islice(events(Plan(seed=1, customers=400)), count)]
        self._payloads = [payloads[first : first + SLICE] for first in range(0, count, SLICE)]
        self._events: list[list[Event]] = [decoded(payloads) for payloads in self._payloads]
        feed = Feed()
        self._records = [stepped(feed, taken) for taken in self._events]

    def digest(self) -> str:
        """The hash of all outputs."""
        total = blake2b(digest_size=8)
        for records in self._records:
            total.update(b"".join(encoded(records)))
        return total.hexdigest()

    def slices(self, part: str) -> Iterator[float]:
        """Goes through a part."""
        work: Iterator[object] = getattr(self, f"_{part}")()
        while True:
            began = time.process_time()
            if next(work, self) is self:
                return
            yield time.process_time() - began

    def _decode(self) -> Iterator[object]:
        return map(decoded, self._payloads)

    def _decide(self) -> Iterator[object]:
        feed = Feed()
        return (stepped(feed, taken) for taken in self._events)

    def _encode(self) -> Iterator[object]:
        return map(encoded, self._records)

    def _memory(self) -> Iterator[object]:
        host = MemoryHost()
        return ([host.process(payload) for payload in payloads] for payloads in self._payloads)

    def _embedded(self) -> Iterator[object]:
        with TemporaryDirectory() as folder, EmbeddedHost(folder, partitions=1) as host:
            for payloads in self._payloads:
                host.append(payloads)
                yield host.process_pending()


def answer(count: int) -> None:
    """In a process of its own: begins the part whose name comes, or with an empty line takes its next slice."""
    parts = Parts(count)
    leave_garbage_alone()
    under_way: Iterator[float] = iter(())
    for line in sys.stdin:
        name = line.strip()
        if name == HASH:
            print(parts.digest(), flush=True)
        elif name:
            under_way = parts.slices(name)
            print(flush=True)
        else:
            print(next(under_way, ""), flush=True)


class Checkout:
    """A process that answers for a checkout. This file runs in it, on the code of that one."""

    def __init__(self, directory: Path, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--events", str(count), "--answer", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(directory)},
        )

    def ask(self, line: str) -> str:
        """The answer to a line."""
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None and answered is not None
        print(line, file=asked, flush=True)
        return answered.readline().strip()

    def end(self) -> None:
        """Lets the process end."""
        self._process.communicate()


Slices = list[tuple[float, float]]
"""Of a part: the seconds of each slice, before and now."""


def by_turns(contestants: tuple[Checkout, Checkout], part: str, first: int) -> Slices:
    """Has both go through a part; `first` says who has the first turn."""
    for each in contestants:
        each.ask(part)
    slices: Slices = []
    while True:
        order = (0, 1) if (first + len(slices)) % 2 == 0 else (1, 0)
        answers = {at: contestants[at].ask("") for at in order}
        if not all(answers.values()):
            return slices
        slices.append((float(answers[0]), float(answers[1])))


def line(part: str, rounds: list[Slices], count: int) -> str:
    """The rounds of a part. The microseconds are of the shortest run of each slice, which others disturbed least."""
    before, now = (
        sum(min(slices[at][side] for slices in rounds) for at in range(len(rounds[0]))) / count * 1e6 for side in (0, 1)
    )
    ratios = [median(seconds[0] / seconds[1] for seconds in slices) for slices in rounds]
    return f"{part:10}{before:10.1f}{now:8.1f}{mean(ratios):8.2f}{min(ratios):8.2f}{max(ratios):8.2f}"


def compare(checkouts: tuple[Path, Path], parts: list[str], count: int, rounds: int) -> None:
    """Runs both by turns and prints the table."""
    found: dict[str, list[Slices]] = {part: [] for part in parts}
    digests: set[str] = set()
    for number in range(rounds):
        contestants = (Checkout(checkouts[0], count), Checkout(checkouts[1], count))
        digests |= {each.ask(HASH) for each in contestants}
        for part in parts:
            found[part].append(by_turns(contestants, part, number))
        for each in contestants:
            each.end()
    print(f"{count:,} events, hash {' and '.join(sorted(digests))}")
    print(f"{'us/event':10}{'before':>10}{'now':>8}{'ratio':>8}{'least':>8}{'most':>8}")
    for part in parts:
        print(line(part, found[part], count))


def main() -> None:
    """Compares, or answers for one of those that are compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--parts", default=",".join(PARTS), metavar="NAME,...")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.events)
        return
    here = Path(__file__).resolve().parents[1]
    compare((options.before.resolve(), here), options.parts.split(","), options.events, options.rounds)


if __name__ == "__main__":
    main()
