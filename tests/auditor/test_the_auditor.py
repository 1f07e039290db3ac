"""The test of the test: outputs that were tampered with must each be found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest

from tests.auditor.auditor import Auditor
from tests.auditor.driving import Json, Step, audited, steps

LIMIT = {"id": "limit", "type": "credit_limit_used"}
LATE = {"id": "late", "type": "days_overdue"}
DOCUMENT: Json = {
    "parameters": {"automatic_release": "without_posting"},
    "rules": [LIMIT, LATE],
    "checkpoints": {"confirmation": {"posting": True}},
}


def event(number: int, kind: str, **fields: object) -> Json:
    """The numbered event of the small history: one a minute."""
    at = f"2026-03-02T09:{number:02d}:00Z"
    head = {"type": kind, "event_id": f"e{number}", "occurred_at": at, "legal_entity": "US01"}
    return {name: value for name, value in (head | {"customer_id": "C1"} | fields).items() if value is not None}


def small_history() -> list[Step]:
    """Released, held, freed by a payment, a person's release, a journal, a refusal, and a repeat."""
    line = {"customer_id": "C1", "credit_limit": "1500", "currency": "USD", "expires_on": "2027-12-31"}
    settled = [{"invoice_id": "I1", "amount": "600"}]
    order = event(2, "OrderPlaced", order_id="O1", amount="600", currency="USD")
    events: list[Json | str] = [
        event(1, "CustomerUpdated", credit_currency="USD", credit_limit="1000"),
        order,
        event(3, "OrderPlaced", order_id="O2", amount="500", currency="USD"),
        event(4, "InvoicePosted", invoice_id="I1", order_id="O1", amount="600", currency="USD",
              invoice_date="2026-03-02"),
        event(5, "PaymentReceived", payment_id="P1", amount="600", currency="USD", received_on="2026-03-02",
              settlements=settled),
        event(6, "OrderPlaced", order_id="O3", amount="700", currency="USD"),
        event(7, "ReleaseOrder", order_id="O3", actor="ana", release_reason="agreed"),
        event(8, "CreateLimitJournal", actor="ana", journal_id="J1", journal_type="credit_limit", description="up",
              lines=[line], customer_id=None),
        event(9, "PostLimitJournal", actor="ana", journal_id="J1", customer_id=None),
        event(10, "ReleaseOrder", order_id="O3", actor="ana", release_reason="agreed"),
        event(12, "OrderCheckpointReached", order_id="O3", checkpoint="confirmation"),
        order,
    ]  # fmt: skip
    return list(steps(DOCUMENT, events))


Tamper = Callable[[list[Json]], None]


def of_type(outputs: list[Json], name: str) -> Json:
    """The first output of the type that is no tombstone."""
    return next(output for output in outputs if output["type"] == name and output["value"] is not None)


def changed(name: str, field: str, value: object) -> Tamper:
    """Another value in a field of the first output of the type; dots lead into it."""

    def tamper(outputs: list[Json]) -> None:
        *path, last = field.split(".")
        place = of_type(outputs, name)["value"]
        for step in path:
            place = place[int(step) if step.isdigit() else step]
        assert place[last] != value, "nothing would be tampered with"
        place[last] = value

    return tamper


def without(name: str) -> Tamper:
    """The first output of the type is missing."""
    return lambda outputs: outputs.remove(of_type(outputs, name))


def doubled(name: str) -> Tamper:
    """The first output of the type comes twice."""
    return lambda outputs: outputs.append(copy.deepcopy(of_type(outputs, name)))


def without_tombstone(outputs: list[Json]) -> None:
    """An order that was released stays on the hold list."""
    outputs.remove(next(output for output in outputs if output["value"] is None))


def another_order(outputs: list[Json]) -> None:
    """A decision on an order that nobody asked about."""
    extra = copy.deepcopy(of_type(outputs, "CreditDecision"))
    extra["key"] = extra["value"]["order_id"] = "O99"
    extra["value"]["decision_id"] = "e99/O99"
    outputs.append(extra)


def rule_left_out(outputs: list[Json]) -> None:
    """A rule that was looked at is not in the decision."""
    of_type(outputs, "CreditDecision")["value"]["rules"].pop()


