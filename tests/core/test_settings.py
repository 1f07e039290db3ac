"""Settings are checked as a whole (spec 12): each fault has its place and the nearest known name.

The defaults are fixed: the block below is that of interface section 3, word for word, which is what operators read.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import msgspec
import pytest

from credit_stream.core.events import CHECKPOINTS
from credit_stream.core.settings import CheckpointTable, Document, Rule, Settings, check, check_text, compiled
from credit_stream.wire.currencies import CURRENCIES

DEFAULTS = """
[parameters]                        # spec: the parameter names there, with the defaults there
exposure_scope = "balance_and_orders"
limit_boundary = "above"
check_credit_limit = true
check_group_limit = true
unknown_customer = "hold"
ignore_blank_expiry = true
unapplied_payments_reduce_exposure = true
held_orders_consume_credit = false
credit_horizon_days = -1            # -1: none
credit_rate_type = "default"
check_payment_terms_rank = true
check_settlement_discount_rank = true
allow_edit_after_release = false
release_tolerance_percent = "0"
release_valid_days = 0
evaluate_on = "event"               # event | command
automatic_release = "off"           # off | without_posting | with_posting
automatic_release_reason = "automatic"
release_priority = "oldest_first"   # oldest_first | smallest_first | largest_first
allow_manual_limits = false
business_time_zone = "UTC"
max_input_age_minutes = -1          # -1: off
stale_policy = "hold"               # hold | release
statistics_months_1 = 12
statistics_months_2 = 6
aging_buckets_days = [30, 60, 90]
risk_score_update_at = "02:00"      # "" = off
balance_statistics_update_at = "03:00"
event_id_retention_days = 400

[checkpoints.order_entry]           # also confirmation, picking_list, packing_slip, invoice
posting = true                      # default: true for order_entry, false for the others
grace_days = 0
pro_forma = false
pro_forma_grace_days = 0

