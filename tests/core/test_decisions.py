"""A decision proves itself (spec 11): whoever has it can run the rules again on it and gets the same verdict.

Every decision of every case in `cases/` is looked at, so that each rule, each reason and each act of a person is there.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import groupby, pairwise

import pytest

from credit_stream.core.settings import Parameters
from tests.core.ledger import Case, Ledger, load, play_into, read
from tests.core.words import DECIMAL, Json

COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "above": operator.gt,
    "at_or_above": operator.ge,
    "below": operator.lt,
    "equal": operator.eq,
}
REASONS_OF_RULES = {
    "days_overdue": "invoice_overdue",
    "account_status": "account_status",
    "payment_terms": "payment_terms",
    "credit_limit_expired": "credit_limit_expired",
    "overdue_amount": "overdue_amount",
    "order_amount": "order_amount",
    "risk_group": "risk_group",
    "credit_limit_used": "credit_limit_exceeded",
}
ORDER_OF_RULES = list(REASONS_OF_RULES)
LIMIT_TYPES = ("credit_limit_expired", "overdue_amount", "credit_limit_used")
WITHOUT_A_CHECK = {"not_checked", "excluded", "within_grace", "within_tolerance"}
"""A decision with one of these reasons looked at no rule."""
BY_PEOPLE = {"released_by_person", "release_honored"}
BUCKETS = ("current_invoices", "overdue_invoices", "open_orders", "delivered_not_invoiced")

THEMES = pytest.mark.parametrize("theme", sorted({case.theme for case in load()}))


@cache
def ledger_of(case: Case) -> Ledger:
    """A case played to its end."""
    ledger = Ledger()
    play_into(ledger, case)
    return ledger


def decisions_of(case: Case) -> list[Json]:
    """All decisions of a case, each once though a repeat publishes it again."""
    found = [each["value"] for each in ledger_of(case).records if each["topic"] == "credit.decisions"]
    return list({decision["decision_id"]: decision for decision in found}.values())


def cases_of(theme: str) -> list[Case]:
    """The cases of one file."""
    return [case for case in load() if case.theme == theme]


def decided_in(theme: str) -> list[tuple[Case, Json]]:
    """Every decision of every case of a theme."""
    return [(case, decision) for case in cases_of(theme) for decision in decisions_of(case)]


# --- rules ------------------------------------------------------------------------------------------------------


@THEMES
def test_comparing_again_what_a_rule_saw_gives_whether_it_hit(theme: str) -> None:
    """Spec 11: observed, operator, threshold. A rule with two conditions has two rows, and hits when both hold.

    Of the use of a limit there is a row for the customer's own and one for its group's, each judged for itself.
    """
    for _, decision in decided_in(theme):
        for (_, kind), rows in groupby(decision["rules"], key=lambda row: (row["rule_id"], row["type"])):
            seen = list(rows)
            for row in seen:
                expected = holds(row) if kind == "credit_limit_used" else all(map(holds, seen))
                assert row["hit"] == expected, seen


def holds(row: Json) -> bool:
    """Observed compared with threshold, as the row says; what is unlimited is never reached."""
    if row["threshold"] == "unlimited":
        return False
    if row["unit"] in ("text", "date"):
        return COMPARISONS[row["operator"]](row["observed"], row["threshold"])
    assert DECIMAL.fullmatch(row["observed"]) and DECIMAL.fullmatch(row["threshold"]), f"cannot be compared: {row}"
    return COMPARISONS[row["operator"]](Decimal(row["observed"]), Decimal(row["threshold"]))


@THEMES
def test_rules_stand_in_the_order_of_the_table(theme: str) -> None:
    """Spec 5.1: the rules that were looked at and the reasons that came of them are listed as in 5.3."""
    for _, decision in decided_in(theme):
        blocking = [ORDER_OF_RULES.index(row["type"]) for row in decision["rules"] if row["kind"] == "blocking"]
        assert blocking == sorted(blocking)


@THEMES
def test_only_an_exclusion_that_is_true_cancels_a_hit(theme: str) -> None:
    """Spec 5.4: `cancelled_by` names an exclusion of the same type that was looked at and is true."""
    for _, decision in decided_in(theme):
        true = {(row["rule_id"], row["type"]) for row in decision["rules"] if row["kind"] == "exclusion" and row["hit"]}
        for row in decision["rules"]:
            if row["cancelled_by"] is not None:
                assert (row["kind"], row["hit"]) == ("blocking", True)
                assert (row["cancelled_by"], row["type"]) in true


@THEMES
def test_the_rules_of_a_decision_give_its_verdict(theme: str) -> None:
    """Spec 11: a hit that nothing cancels is a reason, a reason of a rule has a hit, and any such reason holds."""
    for case, decision in decided_in(theme):
        reasons = set(decision["reasons"])
        if (
            reasons & (WITHOUT_A_CHECK | BY_PEOPLE)
            or decision["verdict"] == "rejected"
            or decision["cause"] == "command"
        ):
            continue
        hits = hits_of(decision)
        if "exclusion_rule" in reasons:
            assert any(row["kind"] == "exclusion" and row["hit"] for row in decision["rules"])
            continue
        assert decision["verdict"] == "on_hold" or not hits, decision
        assert hits <= reasons or not hits - reasons - waived(case, decision), decision
        proved = hits or reasons_before(case, decision)
        assert reasons & {*REASONS_OF_RULES.values(), "group_credit_limit_exceeded"} - {"account_status"} <= proved


def hits_of(decision: Json) -> set[str]:
    """The reasons that the rows of the rules give."""
    seen, found = set[str](), set[str]()
    for row in (row for row in decision["rules"] if row["kind"] == "blocking"):
        is_groups = decision["limit"]["source"] == "group" or row["rule_id"] in seen
        seen.add(row["rule_id"])
        if row["hit"] and row["cancelled_by"] is None:
            reason = REASONS_OF_RULES[row["type"]]
            found.add(f"group_{reason}" if is_groups and row["type"] == "credit_limit_used" else reason)
    return found


def reasons_before(case: Case, decision: Json) -> set[str]:
    """The reasons of the decision before: those that an order keeps where it is not checked (spec 5.7)."""
    before = [each["reasons"] for each in decisions_of(case) if each["decision_id"] == decision["supersedes"]]
    return set(before[0]) if before else set()


def waived(case: Case, decision: Json) -> set[str]:
    """The reasons for which a person had released the order (spec 5.7): they may be there without holding."""
    history = [each for each in decisions_of(case) if each["order_id"] == decision["order_id"]]
    before = history[: history.index(decision)]
    found: set[str] = set()
    for held, released in pairwise(before):
        if "released_by_person" in released["reasons"]:
            found |= set(held["reasons"])
    return found


@THEMES
def test_a_return_and_an_order_of_which_nothing_counts_have_no_limit_reason(theme: str) -> None:
    """Spec 5.1 and 15, in every decision that there is."""
    for _, decision in decided_in(theme):
        if Decimal(decision["order_open_amount"]) == 0 and decision["cause"] != "command":
            assert not {REASONS_OF_RULES[name] for name in LIMIT_TYPES} & set(decision["reasons"])


# --- figures ----------------------------------------------------------------------------------------------------


def by_default(ledger: Ledger, *names: str) -> bool:
    """Whether these parameters have their defaults."""
    parameters = ledger.document.get("parameters", {})
    return all(parameters.get(name, getattr(Parameters(), name)) == getattr(Parameters(), name) for name in names)


@THEMES
def test_exposure_after_is_exposure_before_and_what_counts_of_the_order(theme: str) -> None:
    """Spec 3.5 and 15: the order counts exactly once, and the buckets add up to the total."""
    for case, decision in decided_in(theme):
        before, after = decision["exposure_before"], decision["exposure_after"]
        assert Decimal(after["total"]) == Decimal(before["total"]) + Decimal(decision["order_open_amount"])
        if by_default(ledger_of(case), "exposure_scope", "unapplied_payments_reduce_exposure"):
            for exposure in (before, after):
                summed = sum(Decimal(exposure[name]) for name in BUCKETS) - Decimal(exposure["unapplied"])
                assert summed == Decimal(exposure["total"])


@THEMES
def test_the_parts_of_the_limit_add_up(theme: str) -> None:
    """Spec 4.2: total = base or temporary limit, + policies, never below 0; `over_limit_by` is what is above."""
    for _, decision in decided_in(theme):
        limit = decision["limit"]
        if limit["source"] in ("unlimited", "none"):
            assert limit["total"] is None
            continue
        base = Decimal(limit["base"] if limit["temporary"] is None else limit["temporary"])
        assert Decimal(limit["total"]) == max(Decimal(0), base + Decimal(limit["policies"]))
        over = Decimal(decision["exposure_after"]["total"]) - Decimal(limit["total"])
        if limit["source"] == "own":
            assert Decimal(decision["over_limit_by"]) == max(Decimal(0), over)
        elif limit["group_total"] is not None and limit["group_currency"] == decision["currency"]:
            pool = Decimal(limit["group_exposure"]) + Decimal(decision["order_open_amount"])
            own = [] if limit["source"] == "group" else [over]
            assert Decimal(decision["over_limit_by"]) == max(Decimal(0), pool - Decimal(limit["group_total"]), *own)


@THEMES
def test_published_exposures_add_up(theme: str) -> None:
    """Spec 3.9: buckets, total, limit and what is available."""
    for case in cases_of(theme):
        ledger = ledger_of(case)
        if not by_default(ledger, "exposure_scope", "unapplied_payments_reduce_exposure"):
            continue
        for value in (record["value"] for record in ledger.records if record["type"] == "Exposure"):
            if value is not None:  # A closed group has none.
                add_up(value)


def add_up(value: Json) -> None:
    """The figures of one published exposure."""
    assert sum(Decimal(value[name]) for name in BUCKETS) - Decimal(value["unapplied"]) == Decimal(value["exposure"])
    if value["limit"] is not None:
        assert Decimal(value["available"]) == Decimal(value["limit"]) - Decimal(value["exposure"])


# --- where it comes from ----------------------------------------------------------------------------------------


@THEMES
def test_the_id_of_a_decision_is_its_own(theme: str) -> None:
    """Spec 11: under one id there is one decision; what a repeat publishes again is the same byte for byte."""
    for case in cases_of(theme):
        found = [each["value"] for each in ledger_of(case).records if each["topic"] == "credit.decisions"]
        contents = {(decision["decision_id"], json.dumps(decision, sort_keys=True)) for decision in found}
        assert len(contents) == len({decision["decision_id"] for decision in found}), case.title


@THEMES
def test_a_decision_names_the_one_before_it_on_the_same_order(theme: str) -> None:
    """Spec 11: `supersedes` makes a chain; a trial run supersedes nothing that counts."""
    for case in cases_of(theme):
        chains: dict[str, list[Json]] = {}
        for decision in decisions_of(case):
            if not decision["pro_forma"]:
                chains.setdefault(decision["order_id"], []).append(decision)
        for chain in chains.values():
            ids = [None, *(decision["decision_id"] for decision in chain)]
            assert [decision["supersedes"] for decision in chain] == ids[:-1], case.title


@THEMES
def test_a_decision_says_which_input_it_answers(theme: str) -> None:
    """Spec 11: the id of the event and its position in the log; a posted journal goes on line by line, and what a
    credit group offers to orders that wait for it comes with its answer."""
    for case in cases_of(theme):
        said = [decision["input"] for decision in decisions_of(case)]
        assert all(each["partition"] == 0 for each in said)
        of_groups = {each["event_id"] for each in said if each["topic"] == "credit.group-answers"}
        others = {each["event_id"].partition("/line/")[0] for each in said} - of_groups
        assert others <= ledger_of(case).sent.keys() and all("/answer/" in event_id for event_id in of_groups)
        positions = {(each["topic"], each["offset"]): each["event_id"] for each in said}
        assert len(positions) == len(set(positions.values())), case.title


LOG_OF_SIX = """
rule limit: credit_limit_used 100 %
== Positions (spec 11)
customer C1 limit 1000
order O1 100
invoice I1 50
invoice I2 50
pay P1 30
order O2 100
set limit_boundary = at_or_above
publish
day 2026-03-04
pay P2 30
order O3 100
reach confirmation O1
release O1 | dead invalid
reach picking_list O1
"""


@cache
def decisions_of_six() -> tuple[Json, ...]:
    """The decisions of a ledger whose positions are counted by hand."""
    (case,) = read(LOG_OF_SIX, "positions")
    return tuple(decisions_of(case))


def test_a_decision_says_where_its_input_lies() -> None:
    """Spec 11: offsets count the events of each stream from 0."""
    said = [decision["input"] for decision in decisions_of_six()]
    assert [(each["topic"], each["offset"], each["event_id"]) for each in said] == [
        ("credit.orders", 0, "e2"),
        ("credit.orders", 1, "e6"),
        ("credit.orders", 2, "e10"),
        ("credit.orders", 3, "e11"),
        ("credit.orders", 4, "e13"),
    ]


def test_a_decision_says_up_to_where_invoices_and_payments_are_counted() -> None:
    """Spec 11, 13.5: the newest offsets, -1 before the first."""
    said = [(each["as_of"]["invoices"], each["as_of"]["payments"]) for each in decisions_of_six()]
    assert said == [(-1, -1), (1, 0), (1, 1), (1, 1), (1, 1)]


def test_a_decision_says_the_version_of_the_settings_and_the_business_date() -> None:
    """Spec 11: what was in force."""
    said = [(each["settings_version"], each["business_date"]) for each in decisions_of_six()]
    first, later = date(2026, 3, 2).isoformat(), date(2026, 3, 4).isoformat()
    assert said == [(1, first), (1, first), (2, later), (2, later), (2, later)]


def every_decision() -> Iterator[Json]:
    """The decisions of all cases."""
    for case in load():
        yield from decisions_of(case)


def test_every_kind_of_proof_occurs() -> None:
    """Were a rule, an operator or a verdict in no decision, nothing above would have looked at it."""
    rows = [row for decision in every_decision() for row in decision["rules"]]
    assert {row["type"] for row in rows} == REASONS_OF_RULES.keys()
    assert {row["operator"] for row in rows} == COMPARISONS.keys()
    assert {row["kind"] for row in rows} == {"blocking", "exclusion"}
    assert {decision["verdict"] for decision in every_decision()} == {"released", "on_hold", "rejected"}
    causes = {decision["cause"] for decision in every_decision()}
    assert causes == {"order", "checkpoint", "change", "evaluation", "command", "group_answer"}
