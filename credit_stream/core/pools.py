"""The pool of a credit group during one step, at the group's task (spec 5.2, 3.8).

A group has one pool, and one task counts it: what the members' tasks have reported, and what orders were
granted and is not in a report yet. Credit is granted here and nowhere else, so two orders can never both get the last.

Orders on hold that could go but for the group wait in line. When the pool falls or the limit rises they are offered
credit in the sequence of `release_priority`, one at a time: the next one's turn comes when the first has taken what it
was offered, or given it back.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core.calendar import Day, Instant, day_from_iso, iso
from credit_stream.core.events import GroupCondition, GroupCreditAnswered
from credit_stream.core.limits import group_limit, is_below, passes
from credit_stream.core.money import TOTAL_MINOR_MAX, TooLarge
from credit_stream.core.outputs import Exposure, LimitExpired
from credit_stream.core.rates import converted, rate_in_force
from credit_stream.core.rows import (
    GROUP_AGENDA,
    GROUP_AGENDA_DAYS,
    GROUPS,
    LINE,
    MARK,
    MEMBERS,
    POOLS,
    RESERVATIONS,
    Group,
    InLine,
    Member,
    Pool,
    PublishedExposure,
    Reservation,
)
from credit_stream.core.topics import EXPOSURES, GROUP_ANSWERS
from credit_stream.core.view import Publication
from credit_stream.core.work import Work

UNKNOWN = Group()
EMPTY = Pool()
BUCKETS = 5


class Wish(Struct, frozen=True, gc=False):
    """What is asked of a pool for one order, whoever asks: a request, or an order in line."""

    customer_id: str
    order_id: str
    currency: str
    amount_minor: int
    included_minor: int
    conditions: tuple[GroupCondition, ...]
    released_below: str | None


class Room(Struct, frozen=True, gc=False):
    """The pool without an order and with it, in the group's currency, and whether its limit is kept."""

    before_minor: int
    after_minor: int
    fits: bool
    is_released: bool
    """An exclusion with release order is true."""


