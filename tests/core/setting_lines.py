"""Lines that change the settings: each by its first word, as `cases/README.md` explains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import fields

from credit_stream.core.settings import Parameters
from tests.core.words import (
    CURRENCY,
    Json,
    Misread,
    Reader,
    Words,
    amount,
    days,
    did_you_mean,
    listed,
    name,
    number,
    percent,
)

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


def _roles(words: Words) -> list[str]:
    return listed(name)(words) if words.peek() else []


SETTINGS: Mapping[str, Callable[[Words, Json], None]] = {
    "set": _set,
    "rule": _rule_of_kind("blocking"),
    "exclusion": _rule_of_kind("exclusion"),
    "checkpoint": _checkpoint,
    "status": _listed_in("account_statuses", "effect", _effect),
    "terms": _listed_in("payment_terms", "rank", _rank),
    "discount": _listed_in("settlement_discounts", "rank", _rank),
    "reason": _listed_in("release_reasons", "description", name),
    "actor": _listed_in("actors", "roles", _roles),
}
"""Lines that change the settings: in force from the start before the first event, later with the next `publish`."""
