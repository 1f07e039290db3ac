"""Broken variants of the core: of boundaries, of what counts, and of what comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace as changed

from credit_stream.core import evaluation, invoices, payments
from credit_stream.core import step as core_step
from credit_stream.core.accounts import Ledger
from credit_stream.core.events import Event
from credit_stream.core.facts import Facts
from credit_stream.core.outputs import ExposureBuckets, InputPosition
from credit_stream.core.rows import SEEN, Order
from credit_stream.core.view import StepResult, View
from tests.simulation.mutation import mutant


@mutant
def an_order_that_reaches_the_limit_is_held() -> Iterator[None]:
    """The boundary is off by one, on the safe side."""
    look = Facts.uses_more_than
    with patch.object(Facts, "uses_more_than", lambda facts, percent, *, or_equal: look(facts, percent, or_equal=True)):
        yield


@mutant
def an_order_that_passes_the_limit_by_one_is_released() -> Iterator[None]:
    """The boundary is off by one, on the other side."""
    look = Facts.uses_more_than

    def lenient(facts: Facts, percent: str, *, or_equal: bool) -> Any:
        hit, line = look(facts, percent, or_equal=or_equal)
        is_less, _ = look(changed(facts, used_after_minor=facts.used_after_minor - 1), percent, or_equal=or_equal)
        return hit and is_less, line

    with patch.object(Facts, "uses_more_than", lenient):
        yield


@mutant
def an_invoice_counts_beside_its_order() -> Iterator[None]:
    """The same goods twice (spec 3.3)."""
    with patch.object(invoices, "less_invoice", lambda ledger, order, invoice: (order, invoice)):
        yield


@mutant
def event_ids_are_forgotten() -> Iterator[None]:
    """What comes twice is done twice."""
    step = core_step.step

    def forget(view: View, event: Event, position: InputPosition) -> StepResult:
        result = step(view, event, position)
        return changed(result, writes={key: row for key, row in result.writes.items() if key[0] is not SEEN})

    with patch.object(core_step, "step", forget):
        yield


@mutant
def secured_amounts_count() -> Iterator[None]:
    """As if nobody had guaranteed for them (spec 3.7)."""
    parts_of = Ledger.parts_of
    with patch.object(Ledger, "parts_of", lambda ledger, order: parts_of(ledger, changed(order, secured_minor=0))):
        yield


@mutant
def freed_credit_is_offered_to_everybody() -> Iterator[None]:
    """Each held order finds all of it (spec 7.4)."""
    with patch.object(evaluation, "open_part_of", lambda work, ledger, hold: 0):
        yield


@mutant
def held_orders_use_credit() -> Iterator[None]:
    """Though the parameter says that they do not (spec 3.4)."""
    buckets = Ledger.buckets

    def with_held(ledger: Ledger, without: Order | None = None) -> ExposureBuckets:
        found, held = buckets(ledger, without), ledger.account.held_orders_minor
        orders = found.open_orders_minor + held
        return changed(found, open_orders_minor=orders, total_minor=found.total_minor + held)

    with patch.object(Ledger, "buckets", with_held):
        yield


@mutant
def a_bounced_payment_stays_paid() -> Iterator[None]:
    """What it had settled is not opened again (G14)."""
    with patch.object(payments, "unsettle", lambda ledger, invoice, whole, kind, credit_id: invoice):
        yield


@mutant
def invoices_never_fall_due() -> Iterator[None]:
    """The day after the due date is a day like any other (spec 10.2)."""
    with patch.object(Ledger, "fall_due", lambda ledger, due: None):
        yield


@mutant
def a_cancelled_order_keeps_its_credit() -> Iterator[None]:
    """Its open part is not 0 (spec 3.2)."""
    parts_of = Ledger.parts_of

    def keep(ledger: Ledger, order: Order) -> tuple[int, int]:
        return parts_of(ledger, changed(order, lifecycle="open") if order.lifecycle == "cancelled" else order)

    with patch.object(Ledger, "parts_of", keep):
        yield


@mutant
def an_order_counts_twice_in_its_own_check() -> Iterator[None]:
    """Once as it stands, once as the one that is checked (spec 3.5)."""
    buckets = Ledger.buckets
    with patch.object(Ledger, "buckets", lambda ledger, without=None: buckets(ledger)):
        yield
