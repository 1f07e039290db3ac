"""The auditor looks at everything: a bridge to `tests.auditor`, the second model of the whole rule book.

It is told what the core was told, step by step and in the order in which checkpoints were committed: events, and what
tasks send each other, with the places where they lie. What could not be read, and what the engine refused before the
core saw it, never came so far; that is checked by `audit` alone. So is what the auditor has no opinion on: the bytes
of repeats and dead letters, the sentences in dead letters, and that nothing is still under way at the end.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import to_builtins

from credit_stream.wire.faults import Fault
from credit_stream.wire.json_lines import event_to_json, output_to_json
from tests.auditor.auditor import Auditor
from tests.retold import Taken


class Auditing:
    """One history told to the auditor; what it finds, as text."""

    def __init__(self, partitions: int) -> None:
        self._auditor = Auditor(partitions=partitions)

    def take(self, taken: Taken) -> list[str]:
        """One input of a partition and what it led to."""
        if taken.position is None or isinstance(taken.event, Fault):
            return []
        event = _as_read(event_to_json(taken.event))
        outputs: list[Any] = [
            output_to_json(each.topic, each.key, each.record)  # type: ignore[arg-type] # events between tasks too
            for each in taken.publications
        ]
        refused = [taken.event.event_id] if taken.refusal and taken.is_told_elsewhere else []
        place = to_builtins(taken.position)
        findings = self._auditor.take(event, _as_read(outputs), taken.partition, place, refused)
        return [f"auditor, {event['type']} {taken.event.event_id}: {finding}" for finding in findings]


def _as_read(value: Any) -> Any:
    """As it comes out of JSON text: lists and not tuples."""
    return json.loads(json.dumps(value))