class PoolLedger(Struct, eq=False, gc=False):
    """A group and its pool during one step. `pool` is this step's own copy, `row` what it was before."""

    work: Work
    group_id: str
    group: Group
    row: Pool | None
    pool: Pool
    is_freed: bool = False
    """Something may fit now that did not before."""

    @property
    def is_known(self) -> bool:
        """Whether there is such a group, so that its limit counts."""
        return self.group.profile is not None and not self.group.is_closed

    @property
    def currency(self) -> str:
        """The group's; empty while it is not known."""
        return "" if self.group.profile is None else self.group.profile.credit_currency

    def limit(self) -> int:
        """The group's limit on the business date."""
        return group_limit(self.group, self.work.today)

    def change_group(self, group: Group) -> None:
        """Writes the group's row; what waits in line may fit now."""
        self.group = group
        self.is_freed = True
        self.work.put(GROUPS, "", self.group_id, group)

    # --- members ------------------------------------------------------------------------------------------------

    def count(self, customer_id: str, old: Member, new: Member) -> None:
        """Counts what a member has reported in place of what it had reported before."""
        before, unvalued = self._used(), self.pool.unvalued
        self._add(old, -1)
        new = self._valued(new)
        self._add(new, 1)
        self.work.put(MEMBERS, self.group_id, customer_id, new)
        self.is_freed |= self._used() < before or self.pool.unvalued < unvalued

    def _add(self, member: Member, sign: int) -> None:
        if not member.is_member:
            return
        pool = self.pool
        if member.valued is None:
            pool.unvalued += sign
            return
        current, overdue, orders, delivered, unapplied = member.valued
        pool.current_invoices_minor += sign * current
        pool.overdue_invoices_minor += sign * overdue
        pool.open_orders_minor += sign * orders
        pool.delivered_minor += sign * delivered
        pool.unapplied_minor += sign * unapplied

    def _valued(self, member: Member) -> Member:
        """The member with its exposure in the group's currency, at the rate of the report's date (spec 15, 1.2)."""
        if not member.is_member or not self.currency:
            return changed(member, valued=(0,) * BUCKETS)
        return changed(member, valued=self._in_group_currency(member))

    def _in_group_currency(self, member: Member) -> tuple[int, ...] | None:
        if member.currency == self.currency:
            return member.reported
        if not any(member.reported):
            return member.reported
        total = self._converted(total_of(member.reported), member.currency, member.business_date)
        parts = [self._converted(part, member.currency, member.business_date) for part in member.reported]
        known = [part for part in parts if part is not None]
        if total is None or len(known) < len(parts):
            return None
        return _adding_up_to(total, known)

    def _converted(self, amount_minor: int, currency: str, day: Day) -> int | None:
        """None without a rate, or where the amount is beyond what can be kept."""
        rate = rate_in_force(self.work, currency, self.currency, day)
        if rate is None:
            return None
        try:
            return converted(self.work, amount_minor, currency, self.currency, rate)
        except TooLarge:
            return None

    def value_again(self, everybody: bool = False) -> None:
        """Values the members anew that had no rate, or all of them when the group has become known."""
        for customer_id in self.work.ids(MEMBERS, self.group_id):
            member = self.work.get(MEMBERS, self.group_id, customer_id)
            if member is not None and member.is_member and (everybody or member.valued is None):
                self.count(customer_id, member, changed(member, valued=None))

    def _used(self) -> int:
        pool = self.pool
        invoices = pool.current_invoices_minor + pool.overdue_invoices_minor
        return invoices + pool.open_orders_minor + pool.delivered_minor - pool.unapplied_minor + pool.reserved_minor

    # --- credit for an order ------------------------------------------------------------------------------------

    def room_for(self, wish: Wish, offered_minor: int = 0) -> Room | None:
        """What the pool is without the order and with it; None where that cannot be told for want of a rate.

        `offered_minor` was offered to others that have not taken it.
        """
        member = self.work.get(MEMBERS, self.group_id, wish.customer_id)
        reported = 0 if member is None or not member.is_member else total_of(member.reported)
        counted = 0 if member is None or not member.is_member or member.valued is None else total_of(member.valued)
        without = self._converted(reported - wish.included_minor, wish.currency, self.work.today)
        with_it = self._converted(reported - wish.included_minor + wish.amount_minor, wish.currency, self.work.today)
        if without is None or with_it is None or self.pool.unvalued:
            return None
        others = self._used() + offered_minor - counted
        if abs(others) + abs(with_it) > TOTAL_MINOR_MAX:
            return None
        limit, decimals = self.limit(), self.work.currencies[self.currency]
        after = others + with_it
        fits = all(_holds(condition, after, limit, decimals) for condition in wish.conditions)
        below = wish.released_below
        is_released = below is not None and is_below(after, limit, below, decimals)
        return Room(others + without, after, fits, is_released)

    def reserve(self, request_id: str, wish: Wish, room: Room) -> None:
        """Grants the credit: it is reserved until the customer's report settles the request."""
        amount = max(0, room.after_minor - self._used())
        self.pool.reserved_minor += amount
        row = Reservation(wish.customer_id, wish.order_id, amount)
        self.work.put(RESERVATIONS, self.group_id, request_id, row)

    def settle(self, request_id: str) -> None:
        """The request is over: what was reserved for it is reported now or not needed, and nobody waits for it."""
        reservation = self.work.get(RESERVATIONS, self.group_id, request_id)
        if reservation is not None:
            self.pool.reserved_minor -= reservation.amount_minor
            self.work.drop(RESERVATIONS, self.group_id, request_id)
            self.is_freed = True
        self.leave_the_line(request_id)
        if self.pool.offered == request_id:
            self.pool.offered = None
            self.is_freed = True

    def leave_the_line(self, request_id: str) -> None:
        """Takes a held order out of the line, if it is in it."""
        if self.work.get(LINE, self.group_id, request_id) is not None:
            self.work.drop(LINE, self.group_id, request_id)
            self.pool.line -= 1

    def wait_in_line(self, request_id: str, row: InLine) -> None:
        """Puts a held order in line."""
        self.work.put(LINE, self.group_id, request_id, row)
        self.pool.line += 1

    def forget_member(self, customer_id: str) -> None:
        """A customer that has left has nothing reserved and waits for nothing."""
        for request_id in self.work.ids(RESERVATIONS, self.group_id):
            reservation = self.work.get(RESERVATIONS, self.group_id, request_id)
            if reservation is not None and reservation.customer_id == customer_id:
                self.settle(request_id)
        for request_id in self.work.ids(LINE, self.group_id):
            row = self.work.get(LINE, self.group_id, request_id)
            if row is not None and row.customer_id == customer_id:
                self.settle(request_id)

    def answer(
        self, request_id: str, wish: Wish, room: Room | None, *, granted: bool = False, waits: bool = False
    ) -> None:
        """Tells the customer's task."""
        self.pool.answers += 1
        work = self.work
        answer = GroupCreditAnswered(
            event_id=f"{self.group_id}/answer/{self.pool.answers}",
            occurred_at=work.partition.now,
            group_id=self.group_id,
            customer_id=wish.customer_id,
            order_id=wish.order_id,
            request_id=request_id,
            is_known=self.is_known,
            granted=granted,
            waits=waits,
            rate_missing=self.is_known and room is None,
            currency=self.currency or wish.currency,
            limit_minor=self.limit() if self.is_known else 0,
            before_minor=0 if room is None else room.before_minor,
            after_minor=0 if room is None else room.after_minor,
        )
        work.publications.append(Publication(GROUP_ANSWERS, wish.customer_id, answer))

    # --- the line -----------------------------------------------------------------------------------------------

    def offer(self) -> None:
        """Offers what is free to the orders in line, in the declared sequence (spec 7.4).

        With `automatic_release` the first that fits is granted its credit, and the others wait until it is settled.
        Without, all that fit beside those before them are told so. One that does not fit does not block the next.
        """
        pool, parameters = self.pool, self.work.parameters
        if not pool.line or pool.offered is not None or not self.is_known:
            return
        offered = 0
        for request_id, row in self._in_priority():
            if parameters.evaluate_on == "command" and row.told is not None:
                continue
            wish = wish_of(row)
            room = self.room_for(wish, offered)
            fits = room is not None and (room.fits or room.is_released)
            if fits and room is not None and parameters.automatic_release != "off":
                self.leave_the_line(request_id)
                self.reserve(request_id, wish, room)
                pool.offered = request_id
                self.answer(request_id, wish, room, granted=True)
                return
            if fits and room is not None:
                offered += room.after_minor - room.before_minor
            if fits != row.told:
                self._tell(request_id, row, wish, room, fits)

    def _tell(self, request_id: str, row: InLine, wish: Wish, room: Room | None, fits: bool) -> None:
        """Without `evaluate_on` event an order waits for one answer only."""
        stays = self.work.parameters.evaluate_on == "event"
        if stays:
            self.work.put(LINE, self.group_id, request_id, changed(row, told=fits))
        else:
            self.leave_the_line(request_id)
        self.answer(request_id, wish, room, waits=stays)

    def _in_priority(self) -> list[tuple[str, InLine]]:
        found = [(each, self.work.get(LINE, self.group_id, each)) for each in self.work.ids(LINE, self.group_id)]
        line = [(request_id, row) for request_id, row in found if row is not None]
        priority = self.work.parameters.release_priority
        sign = {"oldest_first": 0, "smallest_first": 1, "largest_first": -1}[priority]
        line.sort(key=lambda each: (sign * self._size(each[1]), *_arrival(*each)))
        return line

    def _size(self, row: InLine) -> int:
        size = self._converted(row.amount_minor, row.currency, self.work.today)
        return 0 if size is None else size

    # --- the end of the step ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Offers what became free, publishes the exposure if it changed, and writes the pool if it did."""
        if self.is_freed:
            self.offer()
        if self.is_known:
            self._publish_exposure()
        if self.pool != self.row:
            self.work.put(POOLS, "", self.group_id, self.pool)

    def _publish_exposure(self) -> None:
        pool, limit = self.pool, self.limit()
        published = PublishedExposure(
            pool.current_invoices_minor,
            pool.overdue_invoices_minor,
            pool.open_orders_minor,
            pool.delivered_minor,
            pool.unapplied_minor,
            limit,
        )
        if published == pool.published:
            return
        pool.published = published
        total = self._used() - pool.reserved_minor
        work = self.work
        work.publish(
            self.group_id,
            Exposure(
                party="group",
                group_id=self.group_id,
                currency=self.currency,
                current_invoices_minor=pool.current_invoices_minor,
                overdue_invoices_minor=pool.overdue_invoices_minor,
                open_orders_minor=pool.open_orders_minor,
                delivered_not_invoiced_minor=pool.delivered_minor,
                unapplied_minor=pool.unapplied_minor,
                exposure_minor=total,
                limit_minor=limit,
                available_minor=limit - total,
                utilization_percent=money.percent_of(total, limit) if limit else None,
                business_date=work.today,
                as_of=work.as_of(),
            ),
        )

    def retract_exposure(self) -> None:
        """A closed group has no exposure."""
        if self.pool.published is not None:
            self.pool.published = None
            self.work.retract(EXPOSURES, self.group_id)


