"""The pool of a customer credit group, at the group's own task (spec 5.2, 3.8, 7.4, 8).

It is counted from what members told, and from what was granted and not told of yet; what follows for an order that is
asked about is worked out anew each time. A member's own books are not looked at here: that what it tells is what it is,
is checked where it tells it (`membership`). Together they are the invariant: whatever lies between these moments, the
pool never has less than was released.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.auditor.books import BUCKETS, UNAPPLIED, Buckets, total
from tests.auditor.facts import TemporaryLimit, temporary_in_force
from tests.auditor.forms import instant
from tests.auditor.money import Money, convert, minor, shown

if TYPE_CHECKING:
    from tests.auditor.partition import Part

Value = dict[str, Any]
NOTHING: Buckets = [0, 0, 0, 0, 0]


@dataclass
class Member:
    """What a customer told last, in its currency, and what that is worth in the group's; None: there is no rate."""

    number: int = 0
    belongs: bool = False
    currency: str = ""
    day: date = date.min
    told: Buckets = field(default_factory=lambda: list(NOTHING))
    worth: Buckets | None = field(default_factory=lambda: list(NOTHING))


@dataclass
class Wish:
    """What a member asks for one order: a request as it was taken."""

    value: Value
    told: bool | None = None
    """In line: whether it was last told that it fits."""

    @property
    def amount(self) -> Money:
        """What counts of the order, in the member's currency."""
        return minor(self.value["amount"], self.value["currency"]) or 0

    @property
    def included(self) -> Money:
        """What of that the member has told already."""
        return minor(self.value["included"], self.value["currency"]) or 0


@dataclass
class Room:
    """The pool without an order and with it, and whether the limit is kept."""

    before: Money
    after: Money
    fits: bool
    released: bool
    """Below the share under which an exclusion releases the order."""


