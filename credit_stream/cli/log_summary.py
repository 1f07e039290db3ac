"""The summary of what lies in the log of an embedded system."""

from __future__ import annotations

from collections.abc import Iterator

from credit_stream.cli.progress import Progress
from credit_stream.cli.summary import Summary
from credit_stream.core.outputs import OutputRecord
from credit_stream.core.topics import DEAD_LETTERS, DECISIONS, EXPOSURES, HOLDS
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.embedded_log import StoredRecord
from credit_stream.wire.avro import decode

COUNTED = (DECISIONS, DEAD_LETTERS)
NEWEST = (EXPOSURES, HOLDS)


def count_log(summary: Summary, host: EmbeddedHost) -> None:
    """Adds every decision and dead letter of the log."""
    total = sum(host.counts().get(topic, 0) for topic in COUNTED)
    with Progress("reading", total) as progress:
        for done, record in enumerate(_all(host)):
            summary.count(_decoded(record))
            progress.show(done, f"{done:,} of {total:,} records")


def add_newest(summary: Summary, host: EmbeddedHost) -> None:
    """Adds the newest exposure of every customer, and the hold list."""
    for topic in NEWEST:
        after: str | None = None
        while page := host.scan_latest(topic, after):
            for record in page:
                summary.add(topic, record.key or "", _decoded(record))
            after = page[-1].key


def _all(host: EmbeddedHost) -> Iterator[StoredRecord]:
    for topic in COUNTED:
        for partition in range(host.partitions):
            offset = 0
            while page := host.read(topic, partition, offset):
                yield from page
                offset = page[-1].offset + 1


def _decoded(record: StoredRecord) -> OutputRecord | None:
    if record.value is None:
        return None
    output = decode(record.value)
    assert isinstance(output, OutputRecord)
    return output