TAMPERED: dict[str, tuple[int, Tamper]] = {
    "verdict flipped": (2, changed("CreditDecision", "verdict", "released")),
    "release flipped": (1, changed("CreditDecision", "verdict", "on_hold")),
    "reason missing": (2, changed("CreditDecision", "reasons", [])),
    "reason added": (2, changed("CreditDecision", "reasons", ["invoice_overdue", "credit_limit_exceeded"])),
    "decision missing": (1, without("CreditDecision")),
    "decision doubled": (1, doubled("CreditDecision")),
    "decision on another order": (1, another_order),
    "exposure after off by a cent": (2, changed("CreditDecision", "exposure_after.total", "1100.01")),
    "exposure before counts the order": (1, changed("CreditDecision", "exposure_before.open_orders", "600.00")),
    "open amount off": (1, changed("CreditDecision", "order_open_amount", "600.01")),
    "limit off": (1, changed("CreditDecision", "limit.total", "1000.01")),
    "limit of another source": (1, changed("CreditDecision", "limit.source", "group")),
    "limit passed by less": (2, changed("CreditDecision", "over_limit_by", "99.99")),
    "rule left out": (1, rule_left_out),
    "rule saw another figure": (2, changed("CreditDecision", "rules.1.observed", "1099.99")),
    "rule against another threshold": (2, changed("CreditDecision", "rules.1.threshold", "1100.00")),
    "rule without its hit": (2, changed("CreditDecision", "rules.1.hit", False)),
    "superseded forgotten": (4, changed("CreditDecision", "supersedes", None)),
    "another cause": (4, changed("CreditDecision", "cause", "order")),
    "another input": (4, changed("CreditDecision", "input.event_id", "e3")),
    "invoices counted as of too late": (4, changed("CreditDecision", "as_of.invoices", 1)),
    "date of yesterday": (1, changed("CreditDecision", "business_date", "2026-03-01")),
    "settings of another version": (1, changed("CreditDecision", "settings_version", 2)),
    "actor left out": (6, changed("CreditDecision", "actor", None)),
    "entry missing": (2, without("HoldEntry")),
    "entry ready though nothing is free": (2, changed("HoldEntry", "status", "ready_to_release")),
    "entry with an amount off": (2, changed("HoldEntry", "amount", "500.01")),
    "entry of a reason that is over": (2, changed("HoldEntry", "reasons.0.still_valid", False)),
    "tombstone missing": (4, without_tombstone),
    "exposure missing": (1, without("Exposure")),
    "exposure off by a cent": (1, changed("Exposure", "open_orders", "600.01")),
    "exposure in the wrong bucket": (3, changed("Exposure", "overdue_invoices", "600.00")),
    "available off": (1, changed("Exposure", "available", "400.01")),
    "utilisation off": (1, changed("Exposure", "utilization_percent", "60.01")),
    "payment not taken off": (4, changed("Exposure", "current_invoices", "600.00")),
    "limit change missing": (9, without("LimitChanged")),
    "limit change doubled": (9, doubled("LimitChanged")),
    "limit change off": (9, changed("LimitChanged", "new_limit", "1500.01")),
    "limit change of nobody": (9, changed("LimitChanged", "actor", None)),
    "journal not posted": (8, changed("LimitJournal", "status", "draft")),
    "dead letter missing": (10, without("DeadLetter")),
    "dead letter for another reason": (10, changed("DeadLetter", "reason", "unknown_reference")),
    "repeat decided anew": (12, changed("CreditDecision", "decision_id", "e12/O1")),
    "repeat without its decision": (12, without("CreditDecision")),
    "repeat with a different decision": (12, changed("CreditDecision", "exposure_before.total", "1.00")),
}


def test_the_small_history_is_clean_before_it_is_tampered_with() -> None:
    """Else finding something would prove nothing."""
    findings, decisions = audited(DOCUMENT, small_history())
    assert not findings
    assert decisions == 6


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_outputs_are_found(name: str) -> None:
    """At the very step at which they were tampered with."""
    at, tamper = TAMPERED[name]
    history = small_history()
    tamper(history[at][1])
    auditor = Auditor(DOCUMENT)
    for number, (taken, outputs) in enumerate(history[: at + 1]):
        findings = auditor.take(taken, outputs)
        assert bool(findings) == (number == at), [str(finding) for finding in findings]


def test_a_wrong_rule_of_the_product_would_be_found() -> None:
    """A product at `at_or_above` under settings that say `above`: the first order at exactly the limit shows it."""
    order = event(2, "OrderPlaced", order_id="O1", amount="1000", currency="USD")
    events = [event(1, "CustomerUpdated", credit_currency="USD", credit_limit="1000"), order]
    wrong = {"parameters": {"limit_boundary": "at_or_above"}, "rules": [LIMIT]}
    history = list(steps(wrong, events))
    findings, _ = audited({"rules": [LIMIT]}, history)
    assert any("verdict" in finding.text for _, finding in findings)
    assert json.dumps(history)
