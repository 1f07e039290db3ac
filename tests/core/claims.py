"""What a ledger expects behind `|`, and what the outputs say: both in one shape, so that comparing is one function.

A claim is a head (`released`), codes (`credit_limit_exceeded`) and figures (`with after 310.25`) about a subject.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from credit_stream.core.reasons import HOLDING, REFUSING, RELEASING
from tests.core.words import DECIMAL, Json, Misread, Words, did_you_mean

DECIMALS_OF_BUCKETS = ("current", "overdue", "orders", "delivered", "unapplied")


@dataclass(frozen=True)
class Claim:
    """What is expected, or what came: a fact in the same shape. An empty subject is the only one there can be."""

    head: str
    subject: str = ""
    codes: tuple[str, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """In the words of a ledger."""
        figures = [f"{name} {value}" for name, value in self.figures.items()]
        words = [self.subject, self.head, *self.codes, *(["with", *figures] if figures else [])]
        return " ".join(word for word in words if word)


class Kind:
    """What can be claimed about one kind of output: its heads, its codes, and which field each figure is."""

    def __init__(
        self, heads: Callable[[Json], str] | None, figures: Mapping[str, str], known: Iterable[str] = ()
    ) -> None:
        self._head = heads
        self._figures = figures
        self._known = frozenset(known)

    def head_of(self, value: Json) -> str:
        """The head of an output; what has none is only said to be `there`."""
        return self._head(value) if self._head is not None else "there"

    def figures_of(self, value: Json) -> dict[str, str]:
        """All figures of an output, as text."""
        return {name: as_text(_at(value, path)) for name, path in self._figures.items()}

    def check_code(self, code: str) -> None:
        """Raises for a code that cannot be."""
        if code not in self._known:
            raise Misread(f"does not understand {code!r}; {did_you_mean(code, dict.fromkeys(self._known))}")

    def check_figure(self, name: str) -> None:
        """Raises for a figure that there is none of."""
        if name not in self._figures:
            raise Misread(f"{name!r} is no figure here; {did_you_mean(name, self._figures)}")


def _at(value: Json, path: str) -> object:
    found: object = value
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def as_text(value: object) -> str:
    """A value of JSON as a ledger writes it; several are joined by `+`."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "+".join(map(as_text, value)) if isinstance(value, list) else str(value)


DECISION_FIGURES = {
    "amount": "order_amount",
    "open": "order_open_amount",
    "before": "exposure_before.total",
    "after": "exposure_after.total",
    "current": "exposure_after.current_invoices",
    "overdue": "exposure_after.overdue_invoices",
    "orders": "exposure_after.open_orders",
    "delivered": "exposure_after.delivered_not_invoiced",
    "unapplied": "exposure_after.unapplied",
    "over": "over_limit_by",
    "limit": "limit.total",
    "base": "limit.base",
    "temporary": "limit.temporary",
    "policies": "limit.policies",
    "source": "limit.source",
    "group_total": "limit.group_total",
    "group_exposure": "limit.group_exposure",
    "group_currency": "limit.group_currency",
    "group": "group_id",
    "rate": "exchange_rate",
    "currency": "currency",
    "date": "business_date",
    "version": "settings_version",
    "checkpoint": "checkpoint",
    "cause": "cause",
    "actor": "actor",
    "because": "release_reason",
    "posting": "posting",
    "pro_forma": "pro_forma",
    "customer": "customer_id",
    "entity": "legal_entity",
}
EXPOSURE_FIGURES = {
    "current": "current_invoices",
    "overdue": "overdue_invoices",
    "orders": "open_orders",
    "delivered": "delivered_not_invoiced",
    "unapplied": "unapplied",
    "total": "exposure",
    "limit": "limit",
    "available": "available",
    "used": "utilization_percent",
    "currency": "currency",
    "date": "business_date",
}
HOLD_FIGURES = {
    "amount": "amount",
    "currency": "currency",
    "customer": "customer_id",
    "group": "group_id",
    "entity": "legal_entity",
    "checkpoint": "checkpoint",
    "since": "held_since",
    "short": "reason",
    "gone": "gone",
    "rules": "rules",
    "forced": "forced_reason",
    "review": "review_on",
    "assignee": "assignee",
    "note": "note",
    "actor": "last_actor",
}
LIMIT_FIGURES = {
    "old": "old_limit",
    "new": "new_limit",
    "currency": "currency",
    "expires": "expires_on",
    "from": "from_date",
    "to": "to_date",
    "journal": "journal_id",
    "line": "line",
    "actor": "actor",
    "reason": "reason",
}
OUTCOME_FIGURES = {
    "observed": "observed",
    "operator": "operator",
    "threshold": "threshold",
    "unit": "unit",
    "by": "cancelled_by",
}
RUN_FIGURES = {"command": "command", "processed": "processed", "changed": "changed", "failed": "failed"}
DEAD_FIGURES = {"saying": "message", "topic": "topic", "event": "event_id"}

