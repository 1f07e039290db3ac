"""The number of partitions is nobody's business but the operator's: one and several decide the same."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from credit_stream.company import Plan, events
from credit_stream.core import events as e
from credit_stream.core.outputs import CreditDecision, Exposure, HoldEntry
from credit_stream.hosts.memory import MemoryHost, Produced

MONDAY = 1_772_442_000_000
DOCUMENT = (
    '{"parameters": {"automatic_release": "without_posting", "release_priority": "%s"},'
    ' "rules": [{"id": "limit", "type": "credit_limit_used"}]}'
)
GROUPS = ("north", "south", "east")
CUSTOMERS = tuple(f"C{number}" for number in range(12))
PARTITIONS = 3
SEEDS = 25


def play(partitions: int, inputs: list[e.Event], document: str | None = None) -> list[Produced]:
    """All that comes out, each input followed to its end."""
    host = MemoryHost(partitions, document)
    return [produced for event in inputs for produced in host.process_event(event)]


def decided(outputs: list[Produced]) -> list[tuple[object, ...]]:
    """What the decisions say, but for where in the log their inputs lie."""
    found = [record for _, _, record in outputs if isinstance(record, CreditDecision)]
    return [
        (each.decision_id, each.verdict, each.reasons, each.rules, each.exposure_before, each.exposure_after,
         each.limit, each.over_limit_by_minor, each.supersedes, each.cause, each.group_id)
        for each in found
    ]  # fmt: skip


def at_the_end(outputs: list[Produced]) -> tuple[dict[str, tuple[object, ...]], dict[str, object]]:
    """The last exposure of every customer and group, and the hold list."""
    exposures = {
        key: (each.exposure_minor, each.open_orders_minor, each.limit_minor, each.available_minor)
        for _, key, each in outputs
        if isinstance(each, Exposure)
    }
    holds: dict[str, object] = {}
    for topic, key, each in outputs:
        if topic == "credit.holds":
            holds[key] = each.reasons if isinstance(each, HoldEntry) else None
    return exposures, holds


def trade(seed: int) -> Iterator[e.Event]:
    """A few customers in a few groups that are always short of credit, moving from one to the other."""
    chance = random.Random(seed)
    number = 0

    def made(kind: type[e.Event], **fields: object) -> e.Event:
        nonlocal number
        number += 1
        return kind(event_id=f"e{number}", occurred_at=MONDAY + number * 60_000, **fields)

    for group_id in GROUPS:
        yield made(
            e.CreditGroupUpdated, group_id=group_id, credit_currency="USD", credit_limit_minor=1_000,
            credit_limit_expires_on=30_000,
        )  # fmt: skip
    orders: list[tuple[str, str]] = []
    for customer_id in CUSTOMERS:
        yield made(
            e.CustomerUpdated, customer_id=customer_id, credit_currency="USD",
            credit_limit_minor=chance.choice((0, 0, 600)), customer_credit_group=chance.choice((*GROUPS, None)),
        )  # fmt: skip
    for _ in range(120):
        what, customer_id = chance.random(), chance.choice(CUSTOMERS)
        amount = chance.choice((100, 250, 400, 1_000, 1_001))
        if what < 0.45 or not orders:
            orders.append((f"O{number}", customer_id))
            yield made(
                e.OrderPlaced, order_id=f"O{number}", customer_id=customer_id, amount_minor=amount, currency="USD"
            )
            continue
        order_id, owner = chance.choice(orders)
        if what < 0.6:
            yield made(e.OrderChanged, order_id=order_id, customer_id=owner, amount_minor=amount, currency="USD")
        elif what < 0.75:
            yield made(e.OrderCancelled, order_id=order_id, customer_id=owner)
        elif what < 0.8:
            yield made(e.ReleaseOrder, order_id=order_id, customer_id=owner, actor="ana", release_reason="agreed")
        elif what < 0.9:
            yield made(
                e.InvoicePosted, invoice_id=f"I{number}", customer_id=owner, order_id=order_id,
                amount_minor=amount, currency="USD", invoice_date=20_514,
            )  # fmt: skip
        elif what < 0.95:
            yield made(
                e.PaymentReceived, payment_id=f"P{number}", customer_id=customer_id, amount_minor=amount,
                currency="USD", received_on=20_514,
            )  # fmt: skip
        else:
            yield made(
                e.CustomerUpdated, customer_id=customer_id, credit_currency="USD",
                customer_credit_group=chance.choice((*GROUPS, None)),
            )  # fmt: skip


@pytest.mark.parametrize("priority", ["oldest_first", "smallest_first", "largest_first"])
def test_groups_whose_members_are_elsewhere_decide_as_those_whose_members_are_here(priority: str) -> None:
    """A group whose members all lie in one partition is not special in behaviour (spec 5.2)."""
    by_groups = 0
    for seed in range(SEEDS):
        inputs = list(trade(seed))
        one, several = play(1, inputs, DOCUMENT % priority), play(PARTITIONS, inputs, DOCUMENT % priority)
        assert decided(one) == decided(several), f"seed {seed}"
        assert at_the_end(one) == at_the_end(several), f"seed {seed}"
        by_groups += sum(1 for each in decided(one) if "group_credit_limit_exceeded" in each[2])
    assert by_groups > SEEDS


def test_the_company_decides_the_same_in_one_partition_and_in_several() -> None:
    """Three weeks of it, with its groups, its credit office and its late payers."""
    inputs = list(events(Plan(customers=120, days=21, orders_a_day=40, groups=True)))
    one, several = play(1, inputs), play(PARTITIONS, inputs)
    assert decided(one) == decided(several) and len(decided(one)) > 1_000
    assert at_the_end(one) == at_the_end(several)
