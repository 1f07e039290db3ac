"""What a job is given to do, and how it is told how far it is and whether it was right: counting, or deciding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, islice
from typing import NamedTuple, Protocol

from bench.kafka.backlog import Record, fill
from bench.kafka.events import Load, payload
from bench.kafka.outputs import TOO_FEW, Stream, digest, digest_of, read_outputs
from bench.kafka.run import Run
from credit_stream.company import Plan, events
from credit_stream.core.outputs import CreditDecision
from credit_stream.core.topics import BROADCAST_TOPICS, DECISIONS, ORDERS, RUNS, SEQUENCE
from credit_stream.engine.sequence import Run as SequenceRun
from credit_stream.engine.sequence import decode as decode_sequence
from credit_stream.hosts.placing import place
from credit_stream.wire.avro import decode as decode_record
from credit_stream.wire.avro import encode_event
from credit_stream.wire.keys import partition_of


class Verdict(NamedTuple):
    """A hash of the first outputs, and what is wrong with all of them, if anything."""

    digest: str
    fault: str | None


class Work(Protocol):
    """Inputs, and what is known of the outputs that they lead to."""

    @property
    def events(self) -> int:
        """How many inputs there are."""

    @property
    def preface(self) -> int:
        """How many of them come before those that are to be measured."""

    @property
    def progress(self) -> str:
        """The stream that tells how far a job is."""

    def fill(self, run: Run) -> None:
        """Writes all inputs into the topics of a run. The same work gives the same records."""

    def done(self, progress: Stream) -> list[int]:
        """For each record of a partition of `progress`, how many inputs were done with it and all before it."""

    def judge(self, run: Run, progress: Sequence[Stream]) -> Verdict:
        """Looks at what came out."""


class Counting(NamedTuple):
    """One count for each event, by customer. `hashed`: outputs of each partition, so many of which make the hash."""

    load: Load
    events: int
    hashed: int
    progress: str = RUNS

    @property
    def preface(self) -> int:
        """The first event of each customer, if each has one before the others."""
        return self.load.customers if self.load.known else 0

    def fill(self, run: Run) -> None:
        """The events of the load."""
        keys = enumerate(islice(self.load.keys(), self.events))
        fill(run, (Record(ORDERS, None, key, payload(number, key), None) for number, key in keys))

    def done(self, progress: Stream) -> list[int]:
        """One for each output."""
        return list(range(1, len(progress.offsets) + 1))

    def judge(self, run: Run, progress: Sequence[Stream]) -> Verdict:
        """Compares all that came out with what must come out: a count for each event, in the events' order."""
        counts: Counter[str] = Counter()
        nexts = [0] * len(progress)
        for key in islice(self.load.keys(), self.events):
            partition = partition_of(key, len(progress))
            counts[key] += 1
            at, records = nexts[partition], progress[partition].records
            if at == len(records):
                continue
            expected = b"%b=%d" % (key.encode(), counts[key])
            if records[at] != expected:
                return Verdict("", f"partition {partition}, output {at} is {records[at]!r} and not {expected!r}")
            nexts[partition] = at + 1
        total = sum(len(stream.records) for stream in progress)
        if sum(nexts) != total:
            return Verdict("", f"{total} outputs for {sum(nexts)} events")
        return Verdict(digest(progress, self.hashed), None)


class Deciding(NamedTuple):
    """Credit decisions on the made-up company's events. The hash is over the first decisions of each partition."""

    customers: int
    events: int
    hashed: int
    hot_share: float = 0.0
    progress: str = SEQUENCE

    @property
    def preface(self) -> int:
        """On the first day all customers come, and nothing else."""
        return self.customers

    def fill(self, run: Run) -> None:
        """The company's first events, each with the time at which it occurred."""
        fill(run, _company(self.customers, self.hot_share, self.events, run.partitions))

    def done(self, progress: Stream) -> list[int]:
        """As many as the sequence records say, without what every partition takes."""
        return list(accumulate(_taken(record.partition(b"=")[2]) for record in progress.records))

    def judge(self, run: Run, progress: Sequence[Stream]) -> Verdict:
        """Only a hash: that decisions are right is for the tests; that all hosts make the same ones is told here.

        It is over the decisions about the first orders of each partition. They are put in the order of their ids, for
        they are keyed by order: on `credit.decisions` those of several tasks lie between each other.
        """
        found: dict[str, bytes] = {}
        reached: Counter[int] = Counter()
        for stream in read_outputs(run, run.prefix + DECISIONS):
            for record in stream.records:
                data = record.partition(b"=")[2]
                decision = decode_record(data)
                assert isinstance(decision, CreditDecision)
                at = decision.input
                if at.topic == ORDERS:
                    reached[at.partition] = max(reached[at.partition], at.offset)
                    if at.offset < self.hashed:
                        found[decision.decision_id] = data
        if any(reached[partition] < self.hashed for partition in range(run.partitions)):
            return Verdict(TOO_FEW, None)
        return Verdict(digest_of(found[decision_id] for decision_id in sorted(found)), None)


def _taken(sequence: bytes) -> int:
    entries = decode_sequence(sequence).taken
    return sum(each.count for each in entries if isinstance(each, SequenceRun) and each.topic not in BROADCAST_TOPICS)


@cache
def _company(customers: int, hot_share: float, count: int, partitions: int) -> list[Record]:
    """Made once and kept: making an event takes about as long as deciding it."""
    plan = Plan(customers=customers, orders_a_day=ORDERS_A_DAY * customers, days=None, hot_share=hot_share)
    records = []
    for event in islice(events(plan), count):
        placed = place(event, partitions)
        data = encode_event(event)
        for partition in placed.partitions:
            records.append(Record(placed.topic, partition, placed.key or "", data, event.occurred_at))
    return records


ORDERS_A_DAY = 27.4 / 400
"""Of one customer: those of the company as it is by default."""
