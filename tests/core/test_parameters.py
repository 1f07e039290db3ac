"""Every setting does something: for each a small ledger that comes out otherwise when it is other than its default.

A row is the setting, the lines that leave it at its default, the lines that change it and nothing else, and what
happens then: behind the first `|` what comes out by default, behind the second what comes out as set. A core that
ignored the setting would give the first in both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from textwrap import dedent
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec.structs import fields

from credit_stream.core.events import CHECKPOINTS
from credit_stream.core.rules import RULE_TYPES
from credit_stream.core.settings import CheckpointSettings, Document, Parameters, Rule, Section
from tests.core.ledger import Case, Ledger, faults, line_of, play_into
from tests.core.test_cases import LATER as LATER_PARAMETERS


class Row(NamedTuple):
    """A setting by its place in the document, two ways to set it, and a ledger with two columns of expectations."""

    setting: str
    by_default: str
    as_set: str
    ledger: str


def parameter(name: str, value: str, ledger: str) -> Row:
    """A row about a parameter: its default is to leave it out."""
    return Row(f"parameters.{name}", "", f"set {name} = {value}", ledger)


LIMIT = "rule limit: credit_limit_used 100 %\ncustomer C1 limit 1000\n"
FREED = """
    rule limit: credit_limit_used 100 %
    customer C1 limit 1000
    invoice I1 1000
    order O1 500            | on_hold credit_limit_exceeded     | on_hold credit_limit_exceeded
    order O2 400            | on_hold credit_limit_exceeded     | on_hold credit_limit_exceeded
    order O3 600            | on_hold credit_limit_exceeded     | on_hold credit_limit_exceeded
