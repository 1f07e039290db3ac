"""How far a system has come, as everybody sees it, goes down to nothing left, and never sooner than all is taken."""

from __future__ import annotations

from pathlib import Path

from credit_stream.core.calendar import DAY_MS
from credit_stream.core.events import CreateLimitJournal, JournalLine, PostLimitJournal
from credit_stream.hosts.kafka.taken import Taken
from credit_stream.local_kafka import LocalKafka
from tests.kafka.proof import prove
from tests.kafka.workers import (
    MONDAY,
    PARTITIONS,
    Worker,
    customer,
    customer_of,
    order,
    send,
    settings,
    system,
    until,
)

LOOK_SECONDS = 0.2


def test_all_is_taken_when_nothing_is_left(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """Settings count for every task, and what tasks write for each other counts too."""
    connection = system(kafka, topic_prefix)
    buyers = [customer_of(partition) for partition in range(PARTITIONS)]
    events = [settings(), *map(customer, buyers), *(order(f"order/{buyer}", buyer) for buyer in buyers)]
    lines = tuple(
        JournalLine(customer_id=buyer, credit_limit_minor=200_000, currency="EUR", expires_on=MONDAY // DAY_MS + 365)
        for buyer in buyers
    )
    journal = CreateLimitJournal(
        event_id="journal",
        occurred_at=MONDAY + 2,
        actor="ana",
        journal_id="J-1",
        journal_type="credit_limit",
        description="higher limits",
        lines=lines,
    )
    posting = PostLimitJournal(event_id="posting", occurred_at=MONDAY + 3, actor="ana", journal_id="J-1")
    send(connection, [*events, journal, posting])
    with Taken(connection) as taken:
        taken.look(LOOK_SECONDS)
        assert taken.total == taken.left == PARTITIONS + len(events) - 1 + 2

        def nothing_is_left() -> bool:
            taken.look(LOOK_SECONDS)
            return taken.left == 0 and taken.total == PARTITIONS + len(events) - 1 + 2 + len(lines)

        with Worker(connection, tmp_path / "state"):
            until(nothing_is_left, "nothing is left")
    assert prove(connection, PARTITIONS).differences == []
