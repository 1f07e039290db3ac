"""What upstream sends: documents of a few customers, biased to the edges, and things that should not have been sent.

Amounts are those that reach a limit exactly, or pass it by one; events come in bursts of one instant, and about the
same customers and groups. Repeats, ids used twice, early and late documents, rubbish and strays come along.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from credit_stream.core import events as e
from credit_stream.core.topics import BROADCAST_TOPICS, INPUT_TOPICS, INTERNAL_TOPICS
from credit_stream.hosts.placing import place
from credit_stream.wire.avro import encode_event
from tests.simulation import rule_books

Kind = TypeVar("Kind", bound=e.Event)

DAY_MS = 86_400_000
FIRST_DAY = 20_514
"""2026-03-02."""
START_MS = FIRST_DAY * DAY_MS + 8 * 3_600_000
RATES = {("EUR", "USD"): "2", ("JPY", "USD"): "0.03", ("USD", "EUR"): "0.5", ("JPY", "EUR"): "0.015"}
CURRENCIES = (("USD", "USD", 1), ("USD", "USD", 1), ("USD", "EUR", 2), ("USD", "JPY", 3), ("EUR", "EUR", 1))
"""Credit currency, currency of the documents, minor units of the one for a minor unit of the other: all exact."""
RARE = "KWD"
"""A currency for which a rate comes late or never."""
DECIMALS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
LIMIT = 100_000
"""In minor units: the edge of nearly everything."""
FAR_DAY = FIRST_DAY + 3_650


@dataclass
class Plan:
    """How much is sent, about how many, and how wild. In a `strict` one only the rules release, and nothing that was
    released grows without asking: no pool is ever passed, whatever happens to the workers."""

    events: int
    customers: int
    groups: int
    strict: bool
    noise: float
    """Share of what should not have been sent."""
    repeats: float
    burst: float
    """How often the next event is of the same instant."""
    settings_changes: float
    document: rule_books.Document
    late_profiles: bool
    """Some profiles come after the first documents."""

    @classmethod
    def draw(cls, chance: random.Random, events: int) -> Plan:
        """Any plan."""
        is_strict = chance.random() < 0.3
        plain = chance.random() < 0.4
        document = rule_books.plain() if plain else rule_books.random_document(chance)
        return cls(
            events=int(events * chance.choice((0.3, 0.7, 1.0, 1.0, 1.5))),
            customers=chance.choice((2, 4, 6, 10)),
            groups=chance.choice((0, 1, 1, 2) if is_strict else (0, 0, 1, 1, 2, 3)),
            strict=is_strict,
            noise=chance.choice((0.0, 0.02, 0.1)),
            repeats=chance.choice((0.0, 0.05, 0.25)),
            burst=chance.choice((0.3, 0.7, 0.95)),
            settings_changes=0.0 if is_strict or plain else chance.choice((0.0, 0.01, 0.04)),
            document=rule_books.strict(chance) if is_strict else document,
            late_profiles=chance.random() < 0.3,
        )


@dataclass(frozen=True)
class Message:
    """One record for one partition of a topic."""

    topic: str
    partition: int
    key: str | None
    value: bytes


@dataclass
class Paper:
    """An order, an invoice or a payment as upstream knows it; amounts in minor units of the document's currency."""

    amount: int
    open: int
    order: str | None = None
    state: str = "open"


@dataclass
class Client:
    """A customer as upstream knows it. `used` is what it thinks is used of the limit, in the documents' currency."""

    customer_id: str
    currency: str
    documents: str
    factor: int
    limit: int
    group: str | None
    is_mandatory: bool = False
    is_unlimited: bool = False
    used: int = 0
    orders: dict[str, Paper] = field(default_factory=dict)
    invoices: dict[str, Paper] = field(default_factory=dict)
    payments: dict[str, Paper] = field(default_factory=dict)

    @property
    def edge(self) -> int:
        """The whole limit in the documents' currency."""
        return (self.limit or LIMIT) // self.factor

    def text(self, amount: int) -> str:
        """An amount as decimal text."""
        decimals = DECIMALS[self.documents]
        return str(amount) if not decimals else f"{amount // 10**decimals}.{amount % 10**decimals:0{decimals}}"


