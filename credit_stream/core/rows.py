"""What a partition remembers: every row and every table of its state.

Rows are immutable; a changed row is a new one. Two kinds that nearly every step changes are not: a step takes a copy of
its own, works on that and writes it (`Tally`). They are encoded by position (`array_like`), so a new field goes to the
end and has a default. Money is in the customer's credit currency unless a field says otherwise.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from credit_stream.core.calendar import Day, Instant
from credit_stream.core.events import (
    Checkpoint,
    CreditGroupUpdated,
    CustomerUpdated,
    GroupCondition,
    JournalLine,
    JournalType,
    PolicyUpdated,
)
from credit_stream.core.kept import KeptEvent, Values
from credit_stream.core.outputs import HoldEntry
from credit_stream.core.view import Table

Standing = Literal["released", "on_hold", "rejected", "pending"]
"""`pending`: checked as far as its own customer goes, and waiting for the answer of the credit group (spec 5.2)."""
Lifecycle = Literal["open", "closed", "cancelled"]
CreditKind = Literal["payment", "credit_note"]


class Row(Struct, frozen=True, array_like=True, gc=False):
    """What is common to all rows."""


class Tally(Struct, array_like=True, gc=False):
    """What is common to the rows that a step counts on. Only the copy that a step has made may be changed."""


class Partition(Tally, array_like=True, gc=False):
    """What there is once for a partition: its clock, the settings in force, how far receivables are counted.

    `taken` are the ids of the newest events, which have no row of `SEEN_ON` yet.
    """

    now: Instant = 0
    business_date: Day = 0
    settings_version: int = 1
    settings_published: int = 0
    settings_document: str = "{}"
    newest_receivable_at: Instant = -1
    invoices_offset: int = -1
    payments_offset: int = -1
    taken: tuple[str, ...] = ()


class Seen(Row, frozen=True, array_like=True, gc=False):
    """An event that was taken: the hash of its content, and the decisions that it led to."""

    content_hash: bytes
    decisions: tuple[Values, ...] = ()


class EventIds(Row, frozen=True, array_like=True, gc=False):
    """Events that were taken one after the other on one business date."""

    event_ids: tuple[str, ...]


class Mark(Row, frozen=True, array_like=True, gc=False):
    """That the key is there is all that it says."""


MARK = Mark()


class Policy(Row, frozen=True, array_like=True, gc=False):
    """An insurance or a guarantee; its value in credit currency once that and the rate are known."""

    event: PolicyUpdated
    value_credit_minor: int | None


class TemporaryLimit(Row, frozen=True, array_like=True, gc=False):
    """A limit that replaces the limit from its first to its last day (spec 4.2). Later posted stands later."""

    limit_minor: int
    from_date: Day
    to_date: Day
    journal_id: str
    line: int


class Customer(Row, frozen=True, array_like=True, gc=False):
    """The credit attributes of a customer (spec 4.1). Without a profile it is not known yet, and policies wait."""

    profile: CustomerUpdated | None = None
    credit_limit_minor: int = 0
    credit_limit_date: Day | None = None
    credit_limit_expires_on: Day | None = None
    risk_group: str | None = None
    score: int | None = None
    policies: tuple[Policy, ...] = ()
    temporary_limits: tuple[TemporaryLimit, ...] = ()


class PublishedExposure(Row, frozen=True, array_like=True, gc=False):
    """What `credit.exposures` last said of a customer, to publish only what changes."""

    current_invoices_minor: int
    overdue_invoices_minor: int
    open_orders_minor: int
    delivered_not_invoiced_minor: int
    unapplied_minor: int
    limit_minor: int | None


class Account(Tally, array_like=True, gc=False):
    """The running totals of a customer: what makes a decision cost the same with ten invoices and with 100,000.

    `open_orders_minor` is what counts of released orders and is not delivered, `held_orders_minor` the same of orders
    on hold, `delivered_minor` what is delivered and not invoiced. `oldest_due` is the oldest due date with something
    open. `holds` counts the customer's entries on the hold list, `last_hold` numbers them. `valued_on` and `valued_by`
    are business date and number of settings published when `published` was last compared with what there is.

    Of a member of a credit group: `asked_minor` is what of `open_orders_minor` waits for the group's answer, and
    `asking` how many orders do; `told` numbers what the customer told or asked groups; `groups` are those that count it
    (more than one while it moves, the newest first) with the buckets that they were last told, `reported`;
    `closed_group` is the group of its profile that is no more.
    """

    current_invoices_minor: int = 0
    overdue_invoices_minor: int = 0
    open_orders_minor: int = 0
    held_orders_minor: int = 0
    delivered_minor: int = 0
    unapplied_minor: int = 0
    oldest_due: Day | None = None
    holds: int = 0
    last_hold: int = 0
    published: PublishedExposure | None = None
    valued_on: Day = -1
    valued_by: int = 0
    asked_minor: int = 0
    asking: int = 0
    told: int = 0
    groups: tuple[str, ...] = ()
    reported: tuple[int, ...] = ()
    closed_group: str | None = None


class DueDay(Row, frozen=True, array_like=True, gc=False):
    """What is open of all instalments of a customer that fall due on one day."""

    open_credit_minor: int = 0
    instalments: int = 0


class Release(Row, frozen=True, array_like=True, gc=False):
    """What a release is bound to (spec 5.7).

    `up_to_minor` is what could count of the order when it was released, lowered by every fall since, in the order's
    currency; `tolerance_percent` is decimal text. A person's release waives the reasons in `waived` before the day
    `valid_before`; a release by the rules waives nothing.
    """

    up_to_minor: int
    tolerance_percent: str
    valid_before: Day | None = None
    waived: tuple[str, ...] = ()


class Order(Row, frozen=True, array_like=True, gc=False):
    """An order. Amounts are in its currency, those named `_credit_minor` and `counted_` in the credit currency.

    `invoiced_credit_minor` is `invoiced_minor` at the order's rate, invoice by invoice; invoices in another currency
    are in `invoiced_foreign_credit_minor` only. `excluded` is what upstream says, `excluded_by_person` a command's.

    `counted_open_minor` and `counted_delivered_minor` are what the order adds to its customer's account now. While it
    is pending, `reported_open_minor` is what of the former its credit group knows. `asked` is the request to the group
    behind which everything else that comes for the order waits.
    An order that is not `placed` is known from `early_delivered` (decimal text) and `early_invoices` only.
    """

    order_id: str
    customer_id: str
    legal_entity: str = ""
    amount_minor: int = 0
    currency: str = ""
    secured_minor: int = 0
    payment_terms: str | None = None
    settlement_discount: str | None = None
    ships_on: Day | None = None
    intercompany: bool = False
    excluded: bool = False
    placed: bool = False
    standing: Standing = "released"
    lifecycle: Lifecycle = "open"
    delivered_minor: int = 0
    invoiced_minor: int = 0
    invoiced_credit_minor: int = 0
    invoiced_foreign_credit_minor: int = 0
    rate: str | None = None
    counted_open_minor: int = 0
    counted_delivered_minor: int = 0
    checkpoint: Checkpoint = "order_entry"
    grace_through: Day | None = None
    pro_forma_grace_through: Day | None = None
    release: Release | None = None
    last_decision_id: str | None = None
    last_reasons: tuple[str, ...] = ()
    early_invoices: tuple[str, ...] = ()
    early_delivered: str | None = None
    excluded_by_person: bool = False
    asked: str | None = None
    reported_open_minor: int = 0


class Hold(Row, frozen=True, array_like=True, gc=False):
    """An entry of the hold list as it was last published, and its number among the customer's holds.

    `request` is what its credit group was asked of it and may still answer, `question` what exactly was asked.
    """

    entry: HoldEntry
    number: int
    open_credit_minor: int
    request: str | None = None
    question: bytes = b""


class OpenInstalment(Row, frozen=True, array_like=True, gc=False):
    """What is open of one part of an invoice, in its currency and in the credit currency, and what was at first."""

    due_date: Day
    amount_minor: int
    open_minor: int
    open_credit_minor: int


class SettledBy(Row, frozen=True, array_like=True, gc=False):
    """What one payment or credit note settled of an invoice, discount included, in the invoice's currency."""

    kind: CreditKind
    credit_id: str
    amount_minor: int


