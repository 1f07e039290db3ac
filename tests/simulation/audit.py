"""Every input and what it led to, checked against books of our own.

The history comes in the order in which checkpoints were committed, input by input. Customers whose documents need what
the books do not know (a rate that comes late, a credit horizon) are still checked for everything but their sums.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from credit_stream.cli.proof import contradictions
from credit_stream.core import events as e
from credit_stream.core.outputs import CreditDecision, DeadLetter, Exposure, HoldEntry
from credit_stream.core.topics import (
    BROADCAST_TOPICS,
    DECISIONS,
    GROUP_REQUESTS,
    HOLDS,
    INTERNAL_TOPICS,
    TOPIC_OF_EVENT,
)
from credit_stream.wire.avro import encode_output
from credit_stream.wire.faults import Fault
from tests.retold import Taken, is_own_tick
from tests.simulation import rule_books
from tests.simulation.books import BUCKETS, Books, Counting, Credit, counted, total
from tests.simulation.waiting import ENDS, Waiting
from tests.simulation.workload import CURRENCIES, DECIMALS, RATES

FINDINGS_MAX = 5
ROUNDING_MINOR_MAX = 10
"""What the members' amounts may differ from those in the group's currency, each rounded for itself."""
EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).date()
FACTORS = {(documents, currency): factor for currency, documents, factor in CURRENCIES}
PLAIN_PARAMETERS = frozenset({"automatic_release", "release_priority", "evaluate_on"})
"""With other ones a limit is not all that there is to say about who fits."""
LIMIT_TYPE = "credit_limit_used"


@dataclass
class Account:
    """What is known of one customer."""

    books: Books = field(default_factory=Books)
    currency: str | None = None
    """Credit currency; None while there is no profile."""
    group: str | None = None
    was_in_none: bool = False
    """Whether it ever left one group and was in no other."""
    limit: int | None = None
    """As the first profile had it; in a strict plan it stays so."""
    documents: str | None = None
    published: Exposure | None = None
    ready: dict[str, HoldEntry] = field(default_factory=dict)
    """Entries of the hold list that could go."""
    released_by_person: set[str] = field(default_factory=set)
    waiting: Waiting = field(default_factory=Waiting)
    """While an order waits for its group's answer nobody here knows if it counts, so the sums wait as well."""
    is_excluded: bool = False
    is_sure: bool = True
    """Whether the books know all that counts."""

    @property
    def factor(self) -> int:
        """Minor units of the credit currency for one of the documents'."""
        return FACTORS.get((self.documents or self.currency or "", self.currency or ""), 0)

    @property
    def has_sums(self) -> bool:
        """Whether its sums can be compared now."""
        return self.is_sure and self.currency is not None and not self.waiting.asked and self.factor > 0


@dataclass
class Partition:
    """What a partition knows once: its clock, its settings, what it has taken."""

    now: int = 0
    today: int = 0
    settings: rule_books.Document = field(default_factory=dict)
    rates: set[tuple[str, str]] = field(default_factory=set)
    seen: dict[tuple[str, str], e.Event] = field(default_factory=dict)
    decisions: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    """By the event that led to them, now or when a group had answered."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Those that are not at their default."""
        return cast("dict[str, Any]", self.settings.get("parameters", {}))

    @property
    def checks_limits_only(self) -> bool:
        """Whether the limit is the only rule, and all of it may be used."""
        plain = self.settings.get("rules") == [rule_books.LIMIT_RULE]
        return plain and PLAIN_PARAMETERS.issuperset(self.parameters)

    @property
    def counting(self) -> Counting:
        """The parameters that say what counts."""
        found = self.parameters
        return Counting(
            found.get("exposure_scope", "balance_and_orders"),
            found.get("unapplied_payments_reduce_exposure", True),
            found.get("held_orders_consume_credit", False),
        )

    def move_to(self, instant: int) -> bool:
        """Moves the clock; whether the business date moved too. Neither ever goes back (spec 10.1)."""
        self.now = max(self.now, instant)
        return self.tell_date()

    def tell_date(self) -> bool:
        """The business date of the clock, by the settings in force; whether it moved."""
        zone = ZoneInfo(self.parameters.get("business_time_zone", "UTC"))
        today = (datetime.fromtimestamp(self.now / 1_000, zone).date() - EPOCH_DAY).days
        moved = today > self.today
        self.today = max(self.today, today)
        return moved


