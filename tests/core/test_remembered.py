"""What the core remembers so as not to work it out again: it never shows where it should not, and it has a bound."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from credit_stream.core import money
from credit_stream.core.events import CustomerUpdated, Event, OrderPlaced, SettingsPublished
from credit_stream.core.kept import decision_of_values, values_of
from credit_stream.core.outputs import CreditDecision, Exposure
from credit_stream.core.rows import Seen
from credit_stream.core.settings import CHOICES_KEPT_MAX, Rule, RulesAt, compiled
from credit_stream.hosts.memory import MemoryHost
from tests.wire.made_records import records


def host_of(**rules: dict[str, object]) -> MemoryHost:
    """A host with these rules, a customer with a limit of 1,000 and a group."""
    host = MemoryHost(settings_document=document_of(**rules))
    host.process_event(
        CustomerUpdated(
            event_id="c", occurred_at=1, customer_id="C1", credit_currency="EUR", credit_limit_minor=100_000,
            credit_management_group="wholesale",
        )
    )  # fmt: skip
    return host


def document_of(parameters: dict[str, object] | None = None, **rules: dict[str, object]) -> str:
    """A settings document."""
    return json.dumps({"parameters": parameters or {}, "rules": [{"id": name, **rule} for name, rule in rules.items()]})


def decided(host: MemoryHost, event: Event) -> CreditDecision:
    """The decision that an event leads to."""
    (decision,) = [record for _, _, record in host.process_event(event) if isinstance(record, CreditDecision)]
    return decision


def order(number: int, amount_minor: int) -> OrderPlaced:
    """An order of the customer."""
    return OrderPlaced(
        event_id=f"o{number}", occurred_at=2, order_id=f"O{number}", customer_id="C1", amount_minor=amount_minor,
        currency="EUR",
    )  # fmt: skip


# --- settings ---------------------------------------------------------------------------------------------------


def test_a_rule_that_keeps_its_id_and_changes_its_figure_is_judged_by_the_new_one() -> None:
    """Choices of rules, bounds and thresholds are remembered; none of them outlives the settings that it is from."""
    rule: dict[str, object] = {"type": "order_amount", "scope": "group", "account": "wholesale"}
    host = host_of(big={**rule, "amount": "50"}, limit={"type": "credit_limit_used"})
    assert decided(host, order(1, 6_000)).reasons == ("order_amount",)
    changed = document_of(big={**rule, "amount": "70"}, limit={"type": "credit_limit_used", "percent": "5"})
    host.process_event(SettingsPublished(event_id="s", occurred_at=3, version=2, document=changed))
    decision = decided(host, order(2, 6_000))
    assert decision.reasons == ("credit_limit_exceeded",)
    assert [outcome.threshold for outcome in decision.rules] == ["70.00", "50.00"]


def test_a_customer_who_changes_its_group_is_judged_by_the_rules_of_the_new_one() -> None:
    """The choice of rules goes by what the customer is at the check."""
    host = host_of(big={"type": "order_amount", "scope": "group", "account": "wholesale", "amount": "1"})
    assert decided(host, order(1, 200)).verdict == "on_hold"
    host.process_event(
        CustomerUpdated(
            event_id="c2", occurred_at=3, customer_id="C1", credit_currency="EUR", credit_management_group="retail"
        )
    )
    assert decided(host, order(2, 200)).verdict == "released"


def test_a_parameter_that_changes_what_exposure_is_publishes_it_though_no_account_changed() -> None:
    """Spec 3.9: whenever it changes. A step looks at the exposure of an unchanged account if the settings moved."""
    host = host_of()
    decided(host, order(1, 5_000))
    changed = document_of({"exposure_scope": "balance"})
    produced = host.process_event(SettingsPublished(event_id="s", occurred_at=3, version=2, document=changed))
    assert [record.exposure_minor for _, _, record in produced if isinstance(record, Exposure)] == [0]


def speaks(rule: Rule, customer_id: str, group: str | None, risk_group: str | None, is_counted: bool) -> bool:
    """Spec 5.3 and 15 in the plainest words."""
    who = {"all": "", "group": group, "customer": customer_id}[rule.scope]
    is_limit = rule.type == "credit_limit_used"
    return rule.account == who and rule.risk_group in ("", risk_group) and (is_counted or not is_limit)


@pytest.mark.parametrize("seed", range(5))
def test_the_rules_of_a_customer_are_those_that_a_look_at_every_rule_finds(seed: int) -> None:
    """And in the same order; customers and groups are many more than rules name."""
    rng = random.Random(seed)
    rules = []
    for number in range(60):
        scope = rng.choice(["all", "group", "customer"])
        account = {"all": "", "group": f"g{rng.randrange(9)}", "customer": f"c{rng.randrange(900)}"}[scope]
        risk_group = "" if scope == "customer" else rng.choice(["", "", "low", "high"])
        kind = rng.choice(["order_amount", "credit_limit_used"])
        rules.append(Rule(id=str(number), type=kind, scope=scope, account=account, risk_group=risk_group))  # type: ignore[arg-type]
    chosen = RulesAt(rules)
    for _ in range(3_000):
        customer_id, group = f"c{rng.randrange(900)}", rng.choice([None, f"g{rng.randrange(12)}"])
        risk_group, is_counted = rng.choice([None, "low", "high", "none"]), rng.random() < 0.5
        expected = [rule.id for rule in rules if speaks(rule, customer_id, group, risk_group, is_counted)]
        found = [rule.id for rule, _ in chosen.of(customer_id, group, risk_group, is_counted)]
        assert found == expected, f"seed {seed}"


def test_the_choices_that_are_remembered_have_a_bound() -> None:
    """Customers with rules of their own times groups may be many."""
    named = [Rule(id=f"c{n}", type="order_amount", scope="customer", account=f"c{n}") for n in range(90)]
    grouped = [Rule(id=f"g{n}", type="order_amount", scope="group", account=f"g{n}") for n in range(90)]
    chosen = RulesAt([*named, *grouped])
    most = 0
    for customer in range(90):
        for group in range(90):
            found = [rule.id for rule, _ in chosen.of(f"c{customer}", f"g{group}", None, True)]
            assert found == [f"c{customer}", f"g{group}"]
            most = max(most, len(chosen._chosen))
    assert most == CHOICES_KEPT_MAX


def test_equal_documents_are_compiled_once_and_others_apart() -> None:
    """Every step asks for the settings in force."""
    one, other = document_of(a={"type": "order_amount"}), document_of(b={"type": "order_amount"})
    assert compiled(one) is compiled(one)
    assert compiled(one).document != compiled(other).document


# --- figures ----------------------------------------------------------------------------------------------------


@given(st.integers(-(10**17), 10**17), st.sampled_from([0, 2, 3, 4]))
def test_an_amount_as_text_is_its_decimal(amount_minor: int, decimals: int) -> None:
    """Whatever was remembered of other amounts and other currencies."""
    written = money.text(amount_minor, decimals)
    assert Decimal(written) == Decimal(amount_minor).scaleb(-decimals)
    assert len(written.partition(".")[2]) == decimals


@given(st.integers(0, 10**9), st.integers(0, 6), st.sampled_from([0, 2, 3]), st.integers(0, 10**9))
def test_a_bound_compares_whole_minor_units_as_the_exact_amount_does(
    digits: int, places: int, decimals: int, observed: int
) -> None:
    """More than the amount, and less than it, to the last digit that a currency does not have."""
    amount = Decimal(digits).scaleb(-places)
    figure = Decimal(observed).scaleb(-decimals)
    assert (observed > money.bound(f"{amount:f}", decimals, False)) == (figure > amount)
    assert (observed < money.bound(f"{amount:f}", decimals, True)) == (figure < amount)


# --- decisions --------------------------------------------------------------------------------------------------


@given(st.lists(records(CreditDecision), max_size=2))
def test_a_kept_decision_comes_back_equal(decisions: list[CreditDecision]) -> None:
    """From the row as a step made it, and from the bytes of a store (spec 2: published again, byte for byte)."""
    row = Seen(b"hash", tuple(map(values_of, decisions)))
    stored = msgpack.decode(msgpack.encode(row), type=Seen)
    assert [decision_of_values(values) for values in row.decisions] == decisions
    assert [decision_of_values(values) for values in stored.decisions] == decisions


def test_the_first_settings_change_exposures_that_were_counted_before_them() -> None:
    """They have version 1, as what is in force without any; what was published before is looked at all the same."""
    host = MemoryHost()
    host.process_event(CustomerUpdated(event_id="c", occurred_at=1, customer_id="C1", credit_currency="EUR"))
    host.process_event(order(1, 40_000))
    document = document_of({"exposure_scope": "balance"})
    published = host.process_event(SettingsPublished(event_id="s", occurred_at=3, version=1, document=document))
    (exposure,) = [record for _, _, record in published if isinstance(record, Exposure)]
    assert exposure.open_orders_minor == 0
