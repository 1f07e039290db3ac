"""What the agents hand over: events of Faust become inputs of the engine, each once and in the order of its offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from faust.types import TP, EventT

from credit_stream.engine.ports import InputRecord
from credit_stream.hosts.faust.consumer import End, Read
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.input_records import key_text
from credit_stream.hosts.kafka.partitions import Partitions


class Intake:
    """Lives in the main event loop. What is not open, or is of an earlier reading, is left out: it is read again."""

    def __init__(self, connection: Connection, partitions: Partitions) -> None:
        self._connection = connection
        self._partitions = partitions
        self._readings: dict[TP, int] = {}
        self._next_offsets: dict[TP, int] = {}
        self._ended: set[TP] = set()

    @property
    def next_offsets(self) -> Mapping[TP, int]:
        """For each open topic partition, from where it is to be read."""
        return self._next_offsets

    @property
    def waits_for_ends(self) -> bool:
        """Whether some task may be waiting for the end of a stream."""
        return len(self._ended) < len(self._next_offsets)

    def open(self, offsets: Mapping[TP, int]) -> None:
        """These may be read from these offsets on, once a reading of them has begun."""
        for place, offset in offsets.items():
            self._next_offsets[place] = offset

    def begin(self, places: Mapping[TP, int], reading: int) -> None:
        """A reading of those that are still open has begun."""
        for place in places:
            if place in self._next_offsets:
                self._readings[place] = reading

    def close(self) -> None:
        """The group has taken everything away."""
        self._readings.clear()
        self._next_offsets.clear()
        self._ended.clear()

    def take(self, events: Sequence[EventT[Any]]) -> None:
        """Feeds the engine."""
        records = [self._record(message) for event in events if self._is_next(message := cast("Read", event.message))]
        if records:
            self._partitions.feed(records)

    def note_ends(self, ends: Mapping[TP, End]) -> None:
        """Tells the engine how far the streams reach, and which were read and handed over to their ends."""
        for place, end in ends.items():
            next_offset = self._next_offsets.get(place)
            if next_offset is None or end.stable is None or end.reading != self._readings.get(place):
                continue
            stream = self._connection.stream(place.topic)
            self._partitions.known_end(stream, place.partition, end.stable)
            if end.position >= end.stable and next_offset >= end.drained:
                self._ended.add(place)
                self._partitions.reached_end(stream, place.partition, end.position)

    def _is_next(self, message: Read) -> bool:
        place = message.tp
        if self._readings.get(place) != message.reading or message.offset < self._next_offsets[place]:
            return False
        self._next_offsets[place] = message.offset + 1
        return True

    def _record(self, message: Read) -> InputRecord:
        """The bytes as they came. Without a value there is nothing to read, which makes a dead letter of it."""
        return InputRecord(
            self._connection.stream(message.topic),
            message.partition,
            message.offset,
            message.timestamp_ms,
            None if message.key is None else key_text(message.key),
            message.value or b"",
        )
