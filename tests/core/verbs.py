"""What a line of a ledger says: each verb of `cases/README.md` as a row of a table, and how its words become an event.

Nothing here knows the core: an event is a JSON object.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.core.words import (
    DECIMAL,
    DEFAULT_CURRENCY,
    Json,
    Misread,
    Reader,
    Words,
    amount,
    currency,
    day,
    days,
    did_you_mean,
    flag,
    listed,
    name,
    number,
    percent,
)

NOTHING: Mapping[str, Any] = MappingProxyType({})


def settlement(words: Words) -> Json:
    """`I1`, `I1 300` or `I1 300 discount 6`; without an amount the whole payment."""
    found: Json = {"invoice_id": name(words)}
    if DECIMAL.fullmatch(words.peek()):
        found["amount"] = amount(words)
    if words.take("discount"):
        found["discount"] = amount(words)
    return found


def instalment(words: Words) -> Json:
    """`600 due in 30 days`."""
    value = amount(words)
    words.need("due")
    return {"amount": value, "due_date": day(words)}


def journal_line(words: Words) -> Json:
    """`C1 5000 expires 2026-12-31`, `C1 2000 from today to in 5 days`; also with `EUR` and `reason "text"`."""
    line: Json = {"group_id" if words.take("credit_group") else "customer_id": name(words)}
    line["credit_limit"] = amount(words)
    line["currency"] = currency(words)
    options: dict[str, tuple[str, Reader]] = {
        "expires": ("expires_on", day),
        "from": ("from_date", day),
        "to": ("to_date", day),
        "reason": ("reason", name),
        "and_group": ("group_id", name),
    }
    while words.peek() in options:
        field, read = options[words.next("an option")]
        line[field] = read(words)
    return line


def target(words: Words) -> Json:
    """`O1`, `O1, O2 of C1`, `customer C1`, `customers C1, C2`, `group wholesale` or `all`."""
    if words.take("all"):
        return {}
    if words.take("customers"):
        return {"selection": {"customer_ids": listed(name)(words)}}
    if words.take("customer"):
        return {"customer_id": name(words)}
    if words.take("group"):
        return {"selection": {"credit_management_group": name(words)}}
    return {"order_ids": listed(name)(words)}


class Verb(NamedTuple):
    """The event of a verb: its fields in the order of the words, its options by word, what it always says."""

    event: str
    fields: tuple[tuple[str, Reader], ...] = ()
    options: Mapping[str, tuple[str, Reader]] = NOTHING
    always: Mapping[str, object] = NOTHING

    def read(self, words: Words) -> Json:
        """The body of the event; a field without a name (`target`) is merged into it."""
        body: Json = {"type": self.event, **self.always}
        for field, read in self.fields:
            value = read(words)
            body.update(value if field == "" else {field: value})
        options = {**EVERYWHERE, **self.options}
        while words.peek():
            word = words.next("an option")
            if word not in options:
                raise Misread(f"does not understand {word!r}; {did_you_mean(word, options)}")
            field, read = options[word]
            body[field] = read(words)
        return body


EVERYWHERE: Mapping[str, tuple[str, Reader]] = {
    "id": ("event_id", name),
    "at": ("occurred_at", name),
    "entity": ("legal_entity", name),
    "actor": ("actor", name),
    "by": ("customer_id", name),
}
BECAUSE: Mapping[str, tuple[str, Reader]] = {"because": ("reason", name)}
ORDER = (("order_id", name), ("amount", amount), ("currency", currency))
ORDER_OPTIONS: Mapping[str, tuple[str, Reader]] = {
    "terms": ("payment_terms", name),
    "discount": ("settlement_discount", name),
    "ships": ("ships_on", day),
    "secured": ("secured_amount", amount),
    "intercompany": ("intercompany", flag),
    "excluded": ("excluded", flag),
    "dated": ("order_date", day),
    "buyer": ("ordered_by", name),
}
THE_ORDER = (("order_id", name),)
THE_INVOICE = (("invoice_id", name),)
CUSTOMER_OPTIONS: Mapping[str, tuple[str, Reader]] = {
    "limit": ("credit_limit", amount),
    "currency": ("credit_currency", name),
    "expires": ("credit_limit_expires_on", day),
    "unlimited": ("unlimited_credit", flag),
    "mandatory": ("mandatory_credit_limit", flag),
    "excluded": ("exclude_from_credit_management", flag),
    "group": ("credit_management_group", name),
    "in_group": ("customer_credit_group", name),
    "status": ("account_status", name),
    "terms": ("payment_terms", name),
    "discount": ("settlement_discount", name),
}
GROUP_OPTIONS: Mapping[str, tuple[str, Reader]] = {
    "limit": ("credit_limit", amount),
    "currency": ("credit_currency", name),
    "expires": ("credit_limit_expires_on", day),
}
INVOICE_OPTIONS: Mapping[str, tuple[str, Reader]] = {
    "on": ("order_id", name),
    "dated": ("invoice_date", day),
    "due": ("due_date", day),
    "instalments": ("instalments", listed(instalment)),
    "terms": ("payment_terms", name),
}
POLICY_OPTIONS: Mapping[str, tuple[str, Reader]] = {
    "at": ("update_percentage", percent),
    "included": ("included_in_exposure", flag),
    "from": ("effective_on", day),
    "to": ("expires_on", day),
    "guarantee": ("kind", lambda _: "guarantee"),
    "coverage": ("coverage_type", name),
}
RELEASE_OPTIONS: Mapping[str, tuple[str, Reader]] = {
    "because": ("release_reason", name),
    "valid": ("valid_days", days),
    "tolerance": ("tolerance_percent", percent),
    "with_posting": ("posting", lambda _: "with_posting"),
    "review": ("review_on", day),
}
LINES = listed(journal_line)
JOURNAL_OPTIONS: Mapping[str, tuple[str, Reader]] = {"lines": ("lines", LINES), "description": ("description", name)}

VERBS: Mapping[str, Verb] = {
    "order": Verb("OrderPlaced", ORDER, ORDER_OPTIONS),
    "change": Verb("OrderChanged", ORDER, ORDER_OPTIONS),
    "ask": Verb("CheckOrder", ORDER, ORDER_OPTIONS),
    "reach": Verb("OrderCheckpointReached", (("checkpoint", name), *THE_ORDER), {"pro_forma": ("pro_forma", flag)}),
    "deliver": Verb("OrderDelivered", (*THE_ORDER, ("delivered_amount", amount))),
    "cancel": Verb("OrderCancelled", THE_ORDER),
    "close": Verb("OrderClosed", THE_ORDER),
    "reopen": Verb("OrderReopened", THE_ORDER),
    "invoice": Verb("InvoicePosted", (*THE_INVOICE, ("amount", amount), ("currency", currency)), INVOICE_OPTIONS),
    "credit": Verb(
        "CreditNotePosted",
        (("credit_note_id", name), ("amount", amount), ("currency", currency)),
        {"on": ("invoice_id", name), "dated": ("credit_note_date", day)},
    ),
    "void": Verb("InvoiceVoided", THE_INVOICE),
    "dispute": Verb("InvoiceDisputed", THE_INVOICE, always={"disputed": True}),
    "undispute": Verb("InvoiceDisputed", THE_INVOICE, always={"disputed": False}),
    "pay": Verb(
        "PaymentReceived",
        (("payment_id", name), ("amount", amount), ("currency", currency)),
        {"on": ("settlements", listed(settlement)), "received": ("received_on", day)},
    ),
    "apply": Verb("PaymentApplied", (("payment_id", name),), {"on": ("settlements", listed(settlement))}),
    "reverse": Verb("PaymentReversed", (("payment_id", name),)),
    "customer": Verb("CustomerUpdated", (("customer_id", name),), CUSTOMER_OPTIONS),
    "credit_group": Verb("CreditGroupUpdated", (("group_id", name),), GROUP_OPTIONS),
    "close_group": Verb("CreditGroupClosed", (("group_id", name),)),
    "policy": Verb("PolicyUpdated", (("policy_id", name), ("value", amount), ("currency", currency)), POLICY_OPTIONS),
    "drop_policy": Verb("PolicyRemoved", (("policy_id", name),)),
    "rate": Verb(
        "ExchangeRatePublished",
        (("from_currency", name), ("to_currency", name), ("rate", amount)),
        {"from": ("valid_from", day), "type": ("rate_type", name)},
    ),
    "release": Verb("ReleaseOrder", THE_ORDER, RELEASE_OPTIONS),
    "reject": Verb("RejectOrder", THE_ORDER, BECAUSE),
    "force": Verb("ForceHold", (("", target),), BECAUSE),
    "exclude": Verb("ExcludeOrder", THE_ORDER, BECAUSE),
    "review": Verb(
        "ReviewOrder",
        THE_ORDER,
        {"on": ("review_on", day), "assignee": ("assignee", name), "note": ("note", name)},
    ),
    "evaluate": Verb("EvaluateHolds", (("", target),)),
    "limit_journal": Verb(
        "CreateLimitJournal", (("journal_id", name),), JOURNAL_OPTIONS, {"journal_type": "credit_limit"}
    ),
    "temporary_journal": Verb(
        "CreateLimitJournal", (("journal_id", name),), JOURNAL_OPTIONS, {"journal_type": "temporary_credit_limit"}
    ),
    "add_lines": Verb("AddJournalLines", (("journal_id", name), ("lines", LINES))),
    "remove_lines": Verb("RemoveJournalLines", (("journal_id", name), ("line_numbers", listed(number)))),
    "post": Verb("PostLimitJournal", (("journal_id", name),)),
}
COMMANDS = frozenset(
    """ask release reject force exclude review evaluate
    limit_journal temporary_journal add_lines remove_lines post""".split()
)

DATE_OF_EVENT: Mapping[str, str] = {
    "InvoicePosted": "invoice_date",
    "CreditNotePosted": "credit_note_date",
    "PaymentReceived": "received_on",
    "PaymentApplied": "applied_on",
    "PaymentReversed": "reversed_on",
    "ExchangeRatePublished": "valid_from",
}
"""The date that is today when a line does not say it."""

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "CustomerUpdated": {"credit_currency": DEFAULT_CURRENCY},
    "CreditGroupUpdated": {"credit_currency": DEFAULT_CURRENCY},
    "PolicyUpdated": {"kind": "insurance", "effective_on": "2026-01-01", "expires_on": "2026-12-31"},
    "ReleaseOrder": {"release_reason": "paid"},
    "RejectOrder": {"reason": "no longer wanted"},
    "ForceHold": {"reason": "clearing"},
    "ExcludeOrder": {"reason": "small"},
    "CreateLimitJournal": {"description": "limits"},
}
"""What an event says when the line does not."""
