"""The made-up company: its events are the same every time, sorted, acceptable, of every kind and of any size."""

from __future__ import annotations

import hashlib
import json
import pickle
import resource
import time
import tomllib
from collections import Counter
from functools import cache
from itertools import islice

import msgspec
import pytest

from credit_stream.company import Company, Plan, events, rule_book, rule_book_json, year_plan
from credit_stream.company.countries import COUNTRIES, DECIMALS
from credit_stream.core import events as e
from credit_stream.core.outputs import HoldEntry, HoldReason
from credit_stream.wire.currencies import CURRENCIES
from tests.company.ledger import DAY_MS, Ledger

FIRST_EVENTS = 20_000
FIRST_EVENTS_SHA256 = "7383aa9b70b5e29342ec1136282141833c98091a0800e3a5f6272722c36235a6"
YEAR_TYPES = {
    e.SettingsPublished,
    e.ExchangeRatePublished,
    e.ClockTicked,
    e.CustomerUpdated,
    e.PolicyUpdated,
    e.PolicyRemoved,
    e.CreateLimitJournal,
    e.PostLimitJournal,
    e.OrderPlaced,
    e.OrderChanged,
    e.OrderCheckpointReached,
    e.OrderDelivered,
    e.OrderCancelled,
    e.OrderClosed,
    e.OrderReopened,
    e.InvoicePosted,
    e.CreditNotePosted,
    e.InvoiceVoided,
    e.InvoiceDisputed,
    e.PaymentReceived,
    e.PaymentApplied,
    e.PaymentReversed,
}
KNOWN_FIRMS = (
    "acme adidas aldi alibaba allianz amazon apple audi barclays basf bayer bmw boeing bosch bp carrefour "
    "chevron cisco citroen coca-cola daimler danone dell disney dupont ebay exxon fedex fiat ford general "
    "google heineken hitachi honda hsbc ibm ikea intel kellogg kraft lego lidl lufthansa maersk mars mercedes "
    "michelin microsoft mitsubishi nestle nike nintendo nissan nokia novartis oracle panasonic pepsi peugeot "
    "pfizer philips porsche renault roche rolex samsung sap shell siemens sony spotify starbucks tesco tesla "
    "toshiba toyota unilever visa vodafone volkswagen volvo walmart zara "
).split()


