"""What the tasks of every host run: wire's reader, the core's step, wire's writer."""

from __future__ import annotations

from credit_stream.core.step import step
from credit_stream.engine.task import Program
from credit_stream.wire.avro import encode_record
from credit_stream.wire.read import read_event

__all__ = ["CREDIT", "CREDIT_RECORDS", "encode_record"]

CREDIT = Program(read_event, step, encode_record)
"""The credit decisions, with encoded outputs."""

CREDIT_RECORDS = CREDIT._replace(encode=None)
"""The same, for a host that wants the records and not their bytes."""
