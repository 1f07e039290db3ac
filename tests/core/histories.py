"""Random histories of one customer, played through the host in memory beside the books of `model`.

The moves are in `moves`. Each knows whether its event is to be accepted or refused; after each the published exposure
must be what the books add up to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from credit_stream.core import events as e
from credit_stream.core.outputs import CreditDecision, DeadLetter, Exposure
from credit_stream.hosts.memory import MemoryHost, Produced
from tests.core.model import Books, total

CUSTOMER = "C1"
FIRST_DAY = 20_514
"""2026-03-02."""
DAY_MS = 86_400_000
LIMIT = 200_000
LATE_DAYS = 3
RATES = {"USD": ("1", 2), "EUR": ("2", 2), "JPY": ("0.03", 0)}
"""Currencies of documents, with units of the credit currency for one, and decimals: every amount converts exactly."""
SCOPES = ("balance_and_orders", "balance_and_delivered", "balance", "none")

Event = TypeVar("Event", bound=e.Event)


class Variant(msgspec.Struct, frozen=True):
    """The parameters under which a history is played."""

    scope: str = "balance_and_orders"
    unapplied_counts: bool = True
    held_counts: bool = False
    automatic_release: str = "off"
    currency: str = "USD"

    @property
    def factor(self) -> int:
        """Minor units of the credit currency for one of the documents' currency."""
        return {"USD": 1, "EUR": 2, "JPY": 3}[self.currency]

    def document(self) -> str:
        """The settings as JSON."""
        parameters = {
            "exposure_scope": self.scope,
            "unapplied_payments_reduce_exposure": self.unapplied_counts,
            "held_orders_consume_credit": self.held_counts,
            "automatic_release": self.automatic_release,
        }
        rules = [
            {"id": "limit", "type": "credit_limit_used"},
            {"id": "late", "type": "days_overdue", "days": LATE_DAYS},
        ]
        return json.dumps({"parameters": parameters, "rules": rules})


class History:
    """A customer's history while it is played."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.host = MemoryHost(settings_document=variant.document())
        self.books = Books(today=FIRST_DAY)
        self.sent: list[e.Event] = []
        self.seconds = 0
        self.published: Exposure | None = None
        self.forced: set[str] = set()
        self.outputs: list[Produced] = []
        pair = {"from_currency": variant.currency, "to_currency": "USD", "rate": RATES[variant.currency][0]}
        if variant.currency != "USD":
            self.send(e.ExchangeRatePublished, valid_from=0, **pair)
        self.send(e.CustomerUpdated, customer_id=CUSTOMER, credit_currency="USD", credit_limit_minor=LIMIT)

    # --- sending ------------------------------------------------------------------------------------------------

    def send(self, event_type: type[Event], *, refused: bool = False, **fields: Any) -> list[Produced]:
        """Sends an event, which must be accepted, or refused."""
        self.seconds += 1
        occurred_at = self.books.today * DAY_MS + 36_000_000 + self.seconds * 1000
        head = {"event_id": f"e{len(self.sent)}", "occurred_at": occurred_at, "actor": "ana"}
        event = event_type(**head, **fields)
        produced = self.take(event)
        dead = [record for _, _, record in produced if isinstance(record, DeadLetter)]
        assert bool(dead) == refused, f"{event} was {'refused: ' + dead[0].message if dead else 'accepted'}"
        self.sent.append(event)
        return produced

    def take(self, event: e.Event) -> list[Produced]:
        """What an event leads to; verdicts go to the books, exposure is kept."""
        produced = self.host.process_event(event)
        self.outputs += produced
        for _, _, record in produced:
            if isinstance(record, Exposure):
                self.published = record
        return produced

    def note_verdicts(self, produced: Sequence[Produced]) -> None:
        """Whether orders are on hold is the core's to say."""
        for _, _, record in produced:
            if isinstance(record, CreditDecision) and not record.pro_forma:
                self.books.orders[record.order_id].verdict = record.verdict

    # --- comparing ----------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """What is published is what the books add up to."""
        variant = self.variant
        in_documents = self.books.buckets(variant.held_counts)
        expected = {name: amount * variant.factor for name, amount in in_documents.items()}
        wanted = total(expected, variant.scope, variant.unapplied_counts)
        shown = self.published
        assert shown is not None and shown.exposure_minor == wanted, f"{wanted} expected, {expected}, got {shown}"
        if variant.scope == "balance_and_orders" and variant.unapplied_counts:
            assert {name: getattr(shown, f"{name}_minor") for name in expected} == expected
        assert shown.available_minor == LIMIT - wanted

    def compare_check(self, order_id: str, produced: Sequence[Produced]) -> None:
        """A check counts its order once and everything else as it is; its reasons are those of the two rules."""
        decision = next(r for _, _, r in produced if isinstance(r, CreditDecision) and r.order_id == order_id)
        variant, books = self.variant, self.books
        others = Books(books.orders.copy(), books.invoices, books.payments, books.credits, books.today)
        del others.orders[order_id]
        before = total(others.buckets(variant.held_counts), variant.scope, variant.unapplied_counts) * variant.factor
        open_amount = sum(books.parts_of(order_id)) * variant.factor
        assert (decision.exposure_before.total_minor, decision.order_open_amount_minor) == (before, open_amount)
        assert decision.exposure_after.total_minor == before + open_amount
        parts = [part for invoice in books.invoices.values() for part in invoice.open_parts()]
        late = any(amount and books.today - due > LATE_DAYS for due, amount in parts)
        above = open_amount > 0 and before + open_amount > LIMIT and variant.scope != "none"
        assert decision.reasons == ("invoice_overdue",) * late + ("credit_limit_exceeded",) * above

    def text(self, minor: int) -> str:
        """An amount as a settlement or a delivery says it, in the documents' currency."""
        decimals = RATES[self.variant.currency][1]
        return str(minor) if decimals == 0 else f"{minor // 100}.{minor % 100:02}"

    # --- what there is to choose from ---------------------------------------------------------------------------

    def orders(self, *states: str, verdicts: tuple[str, ...] = ("released", "on_hold")) -> list[str]:
        """Orders in one of these states and with one of these verdicts."""
        return [id for id, o in self.books.orders.items() if o.state in states and o.verdict in verdicts]

    def invoices(self) -> list[str]:
        """Invoices of which something is open."""
        return [id for id, invoice in self.books.invoices.items() if invoice.open > 0]

    def payments(self) -> list[str]:
        """Payments that have not come back."""
        return [id for id, payment in self.books.payments.items() if not payment.reversed]


variants = st.builds(
    Variant,
    scope=st.sampled_from(SCOPES),
    unapplied_counts=st.booleans(),
    held_counts=st.booleans(),
    automatic_release=st.sampled_from(["off", "without_posting"]),
    currency=st.sampled_from(tuple(RATES)),
)