def plain(value: object) -> object:
    """A record as a dict without the fields that have their default: a new optional field changes nothing."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if not isinstance(value, msgspec.Struct):
        return value
    defaults = defaults_of(type(value))
    given = {name: getattr(value, name) for name in defaults}
    return {name: plain(content) for name, content in given.items() if content != defaults[name]}


@cache
def defaults_of(record: type[msgspec.Struct]) -> dict[str, object]:
    """The default of every field of a record."""
    return {each.name: each.default for each in msgspec.structs.fields(record)}


def as_bytes(event: e.Event) -> bytes:
    """The event with its type; what is left out is the default."""
    return json.dumps([type(event).__name__, plain(event)]).encode()


def audited(plan: Plan) -> Ledger:
    """A whole plan, booked."""
    ledger = Ledger(DECIMALS)
    for event in events(plan):
        ledger.accept(event)
    return ledger


@pytest.fixture(scope="module")
def year() -> list[e.Event]:
    """The events of the default year."""
    return list(events(year_plan()))


# --- the same every time ----------------------------------------------------------------------------------------


def test_the_first_events_are_the_same_bytes_on_every_machine_and_python() -> None:
    """A plan is a name for its events: benchmarks on different machines compare because of that."""
    digest = hashlib.sha256()
    for event in islice(events(year_plan()), FIRST_EVENTS):
        digest.update(as_bytes(event))
    assert digest.hexdigest() == FIRST_EVENTS_SHA256


def test_the_same_plan_gives_the_same_bytes_and_another_seed_gives_others() -> None:
    """The seed is all the chance there is."""
    small = Plan(customers=30, days=60, orders_a_day=3.0)
    first = [as_bytes(event) for event in events(small)]
    assert first == [as_bytes(event) for event in events(small)]
    other = {as_bytes(event) for event in events(Plan(seed=2, customers=30, days=60, orders_a_day=3.0))}
    assert not other.intersection(first)


def test_a_longer_plan_only_goes_on_further() -> None:
    """A demo that has streamed its year can continue it."""
    short = [as_bytes(event) for event in events(Plan(customers=40, days=50, orders_a_day=4.0))]
    endless = islice(events(Plan(customers=40, days=None, orders_a_day=4.0)), len(short) + 1000)
    longer = [as_bytes(event) for event in endless]
    assert longer[: len(short)] == short
    assert len(longer) == len(short) + 1000


def test_a_pickled_company_goes_on_with_the_same_events() -> None:
    """A demo that is stopped can keep the company beside its log."""
    company = Company(Plan(customers=40, days=80, orders_a_day=4.0))
    for _ in range(60):
        company.next_batch()
    copy = pickle.loads(pickle.dumps(company))
    rest = [as_bytes(event) for event in company]
    assert rest and rest == [as_bytes(event) for event in copy]


# --- acceptable -------------------------------------------------------------------------------------------------


def test_a_year_passes_the_ledger(year: list[e.Event]) -> None:
    """Sorted, ids used once, nothing settled above what is open, instalments add up, every document is known."""
    ledger = Ledger(DECIMALS)
    for event in year:
        ledger.accept(event)
    assert all(ledger.journals.values()), "every journal is posted"


@pytest.mark.parametrize(
    "plan",
    [
        Plan(seed=2, customers=1, days=400, orders_a_day=3.0),
        Plan(seed=3, customers=7, days=400, orders_a_day=6.0, hot_share=0.5),
        Plan(seed=4, customers=300, days=250, orders_a_day=40.0, groups=True, journals=False, ticks=False),
        Plan(seed=5, customers=60, start=11_015, days=800, orders_a_day=10.0, hot_share=0.25),
        Plan(seed=6, customers=50, days=1),
        Plan(seed=7, customers=1500, days=20, orders_a_day=0.0),
    ],
    ids=["one", "few", "groups", "years", "a-day", "no-orders"],
)
def test_a_company_of_any_size_passes_the_ledger(plan: Plan) -> None:
    """Small, large, long, short, with and without groups, journals, ticks."""
    ledger = audited(plan)
    assert len(ledger.customers) <= plan.customers
    assert bool(ledger.groups) == plan.groups
    assert bool(ledger.counts["ClockTicked"]) == (plan.ticks and plan.days != 1)
    assert plan.journals or not ledger.journals


def test_amounts_are_in_currencies_with_the_decimals_of_the_kept_library() -> None:
    """The company keeps a short table of its own, as it stands below the wire; it must not differ from ISO 4217."""
    assert {code: CURRENCIES[code] for code in DECIMALS} == DECIMALS


def test_a_plan_that_no_company_can_be_is_refused_with_a_sentence() -> None:
    """The message says which value to change."""
    for wrong in (
        {"customers": 0},
        {"days": 0},
        {"orders_a_day": -1.0},
        {"hot_share": 1.5},
        {"start": 1_735_689_600_000},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Plan(**wrong)


# --- of every kind ----------------------------------------------------------------------------------------------


def test_the_default_year_has_about_a_hundred_thousand_events(year: list[e.Event]) -> None:
    """The size that the demo promises."""
    assert 95_000 < len(year) < 105_000


def test_every_type_of_event_that_the_company_knows_is_in_the_default_year(year: list[e.Event]) -> None:
    """A type that no longer comes would leave a part of the demo dark."""
    assert {type(event) for event in year} == YEAR_TYPES


def test_the_shares_of_the_types_are_those_of_a_trading_company(year: list[e.Event]) -> None:
    """Most orders are delivered, invoiced and paid; the rare things are rare."""
    counts = Counter(type(event) for event in year)
    orders = counts[e.OrderPlaced]
    assert 0.9 < counts[e.InvoicePosted] / orders < 1.4
    assert 0.4 < counts[e.PaymentReceived] / counts[e.InvoicePosted] < 1.0
    shares: list[tuple[type[e.Event], float, float]] = [
        (e.OrderChanged, 0.02, 0.1),
        (e.OrderCancelled, 0.01, 0.05),
        (e.CreditNotePosted, 0.02, 0.1),
        (e.InvoiceDisputed, 0.02, 0.1),
        (e.PaymentReversed, 0.003, 0.02),
        (e.InvoiceVoided, 0.003, 0.02),
        (e.PaymentApplied, 0.01, 0.1),
    ]
    for record, low, high in shares:
        assert low < counts[record] / orders < high, record.__name__


def test_the_company_trades_in_many_countries_currencies_and_kinds(year: list[e.Event]) -> None:
    """Several entities, foreign currencies, returns, secured, intercompany and instalments are all there."""
    profiles = [event for event in year if isinstance(event, e.CustomerUpdated)]
    orders = [event for event in year if type(event) is e.OrderPlaced]
    home = {event.customer_id: event.credit_currency for event in profiles}
    assert {event.country for event in profiles} == {country.code for country in COUNTRIES}
    assert len({event.credit_management_group for event in profiles}) == 6
    assert {event.legal_entity for event in orders} == {"UK01", "US01", "DE01"}
    assert 0.02 < sum(event.currency != home[event.customer_id] for event in orders) / len(orders) < 0.1
    assert any(event.amount_minor < 0 for event in orders)
    assert any(event.amount_minor == 0 for event in orders)
    assert any(event.secured_amount_minor for event in orders)
    assert any(event.intercompany for event in orders)
    assert any(event.excluded for event in orders)
    assert any(event.ordered_by for event in orders)
    assert any(event.instalments for event in year if isinstance(event, e.InvoicePosted))
    assert any(
        line.discount != "0" for event in year if isinstance(event, e.PaymentReceived) for line in event.settlements
    )
    assert any(event.pro_forma for event in year if isinstance(event, e.OrderCheckpointReached))
    assert {event.kind for event in year if isinstance(event, e.PolicyUpdated)} == {"insurance", "guarantee"}
    assert {event.journal_type for event in year if isinstance(event, e.CreateLimitJournal)} == {
        "credit_limit",
        "temporary_credit_limit",
    }


def test_some_customers_fail_and_are_suspended_and_others_are_never_late(year: list[e.Event]) -> None:
    """Who fails pays nothing from some day on; about two in a hundred do."""
    statuses = {event.customer_id: event.account_status for event in year if isinstance(event, e.CustomerUpdated)}
    suspended = {customer for customer, status in statuses.items() if status == "suspended"}
    assert 1 <= len(suspended) <= len(statuses) * 0.06
    last_paid = {event.customer_id: event.received_on for event in year if isinstance(event, e.PaymentReceived)}
    for event in year:
        if (
            isinstance(event, e.CustomerUpdated)
            and event.customer_id in suspended
            and event.account_status == "suspended"
        ):
            assert last_paid.get(event.customer_id, 0) < event.occurred_at // DAY_MS


def test_trade_grows_and_has_its_season(year: list[e.Event]) -> None:
    """November brings more orders than February did by a third at least."""
    months = Counter((event.occurred_at // DAY_MS - 20_089) // 30 for event in year if type(event) is e.OrderPlaced)
    assert months[10] > months[1] * 1.33


def test_orders_come_in_business_hours_and_mostly_on_weekdays(year: list[e.Event]) -> None:
    """At a weekend only the web shop sells."""
    country = {event.customer_id: event.country for event in year if isinstance(event, e.CustomerUpdated)}
    opens = {each.code: each.opens_ms for each in COUNTRIES}
    weekend = late = 0
    orders = [event for event in year if type(event) is e.OrderPlaced]
    for event in orders:
        weekend += (event.occurred_at // DAY_MS + 3) % 7 >= 5
        time_of_day = event.occurred_at % DAY_MS - opens[country[event.customer_id] or ""]
        late += not 0 <= time_of_day <= 10 * 3_600_000
    assert 0 < weekend / len(orders) < 0.05
    assert late / len(orders) < 0.02


def test_rates_are_published_every_month_for_every_pair(year: list[e.Event]) -> None:
    """No document of the year lacks a rate."""
    days = Counter(event.valid_from for event in year if isinstance(event, e.ExchangeRatePublished))
    assert len(days) == 12
    assert set(days.values()) == {len(DECIMALS) * (len(DECIMALS) - 1)}


def test_one_customer_is_hot_when_the_plan_says_so() -> None:
    """A quarter of all orders and of all invoices is the first customer's."""
    plan = Plan(customers=200, days=200, orders_a_day=20.0, hot_share=0.25)
    orders: Counter[str] = Counter()
    invoices: Counter[str] = Counter()
    for event in events(plan):
        if type(event) is e.OrderPlaced:
            orders[event.customer_id] += 1
        elif isinstance(event, e.InvoicePosted):
            invoices[event.customer_id] += 1
    assert 0.22 < orders["C000001"] / orders.total() < 0.28
    assert 0.20 < invoices["C000001"] / invoices.total() < 0.30
    assert orders.most_common(2)[1][1] < orders["C000001"] / 4


