"""More is not less: what a better or worse standing of a customer never does to a decision.

Random rule books and random customers, found and made small by Hypothesis. Each claim is about one check of the same
order on the same books, never about a whole history: credit that lets an earlier order in is gone for a later one.
Where a claim ends is written down beside it, and shown by a case in `cases/more_is_not_less.txt`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from credit_stream.core import events as e
from credit_stream.core.facts import Facts, Line
from credit_stream.core.outputs import CreditDecision, DeadLetter
from credit_stream.core.rules import RULE_TYPES
from credit_stream.hosts.memory import MemoryHost, Produced
from tests.core.histories import CUSTOMER, DAY_MS, FIRST_DAY
from tests.every_decision import EXPLAINER

CHECKS = settings(max_examples=150)
CANARIES = settings(max_examples=1000, database=None, derandomize=True, phases=[Phase.generate])
STEP, STEPS = 100, 20
"""Amounts are few and round, so that limits, rules and documents often meet exactly."""
OVERDUE_TYPES = ("days_overdue", "overdue_amount")
STATUSES = ("slow", "good")
TERMS = ("NET30", "NET60")


# --- a rule book ------------------------------------------------------------------------------------------------


def rules(kind: str, *, release_order: bool = False, types: Iterable[str] = RULE_TYPES) -> st.SearchStrategy[Any]:
    """A rule of this kind about anything, for all, for the customer's group or for the customer."""
    scopes = [{"scope": "all"}, {"scope": "group", "account": "retail"}, {"scope": "customer", "account": CUSTOMER}]
    return st.builds(
        lambda scope, **fields: {"kind": kind, "release_order": release_order, **scope, **fields},
        scope=st.sampled_from(scopes),
        type=st.sampled_from(tuple(types)),
        days=st.integers(0, 6),
        value_type=st.sampled_from(["days", "amount"]),
        amount=amounts.map(decimal_text),
        currency=st.sampled_from(["", "", "EUR"]),
        percent=st.sampled_from(["0", "33.3", "50", "80", "100", "120"]),
        value=st.sampled_from([*STATUSES, *TERMS]),
    )


def decimal_text(minor: int) -> str:
    """Cents as settings write them."""
    return f"{minor // 100}.{minor % 100:02}"


amounts = st.integers(0, STEPS).map(lambda steps: steps * STEP)
LIMIT_RULE = {"type": "credit_limit_used", "kind": "blocking", "scope": "all", "percent": "100"}

parameters = st.fixed_dictionaries(
    {
        "exposure_scope": st.sampled_from(["balance", "balance_and_delivered", "balance_and_orders"]),
        "limit_boundary": st.sampled_from(["above", "at_or_above"]),
        "ignore_blank_expiry": st.booleans(),
        "unapplied_payments_reduce_exposure": st.booleans(),
        "held_orders_consume_credit": st.booleans(),
    }
)


def books(*release_orders: str) -> st.SearchStrategy[str]:
    """Settings with some blocking rules and exclusions; exclusions about these types may have release order."""
    blocking = st.lists(rules("blocking"), max_size=2).map(lambda more: [LIMIT_RULE, *more])
    plain = st.lists(rules("exclusion"), max_size=2)
    at_once = st.lists(rules("exclusion", release_order=True, types=release_orders), max_size=1)
    return st.builds(_document, parameters, blocking, plain, at_once)


def _document(parameters: dict[str, Any], *lists: list[dict[str, Any]]) -> str:
    found = [{**rule, "id": f"r{number}"} for number, rule in enumerate(rule for each in lists for rule in each)]
    ranks = [{"id": terms, "rank": int(terms[3:])} for terms in TERMS]
    statuses = [{"id": "slow", "effect": "none"}]
    tables = {"rules": found, "payment_terms": ranks, "account_statuses": statuses}
    return json.dumps({"parameters": parameters, **tables})


# --- a customer before one order --------------------------------------------------------------------------------


class Invoice(msgspec.Struct, frozen=True):
    """An open invoice, perhaps on the customer's other order."""

    amount: int
    due_in: int
    on_other: bool


class Standing(msgspec.Struct, frozen=True):
    """A customer before one order. The other order is excluded from checks: it counts, whatever the limit is."""

    limit: int
    unlimited: bool
    mandatory: bool
    policy: int
    policy_included: bool
    status: str
    expires_in: int | None
    invoices: tuple[Invoice, ...]
    paid: int
    other: int
    delivered: int
    order: int
    secured: int
    terms: str