def _arrival(request_id: str, row: InLine) -> tuple[Instant, str, int, int, str]:
    """The place in line of orders of one size. A customer's requests are numbered: its tenth comes after its ninth."""
    return row.since, row.customer_id, row.place, len(request_id), request_id


def total_of(buckets: tuple[int, ...]) -> int:
    """The exposure that the buckets are: current and overdue invoices, orders, deliveries, less unapplied payments."""
    current, overdue, orders, delivered, unapplied = buckets or (0,) * BUCKETS
    return current + overdue + orders + delivered - unapplied


def _adding_up_to(total: int, parts: list[int]) -> tuple[int, ...]:
    """The parts with the last that is there changed so that they add up to the total (spec 15, 1.2)."""
    signs = (1, 1, 1, 1, -1)
    off = total - total_of(tuple(parts))
    last = max((place for place, part in enumerate(parts) if part), default=0)
    parts[last] += off * signs[last]
    return tuple(parts)


def _holds(condition: GroupCondition, after_minor: int, limit_minor: int, decimals: int) -> bool:
    if not passes(after_minor, limit_minor, condition.percent, decimals, or_equal=condition.at_or_above):
        return True
    below = condition.excused_below
    return below is not None and is_below(after_minor, limit_minor, below, decimals)


def wish_of(row: InLine) -> Wish:
    """What an order in line asks."""
    return Wish(
        row.customer_id,
        row.order_id,
        row.currency,
        row.amount_minor,
        row.included_minor,
        row.conditions,
        row.released_below,
    )


