"""The credit limit of a customer or a credit group on a date (spec 4.2), and which limit is checked (spec 4.3)."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from credit_stream.core import money
from credit_stream.core.calendar import Day
from credit_stream.core.outputs import LimitParts
from credit_stream.core.rows import Customer, Group, Policy, TemporaryLimit

NO_LIMIT = LimitParts(source="none")

PLAIN_LIMITS_KEPT_MAX = 4_096
"""Of limits without parts, the record that is shown of them."""


class GroupFigures(Struct, frozen=True, gc=False):
    """What a credit group answered about an order, in the group's currency: its limit, the pool without and with it.

    `is_known` False: there is no such group. `rate_missing`: the pool cannot be told. `granted`: it is reserved.
    """

    is_known: bool
    currency: str
    limit_minor: int
    before_minor: int
    after_minor: int
    granted: bool = False
    rate_missing: bool = False


def temporary_in_force(limits: tuple[TemporaryLimit, ...], day: Day) -> TemporaryLimit | None:
    """Of the temporary limits in force the one with the latest first day; of equal ones the later posted."""
    found: TemporaryLimit | None = None
    for limit in limits:
        in_force = limit.from_date <= day <= limit.to_date
        if in_force and (found is None or limit.from_date >= found.from_date):
            found = limit
    return found


def policy_part(policy: Policy, day: Day) -> int:
    """What a policy adds to the limit on a day, in credit currency: below 0 when it is included in exposure."""
    event, value = policy.event, policy.value_credit_minor
    if value is None or not event.effective_on <= day <= event.expires_on:
        return 0
    percent = money.ratio(event.update_percentage)
    part = money.divide_half_even(value * percent.numerator, 100 * int(10**percent.places))
    return part - value if event.included_in_exposure else part


def own_limit(customer: Customer, day: Day) -> LimitParts:
    """The customer's own limit on a day with its parts; a total of None is unlimited, otherwise at least 0."""
    profile = customer.profile
    if profile is None:
        return NO_LIMIT
    if not customer.temporary_limits and not customer.policies:
        return plain_limit(customer.credit_limit_minor, profile.unlimited_credit)
    temporary = temporary_in_force(customer.temporary_limits, day)
    policies = sum([policy_part(policy, day) for policy in customer.policies])
    base = customer.credit_limit_minor if temporary is None else temporary.limit_minor
    return LimitParts(
        source="unlimited" if profile.unlimited_credit else "own",
        base_minor=customer.credit_limit_minor,
        temporary_minor=None if temporary is None else temporary.limit_minor,
        policies_minor=policies,
        total_minor=None if profile.unlimited_credit else max(0, base + policies),
    )


@lru_cache(maxsize=PLAIN_LIMITS_KEPT_MAX)
def plain_limit(limit_minor: int, unlimited: bool) -> LimitParts:
    """The limit of a customer that has nothing but one: many customers share a round figure."""
    return LimitParts(
        source="unlimited" if unlimited else "own",
        base_minor=limit_minor,
        total_minor=None if unlimited else max(0, limit_minor),
    )


def base_of(limit: LimitParts) -> int:
    """The base of spec 4.2: the temporary limit if one is in force, else the credit limit."""
    return limit.base_minor if limit.temporary_minor is None else limit.temporary_minor


def group_limit(group: Group, day: Day) -> int:
    """A group's limit on a day: its temporary limit if one is in force; members' policies do not raise it."""
    temporary = temporary_in_force(group.temporary_limits, day)
    return group.credit_limit_minor if temporary is None else temporary.limit_minor


def passes(after_minor: int, limit_minor: int, percent: str, decimals: int, *, or_equal: bool) -> bool:
    """Whether a use is more than the percentage of a limit, or `or_equal` exactly it (spec 4.4)."""
    return money.threshold(percent, limit_minor, decimals).is_passed_by(after_minor, or_equal=or_equal)


def is_below(after_minor: int, limit_minor: int, percent: str, decimals: int) -> bool:
    """Whether a use is less than the percentage of a limit."""
    return not passes(after_minor, limit_minor, percent, decimals, or_equal=True)