"""

OF_WHAT_IS_BUILT = (
    # --- 2, 3: who is known, what counts --------------------------------------------------------------------------
    parameter("exposure_scope", "balance_and_delivered", """
        customer C1 limit 1000
        order O1 800
        deliver O1 300
        exposure C1             | orders 500 delivered 300 total 800    | delivered 300 total 300
    """),
    parameter("exposure_scope", "balance", """
        customer C1 limit 1000
        order O1 800
        deliver O1 300
        exposure C1             | orders 500 delivered 300 total 800    | total 0
    """),
    parameter("exposure_scope", "none", f"""{LIMIT}
        order O1 1000.01        | on_hold credit_limit_exceeded         | released
    """),
    parameter("unknown_customer", "release", """
        order O1 20             | on_hold customer_unknown              | released customer_unknown
    """),
    parameter("unapplied_payments_reduce_exposure", "no", f"""{LIMIT}
        pay P1 500
        order O1 1500           | released with before -500             | on_hold credit_limit_exceeded with before 0
    """),
    parameter("held_orders_consume_credit", "yes", f"""{LIMIT}
        order O1 1000.01        | on_hold credit_limit_exceeded         | on_hold credit_limit_exceeded
        order O2 1000           | released                              | on_hold credit_limit_exceeded
    """),
    parameter("credit_horizon_days", "30", f"""{LIMIT}
        order O1 1000.01 ships in 31 days   | on_hold credit_limit_exceeded     | released with open 0
    """),
    parameter("credit_horizon_days", "0", f"""{LIMIT}
        order O1 1000.01 ships in 1 day     | on_hold credit_limit_exceeded     | released with open 0
    """),
    parameter("credit_rate_type", "month_end", """
        customer C1 limit 1000
        rate EUR USD 1.10
        rate EUR USD 1.20 type month_end
        order O1 100 EUR        | released with open 110                | released with open 120
    """),
    # --- 4: limits ------------------------------------------------------------------------------------------------
    parameter("limit_boundary", "at_or_above", f"""{LIMIT}
        order O1 1000           | released                              | on_hold credit_limit_exceeded
    """),
    parameter("check_credit_limit", "no", f"""{LIMIT}
        order O1 1000.01        | on_hold credit_limit_exceeded         | released
    """),
    parameter("allow_manual_limits", "yes", f"""{LIMIT}
        customer C1 limit 2000  | dead limit_change_refused             | no decision
        order O1 2000           | on_hold credit_limit_exceeded         | released
    """),
    # --- 5: rules, ranks, other reasons ---------------------------------------------------------------------------
    parameter("ignore_blank_expiry", "no", """
        rule old: credit_limit_expired 5 days
        customer C1 limit 1000
        order O1 20             | released                              | on_hold credit_limit_expired
    """),
    parameter("check_payment_terms_rank", "no", """
        terms NET60 rank 60
        customer C1 limit 1000
        order O1 20 terms NET60 | on_hold payment_terms_increased       | released
    """),
    parameter("check_settlement_discount_rank", "no", """
        discount 3P10 rank 3
        customer C1 limit 1000
        order O1 20 discount 3P10   | on_hold settlement_discount_increased | released
    """),
    parameter("max_input_age_minutes", "60", """
        customer C1 limit 1000
        invoice I1 100 at 2026-03-02T09:30:00Z
        order O1 20 at 2026-03-02T10:30:00Z     | released              | released
        order O2 20 at 2026-03-02T10:30:01Z     | released              | on_hold stale_inputs
    """),
    Row("parameters.stale_policy", "set max_input_age_minutes = 60",
        "set max_input_age_minutes = 60\nset stale_policy = release", """
        customer C1 limit 1000
        invoice I1 100 at 2026-03-02T09:30:00Z
        order O1 20 at 2026-03-02T10:30:01Z     | on_hold stale_inputs  | released stale_inputs
    """),
    # --- 5.7: changes after a release -----------------------------------------------------------------------------
    parameter("allow_edit_after_release", "yes", f"""{LIMIT}
        order O1 1000           | released                              | released
        change O1 1000.01       | on_hold credit_limit_exceeded         | released not_checked
    """),
    parameter("release_tolerance_percent", "10", f"""{LIMIT}
        order O1 1000           | released                              | released
        change O1 1100          | on_hold credit_limit_exceeded         | released within_tolerance
        change O1 1100.01       | on_hold credit_limit_exceeded         | on_hold credit_limit_exceeded
    """),
    parameter("release_valid_days", "5", """
        checkpoint confirmation posting
        rule big: order_amount 500
        customer C1 limit 1000
        order O1 600            | on_hold order_amount                  | on_hold order_amount
        release O1              | released released_by_person           | released released_by_person
        day 2026-03-06
        reach confirmation O1   | on_hold order_amount                  | released release_honored
        day 2026-03-07
        reach confirmation O1   | on_hold order_amount                  | on_hold order_amount
    """),
    # --- 7: the hold list -----------------------------------------------------------------------------------------
    Row("parameters.evaluate_on", "set automatic_release = without_posting",
        "set automatic_release = without_posting\nset evaluate_on = command", f"""{LIMIT}
        invoice I1 900
        order O1 200            | on_hold credit_limit_exceeded         | on_hold credit_limit_exceeded
        pay P1 900 on I1        | O1 released automatic_release         | no decision
        evaluate customer C1    | no decision                           | O1 released automatic_release
    """),
    parameter("automatic_release", "without_posting", f"""{FREED}
        pay P1 500 on I1        | no decision             | O1 released automatic_release with posting without_posting
    """),
    parameter("automatic_release", "with_posting", f"""{FREED}
        pay P1 500 on I1        | no decision             | O1 released automatic_release with posting with_posting
    """),
    Row("parameters.automatic_release_reason", "set automatic_release = without_posting",
        "set automatic_release = without_posting\nset automatic_release_reason = paid", f"""{FREED}
        pay P1 500 on I1        | O1 released automatic_release         | O1 released automatic_release
        decision O1 | released automatic_release with because automatic | released automatic_release with because paid
    """),
    Row("parameters.release_priority", "set automatic_release = without_posting",
        "set automatic_release = without_posting\nset release_priority = smallest_first", f"""{FREED}
        pay P1 600 on I1        | O1 released automatic_release         | O2 released automatic_release
    """),
    Row("parameters.release_priority", "set automatic_release = without_posting",
        "set automatic_release = without_posting\nset release_priority = largest_first", f"""{FREED}
        pay P1 600 on I1        | O1 released automatic_release         | O3 released automatic_release
    """),
    # --- 10, 2: dates and repeats ---------------------------------------------------------------------------------
    parameter("business_time_zone", "Pacific/Auckland", """
        rule late: days_overdue 0 days
        customer C1 limit 1000
        invoice I1 70 due 2026-03-03
        order O1 20 at 2026-03-03T20:00:00Z     | released              | on_hold invoice_overdue
    """),
    parameter("event_id_retention_days", "30", """
        customer C1 limit 1000
        order O1 20 id a        | released                              | released
        day 2026-04-02
        repeat a                | same                                  | dead invalid
    """),
    # --- 6: checkpoints -------------------------------------------------------------------------------------------
    Row("checkpoints.posting", "", "checkpoint packing_slip posting", """
        rule late: days_overdue 0 days
        customer C1 limit 1000
        order O1 20             | released                              | released
        invoice I1 70 due 1 day ago
        reach packing_slip O1   | released not_checked                  | on_hold invoice_overdue
    """),
    Row("checkpoints.posting", "", "checkpoint order_entry off", """
        rule late: days_overdue 0 days
        checkpoint invoice posting
        customer C1 limit 1000
        invoice I1 70 due 1 day ago
        order O1 20             | on_hold invoice_overdue               | released not_checked
    """),
    Row("checkpoints.grace_days", "checkpoint confirmation posting", "checkpoint confirmation posting grace 2", """
        checkpoint order_entry off
        rule late: days_overdue 0 days
        customer C1 limit 1000
        order O1 20             | released not_checked                  | released not_checked
        reach confirmation O1   | released                              | released
        invoice I1 70 due 2026-03-02
        day 2026-03-04
        reach confirmation O1   | on_hold invoice_overdue               | released within_grace
        day 2026-03-05
        reach confirmation O1   | on_hold invoice_overdue               | on_hold invoice_overdue
    """),
    Row("checkpoints.pro_forma", "", "checkpoint confirmation pro_forma", """
        rule late: days_overdue 0 days
        customer C1 limit 1000
        order O1 20                     | released                      | released
        invoice I1 70 due 1 day ago
        reach confirmation O1 pro_forma | released not_checked          | on_hold invoice_overdue
    """),
    Row("checkpoints.pro_forma_grace_days", "checkpoint confirmation pro_forma",
        "checkpoint confirmation pro_forma grace 2", """
        rule late: days_overdue 0 days
        customer C1 limit 1000
        order O1 20                     | released                      | released
        reach confirmation O1 pro_forma | released                      | released
        invoice I1 70 due 2026-03-02
        day 2026-03-04
        reach confirmation O1 pro_forma | on_hold invoice_overdue       | released within_grace
        day 2026-03-05
        reach confirmation O1 pro_forma | on_hold invoice_overdue       | on_hold invoice_overdue
    """),
    # --- 5.3, 5.4: rules ------------------------------------------------------------------------------------------
    Row("rules.type", "rule r: credit_limit_expired 0 days", "rule r: days_overdue 0 days", """
        customer C1 limit 1000 expires 2026-03-01
        invoice I1 70 due 1 day ago
        order O1 20             | on_hold credit_limit_expired          | on_hold invoice_overdue
    """),
    Row("rules.kind", "rule r: order_amount 500 for customer C1", "exclusion r: order_amount 500 for customer C1", """
        rule big: order_amount 100
        customer C1 limit 1000
        order O1 499            | on_hold order_amount                  | released
        order O2 501            | on_hold order_amount                  | on_hold order_amount
        saw O2 r                | hit with operator above               | clear with operator below
    """),
    Row("rules.scope rules.account", "rule big: order_amount 500", "rule big: order_amount 500 for group retail", """
        customer C1 limit 1000
        customer C2 limit 1000 group retail
        order O1 501            | on_hold order_amount                  | released
        order O2 501 by C2      | on_hold order_amount                  | on_hold order_amount
    """),
    Row("rules.scope rules.account", "rule big: order_amount 500", "rule big: order_amount 500 for customer C2", """
        customer C1 limit 1000
        customer C2 limit 1000
        order O1 501            | on_hold order_amount                  | released
        order O2 501 by C2      | on_hold order_amount                  | on_hold order_amount
    """),
    Row("rules.risk_group", "rule big: order_amount 500", "rule big: order_amount 500 risk high", """
        customer C1 limit 1000
        order O1 501            | on_hold order_amount                  | released
    """),
    Row("rules.checkpoints", "rule big: order_amount 500", "rule big: order_amount 500 at invoice", """
        checkpoint invoice posting
        customer C1 limit 1000
        order O1 501            | on_hold order_amount                  | released
        reach invoice O1        | on_hold order_amount                  | on_hold order_amount
    """),
    Row("rules.days", "rule late: days_overdue 0 days", "rule late: days_overdue 10 days", """
        customer C1 limit 1000
        invoice I1 70 due 10 days ago
        order O1 20             | on_hold invoice_overdue               | released
        day 2026-03-03
        order O2 20             | on_hold invoice_overdue               | on_hold invoice_overdue
    """),
    Row("rules.days", "rule old: credit_limit_expired 0 days", "rule old: credit_limit_expired 10 days", """
        customer C1 limit 1000 expires 10 days ago
        order O1 20             | on_hold credit_limit_expired          | released
        day 2026-03-03
        order O2 20             | on_hold credit_limit_expired          | on_hold credit_limit_expired
    """),
    Row("rules.value_type", "rule late: days_overdue 0 days", "rule late: days_overdue amount 0", """
        customer C1 limit 1000
        invoice I1 70 due 2 days ago
        order O1 20             | on_hold invoice_overdue               | on_hold invoice_overdue
        saw O1 late             | hit with observed 2 unit days         | hit with observed 70 unit USD
    """),
    Row("rules.amount", "rule late: days_overdue amount 0", "rule late: days_overdue amount 70", """
        customer C1 limit 1000
        invoice I1 70 due 1 day ago
        order O1 20             | on_hold invoice_overdue               | released
        invoice I2 0.01 due 1 day ago
        order O2 20             | on_hold invoice_overdue               | on_hold invoice_overdue
    """),
    Row("rules.amount", "rule late: overdue_amount 0 used 0 %", "rule late: overdue_amount 70 used 0 %", """
        customer C1 limit 1000
        invoice I1 70 due 1 day ago
        order O1 20             | on_hold overdue_amount                | released
        invoice I2 0.01 due 1 day ago
        order O2 20             | on_hold overdue_amount                | on_hold overdue_amount
    """),
    Row("rules.amount", "rule big: order_amount 0", "rule big: order_amount 20", """
        customer C1 limit 1000
        order O1 20             | on_hold order_amount                  | released
        order O2 20.01          | on_hold order_amount                  | on_hold order_amount
    """),
    Row("rules.currency", "rule big: order_amount 500", "rule big: order_amount 500 EUR", """
        rate USD EUR 0.5
        customer C1 limit 10000
        order O1 1000           | on_hold order_amount                  | released
        order O2 1000.02        | on_hold order_amount                  | on_hold order_amount
    """),
    Row("rules.percent", "rule limit: credit_limit_used 100 %", "rule limit: credit_limit_used 80 %", """
        customer C1 limit 1000
        order O1 800            | released                              | released
        order O2 0.01           | released                              | on_hold credit_limit_exceeded
    """),
    Row("rules.percent", "rule due: overdue_amount 10 used 100 %", "rule due: overdue_amount 10 used 50 %", """
        customer C1 limit 1000
        invoice I1 70 due 1 day ago
        order O1 430            | released                              | released
        order O2 0.01           | released                              | on_hold overdue_amount
    """),
    Row("rules.value", "rule r: account_status good", "rule r: account_status slow", """
        customer C1 limit 1000 status good
        customer C2 limit 1000 status slow
        order O1 20             | on_hold account_status                | released
        order O2 20 by C2       | released                              | on_hold account_status
    """),
    Row("rules.value", "rule r: payment_terms NET30", "rule r: payment_terms NET90", """
        customer C1 limit 1000
        order O1 20 terms NET30 | on_hold payment_terms                 | released
        order O2 20 terms NET90 | released                              | on_hold payment_terms
    """),
    Row("rules.release_order", "exclusion e: order_amount 500", "exclusion e: order_amount 500 release_order", """
        rule big: order_amount 100
        customer C1 limit 1000
        order O1 400            | on_hold order_amount                  | released exclusion_rule
    """),
    Row("rules.enabled", "rule big: order_amount 100", "rule big: order_amount 100 disabled", """
        customer C1 limit 1000
        order O1 400            | on_hold order_amount                  | released
    """),
    # --- lists ----------------------------------------------------------------------------------------------------
    Row("account_statuses.effect", "status slow effect none", "status slow effect hold_all", """
        customer C1 limit 1000 status slow
        order O1 20             | released                              | on_hold account_status
    """),
    Row("account_statuses.effect", "status slow effect none", "status slow effect hold_invoicing", """
        checkpoint invoice posting
        customer C1 limit 1000 status slow
        order O1 20             | released                              | released
        reach invoice O1        | released                              | on_hold account_status
    """),
    Row("release_reasons", "", 'reason paid "in advance"', """
        customer C1 limit 1000
        order O1 20
        force O1                | on_hold forced_hold                   | on_hold forced_hold
        release O1 because luck | released released_by_person           | dead invalid
    """),
    Row("payment_terms.rank", "terms NET30 rank 0", "terms NET30 rank 30", """
        customer C1 limit 1000
        order O1 20 terms NET30 | released                              | on_hold payment_terms_increased
    """),
    Row("settlement_discounts.rank", "discount 3P10 rank 0", "discount 3P10 rank 3", """
        customer C1 limit 1000
        order O1 20 discount 3P10   | released                          | on_hold settlement_discount_increased
    """),
    Row("actors", "", "actor ana credit_clerk", """
        customer C1 limit 1000
        order O1 20
        force O1                | on_hold forced_hold                   | on_hold forced_hold
        release O1 actor ben    | released released_by_person           | dead not_allowed
    """),
    Row("actors.roles", "actor ana", "actor ana credit_clerk", """
        customer C1 limit 1000
        order O1 20
        exclude O1              | dead not_allowed                      | released excluded
    """),
)  # fmt: skip

OF_WHAT_IS_TO_COME = (
    parameter("check_group_limit", "no", """
        rule limit: credit_limit_used 100 %
        credit_group G limit 1000 expires 2026-12-31
        customer A limit 5000 in_group G
        order O1 1000.01 by A   | on_hold group_credit_limit_exceeded   | released
    """),
)  # fmt: skip
"""Rows that count as soon as their settings are no longer in `LATER`."""

LATER = {
    **{f"parameters.{name}": waits_for for name, waits_for in LATER_PARAMETERS.items()},
    "scoring_groups": "risk scores",
    "risk_groups": "risk scores",
    "automatic_limits": "automatic limits",
    "release_approval": "approvals",
    "limit_approval": "approvals",
}
"""Settings of what is not built yet, each with what it waits for."""
ROWS = (*OF_WHAT_IS_BUILT, *(row for row in OF_WHAT_IS_TO_COME if row.setting not in LATER))
NAMES = frozenset({"id", "description"})
"""What a row is called and what is said of it: names, which decide nothing."""
LATER_CHOICES = frozenset({("rules.type", "risk_group")})


# --- playing a row in its two ways ------------------------------------------------------------------------------


def case_of(row: Row, settings: str, column: int) -> Case:
    """The row's ledger with these settings and the expectations of one column."""
    body = [line_of(line.strip(), row.setting) for line in settings.splitlines()]
    for number, text in enumerate(dedent(row.ledger).strip().splitlines(), start=1):
        said, *expected = (part.strip() for part in text.split("|"))
        if said:
            assert len(expected) in (0, 2), f"{row.setting}:{number}: two columns, or none"
            whole = f"{said} | {expected[column]}" if expected else said
            body.append(line_of(whole, f"{row.setting}:{number}"))
    return Case(row.setting, "parameters", (), tuple(body))