class Pools(Struct, eq=False, gc=False):
    """The pools that a step has opened, in the order in which it did."""

    work: Work
    opened: dict[str, PoolLedger] = {}

    def open(self, group_id: str) -> PoolLedger:
        """The group's pool; the same one for the whole step."""
        ledger = self.opened.get(group_id)
        if ledger is None:
            work = self.work
            row = work.get(POOLS, "", group_id)
            group = work.get(GROUPS, "", group_id) or UNKNOWN
            ledger = self.opened[group_id] = PoolLedger(work, group_id, group, row, changed(row or EMPTY))
        return ledger

    def close(self) -> None:
        """Offers credit, publishes the exposures that changed and writes the pools."""
        for ledger in self.opened.values():
            ledger.close()

    def look_again(self, at_all: bool) -> None:
        """After new rates, or new settings (`at_all`): values what had no rate, and looks again at the line."""
        for group_id in self.work.ids(GROUPS, ""):
            pool = self.work.get(POOLS, "", group_id)
            if pool is None or not (pool.unvalued or (at_all and pool.line)):
                continue
            ledger = self.open(group_id)
            if pool.unvalued:
                ledger.value_again()
            ledger.is_freed = True

    def begin_day(self, today: Day) -> None:
        """Looks at the groups that the new business date is about (spec 10.2)."""
        work = self.work
        for text in work.ids(GROUP_AGENDA_DAYS, ""):
            if day_from_iso(text) > today:
                break
            for group_id in work.ids(GROUP_AGENDA, text):
                self._look_at(group_id, day_from_iso(text) - 1)
                work.drop(GROUP_AGENDA, text, group_id)
            work.drop(GROUP_AGENDA_DAYS, "", text)

    def _look_at(self, group_id: str, last_day: Day) -> None:
        ledger = self.open(group_id)
        group = ledger.group
        ledger.is_freed = True
        if group.credit_limit_expires_on == last_day and not group.is_closed:
            self._say_expired(ledger, None)
        over = [place for place, limit in enumerate(group.temporary_limits) if limit.to_date == last_day]
        for place in over if not group.is_closed else ():
            self._say_expired(ledger, place)
        if over:
            lasting = tuple(limit for limit in group.temporary_limits if limit.to_date > last_day)
            ledger.change_group(changed(group, temporary_limits=lasting))

    def _say_expired(self, ledger: PoolLedger, place: int | None) -> None:
        group = ledger.group
        temporary = None if place is None else group.temporary_limits[place]
        self.work.publish(
            ledger.group_id,
            LimitExpired(
                party="group",
                group_id=ledger.group_id,
                currency=ledger.currency,
                old_limit_minor=None if temporary is None else temporary.limit_minor,
                new_limit_minor=group.credit_limit_minor,
                expires_on=group.credit_limit_expires_on if temporary is None else None,
                from_date=None if temporary is None else temporary.from_date,
                to_date=None if temporary is None else temporary.to_date,
                journal_id=None if temporary is None else temporary.journal_id,
                line=None if temporary is None else temporary.line,
            ),
        )


def put_group_on_agenda(work: Work, day: Day, group_id: str) -> None:
    """Has the group looked at when the business date reaches the day; past days need no look."""
    if day > work.today:
        text = iso(day)
        work.put(GROUP_AGENDA_DAYS, "", text, MARK)
        work.put(GROUP_AGENDA, text, group_id, MARK)
