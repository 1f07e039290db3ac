"""Hypothesis strategies for every event, with so few ids that events speak of each other's documents.

Values are valid one by one, as `wire.checks` wants them; whether they fit together is for the core to say.
"""

from __future__ import annotations

import json
import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from credit_stream.core.events import Event
from credit_stream.core.topics import TOPIC_OF_EVENT

EVENT_TYPES: tuple[type[Event], ...] = tuple(TOPIC_OF_EVENT)
FIRST_DAY = 20_514
DAY_MS = 86_400_000
AMOUNT_MINOR_MAX = 10**17 - 1

LIMIT_RULE = {"id": "limit", "type": "credit_limit_used"}
DOCUMENTS = (
    {},
    {"rules": [LIMIT_RULE]},
    {
        "rules": [LIMIT_RULE, {"id": "late", "type": "days_overdue", "days": 2}],
        "parameters": {"limit_boundary": "above"},
    },
    {
        "rules": [
            LIMIT_RULE,
            {"id": "due", "type": "overdue_amount", "amount": "1", "currency": "EUR"},
            {"id": "big", "type": "order_amount", "amount": "3.00", "checkpoints": ["confirmation"]},
            {"id": "old", "type": "credit_limit_expired", "days": 1},
            {"id": "stop", "type": "account_status", "value": "x1"},
            {"id": "more", "type": "order_amount", "kind": "exclusion", "scope": "customer", "account": "x1"},
        ],
        "parameters": {
            "automatic_release": "with_posting",
            "held_orders_consume_credit": True,
            "credit_horizon_days": 3,
        },
        "checkpoints": {"confirmation": {"posting": True, "pro_forma": True}},
        "account_statuses": [{"id": "x2", "effect": "hold_all"}],
    },
    {
        "rules": [LIMIT_RULE],
        "parameters": {
            "automatic_release": "without_posting",
            "release_priority": "largest_first",
            "exposure_scope": "balance",
            "unapplied_payments_reduce_exposure": False,
            "allow_manual_limits": True,
            "business_time_zone": "Asia/Tokyo",
            "unknown_customer": "release",
        },
        "checkpoints": {"order_entry": {"posting": False}},
    },
    {
        "rules": [LIMIT_RULE],
        "parameters": {"max_input_age_minutes": 5, "release_tolerance_percent": "10", "release_valid_days": 2},
        "checkpoints": {"order_entry": {"grace_days": 1}, "confirmation": {"posting": True, "grace_days": 2}},
    },
    {"rules": [{"id": "limit", "type": "nonsense"}]},
)
DECIMAL_NAMES = frozenset(
    "delivered_amount amount discount update_percentage tolerance_percent value round_to rate".split()
)
LISTED_CURRENCY_NAMES = frozenset("currency credit_currency from_currency to_currency".split())

ids = st.sampled_from(["x1", "x2", "x3"])
names_of_types: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.integers(0, 400).map(lambda number: f"e{number}"),
    "document": st.sampled_from([*map(json.dumps, DOCUMENTS), "nonsense"]),
    "version": st.integers(1, 5),
    "subject": st.sampled_from(["order:x1", "journal:x1", "journal:x1:1", "nonsense"]),
    "payload": st.sampled_from([b"", b"{}"]).map(bytes.decode),
    "line": st.integers(1, 3),
    "line_numbers": st.lists(st.integers(0, 3), max_size=2).map(tuple),
    "valid_days": st.integers(-1, 5),
    "move_days": st.integers(-5, 5),
}
decimals = st.sampled_from(["0", "1", "0.5", "2.00", "10", "100", "99.99", "-1", "0.001", "123456789012345.67"])
amounts = st.integers(-3, 1000) | st.sampled_from([0, 1, 10**6, AMOUNT_MINOR_MAX, -AMOUNT_MINOR_MAX])
days = st.integers(FIRST_DAY - 5, FIRST_DAY + 8) | st.sampled_from([0, 84_005])
instants = st.integers(FIRST_DAY * DAY_MS, (FIRST_DAY + 8) * DAY_MS)
currencies = st.sampled_from(["USD", "USD", "USD", "EUR", "JPY", "KWD"])


class DayMark:
    """Stands for `Day`, which is a plain int."""


class InstantMark:
    """Stands for `Instant`, which is a plain int."""


@cache
def made(record_type: type[Struct]) -> st.SearchStrategy[Any]:
    """Records of a type."""
    hints = get_type_hints(record_type, localns={"Day": DayMark, "Instant": InstantMark})
    return st.builds(
        record_type,
        **{field.name: _values(field.name, hints[field.name]) for field in msgspec.structs.fields(record_type)},
    )


def _values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = [part for part in arguments if part is not type(None)]
        return st.none() | _values(name, inner)
    if name in names_of_types:
        return names_of_types[name]
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(_values(name, arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.just({})
    plain: dict[Any, st.SearchStrategy[Any]] = {str: _texts(name), int: amounts, bool: st.booleans()}
    plain |= {DayMark: days, InstantMark: instants}
    return plain[hint] if hint in plain else made(hint)


def _texts(name: str) -> st.SearchStrategy[str]:
    if name in LISTED_CURRENCY_NAMES:
        return currencies
    return decimals if name in DECIMAL_NAMES else ids


any_event = st.sampled_from(EVENT_TYPES).flatmap(made)
any_events = st.lists(any_event, max_size=8) | st.lists(any_event, min_size=30, max_size=50)
"""A few events of any types, or many."""