@dataclass
class Group:
    """A customer credit group: its limit, its members and what it owes an answer. Without a currency it is not known
    yet, but members may have told of themselves."""

    group_id: str
    currency: str = ""
    limit: Money = 0
    expires: date = date.min
    closed: bool = False
    temporary: list[TemporaryLimit] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    reserved: dict[str, tuple[str, Money]] = field(default_factory=dict)
    """By request: whose, and how much was granted that no report has yet."""
    line: dict[str, Wish] = field(default_factory=dict)
    offered: str | None = None
    """The request whose turn it is, until it is settled."""
    freed: bool = False
    """Something may fit now that did not before."""

    @property
    def is_known(self) -> bool:
        """Whether its limit counts."""
        return bool(self.currency) and not self.closed

    def limit_on(self, today: date) -> Money:
        """Its temporary limit if one is in force, else its limit."""
        found = temporary_in_force(self.temporary, today)
        return self.limit if found is None else found.amount

    def buckets(self) -> Buckets:
        """The sum over the members."""
        return [sum(member.worth[at] for member in self.counted()) for at in range(len(BUCKETS))]  # type: ignore[index]

    def counted(self) -> Iterator[Member]:
        """Members that are worth something in the group's currency."""
        return (member for member in self.members.values() if member.belongs and member.worth is not None)

    @property
    def lacks_rate(self) -> bool:
        """Whether the pool cannot be told."""
        return any(member.belongs and member.worth is None for member in self.members.values())

    def used(self) -> Money:
        """What members told, and what is granted besides."""
        return total(self.buckets()) + sum(amount for _, amount in self.reserved.values())

    # --- what members tell ------------------------------------------------------------------------------------------

    def count(self, customer_id: str, member: Member, part: Part) -> None:
        """Counts what a member has told in place of what it told before."""
        before, lacked = self.used(), self.lacks_rate
        self.members[customer_id] = member
        self.value(member, part)
        self.freed |= self.used() < before or (lacked and not self.lacks_rate)

    def value(self, member: Member, part: Part) -> None:
        """In the group's currency, at the rate of the report's date; of a converted whole all parts but the last are
        converted, the last is the difference (15, 1.2)."""
        if not member.belongs or not self.currency:
            member.worth = list(NOTHING)
        elif member.currency == self.currency or not any(member.told):
            member.worth = list(member.told)
        else:
            pair = (member.currency, self.currency)
            found, rate = part.rates.find(part.book["credit_rate_type"], *pair, member.day)
            if not found:
                member.worth = None
                return
            member.worth = [convert(amount, *pair, rate) for amount in member.told]
            last = max((at for at, amount in enumerate(member.worth) if amount), default=0)
            off = convert(total(member.told), *pair, rate) - total(member.worth)
            member.worth[last] += -off if last == UNAPPLIED else off

    def settle(self, request_id: str) -> None:
        """The request is over: what was granted is told now, or was given back; nobody waits for it."""
        if self.reserved.pop(request_id, None) is not None:
            self.freed = True
        self.line.pop(request_id, None)
        if self.offered == request_id:
            self.offered, self.freed = None, True

    def forget(self, customer_id: str) -> None:
        """A customer that has left has nothing reserved and waits for nothing."""
        of_customer = [request for request, (whose, _) in self.reserved.items() if whose == customer_id]
        of_customer += [request for request, wish in self.line.items() if wish.value["customer_id"] == customer_id]
        for request_id in of_customer:
            self.settle(request_id)

    # --- what they ask ----------------------------------------------------------------------------------------------

    def room(self, wish: Wish, part: Part, offered: Money = 0) -> Room | None:
        """What the pool is without the order and with it, beside what is `offered` to others; None without a rate."""
        member = self.members.get(wish.value["customer_id"]) or Member()
        pair = (wish.value["currency"], self.currency)
        found, rate = part.rates.find(part.book["credit_rate_type"], *pair, part.today)
        if not found or self.lacks_rate or not self.is_known:
            return None
        told = total(member.told) if member.belongs else 0
        worth = total(member.worth or NOTHING) if member.belongs else 0
        others = self.used() + offered - worth
        before = others + convert(told - wish.included, *pair, rate)
        after = others + convert(told - wish.included + wish.amount, *pair, rate)
        limit, below = self.limit_on(part.today), wish.value["released_below"]
        fits = all(holds(condition, after, limit) for condition in wish.value["conditions"])
        return Room(before, after, fits, below is not None and after < Fraction(below) * limit / 100)

    def reserve(self, wish: Wish, room: Room) -> None:
        """Grants what the order adds to the pool."""
        amount = max(0, room.after - self.used())
        self.reserved[wish.value["request_id"]] = (wish.value["customer_id"], amount)

    def answer(self, wish: Wish, room: Room | None, part: Part, granted: bool = False, waits: bool = False) -> Value:
        """What the member must be told."""
        currency = self.currency or wish.value["currency"]
        found = {name: wish.value[name] for name in ("customer_id", "order_id", "request_id")}
        found |= {"type": "GroupCreditAnswered", "group_id": self.group_id, "is_known": self.is_known}
        found |= {"granted": granted, "waits": waits, "rate_missing": self.is_known and room is None}
        limit = self.limit_on(part.today) if self.is_known else 0
        figures = {"limit": limit, "before": room.before if room else 0, "after": room.after if room else 0}
        return found | {"currency": currency} | {name: shown(amount, currency) for name, amount in figures.items()}

    def offers(self, part: Part) -> Iterator[Value]:
        """What is free goes to the orders in line, in the declared sequence (7.4), and never twice.

        With `automatic_release` the first that fits is granted it, and the others wait until that is settled; without,
        all that fit beside those before them are told so. One that does not fit does not block the next.
        """
        if self.offered is not None or not self.is_known:
            return
        offered = 0
        for wish in sorted(self.line.values(), key=lambda wish: self.turn(wish, part)):
            if part.book["evaluate_on"] == "command" and wish.told is not None:
                continue
            room = self.room(wish, part, offered)
            fits = room is not None and (room.fits or room.released)
            if fits and room is not None and part.book["automatic_release"] != "off":
                self.offered = wish.value["request_id"]
                self.line.pop(wish.value["request_id"])
                self.reserve(wish, room)
                yield self.answer(wish, room, part, granted=True)
                return
            offered += room.after - room.before if fits and room is not None else 0
            if fits != wish.told:
                stays = part.book["evaluate_on"] == "event"
                wish.told = fits
                if not stays:
                    self.line.pop(wish.value["request_id"])
                yield self.answer(wish, room, part, waits=stays)

    def turn(self, wish: Wish, part: Part) -> tuple[Any, ...]:
        """The place of an order in line: `release_priority`, then how long it waits."""
        sign = {"oldest_first": 0, "smallest_first": 1, "largest_first": -1}[part.book["release_priority"]]
        pair = (wish.value["currency"], self.currency)
        found, rate = part.rates.find(part.book["credit_rate_type"], *pair, part.today)
        size = convert(wish.amount, *pair, rate) if found else 0
        return sign * size, instant(wish.value["since"]), wish.value["customer_id"], wish.value["place"]


def holds(condition: Value, after: Money, limit: Money) -> bool:
    """Whether the pool keeps what a rule asks of it, or an exclusion excuses it (4.4, 5.4)."""
    of = Fraction(condition["percent"]) * limit / 100
    below = condition["excused_below"]
    kept = after < of if condition["at_or_above"] else after <= of
    return kept or (below is not None and after < Fraction(below) * limit / 100)
