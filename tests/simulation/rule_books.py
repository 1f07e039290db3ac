"""Settings documents for the simulated company, from plain to everything at once; and ones that must be refused."""

from __future__ import annotations

import json
import random
from typing import Any

Document = dict[str, Any]

LATE_DAYS = 3
MANAGEMENT_GROUPS = ("wholesale", "retail")
STATUSES = ("good", "watched", "stopped")
TERMS = ("NET10", "NET30", "NET60")
DISCOUNTS = ("1P10", "2P10")

LIMIT_RULE: Document = {"id": "limit", "type": "credit_limit_used"}
OTHER_RULES: tuple[Document, ...] = (
    {"id": "late", "type": "days_overdue", "days": LATE_DAYS},
    {"id": "stopped", "type": "account_status", "value": "stopped"},
    {"id": "long-terms", "type": "payment_terms", "value": "NET60"},
    {"id": "expired", "type": "credit_limit_expired", "days": 5},
    {"id": "much-overdue", "type": "overdue_amount", "amount": "100", "percent": "50"},
    {"id": "large", "type": "order_amount", "amount": "900", "currency": "USD"},
    {"id": "retail-late", "type": "days_overdue", "scope": "group", "account": "retail", "days": 1},
)
EXCLUSIONS: tuple[Document, ...] = (
    {"id": "late-ok", "type": "days_overdue", "kind": "exclusion", "scope": "customer", "account": "C1", "days": 20},
    {"id": "small-ok", "type": "order_amount", "kind": "exclusion", "amount": "5", "release_order": True},
    {"id": "some-used", "type": "credit_limit_used", "kind": "exclusion", "scope": "customer", "account": "C2"},
)


def plain() -> Document:
    """The limit, and nothing else."""
    return {"parameters": {}, "rules": [LIMIT_RULE]}


def strict(chance: random.Random) -> Document:
    """The limit alone, where nobody but the rules releases: what was once released never passes a limit."""
    priority = chance.choice(("oldest_first", "smallest_first", "largest_first"))
    automatic = chance.choice(("without_posting", "with_posting", "off"))
    return {"parameters": {"automatic_release": automatic, "release_priority": priority}, "rules": [LIMIT_RULE]}


def random_document(chance: random.Random) -> Document:
    """Any rule book that the settings accept."""
    parameters: Document = {}
    for name, values in PARAMETERS.items():
        if chance.random() < 0.15:
            parameters[name] = chance.choice(values)
    if chance.random() < 0.5:
        parameters["automatic_release"] = chance.choice(("without_posting", "with_posting"))
    boundary = chance.choice(("100", "100", "100", "90", "50.5"))
    rules = [{**LIMIT_RULE, "percent": boundary}]
    rules += [rule for rule in OTHER_RULES if chance.random() < 0.3]
    rules += [rule for rule in EXCLUSIONS if chance.random() < 0.15]
    return {
        "parameters": parameters,
        "rules": rules,
        "account_statuses": [{"id": "stopped", "effect": chance.choice(("none", "hold_all", "hold_invoicing"))}],
        "payment_terms": [{"id": name, "rank": int(name[3:])} for name in TERMS],
        "settlement_discounts": [{"id": name, "rank": int(name[0])} for name in DISCOUNTS],
        "checkpoints": _checkpoints(chance),
    }


def refused_document(chance: random.Random) -> Document:
    """One with a fault in it: the one in force stays in force."""
    faulty: Document = random_document(chance)
    faults: tuple[Document, ...] = (
        {"rules": [{"id": "limit", "type": "credit_limit_usd"}]},
        {"parameters": {"limit_boundary": "below"}},
        {"rules": [{"id": "a", "type": "order_amount", "scope": "customer"}]},
        {"checkpoints": {"order_entry": {"grace_days": 1}, "confirmation": {"posting": True}}},
    )
    return {**faulty, **chance.choice(faults)}


def text(document: Document) -> str:
    """As it stands on the stream."""
    return json.dumps(document, sort_keys=True)


PARAMETERS: dict[str, tuple[Any, ...]] = {
    "exposure_scope": ("balance", "balance_and_delivered", "balance_and_orders", "none"),
    "limit_boundary": ("at_or_above",),
    "check_credit_limit": (False,),
    "check_group_limit": (False,),
    "unknown_customer": ("release",),
    "ignore_blank_expiry": (False,),
    "unapplied_payments_reduce_exposure": (False,),
    "held_orders_consume_credit": (True,),
    "credit_horizon_days": (10,),
    "allow_edit_after_release": (True,),
    "release_tolerance_percent": ("10",),
    "release_valid_days": (5,),
    "evaluate_on": ("command",),
    "release_priority": ("smallest_first", "largest_first"),
    "allow_manual_limits": (True,),
    "business_time_zone": ("Pacific/Auckland", "America/New_York"),
    "max_input_age_minutes": (60,),
    "stale_policy": ("release",),
}
"""What may be other than its default."""


def _checkpoints(chance: random.Random) -> Document:
    grace = chance.choice((0, 0, 2))
    entry: Document = {"posting": chance.random() < 0.9, "grace_days": grace}
    found: Document = {"order_entry": entry if entry["posting"] else {"posting": False}}
    for name in ("confirmation", "picking_list", "packing_slip", "invoice"):
        if chance.random() < 0.4:
            found[name] = {"posting": True, "grace_days": grace, "pro_forma": chance.random() < 0.5}
    return found