class Audit:
    """Takes the history of all partitions; what is wrong is in `findings`."""

    def __init__(self, partitions: int) -> None:
        self.findings: list[str] = []
        self.inputs = 0
        self.decisions = 0
        self.exposures = 0
        """Exposure records that were compared with the books."""
        self.accounts: dict[str, Account] = {}
        self._partitions = [Partition() for _ in range(partitions)]
        self._homes: dict[str, int] = {}
        self.groups: dict[str, tuple[str, int]] = {}
        """Currency and limit of each group that was accepted."""
        self.closed: set[str] = set()
        self._counting: dict[str, set[str]] = {}
        """The groups that count each customer."""
        self._pools: dict[str, Exposure] = {}
        """The last exposure of each group."""
        self._placed: dict[str, int] = {}
        """Orders that were accepted, with how many decisions there are."""

    def take(self, taken: Taken) -> None:
        """One input."""
        self.inputs += 1
        partition = self._partitions[taken.partition]
        event = taken.event
        self._note_outputs(taken)
        if not taken.is_accepted:
            self._check_refusal(taken)
            return
        assert not isinstance(event, Fault)
        if not is_own_tick(taken) and self._is_repeat(taken, partition, event):
            return
        self._apply(taken, partition, event)

    def close(self) -> None:
        """Nothing comes any more: every order that was accepted has its decision, every question its answer, and each
        pool is what its members are."""
        for order_id, decisions in self._placed.items():
            if not decisions:
                self._find(f"order {order_id} never got a decision")
        for customer_id, account in self.accounts.items():
            for order_id in account.waiting.asked:
                self._find(f"order {order_id} of {customer_id} still waits for its group")
            for order_id, events in account.waiting.behind.items():
                if events:
                    self._find(f"{len(events)} events still wait behind order {order_id} of {customer_id}")
        for group_id in self.groups.keys() - self.closed:
            self._check_pool(group_id)

    # --- refusals and repeats -----------------------------------------------------------------------------------

    def _check_refusal(self, taken: Taken) -> None:
        """Nothing is dropped in silence, and nothing comes of it besides (spec 12)."""
        if taken.dead_letter is None and not taken.is_told_elsewhere:
            self._find(f"{taken.event} was dropped without a dead letter")
        if any(each.topic == DECISIONS for each in taken.publications):
            self._find(f"{taken.event} was refused and decided on")
        letter, record = taken.dead_letter, taken.record
        if letter is not None and record is not None and letter.payload != record.payload:
            self._find(f"the dead letter of {taken.event} has other bytes than the input")

    def _is_repeat(self, taken: Taken, partition: Partition, event: e.Event) -> bool:
        """The same event again changes nothing and gives the same decisions, byte for byte (spec 2)."""
        if isinstance(event, e.ClockTicked) or TOPIC_OF_EVENT[type(event)] in INTERNAL_TOPICS:
            return False
        key = _name(TOPIC_OF_EVENT[type(event)], event.event_id)
        before = partition.seen.setdefault(key, event)
        if before is event:
            return False
        if before != event:
            self._find(f"the id of {before} was used again for {event}, which was accepted")
        made = [encode_output(each) for each in _records(taken, CreditDecision)]
        if len(made) != len(taken.publications) or made != partition.decisions.get(key, []):
            self._find(f"{event} came again and led to something else than before")
        return True

    # --- what an event means ------------------------------------------------------------------------------------

    def _apply(self, taken: Taken, partition: Partition, event: e.Event) -> None:
        instant = event.instant if isinstance(event, e.ClockTicked) else event.occurred_at
        customer_id = getattr(event, "customer_id", None)
        is_for_group = TOPIC_OF_EVENT[type(event)] == GROUP_REQUESTS
        touched: set[str] = set()
        if partition.move_to(instant) or customer_id is None:
            touched |= {each for each, home in self._homes.items() if home == taken.partition}
        self._apply_to_all(taken, partition, event)
        led_to = LedTo(_records(taken, CreditDecision), _late_letters(taken))
        if customer_id is not None and not is_for_group:
            touched.add(customer_id)
            self._homes[customer_id] = taken.partition
            self._apply_to_customer(partition, self._account(customer_id), event, led_to)
        if isinstance(event, e.ForceHold) and customer_id is None:
            chosen = touched if event.selection is None else touched.intersection(event.selection.customer_ids)
            for each in sorted(chosen):
                self._apply_to_customer(partition, self._account(each), event, led_to)
        if partition.parameters.get("credit_horizon_days", -1) >= 0:
            for each in touched:
                self._account(each).is_sure = False
        self._take_decisions(partition, led_to)
        for each in sorted(touched):
            self._check_exposure(partition, each)
            self._check_offers(taken, partition, each)

    def _apply_to_all(self, taken: Taken, partition: Partition, event: e.Event) -> None:
        """Settings, rates and groups."""
        if isinstance(event, e.SettingsPublished):
            partition.settings = json.loads(event.document)
            partition.tell_date()
        if isinstance(event, e.ExchangeRatePublished):
            partition.rates.add((event.from_currency, event.to_currency))
        if isinstance(event, e.CreditGroupUpdated):
            self.groups.setdefault(event.group_id, (event.credit_currency, event.credit_limit_minor))
        if isinstance(event, e.CreditGroupClosed):
            self.closed.add(event.group_id)
        if isinstance(event, e.GroupMemberReported):
            self._note_member(event)

    def _note_member(self, event: e.GroupMemberReported) -> None:
        """A customer that moves is counted by its new group before its old one forgets it (spec 5.2)."""
        counting = self._counting.setdefault(event.customer_id, set())
        if event.is_member:
            counting.add(event.group_id)
            return
        counting.discard(event.group_id)
        group_id = self._account(event.customer_id).group
        is_counted = bool(counting) or self._account(event.customer_id).was_in_none
        if not is_counted and group_id in self.groups and not self.closed & {group_id, event.group_id}:
            self._find(f"{event.customer_id} has left {event.group_id} and is counted by no group")

    def _apply_to_customer(self, partition: Partition, account: Account, event: e.Event, led_to: LedTo) -> None:
        account.waiting.take(event, led_to.decided, partial(self._enter, partition, account))

    def _take_decisions(self, partition: Partition, led_to: LedTo) -> None:
        """Decisions, and what was refused late, in the order in which what waited for them is taken."""
        for letter in led_to.letters:
            partition.seen.pop(("", str(letter.event_id)), None)
        for decision in led_to.decisions:
            event_id, order_id = decision.input.event_id, decision.order_id
            name = _name(decision.input.topic, event_id)
            partition.decisions.setdefault(name, []).append(encode_output(decision))
            account = self._account(decision.customer_id)
            what = (led_to.decided, led_to.refused, partial(self._enter, partition, account))
            account.waiting.decide(order_id, event_id, *what)
            self._check_decision(partition, decision)
            account.waiting.go_on(order_id, *what)
        for account in self.accounts.values() if led_to.refused else ():
            account.waiting.refuse(led_to.refused)
            for order_id in list(account.waiting.behind):
                account.waiting.go_on(
                    order_id, led_to.decided, led_to.refused, partial(self._enter, partition, account)
                )

    def _note_doubts(self, partition: Partition, account: Account, event: e.Event) -> None:
        """Documents of several currencies, and rates that come after them, are beyond these books."""
        if getattr(event, "currency", account.documents) != account.documents and not isinstance(
            event, e.PolicyUpdated
        ):
            account.is_sure &= isinstance(event, e.JournalLinePosted)
        if None in (account.documents, account.currency) or account.documents == account.currency:
            return
        account.is_sure &= (account.documents, account.currency) in partition.rates

    def _enter(self, partition: Partition, account: Account, event: e.Event) -> None:
        """The event in the books."""
        enter = ENTER.get(type(event))
        if isinstance(event, e.OrderPlaced | e.InvoicePosted | e.PaymentReceived | e.CreditNotePosted):
            account.documents = account.documents or event.currency
        if isinstance(event, e.OrderPlaced) and not isinstance(event, e.CheckOrder):
            # A change that waits behind a question to the group may find the order ended when its turn comes.
            if account.books.order(event.order_id).state == "open":
                self._placed.setdefault(event.order_id, 0)
        elif isinstance(event, ENDS):
            self._placed.pop(event.order_id, None)
        if enter is not None:
            enter(account, event)
        self._note_doubts(partition, account, event)

    # --- decisions ----------------------------------------------------------------------------------------------

    def _check_decision(self, partition: Partition, decision: CreditDecision) -> None:
        self.decisions += 1
        name = f"decision {decision.decision_id}"
        for text in contradictions(decision):
            self._find(f"{name} does not prove itself: {text}")
        self._check_limit_rules(partition, decision)
        if decision.business_date != partition.today:
            self._find(f"{name} is of day {decision.business_date}; it is {partition.today}")
        self._check_figures(partition, decision)

    def _check_limit_rules(self, partition: Partition, decision: CreditDecision) -> None:
        """What the rule of the own limit compares: all that is used, as the parameter says, with its share of the limit
        (spec 4.4, 5.3 row 8)."""
        rules = {rule["id"]: rule for rule in partition.settings.get("rules", ()) if rule["type"] == LIMIT_TYPE}
        unit, used = 10 ** DECIMALS[decision.currency], decision.exposure_after.total_minor
        total_minor = decision.limit.total_minor
        operator = partition.parameters.get("limit_boundary", "above")
        for outcome in decision.rules:
            percent = rules.get(outcome.rule_id, {}).get("percent", "100")
            is_own = decision.limit.source == "own" and outcome.unit == decision.currency and total_minor is not None
            if outcome.rule_id not in rules or outcome.kind != "blocking" or not is_own:
                continue
            wanted = (Fraction(used, unit), operator, Fraction(total_minor or 0, unit) * Fraction(percent) / 100)
            found = (Fraction(outcome.observed), outcome.operator, Fraction(outcome.threshold))
            if found != wanted:
                self._find(f"{decision.decision_id}: {outcome.rule_id} compared {outcome}, not {wanted}")

    def _check_figures(self, partition: Partition, decision: CreditDecision) -> None:
        """The order counts exactly once, everything else as it is; then the verdict is carried out in the books."""
        account = self._account(decision.customer_id)
        order = account.books.order(decision.order_id)
        if account.has_sums:
            buckets = account.books.buckets(partition.today, partition.counting, without=decision.order_id)
            before = total(buckets, partition.counting) * account.factor
            if before != decision.exposure_before.total_minor:
                self._find(f"{decision.decision_id}: exposure before is {decision.exposure_before}, not {before}")
            if decision.cause != "command" or not decision.pro_forma:
                open_minor = sum(account.books.parts_of(decision.order_id)) * account.factor
                if open_minor != decision.order_open_amount_minor:
                    self._find(f"{decision.decision_id}: {decision.order_open_amount_minor} counts, not {open_minor}")
        if decision.pro_forma:
            return
        if decision.supersedes != order.last_decision:
            self._find(f"{decision.decision_id} supersedes {decision.supersedes}, not {order.last_decision}")
        order.last_decision, order.verdict = decision.decision_id, decision.verdict
        order.decided_amount = order.amount if order.state == "open" else 0
        self._placed[decision.order_id] = self._placed.get(decision.order_id, 0) + 1
        if "released_by_person" in decision.reasons:
            account.released_by_person.add(decision.order_id)

    # --- exposure -----------------------------------------------------------------------------------------------

    def _check_exposure(self, partition: Partition, customer_id: str) -> None:
        """What was last published is what the books add up to."""
        account = self._account(customer_id)
        if not account.has_sums:
            return
        self.exposures += 1
        found = account.published
        if found is None:
            self._find(f"{customer_id} has a profile and no exposure")
            return
        buckets = counted(account.books.buckets(partition.today, partition.counting), partition.counting)
        wanted = {name: amount * account.factor for name, amount in buckets.items()}
        published = {name: getattr(found, f"{name}_minor") for name in BUCKETS}
        if published != wanted:
            self._find(f"the exposure of {customer_id} is published as {published}; the books have {wanted}")

    def _check_offers(self, taken: Taken, partition: Partition, customer_id: str) -> None:
        """Freed credit is not offered twice (spec 7.4): all that are ready to go fit together."""
        account = self._account(customer_id)
        found = account.published
        entries = [each for each in _records(taken, HoldEntry) if each.customer_id == customer_id]
        is_chosen = isinstance(taken.event, e.ReviewOrder) or bool(getattr(taken.event, "order_ids", ()))
        offers = any(each.status == "ready_to_release" and each.forced_reason is None for each in entries)
        if is_chosen or not offers:
            return
        if not account.has_sums or account.is_excluded or account.group or not partition.checks_limits_only:
            return
        if found is None or found.limit_minor is None:
            return
        ids = [order_id for order_id, entry in account.ready.items() if entry.forced_reason is None]
        ids = [order_id for order_id in ids if order_id not in account.released_by_person]
        offered = sum(account.books.parts_of(order_id)[0] for order_id in ids) * account.factor
        if offered and found.exposure_minor + offered > found.limit_minor:
            self._find(f"{customer_id}: {offered} is offered to {ids}, with {found.exposure_minor} used")

    # --- pools --------------------------------------------------------------------------------------------------

    def _check_pool(self, group_id: str) -> None:
        """A group's exposure is the sum of its members' (spec 3.8)."""
        members = [account for account in self.accounts.values() if account.group == group_id and account.currency]
        if any(member.published is None for member in members):
            return
        currency = self.groups[group_id][0]
        wanted = Fraction(0)
        for member in members:
            assert member.published is not None
            wanted += member.published.exposure_minor * Fraction(RATES.get((str(member.currency), currency), "1"))
        found = self._pools.get(group_id)
        if found is None or abs(found.exposure_minor - wanted) > len(members):
            self._find(f"pool {group_id} is published as {found}; its members are {float(wanted)}")

    def check_strictly_at_the_end(self) -> None:
        """No order is on hold that would fit: freed credit is offered, and one that does not fit blocks nobody."""
        pools = self._pools_used()
        for customer_id, account in self.accounts.items():
            if not self._knows_limit(account) or (account.group in self.groups and account.group not in pools):
                continue
            left = self._left_of(account, pools)
            for order_id, order in account.books.orders.items():
                counts = account.books.parts_of(order_id)[0] * account.factor
                if order.verdict == "on_hold" and order.state == "open" and 0 < counts <= left:
                    self._find(f"{order_id} of {customer_id} is on hold for {counts}, and {float(left)} is free")

    def _left_of(self, account: Account, pools: dict[str, Fraction]) -> Fraction:
        """What is free for a customer, of its own limit and of its group's, in its credit currency."""
        assert account.limit is not None
        own = Fraction(account.limit - account.books.committed() * account.factor)
        if account.group not in self.groups:
            return own
        currency, limit = self.groups[account.group]
        rate = Fraction(RATES.get((str(account.currency), currency), "1"))
        in_group = (limit - pools[account.group] - ROUNDING_MINOR_MAX) / rate
        return min(own, in_group) if account.limit else in_group

    def _knows_limit(self, account: Account) -> bool:
        """Whether the books know what counts and of what."""
        is_open = account.group is None or account.group not in self.closed
        return account.limit is not None and account.is_sure and account.factor > 0 and is_open

    def _pools_used(self) -> dict[str, Fraction]:
        """What released orders commit of the pools of which everything is known, in the group's currency."""
        pools = {group_id: Fraction(0) for group_id in self.groups if group_id not in self.closed}
        for account in self.accounts.values():
            if account.group not in pools or account.currency is None:
                continue
            if not self._knows_limit(account):
                del pools[account.group]
                continue
            rate = Fraction(RATES.get((account.currency, self.groups[account.group][0]), "1"))
            pools[account.group] += account.books.committed() * account.factor * rate
        return pools

    def check_strictly(self) -> None:
        """Where only the rules release and nothing grows without asking: no limit is ever passed, no pool either."""
        for customer_id, account in self.accounts.items():
            if not self._knows_limit(account):
                continue
            used = account.books.committed() * account.factor
            is_checked = account.limit or account.group not in self.groups
            if is_checked and used > max(0, account.limit or 0):
                self._find(f"{customer_id} has {used} released, its limit is {account.limit}")
        for group_id, used_of_pool in self._pools_used().items():
            limit = self.groups[group_id][1]
            if used_of_pool > limit + ROUNDING_MINOR_MAX:
                self._find(f"pool {group_id} has {float(used_of_pool)} released, its limit is {limit}")

    def _note_outputs(self, taken: Taken) -> None:
        for publication in taken.publications:
            record = publication.record
            if isinstance(record, Exposure) and record.party == "customer":
                account = self._account(str(record.customer_id))
                account.published = record
            elif isinstance(record, Exposure):
                self._pools[str(record.group_id)] = record
            elif publication.topic == HOLDS:
                self._note_hold(publication.key, record if isinstance(record, HoldEntry) else None)

    def _note_hold(self, order_id: str, entry: HoldEntry | None) -> None:
        for account in self.accounts.values():
            account.ready.pop(order_id, None)
        if entry is not None and entry.status == "ready_to_release":
            self._account(entry.customer_id).ready[order_id] = entry

    def _account(self, customer_id: str) -> Account:
        return self.accounts.setdefault(customer_id, Account())

    def _find(self, text: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text)


