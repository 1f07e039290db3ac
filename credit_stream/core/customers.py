"""Credit attributes, policies and temporary limits of a customer (spec 4, 8.1)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace as changed

from credit_stream.core import money
from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.credits import count_credit, write
from credit_stream.core.events import CustomerUpdated, PolicyRemoved, PolicyUpdated
from credit_stream.core.invoices import count_invoice, less_invoice
from credit_stream.core.money import TooLarge
from credit_stream.core.outputs import LimitChanged
from credit_stream.core.rates import converted, missing, rate_in_force, wait_for_rate
from credit_stream.core.rows import (
    CREDIT_NOTES,
    INVOICES,
    MARK,
    ORDERS,
    PAYMENTS,
    UNCOUNTED,
    WAITING_FOR_RATE,
    Credit,
    Customer,
    Policy,
)
from credit_stream.core.view import Refusal
from credit_stream.core.work import Work

POLICIES_MAX = 1_000
"""Policies of one customer: every decision adds them up."""


# --- credit attributes ------------------------------------------------------------------------------------------


def customer_updated(work: Work, ledger: Ledger, event: CustomerUpdated) -> Refusal | None:
    """The whole state of a customer. The first one sets limit and expiry date; later ones may not (spec 8.1)."""
    if refusal := _unacceptable(event, ledger.profile):
        return refusal
    if ledger.profile is None:
        _introduce(work, ledger, event)
    else:
        work.refusal = _update(work, ledger, event)
    work.free(event.customer_id)
    return None


def _unacceptable(event: CustomerUpdated, profile: CustomerUpdated | None) -> Refusal | None:
    for name in ("credit_limit_minor", "annual_revenue_minor", "eligible_credit_limit_minor"):
        amount = getattr(event, name)
        if amount is not None and amount < 0:
            words = name.removesuffix("_minor").replace("_", " ")
            return Refusal(codes.INVALID, f"The {words} is negative: send an amount from 0 on.")
    if profile is not None and profile.credit_currency != event.credit_currency:
        return Refusal(
            codes.INVALID,
            f"The credit currency of {event.customer_id} is {profile.credit_currency} and stays so, since its "
            f"documents are counted in it: send the update with that currency.",
        )
    return None


def _introduce(work: Work, ledger: Ledger, event: CustomerUpdated) -> None:
    limit = event.credit_limit_minor or 0
    customer = changed(
        ledger.customer,
        profile=event,
        credit_limit_minor=limit,
        credit_limit_date=work.today,
        credit_limit_expires_on=event.credit_limit_expires_on,
    )
    ledger.change_customer(customer)
    _expire_on_agenda(work, event.customer_id, event.credit_limit_expires_on)
    count_documents(work, ledger)


def _update(work: Work, ledger: Ledger, event: CustomerUpdated) -> Refusal | None:
    old = ledger.customer
    limit = old.credit_limit_minor if event.credit_limit_minor is None else event.credit_limit_minor
    expires_on = event.credit_limit_expires_on
    if expires_on is None:
        expires_on = old.credit_limit_expires_on
    if (limit, expires_on) == (old.credit_limit_minor, old.credit_limit_expires_on):
        ledger.change_customer(changed(old, profile=event))
        return None
    if not work.parameters.allow_manual_limits:
        ledger.change_customer(changed(old, profile=event))
        return Refusal(
            codes.LIMIT_CHANGE_REFUSED,
            "The limit and its expiry date change by a credit limit adjustment journal only (or set "
            "allow_manual_limits); the rest of the update was taken.",
        )
    ledger.change_customer(
        changed(
            old,
            profile=event,
            credit_limit_minor=limit,
            credit_limit_date=work.today,
            credit_limit_expires_on=expires_on,
        )
    )
    _expire_on_agenda(work, event.customer_id, expires_on)
    work.publish(
        event.customer_id,
        LimitChanged(
            party="customer",
            customer_id=event.customer_id,
            currency=event.credit_currency,
            old_limit_minor=old.credit_limit_minor,
            new_limit_minor=limit,
            expires_on=expires_on,
            actor=event.actor,
            reason="customer_updated",
        ),
    )
    return None


def _expire_on_agenda(work: Work, customer_id: str, expires_on: int | None) -> None:
    if expires_on is not None:
        work.put_on_agenda(expires_on + 1, customer_id)


# --- documents that waited for the profile or a rate ------------------------------------------------------------


def count_documents(work: Work, ledger: Ledger) -> None:
    """Counts the customer's documents that do not count yet, as far as there are rates (spec 15, 2)."""
    if ledger.profile is None:
        return
    policies = tuple(_valued(work, policy, ledger.currency) for policy in ledger.customer.policies)
    if policies != ledger.customer.policies:
        ledger.change_customer(changed(ledger.customer, policies=policies))
    for row_id in work.ids(UNCOUNTED, ledger.customer_id):
        kind, _, document_id = row_id.partition("/")
        try:
            counted = COUNT[kind](work, ledger, document_id)
        except TooLarge:
            counted = False
        if counted:
            work.drop(UNCOUNTED, ledger.customer_id, row_id)


