"""Random histories for the auditor: seeded, and drawn to the edges where systems err.

Amounts lie at the limit, a cent beside it or at nothing; many events share an instant or the midnight; documents come
twice, late, early, foreign or broken; settings change in the middle. Nothing here knows what must follow.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

Event = dict[str, Any]

FIRST = datetime(2026, 3, 2, 9, tzinfo=UTC)
CHECKPOINTS = ("order_entry", "confirmation", "picking_list", "packing_slip", "invoice")
TERMS = ("NET30", "NET60", "ODD", None)
CURRENCIES = ("USD",) * 8 + ("EUR", "JPY", "GBP")
STATUSES = ("good", "suspended", "stopped", None)
LABELS = ("wholesale", "retail", None)


def text(cents: int) -> str:
    """An amount of a currency with two decimals."""
    sign, cents = ("-" if cents < 0 else ""), abs(cents)
    return f"{sign}{cents // 100}.{cents % 100:02d}"


def settings(chance: random.Random) -> Event:
    """A settings document in which every parameter that decides has its turn."""
    often = chance.random
    parameters: Event = {
        "exposure_scope": chance.choice(["balance_and_orders"] * 5 + ["balance", "balance_and_delivered", "none"]),
        "limit_boundary": chance.choice(["above", "above", "at_or_above"]),
        "check_credit_limit": often() < 0.95,
        "unknown_customer": chance.choice(["hold", "release"]),
        "ignore_blank_expiry": often() < 0.7,
        "unapplied_payments_reduce_exposure": often() < 0.8,
        "held_orders_consume_credit": often() < 0.25,
        "credit_horizon_days": chance.choice([-1, -1, 0, 2, 5]),
        "check_payment_terms_rank": often() < 0.7,
        "check_settlement_discount_rank": often() < 0.7,
        "allow_edit_after_release": often() < 0.2,
        "release_tolerance_percent": chance.choice(["0", "0", "10", "2.5"]),
        "release_valid_days": chance.choice([0, 0, 2]),
        "evaluate_on": chance.choice(["event", "event", "event", "command"]),
        "automatic_release": chance.choice(["off", "without_posting", "with_posting"]),
        "release_priority": chance.choice(["oldest_first", "smallest_first", "largest_first"]),
        "allow_manual_limits": often() < 0.2,
        "max_input_age_minutes": chance.choice([-1, -1, -1, 60, 600]),
        "stale_policy": chance.choice(["hold", "release"]),
        "business_time_zone": chance.choice(["UTC", "UTC", "America/New_York", "Asia/Tokyo"]),
    }
    return {"parameters": parameters, "checkpoints": checkpoints(chance), "rules": rules(chance)} | TABLES


TABLES: Event = {
    "payment_terms": [{"id": "NET30", "rank": 30}, {"id": "NET60", "rank": 60}],
    "settlement_discounts": [{"id": "2P10", "rank": 2}, {"id": "1P10", "rank": 1}],
    "account_statuses": [
        {"id": "good", "effect": "none"},
        {"id": "suspended", "effect": "hold_invoicing"},
        {"id": "stopped", "effect": "hold_all"},
    ],
}


def checkpoints(chance: random.Random) -> Event:
    """Marked here and there; grace days on all that check or on none."""
    grace = chance.random() < 0.3
    found = {}
    for name in CHECKPOINTS:
        posting = chance.random() < (0.85 if name == "order_entry" else 0.35)
        found[name] = {
            "posting": posting,
            "grace_days": chance.choice([1, 2]) if grace and posting else 0,
            "pro_forma": chance.random() < 0.3,
        }
    return found


def rules(chance: random.Random) -> list[Event]:
    """A limit rule nearly always, others and exclusions of theirs at all levels."""
    found: list[Event] = []
    if chance.random() < 0.95:
        found.append({"type": "credit_limit_used", "percent": chance.choice(["100", "100", "100", "80", "33.3"])})
    for _ in range(chance.choice([0, 1, 2, 4])):
        found.append(a_rule(chance) | {"kind": "blocking"})
    for _ in range(chance.choice([0, 0, 1, 2])):
        found.append(a_rule(chance) | {"kind": "exclusion", "release_order": chance.random() < 0.3})
    return [{"id": f"r{number}"} | rule for number, rule in enumerate(found)]


def a_rule(chance: random.Random) -> Event:
    """Any type, with values that the histories come near to."""
    rule: Event = chance.choice(
        [
            {"type": "days_overdue", "days": chance.choice([0, 1, 3])},
            {"type": "days_overdue", "value_type": "amount", "amount": chance.choice(["0", "100", "1000"])},
            {"type": "account_status", "value": chance.choice(["suspended", "good"])},
            {"type": "payment_terms", "value": "NET60"},
            {"type": "credit_limit_expired", "days": chance.choice([0, 1, 4])},
            {"type": "overdue_amount", "amount": chance.choice(["0", "100"]), "percent": chance.choice(["0", "50"])},
            {"type": "order_amount", "amount": chance.choice(["300", "1000"])},
            {"type": "credit_limit_used", "percent": chance.choice(["100", "120", "50"])},
        ]
    )
    scope = chance.choice(["all", "all", "group", "customer"])
    account = {"all": "", "group": "wholesale", "customer": "C1"}[scope]
    found = rule | {"scope": scope, "account": account, "enabled": chance.random() < 0.95}
    if chance.random() < 0.2:
        found["checkpoints"] = [chance.choice(CHECKPOINTS)]
    return found


class History:
    """A run of events of a few customers; it remembers its documents to speak of them again."""

    def __init__(self, chance: random.Random, customers: int = 3, groups: int = 0, zone: str = "UTC") -> None:
        self.chance = chance
        self.zone = zone
        self.customers = [f"C{number}" for number in range(1, customers + 1)]
        self.groups = [f"G{number}" for number in range(1, groups + 1)]
        self.now = FIRST
        self.count = 0
        self.known: dict[str, list[tuple[str, str, str, int]]] = {
            "order": [],
            "invoice": [],
            "payment": [],
            "journal": [],
        }
        self.early: dict[str, tuple[str, str, str, int]] = {}
        """Documents spoken of before they came, one of a kind."""
        self.past: list[Event] = []
        self.profiled: set[str] = set()
        self.version = 1
        self.journals: list[str] = []

    def events(self, length: int) -> Iterator[Event | str]:
        """The events one after another."""
        yield from self.beginning()
        for _ in range(length):
            event = self.next()
            if isinstance(event, dict):
                self.past.append(event)
            yield event

    def beginning(self) -> Iterator[Event]:
        """Rates, groups and all customers but, at times, the last."""
        for currency, rate in (("EUR", "0.5"), ("JPY", "0.005"), ("GBP", "1.37")):
            yield self.rate(currency, rate, "2026-01-01")
            yield self.rate("USD", {"EUR": "2", "JPY": "200", "GBP": "0.73"}[currency], "2026-01-01", currency)
        for group in self.groups:
            limit = text(self.chance.choice([100_000, 150_000, 400_000, 0]))
            yield self.make("CreditGroupUpdated", group_id=group, credit_currency="USD", credit_limit=limit,
                            credit_limit_expires_on="2026-03-06")  # fmt: skip
        for customer in self.customers[: len(self.customers) - (self.chance.random() < 0.3)]:
            yield self.update(customer)

    def make(self, event_type: str, /, **fields: Any) -> Event:
        """An event with its head; fields that are None are left out."""
        self.count += 1
        head = {"type": event_type, "event_id": f"e{self.count}", "occurred_at": self.instant(), "legal_entity": "US01"}
        return head | {name: value for name, value in fields.items() if value is not None}

    def command(self, event_type: str, /, **fields: Any) -> Event:
        """An event that a person gives."""
        return self.make(event_type, actor=self.chance.choice(["ana", "ben"]), **fields)

    def instant(self) -> str:
        """Now, mostly the same as before or a little later, at times the next midnight, at times in the past."""
        draw = self.chance.random()
        if draw < 0.5:
            self.now += timedelta(seconds=self.chance.choice([1, 1, 60, 4000]))
        elif draw < 0.56:
            self.now = (self.now + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        late = timedelta(hours=5) if self.chance.random() < 0.03 else timedelta(0)
        return (self.now - late).strftime("%Y-%m-%dT%H:%M:%SZ")

    def day(self, *shifts: int) -> str:
        """A date so many days from today."""
        return (self.now + timedelta(days=self.chance.choice(shifts or (0,)))).date().isoformat()

    def amount(self, currency: str = "USD") -> str:
        """Round ones that meet the limit of 1,000, a cent beside them, odd ones, nothing."""
        cents = self.chance.choice(
            [100_000, 50_000, 40_000, 30_000, 20_000, 10_000, 10_000, 99_999, 100_001, 33_333, 1]
        )
        if self.chance.random() < 0.2:
            cents += self.chance.choice([-1, 1, 50])
        return str(cents) if currency == "JPY" else text(max(0, cents))

    def next(self) -> Event | str:
        """Any event, by weights."""
        if self.past and self.chance.random() < 0.04:
            return self.again()
        moves = [self.place] * 22 + [self.change] * 10 + [self.reach] * 14 + [self.deliver] * 6 + [self.end] * 5
        moves += [self.invoice] * 16 + [self.credit] * 6 + [self.void] * 3 + [self.pay] * 14 + [self.apply] * 3
        moves += [self.bounce] * 3 + [self.release] * 9 + [self.reject] * 3 + [self.force] * 3 + [self.person] * 5
        moves += [self.profile] * 5 + [self.policy] * 4 + [self.journal] * 7 + [self.tick] * 9 + [self.publish] * 2
        moves += [self.rubbish] * 3 + [self.new_rate] * 2 + [self.ask] * 2
        if self.groups:
            moves += [self.close_group]
        return self.chance.choice(moves)()

    def again(self) -> Event:
        """An event once more, at times with other content under its id."""
        event = dict(self.chance.choice(self.past[-30:]))
        if self.chance.random() < 0.25:
            event["source"] = "elsewhere"
        return event

    def currency_of(self, customer: str) -> str:
        """Mostly the credit currency; before the profile always, as it says how the rest is converted."""
        return self.chance.choice(CURRENCIES) if customer in self.profiled else "USD"

    # --- documents --------------------------------------------------------------------------------------------------

    def pick(self, kind: str) -> tuple[str, str, str, int]:
        """Customer, id, currency and cents of a document, mostly of one that came; else of one that may come."""
        known = self.known[kind]
        if known and self.chance.random() < 0.95:
            return self.chance.choice(known[-8:])
        if kind not in self.early:
            document_id = f"{kind[0].upper()}{len(known) + 1}early{self.count}"
            self.early[kind] = (self.chance.choice(self.customers), document_id, "USD", 10_000)
        return self.early[kind]

    def new(self, kind: str, customer: str, currency: str, amount: str) -> str:
        """A new id of the kind."""
        document_id = f"{kind[0].upper()}{len(self.known[kind]) + 1}"
        early = self.early.get(kind)
        if early is not None and early[0] == customer and currency == "USD" and self.chance.random() < 0.7:
            document_id = self.early.pop(kind)[1]
        cents = int(amount) if currency == "JPY" else int(amount.replace(".", ""))
        self.known[kind].append((customer, document_id, currency, cents))
        return document_id

    def order_fields(self, amount: str, currency: str) -> Event:
        """What an order says besides its ids."""
        chance = self.chance
        return {
            "amount": amount,
            "currency": currency,
            "payment_terms": chance.choice(TERMS) if chance.random() < 0.3 else None,
            "settlement_discount": chance.choice(["1P10", "2P10"]) if chance.random() < 0.1 else None,
            "ships_on": self.day(0, 1, 2, 3, 6) if chance.random() < 0.3 else None,
            "secured_amount": chance.choice(["100.00", "0.01", amount])
            if chance.random() < 0.12 and currency == "USD"
            else None,
            "intercompany": True if chance.random() < 0.02 else None,
            "excluded": True if chance.random() < 0.03 else None,
        }

    def place(self) -> Event:
        """A new order; now and then a return, or one that exists."""
        customer = self.chance.choice(self.customers)
        currency = self.currency_of(customer)
        amount = self.amount(currency)
        if self.chance.random() < 0.04:
            amount = self.chance.choice(["0", "-" + amount])
        if self.chance.random() < 0.04 and self.known["order"]:
            customer, order_id, _, _ = self.chance.choice(self.known["order"])
        else:
            order_id = self.new("order", customer, currency, amount.lstrip("-"))
        return self.make("OrderPlaced", order_id=order_id, customer_id=customer, **self.order_fields(amount, currency))

    def change(self) -> Event:
        """A rise, a fall, the same, other terms."""
        customer, order_id, currency, cents = self.pick("order")
        cents = max(0, cents + self.chance.choice([0, 0, 1, 100, 10_000, -10_000, -1, cents // 10, cents // 40]))
        amount = str(cents) if currency == "JPY" else text(cents)
        return self.make("OrderChanged", order_id=order_id, customer_id=customer, **self.order_fields(amount, currency))

    def reach(self) -> Event:
        """A checkpoint."""
        customer, order_id, _, _ = self.pick("order")
        trial = True if self.chance.random() < 0.15 else None
        checkpoint = self.chance.choice(CHECKPOINTS)
        return self.make("OrderCheckpointReached", order_id=order_id, customer_id=customer, checkpoint=checkpoint,
                         pro_forma=trial)  # fmt: skip

    def deliver(self) -> Event:
        """A part, the whole, more than that."""
        customer, order_id, currency, cents = self.pick("order")
        cents = self.chance.choice([cents, cents // 2, cents + 100, 0])
        amount = str(cents) if currency == "JPY" else text(cents)
        return self.make("OrderDelivered", order_id=order_id, customer_id=customer, delivered_amount=amount)

    def end(self) -> Event:
        """Cancelled, closed or reopened."""
        customer, order_id, _, _ = self.pick("order")
        kind = self.chance.choice(["OrderCancelled", "OrderClosed", "OrderClosed", "OrderReopened", "OrderReopened"])
        return self.make(kind, order_id=order_id, customer_id=customer)

    def invoice(self) -> Event:
        """On an order or alone; due, overdue, in instalments."""
        customer, order_id, currency, cents = self.pick("order")
        if self.chance.random() < 0.3:
            customer, order_id = self.chance.choice(self.customers), None  # type: ignore[assignment]
            currency = self.currency_of(customer)
        cents = self.chance.choice([cents, cents // 2, cents // 3, cents + 100, 10_000])
        amount = str(cents) if currency == "JPY" else text(cents)
        invoice_id = self.new("invoice", customer, currency, amount)
        parts, due = None, self.day(-5, -1, 0, 1, 3, 30)
        if self.chance.random() < 0.2 and currency == "USD":
            halves = (cents // 2, cents - cents // 2)
            parts = [{"due_date": self.day(-3, 0, 2, 9), "amount": text(half)} for half in halves]
            due = None
        fields = {"currency": currency, "invoice_date": self.day(-9, 0, 0), "due_date": due, "instalments": parts}
        ids = {"invoice_id": invoice_id, "customer_id": customer, "order_id": order_id}
        return self.make("InvoicePosted", amount=amount, **ids, **fields)

    def credit(self) -> Event:
        """A credit note on an invoice, or alone."""
        customer, invoice_id, currency, cents = self.pick("invoice")
        if self.chance.random() < 0.2:
            invoice_id, currency = None, "USD"  # type: ignore[assignment]
        cents = max(1, self.chance.choice([cents, cents // 2, 1, cents + 1]))
        amount = str(cents) if currency == "JPY" else text(cents)
        return self.make("CreditNotePosted", credit_note_id=f"N{self.count}", customer_id=customer, amount=amount,
                         invoice_id=invoice_id, currency=currency, credit_note_date=self.day(0))  # fmt: skip

    def void(self) -> Event:
        """Voided, or disputed."""
        customer, invoice_id, _, _ = self.pick("invoice")
        if self.chance.random() < 0.3:
            return self.make("InvoiceDisputed", invoice_id=invoice_id, customer_id=customer, disputed=True)
        return self.make("InvoiceVoided", invoice_id=invoice_id, customer_id=customer)

    def settlements(self, customer: str, currency: str) -> tuple[list[Event], int]:
        """Settlements of invoices in the currency, and what they come to."""
        found, cents = [], 0
        for _ in range(self.chance.choice([0, 1, 1, 1, 2])):
            other, invoice_id, money, open_cents = self.pick("invoice")
            if other != customer or money != currency or currency == "JPY":
                continue
            part = max(1, self.chance.choice([open_cents, open_cents // 2, 1]))
            found.append({"invoice_id": invoice_id, "amount": text(part)})
            cents += part
        return found, cents

    def pay(self) -> Event:
        """A payment that settles, with something or nothing left over."""
        customer, _, currency, _ = self.pick("invoice")
        currency = "USD" if currency == "JPY" else currency
        parts, cents = self.settlements(customer, currency)
        amount = text(cents + self.chance.choice([0, 0, 0, 1, 10_000, -1 if cents else 0]))
        if parts and "early" not in parts[0]["invoice_id"] and self.chance.random() < 0.1:
            parts[0]["discount"] = "1.00"
        payment_id = self.new("payment", customer, currency, amount.lstrip("-"))
        return self.make("PaymentReceived", payment_id=payment_id, customer_id=customer, amount=amount,
                         currency=currency, received_on=self.day(0), settlements=parts or None)  # fmt: skip

    def apply(self) -> Event:
        """Cash on account goes to invoices later."""
        customer, payment_id, currency, _ = self.pick("payment")
        parts, _ = self.settlements(customer, currency)
        return self.make("PaymentApplied", payment_id=payment_id, customer_id=customer, applied_on=self.day(0),
                         settlements=parts)  # fmt: skip

    def bounce(self) -> Event:
        """A payment is returned."""
        customer, payment_id, _, _ = self.pick("payment")
        return self.make("PaymentReversed", payment_id=payment_id, customer_id=customer, reversed_on=self.day(0))

    # --- people -----------------------------------------------------------------------------------------------------

    def release(self) -> Event:
        """By a person, bound to days and a tolerance at times."""
        customer, order_id, _, _ = self.pick("order")
        days, percent = self.chance.choice([None, None, 0, 1, 3]), self.chance.choice([None, None, "10", "0"])
        return self.command("ReleaseOrder", order_id=order_id, customer_id=customer, release_reason="agreed",
                            valid_days=days, tolerance_percent=percent)  # fmt: skip

    def reject(self) -> Event:
        """By a person."""
        customer, order_id, _, _ = self.pick("order")
        return self.command("RejectOrder", order_id=order_id, customer_id=customer, reason="no")

    def force(self) -> Event:
        """One order, a customer's, a selection's."""
        customer, order_id, _, _ = self.pick("order")
        draw = self.chance.random()
        if draw < 0.7:
            return self.command("ForceHold", order_id=order_id, customer_id=customer, reason="fraud")
        if draw < 0.9:
            return self.command("ForceHold", customer_id=customer, reason="insolvency")
        return self.command("ForceHold", selection={"credit_management_group": "retail"}, reason="shops closed")

    def person(self) -> Event:
        """Excluded, reviewed, evaluated."""
        customer, order_id, _, _ = self.pick("order")
        draw = self.chance.random()
        if draw < 0.15:
            return self.command("ExcludeOrder", order_id=order_id, customer_id=customer, reason="key account")
        if draw < 0.4:
            return self.command("ReviewOrder", order_id=order_id, customer_id=customer, note="called", assignee="cleo")
        if draw < 0.7:
            return self.command("EvaluateHolds", customer_id=customer)
        return self.command("EvaluateHolds")

    def ask(self) -> Event:
        """A question that reserves nothing."""
        customer = self.chance.choice(self.customers)
        fields = self.order_fields(self.amount(), "USD")
        return self.command("CheckOrder", order_id="question", customer_id=customer, **fields)

    # --- customers, limits, settings --------------------------------------------------------------------------------

    def update(self, customer: str, **fields: Any) -> Event:
        """A whole new state of a customer; the limit is the same, so that it is not refused."""
        chance = self.chance
        self.profiled.add(customer)
        group = chance.choice([*self.groups, None]) if self.groups and chance.random() < 0.8 else None
        limit = "0" if self.groups and customer != "C1" else text([100_000, 50_000, 0][int(customer[1:]) % 3])
        return self.make(
            "CustomerUpdated",
            customer_id=customer,
            credit_currency="USD",
            credit_limit=limit if customer not in {event.get("customer_id") for event in self.past} else None,
            credit_limit_expires_on=fields.get("expires"),
            credit_management_group=chance.choice(LABELS),
            account_status=chance.choice(STATUSES) if chance.random() < 0.3 else None,
            payment_terms=chance.choice(TERMS),
            settlement_discount=chance.choice(["1P10", None]),
            unlimited_credit=True if chance.random() < 0.05 else None,
            mandatory_credit_limit=True if chance.random() < 0.08 else None,
            exclude_from_credit_management=True if chance.random() < 0.03 else None,
            customer_credit_group=group,
        )

    def profile(self) -> Event:
        """An update; now and then with another limit or date."""
        event = self.update(self.chance.choice(self.customers))
        if self.chance.random() < 0.15:
            event["credit_limit"] = self.amount()
        if self.chance.random() < 0.3:
            event["credit_limit_expires_on"] = self.day(-1, 0, 2, 5)
        return event

    def policy(self) -> Event:
        """Insurance comes, changes, goes."""
        customer, policy_id = self.chance.choice(self.customers), self.chance.choice(["P1", "P2"])
        if self.chance.random() < 0.3:
            return self.make("PolicyRemoved", policy_id=policy_id, customer_id=customer)
        return self.make("PolicyUpdated", policy_id=policy_id, customer_id=customer, kind="insurance", currency="USD",
                         value=self.amount(), update_percentage=self.chance.choice(["50", "100", "33.33", "100.01"]),
                         included_in_exposure=self.chance.random() < 0.3, effective_on=self.day(-2, 0, 1),
                         expires_on=self.day(1, 2, 4))  # fmt: skip

    def journal(self) -> Event:
        """A journal is made, or the last one posted."""
        if self.journals and self.chance.random() < 0.5:
            return self.command("PostLimitJournal", journal_id=self.journals.pop())
        journal_id = f"J{self.count}"
        line: Event = {
            "customer_id": self.chance.choice(self.customers),
            "credit_limit": self.amount(),
            "currency": "USD",
        }
        if self.groups and self.chance.random() < 0.4:
            line = {"group_id": self.chance.choice(self.groups)} | {k: v for k, v in line.items() if k != "customer_id"}
        temporary = self.chance.random() < 0.5
        if temporary:
            line |= {"from_date": self.day(-1, 0, 1), "to_date": self.day(1, 2, 3)}
        else:
            line |= {"expires_on": self.day(-1, 1, 3, 90)}
        self.journals.append(journal_id)
        kind = "temporary_credit_limit" if temporary else "credit_limit"
        return self.command("CreateLimitJournal", journal_id=journal_id, journal_type=kind, description="limits",
                            lines=[line])  # fmt: skip

    def tick(self) -> Event:
        """Time passes: seconds, hours, days."""
        self.now += self.chance.choice([timedelta(seconds=1), timedelta(hours=2), timedelta(days=1), timedelta(days=1)])
        now = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.count += 1
        return {"type": "ClockTicked", "event_id": f"e{self.count}", "occurred_at": now, "instant": now}

    def publish(self) -> Event:
        """Other settings in the middle; the time zone stays, so that the date does not jump."""
        self.version += 1
        document = settings(self.chance)
        document["parameters"]["business_time_zone"] = self.zone
        return self.make("SettingsPublished", version=self.version, document=json.dumps(document))

    def rate(self, source: str, rate: str, day: str, target: str = "USD") -> Event:
        """An exchange rate."""
        return self.make("ExchangeRatePublished", from_currency=source, to_currency=target, valid_from=day, rate=rate)

    def new_rate(self) -> Event:
        """A rate from today or tomorrow on."""
        return self.rate("EUR", self.chance.choice(["0.5", "0.6", "0.51"]), self.day(0, 1))

    def close_group(self) -> Event:
        """A group ends, rarely."""
        group = self.chance.choice(self.groups)
        if self.chance.random() < 0.1:
            return self.make("CreditGroupClosed", group_id=group)
        return self.make("CreditGroupUpdated", group_id=group, credit_currency="USD", credit_limit=self.amount(),
                         credit_limit_expires_on=self.day(1, 5))  # fmt: skip

    def rubbish(self) -> Event | str:
        """What cannot be accepted."""
        event = self.place()
        return self.chance.choice(
            [
                "{no json",
                event | {"amount": 12.5},
                event | {"amount": "1.001"},
                event | {"currency": "ZZZ"},
                event | {"amont": "5"},
                event | {"type": "OrderPlacd"},
                event | {"secured_amount": "999999.00"},
                self.make("EvaluateHolds"),
            ]
        )
