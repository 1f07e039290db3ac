"""The hold list (spec 7): how an order comes on it and leaves it, and what people and freed credit do to it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace as changed

from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.calendar import Day
from credit_stream.core.deciding import Judgement, with_forced_hold
from credit_stream.core.events import Checkpoint
from credit_stream.core.money import TooLarge
from credit_stream.core.outputs import HoldEntry, HoldReason, HoldStatus
from credit_stream.core.rows import HOLDERS, HOLDS, MARK, ORDERS, Hold, Order
from credit_stream.core.topics import HOLDS as HOLD_LIST
from credit_stream.core.work import Work

WORDS = {
    codes.CUSTOMER_UNKNOWN: ("no credit profile", "a credit profile"),
    codes.EXCHANGE_RATE_MISSING: ("no exchange rate", "an exchange rate"),
    codes.FORCED_HOLD: ("held by a person", "released by a person"),
    codes.PAYMENT_TERMS_INCREASED: ("the order's payment terms", "the customer's payment terms"),
    codes.SETTLEMENT_DISCOUNT_INCREASED: ("the order's settlement discount", "the customer's settlement discount"),
    codes.STALE_INPUTS: ("the newest invoice or payment", "max_input_age_minutes"),
    codes.ACCOUNT_STATUS: ("the customer's account status", "a status that holds"),
}
"""What is observed, and against what, for reasons that no rule gave."""


def reasons_now(found: Judgement) -> tuple[HoldReason, ...]:
    """All that holds the order at this moment, with the rules and their figures."""
    listed: dict[tuple[str, str | None], HoldReason] = {}
    for outcome, code in zip(found.outcomes, found.reason_of_outcome, strict=True):
        holds = outcome.hit and outcome.cancelled_by is None and outcome.kind == "blocking"
        if holds and code in found.holding:
            reason = HoldReason(
                code=code,
                rule_id=outcome.rule_id,
                observed=outcome.observed,
                threshold=outcome.threshold,
                still_valid=True,
            )
            listed.setdefault((code, outcome.rule_id), reason)
    by_rules = {code for code, _ in listed}
    for code in found.holding:
        if code not in by_rules:
            observed, threshold = WORDS.get(code, ("", ""))
            listed[code, None] = HoldReason(code=code, observed=observed, threshold=threshold, still_valid=True)
    return tuple(sorted(listed.values(), key=lambda reason: found.holding.index(reason.code)))


def marked(old: tuple[HoldReason, ...], now: tuple[HoldReason, ...]) -> tuple[HoldReason, ...]:
    """The reasons listed so far, each with whether it still holds, and the new ones after them."""
    current = {(reason.code, reason.rule_id): reason for reason in now}
    kept = [current.pop((reason.code, reason.rule_id), changed(reason, still_valid=False)) for reason in old]
    return (*kept, *current.values())


def status_of(listed: tuple[HoldReason, ...]) -> HoldStatus:
    """`held` while a reason holds; a forced hold with no other reason is ready and stays (spec 7.5)."""
    held = any(reason.still_valid and reason.code != codes.FORCED_HOLD for reason in listed)
    return "held" if held else "ready_to_release"


def short_form(listed: tuple[HoldReason, ...]) -> str:
    """One code, or `multiple` (spec 7.1)."""
    distinct = {reason.code for reason in listed}
    return next(iter(distinct)) if len(distinct) == 1 else codes.MULTIPLE


def put_on_list(
    work: Work,
    ledger: Ledger,
    order: Order,
    found: Judgement,
    checkpoint: Checkpoint,
    *,
    forced_reason: str | None = None,
    actor: str | None = None,
) -> None:
    """Enters an order that a check holds, or renews its entry with the reasons of this check."""
    old = work.get(HOLDS, order.customer_id, order.order_id)
    listed = reasons_now(found)
    entry = HoldEntry(
        order_id=order.order_id,
        customer_id=order.customer_id,
        group_id=ledger.group_id,
        legal_entity=order.legal_entity,
        checkpoint=checkpoint,
        amount_minor=order.amount_minor,
        currency=order.currency,
        held_since=work.partition.now if old is None else old.entry.held_since,
        reasons=listed,
        reason=short_form(listed),
        forced_reason=forced_reason or (None if old is None else old.entry.forced_reason),
        review_on=None if old is None else old.entry.review_on,
        assignee=None if old is None else old.entry.assignee,
        note=None if old is None else old.entry.note,
        status=status_of(listed),
        last_actor=actor or (None if old is None else old.entry.last_actor),
    )
    _write(work, ledger, entry, found.facts.counted_minor, old)


def _write(work: Work, ledger: Ledger, entry: HoldEntry, counted_minor: int, old: Hold | None) -> None:
    if old is None:
        ledger.account.holds += 1
        ledger.account.last_hold += 1
        work.put(HOLDERS, "", ledger.customer_id, MARK)
    number = ledger.account.last_hold
    if old is None:
        work.put(HOLDS, entry.customer_id, entry.order_id, Hold(entry, number, counted_minor))
    elif old.entry != entry or old.open_credit_minor != counted_minor:
        renewed = changed(old, entry=entry, open_credit_minor=counted_minor)
        work.put(HOLDS, entry.customer_id, entry.order_id, renewed)
    if old is None or old.entry != entry:
        work.publish(entry.order_id, entry)


def take_off_list(work: Work, ledger: Ledger, order_id: str) -> None:
    """Removes an order's entry, if it has one."""
    hold = work.get(HOLDS, ledger.customer_id, order_id)
    if hold is None:
        return
    if hold.request is not None:
        ledger.settled.append(hold.request)
    work.drop(HOLDS, ledger.customer_id, order_id)
    work.retract(HOLD_LIST, order_id)
    ledger.account.holds -= 1
    if ledger.account.holds == 0:
        work.drop(HOLDERS, "", ledger.customer_id)