def _count_invoice(work: Work, ledger: Ledger, invoice_id: str) -> bool:
    invoice = work.get(INVOICES, ledger.customer_id, invoice_id)
    if invoice is None or invoice.rate is not None or invoice.voided:
        return True
    rate = rate_in_force(work, invoice.currency, ledger.currency, invoice.invoice_date)
    if rate is None:
        wait_for_rate(work, ledger.customer_id, "invoice", invoice_id, invoice.currency)
        return False
    counted = count_invoice(ledger, invoice, rate)
    order = None if invoice.order_id is None else work.get(ORDERS, invoice.customer_id, invoice.order_id)
    if order is not None and order.placed and invoice.currency != order.currency:
        invoiced, counted = less_invoice(ledger, order, counted)
        ledger.count(invoiced, order)
    work.put(INVOICES, invoice.customer_id, invoice_id, counted)
    return True


def _count_credit(work: Work, ledger: Ledger, credit: Credit | None) -> bool:
    if credit is None or credit.rate is not None:
        return True
    rate = rate_in_force(work, credit.currency, ledger.currency, credit.dated)
    if rate is None:
        wait_for_rate(work, ledger.customer_id, credit.kind, credit.credit_id, credit.currency)
        return False
    write(work, count_credit(ledger, credit, rate))
    return True


def _count_payment(work: Work, ledger: Ledger, credit_id: str) -> bool:
    return _count_credit(work, ledger, work.get(PAYMENTS, ledger.customer_id, credit_id))


def _count_credit_note(work: Work, ledger: Ledger, credit_id: str) -> bool:
    return _count_credit(work, ledger, work.get(CREDIT_NOTES, ledger.customer_id, credit_id))


def _count_order(work: Work, ledger: Ledger, order_id: str) -> bool:
    order = work.get(ORDERS, ledger.customer_id, order_id)
    if order is None or order.rate is not None:
        return True
    rate = rate_in_force(work, order.currency, ledger.currency, work.today)
    if rate is None:
        wait_for_rate(work, ledger.customer_id, "order", order_id, order.currency)
        return False
    ledger.count(ledger.at_rate(order, rate), order)
    return True


COUNT: dict[str, Callable[[Work, Ledger, str], bool]] = {
    "invoice": _count_invoice,
    "payment": _count_payment,
    "credit_note": _count_credit_note,
    "order": _count_order,
}
"""How a waiting document of each kind is counted; False: it still waits."""


# --- policies ---------------------------------------------------------------------------------------------------


def policy_updated(work: Work, ledger: Ledger, event: PolicyUpdated) -> Refusal | None:
    """An insurance or a guarantee, new or as it is now. Of a customer without a profile it waits."""
    if refusal := _unacceptable_policy(ledger.customer, event):
        return refusal
    policy = Policy(event, None)
    if ledger.profile is not None:
        policy = _valued(work, policy, ledger.currency)
        if policy.value_credit_minor is None:
            return missing(event.currency, ledger.currency, work.parameters.credit_rate_type)
    others = [other for other in ledger.customer.policies if other.event.policy_id != event.policy_id]
    ledger.change_customer(changed(ledger.customer, policies=(*others, policy)))
    work.put_on_agenda(event.effective_on, event.customer_id)
    work.put_on_agenda(event.expires_on + 1, event.customer_id)
    work.free(event.customer_id)
    return None


def _unacceptable_policy(customer: Customer, event: PolicyUpdated) -> Refusal | None:
    percent = money.ratio(event.update_percentage) if money.is_decimal(event.update_percentage) else None
    if percent is None or not 0 <= percent.numerator <= 100 * 10**percent.places:
        return Refusal(codes.INVALID, f"The update percentage is {event.update_percentage!r}: it goes from 0 to 100.")
    if event.kind == "guarantee" and event.coverage_type is not None:
        return Refusal(codes.INVALID, "A guarantee has no coverage type: leave it out, or send an insurance.")
    if event.value_minor < 0:
        return Refusal(codes.INVALID, "The value of the policy is negative: send an amount from 0 on.")
    if event.effective_on > event.expires_on:
        return Refusal(codes.INVALID, "The policy expires before it becomes effective: mend its dates.")
    others = [policy for policy in customer.policies if policy.event.policy_id != event.policy_id]
    if len(others) >= POLICIES_MAX:
        return Refusal(codes.INVALID, f"A customer has at most {POLICIES_MAX} policies: remove those that expired.")
    return None


def _valued(work: Work, policy: Policy, currency: str) -> Policy:
    """The policy with its value in credit currency at the rate of the business date, None when there is no rate."""
    if policy.value_credit_minor is not None:
        return policy
    rate = rate_in_force(work, policy.event.currency, currency, work.today)
    if rate is None:
        work.put(WAITING_FOR_RATE, policy.event.currency, policy.event.customer_id, MARK)
        work.put(WAITING_FOR_RATE, "", policy.event.customer_id, MARK)
        return policy
    return changed(
        policy, value_credit_minor=converted(work, policy.event.value_minor, policy.event.currency, currency, rate)
    )


def policy_removed(work: Work, ledger: Ledger, event: PolicyRemoved) -> Refusal | None:
    """The policy no longer counts."""
    left = tuple(policy for policy in ledger.customer.policies if policy.event.policy_id != event.policy_id)
    if len(left) == len(ledger.customer.policies):
        return Refusal(
            codes.UNKNOWN_REFERENCE,
            f"Customer {event.customer_id} has no policy {event.policy_id}: nothing was removed.",
        )
    ledger.change_customer(changed(ledger.customer, policies=left))
    work.free(event.customer_id)
    return None
