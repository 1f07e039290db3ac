"""Customer credit groups at their home (spec 3.8, 4.3, 5.2): the pool, and what its members are told."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from tests.auditor.membership import TOLD
from tests.auditor.money import minor
from tests.auditor.partition import Event, Part, Refused
from tests.auditor.pool import Group, Member, Wish

if TYPE_CHECKING:
    from tests.auditor.world import World


def a_group(part: Part, group_id: str) -> Group:
    """The group at its home, made known if it is not."""
    return part.groups.setdefault(group_id, Group(group_id))


def group_updated(world: World, event: Event, part: Part) -> None:
    """`CreditGroupUpdated`: the first sets limit and expiry date, later ones may not."""
    currency, group = event["credit_currency"], a_group(part, event["group_id"])
    limit, expires = minor(event["credit_limit"], currency) or 0, date.fromisoformat(event["credit_limit_expires_on"])
    if group.closed or group.currency not in ("", currency):
        raise Refused("invalid")
    world.touched_groups.add(group.group_id)
    group.freed = True
    if not group.currency:
        group.currency, group.limit, group.expires = currency, limit, expires
        for member in group.members.values():
            group.value(member, part)
        tell_members(world, group, "joined")
    elif (limit, expires) != (group.limit, group.expires):
        if not part.book["allow_manual_limits"]:
            world.expected.dead.append((event["event_id"], "limit_change_refused"))
            return
        value = {
            "type": "LimitChanged",
            "old_limit": world.show(group, group.limit),
            "new_limit": world.show(group, limit),
        }
        world.expected.limits.append(value | world.party_of(group) | {"expires_on": str(expires)})
        group.limit, group.expires = limit, expires


def tell_members(world: World, group: Group, state: str) -> None:
    """All that it counts are told, in the order of their ids."""
    for customer_id in sorted(group.members):
        if group.members[customer_id].belongs:
            tell_member(world, group, customer_id, state)


def tell_member(world: World, group: Group, customer_id: str, state: str) -> None:
    """The group counts the customer, or is closed."""
    expires = str(group.expires) if state == "joined" and group.currency else None
    value = {"type": "GroupMembershipChanged", "group_id": group.group_id, "customer_id": customer_id}
    world.expected.told.append(value | {"state": state, "expires_on": expires})


def group_closed(world: World, event: Event, part: Part) -> None:
    """`CreditGroupClosed`."""
    group = a_group(part, event["group_id"])
    if not group.currency:
        raise Refused("unknown_reference")
    if group.closed:
        raise Refused("invalid")
    group.closed, group.line = True, {}
    world.touched_groups.add(group.group_id)
    tell_members(world, group, "closed")


def member_reported(world: World, event: Event, part: Part) -> None:
    """`GroupMemberReported`: what is settled by it goes in the same step (5.2)."""
    group = a_group(part, event["group_id"])
    world.touched_groups.add(group.group_id)
    old = group.members.get(event["customer_id"]) or Member()
    if event["number"] <= old.number:
        return
    told = [minor(event.get(name) or "0", event["currency"]) or 0 for name in TOLD]
    belongs = event["is_member"] and not group.closed
    new = Member(event["number"], belongs, event["currency"], date.fromisoformat(event["business_date"]), told)
    group.count(event["customer_id"], new, part)
    for request_id in event.get("settled") or ():
        group.settle(request_id)
    if not event["is_member"]:
        group.forget(event["customer_id"])
    if event.get("joins"):
        tell_member(world, group, event["customer_id"], "closed" if group.closed else "joined")


def credit_requested(world: World, event: Event, part: Part) -> None:
    """`GroupCreditRequested`: the credit is set aside if it is there; else the order may wait in line."""
    group = a_group(part, event["group_id"])
    world.touched_groups.add(group.group_id)
    member = group.members.setdefault(event["customer_id"], Member())
    if event["number"] <= member.number:
        return
    member.number = event["number"]
    wish = Wish(event | {name: event.get(name) for name in ("released_below", "place")})
    wish.value |= {"conditions": event.get("conditions") or [], "place": event.get("place") or 0}
    request_id, purpose = event["request_id"], event["purpose"]
    if purpose == "wait" and group.is_known:
        group.line[request_id], group.freed = wish, True
        return
    room = group.room(wish, part)
    granted = room is not None and (room.released or (room.fits and purpose == "reserve"))
    if granted and room is not None:
        group.reserve(wish, room)
    waits = group.is_known and not granted and purpose == "reserve" and part.book["evaluate_on"] == "event"
    if waits:
        wish.told = False
        group.line[request_id] = wish
    world.expected.told.append(group.answer(wish, room, part, granted, waits))


def look_at_pool(world: World, group: Group, part: Part, look: bool) -> None:
    """Members that had no rate are valued anew, and what stands in line is looked at again."""
    if group.lacks_rate or look:
        world.touched_groups.add(group.group_id)
        group.freed = True
        for member in group.members.values():
            if member.belongs and member.worth is None:
                group.value(member, part)
