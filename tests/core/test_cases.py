"""The core's behaviour as small ledgers: every line of every case in `cases/` holds, and could fail.

A case that cannot fail proves nothing. So every expectation is falsified word by word and must then be refused, and
every parameter is left out of the cases that set it, one of which must then fail.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

from tests.core.claims import differences, wrong_versions
from tests.core.ledger import Answer, Case, LedgerError, Line, faults, load, play
from tests.core.rules_page import examples
from tests.core.setting_lines import DEFAULT_PARAMETERS
from tests.core.verbs import VERBS

CASES = pytest.mark.parametrize("case", load(), ids=lambda case: f"{case.theme}: {case.title}")

LATER = {
    "statistics_months_1": "balance statistics",
    "statistics_months_2": "balance statistics",
    "aging_buckets_days": "balance statistics",
    "risk_score_update_at": "risk scores",
    "balance_statistics_update_at": "balance statistics",
}
"""Parameters of what is not built yet, each with what it waits for."""


@cache
def answers_of(case: Case) -> list[Answer]:
    """Played once, however many tests look at it."""
    return play(case)


@CASES
def test_a_case_holds(case: Case) -> None:
    """What each line expects is what comes out, and no dead letter comes unexpected."""
    assert faults(answers_of(case)) == []


@CASES
def test_every_expectation_of_a_case_can_fail(case: Case) -> None:
    """Each word and each figure behind | is changed, one at a time, and then does not hold any more."""
    answers = answers_of(case)
    assert answers, "a case without an expectation proves nothing"
    for answer in answers:
        if list(differences(answer.expected, answer.facts)):
            continue
        for wrong in wrong_versions(answer.expected):
            assert list(differences(wrong, answer.facts)), f"{answer.line.place} would also say: {wrong}"


def test_every_case_has_a_title_of_its_own() -> None:
    """Titles are promises; the same promise twice in a file is one too many."""
    titles = [(case.theme, case.title) for case in load()]
    assert sorted(set(titles)) == sorted(titles)


def test_all_golden_cases_are_there() -> None:
    """Spec 14: G1 to G16."""
    named = {mark for case in load() for mark in re.findall(r"\bG\d+\b", case.title)}
    assert named == {f"G{number}" for number in range(1, 17)}


def test_every_event_of_the_table_of_verbs_occurs() -> None:
    """A verb that no case and no example of `docs/rules.md` uses would be a part of the core that no case looks at."""
    used = {line.verb for case in (*load(), *examples()) for line in case.lines}
    assert VERBS.keys() - used == set()


# --- parameters -------------------------------------------------------------------------------------------------


def cases_with(parameter: str) -> list[Case]:
    """The cases that set this parameter."""
    return [case for case in load() if any(is_setting_of(line, parameter) for line in case.lines)]


def is_setting_of(line: Line, parameter: str) -> bool:
    """Whether a line sets this parameter."""
    return line.text.startswith(f"set {parameter} =")


def without(case: Case, parameter: str) -> Case:
    """The case as if the core ignored the parameter."""
    left = [[line for line in lines if not is_setting_of(line, parameter)] for lines in (case.head, case.body)]
    return replace(case, head=tuple(left[0]), body=tuple(left[1]))


def fails(case: Case) -> bool:
    """Whether a line of the case does not hold."""
    try:
        return bool(faults(play(case)))
    except LedgerError:
        return True


@pytest.mark.parametrize("parameter", DEFAULT_PARAMETERS)
def test_every_parameter_is_exercised(parameter: str) -> None:
    """Interface section 3: each parameter has a case that fails when the parameter is ignored."""
    cases = cases_with(parameter)
    if parameter in LATER:
        assert cases == [], f"{parameter} is in a case, so it does not wait for {LATER[parameter]} any more"
        return
    assert any(fails(without(case, parameter)) for case in cases), f"no case fails when {parameter} is ignored"


def test_every_setting_line_of_a_case_is_needed_somewhere() -> None:
    """Each kind of rule, checkpoint and list has a case that fails when that line is left out."""
    needed: set[str] = set()
    for case in load():
        for line in case.body:
            kind = kind_of_setting(line)
            if line.is_setting and kind not in needed and fails(leave_out(case, line)):
                needed.add(kind)
    every = {kind_of_setting(line) for case in load() for line in case.body if line.is_setting}
    assert every - needed == set()


def kind_of_setting(line: Line) -> str:
    """What the line sets: the parameter, the type of rule, the checkpoint, or the list."""
    words = line.text.split()
    if words[0] in ("rule", "exclusion"):
        return f"{words[0]} {words[2]}"
    return " ".join(words[:2]) if words[0] in ("set", "checkpoint") else words[0]


def leave_out(case: Case, line: Line) -> Case:
    """The case without one of its own lines."""
    return replace(case, body=tuple(other for other in case.body if other is not line))
