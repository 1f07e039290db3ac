"""The auditor looks at everything too: a narrow bridge to `tests.auditor`, the second model of the whole rule book.

It speaks JSON only. It is told what the core was told: what could not be read, and what the engine refused before the
core saw it, is checked by `audit` alone.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from credit_stream.core.topics import INTERNAL_TOPICS
from credit_stream.wire.faults import Fault
from credit_stream.wire.json_lines import event_to_json, output_to_json
from tests.simulation.history import Taken

MODULE = "tests.auditor.auditor"


class Auditing:
    """One history told to the auditor; what it finds, as text."""

    def __init__(self, partitions: int) -> None:
        self._auditor: Any = import_module(MODULE).Auditor(partitions=partitions, follow=False)

    def take(self, taken: Taken) -> list[str]:
        """One input of a partition and what it led to."""
        if taken.position is None or isinstance(taken.event, Fault):
            return []
        event = _as_read(event_to_json(taken.event))
        # It counts offsets itself, and is not told of what the core never saw.
        self._auditor.world.parts[taken.partition].taken[taken.position.topic] = taken.position.offset
        outputs = [
            output_to_json(each.topic, each.key, each.record)  # type: ignore[arg-type] # requests are left out
            for each in taken.publications
            if each.topic not in INTERNAL_TOPICS
        ]
        findings = self._auditor.take(event, _as_read(outputs), partition=taken.partition)
        if taken.is_told_elsewhere:
            findings = [finding for finding in findings if finding.text != "dead letter"]
        return [f"auditor, {event['type']} {taken.event.event_id}: {finding}" for finding in findings]


def _as_read(value: Any) -> Any:
    """As it comes out of JSON text: lists and not tuples."""
    return json.loads(json.dumps(value))
