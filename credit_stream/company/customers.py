"""Who buys: kinds of customers, and each customer with what the company knows and what it does not (how it pays)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from credit_stream.company.chance import Chance
from credit_stream.company.countries import COUNTRIES, DECIMALS, ENTITIES, Country, working_day
from credit_stream.company.names import firm_name, office_name
from credit_stream.company.plan import Plan
from credit_stream.company.rates import Rates
from credit_stream.core.calendar import Day

if TYPE_CHECKING:
    from credit_stream.company.receivables import OpenInvoice

YEAR_DAYS = 365
FOUNDED_SHARE = 0.9
"""Of all customers, those who are there from the start; the others come during the first eleven months."""
COMING_DAYS = 330
AFFILIATES_FROM = 20
"""A company with fewer customers has no affiliates among them."""
GROUP_SIZE = 4
SHARE_IN_GROUPS = 0.3
"""Of wholesalers; two or three of each 32 customers share a limit then."""

TERMS_DAYS = {"PREPAID": 0, "NET14": 14, "NET30": 30, "NET60": 60, "CONSIGN": 90}
DISCOUNT_PERCENT = {"1P10": 1, "2P10": 2}
DISCOUNT_DAYS = 10
LONGER_TERMS = {"PREPAID": "NET14", "NET14": "NET30", "NET30": "NET60", "NET60": "CONSIGN", "CONSIGN": "CONSIGN"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of customer.

    - `share` of all customers; `weight`: how often one orders, compared with another kind;
    - `dollars`: what an order is about;
    - `late`: days after the due date on which it pays, from the best to the worst payer;
    - `room`: credit limit as a multiple of what it needs, from the tightest to the widest;
    - `fails`, `insured`: the share that stops paying in the first year, that is insured.
    """

    label: str
    share: float
    weight: float
    dollars: float
    terms: str
    late: tuple[int, int]
    room: tuple[float, float]
    fails: float
    insured: float

    def __reduce__(self) -> tuple[object, ...]:
        """Unpickles as the one kind of its label: kinds are told apart by identity."""
        return kind_of, (self.label,)


KEY_ACCOUNT = Kind("key accounts", 0.05, 8.0, 9000.0, "NET60", (-3, 6), (1.6, 3.0), 0.0, 0.35)
WHOLESALE = Kind("wholesale", 0.33, 2.5, 3500.0, "NET30", (-4, 24), (1.2, 2.6), 0.015, 0.20)
RETAIL = Kind("retail", 0.42, 1.0, 700.0, "NET14", (-5, 18), (1.2, 2.8), 0.02, 0.03)
GOVERNMENT = Kind("government", 0.08, 1.2, 5000.0, "NET60", (0, 55), (2.0, 4.0), 0.0, 0.0)
START_UP = Kind("start-ups", 0.12, 0.8, 1400.0, "NET14", (-2, 14), (1.0, 1.8), 0.08, 0.0)
AFFILIATE = Kind("affiliates", 0.0, 3.0, 15000.0, "NET30", (0, 2), (3.0, 3.0), 0.0, 0.0)
ALL_KINDS = {kind.label: kind for kind in (KEY_ACCOUNT, WHOLESALE, RETAIL, GOVERNMENT, START_UP, AFFILIATE)}
KINDS = (KEY_ACCOUNT, WHOLESALE, RETAIL, GOVERNMENT, START_UP)
MEAN_WEIGHT = sum(kind.share * kind.weight for kind in KINDS)


def kind_of(label: str) -> Kind:
    """The kind with that label."""
    return ALL_KINDS[label]


@dataclass(slots=True)
class Customer:
    """A customer. Limits and amounts are in minor units of `currency`, its credit currency.

    `late_days`: its habit. `fails_on`: the day from which it pays nothing. `orders_until`: the last day on which it
    orders. `open`: open invoices by id, the oldest first. `prepays`: it has no credit and pays before it orders.
    """

    customer_id: str
    number: int
    kind: Kind
    country: Country
    currency: str
    typical_minor: int
    limit_minor: int
    limit_expires_on: Day | None
    terms: str
    discount: str | None
    late_days: int
    since: Day
    fails_on: Day | None
    unlimited: bool = False
    mandatory: bool = False
    unmanaged: bool = False
    prepays: bool = False
    group_id: str | None = None
    status: str | None = None
    status_reason: str | None = None
    last_review_on: Day | None = None
    rating: str = "B"
    orders_until: Day | None = None
    open: dict[str, OpenInvoice] = field(default_factory=dict)

    def name(self) -> str:
        """Its made-up name."""
        if self.kind is AFFILIATE:
            return ENTITIES[self.number % len(ENTITIES)].name
        return office_name(self.number) if self.kind is GOVERNMENT else firm_name(self.number, self.country)

    def fails(self, today: Day) -> bool:
        """Whether it has stopped paying."""
        return self.fails_on is not None and today >= self.fails_on


