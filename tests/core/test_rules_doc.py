"""`docs/rules.md`: every example comes out as it says, and nothing that a clerk can set or meet is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from msgspec.structs import fields

from credit_stream.core.events import CHECKPOINTS
from credit_stream.core.reasons import HOLDING, RELEASING
from credit_stream.core.rules import RULES, RuleType
from credit_stream.core.settings import AccountStatus, CheckpointSettings, OrderEntrySettings, Parameters, Rule
from tests.core.claims import differences, wrong_versions
from tests.core.ledger import Answer, Case, Json, Ledger, faults, play_into
from tests.core.rules_page import examples, sections, text
from tests.core.test_cases import LATER, fails, is_setting_of, without

LATER_SECTIONS = frozenset({"Credit groups"} if "check_group_limit" in LATER else ())
"""Sections whose examples show what is not built yet and must fail, until their parameter leaves `test_cases.LATER`."""

LATER_RULES = frozenset({"risk_group"})
"""Rules that can hold nobody yet, because nobody has a risk group before scores are calculated."""
LATER_REASONS = frozenset({"risk_group"} | ({"group_credit_limit_exceeded"} if LATER_SECTIONS else frozenset()))


@cache
def played(case: Case) -> tuple[Ledger, list[Answer]]:
    """Played once, however many tests look at it."""
    ledger = Ledger()
    return ledger, play_into(ledger, case)


def params() -> Iterator[Any]:
    """One parameter set for each example; those of later sections are expected to fail, strictly."""
    later = pytest.mark.xfail(reason="not built yet", strict=True)
    for case in examples():
        marks = [later] if case.theme in LATER_SECTIONS else []
        yield pytest.param(case, id=f"{case.theme}: {case.title}", marks=marks)


def in_force() -> tuple[Case, ...]:
    """The examples of what is built."""
    return tuple(case for case in examples() if case.theme not in LATER_SECTIONS)


def decisions() -> Iterator[Json]:
    """All decisions of all examples that are in force."""
    for case in in_force():
        yield from (record["value"] for record in played(case)[0].records if record["type"] == "CreditDecision")


# --- the examples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", list(params()))
def test_an_example_comes_out_as_it_says(case: Case) -> None:
    """Every line of every ledger on the page."""
    assert faults(played(case)[1]) == []


@pytest.mark.parametrize("case", in_force(), ids=lambda case: f"{case.theme}: {case.title}")
def test_every_figure_of_an_example_could_be_wrong(case: Case) -> None:
    """A word or a figure that may as well be another says nothing to its reader."""
    answers = played(case)[1]
    assert answers, "an example shows what comes out"
    for answer in answers:
        for wrong in wrong_versions(answer.expected):
            assert list(differences(wrong, answer.facts)), f"{answer.line.place} would also say: {wrong}"


# --- nothing is missing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", RULES, ids=lambda row: row.name)
def test_every_rule_has_its_section_with_an_example_in_which_it_holds(row: RuleType) -> None:
    """And says the reason that it gives. The sections stand in the order of the reasons."""
    assert f"`{row.reasons[0]}`" in sections()[row.name]
    shown = [outcome for decision in decisions() for outcome in decision["rules"] if outcome["type"] == row.name]
    assert any(outcome["kind"] == "blocking" for outcome in shown)
    holds = any(outcome["kind"] == "blocking" and outcome["hit"] for outcome in shown)
    excuses = any(outcome["kind"] == "exclusion" and outcome["hit"] for outcome in shown)
    assert (holds, excuses) == ((row.name not in LATER_RULES,) * 2)
    order = [heading for heading in sections() if heading in {rule.name for rule in RULES}]
    assert order == [rule.name for rule in RULES]


@pytest.mark.parametrize("parameter", [field.name for field in fields(Parameters)])
def test_every_parameter_has_its_row_and_an_example_that_needs_it(parameter: str) -> None:
    """Left out of its example, the parameter makes a line of it wrong; what is not in force yet says so."""
    default = json.dumps(next(field.default for field in fields(Parameters) if field.name == parameter))
    row = re.search(rf"^\| `{parameter}` \| `(.*?)` \| .* \| (.*) \|$", text(), re.MULTILINE)
    assert row and row[1] == default
    cases = [case for case in in_force() if any(is_setting_of(line, parameter) for line in case.lines)]
    if parameter in LATER:
        assert cases == []
        assert "not in force yet" in row[2] or any(f"`{parameter}`" in sections()[name] for name in LATER_SECTIONS)
    else:
        assert any(fails(without(case, parameter)) for case in cases)


@pytest.mark.parametrize("code", [*HOLDING, *RELEASING])
def test_every_reason_is_given_in_an_example(code: str) -> None:
    """Whatever a decision can say, a reader has seen once with its cause."""
    assert any(code in decision["reasons"] for decision in decisions()) == (code not in LATER_REASONS)


def settings_shown(table: str) -> list[Json]:
    """The rows of a table of the settings in all examples."""
    return [row for case in in_force() for row in rows_of(played(case)[0].document.get(table, ()))]


def rows_of(table: Any) -> list[Json]:
    """A list of rows, or the values of a table."""
    return list(table.values()) if isinstance(table, dict) else list(table)


@pytest.mark.parametrize("section", [Rule, CheckpointSettings], ids=["rule", "checkpoint"])
def test_every_field_of_a_rule_and_of_a_checkpoint_is_shown(section: type[Rule] | type[CheckpointSettings]) -> None:
    """Each has a name on the page, and an example in which it is other than its default."""
    shown = settings_shown("rules" if section is Rule else "checkpoints")
    for field in fields(section):
        assert f"`{field.name}`" in text() or field.name == "id"
        assert any(row.get(field.name, field.default) != field.default for row in shown), field.name


def choices_of(section: type) -> Iterator[str]:
    """The words that the fields of a table may have."""
    for kind in get_type_hints(section).values():
        if get_origin(kind) is Literal:
            yield from get_args(kind)


@pytest.mark.parametrize("word", sorted({*choices_of(Parameters), *choices_of(AccountStatus), *CHECKPOINTS}))
def test_every_choice_is_named(word: str) -> None:
    """A value that a parameter or a status may have stands on the page."""
    assert f"`{word}`" in text() or re.search(rf"\beffect {word}\b", text())


def test_a_section_about_what_is_to_come_says_so_and_no_other_does() -> None:
    """A clerk must not count on what is not there, nor miss what is."""
    assert {heading for heading, section in sections().items() if "*Not in force yet" in section} == LATER_SECTIONS


def test_order_entry_alone_checks_by_default() -> None:
    """As the page says."""
    assert OrderEntrySettings().posting and not CheckpointSettings().posting


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    """As GitHub makes anchors of headings."""
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in sections()}
    assert set(re.findall(r"\]\(#([^)]+)\)", text())) - anchors == set()