class LedTo:
    """The decisions of an input and the events they are of; and what was refused that had waited for it."""

    def __init__(self, decisions: list[CreditDecision], letters: list[DeadLetter]) -> None:
        self.decisions = decisions
        self.letters = letters
        self.decided = frozenset((decision.order_id, decision.input.event_id) for decision in decisions)
        self.refused = frozenset(str(letter.event_id) for letter in letters)


def _name(topic: str, event_id: str) -> tuple[str, str]:
    """An event's id in the name space that it is of: what every partition reads has its own."""
    return topic if topic in BROADCAST_TOPICS else "", event_id


def _late_letters(taken: Taken) -> list[DeadLetter]:
    own = getattr(taken.event, "event_id", None)
    return [letter for letter in _records(taken, DeadLetter) if letter.event_id != own]


def _records(taken: Taken, kind: type[Any]) -> list[Any]:
    return [each.record for each in taken.publications if isinstance(each.record, kind)]


# --- events in the books ----------------------------------------------------------------------------------------


def _profile(account: Account, event: e.CustomerUpdated) -> None:
    if account.currency is None:
        account.limit = event.credit_limit_minor or 0
    account.currency = event.credit_currency
    account.was_in_none |= account.group is not None and event.customer_credit_group is None
    account.group = event.customer_credit_group
    account.is_excluded |= event.exclude_from_credit_management


