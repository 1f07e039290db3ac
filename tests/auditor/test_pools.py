"""Members and their group, moment by moment: no pool may be released above its limit (spec 5.2).

The product plays the part of both tasks; then something that one told the other is tampered with, and the auditor must
find it where it was told, not where it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.auditor.auditor import Auditor
from tests.auditor.driving import Json, Step, audited, steps

DOCUMENT: Json = {"rules": [{"id": "limit", "type": "credit_limit_used"}]}


def event(number: int, kind: str, **fields: object) -> Json:
    """The numbered event: one a second."""
    return {"type": kind, "event_id": f"e{number}", "occurred_at": f"2026-03-02T09:00:{number:02d}Z"} | fields


def order(number: int, customer: str, amount: str) -> Json:
    """An order of a member."""
    fields = {"order_id": f"O{number}", "customer_id": customer, "amount": amount, "currency": "USD"}
    return event(number, "OrderPlaced", **fields)


def two_members() -> list[Step]:
    """Two members without limits of their own in a group with 1,000: 600 for the first; 600 for the second has to wait,
    and is ready when the first is cancelled."""
    group = event(1, "CreditGroupUpdated", group_id="G1", credit_currency="USD", credit_limit="1000",
                  credit_limit_expires_on="2027-12-31")  # fmt: skip
    fields = {"credit_currency": "USD", "credit_limit": "0", "customer_credit_group": "G1"}
    members = [event(number, "CustomerUpdated", customer_id=name, **fields) for number, name in ((2, "A"), (3, "B"))]
    cancelled = event(6, "OrderCancelled", order_id="O4", customer_id="A")
    return list(steps(DOCUMENT, [group, *members, order(4, "A", "600"), order(5, "B", "600"), cancelled]))


def at_step(history: list[Step], event_id: str, kind: str, number: int = 0) -> int:
    """The step that put out the record of the type that follows the event, the numbered one."""
    begin = next(
        at for at, (taken, _) in enumerate(history) if isinstance(taken, dict) and taken["event_id"] == event_id
    )
    found = [at for at, (_, outputs) in enumerate(history) for output in outputs if output["type"] == kind]
    return [at for at in found if at >= begin][number]


Tampering = tuple[str, str, Callable[[Any], object]]
TAMPERED: dict[str, Tampering] = {
    "credit that is not there is granted": ("e5", "GroupCreditAnswered", lambda told: told.update(granted=True)),
    "credit that is there is refused": ("e4", "GroupCreditAnswered", lambda told: told.update(granted=False)),
    "the pool is said to be smaller": ("e5", "GroupCreditAnswered", lambda told: told.update(before="0.00")),
    "the limit is said to be higher": ("e5", "GroupCreditAnswered", lambda told: told.update(limit="2000.00")),
    "nobody in line is told": ("e6", "GroupCreditAnswered", lambda told: told.update(waits=False)),
    "a member tells less than it owes": ("e4", "GroupMemberReported", lambda told: told.update(open_orders="599.99")),
    "a member asks for less": ("e5", "GroupCreditRequested", lambda told: told.update(amount="400.00")),
    "a member says that it has told": ("e5", "GroupCreditRequested", lambda told: told.update(included="600.00")),
    "a member asks for half the limit": ("e5", "GroupCreditRequested", lambda told: told.update(conditions=[])),
    "a member leaves that does not": ("e4", "GroupMemberReported", lambda told: told.update(is_member=False)),
    "a release without a grant": ("e5", "CreditDecision", lambda made: made.update(verdict="released")),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_tasks_tell_each_other_is_looked_at_where_it_is_told(name: str) -> None:
    """What went before is clean, and that very step is not."""
    event_id, kind, tamper = TAMPERED[name]
    history = two_members()
    at = at_step(history, event_id, kind, 1 if (event_id, kind) == ("e4", "GroupMemberReported") else 0)
    tamper(next(output["value"] for output in history[at][1] if output["type"] == kind))
    auditor = Auditor(DOCUMENT)
    for number, (taken, outputs) in enumerate(history[: at + 1]):
        findings = auditor.take(taken, outputs)
        assert bool(findings) == (number == at), [str(finding) for finding in findings]


@pytest.mark.parametrize("kind", ["GroupMemberReported", "GroupCreditRequested", "GroupCreditAnswered"])
def test_what_is_not_told_is_missed(kind: str) -> None:
    """A report, a question or an answer that was never sent."""
    history = two_members()
    at = at_step(history, "e4", kind)
    history[at][1].remove(next(output for output in history[at][1] if output["type"] == kind))
    findings, _ = audited(DOCUMENT, history)
    assert [number for number, _ in findings][:1] == [at]


def test_between_the_question_and_the_answer_anything_may_lie() -> None:
    """Both orders are placed before either question reaches the group: the first to reach it gets the credit."""
    history = two_members()
    first, second = (
        at for at, (taken, _) in enumerate(history) if isinstance(taken, dict) and taken["type"] == "OrderPlaced"
    )
    findings, _ = audited(DOCUMENT, [*history[: first + 1], history[second], *history[first + 1 : second]])
    place = [finding for _, finding in findings if "input offset" in finding.text]
    assert not [finding for _, finding in findings if finding not in place]
