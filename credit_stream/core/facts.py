"""What the rules may ask about an order, its customer and the limit: figures, never rows.

Made once for a check. Money is minor units; percentages are compared exactly, and rounded only to be shown.
"""

from __future__ import annotations

from msgspec import Struct

from credit_stream.core import money
from credit_stream.core.accounts import Ledger
from credit_stream.core.calendar import Day
from credit_stream.core.events import Checkpoint
from credit_stream.core.limits import GroupFigures, base_of, is_below, passes
from credit_stream.core.outputs import ExposureBuckets, LimitParts
from credit_stream.core.rates import converted, rate_in_force
from credit_stream.core.rows import Order
from credit_stream.core.rules import GroupUnasked, RateMissing
from credit_stream.core.settings import Rule
from credit_stream.core.work import Work

Line = tuple[str, str, str, str]
"""observed, operator, threshold, unit"""


def facts_of(work: Work, ledger: Ledger, order: Order, checkpoint: Checkpoint) -> Facts:
    """The figures of an order as it stands, at a checkpoint."""
    before = ledger.buckets(order)
    open_minor, delivered_minor = ledger.parts_of(order)
    counted = open_minor + delivered_minor
    is_counted = counted > 0 and order.amount_minor > 0
    used_after = before.total_minor + counted
    facts = Facts(
        work, ledger, order, checkpoint, ledger.currency, before, open_minor, delivered_minor, counted, used_after,
        is_counted, ledger.limit(),
    )  # fmt: skip
    if is_counted and ledger.group_id is not None and work.parameters.check_group_limit:
        _add_group(facts)
    return facts


def _add_group(facts: Facts) -> None:
    """Which limit is checked of a member of a credit group (spec 4.3), and what the group answered if it was asked."""
    profile, parameters = facts.ledger.profile, facts.work.parameters
    if profile is None or facts.limit.total_minor is None or parameters.exposure_scope == "none":
        return
    figures = facts.work.answers.get(facts.order.order_id)
    if figures is not None and not figures.is_known:
        return
    facts.checks_group = True
    facts.group = figures
    facts.is_groups_alone = base_of(facts.limit) == 0 and not profile.mandatory_credit_limit