class Upstream:
    """Everybody who sends. `now` is what their clock shows; the world moves it."""

    def __init__(self, chance: random.Random, plan: Plan, partitions: int) -> None:
        self.now = START_MS
        self.plan = plan
        self._chance = chance
        self._partitions = partitions
        self._instant = START_MS
        self._numbers = 0
        self._version = 0
        self._sent: list[Message] = []
        self._group_currencies = {f"G{number}": chance.choice(("USD", "EUR")) for number in range(plan.groups)}
        self._clients = [self._new_client(number) for number in range(plan.customers)]
        self._left = plan.events
        self._moves = list(STRICT_MOVES if plan.strict else MOVES)
        self._weights = [(STRICT_MOVES if plan.strict else MOVES)[move] for move in self._moves]

    @property
    def is_done(self) -> bool:
        """Whether everything was sent."""
        return self._left <= 0

    def opening(self) -> Iterator[Message]:
        """Settings, rates, groups and most customers."""
        yield from self._settings(self.plan.document)
        for (one, other), rate in RATES.items():
            yield from self.send(
                e.ExchangeRatePublished, from_currency=one, to_currency=other, valid_from=FIRST_DAY - 400, rate=rate
            )
        for number in range(self.plan.groups):
            yield from self._group_event(f"G{number}", LIMIT)
        for client in self._clients:
            if not (self.plan.late_profiles and self._chance.random() < 0.5):
                yield from self._profile(client)

    def closing(self) -> Iterator[Message]:
        """Every customer is looked at once more, so that its last exposure is of the end."""
        for client in self._clients:
            yield from self._profile(client)
            yield from self._pay(client, 1)
            yield from self.send(e.EvaluateHolds, customer_id=client.customer_id, actor="ana")

    def next(self) -> list[Message]:
        """What is sent next."""
        chance, plan = self._chance, self.plan
        self._left -= 1
        if chance.random() >= plan.burst:
            self._instant = max(self._instant, self.now)
        if self._sent and chance.random() < plan.repeats:
            return [chance.choice(self._sent[-200:])]
        if chance.random() < plan.noise:
            return list(chance.choice(NOISE)(self))
        if chance.random() < plan.settings_changes:
            return list(self._settings(rule_books.random_document(chance)))
        while True:
            client = self._pick_client()
            messages = list(chance.choices(self._moves, self._weights)[0](self, client))
            if messages:
                return messages

    def send(self, event_type: type[Kind], **fields: Any) -> list[Message]:
        """An event, where it belongs."""
        self._numbers += 1
        late = self._chance.choice((0, 0, 0, 0, 3_600_000, 40 * DAY_MS)) if not self.plan.strict else 0
        event = event_type(event_id=f"e{self._numbers}", occurred_at=self._instant - late, **fields)
        return self._place(event)

    def _place(self, event: e.Event) -> list[Message]:
        placed = place(event, self._partitions)
        value = encode_event(event)
        messages = [Message(placed.topic, partition, placed.key, value) for partition in placed.partitions]
        self._sent += messages
        return messages

    # --- customers, groups, settings ----------------------------------------------------------------------------

    def _new_client(self, number: int) -> Client:
        chance, plan = self._chance, self.plan
        currency, documents, factor = chance.choice(CURRENCIES)
        group = f"G{chance.randrange(plan.groups)}" if plan.groups and chance.random() < 0.7 else None
        limit = chance.choice((LIMIT, LIMIT, LIMIT // 2, 0))
        client = Client(f"C{number}", currency, documents, factor, limit, group)
        if not plan.strict:
            client.is_mandatory = chance.random() < 0.1
            client.is_unlimited = chance.random() < 0.1
        return client

    def _pick_client(self) -> Client:
        """The first ones more often: a hot customer, a hot group."""
        clients = self._clients
        return clients[min(self._chance.randrange(len(clients)), self._chance.randrange(len(clients)))]

    def _profile(self, client: Client, **fields: Any) -> list[Message]:
        chance = self._chance
        if not self.plan.strict:
            fields = {
                "account_status": chance.choice((None, *rule_books.STATUSES)) if chance.random() < 0.2 else None,
                "payment_terms": chance.choice((None, *rule_books.TERMS)),
                "credit_management_group": chance.choice((None, *rule_books.MANAGEMENT_GROUPS)),
                "exclude_from_credit_management": chance.random() < 0.03,
                **fields,
            }
        expires = chance.choice((None, FAR_DAY)) if chance.random() < 0.9 else self._today + 10
        return self.send(
            e.CustomerUpdated,
            customer_id=client.customer_id,
            credit_currency=client.currency,
            unlimited_credit=client.is_unlimited,
            mandatory_credit_limit=client.is_mandatory,
            customer_credit_group=client.group,
            **{"credit_limit_minor": client.limit, "credit_limit_expires_on": expires, **fields},
        )

    def _update(self, client: Client) -> list[Message]:
        return self._profile(client, credit_limit_minor=self._chance.choice((None, None, client.limit, LIMIT * 2)))

    def _move(self, client: Client) -> list[Message]:
        """Into a group, out of it, or into another."""
        if not self.plan.groups:
            return []
        client.group = self._chance.choice((None, *(f"G{number}" for number in range(self.plan.groups))))
        return self._profile(client)

    def _group_event(self, group_id: str, limit: int) -> list[Message]:
        fields = {
            "credit_currency": self._group_currencies[group_id],
            "credit_limit_minor": limit,
            "credit_limit_expires_on": FAR_DAY,
        }
        return self.send(e.CreditGroupUpdated, group_id=group_id, name=group_id, **fields)

    def _group(self, client: Client) -> list[Message]:
        if not self.plan.groups:
            return []
        group_id = f"G{self._chance.randrange(self.plan.groups)}"
        if self._chance.random() < 0.15:
            return self.send(e.CreditGroupClosed, group_id=group_id)
        return self._group_event(group_id, self._chance.choice((LIMIT, LIMIT // 2, LIMIT * 2)))

    def _settings(self, document: rule_books.Document) -> list[Message]:
        self._version += 1
        return self.send(e.SettingsPublished, version=self._version, document=rule_books.text(document))

    def _policy(self, client: Client) -> list[Message]:
        if self._chance.random() < 0.2:
            return self.send(e.PolicyRemoved, policy_id="P1", customer_id=client.customer_id)
        begin = self._today + self._chance.randrange(-5, 5)
        return self.send(
            e.PolicyUpdated,
            policy_id=self._chance.choice(("P1", "P2")),
            customer_id=client.customer_id,
            kind=self._chance.choice(("insurance", "guarantee")),
            value_minor=LIMIT // 2,
            currency=client.currency,
            update_percentage=self._chance.choice(("100", "50", "33.3")),
            included_in_exposure=self._chance.random() < 0.3,
            effective_on=begin,
            expires_on=begin + self._chance.choice((0, 3, 100)),
        )

    # --- orders -------------------------------------------------------------------------------------------------

    @property
    def _today(self) -> int:
        return self._instant // DAY_MS

    def _amount(self, client: Client) -> int:
        """Nearly always one that matters: what is left of a limit, all of it, a part of it, or one more or less."""
        chance, edge = self._chance, client.edge
        left, left_in_pool = max(0, edge - client.used), self._left_in_pool(client)
        near = chance.choice((left, left_in_pool, edge, edge // 2, edge // 4, edge // 10, chance.randrange(edge)))
        amount = max(0, near + chance.choice((0, 0, 0, 1, -1)))
        return -amount if not self.plan.strict and chance.random() < 0.03 else amount

    def _left_in_pool(self, client: Client) -> int:
        """What upstream thinks is left for the customer of its group's limit, in its documents' currency."""
        if client.group is None:
            return max(0, client.edge - client.used)
        members = [each for each in self._clients if each.group == client.group]
        in_dollars = sum(each.used * each.factor * (2 if each.currency == "EUR" else 1) for each in members)
        limit = LIMIT * (2 if self._group_currencies[client.group] == "EUR" else 1)
        left = (limit - in_dollars) // (client.factor * (2 if client.currency == "EUR" else 1))
        return min(max(0, left), 2 * LIMIT)

    def _place_order(self, client: Client) -> list[Message]:
        order_id = f"O{self._numbers}"
        amount = self._amount(client)
        if amount <= min(client.edge - client.used, self._left_in_pool(client)):
            client.used += amount
        client.orders[order_id] = Paper(amount, amount)
        kind = e.OrderChanged if self._chance.random() < 0.05 else e.OrderPlaced
        return self._order(client, kind, order_id, amount)

    def _order(self, client: Client, kind: type[e.OrderPlaced], order_id: str, amount: int) -> list[Message]:
        chance = self._chance
        fields: dict[str, Any] = {"currency": client.documents}
        if not self.plan.strict:
            fields["secured_amount_minor"] = max(0, amount) // 2 if chance.random() < 0.15 else 0
            fields["payment_terms"] = chance.choice((None, None, *rule_books.TERMS))
            fields["ships_on"] = self._today + 12 if chance.random() < 0.1 else None
            fields["intercompany"] = chance.random() < 0.02
            fields["excluded"] = chance.random() < 0.02
            if chance.random() < 0.01:
                fields["currency"] = RARE
        return self.send(kind, order_id=order_id, customer_id=client.customer_id, amount_minor=amount, **fields)

    def _change_order(self, client: Client) -> list[Message]:
        order_id = self._known(client.orders)
        if order_id is None:
            return []
        order = client.orders[order_id]
        order.amount = max(0, order.amount + self._chance.choice((0, 1, -1, order.amount, -order.amount // 2)))
        return self._order(client, e.OrderChanged, order_id, order.amount)

    def _checkpoint(self, client: Client) -> list[Message]:
        order_id = self._known(client.orders)
        if order_id is None:
            return []
        fields = {"checkpoint": self._chance.choice(e.CHECKPOINTS), "pro_forma": self._chance.random() < 0.2}
        return self.send(e.OrderCheckpointReached, order_id=order_id, customer_id=client.customer_id, **fields)

    def _deliver(self, client: Client) -> list[Message]:
        order_id = self._known(client.orders)
        if order_id is None:
            return []
        amount = max(0, client.orders[order_id].amount) // self._chance.choice((1, 1, 2, 3))
        fields = {"order_id": order_id, "customer_id": client.customer_id}
        return self.send(e.OrderDelivered, delivered_amount=client.text(amount), **fields)

    def _end_order(self, client: Client) -> list[Message]:
        order_id = self._known(client.orders)
        if order_id is None:
            return []
        kind = self._chance.choice((e.OrderCancelled, e.OrderCancelled, e.OrderClosed))
        order = client.orders[order_id]
        client.used = max(0, client.used - order.amount)
        if kind is e.OrderCancelled:
            del client.orders[order_id]
        return self.send(kind, order_id=order_id, customer_id=client.customer_id)

    def _reopen(self, client: Client) -> list[Message]:
        order_id = self._known(client.orders)
        if order_id is None:
            return []
        return self.send(e.OrderReopened, order_id=order_id, customer_id=client.customer_id)

    # --- invoices and credit notes ------------------------------------------------------------------------------

    def _invoice(self, client: Client) -> list[Message]:
        chance = self._chance
        order_id = self._known(client.orders) if chance.random() < 0.8 else None
        order = None if order_id is None else client.orders[order_id]
        amount = self._amount(client) if order is None else order.amount // chance.choice((1, 1, 2))
        amount = max(0, amount + chance.choice((0, 0, 0, 1)))
        invoice_id = f"I{self._numbers}"
        client.invoices[invoice_id] = Paper(amount, amount, order_id)
        if order is None:
            client.used += amount
        date = self._today - chance.choice((0, 0, 5, 40))
        shares = ((date + 40, amount - amount // 3), (date + 2, amount // 3))
        parts = tuple(e.Instalment(due_date=due, amount_minor=share) for due, share in shares)
        fields: dict[str, Any] = {"due_date": date + chance.choice((0, 1, 3, 30))}
        if chance.random() < 0.3:
            fields = {"instalments": parts}
        return self.send(
            e.InvoicePosted,
            invoice_id=invoice_id,
            customer_id=client.customer_id,
            order_id=order_id,
            amount_minor=amount,
            currency=RARE if chance.random() < 0.01 else client.documents,
            invoice_date=date,
            **fields,
        )

    def _invoice_before_order(self, client: Client) -> list[Message]:
        """Both at one instant; whoever reads the topics decides which comes first."""
        order_id, invoice_id = f"O{self._numbers}", f"I{self._numbers}"
        amount = self._amount(client)
        client.orders[order_id] = Paper(amount, amount)
        client.invoices[invoice_id] = Paper(max(0, amount), max(0, amount), order_id)
        fields = {"customer_id": client.customer_id, "currency": client.documents, "invoice_date": self._today}
        kinds = {"invoice_id": invoice_id, "order_id": order_id, "amount_minor": max(0, amount)}
        invoice = self.send(e.InvoicePosted, due_date=self._today + 3, **fields, **kinds)
        return invoice + self._order(client, e.OrderPlaced, order_id, amount)

    def _credit(self, client: Client) -> list[Message]:
        chance = self._chance
        invoice_id = self._known(client.invoices) if chance.random() < 0.8 else None
        amount = self._amount(client) // 4
        if invoice_id is not None:
            invoice = client.invoices[invoice_id]
            amount = invoice.open // chance.choice((1, 2)) + chance.choice((0, 0, 0, 1))
            invoice.open = max(0, invoice.open - amount)
        return self.send(
            e.CreditNotePosted,
            credit_note_id=f"N{self._numbers}",
            customer_id=client.customer_id,
            invoice_id=invoice_id,
            amount_minor=max(0, amount),
            currency=client.documents,
            credit_note_date=self._today,
        )

    def _void(self, client: Client) -> list[Message]:
        invoice_id = self._known(client.invoices)
        if invoice_id is None:
            return []
        if self._chance.random() < 0.3:
            fields = {"disputed": self._chance.random() < 0.5}
            return self.send(e.InvoiceDisputed, invoice_id=invoice_id, customer_id=client.customer_id, **fields)
        del client.invoices[invoice_id]
        return self.send(e.InvoiceVoided, invoice_id=invoice_id, customer_id=client.customer_id)

    # --- payments -----------------------------------------------------------------------------------------------

    def _pay_invoices(self, client: Client) -> list[Message]:
        """Whole or in part; now and then of an invoice that is still to come."""
        chance = self._chance
        shares: list[tuple[str, int]] = []
        for invoice_id in dict.fromkeys((self._known(client.invoices), self._known(client.invoices))):
            if invoice_id is None:
                continue
            invoice = client.invoices[invoice_id]
            share = invoice.open // chance.choice((1, 1, 2)) + (chance.random() < 0.05)
            invoice.open = max(0, invoice.open - share)
            shares.append((invoice_id, share))
        client.used = max(0, client.used - sum(share for _, share in shares))
        return self._pay(client, sum(share for _, share in shares) + chance.choice((0, 0, 1, 500)), shares)

    def _pay_on_account(self, client: Client) -> list[Message]:
        amount = max(0, self._amount(client)) // 2
        client.used -= amount
        return self._pay(client, amount)

    def _pay(self, client: Client, amount: int, shares: list[tuple[str, int]] | None = None) -> list[Message]:
        payment_id = f"P{self._numbers}"
        shares = shares or []
        client.payments[payment_id] = Paper(amount, max(0, amount - sum(share for _, share in shares)))
        return self.send(
            e.PaymentReceived,
            payment_id=payment_id,
            customer_id=client.customer_id,
            amount_minor=amount,
            currency=client.documents,
            received_on=self._today,
            settlements=_settlements(client, shares),
        )

    def _apply(self, client: Client) -> list[Message]:
        payment_id, invoice_id = self._known(client.payments), self._known(client.invoices)
        if payment_id is None or invoice_id is None:
            return []
        payment, invoice = client.payments[payment_id], client.invoices[invoice_id]
        amount = min(payment.open, invoice.open)
        payment.open, invoice.open = payment.open - amount, invoice.open - amount
        return self.send(
            e.PaymentApplied,
            payment_id=payment_id,
            customer_id=client.customer_id,
            applied_on=self._today,
            settlements=_settlements(client, [(invoice_id, amount)]),
        )

    def _reverse(self, client: Client) -> list[Message]:
        payment_id = self._known(client.payments)
        if payment_id is None:
            return []
        payment = client.payments.pop(payment_id)
        client.used += payment.amount
        fields = {"payment_id": payment_id, "customer_id": client.customer_id}
        return self.send(e.PaymentReversed, reversed_on=self._today, **fields)

    # --- people -------------------------------------------------------------------------------------------------

    def _command(self, client: Client) -> list[Message]:
        """On an order that may be held; upstream does not know which are."""
        order_id = self._known(client.orders)
        if order_id is None:
            return []
        fields = {"order_id": order_id, "customer_id": client.customer_id, "actor": "ana"}
        kind = self._chance.randrange(6)
        if kind <= 1:
            days = self._chance.choice((None, 5))
            return self.send(e.ReleaseOrder, release_reason="paid", valid_days=days, **fields)
        if kind == 2:
            return self.send(e.RejectOrder, reason="no", **fields)
        if kind == 3:
            return self.send(e.ForceHold, reason="clearing", **fields)
        if kind == 4:
            return self.send(e.ReviewOrder, note="called", **fields)
        return self.send(e.ExcludeOrder, reason="barter", **fields) if self._chance.random() < 0.3 else []

    def _command_for_many(self, client: Client) -> list[Message]:
        chance = self._chance
        selection = e.Selection(customer_ids=(client.customer_id,)) if chance.random() < 0.5 else None
        if chance.random() < 0.1:
            return self.send(e.ForceHold, selection=selection, reason="year end", actor="ana")
        return self.send(e.EvaluateHolds, selection=selection, actor="ana")

    def _evaluate(self, client: Client) -> list[Message]:
        ids = tuple(client.orders)[:2] if self._chance.random() < 0.3 else ()
        return self.send(e.EvaluateHolds, customer_id=client.customer_id, order_ids=ids, actor="ana")

    def _ask(self, client: Client) -> list[Message]:
        order_id = self._known(client.orders) or f"O{self._numbers}"
        fields = {"amount_minor": max(0, self._amount(client)), "currency": client.documents, "actor": "ana"}
        return self.send(e.CheckOrder, order_id=order_id, customer_id=client.customer_id, **fields)

    def _journal(self, client: Client) -> list[Message]:
        """Drafted and posted: the lines go from the journal's partition to those of the customers."""
        chance = self._chance
        journal_id = f"J{self._numbers}"
        temporary = chance.random() < 0.4
        dates: dict[str, Any] = {"expires_on": FAR_DAY}
        if temporary:
            dates = {"from_date": self._today, "to_date": self._today + 3}
        lines = tuple(
            e.JournalLine(
                customer_id=each.customer_id,
                credit_limit_minor=chance.choice((LIMIT, LIMIT * 2, 0)),
                currency=each.currency,
                **dates,
            )
            for each in (client, self._pick_client())
        )
        kind = "temporary_credit_limit" if temporary else "credit_limit"
        fields = {"journal_id": journal_id, "actor": "ana"}
        made = self.send(e.CreateLimitJournal, journal_type=kind, description="review", lines=lines, **fields)
        return made + self.send(e.PostLimitJournal, **fields)

    def _tick(self, client: Client) -> list[Message]:
        """A tick from outside, for every partition."""
        return self.send(e.ClockTicked, instant=self._instant)

    # --- what should not have been sent -------------------------------------------------------------------------

    def _rubbish(self) -> list[Message]:
        chance = self._chance
        value = chance.randbytes(chance.randrange(1, 30))
        if self._sent and chance.random() < 0.5:
            value = chance.choice(self._sent).value
            value = value[: chance.randrange(1, len(value))]
        topic = chance.choice([topic for topic in INPUT_TOPICS if topic not in INTERNAL_TOPICS])
        partition = 0 if topic in BROADCAST_TOPICS else chance.randrange(self._partitions)
        return [Message(topic, partition, "rubbish", value)]

    def _stray(self) -> list[Message]:
        """Something good in the wrong partition or on the wrong topic."""
        chance = self._chance
        stray = chance.choice(self._sent)
        topic = chance.choice((stray.topic, "credit.orders", "credit.commands"))
        partition = 0 if topic in BROADCAST_TOPICS else chance.randrange(self._partitions)
        return [Message(topic, partition, stray.key, stray.value)]

    def _reuse(self) -> list[Message]:
        """Another content under an id that was used."""
        number = self._chance.randrange(max(1, self._numbers))
        event = e.EvaluateHolds(event_id=f"e{number}", occurred_at=self._instant, customer_id="C0", actor="eve")
        return self._place(event)

    def _bad_settings(self) -> list[Message]:
        """Settings with a fault, or with a version that is not the next."""
        chance = self._chance
        document = rule_books.text(rule_books.refused_document(chance))
        return self.send(e.SettingsPublished, version=self._version + chance.choice((1, 1, 7)), document=document)

    def _refused(self) -> list[Message]:
        """Something that is read and not accepted."""
        fields: dict[str, Any] = {"currency": "USD", "invoice_date": self._today, "amount_minor": 5}
        parts = (e.Instalment(due_date=self._today, amount_minor=3),)
        return self.send(e.InvoicePosted, invoice_id="bad", customer_id="C0", instalments=parts, **fields)

    def _forged(self) -> list[Message]:
        """What only tasks may send each other."""
        event = e.JournalLinePosted(
            event_id=f"forged{self._numbers}",
            occurred_at=self._instant,
            journal_id="J",
            journal_type="credit_limit",
            line=1,
            customer_id="C0",
            credit_limit_minor=10**9,
            currency="USD",
            expires_on=FAR_DAY,
        )
        return [Message("credit.commands", self._chance.randrange(self._partitions), "C0", encode_event(event))]

    def _late_rate(self) -> list[Message]:
        """Of the rare currency; what waited for it counts from now on."""
        fields = {"from_currency": RARE, "to_currency": "USD", "valid_from": FIRST_DAY - 400, "rate": "3.25"}
        return self.send(e.ExchangeRatePublished, **fields)

    def _known(self, papers: dict[str, Paper]) -> str | None:
        """One of the newest."""
        return self._chance.choice(list(papers)[-8:]) if papers else None


def _settlements(client: Client, shares: list[tuple[str, int]]) -> tuple[e.Settlement, ...]:
    return tuple(e.Settlement(invoice_id=invoice_id, amount=client.text(share)) for invoice_id, share in shares)


Move = Callable[[Upstream, Client], list[Message]]

STRICT_MOVES: dict[Move, int] = {
    Upstream._place_order: 30,
    Upstream._change_order: 10,
    Upstream._end_order: 14,
    Upstream._reopen: 2,
    Upstream._checkpoint: 3,
    Upstream._pay_on_account: 2,
    Upstream._evaluate: 3,
    Upstream._ask: 1,
    Upstream._tick: 1,
}
MOVES: dict[Move, int] = {
    Upstream._place_order: 26,
    Upstream._change_order: 8,
    Upstream._end_order: 7,
    Upstream._reopen: 3,
    Upstream._checkpoint: 6,
    Upstream._deliver: 6,
    Upstream._invoice: 12,
    Upstream._invoice_before_order: 2,
    Upstream._credit: 5,
    Upstream._void: 3,
    Upstream._pay_invoices: 12,
    Upstream._pay_on_account: 2,
    Upstream._apply: 3,
    Upstream._reverse: 5,
    Upstream._command: 7,
    Upstream._command_for_many: 1,
    Upstream._evaluate: 2,
    Upstream._ask: 1,
    Upstream._update: 2,
    Upstream._move: 2,
    Upstream._group: 1,
    Upstream._policy: 2,
    Upstream._journal: 1,
    Upstream._tick: 1,
}
"""What upstream does, with how often."""
NOISE: tuple[Callable[[Upstream], list[Message]], ...] = (
    Upstream._rubbish,
    Upstream._rubbish,
    Upstream._stray,
    Upstream._reuse,
    Upstream._bad_settings,
    Upstream._refused,
    Upstream._forged,
    Upstream._late_rate,
)