@cache
def outcome(row: Row, settings: str, column: int) -> tuple[list[str], Document]:
    """What does not hold of a column under these settings, and the settings as a document."""
    ledger = Ledger()
    found = faults(play_into(ledger, case_of(row, settings, column)))
    document = msgspec.json.decode(msgspec.json.encode(ledger.document), type=Document)
    return found, document


def leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Every single setting of a document by its place, where the rows of a list have no place of their own."""
    if isinstance(value, Section):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), f"{place}.{field.encode_name}" if place else field.name)
    elif isinstance(value, tuple) and value and isinstance(value[0], Section):
        for item in value:
            yield from leaves(item, place)
    else:
        yield re.sub(rf"\.({'|'.join(CHECKPOINTS)})\.", ".", place), value


ids = [f"{row.setting}: {row.as_set}".replace("\n", "; ") for row in ROWS]
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=ids)


@EVERY_ROW
def test_a_setting_does_what_its_row_says(row: Row) -> None:
    """By default the first column comes out, as set the second."""
    assert outcome(row, row.by_default, 0)[0] == []
    assert outcome(row, row.as_set, 1)[0] == []


@EVERY_ROW
def test_a_row_fails_if_its_setting_is_ignored(row: Row) -> None:
    """With the setting as it is by default the second column does not come out, nor the first with it as set."""
    assert outcome(row, row.by_default, 1)[0] != []
    assert outcome(row, row.as_set, 0)[0] != []


@EVERY_ROW
def test_a_row_changes_its_setting_and_no_other(row: Row) -> None:
    """So that the difference of the two columns is its doing. A table's rows may be there or not."""
    before = Counter(leaves(outcome(row, row.by_default, 0)[1]))
    after = Counter(leaves(outcome(row, row.as_set, 1)[1]))
    changed = {place for place, _ in (*(before - after), *(after - before))}
    named = set(row.setting.split())
    assert changed and all(place in named or place.partition(".")[0] in named for place in changed)


