"""A step under way: reads through to the view, collects writes and publications, keeps the accounts it opened.

Every handler of an event gets a `Work`. Nothing leaves it before the step has ended: a refusal throws it away whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from credit_stream.core import rows
from credit_stream.core.calendar import Day, iso
from credit_stream.core.events import Event
from credit_stream.core.limits import GroupFigures
from credit_stream.core.outputs import AsOf, CreditDecision, InputPosition, OutputRecord
from credit_stream.core.settings import Parameters, Settings
from credit_stream.core.topics import DECISIONS, TOPIC_OF_OUTPUT
from credit_stream.core.view import NOT_AT_HAND, Key, LateRefusal, Publication, Refusal, Table, View

R = TypeVar("R", bound=Struct)


def begin(view: View, event: Event, position: InputPosition, partition: rows.Partition, settings: Settings) -> Work:
    """A step that begins with the event. `partition` is its own copy."""
    today = partition.business_date
    at_hand, currencies = view.at_hand, view.currencies
    return Work(view, event, position, partition, settings, settings.parameters, today, currencies, at_hand)


class Work(Struct, eq=False, gc=False):
    """The state of one step. `partition`, `settings` and `today`, the business date, are as in force for the event.

    A struct, as `Ledger` and `Facts` are, because a step makes one of each: a class with `__init__` costs ten times as
    much to make. They refer to each other one way only, so the garbage collector need not know them.
    """

    view: View
    event: Event
    position: InputPosition
    partition: rows.Partition
    settings: Settings
    parameters: Parameters
    today: Day
    currencies: Mapping[str, int]
    at_hand: Mapping[Key, Struct | None]
    writes: dict[Key, Struct | None] = {}
    listed: dict[Table[Struct], dict[str, dict[str, None]]] = {}
    """Of the tables that this step has listed ids of, what it wrote under each parent. Most steps list none."""
    publications: list[Publication] = []
    decisions: list[CreditDecision] = []
    freed: dict[str, None] = {}
    answers: dict[str, GroupFigures] = {}
    """What credit groups have answered, by order: what is judged in this step need not ask again."""
    refusal: Refusal | None = None
    late: list[LateRefusal] = []

    def as_of(self) -> AsOf:
        """As of which offsets invoices and payments are counted."""
        partition = self.partition
        return AsOf(invoices=partition.invoices_offset, payments=partition.payments_offset)

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row as this step left it so far."""
        key = (table, parent, row_id)
        writes = self.writes
        if writes and key in writes:
            return writes[key]  # type: ignore[return-value] # under a key of Table[R] lies an R
        row = self.at_hand.get(key, NOT_AT_HAND)
        return self.view.get(table, parent, row_id) if row is NOT_AT_HAND else row  # type: ignore[return-value]

    def put(self, table: Table[R], parent: str, row_id: str, row: R) -> None:
        """Writes a row."""
        self.writes[table, parent, row_id] = row
        if table in self.listed:
            self.listed[table].setdefault(parent, {})[row_id] = None

    def drop(self, table: Table[R], parent: str, row_id: str) -> None:
        """Deletes a row, if there is one."""
        self.writes[table, parent, row_id] = None
        if table in self.listed:
            self.listed[table].setdefault(parent, {})[row_id] = None

    def ids(self, table: Table[R], parent: str) -> list[str]:
        """The ids under the parent as this step left them so far, in code-point order."""
        if table not in self.listed:
            self._list(table)
        written = self.listed[table].get(parent)
        if written is None:
            return list(self.view.ids(table, parent))
        listed = set(self.view.ids(table, parent))
        for row_id in written:
            if self.writes[table, parent, row_id] is None:
                listed.discard(row_id)
            else:
                listed.add(row_id)
        return sorted(listed)

    def _list(self, table: Table[R]) -> None:
        """Begins to keep what is written under each parent of the table."""
        under: dict[str, dict[str, None]] = {}
        for written, parent, row_id in self.writes:
            if written is table:
                under.setdefault(parent, {})[row_id] = None
        self.listed[table] = under

    def publish(self, key: str, record: OutputRecord) -> None:
        """Publishes a record on its topic."""
        self.publications.append(Publication(TOPIC_OF_OUTPUT[type(record)], key, record))

    def retract(self, topic: str, key: str) -> None:
        """Publishes a tombstone."""
        self.publications.append(Publication(topic, key, None))

    def decide(self, decision: CreditDecision) -> None:
        """Publishes a decision and keeps it, so that a repeat of the event gives it again."""
        self.decisions.append(decision)
        self.publications.append(Publication(DECISIONS, decision.order_id, decision))

    def decision_id(self, order_id: str) -> str:
        """The id of the next decision on the order: derived from the event, so that a repeat has the same."""
        if not self.decisions:
            return f"{self.position.event_id}/{order_id}"
        made = sum(1 for decision in self.decisions if decision.order_id == order_id)
        suffix = f"/{made + 1}" if made else ""
        return f"{self.position.event_id}/{order_id}{suffix}"

    def free(self, customer_id: str) -> None:
        """Says that something may have freed held orders of the customer (spec 7.4)."""
        self.freed[customer_id] = None

    def put_on_agenda(self, day: Day, customer_id: str) -> None:
        """Has the customer looked at when the business date reaches the day (spec 10.2); past days need no look."""
        if day <= self.today:
            return
        text = iso(day)
        if self.get(rows.AGENDA, text, customer_id) is None:
            self.put(rows.AGENDA_DAYS, "", text, rows.MARK)
            self.put(rows.AGENDA, text, customer_id, rows.MARK)