def mark_entry(work: Work, ledger: Ledger, hold: Hold, found: Judgement) -> HoldStatus:
    """After an evaluation that releases nothing: which reasons still hold, and whether any does (spec 7.4)."""
    if hold.entry.forced_reason is not None:
        found = with_forced_hold(found)
    listed = marked(hold.entry.reasons, reasons_now(found))
    entry = changed(
        hold.entry,
        group_id=ledger.group_id,  # The customer may have joined, left or moved since the order was entered.
        reasons=listed,
        reason=short_form(listed),
        status=status_of(listed),
    )
    _write(work, ledger, entry, found.facts.counted_minor, hold)
    return entry.status


def review(
    work: Work, ledger: Ledger, hold: Hold, review_on: Day | None, assignee: str | None, note: str | None
) -> None:
    """Writes what people wrote on an entry; what they left out stays."""
    entry = changed(
        hold.entry,
        group_id=ledger.group_id,
        review_on=hold.entry.review_on if review_on is None else review_on,
        assignee=hold.entry.assignee if assignee is None else assignee,
        note=hold.entry.note if note is None else note,
        last_actor=work.event.actor,
    )
    _write(work, ledger, entry, hold.open_credit_minor, hold)


def in_priority(work: Work, ledger: Ledger) -> Iterator[Hold]:
    """The customer's entries in the order in which freed credit is offered (parameter `release_priority`)."""
    customer_id = ledger.customer_id
    found = [work.get(HOLDS, customer_id, order_id) for order_id in work.ids(HOLDS, customer_id)]
    entries = [hold for hold in found if hold is not None]
    priority = work.parameters.release_priority
    if priority == "oldest_first":
        entries.sort(key=lambda hold: hold.number)
    else:
        sign = 1 if priority == "smallest_first" else -1
        entries.sort(key=lambda hold: (sign * _size(work, ledger, hold), hold.number))
    return iter(entries)


def _size(work: Work, ledger: Ledger, hold: Hold) -> int:
    """What counts of a held order now: a profile, a rate or the horizon may have come since it was entered."""
    order = work.get(ORDERS, ledger.customer_id, hold.entry.order_id)
    try:
        return 0 if order is None else sum(ledger.parts_of(order))
    except TooLarge:
        return hold.open_credit_minor
