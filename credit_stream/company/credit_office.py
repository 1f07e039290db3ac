"""The company's credit office: profiles, statuses, limits by journal, insurance and guarantees, credit groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from credit_stream.company.books import Books
from credit_stream.company.countries import COUNTRIES, DECIMALS, HOUR_MS, day_of
from credit_stream.company.customers import (
    AFFILIATE,
    GOVERNMENT,
    GROUP_SIZE,
    LONGER_TERMS,
    RETAIL,
    START_UP,
    YEAR_DAYS,
    Customer,
    Founding,
    round_limit,
)
from credit_stream.core.calendar import DAY_MS, Day, Instant
from credit_stream.core.events import (
    CreateLimitJournal,
    CreditGroupUpdated,
    CustomerUpdated,
    JournalLine,
    PolicyKind,
    PolicyRemoved,
    PolicyUpdated,
    PostLimitJournal,
)

OFFICE = COUNTRIES[1]
MANAGERS = ("ana", "boris", "claire")
JOURNAL_LINES_MAX = 40
REVIEW_AHEAD_DAYS = 31
"""The monthly review renews limits that expire within so many days."""
REVIEWED_SHARE = 0.02
"""Of the other limits, so many are changed by a monthly review."""
FORGOTTEN_SHARE = 0.06
"""So many limits that should be renewed are forgotten, and expire."""
CHANGES_A_YEAR = 0.6
"""How often a customer's profile changes for no special cause."""
REVIEW_STATUSES = ("good", "good", "good", "good", "watch", "watch", "watch", "collection")
COVERAGE_TYPES = ("named buyer", "discretionary", "top-up")
TITLES = ("retention of title", "consignment stock")


@dataclass(slots=True)
class Policy:
    """An insurance or a guarantee that the company holds. `value_minor` is in the customer's credit currency."""

    policy_id: str
    customer: Customer
    kind: PolicyKind
    value_minor: int
    percentage: str
    included: bool
    expires_on: Day


