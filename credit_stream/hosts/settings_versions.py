"""Which settings are in force in a log, and what is to be published for others to take their place (spec 12)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256

from credit_stream.core.calendar import Instant
from credit_stream.core.events import Event, SettingsPublished
from credit_stream.core.settings import check_text
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.faults import Fault
from credit_stream.wire.keys import SETTINGS_KEY
from credit_stream.wire.read import read_event

NONE_PUBLISHED = SettingsPublished(event_id="", occurred_at=0, version=0, document="{}")


def in_force(
    published: Iterable[tuple[str | None, bytes | None]], read: Callable[[bytes], Event | Fault] = read_event
) -> SettingsPublished:
    """The newest that were taken, of the keys and payloads of `credit.settings` in their order."""
    newest = NONE_PUBLISHED
    for key, payload in published:
        event = read(payload or b"") if key == SETTINGS_KEY else None
        if isinstance(event, SettingsPublished) and _is_taken(event, newest):
            newest = event
    return newest


def following(
    newest: SettingsPublished, document: str, now: Instant, source: str, actor: str | None = None, comment: str = ""
) -> SettingsPublished | None:
    """The event that publishes a checked document as the next version; None when it is in force already."""
    if newest.version and json.loads(newest.document) == json.loads(document):
        return None
    version = newest.version + 1
    digest = sha256(document.encode()).hexdigest()[:16]
    return SettingsPublished(
        event_id=f"settings/{version}/{digest}",
        occurred_at=now,
        source=source,
        actor=actor,
        version=version,
        document=document,
        comment=comment or None,
    )


def _is_taken(event: SettingsPublished, newest: SettingsPublished) -> bool:
    return event.version == newest.version + 1 and not check_text(event.document, CURRENCIES)