DECISION = Kind(lambda value: str(value["verdict"]), DECISION_FIGURES, (*HOLDING, *RELEASING))
HOLD = Kind(lambda value: str(value["status"]), HOLD_FIGURES, HOLDING)
EXPOSURE = Kind(None, EXPOSURE_FIGURES)
LIMIT = Kind(lambda value: str(value["record"]).removeprefix("Limit").lower(), LIMIT_FIGURES)
JOURNAL = Kind(lambda value: str(value["status"]), {"lines": "limits", "description": "description"})
OUTCOME = Kind(lambda value: "cancelled" if value["cancelled_by"] else _hit(value), OUTCOME_FIGURES)
RUN = Kind(None, RUN_FIGURES)
DEAD = Kind(lambda _: "dead", DEAD_FIGURES, REFUSING)

VERDICTS = ("released", "on_hold", "rejected")
HEADS: Mapping[Kind, tuple[str, ...]] = {
    DECISION: (*VERDICTS, "absent"),
    HOLD: ("held", "ready_to_release", "in_approval", "absent"),
    EXPOSURE: ("absent",),
    LIMIT: ("changed", "expired", "proposed", "absent"),
    JOURNAL: ("draft", "posted", "in_approval", "approved", "declined", "absent"),
    OUTCOME: ("hit", "clear", "cancelled", "absent"),
    RUN: ("absent",),
    DEAD: ("dead",),
}


def _hit(value: Json) -> str:
    return "hit" if value["hit"] else "clear"


# --- reading ----------------------------------------------------------------------------------------------------


def claims_after_event(words: Words, own_order: str) -> tuple[Claim, ...]:
    """The decisions and dead letters that a line expects: all of them, `no decision` for none."""
    if words.take("no", "decision"):
        words.end()
        return ()
    found = [_after_event(words, own_order)]
    while words.take(";"):
        found.append(_after_event(words, own_order))
    words.end()
    return tuple(found)


def _after_event(words: Words, own_order: str) -> Claim:
    if words.peek() == "dead":
        return _claim(words, DEAD, "")
    subject = own_order if words.peek() in VERDICTS else words.next("an order")
    if not subject:
        raise Misread("name the order of this decision")
    if words.peek() not in VERDICTS:
        raise Misread(f"does not understand {subject!r}; {did_you_mean(subject, dict.fromkeys(VERDICTS))}")
    return _claim(words, DECISION, subject)


def claim_of_query(words: Words, kind: Kind) -> Claim:
    """What a query expects. Exposure: buckets that are not named are 0 when one is."""
    claim = _claim(words, kind, "")
    words.end()
    if kind is EXPOSURE and any(name in claim.figures for name in DECIMALS_OF_BUCKETS):
        return replace(claim, figures={**dict.fromkeys(DECIMALS_OF_BUCKETS, "0"), **claim.figures})
    return claim


