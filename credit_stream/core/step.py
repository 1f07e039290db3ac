"""One step: an event and the rows of a partition in, rows to write and records to publish out.

The only entrance to the core. The same view, event and position always give the same result; nothing else is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from msgspec import msgpack
from msgspec.structs import astuple
from msgspec.structs import replace as changed

from credit_stream.core import (
    answers,
    commands,
    customers,
    events,
    groups,
    invoices,
    journals,
    membership,
    orders,
    payments,
    reference,
)
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger, Ledgers
from credit_stream.core.days import advance, change_zone, remember_event
from credit_stream.core.evaluation import evaluate
from credit_stream.core.events import Event
from credit_stream.core.kept import decision_of_values, values_of
from credit_stream.core.money import TooLarge
from credit_stream.core.outputs import InputPosition
from credit_stream.core.pools import Pools
from credit_stream.core.rows import PARTITION, SEEN, Partition, Seen
from credit_stream.core.settings import compiled
from credit_stream.core.topics import (
    BROADCAST_TOPICS,
    DECISIONS,
    INTERNAL_TOPICS,
    INVOICES,
    NUMBERED_TOPICS,
    PAYMENTS,
)
from credit_stream.core.view import Publication, Refusal, StepResult, View
from credit_stream.core.work import Work, begin

HASH_BYTES = 16
RECEIVABLES = frozenset({INVOICES, PAYMENTS})
SEPARATE_IDS = BROADCAST_TOPICS | INTERNAL_TOPICS
"""Streams whose event ids are a name space of their own."""
NEW_PARTITION = Partition()

_encode = msgpack.Encoder().encode

OF_CUSTOMER: dict[type[Event], Callable[..., Refusal | None]] = {
    events.OrderPlaced: orders.order_placed,
    events.OrderChanged: orders.order_changed,
    events.OrderCheckpointReached: orders.order_checkpoint_reached,
    events.OrderDelivered: orders.order_delivered,
    events.OrderCancelled: orders.order_cancelled,
    events.OrderClosed: orders.order_closed,
    events.OrderReopened: orders.order_reopened,
    events.CheckOrder: orders.check_order,
    events.InvoicePosted: invoices.invoice_posted,
    events.InvoiceVoided: invoices.invoice_voided,
    events.InvoiceDisputed: invoices.invoice_disputed,
    events.CreditNotePosted: payments.credit_note_posted,
    events.PaymentReceived: payments.payment_received,
    events.PaymentApplied: payments.payment_applied,
    events.PaymentReversed: payments.payment_reversed,
    events.CustomerUpdated: customers.customer_updated,
    events.PolicyUpdated: customers.policy_updated,
    events.PolicyRemoved: customers.policy_removed,
    events.ReleaseOrder: commands.release_order,
    events.RejectOrder: commands.reject_order,
    events.ExcludeOrder: commands.exclude_order,
    events.ReviewOrder: commands.review_order,
    events.JournalLinePosted: journals.journal_line_posted,
    events.GroupMembershipChanged: membership.membership_changed,
}
"""What is about one customer: (work, ledger of the customer, event)."""

OF_JOURNAL: dict[type[Event], Callable[..., Refusal | None]] = {
    events.CreateLimitJournal: journals.create_limit_journal,
    events.AddJournalLines: journals.add_journal_lines,
    events.RemoveJournalLines: journals.remove_journal_lines,
    events.PostLimitJournal: journals.post_limit_journal,
}
"""What is about one journal: (work, event)."""

OF_GROUP: dict[type[Event], Callable[..., Refusal | None]] = {
    events.CreditGroupUpdated: groups.group_updated,
    events.CreditGroupClosed: groups.group_closed,
    events.GroupLimitPosted: groups.group_limit_posted,
    events.GroupMemberReported: groups.member_reported,
    events.GroupCreditRequested: groups.credit_requested,
}
"""What is about one credit group: (work, ledger of the group's pool, event)."""

OF_MANY: dict[type[Event], Callable[..., Refusal | None]] = {
    events.SettingsPublished: reference.settings_published,
    events.ExchangeRatePublished: reference.rate_published,
    events.EvaluateHolds: commands.evaluate_holds,
    events.ForceHold: commands.force_holds,
}
"""What is about many customers of the partition: (work, event, ledgers)."""


REFERENCE = frozenset({events.SettingsPublished, events.ExchangeRatePublished})


def step(view: View, event: Event, position: InputPosition) -> StepResult:
    """Takes one event.

    A refused event leaves no trace but the refusal, of which the engine makes a dead letter; a repeated one publishes
    its decisions again and changes nothing (spec 2). Ids of settings and rates, which all partitions take, and of
    requests between tasks are remembered apart and for good: an order's id must not make a partition refuse them.
    """
    if type(event) is events.ClockTicked:
        return _tick(view, event, position)
    if position.topic in NUMBERED_TOPICS:
        return _between_tasks(view, event, position)
    content_hash = hash_of(event)
    stream = position.topic if position.topic in SEPARATE_IDS else ""
    work = _begin(view, event, position)
    seen = work.get(SEEN, stream, event.event_id)
    if seen is not None:
        return _again(seen, content_hash, event)
    try:
        refusal = _take(work, event)
    except TooLarge:
        refusal = Refusal(codes.INVALID, "An amount or a total is beyond what can be kept: look at amounts and rates.")
    if refusal is not None:
        return StepResult({}, [], refusal)
    if not stream:
        remember_event(work, event.event_id)
    work.put(SEEN, stream, event.event_id, Seen(content_hash, tuple(map(values_of, work.decisions))))
    work.put(PARTITION, "", "", work.partition)
    return StepResult(work.writes, work.publications, work.refusal)


def _between_tasks(view: View, event: Event, position: InputPosition) -> StepResult:
    """A step of credit groups. It is never refused: whoever asked would wait for ever (spec 5.2)."""
    work = _begin(view, event, position)
    ledgers, pools = Ledgers(work), Pools(work)
    advance(work, event.occurred_at, ledgers, pools)
    if isinstance(event, events.GroupCreditAnswered):
        answers.credit_answered(work, ledgers, event, partial(_handle_kept, pools))
    else:
        _handle(work, ledgers, pools, event)
    _finish(work, ledgers, pools)
    work.put(PARTITION, "", "", work.partition)
    return StepResult(work.writes, work.publications, None, work.late)


def _handle_kept(pools: Pools, work: Work, ledgers: Ledgers, event: Event) -> Refusal | None:
    return _handle(work, ledgers, pools, event)


def _take(work: Work, event: Event) -> Refusal | None:
    ledgers, pools = Ledgers(work), Pools(work)
    advance(work, event.occurred_at, ledgers, pools)
    if work.position.topic in RECEIVABLES:
        _note_position(work)
    refusal = _handle(work, ledgers, pools, event)
    if refusal is None:
        ledgers.refuse_overflow()
        _finish(work, ledgers, pools)
    return refusal


def hash_of(event: Event) -> bytes:
    """A hash of every field and the type: what "the same content" means (spec 2).

    The fields go in by position: their names would double what is to be hashed, and those at their default be left out
    or not as the event was made, since msgspec tells a default by identity.
    """
    content = _encode((type(event).__name__, astuple(event)))
    return blake2b(content).digest()[:HASH_BYTES]


def _again(seen: Seen, content_hash: bytes, event: Event) -> StepResult:
    if seen.content_hash != content_hash:
        message = f"The event id {event.event_id} was used for other content before: send this event under a new id."
        return StepResult({}, [], Refusal(codes.EVENT_ID_REUSED, message))
    decisions = [decision_of_values(values) for values in seen.decisions]
    return StepResult({}, [Publication(DECISIONS, decision.order_id, decision) for decision in decisions], None)


def _begin(view: View, event: Event, position: InputPosition) -> Work:
    partition = view.get(PARTITION, "", "") or NEW_PARTITION
    return begin(view, event, position, changed(partition), compiled(partition.settings_document))


def _tick(view: View, event: events.ClockTicked, position: InputPosition) -> StepResult:
    work = _begin(view, event, position)
    if event.instant <= work.partition.now:
        return StepResult({}, [], None)
    ledgers, pools = Ledgers(work), Pools(work)
    advance(work, event.instant, ledgers, pools)
    answers.ask_again(work, ledgers, partial(_handle_kept, pools))
    _finish(work, ledgers, pools)
    work.put(PARTITION, "", "", work.partition)
    return StepResult(work.writes, work.publications, None, work.late)


def _note_position(work: Work) -> None:
    """Keeps as of which invoices and payments decisions are made (spec 11), and how old those are (spec 5.6)."""
    partition = work.partition
    partition.newest_receivable_at = max(partition.newest_receivable_at, work.event.occurred_at)
    if work.position.topic == INVOICES:
        partition.invoices_offset = work.position.offset
    else:
        partition.payments_offset = work.position.offset


def _handle(work: Work, ledgers: Ledgers, pools: Pools, event: Event) -> Refusal | None:
    kind = type(event)
    handle = OF_CUSTOMER.get(kind)
    if handle is not None:
        customer_id: str = getattr(event, "customer_id")  # noqa: B009 - every event of OF_CUSTOMER has one
        ledger = ledgers.open(customer_id)
        if ledger.account.asking and answers.waits_behind(work, ledger, event):
            return None
        return handle(work, ledger, event)
    if isinstance(event, events.ForceHold | events.EvaluateHolds) and (refusal := commands.forbidden(work, event)):
        return refusal
    if isinstance(event, events.ForceHold) and event.customer_id is None and event.order_id is not None:
        return Refusal(codes.INVALID, "To hold one order, name its customer too: add customer_id and send it again.")
    if isinstance(event, events.ForceHold) and event.customer_id is not None:
        ledger = ledgers.open(event.customer_id)
        if ledger.account.asking and answers.waits_behind(work, ledger, event):
            return None
        return commands.force_hold(work, ledger, event)
    if kind in OF_JOURNAL:
        return OF_JOURNAL[kind](work, event)
    if kind in OF_GROUP:
        group_id: str = getattr(event, "group_id")  # noqa: B009 - every event of OF_GROUP has one
        return OF_GROUP[kind](work, pools.open(group_id), event)
    if kind in OF_MANY:
        refusal = OF_MANY[kind](work, event, ledgers)
        if refusal is None and kind is events.SettingsPublished:
            change_zone(work, ledgers, pools)
        if refusal is None and kind in REFERENCE:
            pools.look_again(kind is events.SettingsPublished)
        return refusal
    return Refusal(codes.INVALID, f"This version does not carry out {kind.__name__}: nothing was done.")


def _finish(work: Work, ledgers: Ledgers, pools: Pools) -> None:
    """Offers freed credit to held orders, publishes the exposures that changed, writes accounts and clock."""
    if work.parameters.evaluate_on == "event":
        ledgers.note_freed()
        for customer_id in list(work.freed):
            ledger: Ledger = ledgers.open(customer_id)
            if ledger.account.holds:
                evaluate(work, ledger)
    ledgers.close()
    pools.close()
