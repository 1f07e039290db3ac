"""The reader of small ledgers itself: what it does not understand is an error, what does not hold is said."""

from __future__ import annotations

import re

import pytest

from tests.core.ledger import CASES, TOPIC_AND_KIND, LedgerError, faults, play, read
from tests.core.setting_lines import RULE_VALUES, SETTINGS
from tests.core.verbs import EVERYWHERE, VERBS

HEAD = "rule limit: credit_limit_used 100 %\ncustomer C1 limit 1000\n== Anything (spec 4.4)\n"

MISREAD = [
    ("ordr O1 100", "did you mean 'order'"),
    ("order O1", "an amount"),
    ("order O1 much", "'much' is no amount"),
    ("order O1 100 shipped today", "did you mean 'ships'"),
    ("order O1 100 | relased", "relased"),
    ("order O1 100 | released not_cheked", "did you mean 'not_checked'"),
    ("order O1 100 | released with aftre 100", "did you mean 'after'"),
    ("order O1 100 | released with", "name at least one figure"),
    ("order O1 100 | O2", "known are: on_hold"),
    ("pay P1 100 | released", "name the order"),
    ("order O1 100 | dead invalyd", "did you mean 'invalid'"),
    ("order O1 100 | same", "only `repeat`"),
    ("order O1 100 |", "both sides"),
    ("| released", "both sides"),
    ("repeat e99", "'e99'"),
    ("repeat", "the id of an event"),
    ("exposure C1", "asks and so must expect"),
    ("exposure C1 | ordres 100", "did you mean 'orders'"),
    ("exposure C1 more | total 0", "'more'"),
    ("hold O1 | waiting", "'waiting'"),
    ("hold O1 | held stale_input", "did you mean 'stale_inputs'"),
    ("day 2026-13-05", "2026-13-05"),
    ("invoice I1 100 due in 5", "'day'"),
    ("policy S1 100 at 50", "'%'"),
    ("publish now", "'now'"),
    ("order O1 1\nset limit_bondary = above\npublish", "did you mean 'limit_boundary'"),
    ("set check_credit_limit = maybe", "yes or no"),
    ("rule r: days_overdu 5 days", "did you mean 'days_overdue'"),
    ("rule r: order_amount 5 for everybody", "customer or group"),
    ("rule r: order_amount 5 sometimes", "'sometimes'"),
    ("order O1 1\nset stale_policy = release", "`publish`"),
    ("== No section", "a title is"),
]

WRONG = [
    "order O1 1000 | on_hold credit_limit_exceeded",
    "order O1 1000.01 | released",
    "order O1 1000.01 | on_hold order_amount",
    "order O1 1000.01 | on_hold credit_limit_exceeded order_amount",
    "order O1 1000.01 | on_hold",
    "order O1 1000 | released not_checked",
    "order O1 1000 | no decision",
    "order O1 1000 | released; O2 released",
    "order O1 1000 | released; released",
    "order O1 1000 | O2 released",
    "order O1 1000 | released with after 1000.01",
    "order O1 1000 | released with after none",
    "order O1 1000 | dead invalid",
    "invoice I1 -1 | no decision",
    "invoice I1 -1 | dead unreadable",
    "invoice I1 -1 | dead invalid saying elephants",
    "invoice I1 -1",
    "invoice I1 5\nexposure C1 | orders 5 total 5",
    "invoice I1 5\nexposure C1 | current 5 orders 5 total 5",
    "invoice I1 5\norder O1 7\nexposure C1 | current 5 total 12",
    "invoice I1 5\nexposure C1 | absent",
    "exposure C2 | total 0",
    "order O1 1000.01\nhold O1 | absent",
    "order O1 1000.01\nhold O1 | ready_to_release credit_limit_exceeded",
    "order O1 1000.01\nhold O1 | held",
    "order O1 1000\nhold O1 | held credit_limit_exceeded",
    "order O1 1000\nsaw O1 limit | hit",
    "order O1 1000\nsaw O1 limit | absent",
    "order O1 1000\nsaw O1 other | clear",
    "order O1 1000 id a\nrepeat a | no decision",
    "order O1 1000\ndecision O1 | on_hold credit_limit_exceeded",
    "limit_of C1 | changed",
    "journal_of J1 | draft",
]


@pytest.mark.parametrize(("text", "said"), MISREAD, ids=[text.replace("\n", "; ") for text, _ in MISREAD])
def test_what_is_not_understood_is_an_error_with_file_and_line(text: str, said: str) -> None:
    """A slip of the pen in a case must not make it pass."""
    with pytest.raises(LedgerError, match=r"^slips\.txt:\d+: ") as raised:
        for case in read(HEAD + text, "slips"):
            play(case)
    assert said in str(raised.value)


@pytest.mark.parametrize("text", WRONG, ids=[text.replace("\n", "; ") for text in WRONG])
def test_what_does_not_hold_is_said_with_file_and_line(text: str) -> None:
    """The comparison can fail, in every kind of answer."""
    (case,) = read(HEAD + text, "wrong")
    last_line = 3 + len(text.splitlines())
    assert any(fault.startswith(f"wrong.txt:{last_line}: ") for fault in faults(play(case)))


def test_a_right_expectation_is_not_refused() -> None:
    """The other side: what is so is not a fault."""
    text = "order O1 1000 id a | released with after 1000\nexposure C1 | orders 1000 total 1000\nrepeat a | same"
    (case,) = read(HEAD + text, "right")
    assert faults(play(case)) == []


def test_settings_under_the_title_are_in_force_before_the_events_at_the_head_of_the_file() -> None:
    """So that a file can begin with its customers, and a case with its rules."""
    (case,) = read(HEAD + "rule big: order_amount 5\norder O1 6 | on_hold order_amount", "order")
    assert faults(play(case)) == []


def test_every_word_of_the_format_is_explained_beside_the_cases() -> None:
    """A credit clerk finds each verb, option, setting and question in `cases/README.md`."""
    explained = set(re.findall(r"\w+", (CASES / "README.md").read_text("utf-8")))
    options = {option for verb in VERBS.values() for option in verb.options}
    every = {*VERBS, *options, *EVERYWHERE, *SETTINGS, *RULE_VALUES, *TOPIC_AND_KIND}
    assert every - explained == set()
