"""Settings and exchange rates as they are published (spec 12, 1.2). Every partition takes all of them."""

from __future__ import annotations

from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger, Ledgers
from credit_stream.core.customers import count_documents
from credit_stream.core.events import ExchangeRatePublished, SettingsPublished
from credit_stream.core.rows import ACCOUNTS, HOLDERS, ORDERS, RATES, WAITING_FOR_RATE, Rates
from credit_stream.core.settings import Parameters, check_text, compiled
from credit_stream.core.view import Refusal
from credit_stream.core.work import Work

EXPOSURE_PARAMETERS = ("exposure_scope", "unapplied_payments_reduce_exposure", "held_orders_consume_credit")
"""Parameters that change what every exposure is."""
FAULTS_SHOWN = 5


def settings_published(work: Work, event: SettingsPublished, ledgers: Ledgers) -> Refusal | None:
    """Takes new settings as a whole or not at all, and looks again at all that they may change."""
    expected = work.partition.settings_published + 1
    if event.version != expected:
        return Refusal(
            codes.INVALID_SETTING,
            f"The version of the next settings is {expected}, not {event.version}: publish them with it.",
        )
    if faults := check_text(event.document, work.currencies):
        listed = "; ".join(f"{fault.place} {fault.message}" for fault in faults[:FAULTS_SHOWN])
        more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        return Refusal(codes.INVALID_SETTING, f"The settings were not taken: {listed}{more}.")
    old = work.parameters
    partition = work.partition
    partition.settings_version = partition.settings_published = event.version
    partition.settings_document = event.document
    work.settings = compiled(event.document)
    work.parameters = work.settings.parameters
    _look_again(work, ledgers, old)
    return None


def _look_again(work: Work, ledgers: Ledgers, old: Parameters) -> None:
    new = work.parameters
    horizon_changed = old.credit_horizon_days != new.credit_horizon_days
    if horizon_changed or any(getattr(old, name) != getattr(new, name) for name in EXPOSURE_PARAMETERS):
        for customer_id in work.ids(ACCOUNTS, ""):
            ledger = ledgers.open(customer_id)
            if horizon_changed:
                _recount_orders(work, ledger)
    if old.credit_rate_type != new.credit_rate_type:
        for customer_id in work.ids(WAITING_FOR_RATE, ""):
            count_documents(work, ledgers.open(customer_id))
    for customer_id in work.ids(HOLDERS, ""):
        work.free(customer_id)


def _recount_orders(work: Work, ledger: Ledger) -> None:
    for order_id in work.ids(ORDERS, ledger.customer_id):
        order = work.get(ORDERS, ledger.customer_id, order_id)
        if order is not None and order.placed and order.ships_on is not None:
            ledger.count(order, order)


def rate_published(work: Work, event: ExchangeRatePublished, ledgers: Ledgers) -> Refusal | None:
    """Keeps a rate, and looks again at the customers with documents that wait for it."""
    if refusal := _unusable(work, event):
        return refusal
    row_id = f"{event.rate_type}/{event.from_currency}/{event.to_currency}"
    row = work.get(RATES, "", row_id) or Rates((), ())
    known = dict(zip(row.valid_from, row.rates, strict=True))
    known[event.valid_from] = event.rate
    days = tuple(sorted(known))
    work.put(RATES, "", row_id, Rates(days, tuple(known[day] for day in days)))
    for customer_id in work.ids(WAITING_FOR_RATE, event.from_currency):
        ledger = ledgers.open(customer_id)
        if ledger.currency != event.to_currency:
            continue
        work.drop(WAITING_FOR_RATE, event.from_currency, customer_id)
        count_documents(work, ledger)
        work.free(customer_id)
        work.put_on_agenda(event.valid_from, customer_id)
    return None


def _unusable(work: Work, event: ExchangeRatePublished) -> Refusal | None:
    for currency in (event.from_currency, event.to_currency):
        if currency not in work.currencies:
            return Refusal(
                codes.INVALID, f"{currency!r} is no ISO 4217 currency: mend the code and send the rate again."
            )
    if event.from_currency == event.to_currency:
        return Refusal(codes.INVALID, "A currency has no rate to itself: name two currencies.")
    if not money.is_decimal(event.rate) or money.ratio(event.rate).numerator <= 0:
        return Refusal(
            codes.INVALID, f'The rate {event.rate!r} is no decimal number above 0: write it such as "1.0875".'
        )
    return None
