"""The summary of what lies in the topics of a Kafka cluster, as everybody sees it who reads what is committed."""

from __future__ import annotations

from credit_stream.cli.log_summary import COUNTED, NEWEST
from credit_stream.cli.progress import Progress
from credit_stream.cli.summary import Summary
from credit_stream.core.outputs import OutputRecord
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.reading import TopicReader
from credit_stream.wire.avro import decode


def summarize_topics(connection: Connection) -> Summary:
    """Every decision and dead letter, the newest exposure of every customer, and the hold list. Raises KafkaFailure."""
    summary = Summary()
    newest: dict[tuple[str, str], bytes | None] = {}
    with TopicReader(connection, (*COUNTED, *NEWEST)) as reader, Progress("reading", None) as progress:
        for done, record in enumerate(reader.records()):
            if record.stream in NEWEST:
                newest[record.stream, (record.key or b"").decode()] = record.value
            else:
                summary.count(_decoded(record.value))
            progress.show(done, f"{done:,} records")
    for (stream, key), value in newest.items():
        summary.add(stream, key, _decoded(value))
    return summary


def _decoded(value: bytes | None) -> OutputRecord | None:
    if value is None:
        return None
    output = decode(value)
    assert isinstance(output, OutputRecord)
    return output
