"""The second model over what a cluster has committed: above all, that no pool was released above its limit.

`proof` says that the bytes are those of a straight replay of the same core; a fault of the core would be in both. Here
`tests.auditor`, which knows nothing of the core, follows members and their groups step by step: what a member tells its
group is what it owes, a group grants only what its pool has, and nothing is released by the rules without that grant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from credit_stream.core.events import GroupCreditAnswered
from credit_stream.core.outputs import CreditDecision
from credit_stream.core.topics import INTERNAL_TOPICS
from credit_stream.engine.sequence import Run, SequenceRecord
from credit_stream.hosts.kafka.connection import Connection
from tests.auditing import Auditing
from tests.kafka.proof import History
from tests.retold import Retelling, Taken

FINDINGS_MAX = 5

Message = tuple[str, bytes]
"""What one task sends another: stream and bytes."""


class Audited(Struct, frozen=True):
    """What was looked at, and what does not follow from the specification, in words."""

    steps: int
    decisions: int
    answers: int
    """Answers of credit groups that reached the customer's task."""
    crossing: int
    """Those of groups in another partition than the customer."""
    released_by_group: int
    findings: list[str]


def audit(connection: Connection, partitions: int, history: History | None = None) -> Audited:
    """Looks at everything that was committed. An empty list of findings is the proof. `history`: where it was read
    before."""
    steps = decisions = answers = crossing = released = 0
    findings: list[str] = []
    auditor = Auditing(partitions)
    homes: dict[str, int] = {}
    for taken in _in_order(history or History(connection, partitions), partitions, findings):
        steps += 1
        findings += auditor.take(taken)
        if len(findings) >= FINDINGS_MAX:
            break
        event = taken.event
        for made in taken.publications:
            if isinstance(made.record, GroupCreditAnswered):
                homes[made.record.group_id] = taken.partition
            if isinstance(made.record, CreditDecision):
                decisions += 1
                released += made.record.verdict == "released" and made.record.cause == "group_answer"
        if isinstance(event, GroupCreditAnswered):
            answers += 1
            crossing += homes[event.group_id] != taken.partition
    return Audited(steps, decisions, answers, crossing, released, findings)


def _in_order(history: History, partitions: int, findings: list[str]) -> Iterator[Taken]:
    """All steps in an order in which they can have happened: what a task was sent comes after the sending.

    Checkpoints of several partitions have no common number. Any order that keeps each partition's own and puts the
    sending before the taking leads to the same, and nothing else does.
    """
    waiting = [deque(taken) for taken in history.taken]
    tasks = [Retelling(partition, partitions, history.read) for partition in range(partitions)]
    sent: set[Message] = set()
    while any(waiting):
        before = sum(map(len, waiting))
        for partition, checkpoints in enumerate(waiting):
            while checkpoints and sent.issuperset(_received(history, partition, checkpoints[0])):
                made, steps = tasks[partition].follow(checkpoints.popleft())
                for publication, value in zip(made.publications, made.values, strict=True):
                    if publication.topic in INTERNAL_TOPICS:
                        sent.add((publication.topic, value or b""))
                yield from steps
        if sum(map(len, waiting)) == before:
            findings.append(f"{before} checkpoints took what no checkpoint before them has sent")
            return


def _received(history: History, partition: int, taken: SequenceRecord) -> set[Message]:
    """What the checkpoint took that other tasks, or its own, must have sent."""
    return {
        (record.topic, record.payload)
        for entry in taken.taken
        if isinstance(entry, Run) and entry.topic in INTERNAL_TOPICS
        for record in history.read(entry.topic, partition, entry.first_offset, entry.count)
    }