class WaitingSettlement(Row, frozen=True, array_like=True, gc=False):
    """A settlement that came before its invoice. Decimal text in the invoice's currency."""

    kind: CreditKind
    credit_id: str
    amount: str
    discount: str


class Invoice(Row, frozen=True, array_like=True, gc=False):
    """An invoice. Amounts are in its currency, `_credit_minor` in the credit currency.

    `rate` is None while it does not count: its customer has no profile or the rate is missing. The order's share is
    what the invoice took off its order. An invoice that is not `posted` is known from `waiting` settlements only.
    """

    invoice_id: str
    customer_id: str
    order_id: str | None = None
    amount_minor: int = 0
    currency: str = ""
    invoice_date: Day = 0
    posted: bool = False
    voided: bool = False
    disputed: bool = False
    rate: str | None = None
    instalments: tuple[OpenInstalment, ...] = ()
    order_share_minor: int = 0
    order_share_foreign_credit_minor: int = 0
    settled_by: tuple[SettledBy, ...] = ()
    waiting: tuple[WaitingSettlement, ...] = ()


class Settled(Row, frozen=True, array_like=True, gc=False):
    """What a payment or credit note settled of one invoice.

    `amount_minor` is in the invoice's currency with the discount in it, `taken_minor` what it took of the payment,
    in the payment's currency, `taken_credit_minor` the same in the credit currency.
    """

    invoice_id: str
    amount_minor: int
    taken_minor: int
    taken_credit_minor: int


