"""Orders that wait for the answer of their credit group, and what waits behind them (spec 5.2).

What comes for such an order waits in its order of coming, but for cancellations, deliveries and invoices; an end waits
only behind others that wait. So it is entered in the books when it is taken, which shows in the decisions and the
dead letters that an answer leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from credit_stream.core import events as e

Enter = Callable[[e.Event], None]

CHECKED = (
    e.OrderPlaced,
    e.OrderCheckpointReached,
    e.OrderReopened,
    e.ReleaseOrder,
    e.RejectOrder,
    e.ExcludeOrder,
    e.ForceHold,
)
"""What leads to a decision on its order, at once or when the group has answered."""
ENDS = (e.OrderCancelled, e.OrderClosed)


def is_checked(event: e.Event) -> bool:
    """Whether the event is about one order and has a decision to come. A question or a trial keeps nobody waiting."""
    if isinstance(event, e.CheckOrder) or getattr(event, "pro_forma", False):
        return False
    return isinstance(event, CHECKED) and getattr(event, "order_id", None) is not None


@dataclass
class Waiting:
    """Of one customer: by order, the event that waits for an answer, and those that wait behind it."""

    asked: dict[str, e.Event] = field(default_factory=dict)
    behind: dict[str, list[e.Event]] = field(default_factory=dict)

    def take(self, event: e.Event, decided: Container[tuple[str, str]], enter: Enter) -> None:
        """An event of the customer. `decided`: the orders that were decided on just now, each with the event's id."""
        if isinstance(event, e.ForceHold) and event.order_id is None:
            self._take_hold_of_many(event)
            return
        order_id = getattr(event, "order_id", "")
        behind = self.behind.setdefault(order_id, []) if order_id in self.asked else []
        is_trial = isinstance(event, e.OrderCheckpointReached)
        if order_id in self.asked and (is_checked(event) or is_trial or (isinstance(event, ENDS) and behind)):
            behind.append(event)
            return
        enter(event)
        if isinstance(event, ENDS):
            self.asked.pop(order_id, None)
        elif is_checked(event) and (order_id, event.event_id) not in decided:
            self.asked[order_id] = event

    def _take_hold_of_many(self, event: e.ForceHold) -> None:
        """Of each order it takes its turn behind what waits, and behind a release. A check that waits by itself brings
        it with its own decision."""
        for order_id, asking in self.asked.items():
            behind = self.behind.setdefault(order_id, [])
            if behind or isinstance(asking, e.ReleaseOrder):
                behind.append(event)

    def decide(
        self, order_id: str, event_id: str, decided: Container[tuple[str, str]], refused: Container[str], enter: Enter
    ) -> None:
        """A decision that an event has led to: it no longer waits, nor does what came before it."""
        if order_id in self.asked and self.asked[order_id].event_id == event_id:
            del self.asked[order_id]
            return
        behind = self.behind.get(order_id, [])
        if any(event.event_id == event_id for event in behind):
            self.go_on(order_id, decided, refused, enter)
            enter(behind.pop(0))

    def refuse(self, refused: Container[str]) -> None:
        """What waited for an answer was refused when it came."""
        self.asked = {order_id: asking for order_id, asking in self.asked.items() if asking.event_id not in refused}

    def go_on(self, order_id: str, decided: Container[tuple[str, str]], refused: Container[str], enter: Enter) -> None:
        """Takes what waited behind, up to one that waits for an answer itself, or whose decision is yet to be seen."""
        behind = self.behind.get(order_id, [])
        while behind and order_id not in self.asked and (order_id, behind[0].event_id) not in decided:
            event = behind.pop(0)
            if event.event_id in refused:
                continue
            enter(event)
            if is_checked(event):
                self.asked[order_id] = event