[[rules]]
id = "limit"
type = "credit_limit_used"          # days_overdue | account_status | payment_terms | credit_limit_expired | overdue_amount | order_amount | risk_group | credit_limit_used
kind = "blocking"                   # blocking | exclusion
scope = "all"                       # all | group | customer
account = ""                        # credit management group or customer, as the scope says
risk_group = ""                     # with scope group or all
checkpoints = []                    # empty: every checkpoint that checks
days = 0                            # days_overdue, credit_limit_expired
value_type = "days"                 # days_overdue: days | amount
amount = "0"                        # overdue_amount, order_amount, days_overdue by amount
currency = ""                       # of amount; blank: the customer's credit currency
percent = "100"                     # credit_limit_used; overdue_amount: the used share that must also be passed
value = ""                          # account_status, payment_terms, risk_group
release_order = false               # exclusions only
enabled = true
"""  # noqa: E501 - word for word
BLOCK: dict[str, Any] = tomllib.loads(DEFAULTS)
SECTIONS = """account_statuses release_reasons payment_terms settlement_discounts scoring_groups risk_groups
automatic_limits actors""".split()

LIMIT = {"id": "limit", "type": "credit_limit_used"}
RANGE = {"id": "low", "from": 0, "to": 10}
SCORES: dict[str, Any] = {"id": "age", "type": "user_defined", "attribute": "age"}
STEP = {"currency": "USD", "role": "credit_manager"}


def rule(**fields: object) -> dict[str, Any]:
    """A document with one rule."""
    return {"rules": [{"id": "r", "type": "order_amount", **fields}]}


def parameters(**fields: object) -> dict[str, Any]:
    """A document with these parameters."""
    return {"parameters": fields}


def scoring(**fields: object) -> dict[str, Any]:
    """A document with one scoring group."""
    return {"scoring_groups": [{**SCORES, **fields}]}


def automatic(**fields: object) -> dict[str, Any]:
    """A document with a scoring group and one automatic limit."""
    line = {"scoring_group": "age", "comparison": "at_least", "value": 1, "credit_limit": "100"}
    limit = {"risk_group": "low", "currency": "USD", "maximum_revenue": "1000", "lines": [line]}
    return {"scoring_groups": [SCORES], "automatic_limits": [{**limit, **fields}]}


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    # names
    ({"paramters": {}}, "paramters", "did you mean 'parameters'"),
    (parameters(limit_bondary="above"), "parameters.limit_bondary", "did you mean 'limit_boundary'"),
    (rule(scop="all"), "rules[0].scop", "did you mean 'scope'"),
    ({"rules": [LIMIT, {**LIMIT, "id": "x", "typ": "y"}]}, "rules[1].typ", "did you mean 'type'"),
    ({"checkpoints": {"confirmaton": {}}}, "checkpoints.confirmaton", "did you mean 'confirmation'"),
    ({"checkpoints": {"invoice": {"grace": 1}}}, "checkpoints.invoice.grace", "did you mean 'grace_days'"),
    ({"account_statuses": [{"id": "x", "efect": "none"}]}, "account_statuses[0].efect", "did you mean 'effect'"),
    ({"release_approval": {"step": []}}, "release_approval.step", "did you mean 'steps'"),
    (
        scoring(ranges=[{"from": 1, "to": 2, "score": 1, "scor": 1}]),
        "scoring_groups[0].ranges[0].scor",
        "did you mean 'score'",
    ),
    # choices
    (parameters(limit_boundary="abov"), "parameters.limit_boundary", "did you mean 'above'"),
    (parameters(exposure_scope="balance_and_order"), "parameters.exposure_scope", "did you mean 'balance_and_orders'"),
    (parameters(evaluate_on="commands"), "parameters.evaluate_on", "did you mean 'command'"),
    (parameters(automatic_release=True), "parameters.automatic_release", ""),
    (rule(type="order_amont"), "rules[0].type", "did you mean 'order_amount'"),
    (rule(kind="blokking"), "rules[0].kind", "did you mean 'blocking'"),
    (rule(scope="groups", account="x"), "rules[0].scope", "did you mean 'group'"),
    (rule(value_type="day"), "rules[0].value_type", "did you mean 'days'"),
    (rule(checkpoints=["packing_slips"]), "rules[0].checkpoints", "packing_slip"),
    ({"account_statuses": [{"id": "x", "effect": "hold"}]}, "account_statuses[0].effect", "did you mean 'hold_all'"),
    (scoring(type="user_define"), "scoring_groups[0].type", "did you mean 'user_defined'"),
    ({"limit_approval": {"by": "lines"}}, "limit_approval.by", "did you mean 'line'"),
    # types
    (parameters(check_credit_limit="yes"), "parameters.check_credit_limit", ""),
    (parameters(credit_horizon_days="7"), "parameters.credit_horizon_days", ""),
    (parameters(credit_horizon_days=1.5), "parameters.credit_horizon_days", ""),
    (parameters(release_tolerance_percent=10), "parameters.release_tolerance_percent", "quotation marks"),
    (parameters(aging_buckets_days=30), "parameters.aging_buckets_days", ""),
    ({"parameters": []}, "parameters", "table"),
    ({"rules": {}}, "rules", "list of tables"),
    ({"rules": ["limit"]}, "rules[0]", "table"),
    (rule(amount=500), "rules[0].amount", "quotation marks"),
    (rule(percent=80.5), "rules[0].percent", "quotation marks"),
    (rule(enabled=1), "rules[0].enabled", ""),
    ({"payment_terms": [{"id": "NET30", "rank": "30"}]}, "payment_terms[0].rank", ""),
    # what is missing
    ({"rules": [{"type": "order_amount"}]}, "rules[0].id", "missing"),
    ({"rules": [{"id": "r"}]}, "rules[0].type", "missing"),
    (rule(scope="customer"), "rules[0].account", "customer"),
    (rule(scope="group"), "rules[0].account", "credit management group"),
    (rule(type="account_status"), "rules[0].value", "account status"),
    (rule(type="payment_terms"), "rules[0].value", "payment terms"),
    (rule(type="risk_group"), "rules[0].value", "risk group"),
    (scoring(attribute=""), "scoring_groups[0].attribute", "attribute"),
    (automatic(currency=""), "automatic_limits[0].currency", "currency"),
    ({"release_approval": {"steps": [{"currency": "USD"}]}}, "release_approval.steps[0].role", "missing"),
    # ranges
    (parameters(credit_horizon_days=-2), "parameters.credit_horizon_days", "-1"),
    (parameters(release_valid_days=-1), "parameters.release_valid_days", "0"),
    (parameters(max_input_age_minutes=-2), "parameters.max_input_age_minutes", "-1"),
    (parameters(statistics_months_1=0), "parameters.statistics_months_1", "1"),
    (parameters(event_id_retention_days=0), "parameters.event_id_retention_days", "1"),
    (parameters(release_tolerance_percent="-1"), "parameters.release_tolerance_percent", "from 0 on"),
    (parameters(release_tolerance_percent="ten"), "parameters.release_tolerance_percent", "decimal"),
    (parameters(business_time_zone="Europe/Berln"), "parameters.business_time_zone", "Europe/Berlin"),
    (parameters(business_time_zone=""), "parameters.business_time_zone", ""),
    (parameters(risk_score_update_at="2:00"), "parameters.risk_score_update_at", "02:00"),
    (parameters(balance_statistics_update_at="24:00"), "parameters.balance_statistics_update_at", "02:00"),
    (parameters(aging_buckets_days=[30, 30]), "parameters.aging_buckets_days", "rising"),
    (parameters(aging_buckets_days=[]), "parameters.aging_buckets_days", "rising"),
    ({"checkpoints": {"order_entry": {"grace_days": -1}}}, "checkpoints.order_entry.grace_days", "0"),
    (rule(days=-1), "rules[0].days", "0"),
    (rule(percent="-1"), "rules[0].percent", "from 0 on"),
    (rule(percent="1e2"), "rules[0].percent", "decimal"),
    (rule(amount="-1"), "rules[0].amount", "from 0 on"),
    (rule(amount="much"), "rules[0].amount", "amount"),
    (rule(amount="1.001", currency="USD"), "rules[0].amount", "decimals"),
    (rule(amount="1", currency="EUROS"), "rules[0].currency", "ISO 4217"),
    (rule(amount="1", currency="EUX"), "rules[0].currency", "did you mean"),
    ({"release_approval": {"steps": [{**STEP, "people": 0}]}}, "release_approval.steps[0].people", "one person"),
    ({"limit_approval": {"steps": [{**STEP, "above": "-1"}]}}, "limit_approval.steps[0].above", "from 0 on"),
    ({"limit_approval": {"steps": [{**STEP, "currency": "EUX"}]}}, "limit_approval.steps[0].currency", "did you mean"),
    (automatic(maximum_revenue="-1"), "automatic_limits[0].maximum_revenue", "from 0 on"),
    (
        automatic(lines=[{"scoring_group": "age", "comparison": "above", "value": 1, "credit_limit": "-1"}]),
        "automatic_limits[0].lines[0].credit_limit",
        "from 0 on",
    ),
    # what does not go together
    (rule(account="C1"), "rules[0].account", "scope"),
    (rule(scope="customer", account="C1", risk_group="low"), "rules[0].risk_group", "scope"),
    (rule(release_order=True), "rules[0].release_order", "exclusion"),
    ({"rules": [LIMIT, LIMIT]}, "rules[1].id", "'limit'"),
    (rule(id=""), "rules[0].id", "empty"),
    ({"payment_terms": [{"id": "A"}, {"id": "B"}, {"id": "A"}]}, "payment_terms[2].id", "'A'"),
    ({"actors": [{"id": "ana"}, {"id": "ana"}]}, "actors[1].id", "'ana'"),
    ({"checkpoints": {"confirmation": {"posting": True, "grace_days": 2}}}, "checkpoints", "order_entry"),
    ({"risk_groups": [RANGE, {"id": "high", "from": 10, "to": 20}]}, "risk_groups[1]", "risk_groups[0]"),
    ({"risk_groups": [{"id": "low", "from": 11, "to": 10}]}, "risk_groups[0]", "from"),
    (
        scoring(ranges=[{"from": "0", "to": "1.5", "score": 1}, {"from": "1.5", "to": "2", "score": 2}]),
        "scoring_groups[0].ranges[1]",
        "scoring_groups[0].ranges[0]",
    ),
    (scoring(ranges=[{"from": "x", "to": 2, "score": 1}]), "scoring_groups[0].ranges[0]", "decimal"),
    (
        automatic(lines=[{"scoring_group": "ages", "comparison": "above", "value": 1, "credit_limit": "1"}]),
        "automatic_limits[0].lines[0].scoring_group",
        "did you mean 'age'",
    ),
    (
        automatic(lines=[{"scoring_group": "age", "comparison": "over", "value": 1, "credit_limit": "1"}]),
        "automatic_limits[0].lines[0].comparison",
        "above",
    ),
]


@pytest.mark.parametrize(("document", "place", "said"), FAULTS, ids=[json.dumps(fault[0]) for fault in FAULTS])
def test_a_fault_is_found_with_its_place_and_what_to_do(document: dict[str, Any], place: str, said: str) -> None:
    """Spec 12: one fault, one place, and a sentence with the nearest name or what can be written."""
    (fault,) = check(document, CURRENCIES)
    assert fault.place == place
    assert said in fault.message
    assert fault.message == fault.message.strip()


GOOD: list[dict[str, Any]] = [
    {},
    BLOCK,
    rule(amount="1.001", currency="KWD"),
    rule(percent="12.5", amount="0", currency="JPY"),
    rule(scope="group", account="wholesale", risk_group="low"),
    rule(kind="exclusion", release_order=True),
    parameters(business_time_zone="Europe/Berlin", risk_score_update_at="", aging_buckets_days=[1]),
    parameters(credit_horizon_days=0, max_input_age_minutes=0),
    {"checkpoints": {"order_entry": {"grace_days": 1}, "confirmation": {"posting": True, "grace_days": 2}}},
    {"checkpoints": {"confirmation": {"grace_days": 2}}},
    {"risk_groups": [RANGE, {"id": "high", "from": 11, "to": 20}]},
    {"risk_groups": [{"id": "high", "from": "10.01", "to": "20"}, RANGE]},
    scoring(ranges=[{"from": -5, "to": -1, "score": -1}, {"from": 0, "to": 0, "score": 0}]),
    automatic(),
    {"release_approval": {"steps": [STEP], "then": "manual"}, "limit_approval": {"by": "line", "steps": [STEP]}},
]


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_good_settings_have_no_fault(document: dict[str, Any]) -> None:
    """The other side of each boundary; what is checked can be compiled."""
    assert check(document, CURRENCIES) == []
    assert isinstance(compiled(json.dumps(document)), Settings)


def test_every_fault_is_found_at_once() -> None:
    """Spec 12: settings are mended in one go, not fault by fault."""
    document = {"parameters": {"limit_bondary": "above", "stale_policy": "x"}, "rules": [{"id": "r", "kind": "x"}]}
    places = {fault.place for fault in check(document, CURRENCIES)}
    assert places == {"parameters.limit_bondary", "parameters.stale_policy", "rules[0].kind", "rules[0].type"}
    second = {**parameters(credit_horizon_days=-2), "rules": [{"id": "r", "type": "order_amount", "days": -1}]}
    assert [fault.place for fault in check(second, CURRENCIES)] == ["parameters.credit_horizon_days", "rules[0].days"]


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "1", "{", "null", "[" * 100_000], ids=range(7))
def test_a_document_that_is_no_json_object_is_a_fault(text: str) -> None:
    """Spec 12: rubbish on the stream of settings is refused like a wrong name."""
    (fault,) = check_text(text, CURRENCIES)
    assert fault.place == "document"


def defaults_of(section: type[msgspec.Struct]) -> dict[str, object]:
    """The fields of a section that have a default, as TOML would say them."""
    fields = [field for field in msgspec.structs.fields(section) if not field.required]
    return {field.encode_name: msgspec.to_builtins(field.default) for field in fields}


def as_toml(value: object) -> object:
    """Tuples are lists there."""
    return list(value) if isinstance(value, tuple) else value


def test_the_defaults_of_parameters_are_those_of_the_interface() -> None:
    """Interface section 3: every parameter, and no other."""
    parameters_now = msgspec.to_builtins(Document().parameters)
    assert {name: as_toml(value) for name, value in parameters_now.items()} == BLOCK["parameters"]


def test_the_defaults_of_checkpoints_are_those_of_the_interface() -> None:
    """Order entry checks, the others do not."""
    table = msgspec.to_builtins(CheckpointTable())
    expected = BLOCK["checkpoints"]["order_entry"]
    others = {name: {**expected, "posting": False} for name in CHECKPOINTS if name != "order_entry"}
    assert table == {"order_entry": expected, **others}


def test_the_defaults_of_a_rule_are_those_of_the_interface() -> None:
    """All but the id and the type."""
    expected = {name: value for name, value in BLOCK["rules"][0].items() if name not in ("id", "type")}
    assert {name: as_toml(value) for name, value in defaults_of(Rule).items()} == expected


def test_the_sections_are_those_of_the_interface() -> None:
    """No table more and none less."""
    names = {field.name for field in msgspec.structs.fields(Document)}
    assert names == {"parameters", "checkpoints", "rules", "release_approval", "limit_approval", *SECTIONS}


def test_the_block_of_the_interface_is_what_is_in_force_without_settings() -> None:
    """Writing down the defaults changes nothing, its one rule apart."""
    written = compiled(json.dumps({**BLOCK, "rules": []}))
    assert written.document == compiled("{}").document
