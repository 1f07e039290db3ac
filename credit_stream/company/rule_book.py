"""The company's rule book: the settings document (interface section 3) as its credit managers wrote it."""

from __future__ import annotations

import json
import tomllib

_RULE_BOOK = """\
# Tarnwick & Vale: credit rules of the group, valid for all legal entities.

[parameters]
exposure_scope = "balance_and_orders"
unknown_customer = "hold"
evaluate_on = "event"
automatic_release = "with_posting"
automatic_release_reason = "automatic"
release_priority = "oldest_first"
release_tolerance_percent = "5"
release_valid_days = 10
business_time_zone = "UTC"

[checkpoints.order_entry]
posting = true

[checkpoints.picking_list]
posting = true

[[rules]]
id = "late-wholesale"
type = "days_overdue"
scope = "group"
account = "wholesale"
days = 30

[[rules]]
id = "late-retail"
type = "days_overdue"
scope = "group"
account = "retail"
days = 21

[[rules]]
id = "late-start-ups"
type = "days_overdue"
scope = "group"
account = "start-ups"
days = {start_up_days}

[[rules]]
id = "late-government"
type = "days_overdue"
scope = "group"
account = "government"
days = 90

[[rules]]
id = "under-collection"
type = "account_status"
scope = "all"
value = "collection"

[[rules]]
id = "on-consignment"
type = "payment_terms"
scope = "all"
value = "CONSIGN"

[[rules]]
id = "limit-not-reviewed"
type = "credit_limit_expired"
scope = "all"
days = 14

[[rules]]
id = "much-overdue"
type = "overdue_amount"
scope = "all"
amount = "25000"
currency = "EUR"
percent = "60"

[[rules]]
id = "big-first-orders"
type = "order_amount"
scope = "group"
account = "start-ups"
amount = "5000"
currency = "USD"
checkpoints = ["order_entry"]

[[rules]]
id = "limit"
type = "credit_limit_used"
scope = "all"
percent = "100"

[[account_statuses]]
id = "good"
effect = "none"

[[account_statuses]]
id = "watch"
effect = "none"

[[account_statuses]]
id = "collection"
effect = "hold_invoicing"

[[account_statuses]]
id = "suspended"
effect = "hold_all"

[[release_reasons]]
id = "automatic"
description = "Credit came free by itself"

[[release_reasons]]
id = "paid"
description = "Paid in advance, or the overdue invoice is paid"

[[release_reasons]]
id = "promise"
description = "The customer promised a date of payment"

[[release_reasons]]
id = "management"
description = "Decided by management"

[[payment_terms]]
id = "PREPAID"
rank = 0

[[payment_terms]]
id = "NET14"
rank = 14

[[payment_terms]]
id = "NET30"
rank = 30

[[payment_terms]]
id = "NET60"
rank = 60

[[payment_terms]]
id = "CONSIGN"
rank = 90

[[settlement_discounts]]
id = "1P10"
rank = 1

[[settlement_discounts]]
id = "2P10"
rank = 2
"""

START_UP_DAYS = {1: 10, 2: 7}
"""Start-ups were given ten days of grace at first, and a week from the middle of the first year."""
EDITIONS = len(START_UP_DAYS)


def rule_book(edition: int = 1) -> str:
    """The settings document as TOML text. Edition 1 is the first, 2 the one of the middle of the first year.

    Raises KeyError for an edition that was never written.
    """
    return _RULE_BOOK.format(start_up_days=START_UP_DAYS[edition])


def rule_book_json(edition: int = 1) -> str:
    """The same document as the JSON text that `SettingsPublished` carries."""
    return json.dumps(tomllib.loads(rule_book(edition)), separators=(",", ":"))
