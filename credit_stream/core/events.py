"""What comes in: one frozen record for each input of interface section 2.

The first station of the pipeline: `wire` makes these from bytes, `step` takes them one at a time.
Field names are those of `schemas/*.avsc`, in the same order. Units: money is `int` minor units and its name ends
in `_minor`; an `Instant` is milliseconds since 1970 UTC; a `Day` is days since 1970-01-01; percentages, rates and
money whose currency stands on another document (a settlement is in the invoice's currency) are decimal text.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from credit_stream.core.calendar import Day, Instant

Checkpoint = Literal["order_entry", "confirmation", "picking_list", "packing_slip", "invoice"]
Posting = Literal["with_posting", "without_posting"]
PolicyKind = Literal["insurance", "guarantee"]
JournalType = Literal["credit_limit", "temporary_credit_limit"]
LineOrigin = Literal["customers", "groups", "automatic_limits"]
ChangeKind = Literal["fixed", "percentage"]
ChangeDirection = Literal["increase", "decrease"]
Rounding = Literal["up", "down"]
GroupPurpose = Literal["reserve", "look", "wait"]
GroupState = Literal["joined", "closed"]

CHECKPOINTS: tuple[Checkpoint, ...] = ("order_entry", "confirmation", "picking_list", "packing_slip", "invoice")


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """The head that every input has (interface section 2)."""

    event_id: str
    occurred_at: Instant
    source: str = ""
    legal_entity: str = ""
    actor: str | None = None


# --- credit.orders ----------------------------------------------------------------------------------------------


class OrderPlaced(Event, frozen=True, kw_only=True, gc=False):
    """A new order. `amount_minor` and `secured_amount_minor` are in `currency`; a negative amount is a return."""

    order_id: str
    customer_id: str
    ordered_by: str | None = None
    amount_minor: int
    currency: str
    order_date: Day | None = None
    payment_terms: str | None = None
    settlement_discount: str | None = None
    ships_on: Day | None = None
    secured_amount_minor: int = 0
    intercompany: bool = False
    excluded: bool = False


class OrderChanged(OrderPlaced, frozen=True, kw_only=True, gc=False):
    """The whole new state of an order (spec 5.7)."""


class OrderCheckpointReached(Event, frozen=True, kw_only=True, gc=False):
    """The order came to a step of the order process, or tries it out (`pro_forma`, spec 6)."""

    order_id: str
    customer_id: str
    checkpoint: Checkpoint
    pro_forma: bool = False


class OrderDelivered(Event, frozen=True, kw_only=True, gc=False):
    """The value delivered so far: cumulative decimal text in the order's currency."""

    order_id: str
    customer_id: str
    delivered_amount: str


class OrderCancelled(Event, frozen=True, kw_only=True, gc=False):
    """The order will never be delivered; its open part is 0 (spec 3.2)."""

    order_id: str
    customer_id: str


class OrderClosed(Event, frozen=True, kw_only=True, gc=False):
    """Short close: what is neither delivered nor invoiced never will be (spec 3.2)."""

    order_id: str
    customer_id: str


class OrderReopened(Event, frozen=True, kw_only=True, gc=False):
    """A closed order is open again; it is checked (spec 5.7)."""

    order_id: str
    customer_id: str


# --- credit.invoices --------------------------------------------------------------------------------------------


class Instalment(Struct, frozen=True, kw_only=True, gc=False):
    """One part of an invoice, in its currency, with a due date of its own."""

    due_date: Day
    amount_minor: int


class InvoicePosted(Event, frozen=True, kw_only=True, gc=False):
    """An invoice, with or without an order; instalments, if given, add up to the amount."""

    invoice_id: str
    customer_id: str
    order_id: str | None = None
    amount_minor: int
    currency: str
    invoice_date: Day
    due_date: Day | None = None
    instalments: tuple[Instalment, ...] = ()
    payment_terms: str | None = None


class CreditNotePosted(Event, frozen=True, kw_only=True, gc=False):
    """A credit note on an invoice, or without one: unapplied credit."""

    credit_note_id: str
    customer_id: str
    invoice_id: str | None = None
    amount_minor: int
    currency: str
    credit_note_date: Day


class InvoiceVoided(Event, frozen=True, kw_only=True, gc=False):
    """The invoice never was; what had settled it becomes unapplied credit (spec 15, section 3)."""

    invoice_id: str
    customer_id: str


