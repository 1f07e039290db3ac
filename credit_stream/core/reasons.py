"""The reason codes of decisions and of dead letters, in the order in which decisions list them (spec 5, 12, 15)."""

from __future__ import annotations

from credit_stream.core.rules import RULES

ACCOUNT_STATUS = "account_status"
PAYMENT_TERMS_INCREASED = "payment_terms_increased"
SETTLEMENT_DISCOUNT_INCREASED = "settlement_discount_increased"
FORCED_HOLD = "forced_hold"
CUSTOMER_UNKNOWN = "customer_unknown"
EXCHANGE_RATE_MISSING = "exchange_rate_missing"
STALE_INPUTS = "stale_inputs"

HOLDING = (
    *(reason for rule in RULES for reason in rule.reasons),
    PAYMENT_TERMS_INCREASED,
    SETTLEMENT_DISCOUNT_INCREASED,
    FORCED_HOLD,
    CUSTOMER_UNKNOWN,
    EXCHANGE_RATE_MISSING,
    STALE_INPUTS,
)
"""Why an order is held, in the order in which a decision lists them."""

NOT_CHECKED = "not_checked"
EXCLUDED = "excluded"
EXCLUSION_RULE = "exclusion_rule"
WITHIN_GRACE = "within_grace"
WITHIN_TOLERANCE = "within_tolerance"
RELEASE_HONORED = "release_honored"
RELEASED_BY_PERSON = "released_by_person"
AUTOMATIC_RELEASE = "automatic_release"

RELEASING = (
    NOT_CHECKED,
    EXCLUDED,
    EXCLUSION_RULE,
    WITHIN_GRACE,
    WITHIN_TOLERANCE,
    RELEASE_HONORED,
    RELEASED_BY_PERSON,
    AUTOMATIC_RELEASE,
)
"""Why an order is released where it is not simply that nothing spoke against it (spec 5.1)."""

MULTIPLE = "multiple"
"""The short form on the hold list of more than one reason (spec 7.1)."""

UNREADABLE = "unreadable"
INVALID = "invalid"
EVENT_ID_REUSED = "event_id_reused"
LIMIT_CHANGE_REFUSED = "limit_change_refused"
UNKNOWN_REFERENCE = "unknown_reference"
NOT_ALLOWED = "not_allowed"
INVALID_SETTING = "invalid_setting"

REFUSING = (
    UNREADABLE,
    INVALID,
    EVENT_ID_REUSED,
    LIMIT_CHANGE_REFUSED,
    UNKNOWN_REFERENCE,
    NOT_ALLOWED,
    EXCHANGE_RATE_MISSING,
    INVALID_SETTING,
)
"""Why an input is a dead letter (spec 12)."""

_PLACE = {code: place for place, code in enumerate(HOLDING)}


def in_order(codes: set[str]) -> tuple[str, ...]:
    """The holding codes in the order of spec 5.3, then 5.5, then 5.6, each once."""
    return tuple(sorted(codes, key=_PLACE.__getitem__))
