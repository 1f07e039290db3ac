"""What may stand in an event (interface 2), as one table, and the faults that a reader of one event alone can see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from tests.auditor.money import decimals, fraction, is_currency, minor

Event = dict[str, Any]

HEAD = "event_id! occurred_at:instant! source legal_entity actor"
ORDER = (
    "order_id! customer_id! ordered_by amount:money! currency:currency! order_date:date payment_terms "
    "settlement_discount ships_on:date secured_amount:money intercompany:bool excluded:bool"
)
ONE_ORDER = "order_id! customer_id!"
CUSTOMER = (
    "customer_id! name credit_currency:currency! credit_limit:money credit_limit_expires_on:date unlimited_credit:bool "
    "mandatory_credit_limit:bool exclude_from_credit_management:bool credit_management_group customer_credit_group "
    "account_status account_status_reason payment_terms settlement_discount country business_started_on:date "
    "customer_since:date annual_revenue:money eligible_credit_limit:money eligible_credit_limit_date:date "
    "last_review_on:date next_review_on:date with_agency:bool title_held attributes:map notes"
)
ORDERS, INVOICES, PAYMENTS = "credit.orders", "credit.invoices", "credit.payments"
CUSTOMERS, GROUPS, COMMANDS = "credit.customers", "credit.groups", "credit.commands"
SETTINGS, CLOCK = "credit.settings", "credit.clock"

FORMS: dict[str, tuple[str, str, str]] = {
    "OrderPlaced": (ORDERS, "customer_id", ORDER),
    "OrderChanged": (ORDERS, "customer_id", ORDER),
    "OrderCheckpointReached": (ORDERS, "customer_id", f"{ONE_ORDER} checkpoint:checkpoint! pro_forma:bool"),
    "OrderDelivered": (ORDERS, "customer_id", f"{ONE_ORDER} delivered_amount:decimal!"),
    "OrderCancelled": (ORDERS, "customer_id", ONE_ORDER),
    "OrderClosed": (ORDERS, "customer_id", ONE_ORDER),
    "OrderReopened": (ORDERS, "customer_id", ONE_ORDER),
    "InvoicePosted": (
        INVOICES,
        "customer_id",
        "invoice_id! customer_id! order_id amount:money! currency:currency! invoice_date:date! due_date:date "
        "instalments:instalments payment_terms",
    ),
    "CreditNotePosted": (
        INVOICES,
        "customer_id",
        "credit_note_id! customer_id! invoice_id amount:money! currency:currency! credit_note_date:date!",
    ),
    "InvoiceVoided": (INVOICES, "customer_id", "invoice_id! customer_id!"),
    "InvoiceDisputed": (INVOICES, "customer_id", "invoice_id! customer_id! disputed:bool!"),
    "PaymentReceived": (
        PAYMENTS,
        "customer_id",
        "payment_id! customer_id! amount:money! currency:currency! received_on:date! settlements:settlements",
    ),
    "PaymentApplied": (
        PAYMENTS,
        "customer_id",
        "payment_id! customer_id! applied_on:date! settlements:settlements!",
    ),
    "PaymentReversed": (PAYMENTS, "customer_id", "payment_id! customer_id! reversed_on:date! reason"),
    "CustomerUpdated": (CUSTOMERS, "customer_id", CUSTOMER),
    "PolicyUpdated": (
        CUSTOMERS,
        "customer_id",
        "policy_id! customer_id! kind:kind! coverage_type value:money! currency:currency! update_percentage:decimal "
        "included_in_exposure:bool effective_on:date! expires_on:date! status notes",
    ),
    "PolicyRemoved": (CUSTOMERS, "customer_id", "policy_id! customer_id!"),
    "CreditGroupUpdated": (
        GROUPS,
        "group_id",
        "group_id! name credit_currency:currency! credit_limit:money! credit_limit_expires_on:date!",
    ),
    "CreditGroupClosed": (GROUPS, "group_id", "group_id!"),
    "ReleaseOrder": (
        COMMANDS,
        "customer_id",
        f"{ONE_ORDER} release_reason! review_on:date posting:posting valid_days:count tolerance_percent:decimal",
    ),
    "RejectOrder": (COMMANDS, "customer_id", f"{ONE_ORDER} reason!"),
    "ForceHold": (COMMANDS, "customer_id", "customer_id order_id selection:selection reason!"),
    "ExcludeOrder": (COMMANDS, "customer_id", f"{ONE_ORDER} reason!"),
    "ReviewOrder": (COMMANDS, "customer_id", f"{ONE_ORDER} review_on:date assignee note"),
    "EvaluateHolds": (COMMANDS, "customer_id", "customer_id order_ids:list selection:selection"),
    "SubmitForApproval": (COMMANDS, "customer_id", "subject! customer_id comment"),
    "Approve": (COMMANDS, "customer_id", "subject! customer_id comment"),
    "Decline": (COMMANDS, "customer_id", "subject! customer_id comment"),
    "Recall": (COMMANDS, "customer_id", "subject! customer_id comment"),
    "CreateLimitJournal": (COMMANDS, "journal_id", "journal_id journal_type:journal_type! description! lines:lines"),
    "AddJournalLines": (COMMANDS, "journal_id", "journal_id! lines:lines!"),
    "RemoveJournalLines": (COMMANDS, "journal_id", "journal_id! line_numbers:list!"),
    "GenerateJournalLines": (
        COMMANDS,
        "journal_id",
        "journal_id! origin! include_limits:bool include_temporary_limits:bool risk_groups:list customer_ids:list "
        "change:map round_to round expires_on:date from_date:date to_date:date move_days:integer",
    ),
    "PostLimitJournal": (COMMANDS, "journal_id", "journal_id!"),
    "UpdateRiskScores": (COMMANDS, "customer_id", "customer_id selection:selection publish_unchanged:bool"),
    "UpdateBalanceStatistics": (COMMANDS, "customer_id", "customer_id selection:selection publish_unchanged:bool"),
    "CheckOrder": (COMMANDS, "customer_id", ORDER),
    "ResubmitDeadLetter": (COMMANDS, "customer_id", "dead_letter_id! payload"),
    "SettingsPublished": (SETTINGS, "", "version:integer! document! comment"),
    "ExchangeRatePublished": (
        SETTINGS,
        "",
        "rate_type from_currency:currency! to_currency:currency! valid_from:date! rate:decimal!",
    ),
    "ClockTicked": (CLOCK, "", "instant:instant!"),
}
"""Topic, the field that is its key, and the fields besides the head; `!`: must be there."""

INTERNAL = {
    "JournalLinePosted": "credit.postings",
    "GroupLimitPosted": "credit.postings",
    "GroupMemberReported": "credit.group-requests",
    "GroupCreditRequested": "credit.group-requests",
    "GroupCreditAnswered": "credit.group-answers",
    "GroupMembershipChanged": "credit.group-answers",
}
"""What tasks send each other (docs/groups.md), and on which topic. Nobody else writes it, so its form is right."""

CHOICES = {
    "checkpoint": ("order_entry", "confirmation", "picking_list", "packing_slip", "invoice"),
    "posting": ("with_posting", "without_posting"),
    "kind": ("insurance", "guarantee"),
    "journal_type": ("credit_limit", "temporary_credit_limit"),
}
NEVER_NEGATIVE = {
    "InvoicePosted": "amount",
    "CreditNotePosted": "amount",
    "PaymentReceived": "amount",
    "PolicyUpdated": "value",
    "CustomerUpdated": "credit_limit",
    "CreditGroupUpdated": "credit_limit",
}
FIRST_DATE, LAST_DATE = date(1970, 1, 1), date(2199, 12, 31)


def fields_of(type_name: str) -> dict[str, tuple[str, bool]]:
    """Kind of each field and whether it must be there."""
    found = {}
    for word in f"{HEAD} {FORMS[type_name][2]}".split():
        name, _, kind = word.rstrip("!").partition(":")
        found[name] = (kind or "text", word.endswith("!"))
    return found


def fault(event: Event) -> str | None:
    """What is wrong with the event by itself: a sentence, None if nothing is."""
    known = fields_of(event["type"])
    for name in event:
        if name != "type" and name not in known:
            return f"unknown field {name}"
    for name, (kind, required) in known.items():
        value = event.get(name)
        if value is None:
            if required:
                return f"{name} is missing"
        elif found := fault_of(value, kind, event):
            return f"{name}: {found}"
    if FORMS[event["type"]][0] == COMMANDS and not event.get("actor"):
        return "a command needs its actor"
    return next(faults_together(event), None)


def fault_of(value: object, kind: str, event: Event) -> str | None:
    """What is wrong with one value of the kind."""
    if kind == "money":
        return fault_of_money(value, event.get("currency") or event.get("credit_currency"))
    right = {
        "text": lambda: isinstance(value, str),
        "bool": lambda: isinstance(value, bool),
        "integer": lambda: isinstance(value, int) and not isinstance(value, bool),
        "count": lambda: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        "decimal": lambda: fraction(value) is not None,
        "currency": lambda: is_currency(value),
        "date": lambda: is_date(value),
        "instant": lambda: instant(value) is not None,
        "list": lambda: isinstance(value, list),
        "map": lambda: isinstance(value, dict),
        "selection": lambda: isinstance(value, dict) and set(value) <= {"customer_ids", "credit_management_group"},
        "instalments": lambda: all_are(value, {"due_date": is_date, "amount": is_text}),
        "settlements": lambda: all_are(value, {"invoice_id": is_text, "amount": is_decimal, "discount": is_decimal}),
        "lines": lambda: isinstance(value, list) and all(isinstance(line, dict) for line in value),
    }.get(kind, lambda: value in CHOICES[kind])
    return None if right() else f"{value!r} is no {kind}"


def fault_of_money(value: object, currency: object) -> str | None:
    """A decimal text with no more decimals than the currency."""
    if fraction(value) is None:
        return "money is decimal text"
    if isinstance(currency, str) and is_currency(currency) and minor(value, currency) is None:
        return "more decimals than the currency has"
    return None


def all_are(value: object, kinds: dict[str, Any]) -> bool:
    """A list of objects with these fields; `discount` may be absent."""
    return isinstance(value, list) and all(
        isinstance(part, dict)
        and set(part) <= set(kinds)
        and all(name in part or name == "discount" for name in kinds)
        and all(kinds[name](field) for name, field in part.items())
        for part in value
    )


def is_text(value: object) -> bool:
    """Text with something in it."""
    return isinstance(value, str) and value != ""


def is_decimal(value: object) -> bool:
    """Decimal text."""
    return fraction(value) is not None


def is_date(value: object) -> bool:
    """A calendar date within what the system believes."""
    try:
        return isinstance(value, str) and FIRST_DATE <= date.fromisoformat(value) <= LAST_DATE and len(value) == 10
    except ValueError:
        return False


def instant(value: object) -> datetime | None:
    """RFC 3339 with Z, None if it is not."""
    try:
        if isinstance(value, str) and value.endswith("Z") and "T" in value:
            return datetime.fromisoformat(value.removesuffix("Z") + "+00:00").astimezone(UTC)
    except ValueError:
        pass
    return None


def faults_together(event: Event) -> Iterator[str]:
    """What two fields say against one another, and signs (spec 12 `invalid`)."""
    name = NEVER_NEGATIVE.get(event["type"])
    if name and (fraction(event.get(name)) or 0) < 0:
        yield f"{name} is negative"
    if event["type"] in ("OrderPlaced", "OrderChanged", "CheckOrder"):
        secured = fraction(event.get("secured_amount") or "0") or Fraction(0)
        if secured < 0 or (secured > 0 and secured > (fraction(event["amount"]) or 0)):
            yield "secured below 0 or above the amount"
    if event["type"] == "OrderDelivered" and (fraction(event["delivered_amount"]) or 0) < 0:
        yield "delivered is negative"
    if event["type"] == "InvoicePosted" and event.get("instalments"):
        yield from faults_of_instalments(event)
    if event["type"] == "PolicyUpdated":
        yield from faults_of_policy(event)
    for part in event.get("settlements") or ():
        if (fraction(part["amount"]) or 0) < 0 or (fraction(part.get("discount", "0")) or 0) < 0:
            yield "a settlement is negative"
    if event["type"] == "ReleaseOrder" and (fraction(event.get("tolerance_percent") or "0") or 0) < 0:
        yield "the tolerance is negative"
    if event["type"] == "ExchangeRatePublished" and (fraction(event["rate"]) or 0) <= 0:
        yield "a rate is above 0"


def faults_of_instalments(event: Event) -> Iterator[str]:
    """They add up to the amount, each in the currency's decimals."""
    amounts = [minor(part["amount"], event["currency"]) for part in event["instalments"]]
    if any(amount is None or amount < 0 for amount in amounts):
        yield "an instalment is no amount"
    elif sum(amount or 0 for amount in amounts) != minor(event["amount"], event["currency"]):
        yield "the instalments do not add up to the amount"


def faults_of_policy(event: Event) -> Iterator[str]:
    """Spec 4.2: a percentage outside 0 to 100, a coverage type on a guarantee."""
    percentage = fraction(event.get("update_percentage") or "100")
    if percentage is None or not 0 <= percentage <= 100:
        yield "the percentage is outside 0 to 100"
    if event["kind"] == "guarantee" and event.get("coverage_type"):
        yield "a guarantee has no coverage type"
    if event["effective_on"] > event["expires_on"]:
        yield "it expires before it takes effect"


def decimals_fit(text: str, currency: str) -> bool:
    """Whether a decimal text has no more decimals than the currency."""
    value = fraction(text)
    return value is not None and (value * 10 ** decimals(currency)).denominator == 1
