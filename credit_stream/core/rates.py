"""Exchange rates (spec 1.2): published ones are kept by day, the one in force is the newest up to the date."""

from __future__ import annotations

from bisect import bisect_right

from credit_stream.core import money
from credit_stream.core.calendar import Day
from credit_stream.core.reasons import EXCHANGE_RATE_MISSING
from credit_stream.core.rows import MARK, RATES, UNCOUNTED, WAITING_FOR_RATE
from credit_stream.core.view import Refusal
from credit_stream.core.work import Work

SAME_CURRENCY = "1"
"""The rate of a currency to itself."""


def rate_in_force(work: Work, from_currency: str, to_currency: str, day: Day) -> str | None:
    """The rate of the configured type on a day as decimal text, or None: a missing rate is never guessed."""
    if from_currency == to_currency:
        return SAME_CURRENCY
    row = work.get(RATES, "", f"{work.parameters.credit_rate_type}/{from_currency}/{to_currency}")
    place = bisect_right(row.valid_from, day) if row is not None else 0
    return row.rates[place - 1] if row is not None and place else None


def next_rate_day(work: Work, from_currency: str, to_currency: str) -> Day | None:
    """The first day after the business date from which a rate is published already."""
    row = work.get(RATES, "", f"{work.parameters.credit_rate_type}/{from_currency}/{to_currency}")
    place = bisect_right(row.valid_from, work.today) if row is not None else 0
    return row.valid_from[place] if row is not None and place < len(row.valid_from) else None


def converted(work: Work, amount_minor: int, from_currency: str, to_currency: str, rate: str) -> int:
    """The amount in the other currency at the rate."""
    if from_currency == to_currency:
        return amount_minor
    return money.convert(amount_minor, work.currencies[from_currency], work.currencies[to_currency], rate)


def wait_for_rate(work: Work, customer_id: str, kind: str, document_id: str, currency: str) -> None:
    """Notes that a document does not count until there is a rate from its currency."""
    work.put(UNCOUNTED, customer_id, f"{kind}/{document_id}", MARK)
    work.put(WAITING_FOR_RATE, currency, customer_id, MARK)
    work.put(WAITING_FOR_RATE, "", customer_id, MARK)


def missing(from_currency: str, to_currency: str, rate_type: str) -> Refusal:
    """The refusal of a document that has no rate."""
    return Refusal(
        EXCHANGE_RATE_MISSING,
        f"There is no {rate_type!r} rate from {from_currency} to {to_currency} for the document's date: "
        f"publish one (ExchangeRatePublished) and send the event in again.",
    )
