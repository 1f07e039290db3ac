"""`credit-stream explain`: a credit manager reads why, and a decision that contradicts itself is found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from credit_stream.cli.commands import credit_stream
from credit_stream.cli.proof import contradictions
from credit_stream.cli.tables import grouped
from credit_stream.cli.words import CAUSES, LIMIT_SOURCES, REASONS, SUBJECTS, VERDICTS, explained
from credit_stream.company import Company, Plan
from credit_stream.core import outputs, reasons
from credit_stream.core.rules import RULES
from credit_stream.hosts.memory import MemoryHost
from credit_stream.wire.json_lines import output_from_value
from tests.core.ledger import Case, Ledger, line_of, play_into

RULES_FILE = """
[[rules]]
id = "limit"
type = "credit_limit_used"
[[rules]]
id = "late"
type = "days_overdue"
days = 10
"""


def event(kind: str, second: int, **fields: str) -> str:
    """A line about customer C1."""
    head = {"type": kind, "event_id": f"e{second}", "occurred_at": f"2026-03-02T09:00:0{second}Z"}
    return json.dumps({**head, "customer_id": "C1", **fields})


MONEY = {"currency": "EUR"}
EVENTS = (
    event("CustomerUpdated", 1, credit_currency="EUR", credit_limit="1000.00"),
    event("InvoicePosted", 2, invoice_id="I1", amount="400", invoice_date="2026-02-01", due_date="2026-02-15", **MONEY),
    event("OrderPlaced", 3, order_id="O1", amount="800.00", **MONEY),
    event("ReleaseOrder", 4, actor="ana", order_id="O1", release_reason="paid"),
)


@pytest.fixture
def decisions(tmp_path: Path) -> list[Any]:
    """A decision to hold an order, and that of a person to release it; as values."""
    (tmp_path / "rules.toml").write_text(RULES_FILE)
    (tmp_path / "events.jsonl").write_text("\n".join(EVENTS))
    names = [str(tmp_path / "events.jsonl"), "--settings", str(tmp_path / "rules.toml"), "--topics", "credit.decisions"]
    result = CliRunner().invoke(credit_stream, ["process", *names])
    return [json.loads(line)["value"] for line in result.stdout.splitlines()]


def explain(*values: object, text: str | None = None, options: tuple[str, ...] = ()) -> Result:
    """Explains what comes on stdin."""
    sent = text if text is not None else "\n".join(json.dumps(value) for value in values)
    return CliRunner().invoke(credit_stream, ["explain", "-", *options], input=sent)


def test_a_hold_is_explained_with_every_figure(decisions: list[Any]) -> None:
    """Verdict, reasons, what each rule saw, the limit, the exposure before and after, and who."""
    result = explain(decisions[0])
    assert result.exit_code == 0
    for words in (
        "Order O1 of customer C1: 800.00 EUR",
        "ON HOLD at order_entry on 2026-03-02",
        "invoice_overdue: An invoice is overdue",
        "[ HOLDS ] late: the oldest open invoice is 15 days overdue, which is above 10 days",
        "[ HOLDS ] limit: used with this order: 1,200.00 EUR, which is above 1,000.00 EUR",
        "of the limit 1,000.00, 120 % is above 100 %",
        "The limit would be passed by 200.00 EUR.",
        "overdue invoices              400.00    400.00",
        "exposure                      400.00  1,200.00",
        "Decided by the rules.",
        "event e3 at credit.orders/0/0",
        "invoices up to offset 0, no payments yet",
        "The rules and sums, run again on these figures, give the same.",
    ):
        assert words in result.stdout, words


def test_a_persons_release_says_who_and_why(decisions: list[Any]) -> None:
    """And which decision it takes the place of."""
    result = explain(decisions[1])
    assert "RELEASED at order_entry" in result.stdout
    assert "ana acted, for the reason 'paid', without posting." in result.stdout
    assert f"It takes the place of decision {decisions[0]['decision_id']}." in result.stdout


def test_lines_of_process_are_taken_and_other_outputs_passed_over(decisions: list[Any]) -> None:
    """The whole output of `process` can be piped in."""
    lines = [
        {"topic": "credit.holds", "key": "O1", "type": "HoldEntry", "value": None},
        {"topic": "credit.decisions", "key": "O1", "type": "CreditDecision", "value": decisions[0]},
        {"topic": "credit.decisions", "key": "O1", "type": "CreditDecision", "value": decisions[1]},
    ]
    result = explain(*lines)
    assert (result.exit_code, result.stdout.count("Order O1 of customer C1")) == (0, 2)


def test_a_decision_over_several_lines_is_taken(decisions: list[Any]) -> None:
    """As a person would save it."""
    assert explain(text=json.dumps(decisions[0], indent=2)).exit_code == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: d["rules"][0].update(observed="9"), "rule late is said to hit, but 9 is not above 10"),
        (lambda d: d.update(reasons=[]), "it is on hold and no reason holds it"),
        (lambda d: d.update(reasons=["invoice_overdue"]), "rule limit holds the order, and no reason of its type"),
        (lambda d: d.update(verdict="released", reasons=[]), "it is released though rule late holds it"),
        (lambda d: d["exposure_after"].update(total="1300.00"), "do not add up"),
        (lambda d: d["exposure_before"].update(overdue_invoices="1.00"), "the parts of the exposure before"),
        (lambda d: d["limit"].update(base="999.00"), "the parts of the limit do not add up"),
        (lambda d: d.update(over_limit_by="199.00"), "the amount over the limit"),
    ],
)
def test_a_decision_that_contradicts_itself_is_found_out(decisions: list[Any], change: Any, found: str) -> None:
    """Exit status 1, with what does not follow."""
    change(decisions[0])
    result = explain(decisions[0])
    assert result.exit_code == 1
    assert "CONTRADICTS ITSELF" in result.stdout
    assert found in result.stdout


SEEN = [
    ("rule r: days_overdue 0 days", "", "the oldest open invoice is 5 days overdue, which is above 0 days"),
    ("rule r: days_overdue amount 60", "", "70.00 USD is overdue, which is above 60.00 USD"),
    ("rule r: overdue_amount 60 used 5 %", "", "70.00 USD is overdue, which is above 60.00 USD"),
    (
        "rule r: overdue_amount 60 used 5 %",
        "",
        "used with this order: 90.00 USD, which is above 50.00 USD: of the limit 1,000.00, 9 % is above 5 %",
    ),
    ("rule r: credit_limit_expired 0 days", "", "no expiry date"),
    ("rule r: credit_limit_used 100 %", "mandatory", "mandatory limit 0"),
    ("exclusion r: credit_limit_expired 5 days", "expires 2026-12-31", "not expired"),
    ("rule r: account_status slow", "status slow", "the account status is 'slow', which is the same as 'slow'"),
]


@pytest.mark.parametrize(("setting", "customer", "words"), SEEN, ids=[words for _, _, words in SEEN])
def test_what_a_rule_saw_is_said_of_what_it_looked_at(setting: str, customer: str, words: str) -> None:
    """Days, money, a share of the limit, a text, or that there was nothing to look at."""
    limit = "limit 0" if customer == "mandatory" else "limit 1000"
    lines = [setting, f"customer C1 {limit} {customer}", "invoice I1 70 due 5 days ago", "order O1 20"]
    ledger = Ledger()
    play_into(ledger, Case("saw", "explain", (), tuple(line_of(line, "explain") for line in lines)))
    (value,) = [record["value"] for record in ledger.records if record["type"] == "CreditDecision"]
    decision = output_from_value(outputs.CreditDecision, value)
    assert isinstance(decision, outputs.CreditDecision)
    assert any(line.endswith(f"r: {words}") for line in explained(decision)), explained(decision)


def test_the_explanation_comes_as_json_for_programs(decisions: list[Any]) -> None:
    """One object for each decision."""
    found = json.loads(explain(decisions[0], options=("--json",)).stdout)
    assert found["verdict"] == "on_hold"
    assert found["contradictions"] == []
    assert any("120 % is above 100 %" in line for line in found["explanation"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no decision"),
        ("rubbish", "is no JSON"),
        ("[1]", "is no decision"),
        ('{"order_id": "O1"}', "is no decision"),
        ('{"topic": "credit.holds", "key": "O1", "type": "HoldEntry", "value": null}', "holds no decision"),
    ],
)
def test_what_is_no_decision_is_refused_with_what_to_give(text: str, said: str) -> None:
    """Exit status 2."""
    result = explain(text=text)
    assert result.exit_code == 2
    assert said in result.stderr


def test_every_decision_of_the_company_proves_itself_and_can_be_said_in_words() -> None:
    """A month with holds, releases by people, returns, other currencies."""
    host = MemoryHost()
    produced = (each for event in Company(Plan(days=30, customers=60)) for each in host.process_event(event))
    found = [record for _, _, record in produced if isinstance(record, outputs.CreditDecision)]
    assert {decision.verdict for decision in found} >= {"released", "on_hold"}
    assert [fault for decision in found for fault in contradictions(decision)] == []
    assert all(explained(decision) for decision in found)


def test_every_code_of_a_decision_has_words() -> None:
    """A new reason, rule type, cause or source comes with its sentence."""
    assert set(REASONS) == {*reasons.HOLDING, *reasons.RELEASING}
    assert set(SUBJECTS) == {rule.name for rule in RULES}
    assert set(VERDICTS) == set(outputs.Verdict.__args__)
    assert set(CAUSES) == set(outputs.Cause.__args__)
    assert set(LIMIT_SOURCES) == set(outputs.LimitSource.__args__)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("0", "0"), ("1234.50", "1,234.50"), ("-1234567", "-1,234,567"), ("-0.05", "-0.05"), ("999.999", "999.999")],
)
def test_amounts_are_written_as_people_write_them(text: str, shown: str) -> None:
    """A comma between thousands, nothing rounded."""
    assert grouped(text) == shown
