"""Publishes a settings document in the embedded log when it is not the one in force."""

from __future__ import annotations

import time
from collections.abc import Iterator

from credit_stream.core.topics import SETTINGS
from credit_stream.hosts.embedded import READ_RECORDS_MAX, EmbeddedHost
from credit_stream.hosts.settings_versions import following, in_force
from credit_stream.wire.avro import encode_event


def publish(host: EmbeddedHost, document: str) -> int | None:
    """Publishes the document, which has been checked, as the next version; None when it is in force already."""
    event = following(in_force(_published(host)), document, time.time_ns() // 1_000_000, "serve")
    if event is None:
        return None
    host.append([encode_event(event)])
    return event.version


def _published(host: EmbeddedHost) -> Iterator[tuple[str | None, bytes | None]]:
    offset = 0
    while page := host.read(SETTINGS, 0, offset, READ_RECORDS_MAX):
        offset = page[-1].offset + 1
        yield from ((record.key, record.value) for record in page)