def _told(account: Account, event: e.GroupMembershipChanged) -> None:
    """Members of a closed group are in none, as soon as they know (spec 4.3)."""
    account.was_in_none |= event.state == "closed" and event.group_id == account.group


def _placed(account: Account, event: e.OrderPlaced) -> None:
    order = account.books.order(event.order_id)
    order.amount, order.secured, order.is_placed = event.amount_minor, event.secured_amount_minor, True


def _delivered(account: Account, event: e.OrderDelivered) -> None:
    account.books.order(event.order_id).delivered = _minor(account, event.delivered_amount)


def _ended(account: Account, event: e.OrderCancelled | e.OrderClosed) -> None:
    order = account.books.order(event.order_id)
    order.state = "cancelled" if isinstance(event, e.OrderCancelled) else "closed"
    order.verdict = "released" if order.verdict == "on_hold" else order.verdict
    order.decided_amount = 0


def _reopened(account: Account, event: e.OrderReopened) -> None:
    account.books.order(event.order_id).state = "open"


def _invoiced(account: Account, event: e.InvoicePosted) -> None:
    due = event.invoice_date if event.due_date is None else event.due_date
    parts = [(part.due_date, part.amount_minor) for part in event.instalments] or [(due, event.amount_minor)]
    account.books.post_invoice(event.invoice_id, event.amount_minor, parts, event.order_id)