class InvoiceDisputed(Event, frozen=True, kw_only=True, gc=False):
    """A dispute begins or ends. A disputed invoice still counts (spec 3)."""

    invoice_id: str
    customer_id: str
    disputed: bool


# --- credit.payments --------------------------------------------------------------------------------------------


class Settlement(Struct, frozen=True, kw_only=True, gc=False):
    """What a payment settles of one invoice. Decimal text in the currency of that invoice."""

    invoice_id: str
    amount: str
    discount: str = "0"


class PaymentReceived(Event, frozen=True, kw_only=True, gc=False):
    """Money came in; what the settlements leave of it stays unapplied."""

    payment_id: str
    customer_id: str
    amount_minor: int
    currency: str
    received_on: Day
    settlements: tuple[Settlement, ...] = ()


class PaymentApplied(Event, frozen=True, kw_only=True, gc=False):
    """Unapplied cash of a payment settles invoices later."""

    payment_id: str
    customer_id: str
    applied_on: Day
    settlements: tuple[Settlement, ...]


class PaymentReversed(Event, frozen=True, kw_only=True, gc=False):
    """The payment was returned or bounced: all that it settled is open again."""

    payment_id: str
    customer_id: str
    reversed_on: Day
    reason: str | None = None


# --- credit.customers -------------------------------------------------------------------------------------------


class CustomerUpdated(Event, frozen=True, kw_only=True, gc=False):
    """All credit attributes of a customer (spec 4.1). Money is in `credit_currency`.

    `credit_limit_minor` and `credit_limit_expires_on`: None is unchanged; for a new customer 0 and blank.
    """

    customer_id: str
    name: str | None = None
    credit_currency: str
    credit_limit_minor: int | None = None
    credit_limit_expires_on: Day | None = None
    unlimited_credit: bool = False
    mandatory_credit_limit: bool = False
    exclude_from_credit_management: bool = False
    credit_management_group: str | None = None
    customer_credit_group: str | None = None
    account_status: str | None = None
    account_status_reason: str | None = None
    payment_terms: str | None = None
    settlement_discount: str | None = None
    country: str | None = None
    business_started_on: Day | None = None
    customer_since: Day | None = None
    annual_revenue_minor: int | None = None
    eligible_credit_limit_minor: int | None = None
    eligible_credit_limit_date: Day | None = None
    last_review_on: Day | None = None
    next_review_on: Day | None = None
    with_agency: bool = False
    title_held: str | None = None
    attributes: dict[str, str] = {}
    notes: str | None = None


class PolicyUpdated(Event, frozen=True, kw_only=True, gc=False):
    """An insurance or a guarantee (spec 4.2). `update_percentage` is decimal text from 0 to 100."""

    policy_id: str
    customer_id: str
    kind: PolicyKind
    coverage_type: str | None = None
    value_minor: int
    currency: str
    update_percentage: str = "100"
    included_in_exposure: bool = False
    effective_on: Day
    expires_on: Day
    status: str | None = None
    notes: str | None = None


class PolicyRemoved(Event, frozen=True, kw_only=True, gc=False):
    """The policy no longer counts."""

    policy_id: str
    customer_id: str


# --- credit.groups ----------------------------------------------------------------------------------------------


class CreditGroupUpdated(Event, frozen=True, kw_only=True, gc=False):
    """A customer credit group with its shared limit, in `credit_currency`."""

    group_id: str
    name: str | None = None
    credit_currency: str
    credit_limit_minor: int
    credit_limit_expires_on: Day


class CreditGroupClosed(Event, frozen=True, kw_only=True, gc=False):
    """The group is no more; its members are in no group."""

    group_id: str


# --- credit.commands --------------------------------------------------------------------------------------------


class Selection(Struct, frozen=True, kw_only=True, gc=False):
    """The customers that a command is for; an empty one means all."""

    customer_ids: tuple[str, ...] = ()
    credit_management_group: str | None = None


class ReleaseOrder(Event, frozen=True, kw_only=True, gc=False):
    """A person releases a held order (spec 7.2). `tolerance_percent` is decimal text."""

    order_id: str
    customer_id: str
    release_reason: str
    review_on: Day | None = None
    posting: Posting = "without_posting"
    valid_days: int | None = None
    tolerance_percent: str | None = None


class RejectOrder(Event, frozen=True, kw_only=True, gc=False):
    """A person rejects a held order; its credit is freed (spec 7.3)."""

    order_id: str
    customer_id: str
    reason: str


