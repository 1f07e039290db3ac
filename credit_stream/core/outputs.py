"""What goes out: one record for each output of interface section 4, and the dead letter.

The last station of the pipeline: `step` publishes these, `wire` makes bytes from them. Units as in `events`.
Percentages and ratios are decimal text, rounded half to even to two places.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from credit_stream.core.calendar import Day, Instant
from credit_stream.core.events import Checkpoint, Posting

Verdict = Literal["released", "on_hold", "rejected"]
Cause = Literal["order", "checkpoint", "change", "evaluation", "command", "group_answer"]
LimitSource = Literal["own", "group", "group_and_own", "unlimited", "none"]
HoldStatus = Literal["held", "ready_to_release", "in_approval"]
Party = Literal["customer", "group"]
RuleKind = Literal["blocking", "exclusion"]


class ExposureBuckets(Struct, frozen=True, kw_only=True, gc=False):
    """Exposure in credit currency by disjoint bucket (spec 3.9); `unapplied_minor` is positive and subtracted."""

    current_invoices_minor: int
    overdue_invoices_minor: int
    open_orders_minor: int
    delivered_not_invoiced_minor: int
    unapplied_minor: int
    total_minor: int


class RuleOutcome(Struct, frozen=True, kw_only=True, gc=False):
    """What one rule saw. It is a hit when `observed operator threshold` holds.

    `unit` is a currency for money (then both figures are decimal text of it), else `days`, `percent`, `text`, `date`.
    `cancelled_by` is the exclusion that cancelled the hit (spec 5.4).
    """

    rule_id: str
    type: str
    kind: RuleKind
    hit: bool
    observed: str
    operator: str
    threshold: str
    unit: str
    cancelled_by: str | None = None


class LimitParts(Struct, frozen=True, kw_only=True, gc=False):
    """The limit that was checked and its parts (spec 4.2, 4.3), in credit currency; total None is unlimited.

    The group's figures are in `group_currency`, the group's own, which may be another.
    """

    source: LimitSource
    base_minor: int = 0
    temporary_minor: int | None = None
    policies_minor: int = 0
    total_minor: int | None = None
    group_total_minor: int | None = None
    group_exposure_minor: int | None = None
    group_currency: str | None = None


class InputPosition(Struct, frozen=True, kw_only=True, gc=False):
    """Where the input lies in the log."""

    topic: str
    partition: int
    offset: int
    event_id: str


class AsOf(Struct, frozen=True, kw_only=True, gc=False):
    """The newest offsets of invoices and payments that were counted; -1: none yet."""

    invoices: int
    payments: int


class Approval(Struct, frozen=True, kw_only=True, gc=False):
    """One person's approval of a step."""

    actor: str
    role: str
    at: Instant
    comment: str | None = None


class CreditDecision(Struct, frozen=True, kw_only=True, gc=False):
    """The answer to one check, with its whole proof (spec 11). Money is in `currency`, the credit currency."""

    decision_id: str
    order_id: str
    customer_id: str
    group_id: str | None = None
    legal_entity: str
    checkpoint: Checkpoint
    pro_forma: bool
    verdict: Verdict
    reasons: tuple[str, ...]
    rules: tuple[RuleOutcome, ...]
    order_amount_minor: int
    order_open_amount_minor: int
    currency: str
    exposure_before: ExposureBuckets
    exposure_after: ExposureBuckets
    limit: LimitParts
    exchange_rate: str | None = None
    business_date: Day
    settings_version: int
    input: InputPosition
    as_of: AsOf
    actor: str | None = None
    release_reason: str | None = None
    posting: Posting | None = None
    over_limit_by_minor: int = 0
    approvals: tuple[Approval, ...] = ()
    supersedes: str | None = None
    cause: Cause


class HoldReason(Struct, frozen=True, kw_only=True, gc=False):
    """One reason of a hold, with the figures that caused it and whether it still holds."""

    code: str
    rule_id: str | None = None
    observed: str
    threshold: str
    still_valid: bool


class HoldEntry(Struct, frozen=True, kw_only=True, gc=False):
    """An order on the hold list (spec 7.1). `amount_minor` is the order's amount in `currency`, the order's own."""

    order_id: str
    customer_id: str
    group_id: str | None = None
    legal_entity: str
    checkpoint: Checkpoint
    amount_minor: int
    currency: str
    held_since: Instant
    reasons: tuple[HoldReason, ...]
    reason: str
    forced_reason: str | None = None
    review_on: Day | None = None
    assignee: str | None = None
    note: str | None = None
    status: HoldStatus
    last_actor: str | None = None


