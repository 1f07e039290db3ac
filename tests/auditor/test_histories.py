"""The product audited: the conformance vectors, the made-up company, and random histories.

More of the random ones: CREDIT_STREAM_AUDIT_HISTORIES=2000; one again: CREDIT_STREAM_SEED=... as it was printed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from credit_stream.company import Company, Plan
from credit_stream.core.outputs import HoldEntry
from credit_stream.core.topics import HOLDS
from credit_stream.wire.avro import encode_event
from credit_stream.wire.json_lines import event_to_json
from tests.auditor.driving import Json, Step, Watched, as_read, audited, steps
from tests.auditor.histories import History, settings

SHARED = Path(__file__).resolve().parents[3] / "shared" / "vectors"
LATER = Path(__file__).resolve().parents[1] / "vectors" / "later_issues.txt"
BUDGET = os.environ.get("CREDIT_STREAM_AUDIT_HISTORIES")
SEED = os.environ.get("CREDIT_STREAM_SEED")
HISTORIES = 50
LENGTH = 100
COMPANY_EVENTS = 2_500
COMPANY = Plan(seed=5, customers=40, days=120, orders_a_day=4.0)


def runner() -> ModuleType | None:
    """The runner of the conformance vectors, None where they do not lie beside the checkout."""
    spec = importlib.util.spec_from_file_location("vectors_for_the_auditor", SHARED / "run.py")
    if spec is None or spec.loader is None or not (SHARED / "run.py").is_file():
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_auditor_agrees_with_the_product_on_every_vector() -> None:
    """Everything that a vector leads to, also what the vector itself does not look at."""
    run = runner()
    if run is None:
        pytest.skip("the conformance vectors are not beside the checkout")
    later = set(LATER.read_text(encoding="utf-8").split("\n"))
    found, checked = {}, 0
    for vector in run.load(SHARED):
        document, events = run.expand(vector)
        if vector["id"] in later:
            continue
        findings, decisions = audited(document, steps(document, events))
        checked += decisions
        if findings:
            found[vector["id"]] = [f"{step}: {finding}" for step, finding in findings]
    assert not found
    assert checked > 150


def company_steps() -> Iterator[Step]:
    """A company whose clerks hear of every hold, for some weeks."""
    watched, company, count = Watched(), Company(COMPANY), 0
    while count < COMPANY_EVENTS and (batch := company.next_batch()) is not None:
        heard: list[tuple[str, HoldEntry | None]] = []
        for event in batch:
            found, produced = watched.take(as_read(event_to_json(event)), encode_event(event))
            heard += [(k, r) for topic, k, r in produced if topic == HOLDS and (r is None or isinstance(r, HoldEntry))]
            yield from found
            count += 1
        for order_id, entry in heard:
            company.hear(order_id, entry)


def test_the_auditor_agrees_with_the_product_on_a_made_up_company() -> None:
    """Orders, invoices, payments, holds and clerks of some weeks, in several currencies."""
    findings, decisions = audited(None, company_steps())
    assert not findings, "\n".join(f"{step}: {finding}" for step, finding in findings)
    assert decisions > 1_000


def a_history(seed: int, groups: int = 0) -> tuple[Json, list[Json | str]]:
    """Settings and events of a seed."""
    chance = random.Random(seed)
    document = settings(chance)
    if groups and seed % 2:  # Half of them are about the pool and little else.
        document |= {"rules": document["rules"][:1]}
        document["parameters"] |= {"automatic_release": "without_posting", "exposure_scope": "balance_and_orders"}
    zone = document["parameters"]["business_time_zone"]
    return document, list(History(chance, groups=groups, zone=zone).events(LENGTH))


def seeds() -> list[int]:
    """The same ones each time; with a budget or a seed given, that many drawn anew."""
    if BUDGET is None and SEED is None:
        return list(range(1, HISTORIES + 1))
    chance = random.Random(SEED)
    return [int(SEED)] if SEED and BUDGET is None else [chance.randrange(2**32) for _ in range(int(BUDGET or 1))]


def findings_of(groups: int) -> tuple[list[str], int]:
    """What the auditor finds in all histories, and how many decisions it looked at."""
    found, decisions = [], 0
    for seed in seeds():
        document, events = a_history(seed, groups)
        findings, checked = audited(document, steps(document, events))
        decisions += checked
        found += [f"CREDIT_STREAM_SEED={seed}, step {step}: {finding}" for step, finding in findings]
    print(f"{len(seeds())} histories, {decisions} decisions")
    return found, decisions


def test_the_auditor_agrees_with_the_product_on_random_histories() -> None:
    """Every decision, entry, exposure, limit, journal and dead letter of each history."""
    found, decisions = findings_of(groups=0)
    assert not found, "\n".join(found)
    assert decisions > 0


def test_the_auditor_agrees_with_the_product_on_random_histories_with_groups() -> None:
    """The same with credit groups, every answer followed to its end."""
    found, _ = findings_of(groups=2)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("seed", [146, 163, 181, 210, 250])
def test_the_auditor_agrees_on_what_is_evaluated_before_the_group_has_answered(seed: int) -> None:
    """A pending order counts (3.4), one that waits in line is not ready yet: held orders that the same event has
    evaluated say what they saw at that moment, or what they saw after the answer.
    """
    document, events = a_history(seed, groups=2)
    findings, _ = audited(document, steps(document, events))
    assert not findings, "\n".join(str(finding) for _, finding in findings)


def event(number: int, kind: str, **fields: object) -> Json:
    """An event of a proof: one a second."""
    at = f"2026-03-02T09:00:{number:02d}Z"
    found = {"type": kind, "event_id": f"e{number}", "occurred_at": at, "customer_id": "C1"} | fields
    return {name: value for name, value in found.items() if value is not None}


LIMIT = {"id": "limit", "type": "credit_limit_used"}
GRACE = {name: {"posting": True, "grace_days": 1} for name in ("order_entry", "confirmation")}
PROOFS: dict[str, tuple[Json, list[Json | str]]] = {
    "trial_ignores_release": (
        {"checkpoints": {"order_entry": {"posting": True, "pro_forma": True}}, "rules": [LIMIT]},
        [
            event(1, "CustomerUpdated", credit_currency="USD", credit_limit="0"),
            event(2, "OrderPlaced", order_id="O1", amount="300", currency="USD"),
            event(3, "ReleaseOrder", order_id="O1", actor="ana", release_reason="agreed", valid_days=3),
            event(4, "OrderCheckpointReached", order_id="O1", checkpoint="order_entry", pro_forma=True),
        ],
    ),
    "grace_of_no_days": (
        {"rules": [LIMIT]},
        [
            event(1, "CustomerUpdated", credit_currency="USD", credit_limit="500"),
            event(2, "OrderPlaced", order_id="O1", amount="400", currency="USD"),
            event(3, "SettingsPublished", version=2, document=json.dumps({"checkpoints": GRACE}), customer_id=None),
            event(4, "OrderCheckpointReached", order_id="O1", checkpoint="confirmation"),
        ],
    ),
    "beyond_horizon_tolerated": (
        {"parameters": {"credit_horizon_days": 0}, "rules": [LIMIT]},
        [
            event(1, "CustomerUpdated", credit_currency="USD", credit_limit="500"),
            event(2, "OrderPlaced", order_id="O1", amount="400", currency="USD"),
            event(3, "OrderDelivered", order_id="O1", delivered_amount="900"),
            event(4, "OrderChanged", order_id="O1", amount="900", currency="USD", ships_on="2026-03-11"),
        ],
    ),
    "unknown_sorts_as_nothing": (
        {
            "parameters": {"automatic_release": "without_posting", "release_priority": "smallest_first"},
            "rules": [LIMIT],
        },
        [
            event(1, "OrderPlaced", order_id="O1", amount="1000", currency="USD"),
            event(2, "OrderPlaced", order_id="O2", amount="500", currency="USD"),
            event(3, "CustomerUpdated", credit_currency="USD", credit_limit="1000"),
        ],
    ),
}


@pytest.mark.parametrize("name", PROOFS)
def test_what_the_auditor_once_found_stays_mended(name: str) -> None:
    """The shortest history of each."""
    document, events = PROOFS[name]
    findings, decisions = audited(document, steps(document, events))
    assert not findings
    assert decisions > 0