class Credit(Row, frozen=True, array_like=True, gc=False):
    """A payment or a credit note: money of the customer, and what it settled.

    `unapplied_minor` is in its currency, `unapplied_credit_minor` what of it counts in the account.
    `rate` is None while it does not count. `waiting` are the invoices not seen yet that it has settlements for.
    """

    kind: CreditKind
    credit_id: str
    customer_id: str
    amount_minor: int
    currency: str
    dated: Day
    unapplied_minor: int
    rate: str | None = None
    unapplied_credit_minor: int = 0
    settled: tuple[Settled, ...] = ()
    waiting: tuple[str, ...] = ()
    reversed: bool = False


class Rates(Row, frozen=True, array_like=True, gc=False):
    """The exchange rates of one type and pair, by the day from which they hold, oldest first."""

    valid_from: tuple[Day, ...]
    rates: tuple[str, ...]


class Journal(Row, frozen=True, array_like=True, gc=False):
    """A credit limit adjustment journal (spec 8.2)."""

    journal_id: str
    journal_type: JournalType
    description: str
    status: Literal["draft", "in_approval", "approved", "posted", "declined"] = "draft"
    lines: tuple[JournalLine, ...] = ()


# --- credit groups, at the customer's task -------------------------------------------------------------------------


class Asked(Row, frozen=True, array_like=True, gc=False):
    """A question to the credit group, and what is to go on when its answer comes.

    With a `checkpoint` the check of the order that `origin` led to; else `origin` itself, from its beginning. A person
    may have forced the order on hold meanwhile.
    """

    order_id: str
    origin: KeptEvent
    question: bytes
    included_minor: int
    since: Instant
    checkpoint: Checkpoint | None = None
    forced_by: str | None = None
    forced_reason: str | None = None


class AskedAt(Row, frozen=True, array_like=True, gc=False):
    """Whose request it is that is still unanswered."""

    customer_id: str
    request_id: str


class Waiting(Row, frozen=True, array_like=True, gc=False):
    """What came for an order while it waited for its group's answer, in that order."""

    events: tuple[KeptEvent, ...]


# --- credit groups, at the group's task ------------------------------------------------------------------------------


class Group(Row, frozen=True, array_like=True, gc=False):
    """A customer credit group. Without `profile` it is not known yet, though it may have members."""

    profile: CreditGroupUpdated | None = None
    credit_limit_minor: int = 0
    credit_limit_date: Day | None = None
    credit_limit_expires_on: Day | None = None
    temporary_limits: tuple[TemporaryLimit, ...] = ()
    is_closed: bool = False


class Pool(Tally, array_like=True, gc=False):
    """The running totals of a group, in its currency: the members' exposures by bucket, and what is reserved.

    `unvalued` counts the members whose exposure has no rate to the group's currency. `answers` numbers what the group
    answers; `line` counts the orders that wait in it. `offered` is the request of the order that was given
    credit out of the line last and has not been settled yet: the next one's turn comes after that.
    """

    current_invoices_minor: int = 0
    overdue_invoices_minor: int = 0
    open_orders_minor: int = 0
    delivered_minor: int = 0
    unapplied_minor: int = 0
    reserved_minor: int = 0
    unvalued: int = 0
    answers: int = 0
    line: int = 0
    offered: str | None = None
    published: PublishedExposure | None = None


class Member(Row, frozen=True, array_like=True, gc=False):
    """What a group was last told of a member, by bucket in the member's currency, and what that is in the group's.

    `number` stays when the customer has left, so that what is late is told from what is new.
    """

    number: int = 0
    is_member: bool = False
    currency: str = ""
    business_date: Day = 0
    reported: tuple[int, ...] = ()
    valued: tuple[int, ...] | None = None