# --- the table is whole -----------------------------------------------------------------------------------------


def places(section: type[Section], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting that there can be, with its type."""
    for name, kind in get_type_hints(section).items():
        inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
        if name in CHECKPOINTS:
            yield from places(CheckpointSettings, place)
        elif isinstance(inner, type) and issubclass(inner, Section):
            yield from places(inner, f"{place}.{name}" if place else name)
        else:
            yield f"{place}.{name}" if place else name, kind


EVERY_PLACE = dict(places(Document))


@pytest.mark.parametrize("place", EVERY_PLACE)
def test_every_setting_has_a_row(place: str) -> None:
    """Interface section 3: each parameter, field of a rule, of a checkpoint and of a list, but those of later."""
    has_row = any(place in row.setting.split() for row in ROWS)
    table, _, name = place.partition(".")
    waits = place in LATER or table in LATER
    assert has_row != waits or name in NAMES


def test_every_choice_of_a_setting_has_a_row() -> None:
    """Of settings with a few words to choose from, each word."""
    played = (outcome(row, *way)[1] for row in ROWS for way in ((row.by_default, 0), (row.as_set, 1)))
    chosen = {leaf for document in played for leaf in leaves(document)}
    every = {(p, word) for p, kind in EVERY_PLACE.items() if get_origin(kind) is Literal for word in get_args(kind)}
    every |= {("rules.type", word) for word in RULE_TYPES}
    wanted = {choice for choice in every if choice[0] not in LATER and choice[0].partition(".")[0] not in LATER}
    assert wanted - LATER_CHOICES - chosen == set()


@pytest.mark.parametrize("section", [Parameters, Rule, CheckpointSettings])
def test_the_first_column_is_that_of_the_default(section: type[Section]) -> None:
    """Of a setting with a default, the first column is played with it in at least one row."""
    table = {Parameters: "parameters", Rule: "rules", CheckpointSettings: "checkpoints"}[section]
    for field in fields(section):
        rows = [row for row in ROWS if f"{table}.{field.name}" in row.setting.split()]
        defaults = [(f"{table}.{field.name}", field.default) in {*leaves(outcome(r, r.by_default, 0)[1])} for r in rows]
        assert any(defaults) or not rows or field.name in ("type", "value"), field.name


def test_nothing_waits_that_is_not_there() -> None:
    """A setting that was renamed must not stay on the list."""
    tables = {place.partition(".")[0] for place in EVERY_PLACE}
    assert LATER.keys() - EVERY_PLACE.keys() - tables == set()
