"""The product under the auditor's eyes: the memory host, one input at a time. The auditor itself is `auditor` alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from credit_stream.core.events import Event
from credit_stream.core.outputs import InputPosition
from credit_stream.core.topics import DEAD_LETTERS
from credit_stream.core.view import StepResult, View
from credit_stream.hosts.memory import MemoryHost, Produced
from credit_stream.hosts.program import CREDIT_RECORDS
from credit_stream.wire.json_lines import event_to_json, output_to_json
from tests.auditor.auditor import Auditor, Finding

Json = dict[str, Any]
Step = tuple[Json | str, list[Json]]


class Watched:
    """A host in memory that shows every step of its task: an event is followed to its end, but what a group or a
    journal is sent is taken in a step of its own."""

    def __init__(self, document: Json | None = None) -> None:
        self._seen: list[tuple[Event, StepResult]] = []
        self._is_open = False
        program = CREDIT_RECORDS._replace(step=self._step)
        self.host = MemoryHost(settings_document=json.dumps(document) if document else None, program=program)
        self._is_open = True

    def take(self, event: Json | str, payload: bytes) -> tuple[list[Step], list[Produced]]:
        """The event and what it led to, step by step; and all outputs of it."""
        self._seen = []
        produced = self.host.process(payload)
        letters = [each for each in produced if each[0] == DEAD_LETTERS]
        if not self._seen:
            return [(event, as_json(letters))], produced
        found: list[Step] = []
        for number, (taken, result) in enumerate(self._seen):
            outputs: list[Any] = [(each.topic, each.key, each.record) for each in result.publications]
            buried = len(result.late) + (result.refusal is not None)
            outputs, letters = outputs + letters[:buried], letters[buried:]
            found.append((event if number == 0 else as_read(event_to_json(taken)), as_json(outputs)))
        return found, produced

    def _step(self, view: View, event: Event, position: InputPosition) -> StepResult:
        result = CREDIT_RECORDS.step(view, event, position)
        if self._is_open:
            self._seen.append((event, result))
        return result


def as_json(produced: Iterable[Any]) -> list[Json]:
    """Outputs as JSON Lines says them."""
    return [as_read(output_to_json(topic, key, record)) for topic, key, record in produced]


def as_read(value: Any) -> Any:
    """As it comes out of JSON text: lists and not tuples."""
    return json.loads(json.dumps(value))


def steps(document: Json | None, events: Iterable[Json | str]) -> Iterator[Step]:
    """Every event with all that it led to, step by step."""
    watched = Watched(document)
    for event in events:
        yield from watched.take(event, (event if isinstance(event, str) else json.dumps(event)).encode())[0]


def audited(document: Json | None, history: Iterable[Step]) -> tuple[list[tuple[int, Finding]], int]:
    """What the auditor finds in a history, with the step, up to the first step with findings; decisions checked."""
    auditor = Auditor(document or None)
    for number, (event, outputs) in enumerate(history):
        findings = auditor.take(event, outputs)
        if findings:
            return [(number, finding) for finding in findings], auditor.decisions_checked
    return [], auditor.decisions_checked