class Facts(Struct, eq=False, gc=False):
    """The figures of one check, in credit currency.

    `before` is the exposure without the order; `open_minor` and `delivered_minor` are what counts of it, together
    `counted_minor`; `used_after_minor` is both (spec 3.5). `is_counted`: limit reasons may hold it, since it is no
    return and something of it counts (spec 15, 5.1).
    """

    work: Work
    ledger: Ledger
    order: Order
    checkpoint: Checkpoint
    currency: str
    before: ExposureBuckets
    open_minor: int
    delivered_minor: int
    counted_minor: int
    used_after_minor: int
    is_counted: bool
    limit: LimitParts
    checks_group: bool = False
    """The limit of the customer's credit group is checked too; `group` is what that said, None before it was asked."""
    group: GroupFigures | None = None
    is_groups_alone: bool = False
    """The customer has no limit of its own, only the group's (spec 4.3)."""

    # --- the order ---------------------------------------------------------------------------------------------

    @property
    def payment_terms(self) -> str | None:
        """The order's payment terms."""
        return self.order.payment_terms

    def order_amount_in(self, currency: str) -> int:
        """The order's own amount in a currency, at the rate of the business date."""
        order = self.order
        if currency == self.currency and order.rate is not None:
            return self.ledger.to_credit(order.amount_minor, order.currency, order.rate)
        return self._in(order.amount_minor, order.currency, currency)

    # --- the customer ------------------------------------------------------------------------------------------

    @property
    def account_status(self) -> str | None:
        """The customer's account status."""
        profile = self.ledger.profile
        return None if profile is None else profile.account_status

    @property
    def risk_group(self) -> str | None:
        """The customer's risk group; None until it was scored."""
        return self.ledger.customer.risk_group

    @property
    def credit_management_group(self) -> str | None:
        """The label that rules with scope `group` address."""
        profile = self.ledger.profile
        return None if profile is None else profile.credit_management_group

    @property
    def last_review_on(self) -> Day | None:
        """When the customer's credit was last reviewed."""
        profile = self.ledger.profile
        return None if profile is None else profile.last_review_on

    @property
    def days_overdue(self) -> int:
        """Days past the oldest open due date; 0 when nothing is overdue."""
        return self.ledger.days_overdue()

    def overdue_in(self, currency: str) -> int:
        """What is overdue in a currency, at the rate of the business date."""
        overdue = self.ledger.account.overdue_invoices_minor
        return self._in(overdue, self.currency, currency) if overdue else 0

    # --- the limit ---------------------------------------------------------------------------------------------

    @property
    def limit_boundary(self) -> str:
        """Parameter `limit_boundary` (spec 4.4)."""
        return self.work.parameters.limit_boundary

    @property
    def is_mandatory_zero(self) -> bool:
        """A mandatory credit limit whose base is 0 holds every order (spec 4.3)."""
        profile = self.ledger.profile
        if profile is None or profile.unlimited_credit or not profile.mandatory_credit_limit:
            return False
        return base_of(self.limit) == 0

    @property
    def days_expired(self) -> int | None:
        """Days past the limit's expiry date, below 0 before it; None without a date, and for unlimited customers."""
        expires_on: Day | None = self.ledger.customer.credit_limit_expires_on
        return None if expires_on is None or self.limit.total_minor is None else self.work.today - expires_on

    @property
    def holds_blank_expiry(self) -> bool:
        """Whether a blank expiry date counts as expired (parameter `ignore_blank_expiry`)."""
        blank = self.ledger.customer.credit_limit_expires_on is None
        return blank and self.limit.total_minor is not None and not self.work.parameters.ignore_blank_expiry

    def uses_more_than(self, percent: str, *, or_equal: bool) -> tuple[bool, Line]:
        """Whether the used share of the own limit is more than the percentage, and the comparison as it is shown.

        Of a limit of 0 any use is more; of an unlimited one never.
        """
        used, total = self.used_after_minor, self.limit.total_minor
        operator = "at_or_above" if or_equal else "above"
        decimals = self.work.currencies[self.currency]
        if total is None:
            return False, (money.text(used, decimals), operator, "unlimited", self.currency)
        threshold = money.threshold(percent, total, decimals)
        hit = threshold.is_passed_by(used, or_equal=or_equal)
        return hit, (money.text(used, decimals), operator, threshold.text, self.currency)

    def uses_less_than(self, percent: str) -> tuple[bool, Line]:
        """Whether the used share of the own limit is less than the percentage. Raises `RateMissing` where nobody knows
        what the order would use."""
        used, total = self.used_after_minor, self.limit.total_minor
        decimals = self.work.currencies[self.currency]
        if total is None:
            return True, (money.text(used, decimals), "below", "unlimited", self.currency)
        if self.order.rate is None:
            raise RateMissing
        threshold = money.threshold(percent, total, decimals)
        hit = not threshold.is_passed_by(used, or_equal=True)
        return hit, (money.text(used, decimals), "below", threshold.text, self.currency)

    def group_uses_more_than(self, percent: str, *, or_equal: bool) -> tuple[bool, Line]:
        """The same of the group's limit and pool. Raises `GroupUnasked`, or `RateMissing` as the group said."""
        group, decimals = self._answered()
        hit = passes(group.after_minor, group.limit_minor, percent, decimals, or_equal=or_equal)
        return hit, self._group_line(group, "at_or_above" if or_equal else "above", percent, decimals)

    def group_uses_less_than(self, percent: str) -> tuple[bool, Line]:
        """Whether less of the group's limit is used than the percentage. Raises as `group_uses_more_than` does."""
        group, decimals = self._answered()
        hit = is_below(group.after_minor, group.limit_minor, percent, decimals)
        return hit, self._group_line(group, "below", percent, decimals)

    def _answered(self) -> tuple[GroupFigures, int]:
        if self.group is None:
            raise GroupUnasked
        if self.group.rate_missing:
            raise RateMissing
        return self.group, self.work.currencies[self.group.currency]

    def _group_line(self, group: GroupFigures, operator: str, percent: str, decimals: int) -> Line:
        threshold = money.threshold(percent, group.limit_minor, decimals)
        return money.text(group.after_minor, decimals), operator, threshold.text, group.currency

    # --- money as rules need it --------------------------------------------------------------------------------

    def amount_of(self, rule: Rule, currency: str, *, below: bool = False) -> int:
        """The rule's amount in minor units of the currency, to be compared as `above` or as `below`."""
        return money.bound(rule.amount, self.work.currencies[currency], below)

    def compared(self, observed: int, operator: str, threshold: int, currency: str) -> Line:
        """A comparison of two amounts of one currency as it is shown."""
        decimals = self.work.currencies[currency]
        return money.text(observed, decimals), operator, money.text(threshold, decimals), currency

    def _in(self, amount_minor: int, from_currency: str, to_currency: str) -> int:
        rate = rate_in_force(self.work, from_currency, to_currency, self.work.today)
        if rate is None:
            raise RateMissing
        return converted(self.work, amount_minor, from_currency, to_currency, rate)
