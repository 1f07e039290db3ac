"""The settings document with its defaults (interface 3), and the faults for which it is refused (spec 12, 6.3, 5.3)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

Document = dict[str, Any]

PARAMETERS: Document = {
    "exposure_scope": "balance_and_orders",
    "limit_boundary": "above",
    "check_credit_limit": True,
    "check_group_limit": True,
    "unknown_customer": "hold",
    "ignore_blank_expiry": True,
    "unapplied_payments_reduce_exposure": True,
    "held_orders_consume_credit": False,
    "credit_horizon_days": -1,
    "credit_rate_type": "default",
    "check_payment_terms_rank": True,
    "check_settlement_discount_rank": True,
    "allow_edit_after_release": False,
    "release_tolerance_percent": "0",
    "release_valid_days": 0,
    "evaluate_on": "event",
    "automatic_release": "off",
    "automatic_release_reason": "automatic",
    "release_priority": "oldest_first",
    "allow_manual_limits": False,
    "business_time_zone": "UTC",
    "max_input_age_minutes": -1,
    "stale_policy": "hold",
    "statistics_months_1": 12,
    "statistics_months_2": 6,
    "aging_buckets_days": [30, 60, 90],
    "risk_score_update_at": "02:00",
    "balance_statistics_update_at": "03:00",
    "event_id_retention_days": 400,
}
CHECKPOINTS = ("order_entry", "confirmation", "picking_list", "packing_slip", "invoice")
CHECKPOINT: Document = {"posting": False, "grace_days": 0, "pro_forma": False, "pro_forma_grace_days": 0}
RULE: Document = {
    "id": "",
    "type": "",
    "kind": "blocking",
    "scope": "all",
    "account": "",
    "risk_group": "",
    "checkpoints": [],
    "days": 0,
    "value_type": "days",
    "amount": "0",
    "currency": "",
    "percent": "100",
    "value": "",
    "release_order": False,
    "enabled": True,
    "hold_reason": "",
}
CHOICES: dict[str, tuple[Any, ...]] = {
    "exposure_scope": ("balance", "balance_and_delivered", "balance_and_orders", "none"),
    "limit_boundary": ("above", "at_or_above"),
    "unknown_customer": ("hold", "release"),
    "evaluate_on": ("event", "command"),
    "automatic_release": ("off", "without_posting", "with_posting"),
    "release_priority": ("oldest_first", "smallest_first", "largest_first"),
    "stale_policy": ("hold", "release"),
}
"""Parameters that are one of a few words."""
RULE_TYPES = (
    "days_overdue",
    "account_status",
    "payment_terms",
    "credit_limit_expired",
    "overdue_amount",
    "order_amount",
    "risk_group",
    "credit_limit_used",
)
TABLES = (
    "account_statuses release_reasons payment_terms settlement_discounts scoring_groups risk_groups automatic_limits "
    "release_approval limit_approval actors"
).split()


class RuleBook:
    """Settings in force, every default filled in."""

    def __init__(self, document: Document | None = None, version: int = 1) -> None:
        given = copy.deepcopy(document or {})
        self.version = version
        self.document = given
        self.parameters: Document = PARAMETERS | given.get("parameters", {})
        self.checkpoints = {
            name: CHECKPOINT | {"posting": name == "order_entry"} | given.get("checkpoints", {}).get(name, {})
            for name in CHECKPOINTS
        }
        self.rules = [RULE | rule for rule in given.get("rules", [])]
        self.effects = {row["id"]: row.get("effect", "none") for row in given.get("account_statuses", [])}
        self.terms = {row["id"]: row.get("rank", 0) for row in given.get("payment_terms", [])}
        self.discounts = {row["id"]: row.get("rank", 0) for row in given.get("settlement_discounts", [])}
        self.release_reasons = {row["id"] for row in given.get("release_reasons", [])}
        self.with_approval = bool(given.get("release_approval", {}).get("steps"))
        self.limit_approval = bool(given.get("limit_approval", {}).get("steps"))
        self.actors = {row["id"] for row in given.get("actors", [])}
        self.with_actors = bool(self.actors)

    def with_scope(self, scope: str) -> RuleBook:
        """The same with another scope of exposure."""
        found = copy.copy(self)
        found.parameters = self.parameters | {"exposure_scope": scope}
        return found

    def __getitem__(self, parameter: str) -> Any:
        return self.parameters[parameter]

    def checks_anywhere(self) -> bool:
        """Whether any checkpoint is marked for posting; if none is, an order is checked when it is placed (6.4)."""
        return any(checkpoint["posting"] for checkpoint in self.checkpoints.values())


def read_document(text: str) -> Document | None:
    """The document of a `SettingsPublished`, None if it is no JSON object."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def faults(document: Document) -> Iterator[str]:
    """Why the document is refused; nothing if it is not."""
    for name in document.keys() - {"parameters", "checkpoints", "rules", *TABLES}:
        yield f"unknown table {name}"
    for name, value in document.get("parameters", {}).items():
        if name not in PARAMETERS:
            yield f"unknown parameter {name}"
        elif type(value) is not type(PARAMETERS[name]) or value not in CHOICES.get(name, (value,)):
            yield f"no value of {name}: {value!r}"
    yield from faults_of_checkpoints(document)
    ids = [rule.get("id") for rule in document.get("rules", [])]
    for rule in document.get("rules", []):
        yield from faults_of_rule(rule)
        if ids.count(rule.get("id")) > 1:
            yield f"two rules {rule.get('id')}"
    for group in document.get("scoring_groups", []):
        if ranges_overlap(group.get("ranges", [])):
            yield f"ranges of {group.get('id')} overlap"
    if ranges_overlap(document.get("risk_groups", [])):
        yield "risk groups overlap"


def faults_of_checkpoints(document: Document) -> Iterator[str]:
    """Unknown ones, and grace days on some only (6.3)."""
    given = document.get("checkpoints", {})
    for name in given.keys() - set(CHECKPOINTS):
        yield f"unknown checkpoint {name}"
    book = RuleBook({"checkpoints": {name: given[name] for name in given if name in CHECKPOINTS}})
    graces = {checkpoint["grace_days"] > 0 for checkpoint in book.checkpoints.values() if checkpoint["posting"]}
    if len(graces) > 1:
        yield "grace days on some checkpoints only"


def faults_of_rule(rule: Document) -> Iterator[str]:
    """A type that there is, known fields, and an account where the scope needs one."""
    if rule.get("type") not in RULE_TYPES:
        yield f"rule {rule.get('id')}: unknown type"
    for name in rule.keys() - RULE.keys():
        yield f"rule {rule.get('id')}: unknown field {name}"
    if rule.get("scope", "all") != "all" and not rule.get("account"):
        yield f"rule {rule.get('id')} has no account"


def ranges_overlap(ranges: list[Document]) -> bool:
    """Whether two ranges (both ends included) have a value in common."""
    spans = sorted((row.get("from", 0), row.get("to", 0)) for row in ranges)
    return any(later[0] <= earlier[1] for earlier, later in pairwise(spans))