invoices = st.builds(
    Invoice, amount=amounts.map(lambda minor: minor + STEP), due_in=st.integers(-7, 7), on_other=st.booleans()
)
rises = st.sampled_from([1, STEP, 5 * STEP, 20 * STEP])
standings = st.builds(
    Standing,
    limit=amounts,
    unlimited=st.just(False),
    mandatory=st.sampled_from([False, False, False, True]),
    policy=st.sampled_from([0, 0, 300]),
    policy_included=st.booleans(),
    status=st.sampled_from(STATUSES),
    expires_in=st.none() | st.integers(-7, 2),
    invoices=st.lists(invoices, max_size=3).map(tuple),
    paid=amounts,
    other=amounts,
    delivered=amounts,
    order=amounts.map(lambda minor: minor - 2 * STEP),
    secured=st.sampled_from([0, 0, STEP, 3 * STEP]),
    terms=st.sampled_from(TERMS),
)


def released(document: str, standing: Standing) -> bool:
    """Whether this customer's order is released."""
    host = MemoryHost(settings_document=document)
    _send_standing(host, standing)
    order = {"amount_minor": standing.order, "secured_amount_minor": max(0, min(standing.order, standing.secured))}
    produced = send(host, e.OrderPlaced, order_id="O", currency="USD", payment_terms=standing.terms, **order)
    (decision,) = [record for _, _, record in produced if isinstance(record, CreditDecision)]
    return decision.verdict == "released"


def _send_standing(host: MemoryHost, standing: Standing) -> None:
    rate = {"from_currency": "USD", "to_currency": "EUR", "valid_from": FIRST_DAY, "rate": "0.9"}
    send(host, e.ExchangeRatePublished, **rate)
    expires = None if standing.expires_in is None else FIRST_DAY + standing.expires_in
    limit = {"credit_limit_minor": standing.limit, "credit_limit_expires_on": expires}
    flags = {"unlimited_credit": standing.unlimited, "mandatory_credit_limit": standing.mandatory}
    who = {"credit_currency": "USD", "credit_management_group": "retail", "account_status": standing.status}
    send(host, e.CustomerUpdated, payment_terms=TERMS[0], **who, **limit, **flags)
    if standing.policy:
        value = {"kind": "insurance", "value_minor": standing.policy, "currency": "USD", "update_percentage": "50"}
        dates = {"effective_on": FIRST_DAY, "expires_on": FIRST_DAY + 9}
        send(host, e.PolicyUpdated, policy_id="S", included_in_exposure=standing.policy_included, **value, **dates)
    if standing.other:
        send(host, e.OrderPlaced, order_id="other", amount_minor=standing.other, currency="USD", excluded=True)
        send(host, e.OrderDelivered, order_id="other", delivered_amount=decimal_text(standing.delivered))
    for number, invoice in enumerate(standing.invoices):
        dates = {"invoice_date": FIRST_DAY - 10, "due_date": FIRST_DAY + invoice.due_in}
        on = {"order_id": "other"} if invoice.on_other and standing.other else {}
        fields = {"invoice_id": f"I{number}", "amount_minor": invoice.amount, "currency": "USD", **on, **dates}
        send(host, e.InvoicePosted, **fields)
    if standing.paid:
        money = {"amount_minor": standing.paid, "currency": "USD", "received_on": FIRST_DAY}
        send(host, e.PaymentReceived, payment_id="P", **money)


def send(host: MemoryHost, event_type: type[e.Event], **fields: Any) -> list[Produced]:
    """Sends an event, of the customer where it is one's; it must be accepted."""
    event_id = f"e{sum(host.log.ends(0).values())}"
    whose = {} if event_type is e.ExchangeRatePublished else {"customer_id": CUSTOMER}
    event = event_type(event_id=event_id, occurred_at=FIRST_DAY * DAY_MS, **whose, **fields)
    produced = host.process_event(event)
    assert not [record for _, _, record in produced if isinstance(record, DeadLetter)], produced
    return produced


# --- the claims -------------------------------------------------------------------------------------------------

EVERY_BOOK = books(*RULE_TYPES)
WITHOUT_EXPIRY = books(*(name for name in RULE_TYPES if name != "credit_limit_expired"))
WITHOUT_OVERDUE = books(*(name for name in RULE_TYPES if name not in OVERDUE_TYPES))
"""Rule books; in the last two no exclusion about expired limits, or about what is overdue, has release order."""


