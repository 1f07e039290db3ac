"""Plays the made-up company into the embedded system, and goes on where it stopped, also after a kill.

What the company does next follows from its plan and from what it has heard of the hold list. So it is enough to write
down, before a batch is made, how far it has listened: from the last picture of the company every batch since can be
made again, event by event the same. Then the last one is sent again, and what the log has of it takes no second effect.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import msgspec
from msgspec import Struct

from credit_stream.company import Company, Plan
from credit_stream.core.calendar import DAY_MS, Day, Instant
from credit_stream.core.events import Event
from credit_stream.core.outputs import HoldEntry
from credit_stream.core.topics import HOLDS
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.service.system import System
from credit_stream.wire.avro import decode, encode_event

PICTURE_FILE = "company.picture"
NOTES_FILE = "company.notes"
PICTURE_BATCHES = 60
"""A picture is taken after so many batches; one of 400 customers takes 40 ms."""


class OtherCompany(Exception):
    """The directory holds something else; the message says what to do."""


class _Note(Struct, frozen=True):
    """How far the company had listened, by partition of the hold list, when it made the batch with this number."""

    batch: int
    heard: dict[int, int]


class _Picture(Struct):
    """The company and the batch that it made last; `sent`: so many of the batch are known to be in the log."""

    company: Company
    number: int
    heard: dict[int, int]
    batch: list[Event]
    sent: int


class CompanyPlayer:
    """The company at a system. Not for two threads at once."""

    def __init__(self, system: System, directory: Path, plan: Plan) -> None:
        """Takes up the company that is in the directory, or founds one. Raises `OtherCompany`."""
        self._system = system
        self._directory = directory
        self._now = self._load(plan) or self._found(plan)
        self._catch_up()

    @property
    def next_at(self) -> Instant | None:
        """When the next event of the batch occurs; None when all were sent."""
        now = self._now
        return now.batch[now.sent].occurred_at if now.sent < len(now.batch) else None

    @property
    def day(self) -> Day:
        """How many days after the take-over the next event occurs; while there is none, 0."""
        at = self.next_at
        return 0 if at is None else at // DAY_MS - self._now.company.plan.start

    def send(self, until: Instant | None = None) -> int:
        """Sends the events of the batch that occur up to an instant, or all; how many those were."""
        now = self._now
        end = now.sent
        while end < len(now.batch) and (until is None or now.batch[end].occurred_at <= until):
            end += 1
        events, begin = now.batch[now.sent : end], now.sent
        if events:
            self._system.append([encode_event(event) for event in events])
            now.sent = end
        return end - begin

    def go_on(self) -> None:
        """Lets the company hear what came of its batch, which must have been decided; the next one may be empty."""
        ends = _heard_by_now(self._system.host, self._now.heard)
        self._write_down(_Note(self._now.number + 1, ends))
        self._make_batch(ends)
        if self._now.number % PICTURE_BATCHES == 0:
            self.save()

    def save(self) -> None:
        """Takes a picture; whole, or not at all. The notes before it are not needed any more."""
        unfinished = self._directory / (PICTURE_FILE + ".new")
        with unfinished.open("wb") as file:
            pickle.dump(self._now, file, protocol=pickle.HIGHEST_PROTOCOL)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._directory / PICTURE_FILE)
        (self._directory / NOTES_FILE).unlink(missing_ok=True)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _load(self, plan: Plan) -> _Picture | None:
        file = self._directory / PICTURE_FILE
        if not file.exists():
            return None
        picture: _Picture = pickle.loads(file.read_bytes())
        there = picture.company.plan
        if there != plan:
            raise OtherCompany(
                f"{self._directory} holds the company with seed {there.seed} and {there.customers} customers. "
                f"Start it with --seed {there.seed} --size {there.customers}, or give another directory with --data."
            )
        return picture

    def _found(self, plan: Plan) -> _Picture:
        if sum(self._system.host.counts().values()):
            raise OtherCompany(
                f"{self._directory} holds events that are not the demo's. Give another directory with --data."
            )
        heard = dict.fromkeys(range(self._system.host.partitions), 0)
        self._now = _Picture(Company(plan), 0, heard, [], 0)
        self.save()
        return self._now

    def _catch_up(self) -> None:
        """Makes the batches again that were made after the picture."""
        file = self._directory / NOTES_FILE
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        for line in lines:
            if not line.endswith(b"\n"):  # the process was killed while it wrote, so no batch was made of it
                break
            note = msgspec.json.decode(line, type=_Note)
            if note.batch == self._now.number + 1:
                self._make_batch(note.heard)
        if lines:
            self.save()

    def _write_down(self, note: _Note) -> None:
        with (self._directory / NOTES_FILE).open("ab") as file:
            file.write(msgspec.json.encode(note) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _make_batch(self, ends: dict[int, int]) -> None:
        now = self._now
        _listen(now.company, self._system.host, now.heard, ends)
        self._now = _Picture(now.company, now.number + 1, ends, now.company.next_batch() or [], 0)


def _heard_by_now(host: EmbeddedHost, heard: dict[int, int]) -> dict[int, int]:
    """The end of the hold list in every partition."""
    ends = dict(heard)
    for partition in ends:
        while page := host.read(HOLDS, partition, ends[partition]):
            ends[partition] = page[-1].offset + 1
    return ends


def _listen(company: Company, host: EmbeddedHost, begins: dict[int, int], ends: dict[int, int]) -> None:
    """Tells the company what lies on the hold list between these offsets, always in the same order."""
    for partition, end in sorted(ends.items()):
        offset = begins[partition]
        while offset < end:
            for record in host.read(HOLDS, partition, offset, end - offset):
                entry = None if record.value is None else decode(record.value)
                assert entry is None or isinstance(entry, HoldEntry)
                company.hear(record.key or "", entry)
                offset = record.offset + 1