def test_no_real_firm_is_named(year: list[e.Event]) -> None:
    """Names are put together from invented words."""
    names = {event.name for event in year if isinstance(event, e.CustomerUpdated)}
    words = {word.lower().strip(",") for name in names if name for word in name.split()}
    assert len(names) > 300
    assert not words.intersection(KNOWN_FIRMS)


# --- size -------------------------------------------------------------------------------------------------------


def test_twice_the_orders_are_twice_the_events_and_no_more_memory_per_day() -> None:
    """The stream can be as long as one likes: only what is open is kept."""
    small = sum(1 for _ in events(Plan(customers=100, days=120, orders_a_day=10.0, ticks=False)))
    large = sum(1 for _ in events(Plan(customers=200, days=120, orders_a_day=20.0, ticks=False)))
    assert 1.7 < large / small < 2.2
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in islice(events(Plan(customers=50, days=None, orders_a_day=30.0)), 150_000)) == 150_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000, "kilobytes"


def test_a_hundred_thousand_customers_are_founded_and_trade() -> None:
    """The size of the benchmarks."""
    plan = Plan(customers=100_000, days=4, orders_a_day=3000.0, ticks=False)
    counts = Counter(type(event) for event in events(plan))
    assert counts[e.CustomerUpdated] > 90_000
    assert counts[e.OrderPlaced] > 5_000