class ForceHold(Event, frozen=True, kw_only=True, gc=False):
    """A person puts one order, or all open orders of the chosen customers, on hold (spec 7.5)."""

    customer_id: str | None = None
    order_id: str | None = None
    selection: Selection | None = None
    reason: str


class ExcludeOrder(Event, frozen=True, kw_only=True, gc=False):
    """Credit management no longer looks at the order (spec 7.7)."""

    order_id: str
    customer_id: str
    reason: str


class ReviewOrder(Event, frozen=True, kw_only=True, gc=False):
    """What the people working the hold list write on an entry; changes nothing else."""

    order_id: str
    customer_id: str
    review_on: Day | None = None
    assignee: str | None = None
    note: str | None = None


class EvaluateHolds(Event, frozen=True, kw_only=True, gc=False):
    """Run the rules again on held orders: chosen ones, one customer's, a selection's, or all (spec 7.4)."""

    customer_id: str | None = None
    order_ids: tuple[str, ...] = ()
    selection: Selection | None = None


class SubmitForApproval(Event, frozen=True, kw_only=True, gc=False):
    """Starts an approval of `order:ID`, `journal:ID` or `journal:ID:LINE`."""

    subject: str
    customer_id: str | None = None
    comment: str | None = None


class Approve(SubmitForApproval, frozen=True, kw_only=True, gc=False):
    """One person's approval."""


class Decline(SubmitForApproval, frozen=True, kw_only=True, gc=False):
    """One person's refusal."""


class Recall(SubmitForApproval, frozen=True, kw_only=True, gc=False):
    """Who submitted takes it back."""


class JournalLine(Struct, frozen=True, kw_only=True, gc=False):
    """A new limit for a customer or a credit group, never both (spec 8.2)."""

    customer_id: str | None = None
    group_id: str | None = None
    credit_limit_minor: int
    currency: str
    expires_on: Day | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    reason: str | None = None


class CreateLimitJournal(Event, frozen=True, kw_only=True, gc=False):
    """A new credit limit adjustment journal; without an id it gets the next number."""

    journal_id: str | None = None
    journal_type: JournalType
    description: str
    lines: tuple[JournalLine, ...] = ()


class AddJournalLines(Event, frozen=True, kw_only=True, gc=False):
    """More lines for a draft."""

    journal_id: str
    lines: tuple[JournalLine, ...]


class RemoveJournalLines(Event, frozen=True, kw_only=True, gc=False):
    """Takes lines out of a draft; lines are numbered from 1."""

    journal_id: str
    line_numbers: tuple[int, ...]


class LimitAdjustment(Struct, frozen=True, kw_only=True, gc=False):
    """How generated lines change a limit. `value` is decimal text: an amount or a percentage."""

    kind: ChangeKind
    direction: ChangeDirection
    value: str


class GenerateJournalLines(Event, frozen=True, kw_only=True, gc=False):
    """Makes lines from existing limits or automatic ones (spec 8.3). `round_to` is decimal text."""

    journal_id: str
    origin: LineOrigin
    include_limits: bool = True
    include_temporary_limits: bool = False
    risk_groups: tuple[str, ...] = ()
    customer_ids: tuple[str, ...] = ()
    change: LimitAdjustment | None = None
    round_to: str | None = None
    round: Rounding | None = None
    expires_on: Day | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    move_days: int | None = None


class PostLimitJournal(Event, frozen=True, kw_only=True, gc=False):
    """Applies every line of a journal (spec 8.4)."""

    journal_id: str


class JournalLinePosted(Event, frozen=True, kw_only=True, gc=False):
    """Internal: a posted journal's line on its way from the journal's partition to the customer's (spec 8.4)."""

    journal_id: str
    journal_type: JournalType
    line: int
    customer_id: str
    credit_limit_minor: int
    currency: str
    expires_on: Day | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    reason: str | None = None


class GroupLimitPosted(Event, frozen=True, kw_only=True, gc=False):
    """Internal: a posted journal's line on its way from the journal's partition to the credit group's (spec 8.4)."""

    journal_id: str
    journal_type: JournalType
    line: int
    group_id: str
    credit_limit_minor: int
    currency: str
    expires_on: Day | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    reason: str | None = None


