"""What a line of a ledger says: each verb of `cases/README.md` as a row of a table, and how its words are read.

`VERBS` are events, `SETTINGS` change the settings document. Nothing here knows the core: an event is a JSON object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec.structs import fields

from credit_stream.core.settings import Parameters

Json = dict[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})
TOKEN = re.compile(r'"[^"]*"|[,;]|[^\s,;]+')
DECIMAL = re.compile(r"-?\d+(\.\d+)?")
CURRENCY = re.compile(r"[A-Z]{3}")
DEFAULT_CURRENCY = "USD"


class Misread(Exception):
    """A line that is not as `cases/README.md` says."""


def did_you_mean(word: str, known: Mapping[str, object]) -> str:
    """The nearest known word, or all of them."""
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(known))}"


class Words:
    """The words of a line, taken one after the other. `today` is the date that relative dates are counted from."""

    def __init__(self, text: str, today: date) -> None:
        self._text = text
        self._tokens = TOKEN.findall(text)
        self._at = 0
        self.today = today

    def peek(self, ahead: int = 0) -> str:
        """A word to come, empty text at the end."""
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def next(self, what: str) -> str:
        """The next word, without its quotation marks."""
        token = self.peek()
        if not token:
            raise Misread(f"the line ends where {what} should stand")
        self._at += 1
        return token.strip('"')

    def take(self, *expected: str) -> bool:
        """Whether exactly these words come next; then they are taken."""
        found = all(self.peek(ahead) == word for ahead, word in enumerate(expected))
        self._at += len(expected) * found
        return found

    def need(self, word: str) -> None:
        """Takes this word, which must come next."""
        if not self.take(word):
            raise Misread(f"{word!r} should stand before {self.peek()!r}")

    def rest(self) -> str:
        """All that stands behind the first word, as it stands."""
        return self._text.partition(" ")[2].strip()

    def end(self) -> None:
        """Nothing may be left."""
        if self.peek():
            raise Misread(f"does not understand {self.peek()!r}")


Reader = Callable[[Words], Any]


def name(words: Words) -> str:
    """An id, a code or quoted text."""
    return words.next("a name")


def amount(words: Words) -> str:
    """Decimal text."""
    token = words.next("an amount")
    if not DECIMAL.fullmatch(token):
        raise Misread(f"{token!r} is no amount")
    return token


def number(words: Words) -> int:
    """A whole number."""
    return int(amount(words))


def percent(words: Words) -> str:
    """`80 %`: decimal text."""
    value = amount(words)
    words.need("%")
    return value


def days(words: Words) -> int:
    """`5 days`."""
    value = number(words)
    if not words.take("days"):
        words.need("day")
    return value


def flag(_: Words) -> bool:
    """The word itself says yes."""
    return True


def currency(words: Words) -> str:
    """Three capitals if they stand here, else dollars."""
    return words.next("a currency") if CURRENCY.fullmatch(words.peek()) else DEFAULT_CURRENCY


def day(words: Words) -> str:
    """`today`, `in 5 days`, `5 days ago` or `2026-03-02`."""
    if words.take("today"):
        return words.today.isoformat()
    if words.take("in"):
        return (words.today + timedelta(days=days(words))).isoformat()
    if DECIMAL.fullmatch(words.peek()):
        past = days(words)
        words.need("ago")
        return (words.today - timedelta(days=past)).isoformat()
    return words.next("a date")


def listed(read_item: Reader) -> Reader:
    """One or more, with commas between them."""

    def read(words: Words) -> list[Any]:
        items = [read_item(words)]
        while words.take(","):
            items.append(read_item(words))
        return items

    return read


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
    "status": ("account_status", name),
    "terms": ("payment_terms", name),
    "discount": ("settlement_discount", name),
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
    "PolicyUpdated": {"kind": "insurance", "effective_on": "2026-01-01", "expires_on": "2026-12-31"},
    "ReleaseOrder": {"release_reason": "paid"},
    "RejectOrder": {"reason": "no longer wanted"},
    "ForceHold": {"reason": "clearing"},
    "ExcludeOrder": {"reason": "small"},
    "CreateLimitJournal": {"description": "limits"},
}
"""What an event says when the line does not."""


# --- settings ---------------------------------------------------------------------------------------------------

DEFAULT_PARAMETERS: Mapping[str, object] = {field.name: field.default for field in fields(Parameters)}


def _set(words: Words, document: Json) -> None:
    """`set limit_boundary = at_or_above`."""
    parameter = name(words)
    if parameter not in DEFAULT_PARAMETERS:
        raise Misread(f"{parameter!r} is no parameter; {did_you_mean(parameter, DEFAULT_PARAMETERS)}")
    words.need("=")
    default = DEFAULT_PARAMETERS[parameter]
    if isinstance(default, bool):
        value: object = _yes_or_no(words)
    else:
        value = number(words) if isinstance(default, int) else name(words)
    document.setdefault("parameters", {})[parameter] = value


def _yes_or_no(words: Words) -> bool:
    word = name(words)
    if word not in ("yes", "no"):
        raise Misread(f"{word!r} should be yes or no")
    return word == "yes"


def _days_overdue(words: Words) -> Json:
    if words.take("amount"):
        return {"value_type": "amount", "amount": amount(words), "currency": _rule_currency(words)}
    return {"days": days(words)}


def _rule_currency(words: Words) -> str:
    return words.next("a currency") if CURRENCY.fullmatch(words.peek()) else ""


def _overdue_amount(words: Words) -> Json:
    found = {"amount": amount(words), "currency": _rule_currency(words)}
    words.need("used")
    return {**found, "percent": percent(words)}


RULE_VALUES: Mapping[str, Callable[[Words], Json]] = {
    "days_overdue": _days_overdue,
    "account_status": lambda words: {"value": name(words)},
    "payment_terms": lambda words: {"value": name(words)},
    "credit_limit_expired": lambda words: {"days": days(words)},
    "overdue_amount": _overdue_amount,
    "order_amount": lambda words: {"amount": amount(words), "currency": _rule_currency(words)},
    "risk_group": lambda words: {"value": name(words)},
    "credit_limit_used": lambda words: {"percent": percent(words)},
}


def _rule_of_kind(kind: str) -> Callable[[Words, Json], None]:
    def read(words: Words, document: Json) -> None:
        rule_id = name(words).removesuffix(":")
        rule_type = name(words)
        if rule_type not in RULE_VALUES:
            raise Misread(f"{rule_type!r} is no rule; {did_you_mean(rule_type, RULE_VALUES)}")
        rule = {"id": rule_id, "type": rule_type, "kind": kind, **RULE_VALUES[rule_type](words), **_scope(words)}
        others = [other for other in document.get("rules", []) if other["id"] != rule_id]
        document["rules"] = [*others, rule]

    return read


def _scope(words: Words) -> Json:
    """`for customer C1`, `for group wholesale`, `risk low`, `at confirmation, invoice`, `release_order`, `disabled`."""
    found: Json = {}
    if words.take("for"):
        scope = name(words)
        if scope not in ("customer", "group"):
            raise Misread(f"{scope!r} should be customer or group")
        found = {"scope": scope, "account": name(words)}
    if words.take("risk"):
        found["risk_group"] = name(words)
    if words.take("at"):
        found["checkpoints"] = listed(name)(words)
    if words.take("release_order"):
        found["release_order"] = True
    if words.take("disabled"):
        found["enabled"] = False
    return found


def _checkpoint(words: Words, document: Json) -> None:
    """`checkpoint confirmation posting grace 2 pro_forma grace 5`, `checkpoint order_entry off`."""
    checkpoint = name(words)
    found: Json = {"posting": False}
    if not words.take("off"):
        found["posting"] = words.take("posting")
        if words.take("grace"):
            found["grace_days"] = number(words)
        found["pro_forma"] = words.take("pro_forma")
        if words.take("grace"):
            found["pro_forma_grace_days"] = number(words)
    document.setdefault("checkpoints", {})[checkpoint] = found


def _listed_in(section: str, field: str, read_value: Reader) -> Callable[[Words, Json], None]:
    def read(words: Words, document: Json) -> None:
        row = {"id": name(words), field: read_value(words)}
        others = [other for other in document.get(section, []) if other["id"] != row["id"]]
        document[section] = [*others, row]

    return read


def _rank(words: Words) -> int:
    words.need("rank")
    return number(words)


def _effect(words: Words) -> str:
    words.need("effect")
    return name(words)


SETTINGS: Mapping[str, Callable[[Words, Json], None]] = {
    "set": _set,
    "rule": _rule_of_kind("blocking"),
    "exclusion": _rule_of_kind("exclusion"),
    "checkpoint": _checkpoint,
    "status": _listed_in("account_statuses", "effect", _effect),
    "terms": _listed_in("payment_terms", "rank", _rank),
    "discount": _listed_in("settlement_discounts", "rank", _rank),
    "reason": _listed_in("release_reasons", "description", name),
}
"""Lines that change the settings: in force from the start before the first event, later with the next `publish`."""