def _voided(account: Account, event: e.InvoiceVoided) -> None:
    account.books.void(event.invoice_id)


def _credited(account: Account, event: e.CreditNotePosted) -> None:
    account.books.credits[event.credit_note_id] = Credit(event.amount_minor)
    if event.invoice_id is not None:
        account.books.settle(event.credit_note_id, event.invoice_id, event.amount_minor)


def _paid(account: Account, event: e.PaymentReceived) -> None:
    account.books.credits[event.payment_id] = Credit(event.amount_minor)
    _settled(account, event)


def _settled(account: Account, event: e.PaymentReceived | e.PaymentApplied) -> None:
    for settlement in event.settlements:
        account.books.settle(event.payment_id, settlement.invoice_id, _minor(account, settlement.amount))


def _reversed(account: Account, event: e.PaymentReversed) -> None:
    account.books.reverse(event.payment_id)


def _minor(account: Account, text: str) -> int:
    """Decimal text in the documents' currency."""
    whole, _, fraction = text.partition(".")
    decimals = DECIMALS[account.documents or "USD"]
    return int(whole + fraction.ljust(decimals, "0"))


ENTER: dict[type[e.Event], Callable[[Account, Any], None]] = {
    e.CustomerUpdated: _profile,
    e.GroupMembershipChanged: _told,
    e.OrderPlaced: _placed,
    e.OrderChanged: _placed,
    e.OrderDelivered: _delivered,
    e.OrderCancelled: _ended,
    e.OrderClosed: _ended,
    e.OrderReopened: _reopened,
    e.InvoicePosted: _invoiced,
    e.InvoiceVoided: _voided,
    e.CreditNotePosted: _credited,
    e.PaymentReceived: _paid,
    e.PaymentApplied: _settled,
    e.PaymentReversed: _reversed,
}
"""How an event is entered."""