class UpdateRiskScores(Event, frozen=True, kw_only=True, gc=False):
    """Calculates risk scores anew (spec 9.3)."""

    customer_id: str | None = None
    selection: Selection | None = None
    publish_unchanged: bool = False


class UpdateBalanceStatistics(UpdateRiskScores, frozen=True, kw_only=True, gc=False):
    """Calculates balance statistics anew (spec 10.3)."""


class CheckOrder(OrderPlaced, frozen=True, kw_only=True, gc=False):
    """A question: would this order be released? Reserves nothing (spec 13.4)."""


class ResubmitDeadLetter(Event, frozen=True, kw_only=True, gc=False):
    """Sends a dead letter in again; `payload` is the mended event as JSON."""

    dead_letter_id: str
    payload: str | None = None


# --- credit.group-requests, credit.group-answers: between the tasks of members and of their credit group ----------


class GroupMemberReported(Event, frozen=True, kw_only=True, gc=False):
    """Internal: the exposure that a member's group counts from now on, by bucket (spec 3.8). Money is in `currency`.

    `number` rises with everything that the customer's task tells or asks any group: what is not above the last one
    was here before. `is_member` False: the customer has left. `joins` asks for a `GroupMembershipChanged`. `settled`
    are requests that are over: what was reserved for them is in this exposure now, or was given back.
    """

    group_id: str
    customer_id: str
    number: int
    is_member: bool
    joins: bool = False
    currency: str
    current_invoices_minor: int
    overdue_invoices_minor: int
    open_orders_minor: int
    delivered_not_invoiced_minor: int
    unapplied_minor: int
    business_date: Day
    settled: tuple[str, ...] = ()


class GroupCondition(Struct, frozen=True, kw_only=True, gc=False):
    """What a rule asks of a group: not more than `percent` of its limit used, or less than `excused_below` percent.

    `at_or_above`: exactly `percent` is too much already (spec 4.4).
    """

    percent: str
    at_or_above: bool = False
    excused_below: str | None = None


class GroupCreditRequested(Event, frozen=True, kw_only=True, gc=False):
    """Internal: what the group's limit leaves for an order (spec 5.2). The order is pending until the answer.

    `amount_minor` is what counts of the order, `included_minor` what of it the last report has already, in `currency`.
    `purpose`: `reserve` if every condition holds; `look` only; or `wait` in line for credit that becomes free. The line
    goes by `since`, and of one customer's of the same instant by `place`. Less than `released_below` percent used is
    always enough.
    """

    group_id: str
    customer_id: str
    order_id: str
    request_id: str
    number: int
    purpose: GroupPurpose
    currency: str
    amount_minor: int
    included_minor: int
    conditions: tuple[GroupCondition, ...] = ()
    released_below: str | None = None
    since: Instant
    place: int = 0


class GroupCreditAnswered(Event, frozen=True, kw_only=True, gc=False):
    """Internal: a group's answer. Money is in `currency`, the group's.

    `before_minor` is the pool without the order, `after_minor` with it. `granted`: reserved until a report settles the
    request. `waits`: the order stands in line. `is_known` False: there is no such group. `rate_missing`: the pool
    cannot be told for want of an exchange rate, so the order has to be held (spec 1.2).
    """

    group_id: str
    customer_id: str
    order_id: str
    request_id: str
    is_known: bool
    granted: bool = False
    waits: bool = False
    rate_missing: bool = False
    currency: str
    limit_minor: int = 0
    before_minor: int = 0
    after_minor: int = 0


class GroupMembershipChanged(Event, frozen=True, kw_only=True, gc=False):
    """Internal: the group counts the customer now, or is closed. `expires_on` is the group's date (spec 4.3)."""

    group_id: str
    customer_id: str
    state: GroupState
    expires_on: Day | None = None


# --- credit.settings, credit.clock ------------------------------------------------------------------------------


class SettingsPublished(Event, frozen=True, kw_only=True, gc=False):
    """A whole settings document as JSON text; `version` rises by one."""

    version: int
    document: str
    comment: str | None = None


class ExchangeRatePublished(Event, frozen=True, kw_only=True, gc=False):
    """`rate` is decimal text: units of `to_currency` for one `from_currency`."""

    rate_type: str = "default"
    from_currency: str
    to_currency: str
    valid_from: Day
    rate: str


class ClockTicked(Event, frozen=True, kw_only=True, gc=False):
    """Moves the clock of a partition to `instant`; it never goes back (spec 10.1)."""

    instant: Instant
