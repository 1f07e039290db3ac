"""Where an input goes, and when the clock ticks."""

from __future__ import annotations

import pytest

from credit_stream.core.events import (
    ClockTicked,
    CreditGroupUpdated,
    EvaluateHolds,
    Event,
    JournalLinePosted,
    SettingsPublished,
)
from credit_stream.core.topics import (
    BROADCAST_TOPICS,
    CLOCK,
    COMMANDS,
    GROUPS,
    INBOX,
    INPUT_TOPICS,
    INVOICES,
    ORDERS,
    SETTINGS,
)
from credit_stream.hosts.clock import ManualClock, ScaledClock, SystemClock
from credit_stream.hosts.placing import Placement, home_of, place, tasks_of
from credit_stream.hosts.ticking import Ticker
from credit_stream.wire.faults import Fault
from credit_stream.wire.keys import partition_of
from tests.engine.counting import cancelled

PARTITIONS = 4
ALL = (0, 1, 2, 3)


def group() -> CreditGroupUpdated:
    """A credit group."""
    return CreditGroupUpdated(
        event_id="g",
        occurred_at=0,
        group_id="G1",
        credit_currency="EUR",
        credit_limit_minor=1,
        credit_limit_expires_on=1,
    )


@pytest.mark.parametrize(
    ("event", "placement"),
    [
        pytest.param(
            cancelled("e", "C1"), Placement(ORDERS, (partition_of("C1", PARTITIONS),), "C1"), id="by its customer"
        ),
        pytest.param(group(), Placement(GROUPS, (partition_of("G1", PARTITIONS),), "G1"), id="by its group"),
        pytest.param(
            SettingsPublished(event_id="s", occurred_at=0, version=1, document="{}"),
            Placement(SETTINGS, (0,), "settings"),
            id="one stream for all",
        ),
        pytest.param(ClockTicked(event_id="t", occurred_at=0, instant=0), Placement(CLOCK, (0,), "clock"), id="a tick"),
        pytest.param(EvaluateHolds(event_id="x", occurred_at=0), Placement(COMMANDS, ALL, "x"), id="a command for all"),
        pytest.param(Fault("unreadable", "Send JSON."), Placement(INBOX, (0,), None), id="rubbish"),
        pytest.param(
            Fault("invalid", "Send it.", "e", "InvoicePosted"),
            Placement(INVOICES, (0,), None),
            id="bad, of a known type",
        ),
        pytest.param(Fault("invalid", "Send it.", "e", "Nothing"), Placement(INBOX, (0,), None), id="of no known type"),
        pytest.param(
            JournalLinePosted(
                event_id="j",
                occurred_at=0,
                journal_id="J",
                journal_type="credit_limit",
                line=1,
                customer_id="C1",
                credit_limit_minor=1,
                currency="EUR",
            ),
            Placement(INBOX, (0,), None),
            id="a message between tasks, from outside",
        ),
    ],
)
def test_an_input_is_placed_by_what_it_is(event: Event | Fault, placement: Placement) -> None:
    """Spec section 2, the column `key`."""
    assert place(event, PARTITIONS) == placement


@pytest.mark.parametrize("topic", INPUT_TOPICS)
def test_a_stream_is_read_by_its_own_task_or_by_all(topic: str) -> None:
    """And a task finds its inputs there."""
    if topic in BROADCAST_TOPICS:
        assert list(tasks_of(topic, 0, PARTITIONS)) == list(ALL)
        assert [home_of(topic, task) for task in ALL] == [0, 0, 0, 0]
    else:
        assert [list(tasks_of(topic, partition, PARTITIONS)) for partition in ALL] == [[0], [1], [2], [3]]
        assert [home_of(topic, task) for task in ALL] == list(ALL)


def test_ticks_fall_on_whole_intervals_and_missed_ones_become_one() -> None:
    """So one falls exactly on every midnight."""
    clock = ManualClock(86_399_400)
    ticker = Ticker(clock)
    assert ticker.seconds_left() == 0.0
    assert (ticker.due(), ticker.due()) == (86_399_000, None)
    clock.advance(600)
    assert (ticker.seconds_left(), ticker.due()) == (0.0, 86_400_000)
    clock.advance(10_500)
    assert (ticker.due(), ticker.due()) == (86_410_000, None)
    assert ticker.seconds_left() is None


@pytest.mark.parametrize(
    ("speed", "interval_ms"), [(0.1, 1_000), (1, 1_000), (5, 5_000), (60, 60_000), (86_400, 900_000), (10**7, 900_000)]
)
def test_a_fast_clock_ticks_about_once_a_real_second_and_every_quarter_of_an_hour(
    speed: float, interval_ms: int
) -> None:
    """Every second of its own would be 86,400 ticks in one."""
    assert ScaledClock(0, speed).tick_interval_ms == interval_ms


def test_a_clock_that_stands_or_runs_backwards_is_refused() -> None:
    """With what to give instead."""
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(0, 0)


def test_the_system_clock_is_waited_for_in_real_seconds() -> None:
    """An instant a minute away is at most a minute away."""
    clock = SystemClock()
    left = clock.seconds_until(clock.now() + 60_000)
    assert left is not None
    assert 59.0 < left <= 60.0
