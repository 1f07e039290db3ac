"""The second model over the made-up company: many currencies, part deliveries, part invoices, pools that are short."""

from __future__ import annotations

import json
from itertools import islice

from credit_stream.company import Plan, events
from credit_stream.wire.json_lines import event_to_json
from tests.auditor.driving import as_read, audited, steps
from tests.company.pools import contested

EVENTS = 1_000


def test_the_auditor_agrees_with_the_product_on_the_company(seed: int) -> None:
    """Its amounts round, as those of the simulator do not."""
    plan = Plan(seed=seed % 2**31, customers=60, days=None, orders_a_day=40, groups=True)
    told = [as_read(event_to_json(event)) for event in islice(contested(events(plan)), EVENTS)]
    findings, decisions = audited(None, steps(None, told))
    assert not findings, json.dumps([(number, str(finding)) for number, finding in findings], indent=1)
    assert decisions > EVENTS / 4
