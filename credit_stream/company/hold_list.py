"""The hold list as the company sees it, and the clerk who works it.

Whoever runs the credit system tells the company what appears on `credit.holds`. Told nothing, the company believes that
nothing is held: it delivers everything, as an upstream without a credit check does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from zlib import crc32

from credit_stream.company.books import Books
from credit_stream.company.countries import COUNTRIES, day_of
from credit_stream.core.calendar import Instant
from credit_stream.core.events import RejectOrder, ReleaseOrder
from credit_stream.core.outputs import HoldEntry

CLERKS = ("ines", "tomas", "yuki")
OFFICE = COUNTRIES[1]
"""The clerks sit in the United Kingdom and keep its hours."""
HOPELESS = frozenset({"account_status"})
REJECT_REASONS = ("customer does not pay", "limit will not be raised", "order too large")
RELEASE_REASONS = ("paid", "promise", "promise", "management")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the clerk does about a held order: after how many days, release or reject, and why."""

    days: int
    release: bool
    reason: str
    actor: str


def judge(entry: HoldEntry, seed: int) -> Judgement:
    """The clerk's mind: a pure function of the order, its reasons and the seed.

    Four of five orders are released after up to five days; those of suspended customers are rejected.
    """
    luck = crc32(f"{seed}/{entry.order_id}/{entry.checkpoint}".encode())
    hopeless = any(reason.code in HOPELESS for reason in entry.reasons)
    release = not hopeless and luck % 100 < 80
    reasons = RELEASE_REASONS if release else REJECT_REASONS
    return Judgement(
        days=luck // 100 % 6,
        release=release,
        reason=reasons[luck // 1000 % len(reasons)],
        actor=CLERKS[luck // 10_000 % len(CLERKS)],
    )


class HoldList:
    """What is on hold now, and which orders were rejected."""

    __slots__ = ("_books", "held", "rejected")

    def __init__(self, books: Books) -> None:
        self._books = books
        self.held: dict[str, HoldEntry] = {}
        self.rejected: set[str] = set()

    def hear(self, order_id: str, entry: HoldEntry | None) -> None:
        """A record of `credit.holds`: an entry, or None when the order left the list."""
        if entry is None:
            self.held.pop(order_id, None)
            return
        is_new = order_id not in self.held
        self.held[order_id] = entry
        if is_new and order_id not in self.rejected:
            judgement = judge(entry, self._books.plan.seed)
            day = day_of(self._books.now) + 1 + judgement.days
            self._books.plan_on(day, OFFICE, partial(self._act, order_id), judgement)

    def _act(self, order_id: str, judgement: Judgement, at: Instant) -> None:
        """The clerk acts, unless the order has left the list by itself.

        Before that the batch ends, so that what its events did to the list can be heard.
        """
        if self._books.written:
            self._books.batch_over = True
            self._books.plan_at(at, partial(self._act, order_id), judgement)
            return
        entry = self.held.get(order_id)
        if entry is None:
            return
        if judgement.release:
            self._release(at, entry, judgement)
        else:
            self._reject(at, entry, judgement)

    def _release(self, at: Instant, entry: HoldEntry, judgement: Judgement) -> None:
        self._books.written.append(
            ReleaseOrder(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="hold list",
                legal_entity=entry.legal_entity,
                actor=judgement.actor,
                order_id=entry.order_id,
                customer_id=entry.customer_id,
                release_reason=judgement.reason,
                posting="with_posting",
            )
        )

    def _reject(self, at: Instant, entry: HoldEntry, judgement: Judgement) -> None:
        self.rejected.add(entry.order_id)
        self._books.written.append(
            RejectOrder(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="hold list",
                legal_entity=entry.legal_entity,
                actor=judgement.actor,
                order_id=entry.order_id,
                customer_id=entry.customer_id,
                reason=judgement.reason,
            )
        )
