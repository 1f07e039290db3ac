"""The product under the auditor's eyes: the memory host, one event at a time. The auditor itself is `auditor` alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from credit_stream.hosts.memory import MemoryHost
from credit_stream.wire.json_lines import output_to_json
from tests.auditor.auditor import Auditor, Finding

Json = dict[str, Any]
Step = tuple[Json | str, list[Json]]


def steps(document: Json | None, events: Iterable[Json | str]) -> Iterator[Step]:
    """Every event with all that it led to, as `credit-stream process` would print it."""
    host = MemoryHost(settings_document=json.dumps(document) if document else None)
    for event in events:
        payload = (event if isinstance(event, str) else json.dumps(event)).encode()
        produced = [output_to_json(topic, key, record) for topic, key, record in host.process(payload)]
        yield event, json.loads(json.dumps(produced))


def audited(document: Json | None, history: Iterable[Step]) -> tuple[list[tuple[int, Finding]], int]:
    """What the auditor finds in a history, with the step, up to the first step with findings; decisions checked."""
    auditor = Auditor(document or None)
    for number, (event, outputs) in enumerate(history):
        findings = auditor.take(event, outputs)
        if findings:
            return [(number, finding) for finding in findings], auditor.decisions_checked
    return [], auditor.decisions_checked
