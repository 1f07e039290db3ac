"""Publishes a settings document when it is not the one in force."""

from __future__ import annotations

import json
import time
from hashlib import sha256

from credit_stream.core.events import SettingsPublished
from credit_stream.core.settings import check_text
from credit_stream.core.topics import SETTINGS
from credit_stream.hosts.embedded import READ_RECORDS_MAX, EmbeddedHost
from credit_stream.wire.avro import encode_event
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.keys import key_of
from credit_stream.wire.read import read_event

NONE_PUBLISHED = SettingsPublished(event_id="", occurred_at=0, version=0, document="{}")


def in_force(host: EmbeddedHost) -> SettingsPublished:
    """The newest settings of the log that were taken: with the next version, and without faults (spec 12)."""
    newest, offset = NONE_PUBLISHED, 0
    key = key_of(NONE_PUBLISHED)
    while page := host.read(SETTINGS, 0, offset, READ_RECORDS_MAX):
        offset = page[-1].offset + 1
        for record in page:
            event = read_event(record.value or b"") if record.key == key else None
            if isinstance(event, SettingsPublished) and _is_taken(event, newest):
                newest = event
    return newest


def _is_taken(event: SettingsPublished, newest: SettingsPublished) -> bool:
    return event.version == newest.version + 1 and not check_text(event.document, CURRENCIES)


def publish(host: EmbeddedHost, document: str) -> int | None:
    """Publishes the document, which has been checked, as the next version; None when it is in force already."""
    newest = in_force(host)
    if newest.version and json.loads(newest.document) == json.loads(document):
        return None
    version = newest.version + 1
    digest = sha256(document.encode()).hexdigest()[:16]
    event = SettingsPublished(
        event_id=f"settings/{version}/{digest}",
        occurred_at=time.time_ns() // 1_000_000,
        source="serve",
        version=version,
        document=document,
    )
    host.append([encode_event(event)])
    return version
