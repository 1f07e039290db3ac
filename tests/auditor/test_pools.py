"""The concurrent style: groups answer later, and no pool may be released above its limit (spec 5.2).

The outputs here are written by hand, as two members on two partitions would put them out.
"""

from __future__ import annotations

from decimal import Decimal

from tests.auditor.auditor import Auditor, Finding, Output
from tests.auditor.world import Event, Value

DOCUMENT: Value = {"rules": [{"id": "limit", "type": "credit_limit_used"}]}
ZERO = dict.fromkeys("current_invoices overdue_invoices open_orders delivered_not_invoiced unapplied".split(), "0.00")


def event(number: int, kind: str, **fields: object) -> Event:
    """The numbered event: one a second."""
    return {"type": kind, "event_id": f"e{number}", "occurred_at": f"2026-03-02T09:00:{number:02d}Z"} | fields


def exposure(customer: str, orders: str) -> Output:
    """The record of a member without a limit of its own."""
    value = ZERO | {"party": "customer", "customer_id": customer, "group_id": None, "currency": "USD"}
    value |= {"open_orders": orders, "exposure": orders, "limit": "0.00", "available": minus(orders)}
    value |= {"utilization_percent": None, "business_date": "2026-03-02"}
    return {"topic": "credit.exposures", "key": customer, "type": "Exposure", "value": value}


def minus(amount: str) -> str:
    """What is available of nothing."""
    return amount if amount == "0.00" else f"-{amount}"


def released(customer: str, number: int, amount: str, pool: str, verdict: str = "released") -> Output:
    """A decision by a group with a limit of 1,000 that had `pool` without this order."""
    used = str(Decimal(pool) + Decimal(amount))
    line = {"rule_id": "limit", "type": "credit_limit_used", "kind": "blocking", "hit": verdict != "released"}
    line |= {"observed": used, "operator": "above", "threshold": "1000.00", "unit": "USD", "cancelled_by": None}
    limit = {"source": "group", "base": "0.00", "temporary": None, "policies": "0.00", "total": "0.00"}
    value: Value = {"decision_id": f"e{number}/O{number}", "order_id": f"O{number}", "customer_id": customer}
    value |= {"group_id": "G1", "legal_entity": "", "checkpoint": "order_entry", "pro_forma": False}
    value |= {"verdict": verdict, "reasons": [] if verdict == "released" else ["group_credit_limit_exceeded"]}
    value |= {"rules": [line], "order_amount": amount, "order_open_amount": amount, "currency": "USD"}
    value |= {"exposure_before": ZERO | {"total": "0.00"}}
    value |= {"exposure_after": ZERO | {"open_orders": amount, "total": amount}}
    value |= {"limit": limit | {"group_total": "1000.00", "group_exposure": pool}, "exchange_rate": None}
    value |= {"business_date": "2026-03-02", "settings_version": 1, "as_of": {"invoices": -1, "payments": -1}}
    value |= {"input": {"topic": "credit.orders", "partition": 0, "offset": 0, "event_id": f"e{number}"}}
    value |= {"actor": None, "release_reason": None, "posting": None, "approvals": [], "supersedes": None}
    value |= {"cause": "group_answer"}
    return {"topic": "credit.decisions", "key": value["order_id"], "type": "CreditDecision", "value": value}


def pool_of_two() -> Auditor:
    """Two members without limits of their own in a group with 1,000; each has placed an order that waits."""
    auditor = Auditor(DOCUMENT, follow=False)
    group = event(1, "CreditGroupUpdated", group_id="G1", credit_currency="USD", credit_limit="1000",
                  credit_limit_expires_on="2027-12-31")  # fmt: skip
    assert not auditor.take(group, [])
    for number, customer in ((2, "A"), (3, "B")):
        profile = event(number, "CustomerUpdated", customer_id=customer, credit_currency="USD", credit_limit="0",
                        customer_credit_group="G1")  # fmt: skip
        assert not auditor.take(profile, [exposure(customer, "0.00")])
    for number, customer in ((4, "A"), (5, "B")):
        order = event(number, "OrderPlaced", order_id=f"O{number}", customer_id=customer, amount="600", currency="USD")
        assert not auditor.take(order, [exposure(customer, "600.00")]), "pending: it counts, the decision comes later"
    return auditor


def answer(auditor: Auditor, *outputs: Output) -> list[Finding]:
    """A group's answer arrives at a member; these decisions and records follow."""
    return auditor.take({"type": "GroupCreditAnswered"}, outputs)


def input_at(output: Output, offset: int) -> Output:
    """The decision with the place of the order that caused it."""
    output["value"]["input"]["offset"] = offset
    return output


def test_the_first_of_two_orders_gets_the_credit() -> None:
    """A decision that came later by the group's figures follows from them; the other order waits still."""
    auditor = pool_of_two()
    assert not answer(auditor, input_at(released("A", 4, "600.00", "0.00"), 0))


def test_credit_that_is_granted_twice_is_found_although_each_decision_agrees_with_itself() -> None:
    """Both members heard a pool of nothing: 1,200 of 1,000 are released."""
    auditor = pool_of_two()
    assert not answer(auditor, input_at(released("A", 4, "600.00", "0.00"), 0))
    findings = answer(auditor, input_at(released("B", 5, "600.00", "0.00"), 1))
    assert [finding.text for finding in findings] == ["pool of G1 over-released"]


def test_a_release_that_does_not_follow_from_the_groups_own_figures_is_found() -> None:
    """The group had 600 in its pool, and 600 more are above 1,000."""
    auditor = pool_of_two()
    findings = answer(auditor, input_at(released("A", 4, "600.00", "600.00"), 0))
    assert any("verdict" in finding.text for finding in findings)
