"""The cores that our hosts are measured with, and whether they tick."""

from __future__ import annotations

import os

from bench.kafka.events import read
from credit_stream.core.events import Event
from credit_stream.core.outputs import OutputRecord, RunCompleted
from credit_stream.engine.task import Program
from credit_stream.hosts.program import CREDIT
from tests.engine.counting import counting_step


def encode(record: OutputRecord | Event) -> bytes:
    """The count as text, as the other jobs put it out."""
    assert isinstance(record, RunCompleted)
    return b"%d" % record.processed


PROGRAMS = {"counting": Program(read, counting_step, encode), "full": CREDIT, "groups": CREDIT}
"""`counting`: one row and one record an event. `full`, `groups`: the credit decisions."""

NO_TICKS = "BENCH_NO_TICKS"
"""In the environment: the worker's tasks make no ticks. Over a backlog they make none before it has run out either."""


def are_ticking() -> bool:
    """Whether the tasks of this process make ticks."""
    return NO_TICKS not in os.environ
