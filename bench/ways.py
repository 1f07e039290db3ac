"""The parts of the pipeline on their own, on the plainest state there is: dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from credit_stream.core.events import Event
from credit_stream.core.outputs import InputPosition
from credit_stream.core.step import step
from credit_stream.core.topics import TOPIC_OF_EVENT
from credit_stream.core.view import Key
from credit_stream.hosts.program import encode_record
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.read import read_event


class Feed:
    """A partition in dicts: a view, and the offsets of its inputs."""

    currencies = CURRENCIES

    def __init__(self) -> None:
        self.at_hand: dict[Any, Struct] = {}
        self.listed: dict[Any, set[str]] = {}
        self.offsets: dict[str, int] = {}

    def get(self, table: Any, parent: str, row_id: str) -> Any:
        """The row, or None."""
        return self.at_hand.get((table, parent, row_id))

    def ids(self, table: Any, parent: str) -> Sequence[str]:
        """The ids under the parent, in order."""
        return sorted(self.listed.get((table, parent), ()))

    def write(self, writes: dict[Key, Struct | None]) -> None:
        """Takes over what a step wrote."""
        for key, row in writes.items():
            if row is None:
                self.at_hand.pop(key, None)
                self.listed.get(key[:2], set()).discard(key[2])
            else:
                self.at_hand[key] = row
                self.listed.setdefault(key[:2], set()).add(key[2])

    def position(self, event: Event) -> InputPosition:
        """Where the event lies."""
        topic = TOPIC_OF_EVENT[type(event)]
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        return InputPosition(topic=topic, partition=0, offset=offset, event_id=event.event_id)


def decoded(payloads: Sequence[bytes]) -> list[Event]:
    """Bytes to events, with all checks of the wire."""
    found = [read_event(payload) for payload in payloads]
    return [event for event in found if isinstance(event, Event)]


def stepped(feed: Feed, events: Sequence[Event]) -> list[Any]:
    """Events to records, requests between tasks followed."""
    records: list[Any] = []
    for event in events:
        result = step(feed, event, feed.position(event))
        feed.write(result.writes)
        for publication in result.publications:
            if isinstance(publication.record, Event):
                records += stepped(feed, [publication.record])
            elif publication.record is not None:
                records.append(publication.record)
    return records


def encoded(records: Sequence[Any]) -> list[bytes]:
    """Records to bytes."""
    return [encode_record(record) for record in records]