def is_monotone(document: str, worse: Standing, better: Standing) -> bool:
    """Whether what is released for the worse standing is released for the better one."""
    return not released(document, worse) or released(document, better)


@CHECKS
@given(document=EVERY_BOOK, standing=standings, more=rises)
def test_a_higher_limit_never_turns_a_release_into_a_hold(document: str, standing: Standing, more: int) -> None:
    """Spec 4.3, 4.4: under any rules and exclusions. Not claimed of a limit of 0 in a group, which is no limit."""
    assert is_monotone(document, standing, replace(standing, limit=standing.limit + more))


@CHECKS
@given(document=WITHOUT_EXPIRY, standing=standings)
def test_unlimited_credit_never_turns_a_release_into_a_hold(document: str, standing: Standing) -> None:
    """Spec 4.3. Not claimed where an exclusion about expired limits has release order: unlimited never expires."""
    assert is_monotone(document, standing, replace(standing, unlimited=True))


@CHECKS
@given(document=WITHOUT_OVERDUE, standing=standings, invoice=invoices)
def test_one_more_open_invoice_never_turns_a_hold_into_a_release(
    document: str, standing: Standing, invoice: Invoice
) -> None:
    """Spec 5.3: on another order or on none. Not claimed of an invoice on the order itself, of an exclusion about what
    is overdue with release order, nor where an invoice makes stale inputs fresh."""
    assert is_monotone(document, replace(standing, invoices=(*standing.invoices, invoice)), standing)


@CHECKS
@given(document=EVERY_BOOK, standing=standings, more=rises)
def test_a_larger_order_never_turns_a_hold_into_a_release(document: str, standing: Standing, more: int) -> None:
    """Spec 5.3: under any rules and exclusions, from a return on."""
    assert is_monotone(document, replace(standing, order=standing.order + more), standing)


# --- cores that break them --------------------------------------------------------------------------------------


def limit_of_cents_alone(facts: Facts) -> Facts:
    """Of the limit only what is beyond whole ten dollars is seen."""
    total = facts.limit.total_minor
    return replace(facts, limit=replace(facts.limit, total_minor=None if total is None else total % (10 * STEP)))


def invoices_are_credit(facts: Facts) -> Facts:
    """What is owed is taken off what is used."""
    owed = facts.before.current_invoices_minor + facts.before.overdue_invoices_minor
    return replace(facts, used_after_minor=facts.used_after_minor - 2 * owed)


def orders_are_credit(facts: Facts) -> Facts:
    """What is ordered is taken off what is used."""
    return replace(facts, used_after_minor=facts.used_after_minor - 2 * facts.counted_minor)


Example = tuple[str, Standing, Standing]
"""A rule book, and a customer in a worse and in a better standing."""
BROKEN: tuple[tuple[Callable[[Facts], Facts], st.SearchStrategy[Example]], ...] = (
    (
        limit_of_cents_alone,
        st.builds(lambda book, s, more: (book, s, replace(s, limit=s.limit + more)), EVERY_BOOK, standings, rises),
    ),
    (
        invoices_are_credit,
        st.builds(lambda book, s, i: (book, replace(s, invoices=(i,)), s), WITHOUT_OVERDUE, standings, invoices),
    ),
    (
        orders_are_credit,
        st.builds(lambda book, s, more: (book, replace(s, order=s.order + more), s), EVERY_BOOK, standings, rises),
    ),
)


@pytest.mark.parametrize(("seen", "examples"), BROKEN, ids=[seen.__name__ for seen, _ in BROKEN])
def test_a_core_that_breaks_a_claim_is_found_out(
    seen: Callable[[Facts], Facts], examples: st.SearchStrategy[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples are good enough to find a core that sees limits, invoices or orders the wrong way round."""
    compare = Facts.uses_more_than

    def compare_wrongly(self: Facts, percent: str, *, or_equal: bool) -> tuple[bool, Line]:
        return compare(seen(self), percent, or_equal=or_equal)

    monkeypatch.setattr(Facts, "uses_more_than", compare_wrongly)
    with EXPLAINER.overlooking():
        found = find(examples, lambda example: not is_monotone(*example), settings=CANARIES)
        assert not is_monotone(*found)