class CreditOffice:
    """Founds customers, and looks after their credit from then on."""

    __slots__ = ("_books", "_chance", "_founding", "_groups", "customers")

    def __init__(self, books: Books, founding: Founding) -> None:
        self._books = books
        self._chance = books.chance
        self._founding = founding
        self._groups: set[str] = set()
        self.customers: list[Customer] = []

    # --- customers --------------------------------------------------------------------------------------------------

    def found(self, number: int, at: Instant) -> Customer:
        """A new customer: its group, its profile with the first limit, its policies, and its failure if it comes."""
        customer = self._founding.make(number, day_of(at))
        self.customers.append(customer)
        if customer.group_id is not None and customer.group_id not in self._groups:
            self._found_group(customer, customer.group_id, at)
            at = self._books.stamp(at + 1)
        self._write_profile(customer, at, first=True)
        if self._chance.happens(customer.kind.insured):
            self._insure(customer, self._books.stamp(at + 1), "insurance")
        elif customer.kind is START_UP and self._chance.happens(0.15):
            self._insure(customer, self._books.stamp(at + 1), "guarantee")
        if customer.fails_on is not None:
            self._books.plan_on(customer.fails_on + 45, OFFICE, self._watch, customer)
        return customer

    def _found_group(self, first: Customer, group_id: str, at: Instant) -> None:
        self._groups.add(group_id)
        self._books.written.append(
            CreditGroupUpdated(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="credit office",
                legal_entity=first.country.entity_id,
                actor=MANAGERS[0],
                group_id=group_id,
                name=f"{first.name()} and partners",
                credit_currency=first.currency,
                credit_limit_minor=round_limit(first.limit_minor * GROUP_SIZE // 2, first.currency),
                credit_limit_expires_on=day_of(at) + 2 * YEAR_DAYS,
            )
        )

    def _write_profile(self, customer: Customer, at: Instant, first: bool = False) -> None:
        """The whole profile; the limit only with the first one (spec 8.1: later it changes by journals)."""
        kind, number = customer.kind, customer.number
        self._books.written.append(
            CustomerUpdated(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="credit office",
                legal_entity=customer.country.entity_id,
                actor=None if first else MANAGERS[number % len(MANAGERS)],
                customer_id=customer.customer_id,
                name=customer.name(),
                credit_currency=customer.currency,
                credit_limit_minor=customer.limit_minor if first else None,
                credit_limit_expires_on=customer.limit_expires_on if first else None,
                unlimited_credit=customer.unlimited,
                mandatory_credit_limit=customer.mandatory,
                exclude_from_credit_management=customer.unmanaged,
                credit_management_group=kind.label,
                customer_credit_group=customer.group_id,
                account_status=customer.status,
                account_status_reason=customer.status_reason,
                payment_terms=customer.terms,
                settlement_discount=customer.discount,
                country=customer.country.code,
                business_started_on=customer.since - number % 4000 if kind is not GOVERNMENT else None,
                customer_since=customer.since,
                annual_revenue_minor=customer.typical_minor * (200 + number % 800),
                last_review_on=customer.last_review_on,
                next_review_on=customer.last_review_on + YEAR_DAYS if customer.last_review_on is not None else None,
                with_agency=customer.status == "collection",
                title_held=TITLES[number % 2] if number % 50 == 0 else None,
                attributes={"agency_rating": customer.rating},
            )
        )

    def _watch(self, customer: Customer, at: Instant) -> None:
        """A customer that pays nothing any more is watched; then suspended, or given to a collector."""
        customer.status, customer.status_reason = "watch", "payments are late"
        self._write_profile(customer, at)
        self._books.plan_on(day_of(at) + self._chance.between(10, 25), OFFICE, self._suspend, customer)

    def _suspend(self, customer: Customer, at: Instant) -> None:
        customer.status = "collection" if self._chance.happens(0.25) else "suspended"
        customer.status_reason = "no payment in two months"
        customer.orders_until = day_of(at) + self._chance.between(5, 40)
        self._write_profile(customer, at)

    def review_profiles(self, day: Day) -> None:
        """Enters the day's small changes of profiles: ratings, terms, statuses."""
        expected = len(self.customers) * CHANGES_A_YEAR / YEAR_DAYS
        for _ in range(int(expected + self._chance.roll())):
            self._books.plan_on(day, OFFICE, self._review_profile, self._chance.pick(self.customers))

    def _review_profile(self, customer: Customer, at: Instant) -> None:
        luck = self._chance.roll()
        customer.last_review_on = day_of(at)
        if luck < 0.6:
            customer.rating = self._chance.pick("ABBBCCD")
        elif luck < 0.65:
            customer.terms = customer.terms if customer.prepays else LONGER_TERMS[customer.kind.terms]
        elif customer.fails_on is None:
            customer.status = self._chance.pick(REVIEW_STATUSES)
            customer.status_reason = "review"
            if customer.status == "collection":
                day = day_of(at) + self._chance.between(10, 40)
                self._books.plan_on(day, OFFICE, self._restore, customer)
        self._write_profile(customer, at)

    def _restore(self, customer: Customer, at: Instant) -> None:
        """The collector was successful."""
        if customer.status == "collection" and customer.fails_on is None:
            customer.status, customer.status_reason = "good", "paid to the collector"
            self._write_profile(customer, at)

    # --- policies ---------------------------------------------------------------------------------------------------

    def _insure(self, customer: Customer, at: Instant, kind: PolicyKind) -> None:
        base_minor = max(customer.limit_minor, customer.typical_minor * 2)
        policy = Policy(
            policy_id=f"PO{self._books.number('policy')}",
            customer=customer,
            kind=kind,
            value_minor=round_limit(int(base_minor * (0.2 + 0.5 * self._chance.roll())), customer.currency),
            percentage=self._chance.pick(("100", "90", "80", "50", "87.5")),
            included=kind == "insurance" and self._chance.happens(0.1),
            expires_on=day_of(at) + self._chance.between(60, YEAR_DAYS),
        )
        self._write_policy(policy, at)
        self._books.plan_on(policy.expires_on - 10, OFFICE, self._renew_policy, policy)
        if self._chance.happens(0.12):
            day = day_of(at) + self._chance.between(20, 200)
            self._books.plan_on(day, OFFICE, self._remove_policy, policy)

    def _write_policy(self, policy: Policy, at: Instant) -> None:
        customer = policy.customer
        number = customer.number
        self._books.written.append(
            PolicyUpdated(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="credit office",
                legal_entity=customer.country.entity_id,
                actor=MANAGERS[number % len(MANAGERS)],
                policy_id=policy.policy_id,
                customer_id=customer.customer_id,
                kind=policy.kind,
                coverage_type=COVERAGE_TYPES[number % len(COVERAGE_TYPES)] if policy.kind == "insurance" else None,
                value_minor=policy.value_minor,
                currency=customer.currency,
                update_percentage=policy.percentage,
                included_in_exposure=policy.included,
                effective_on=day_of(at),
                expires_on=policy.expires_on,
                status="active",
            )
        )

    def _renew_policy(self, policy: Policy, at: Instant) -> None:
        """Most policies are renewed before they expire, for another value; the others run out."""
        if policy.value_minor == 0 or self._chance.happens(0.15):
            return
        value_minor = int(policy.value_minor * (0.8 + 0.6 * self._chance.roll()))
        policy.value_minor = round_limit(value_minor, policy.customer.currency)
        policy.expires_on += YEAR_DAYS
        self._write_policy(policy, at)
        self._books.plan_on(policy.expires_on - 10, OFFICE, self._renew_policy, policy)

    def _remove_policy(self, policy: Policy, at: Instant) -> None:
        policy.value_minor = 0
        self._books.written.append(
            PolicyRemoved(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="credit office",
                legal_entity=policy.customer.country.entity_id,
                actor=MANAGERS[policy.customer.number % len(MANAGERS)],
                policy_id=policy.policy_id,
                customer_id=policy.customer.customer_id,
            )
        )

    # --- limits -----------------------------------------------------------------------------------------------------

    def review_limits(self, today: Day, at: Instant) -> None:
        """The monthly review: renews what expires soon, raises or lowers a few limits, in journals of some lines."""
        lines: list[JournalLine] = []
        for customer in self.customers:
            line = self._reviewed(customer, today)
            if line is not None:
                lines.append(line)
            if len(lines) == JOURNAL_LINES_MAX:
                self._write_journal(at, "monthly review", lines)
                at, lines = self._books.stamp(at + 1000), []
        if lines:
            self._write_journal(at, "monthly review", lines)

    def _reviewed(self, customer: Customer, today: Day) -> JournalLine | None:
        if customer.limit_minor == 0 or customer.kind is AFFILIATE:
            return None
        expires = customer.limit_expires_on
        due = expires is not None and expires < today + REVIEW_AHEAD_DAYS
        if self._chance.happens(FORGOTTEN_SHARE) or not (due or self._chance.happens(REVIEWED_SHARE)):
            return None
        if customer.status in ("suspended", "collection"):
            factor, reason = 0.5, "customer does not pay"
        elif due:
            factor, reason = 0.95 + 0.3 * self._chance.roll(), "yearly renewal"
        else:
            factor, reason = 0.8 + 0.7 * self._chance.roll(), "business has changed"
        customer.limit_minor = round_limit(int(customer.limit_minor * factor), customer.currency)
        customer.limit_expires_on = today + YEAR_DAYS
        return JournalLine(
            customer_id=customer.customer_id,
            credit_limit_minor=customer.limit_minor,
            currency=customer.currency,
            expires_on=customer.limit_expires_on,
            reason=reason,
        )

    def raise_for_season(self, today: Day, at: Instant) -> None:
        """Before the season one retailer in six gets a temporary limit of half as much again until mid-January."""
        lines = []
        for customer in self.customers:
            if customer.kind is not RETAIL or not customer.limit_minor or customer.status is not None:
                continue
            if self._chance.happens(0.16):
                unit: int = 10 ** DECIMALS[customer.currency]
                lines.append(
                    JournalLine(
                        customer_id=customer.customer_id,
                        credit_limit_minor=customer.limit_minor * 3 // 2 // unit * unit + unit,
                        currency=customer.currency,
                        from_date=today + 10,
                        to_date=today + 70,
                        reason="season",
                    )
                )
        for first in range(0, len(lines), JOURNAL_LINES_MAX):
            chunk = lines[first : first + JOURNAL_LINES_MAX]
            self._write_journal(at, "season", chunk, temporary=True)
            at = self._books.stamp(at + 1000)

    def _write_journal(self, at: Instant, description: str, lines: list[JournalLine], temporary: bool = False) -> None:
        """Writes a journal; another manager posts it some hours later."""
        journal_id = f"LJ{self._books.number('journal')}"
        author = self._chance.between(0, len(MANAGERS) - 1)
        self._books.written.append(
            CreateLimitJournal(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="credit office",
                actor=MANAGERS[author],
                journal_id=journal_id,
                journal_type="temporary_credit_limit" if temporary else "credit_limit",
                description=description,
                lines=tuple(lines),
            )
        )
        poster = MANAGERS[(author + 1) % len(MANAGERS)]
        delay = self._chance.between(1, 5) * HOUR_MS if at % DAY_MS < 14 * HOUR_MS else HOUR_MS
        self._books.plan_at(at + delay, partial(self._post_journal, journal_id), poster)

    def _post_journal(self, journal_id: str, poster: str, at: Instant) -> None:
        self._books.written.append(
            PostLimitJournal(
                event_id=self._books.event_id(),
                occurred_at=at,
                source="credit office",
                actor=poster,
                journal_id=journal_id,
            )
        )
