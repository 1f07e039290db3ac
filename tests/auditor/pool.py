"""The invariant of spec 5.2 over an interleaved history.

At every moment the commitments of released orders and invoices of a group are at most its limit, except for what
invoices, falling limits, rate changes or a person's release put above it. So after every step in which a check released
an order of a member, what is above the limit may not be more than what such growth put there before, or put there since
the group last heard from that member (it granted by what it knew).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.auditor.books import Books, Counting, total
from tests.auditor.money import Money, convert, minor
from tests.auditor.world import Group, World


class Pools:
    """What each pool has above its limit, and how it came there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pools: dict[str, Money] = {}
        self.allowed: dict[str, Money] = {}
        self.unheard: dict[str, dict[str, Money]] = {}

    def look(self, decisions: list[dict[str, Any]], event: Any) -> Iterator[tuple[str, Money, Money]]:
        """The pools after a step: text, what may be above the limit, what is."""
        kind = event.get("type") if isinstance(event, dict) else None
        for group_id, group in self.world.groups.items():
            if group.closed:
                continue
            if kind == "GroupMemberReported" and event.get("group_id") in (None, group_id):
                self.unheard.get(group_id, {}).pop(event.get("customer_id"), None)
            yield from self.look_at(group, decisions)

    def look_at(self, group: Group, decisions: list[dict[str, Any]]) -> Iterator[tuple[str, Money, Money]]:
        """One pool: growth by grants must fit, other growth makes room for itself."""
        pool, limit = 0, group.limit_on(self.world.parts[group.partition].today)
        granted = self.granted(group, decisions)
        for customer_id, amount in self.commitments(group).items():
            before = self.pools.get(f"{group.group_id}/{customer_id}", 0)
            self.pools[f"{group.group_id}/{customer_id}"] = amount
            pool += amount
            uninvited = amount - before - granted.get(customer_id, 0)
            if uninvited > 0:
                unheard = self.unheard.setdefault(group.group_id, {})
                unheard[customer_id] = unheard.get(customer_id, 0) + uninvited
        above = max(0, pool - limit)
        room = self.allowed.get(group.group_id, 0) + sum(self.unheard.get(group.group_id, {}).values())
        if granted and above > room and above > self.limit_when_granted(decisions, pool):
            yield f"pool of {group.group_id} over-released", room, above
        self.allowed[group.group_id] = above

    def limit_when_granted(self, decisions: list[dict[str, Any]], pool: Money) -> Money:
        """What is above the limits that the group had when it answered: a limit may have fallen since."""
        totals = [
            minor(value["limit"]["group_total"], value["currency"]) or 0
            for value in (output["value"] for output in decisions)
            if value["verdict"] == "released" and (value.get("limit") or {}).get("group_total") is not None
        ]
        return max(0, pool - max(totals)) - 1 if totals and pool <= max(totals) else -1 if not totals else 0

    def granted(self, group: Group, decisions: list[dict[str, Any]]) -> dict[str, Money]:
        """By member, what orders released by a check (no person) came to in this step."""
        found: dict[str, Money] = {}
        for output in decisions:
            value = output["value"]
            checked = value["verdict"] == "released" and not value["pro_forma"] and value["cause"] != "command"
            if checked and value["group_id"] == group.group_id and value["limit"]["source"].startswith("group"):
                amount = minor(value["order_open_amount"], value["currency"]) or 0
                found[value["customer_id"]] = found.get(value["customer_id"], 0) + amount
        return found

    def commitments(self, group: Group) -> dict[str, Money]:
        """By member, in the group's currency: exposure of released orders and invoices, nothing that waits."""
        found = {}
        for part in self.world.parts:
            for customer in part.customers.values():
                if customer.group != group.group_id or customer.profile is None:
                    continue
                parameters = part.book.parameters | {"held_orders_consume_credit": False}
                amount = total(released_only(customer.books, Counting(part.today, parameters)))
                pair = (customer.currency, group.currency)
                _, rate = part.rates.find(part.book["credit_rate_type"], *pair, part.today)
                found[customer.customer_id] = convert(amount, *pair, rate)
        return found


def released_only(books: Books, counting: Counting) -> list[Money]:
    """The buckets without what is pending."""
    pending = [order for order in books.orders.values() if order.verdict == "pending"]
    for order in pending:
        order.verdict = "on_hold"
    buckets = books.buckets(counting)
    for order in pending:
        order.verdict = "pending"
    return buckets
