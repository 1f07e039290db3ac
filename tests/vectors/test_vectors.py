"""The conformance vectors: in process, and through `credit-stream process` as their own runner does it.

They stand beside the checkout, not on a user's machine; without them this file is left out. Vectors of what is not
built yet are listed in `later_issues.txt` and must fail: one that passes has to leave the list.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from credit_stream.hosts.memory import MemoryHost
from credit_stream.wire.json_lines import output_to_json

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "vectors"
RUNNER = FOLDER / "run.py"
LATER = frozenset(
    line
    for line in (Path(__file__).parent / "later_issues.txt").read_text(encoding="utf-8").split("\n")
    if line and not line.startswith("#")
)
THREADS = 2


def runner() -> ModuleType | None:
    """The vectors' own runner as a module, None where they are not."""
    if not RUNNER.is_file():
        return None
    spec = importlib.util.spec_from_file_location("vector_runner", RUNNER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["vector_runner"] = module
    spec.loader.exec_module(module)
    return module


RUN = runner()
VECTORS = [] if RUN is None else RUN.load(FOLDER)
needs_vectors = pytest.mark.skipif(RUN is None, reason="the conformance vectors are not beside the checkout")


def outputs_of(vector: dict) -> list[dict]:
    """What the vector's events lead to, as JSON Lines would say it."""
    settings, events = RUN.expand(vector)
    host = MemoryHost(settings_document=json.dumps(settings) if settings else None)
    records = []
    for event in events:
        payload = (event if isinstance(event, str) else json.dumps(event)).encode()
        records += [output_to_json(topic, key, record) for topic, key, record in host.process(payload)]
    return json.loads(json.dumps(records))


def cases() -> list:
    """One case a vector; those of later issues are expected to fail, strictly."""
    later = pytest.mark.xfail(reason="of a later issue", strict=True)
    return [pytest.param(v, id=v["id"], marks=[later] if v["id"] in LATER else []) for v in VECTORS]


@needs_vectors
@pytest.mark.parametrize("vector", cases())
def test_a_vector_holds(vector: dict) -> None:
    """Every assertion of the vector holds on what the memory host puts out."""
    assert RUN.check(vector, outputs_of(vector)) == []


@needs_vectors
def test_the_list_of_later_vectors_names_only_vectors_that_there_are() -> None:
    """A vector that was renamed or taken away must not stay on the list."""
    assert {vector["id"] for vector in VECTORS} >= LATER


@needs_vectors
def test_the_command_line_agrees_on_every_vector() -> None:
    """`credit-stream process` fails exactly the vectors that are listed as later."""
    command = [sys.executable, "-m", "credit_stream", "process"]
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        results = list(pool.map(lambda vector: RUN.run_vector(vector, command), VECTORS))
    failed = {vector["id"]: faults[0] for vector, faults in zip(VECTORS, results, strict=True) if faults}
    assert failed.keys() == LATER, {name: fault for name, fault in failed.items() if name not in LATER}


@needs_vectors
def test_the_checker_of_the_vectors_can_fail() -> None:
    """A checker that lets everything pass would prove nothing."""
    assert RUN.self_test() == []
