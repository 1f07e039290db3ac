"""Real receivables: exposure, overdue and open invoices equal a plain computation over the files, to the cent."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

import pytest

from credit_stream.core.events import ExchangeRatePublished
from tests.real_data.conversion import DAY_MS, LATE_RULE, LIMIT_RULE, receivables, settings
from tests.real_data.independent import owed
from tests.real_data.passage import Passage, passage, totals_of, without_zeros
from tests.real_data.tables import (
    DATA,
    Receivable,
    day,
    highradius_closed,
    highradius_open,
    ibm_late_payments,
)

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real data does not lie in `shared/data` beside the repository"
)

IBM_DAYS = tuple(map(day, ("2012-03-01", "2012-08-15", "2012-12-31", "2013-06-30", "2013-12-31")))
HIGHRADIUS_DAYS = tuple(map(day, ("2019-03-01", "2019-07-01", "2019-12-31", "2020-02-28", "2020-05-01", "2020-05-23")))
SAMPLE_DAYS = tuple(map(day, ("2019-07-01", "2019-12-31", "2020-03-15")))
CANADIAN_RATES = {day("2018-01-01"): Decimal("0.7534"), day("2020-01-01"): Decimal("0.7702")}
"""Two made-up rates: what is posted or paid in a year is converted at the rate of that year."""


@cache
def ibm_by_customer() -> Passage:
    """All IBM rows, under their customers."""
    return passage(settings(LIMIT_RULE)).take(receivables(ibm_late_payments()), IBM_DAYS)


@cache
def ibm_by_invoice() -> Passage:
    """All IBM rows, each invoice a customer of its own, and each customer orders just before it pays."""
    rows = [
        Receivable(
            invoice_id=row.invoice_id,
            customer_id=f"of-{row.invoice_id}",
            currency=row.currency,
            amount_minor=row.amount_minor,
            posted_on=row.posted_on,
            due_on=row.due_on,
            cleared_on=row.cleared_on,
        )
        for row in ibm_late_payments()
    ]
    return passage(settings(LATE_RULE)).take(receivables(rows, questions=True))


@cache
def highradius() -> Passage:
    """Both files of the company, all rows."""
    rows = highradius_closed() + highradius_open()
    return passage(settings(LIMIT_RULE)).take(receivables(rows), HIGHRADIUS_DAYS)


def test_the_files_have_the_rows_that_the_rules_speak_of() -> None:
    """Another edition of a file, or a rule that drops more than it says, is noticed."""
    assert len(ibm_late_payments()) == 2_466
    assert len({row.invoice_id for row in ibm_late_payments()}) == 2_466
    assert len(highradius_closed()) == 40_000 - 960
    assert len(highradius_open()) == 9_681
    prepaid = [row for row in highradius_closed() if row.cleared_on is not None and row.posted_on > row.cleared_on]
    assert len(prepaid) > 400
    currencies: dict[str, str] = {}
    for row in highradius_closed() + highradius_open():
        assert currencies.setdefault(row.customer_id, row.currency) == row.currency


@pytest.mark.parametrize("today", IBM_DAYS)
def test_ibm_totals_of_every_customer_equal_a_plain_computation(today: int) -> None:
    """Current, overdue and exposure of all 100 customers at five dates."""
    expected = without_zeros(owed(ibm_late_payments(), today))
    assert expected
    assert totals_of(ibm_by_customer().at_day[today]) == expected


def test_all_ibm_rows_are_accepted_and_nothing_is_owed_at_the_end() -> None:
    """Every invoice of the sample is settled."""
    assert ibm_by_customer().dead_letters == []
    assert totals_of(ibm_by_customer().exposures) == {}


def test_days_overdue_agree_with_days_late_on_all_ibm_rows() -> None:
    """Asked just before the payment, the `days_overdue` rule observes the DaysLate of the file, on 2,466 rows."""
    decisions = ibm_by_invoice().decisions
    observed = {}
    for row in ibm_late_payments():
        outcome = next(rule for rule in decisions[f"Q-{row.invoice_id}"].rules if rule.rule_id == "late")
        observed[row.invoice_id] = max(0, int(outcome.observed))
    assert observed == {row.invoice_id: row.days_late for row in ibm_late_payments()}
    assert len(observed) == 2_466
    assert ibm_by_invoice().dead_letters == []


def test_an_order_just_before_the_payment_is_held_exactly_when_the_ibm_invoice_is_late() -> None:
    """The verdicts follow from the days: late by one day is held, paid on the due date is released."""
    decisions = ibm_by_invoice().decisions
    for row in ibm_late_payments():
        decision = decisions[f"Q-{row.invoice_id}"]
        late = row.days_late is not None and row.days_late > 0
        assert (decision.verdict, decision.reasons) == (("on_hold", ("invoice_overdue",)) if late else ("released", ()))


@pytest.mark.parametrize("today", HIGHRADIUS_DAYS)
def test_highradius_totals_of_every_customer_equal_a_plain_computation(today: int) -> None:
    """48,721 invoices, prepayments and a hot customer: current, overdue, unapplied and exposure at six dates."""
    expected = without_zeros(owed(highradius_closed() + highradius_open(), today))
    assert expected
    assert totals_of(highradius().at_day[today]) == expected


def test_all_highradius_rows_are_accepted_and_only_the_open_file_is_owed_at_the_end() -> None:
    """What is left over is the open file, to the cent."""
    assert highradius().dead_letters == []
    left = sum(totals.exposure for totals in totals_of(highradius().exposures).values())
    assert left == sum(row.amount_minor for row in highradius_open())


def test_highradius_days_late_agree_with_the_dates() -> None:
    """The file's own figure is what the totals above rest on."""
    for row in highradius_closed():
        assert row.cleared_on is not None
        assert row.days_late == max(0, row.cleared_on - row.due_on)


def test_a_prepayment_lowers_exposure_until_its_invoice_comes() -> None:
    """On some chosen date there is unapplied money in the real data, so that the totals above do test it."""
    unapplied = [totals.unapplied for at in HIGHRADIUS_DAYS for totals in totals_of(highradius().at_day[at]).values()]
    assert any(unapplied)


def test_canadian_receivables_of_customers_with_a_credit_currency_in_dollars_are_converted_to_the_cent() -> None:
    """Each invoice at the rate of its own date, half to even; settling it takes off exactly what posting it added."""
    rows = tuple(row for row in highradius_closed() + highradius_open() if row.currency == "CAD")
    run = passage(settings(LIMIT_RULE))
    for valid_from, rate in CANADIAN_RATES.items():
        run.send(
            ExchangeRatePublished(
                event_id=f"rate/{valid_from}",
                occurred_at=min(CANADIAN_RATES) * DAY_MS,
                from_currency="CAD",
                to_currency="USD",
                valid_from=valid_from,
                rate=str(rate),
            )
        )
    run.take(receivables(rows, credit_currency="USD"), SAMPLE_DAYS)
    assert run.dead_letters == []
    for today in SAMPLE_DAYS:
        expected = without_zeros(owed(rows, today, {"CAD": CANADIAN_RATES}))
        assert expected and totals_of(run.at_day[today]) == expected