class Exposure(Struct, frozen=True, kw_only=True, gc=False):
    """The exposure of a customer or a credit group (spec 3.9). `limit_minor` None is unlimited."""

    party: Party
    customer_id: str | None = None
    group_id: str | None = None
    currency: str
    current_invoices_minor: int
    overdue_invoices_minor: int
    open_orders_minor: int
    delivered_not_invoiced_minor: int
    unapplied_minor: int
    exposure_minor: int
    limit_minor: int | None = None
    available_minor: int | None = None
    utilization_percent: str | None = None
    business_date: Day
    as_of: AsOf


class ScoreComponent(Struct, frozen=True, kw_only=True, gc=False):
    """What one scoring group gave, and for which input."""

    scoring_group: str
    type: str
    input: str | None = None
    score: int


class ScoreUpdated(Struct, frozen=True, kw_only=True, gc=False):
    """A new risk score and risk group (spec 9.3)."""

    customer_id: str
    old_score: int | None = None
    new_score: int
    old_risk_group: str | None = None
    new_risk_group: str | None = None
    components: tuple[ScoreComponent, ...]


class LimitRecord(Struct, frozen=True, kw_only=True, gc=False):
    """What `LimitChanged`, `LimitExpired` and `LimitProposed` have in common. Money is in `currency`."""

    party: Party
    customer_id: str | None = None
    group_id: str | None = None
    currency: str
    old_limit_minor: int | None = None
    new_limit_minor: int
    expires_on: Day | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    journal_id: str | None = None
    line: int | None = None
    actor: str | None = None
    approvals: tuple[Approval, ...] = ()
    reason: str | None = None


class LimitChanged(LimitRecord, frozen=True, kw_only=True, gc=False):
    """A limit has another value or another expiry date (spec 8.4)."""


class LimitExpired(LimitRecord, frozen=True, kw_only=True, gc=False):
    """A limit or a temporary limit has passed its last day."""


class LimitProposed(LimitRecord, frozen=True, kw_only=True, gc=False):
    """A generated journal line (spec 8.3)."""


class JournalLineState(Struct, frozen=True, kw_only=True, gc=False):
    """One line of a journal, numbered from 1."""

    line: int
    customer_id: str | None = None
    group_id: str | None = None
    credit_limit_minor: int
    currency: str
    expires_on: Day | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    reason: str | None = None
    status: str
    approvals: tuple[Approval, ...] = ()


class LimitJournal(Struct, frozen=True, kw_only=True, gc=False):
    """A credit limit adjustment journal (spec 8.2)."""

    journal_id: str
    journal_type: str
    description: str
    status: Literal["draft", "in_approval", "approved", "posted", "declined"]
    lines: tuple[JournalLineState, ...]
    approvals: tuple[Approval, ...] = ()
    skipped: tuple[str, ...] = ()


class AgingBucket(Struct, frozen=True, kw_only=True, gc=False):
    """Open invoices `from_days` to `to_days` overdue; from None is not due, to None is without end."""

    from_days: int | None = None
    to_days: int | None = None
    amount_minor: int


class BalanceStatistics(Struct, frozen=True, kw_only=True, gc=False):
    """Balance statistics of a customer (spec 10.4), in `currency`."""

    customer_id: str
    currency: str
    as_of_date: Day
    outstanding_minor: int
    highest_balance_minor: int
    last_payment_on: Day | None = None
    last_payment_amount_minor: int | None = None
    average_payment_days: str | None = None
    days_sales_outstanding_1: str | None = None
    days_sales_outstanding_2: str | None = None
    average_balance_1_minor: int
    average_balance_2_minor: int
    average_limit_percent_1: str | None = None
    average_limit_percent_2: str | None = None
    average_exposure_percent_1: str | None = None
    average_exposure_percent_2: str | None = None
    aging: tuple[AgingBucket, ...]
    orders_held: int
    orders_released: int
    orders_rejected: int
    amount_held_minor: int
    amount_released_minor: int
    amount_rejected_minor: int


class RunCompleted(Struct, frozen=True, kw_only=True, gc=False):
    """One partition's part of a command for many customers (spec 2)."""

    event_id: str
    command: str
    partition: int
    processed: int
    changed: int
    failed: int
    business_date: Day


class DeadLetter(Struct, frozen=True, kw_only=True, gc=False):
    """What could not be read or accepted (spec 12), with the bytes as they came."""

    dead_letter_id: str
    topic: str
    partition: int
    offset: int
    event_id: str | None = None
    reason: str
    message: str
    payload: bytes


OutputRecord = (
    CreditDecision
    | HoldEntry
    | Exposure
    | ScoreUpdated
    | LimitChanged
    | LimitExpired
    | LimitProposed
    | LimitJournal
    | BalanceStatistics
    | RunCompleted
    | DeadLetter
)
