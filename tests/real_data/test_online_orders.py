"""Real orders: what is open equals a plain computation over the file, and the limit holds exactly whom it must."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.real_data.conversion import LIMIT_RULE, online_orders, settings
from tests.real_data.independent import ordered, verdicts
from tests.real_data.passage import Passage, passage, totals_of, without_zeros
from tests.real_data.tables import DATA, NOBODY, cancelled_orders, day, online_retail

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real data does not lie in `shared/data` beside the repository"
)

DAYS = tuple(map(day, ("2011-01-05", "2011-06-01", "2011-10-01", "2011-12-09", "2011-12-10")))
LIMIT_MINOR = 200_000
LARGEST, CANCELS_LARGEST, ITS_CUSTOMER = "581483", "C581484", "16446"


@cache
def unlimited() -> Passage:
    """All orders, with a limit that nobody reaches."""
    return passage(settings(LIMIT_RULE)).take(online_orders(online_retail()), DAYS)


def test_the_file_has_the_rows_that_the_rules_speak_of() -> None:
    """Another edition of the file, or a rule that matches nothing, is noticed."""
    orders = online_retail()
    assert len(orders) == 25_900
    assert len({order.number for order in orders}) == 25_900
    assert sum(order.customer_id == NOBODY for order in orders) == 3_710
    assert sum(order.amount_minor == 0 for order in orders) >= 2_102
    cancelled = cancelled_orders(orders)
    assert len(set(cancelled.values())) == len(cancelled) == 158
    assert cancelled[CANCELS_LARGEST] == LARGEST


@pytest.mark.parametrize("today", DAYS)
def test_open_orders_of_every_customer_equal_a_plain_computation(today: int) -> None:
    """All 4,373 customers at five dates; cancelled orders are gone, returns count nothing."""
    assert totals_of(unlimited().at_day[today]) == without_zeros(ordered(online_retail(), today))


def test_all_real_orders_are_accepted_and_released_under_a_limit_that_nobody_reaches() -> None:
    """Amounts of zero, negative ones and cancellations are no faults."""
    assert unlimited().dead_letters == []
    assert {decision.verdict for decision in unlimited().decisions.values()} == {"released"}
    assert len(unlimited().decisions) == 25_900 - len(cancelled_orders(online_retail()))


def test_order_581483_comes_in_and_goes_out_again_to_the_penny() -> None:
    """168,469.60 is placed and twelve minutes later cancelled: the customer owes what it owed before."""
    run = passage(settings(LIMIT_RULE))
    seen = []
    for event in online_orders(online_retail()):
        if getattr(event, "customer_id", ITS_CUSTOMER) == ITS_CUSTOMER:
            run.send(event)
            open_minor = run.exposures[ITS_CUSTOMER].exposure_minor if ITS_CUSTOMER in run.exposures else 0
            seen.append((event.event_id, event.occurred_at, open_minor))
    place, cancel = (
        next(i for i, each in enumerate(seen) if each[0] == name) for name in ("order/581483", "cancel/C581484")
    )
    before, placed, cancelled = seen[place - 1], seen[place], seen[cancel]
    assert placed[2] - before[2] == 16_846_960
    assert cancelled[2] == before[2]
    assert cancelled[1] - placed[1] == 12 * 60_000
    assert run.decisions[LARGEST].order_amount_minor == 16_846_960
    assert run.exposures[ITS_CUSTOMER].open_orders_minor == before[2]
    assert run.dead_letters == []


def test_a_limit_of_2000_holds_exactly_the_orders_that_a_plain_computation_holds() -> None:
    """25,900 verdicts: first come, first served; a held order uses nothing; a cancellation frees what it had used."""
    run = passage(settings(LIMIT_RULE))
    found = {}
    for event in online_orders(online_retail(), LIMIT_MINOR):
        run.send(event)
        order_id = getattr(event, "order_id", "")
        if event.event_id.startswith("order/"):
            found[order_id] = run.decisions[order_id].verdict
    expected = verdicts(online_retail(), LIMIT_MINOR)
    assert found == expected
    assert Counter(expected.values())["on_hold"] > 3_000
    assert run.dead_letters == []
