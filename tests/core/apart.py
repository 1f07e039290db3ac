"""Tasks that are apart: each with rows of its own, and what they send each other lies waiting until a test delivers it.

`process` and the ledgers follow every input to its end, so there no answer is late. Here one is when a test says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from credit_stream.core import events as e
from credit_stream.core.outputs import CreditDecision, Exposure, HoldEntry, InputPosition, OutputRecord
from credit_stream.core.step import step
from credit_stream.core.topics import BROADCAST_TOPICS, GROUP_REQUESTS, INTERNAL_TOPICS, TOPIC_OF_EVENT
from credit_stream.core.view import LateRefusal, Refusal
from credit_stream.engine.overlay import Overlay
from credit_stream.hosts.memory import MemoryStore
from credit_stream.wire.currencies import CURRENCIES

MONDAY = 1_772_442_000_000
"""2026-03-02T09:00:00Z."""
LIMIT_RULE = {"id": "limit", "type": "credit_limit_used", "percent": "100"}


@dataclass
class Town:
    """A task with its rows; one for every customer and group that a test names, as if each had a partition."""

    view: Overlay = field(default_factory=lambda: Overlay(MemoryStore(), CURRENCIES))
    offsets: dict[str, int] = field(default_factory=dict)


@dataclass
class Apart:
    """Customers and groups in tasks of their own."""

    parameters: dict[str, object] = field(default_factory=dict)
    rules: list[dict[str, object]] = field(default_factory=lambda: [LIMIT_RULE])
    towns: dict[str, Town] = field(default_factory=dict)
    waiting: list[e.Event] = field(default_factory=list)
    """What tasks have sent each other and nobody has delivered yet."""
    decisions: list[CreditDecision] = field(default_factory=list)
    exposures: dict[str, Exposure] = field(default_factory=dict)
    holds: dict[str, HoldEntry | None] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    late: list[LateRefusal] = field(default_factory=list)
    seconds: int = 0

    # --- sending ------------------------------------------------------------------------------------------------

    def send(self, kind: type[e.Event], event_id: str | None = None, **fields: Any) -> e.Event:
        """An event to its task, a second after the one before; what it leads to between tasks waits."""
        self.seconds += 1
        event = kind(event_id=event_id or f"e{self.seconds}", occurred_at=MONDAY + self.seconds * 1_000, **fields)
        self.take(event)
        return event

    def take(self, event: e.Event) -> None:
        """An event to its task, also one that was there before."""
        topic = TOPIC_OF_EVENT[type(event)]
        by_group = topic == GROUP_REQUESTS or not hasattr(event, "customer_id")
        key = getattr(event, "group_id" if by_group else "customer_id", "")
        is_for_all = topic in BROADCAST_TOPICS or key is None
        for town in self.towns.values() if is_for_all else [self.town(key)]:
            self._step(town, topic, event)

    def town(self, key: str) -> Town:
        """The task of a customer or group."""
        if key not in self.towns:
            self.towns[key] = Town()
            document = json.dumps({"parameters": self.parameters, "rules": self.rules})
            settings = e.SettingsPublished(event_id="settings", occurred_at=0, version=1, document=document)
            self._step(self.towns[key], TOPIC_OF_EVENT[e.SettingsPublished], settings)
        return self.towns[key]

    def tick(self, key: str, seconds: int) -> None:
        """The clock of one task goes on."""
        self.seconds += seconds
        instant = MONDAY + self.seconds * 1_000
        tick = e.ClockTicked(event_id=f"tick{instant}", occurred_at=instant, instant=instant)
        self._step(self.town(key), TOPIC_OF_EVENT[e.ClockTicked], tick)

    def _step(self, town: Town, topic: str, event: e.Event) -> None:
        offset = town.offsets[topic] = town.offsets.get(topic, -1) + 1
        position = InputPosition(topic=topic, partition=0, offset=offset, event_id=event.event_id)
        result = step(town.view, event, position)
        town.view.apply(result.writes)
        if result.refusal is not None:
            self.refusals.append(result.refusal)
        self.late += result.late
        for publication in result.publications:
            if publication.topic in INTERNAL_TOPICS:
                assert isinstance(publication.record, e.Event)
                self.waiting.append(publication.record)
            else:
                self._note(publication.topic, publication.key, publication.record)

    def _note(self, topic: str, key: str, record: OutputRecord | e.Event | None) -> None:
        if isinstance(record, CreditDecision):
            self.decisions.append(record)
        elif isinstance(record, Exposure):
            self.exposures[key] = record
        elif topic == "credit.holds":
            assert record is None or isinstance(record, HoldEntry)
            self.holds[key] = record

    # --- delivering ---------------------------------------------------------------------------------------------

    def deliver(self, choose: Callable[[e.Event], bool] = lambda _: True, again: bool = False) -> list[e.Event]:
        """Delivers what waits now and is chosen, in its order; with `again` each of it twice."""
        chosen = [event for event in self.waiting if choose(event)]
        self.waiting = [event for event in self.waiting if not choose(event)]
        for event in chosen:
            self.take(event)
            if again:
                self.take(event)
        return chosen

    def settle(self) -> None:
        """Delivers until nothing waits."""
        for _ in range(1_000):
            if not self.waiting:
                return
            self.deliver()
        raise AssertionError("tasks go on sending each other something for ever")

    # --- asking -------------------------------------------------------------------------------------------------

    def verdicts(self, order_id: str) -> list[str]:
        """The verdicts on an order, oldest first."""
        return [each.verdict for each in self.decisions if each.order_id == order_id]

    def status(self, order_id: str) -> str | None:
        """The status of its entry on the hold list; None: it is not there."""
        entry = self.holds.get(order_id)
        return None if entry is None else entry.status

    def exposure(self, key: str) -> int:
        """The last published exposure, 0 before the first."""
        record = self.exposures.get(key)
        return 0 if record is None else record.exposure_minor


def a_group(limit: int = 1_000, members: Iterable[str] = ("A", "B", "C"), own: int = 0, **parameters: object) -> Apart:
    """A group G with members, all of them told of each other."""
    apart = Apart(parameters=parameters)
    apart.send(
        e.CreditGroupUpdated, group_id="G", credit_currency="USD", credit_limit_minor=limit,
        credit_limit_expires_on=30_000,
    )  # fmt: skip
    for member in members:
        join(apart, member, "G", own)
    apart.settle()
    return apart


def join(apart: Apart, customer_id: str, group_id: str | None, own: int = 0) -> None:
    """The customer is in the group from now on, as far as its own task knows."""
    apart.send(
        e.CustomerUpdated, customer_id=customer_id, credit_currency="USD", credit_limit_minor=own,
        customer_credit_group=group_id,
    )  # fmt: skip


def order(apart: Apart, order_id: str, customer_id: str, amount: int, kind: type[e.Event] = e.OrderPlaced) -> None:
    """An order, or its new state."""
    apart.send(kind, order_id=order_id, customer_id=customer_id, amount_minor=amount, currency="USD")


def answers(event: e.Event) -> bool:
    """What groups tell members."""
    return isinstance(event, e.GroupCreditAnswered | e.GroupMembershipChanged)


def questions(event: e.Event) -> bool:
    """What members tell and ask groups."""
    return not answers(event)
