"""The two cores that our hosts are measured with."""

from __future__ import annotations

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