# --- the rule book and the hold list ----------------------------------------------------------------------------


def test_the_rule_book_is_toml_and_is_published_first_as_json(year: list[e.Event]) -> None:
    """What a person reads and what is on the stream are the same."""
    first = year[0]
    assert isinstance(first, e.SettingsPublished)
    assert json.loads(first.document) == tomllib.loads(rule_book()) == json.loads(rule_book_json())
    assert tomllib.loads(rule_book(1)) != tomllib.loads(rule_book(2))


def hold(order: e.OrderPlaced, code: str) -> HoldEntry:
    """An entry of the hold list, as the credit system would publish it."""
    return HoldEntry(
        order_id=order.order_id,
        customer_id=order.customer_id,
        legal_entity=order.legal_entity,
        checkpoint="order_entry",
        amount_minor=order.amount_minor,
        currency=order.currency,
        held_since=order.occurred_at,
        reasons=(HoldReason(code=code, observed="2", threshold="1", still_valid=True),),
        reason=code,
        status="held",
    )


def trade_with_every_order_held(code: str) -> list[e.Event]:
    """Two months in which the credit system holds every order until a clerk acts."""
    company = Company(Plan(customers=40, days=80, orders_a_day=5.0))
    written: list[e.Event] = []
    while (batch := company.next_batch()) is not None:
        written += batch
        for event in batch:
            if type(event) is e.OrderPlaced:
                company.hear(event.order_id, hold(event, code))
            elif isinstance(event, e.ReleaseOrder | e.RejectOrder):
                company.hear(event.order_id, None)
    return written


def test_clerks_release_most_held_orders_and_reject_some() -> None:
    """Every command is about an order that is held, and only once."""
    written = trade_with_every_order_held("credit_limit_exceeded")
    released = [event.order_id for event in written if isinstance(event, e.ReleaseOrder)]
    rejected = [event.order_id for event in written if isinstance(event, e.RejectOrder)]
    assert len(released) > 3 * len(rejected) > 0
    assert len({*released, *rejected}) == len(released) + len(rejected)
    reasons = {reason["id"] for reason in tomllib.loads(rule_book())["release_reasons"]}
    assert {event.release_reason for event in written if isinstance(event, e.ReleaseOrder)} <= reasons
    assert all(event.actor for event in written if isinstance(event, e.ReleaseOrder | e.RejectOrder))


def test_a_held_order_is_not_carried_on_and_a_rejected_one_never_is() -> None:
    """The company ships nothing that credit management holds."""
    written = trade_with_every_order_held("credit_limit_exceeded")
    free: set[str] = set()
    rejected: set[str] = set()
    for event in written:
        if isinstance(event, e.ReleaseOrder):
            free.add(event.order_id)
        elif isinstance(event, e.RejectOrder):
            rejected.add(event.order_id)
        elif isinstance(event, e.OrderDelivered):
            assert event.order_id in free
        elif isinstance(event, e.OrderCheckpointReached | e.OrderChanged | e.OrderCancelled):
            assert event.order_id not in rejected


def test_the_clerks_decide_the_same_about_the_same_hold_list() -> None:
    """What the company does follows from the plan and from what it was told."""
    first = [as_bytes(event) for event in trade_with_every_order_held("credit_limit_exceeded")]
    assert first == [as_bytes(event) for event in trade_with_every_order_held("credit_limit_exceeded")]


def test_orders_of_suspended_customers_are_rejected() -> None:
    """Nobody releases goods to a customer that does not pay."""
    written = trade_with_every_order_held("account_status")
    assert any(isinstance(event, e.RejectOrder) for event in written)
    assert not any(isinstance(event, e.ReleaseOrder) for event in written)


def test_events_are_made_fast_enough_to_feed_the_fastest_host() -> None:
    """Measured is work, not waiting: a tenth of the speed that is promised, so that a busy machine does not fail it."""
    began = time.process_time()
    count = sum(1 for _ in islice(events(year_plan()), 50_000))
    assert count / (time.process_time() - began) > 5_000