class Founding:
    """Makes the customers of a plan, one after the other."""

    __slots__ = ("_chance", "_mean_orders", "_plan", "_rates")

    def __init__(self, plan: Plan, chance: Chance, rates: Rates) -> None:
        self._plan = plan
        self._chance = chance
        self._rates = rates
        self._mean_orders = plan.orders_a_day * YEAR_DAYS * (1 - plan.hot_share) / plan.customers / MEAN_WEIGHT

    def at_start(self) -> int:
        """How many customers are there from the start; at least one."""
        return max(1, int(self._plan.customers * FOUNDED_SHARE))

    def coming_on(self, number: int) -> Day:
        """The day on which a customer that is not there from the start comes."""
        first = self.at_start()
        return self._plan.start + 2 + (number - first) * COMING_DAYS // max(1, self._plan.customers - first)

    def make(self, number: int, today: Day) -> Customer:
        """The customer of that number, counted from 0."""
        chance = self._chance
        kind = self._kind(number)
        country = chance.pick_by_share(COUNTRIES, [country.share for country in COUNTRIES])
        typical_dollars = kind.dollars * (0.4 + 1.2 * chance.roll())
        since = today - chance.between(0, 200 if kind is START_UP else 5000)
        late_days = chance.between(*kind.late)
        customer = Customer(
            customer_id=f"C{number + 1:06d}",
            number=number,
            kind=kind,
            country=country,
            currency=country.currency,
            typical_minor=max(10, self._rates.from_dollars(typical_dollars, country.currency)),
            limit_minor=0,
            limit_expires_on=None,
            terms=kind.terms,
            discount=chance.pick(("1P10", "2P10")) if kind is WHOLESALE and chance.happens(0.3) else None,
            late_days=late_days,
            since=since,
            fails_on=today + chance.between(40, 300) if number and chance.happens(kind.fails) else None,
            rating=chance.pick("ABBBCCD"),
        )
        self._grant(customer, today)
        return customer

    def _kind(self, number: int) -> Kind:
        if number == 0 and self._plan.hot_share > 0:
            return KEY_ACCOUNT
        if 1 <= number <= len(ENTITIES) and self._plan.customers >= AFFILIATES_FROM:
            return AFFILIATE
        return self._chance.pick_by_share(KINDS, [kind.share for kind in KINDS])

    def _grant(self, customer: Customer, today: Day) -> None:
        """The first limit, its expiry and what else the company decided about the customer's credit."""
        chance, kind = self._chance, customer.kind
        room = kind.room[0] + (kind.room[1] - kind.room[0]) * chance.roll()
        customer.limit_minor = round_limit(int(self.need_minor(customer) * room), customer.currency)
        luck = chance.roll()
        if kind is START_UP and luck < 0.2:
            customer.limit_minor, customer.terms, customer.prepays = 0, "PREPAID", True
        elif kind is START_UP and luck < 0.23:
            customer.limit_minor, customer.mandatory = 0, True
        customer.unlimited = kind is AFFILIATE or (kind is KEY_ACCOUNT and luck < 0.1)
        customer.unmanaged = kind is GOVERNMENT and luck < 0.15
        if self._plan.journals and customer.limit_minor and chance.happens(0.85):
            customer.limit_expires_on = working_day(today + chance.between(25, YEAR_DAYS), customer.country)
        if self._plan.groups and kind is WHOLESALE and chance.happens(SHARE_IN_GROUPS):
            customer.group_id = f"G{customer.number // (GROUP_SIZE * 8) + 1:05d}"

    def need_minor(self, customer: Customer) -> int:
        """What the customer owes in the mean: its sales of the days from order to payment, at least two orders."""
        orders_a_year = customer.kind.weight * self._mean_orders
        if customer.number == 0 and self._plan.hot_share:
            orders_a_year = self._plan.orders_a_day * YEAR_DAYS * self._plan.hot_share
        days = TERMS_DAYS[customer.terms] + max(0, customer.late_days) + 15
        return int(customer.typical_minor * max(2.5, orders_a_year * days / YEAR_DAYS))


def round_limit(minor: int, currency: str) -> int:
    """A limit as people set one: two leading digits, the rest zeros; never below one unit."""
    unit: int = 10 ** DECIMALS[currency]
    step = unit
    while step * 100 <= minor:
        step *= 10
    return max(unit, minor // step * step)