def _claim(words: Words, kind: Kind, subject: str) -> Claim:
    if kind in (EXPOSURE, RUN) and words.peek() != "absent":
        return Claim("there", subject, (), _figures(words, kind))
    head = words.next("what is expected")
    if head not in HEADS[kind]:
        raise Misread(f"does not understand {head!r}; {did_you_mean(head, dict.fromkeys(HEADS[kind]))}")
    codes = []
    while words.peek() not in ("", ";", "with", "saying"):
        codes.append(words.next("a code"))
        kind.check_code(codes[-1])
    more = words.take("with") or words.peek() == "saying"
    return Claim(head, subject, tuple(codes), _figures(words, kind) if more else {})


def _figures(words: Words, kind: Kind) -> dict[str, str]:
    found: dict[str, str] = {}
    while words.peek() not in ("", ";"):
        name = words.next("the name of a figure")
        kind.check_figure(name)
        found[name] = words.next(f"the figure for {name}")
    if not found:
        raise Misread("expects nothing: name at least one figure")
    return found


# --- comparing --------------------------------------------------------------------------------------------------


def fact(kind: Kind, value: Json | None, subject: str = "", codes: Sequence[str] = ()) -> Claim:
    """What an output says, None is a tombstone or nothing at all."""
    if value is None:
        return Claim("absent", subject)
    return Claim(kind.head_of(value), subject, tuple(codes), kind.figures_of(value))


def differences(expected: Sequence[Claim], facts: Sequence[Claim]) -> Iterator[str]:
    """What of the claims does not hold, in words. Facts about one subject stand in their order."""
    for subject in dict.fromkeys(claim.subject for claim in (*expected, *facts)):
        claims = [claim for claim in expected if claim.subject == subject]
        found = [each for each in facts if each.subject == subject]
        if len(claims) != len(found) or any(not _holds(c, f) for c, f in zip(claims, found, strict=True)):
            asked = {name for claim in claims for name in claim.figures}
            yield f"expected {_said(claims)}, got {_said([_only(asked, each) for each in found])}"


def _only(names: Container[str], claim: Claim) -> Claim:
    """A fact with the figures that were asked for; of a dead letter also what it says."""
    shown = {name: value for name, value in claim.figures.items() if name in names or name == "saying"}
    return replace(claim, figures=shown)


def _said(claims: Sequence[Claim]) -> str:
    return "; ".join(map(str, claims)) or "nothing"


def _holds(claim: Claim, found: Claim) -> bool:
    same = claim.head == found.head and claim.codes == found.codes
    return same and all(_equal(name, value, found.figures.get(name, "")) for name, value in claim.figures.items())


def _equal(name: str, expected: str, found: str) -> bool:
    if name == "saying":
        return expected.lower() in found.lower()
    if DECIMAL.fullmatch(expected) and DECIMAL.fullmatch(found):
        return Decimal(expected) == Decimal(found)
    return expected == found


def wrong_versions(claims: Sequence[Claim]) -> Iterator[tuple[Claim, ...]]:
    """Claims that must not hold when these do: each word and each figure of them changed, one at a time."""
    yield (*claims, Claim("released", "O-never-seen"))
    for index, claim in enumerate(claims):
        yield (*claims[:index], *claims[index + 1 :])
        for wrong in _wrong(claim):
            yield (*claims[:index], wrong, *claims[index + 1 :])


def _wrong(claim: Claim) -> Iterator[Claim]:
    yield replace(claim, head="absent" if claim.head != "absent" else "held")
    yield replace(claim, codes=(*claim.codes, "stale_inputs"))
    if claim.codes:
        yield replace(claim, codes=claim.codes[:-1])
    for name, value in claim.figures.items():
        other = str(Decimal(value) + Decimal("0.01")) if DECIMAL.fullmatch(value) else f"{value}§"
        yield replace(claim, figures={**claim.figures, name: other})