class Reservation(Row, frozen=True, array_like=True, gc=False):
    """Credit of a group that an order was granted and that its customer has not reported yet."""

    customer_id: str
    order_id: str
    amount_minor: int


class InLine(Row, frozen=True, array_like=True, gc=False):
    """An order on hold that waits for credit of its group. `told` is what its customer was last answered."""

    customer_id: str
    order_id: str
    currency: str
    amount_minor: int
    included_minor: int
    conditions: tuple[GroupCondition, ...]
    released_below: str | None
    since: Instant
    place: int
    told: bool | None = None


class Counter(Row, frozen=True, array_like=True, gc=False):
    """A sequence of numbers."""

    last: int = 0


# --- tables: (parent, id) of each ------------------------------------------------------------------------------------

PARTITION = Table("partition", Partition)
"""("", "")"""
SEEN = Table("seen", Seen)
"""(stream, event id); the stream is "" but for those that every partition reads"""
SEEN_DAYS = Table("seen_days", Mark)
"""("", day): the days under which `SEEN_ON` has marks"""
SEEN_ON = Table("seen_on", EventIds)
"""(day, first event id): what is forgotten when the retention has passed, so many events a row"""
CUSTOMERS = Table("customers", Customer)
"""("", customer)"""
ACCOUNTS = Table("accounts", Account)
"""("", customer)"""
ORDERS = Table("orders", Order)
"""(customer, order)"""
HOLDS = Table("holds", Hold)
"""(customer, order)"""
HOLDERS = Table("holders", Mark)
"""("", customer): who has orders on hold"""
INVOICES = Table("invoices", Invoice)
"""(customer, invoice)"""
PAYMENTS = Table("payments", Credit)
"""(customer, payment)"""
CREDIT_NOTES = Table("credit_notes", Credit)
"""(customer, credit note)"""
DUE_DAYS = Table("due_days", DueDay)
"""(customer, day)"""
AGENDA_DAYS = Table("agenda_days", Mark)
"""("", day): the days on which `AGENDA` has entries"""
AGENDA = Table("agenda", Mark)
"""(day, customer): who must be looked at when the business date reaches the day"""
BEYOND_HORIZON = Table("beyond_horizon", Mark)
"""(customer, order): open orders that do not count yet (spec 3.6)"""
RATES = Table("rates", Rates)
"""("", TYPE/FROM/TO)"""
UNCOUNTED = Table("uncounted", Mark)
"""(customer, KIND/id): documents that do not count yet, for want of a profile or a rate"""
WAITING_FOR_RATE = Table("waiting_for_rate", Mark)
"""(from currency or "", customer): who has documents that do not count for want of a rate"""
JOURNALS = Table("journals", Journal)
"""("", journal)"""
COUNTERS = Table("counters", Counter)
"""("", name)"""
ASKED = Table("asked", Asked)
"""(customer, request)"""
ASKED_AT = Table("asked_at", AskedAt)
"""("", INSTANT/request): the unanswered questions, those that wait longest first"""
WAITING = Table("waiting", Waiting)
"""(customer, order)"""
GROUPS = Table("groups", Group)
"""("", group)"""
POOLS = Table("pools", Pool)
"""("", group)"""
MEMBERS = Table("members", Member)
"""(group, customer)"""
RESERVATIONS = Table("reservations", Reservation)
"""(group, request)"""
LINE = Table("line", InLine)
"""(group, request): orders on hold for want of the group's credit"""
GROUP_AGENDA_DAYS = Table("group_agenda_days", Mark)
"""("", day): the days on which `GROUP_AGENDA` has entries"""
GROUP_AGENDA = Table("group_agenda", Mark)
"""(day, group): which group must be looked at when the business date reaches the day"""

TABLES: tuple[Table[Struct], ...] = (
    PARTITION, SEEN, SEEN_DAYS, SEEN_ON, CUSTOMERS, ACCOUNTS, ORDERS, HOLDS, HOLDERS, INVOICES, PAYMENTS,
    CREDIT_NOTES, DUE_DAYS, AGENDA_DAYS, AGENDA, BEYOND_HORIZON, RATES, UNCOUNTED, WAITING_FOR_RATE, JOURNALS, COUNTERS,
    ASKED, ASKED_AT, WAITING, GROUPS, POOLS, MEMBERS, RESERVATIONS, LINE, GROUP_AGENDA_DAYS, GROUP_AGENDA,
)  # fmt: skip
