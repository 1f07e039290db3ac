"""The steps of a check (spec 5.1): what speaks against an order, and the decision that proves it.

`judge` runs the rules and changes nothing; `decision_of` turns what it found into a `CreditDecision`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace as changed

from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.events import Checkpoint, CustomerUpdated, GroupCondition, Posting
from credit_stream.core.facts import Facts, facts_of
from credit_stream.core.limits import NO_LIMIT, GroupFigures
from credit_stream.core.money import divide_half_even
from credit_stream.core.outputs import (
    Cause,
    CreditDecision,
    ExposureBuckets,
    LimitParts,
    LimitSource,
    RuleOutcome,
    Verdict,
)
from credit_stream.core.rows import Order
from credit_stream.core.rules import RULE_OF_TYPE, Look, Observation, RateMissing
from credit_stream.core.settings import Looking, Rule, Settings
from credit_stream.core.work import Work

LEVELS = {"customer": 0, "group": 1, "all": 2}
"""How broad a rule's scope is (spec 5.4)."""


class Judgement(Struct, frozen=True):
    """What a check found.

    `holding` are the reasons that hold the order, in order; `reason_of_outcome` is what each outcome speaks for;
    `noted` reasons stand in a release that would otherwise have none; `releasing` releases the order at once
    (excluded, or an exclusion with release order).

    `conditions` are what the customer's credit group has to fulfil, for each rule whose own part does not hold the
    order; below `released_below` percent of the group's limit an exclusion releases it at once (spec 4.3, 5.4).
    """

    facts: Facts
    holding: tuple[str, ...]
    outcomes: tuple[RuleOutcome, ...]
    reason_of_outcome: tuple[str, ...] = ()
    releasing: str | None = None
    noted: tuple[str, ...] = ()
    conditions: tuple[GroupCondition, ...] = ()
    released_below: str | None = None

    @property
    def needs_group(self) -> bool:
        """Whether the group has to be asked before there can be a verdict."""
        return self.facts.group is None and bool(self.conditions or self.released_below)

    @property
    def group(self) -> GroupFigures | None:
        """What the group answered, if it counts: not where the own limit holds the order by itself (spec 4.3).

        For a customer without a limit of its own it counts for `overdue_amount` too, which asks for no credit.
        """
        if self.conditions or self.released_below:
            return self.facts.group
        looks = any(outcome.type == "overdue_amount" and outcome.kind == "blocking" for outcome in self.outcomes)
        return self.facts.group if looks and self.facts.is_groups_alone else None

    @property
    def lacks_grant(self) -> bool:
        """Whether nothing holds the order, but its group has not reserved the credit for it."""
        group = self.facts.group
        return group is not None and not group.granted and self.releasing is None and bool(self.conditions)


def judge(work: Work, ledger: Ledger, order: Order, checkpoint: Checkpoint, *, forced: bool = False) -> Judgement:
    """Steps 2 to 6 of spec 5.1 for an order as it stands, at a checkpoint. `forced`: a person put it on hold."""
    facts = facts_of(work, ledger, order, checkpoint)
    if is_excluded(ledger, order):
        return Judgement(facts, (), (), releasing=codes.EXCLUDED)
    if ledger.profile is None:
        return _judge_unknown(work, facts, forced)
    group, risk_group = ledger.profile.credit_management_group, ledger.customer.risk_group
    who = (order.customer_id, group, risk_group, facts.is_counted)
    exclusions = work.settings.exclusions_at[checkpoint].of(*who)
    if exclusions and not forced and (released := _releasing_exclusion(exclusions, facts)) is not None:
        return Judgement(facts, (), (released,), (codes.EXCLUSION_RULE,), codes.EXCLUSION_RULE)
    seen = Seen()
    excuses = _look_at_exclusions(exclusions, facts, seen) if exclusions else []
    _look_at_rules(work.settings.blocking_at[checkpoint].of(*who), facts, seen, Excuses(excuses, exclusions))
    held = seen.held
    _look_at_status(work.settings, ledger.profile, checkpoint, held)
    _compare_ranks(work.settings, order, ledger.profile, held)
    noted: tuple[str, ...] = ()
    if forced:
        held.add(codes.FORCED_HOLD)
    if order.rate is None:
        held.add(codes.EXCHANGE_RATE_MISSING)
    if work.parameters.max_input_age_minutes >= 0 and _is_stale(work):
        if work.parameters.stale_policy == "hold":
            held.add(codes.STALE_INPUTS)
        else:
            noted = (codes.STALE_INPUTS,)
    holding = codes.in_order(held) if held else ()
    if not facts.checks_group:
        return Judgement(facts, holding, tuple(seen.outcomes), tuple(seen.reasons), None, noted)
    below = None if forced else _released_below(exclusions)
    return Judgement(
        facts, holding, tuple(seen.outcomes), tuple(seen.reasons), None, noted, tuple(seen.conditions), below
    )


def with_forced_hold(found: Judgement) -> Judgement:
    """The same, held by a person. What no rule looks at is judged without it, and is held all the same (spec 7.5)."""
    if codes.FORCED_HOLD in found.holding:
        return found
    return changed(found, holding=(*found.holding, codes.FORCED_HOLD))


def is_excluded(ledger: Ledger, order: Order) -> bool:
    """Whether credit management looks at the order at all (spec 5.1 step 2)."""
    profile = ledger.profile
    excluded_customer = profile is not None and profile.exclude_from_credit_management
    return excluded_customer or order.excluded or order.excluded_by_person or order.intercompany


def _judge_unknown(work: Work, facts: Facts, forced: bool) -> Judgement:
    held = {codes.FORCED_HOLD} if forced else set()
    if work.parameters.unknown_customer == "release":
        return Judgement(facts, codes.in_order(held), (), noted=(codes.CUSTOMER_UNKNOWN,))
    return Judgement(facts, codes.in_order({*held, codes.CUSTOMER_UNKNOWN}), ())


def _is_stale(work: Work) -> bool:
    """Spec 5.6: the newest invoice or payment of the log is older than `max_input_age_minutes`."""
    minutes, newest = work.parameters.max_input_age_minutes, work.partition.newest_receivable_at
    return 0 <= newest < work.partition.now - minutes * 60_000


# --- rules ------------------------------------------------------------------------------------------------------


class Seen(Struct, eq=False, gc=False):
    """What the rules saw so far: the reasons that hold, and the decision's lines with what each speaks for."""

    held: set[str] = set()
    outcomes: list[RuleOutcome] = []
    reasons: list[str] = []
    conditions: list[GroupCondition] = []


class Excuses(NamedTuple):
    """The exclusions that are true, each with the reason that it excuses, and all that there are."""

    true: list[tuple[Rule, str]]
    all: tuple[Looking, ...]


def _look_at_rules(rules: tuple[Looking, ...], facts: Facts, seen: Seen, excuses: Excuses) -> None:
    for rule, look in rules:
        if facts.is_groups_alone and _asks_pool(rule, facts):
            _ask_of_pool(rule, facts, seen, excuses)
            if facts.group is None:
                continue
        holds = _look_at_rule(rule, look, facts, seen, excuses)
        if facts.checks_group and not holds and (group_holds := RULE_OF_TYPE[rule.type].group_holds) is not None:
            _add_condition(rule, facts, seen, excuses, at_or_above=facts.limit_boundary == "at_or_above")
            if facts.group is not None:
                _look_at_rule(rule, group_holds, facts, seen, excuses)


def _look_at_rule(rule: Rule, look: Look, facts: Facts, seen: Seen, excuses: Excuses) -> bool:
    """Notes what a rule sees; whether it holds the order."""
    try:
        observations = look(rule, facts)
    except RateMissing:
        seen.held.add(codes.EXCHANGE_RATE_MISSING)
        return True
    holds = False
    for observation in observations:
        excuse = None
        if observation.hit and excuses.true:
            excuse = _excuse_for(rule, observation.reason, excuses.true)
        if observation.hit and excuse is None:
            seen.held.add(observation.reason)
            holds = True
        seen.outcomes.append(outcome_of(rule, observation, excuse))
        seen.reasons.append(observation.reason)
    return holds


def _asks_pool(rule: Rule, facts: Facts) -> bool:
    """Whether the rule compares with the pool: it asks for it, and for the same if the group is asked once more."""
    asks = RULE_OF_TYPE[rule.type].asks_pool
    try:
        return asks is not None and asks(rule, facts)
    except RateMissing:
        return False


def _ask_of_pool(rule: Rule, facts: Facts, seen: Seen, excuses: Excuses) -> None:
    """What a rule that looks at the pool as at a limit asks of the group, unless an exclusion excuses it anyway."""
    if _excuse_for(rule, rule.type, excuses.true) is None:
        _add_condition(rule, facts, seen, excuses, at_or_above=False)


def _add_condition(rule: Rule, facts: Facts, seen: Seen, excuses: Excuses, *, at_or_above: bool) -> None:
    """What the rule asks of the group. An exclusion at a narrower level excuses what stays below its own percentage."""
    narrower = [
        exclusion
        for exclusion, _ in excuses.all
        if exclusion.type == rule.type
        and RULE_OF_TYPE[rule.type].group_excuses is not None
        and LEVELS[exclusion.scope] < LEVELS[rule.scope]
    ]
    below = _largest_percent(narrower)
    seen.conditions.append(GroupCondition(percent=rule.percent, at_or_above=at_or_above, excused_below=below))


def _largest_percent(rules: list[Rule]) -> str | None:
    return max((rule.percent for rule in rules), key=Fraction, default=None)


def _released_below(exclusions: tuple[Looking, ...]) -> str | None:
    """Below which share of the group's limit an exclusion with release order is true."""
    return _largest_percent(
        [rule for rule, _ in exclusions if rule.release_order and RULE_OF_TYPE[rule.type].group_excuses is not None]
    )


def _look_at_status(settings: Settings, profile: CustomerUpdated, checkpoint: Checkpoint, held: set[str]) -> None:
    """What the customer's account status does by itself (spec 5.6)."""
    effect = settings.account_effects.get(profile.account_status or "", "none")
    if effect == "hold_all" or (effect == "hold_invoicing" and checkpoint == "invoice"):
        held.add(codes.ACCOUNT_STATUS)


def outcome_of(rule: Rule, seen: Observation, cancelled_by: str | None = None) -> RuleOutcome:
    """The line of the decision that says what a rule saw."""
    return RuleOutcome(
        rule_id=rule.id,
        type=rule.type,
        kind=rule.kind,
        hit=seen.hit,
        observed=seen.observed,
        operator=seen.operator,
        threshold=seen.threshold,
        unit=seen.unit,
        cancelled_by=cancelled_by,
    )


# --- exclusions (spec 5.4) --------------------------------------------------------------------------------------


def _releasing_exclusion(exclusions: tuple[Looking, ...], facts: Facts) -> RuleOutcome | None:
    """The first true exclusion with release order: nothing else is looked at."""
    for rule, look in exclusions:
        if not rule.release_order:
            continue
        for seen in _seen_by_exclusion(rule, look, facts):
            if seen.hit:
                return outcome_of(rule, seen)
    return None


def _look_at_exclusions(exclusions: tuple[Looking, ...], facts: Facts, seen: Seen) -> list[tuple[Rule, str]]:
    """The exclusions that are true, each with the reason that it excuses."""
    found: list[tuple[Rule, str]] = []
    for rule, look in exclusions:
        for observation in _seen_by_exclusion(rule, look, facts):
            seen.outcomes.append(outcome_of(rule, observation))
            seen.reasons.append(observation.reason)
            if observation.hit:
                found.append((rule, observation.reason))
    return found


def _seen_by_exclusion(rule: Rule, look: Look, facts: Facts) -> tuple[Observation, ...]:
    """What an exclusion sees, of the credit group too if that was asked; nothing where a rate is missing."""
    try:
        observations = look(rule, facts)
        group_excuses = RULE_OF_TYPE[rule.type].group_excuses
        if facts.group is not None and group_excuses is not None:
            observations += group_excuses(rule, facts)
    except RateMissing:
        return ()
    return observations


def _excuse_for(rule: Rule, reason: str, excuses: list[tuple[Rule, str]]) -> str | None:
    """The exclusion that cancels a hit: same type, value type and reason, at a narrower level than the rule's."""
    for exclusion, excused in excuses:
        same = exclusion.type == rule.type and excused == reason and exclusion.value_type == rule.value_type
        if same and LEVELS[exclusion.scope] < LEVELS[rule.scope]:
            return exclusion.id
    return None


# --- ranks (spec 5.5) -------------------------------------------------------------------------------------------


def _compare_ranks(settings: Settings, order: Order, profile: CustomerUpdated, held: set[str]) -> None:
    terms, discounts = settings.ranks_checked_of_terms, settings.ranks_checked_of_discounts
    if terms and _outranks(terms, order.payment_terms, profile.payment_terms):
        held.add(codes.PAYMENT_TERMS_INCREASED)
    if discounts and _outranks(discounts, order.settlement_discount, profile.settlement_discount):
        held.add(codes.SETTLEMENT_DISCOUNT_INCREASED)


def _outranks(ranks: dict[str, int], ordered: str | None, usual: str | None) -> bool:
    """Whether what the order has ranks higher than what the customer usually has; without a rank: 0."""
    return ranks.get(ordered or "", 0) > ranks.get(usual or "", 0)


# --- the decision -----------------------------------------------------------------------------------------------


def decision_of(
    work: Work,
    found: Judgement,
    verdict: Verdict,
    reasons: tuple[str, ...],
    cause: Cause,
    *,
    pro_forma: bool = False,
    actor: str | None = None,
    release_reason: str | None = None,
    posting: Posting | None = None,
) -> CreditDecision:
    """The record that proves itself (spec 11), for the order and the figures of a judgement."""
    facts = found.facts
    order, ledger = facts.order, facts.ledger
    after = with_order(facts)
    foreign = order.rate is not None and order.currency != ledger.currency
    return CreditDecision(
        decision_id=work.decision_id(order.order_id),
        order_id=order.order_id,
        customer_id=order.customer_id,
        group_id=ledger.group_id,
        legal_entity=order.legal_entity,
        checkpoint=facts.checkpoint,
        pro_forma=pro_forma,
        verdict=verdict,
        reasons=reasons,
        rules=found.outcomes,
        order_amount_minor=_amount_in_credit_currency(ledger, order),
        order_open_amount_minor=facts.counted_minor,
        currency=ledger.currency or order.currency,
        exposure_before=facts.before,
        exposure_after=after,
        limit=_limit_of(found),
        exchange_rate=order.rate if foreign else None,
        business_date=work.today,
        settings_version=work.partition.settings_version,
        input=work.position,
        as_of=work.as_of(),
        actor=actor,
        release_reason=release_reason,
        posting=posting,
        over_limit_by_minor=_over_limit_by(found, after.total_minor),
        supersedes=None if pro_forma else order.last_decision_id,
        cause=cause,
    )


def _limit_of(found: Judgement) -> LimitParts:
    """The limit that was checked (spec 4.3). `group_exposure` is the pool without what counts of the order.

    Part of the order may have been invoiced while the group was asked, and is one of the others' commitments now.
    """
    facts, group = found.facts, found.group
    if facts.work.parameters.exposure_scope == "none":
        return NO_LIMIT
    if facts.is_groups_alone:
        source: LimitSource = "group"
    elif group is not None:
        source = "group_and_own"
    else:
        return facts.limit
    if group is None or group.rate_missing:
        return changed(facts.limit, source=source)
    without = group.before_minor if group.currency != facts.currency else group.after_minor - facts.counted_minor
    return changed(
        facts.limit,
        source=source,
        group_total_minor=group.limit_minor,
        group_exposure_minor=without,
        group_currency=group.currency,
    )


def _over_limit_by(found: Judgement, used_minor: int) -> int:
    """By how much the use passes the limit that was checked: of two that are, the more. In credit currency.

    What the pool is over in another currency is measured by what the order itself is in both.
    """
    facts, group = found.facts, found.group
    total = facts.limit.total_minor
    if facts.work.parameters.exposure_scope == "none" or total is None:
        return 0
    over = 0 if facts.is_groups_alone else max(0, used_minor - total)
    if group is None or group.rate_missing or group.after_minor <= group.limit_minor:
        return over
    excess, counted = group.after_minor - group.limit_minor, group.after_minor - group.before_minor
    if group.currency != facts.currency:
        excess = divide_half_even(excess * facts.counted_minor, counted) if counted > 0 else 0
    return max(over, excess)


def with_order(facts: Facts) -> ExposureBuckets:
    """Exposure with the order in it: before, and what counts of the order (spec 3.5)."""
    before = facts.before
    return ExposureBuckets(
        current_invoices_minor=before.current_invoices_minor,
        overdue_invoices_minor=before.overdue_invoices_minor,
        open_orders_minor=before.open_orders_minor + facts.open_minor,
        delivered_not_invoiced_minor=before.delivered_not_invoiced_minor + facts.delivered_minor,
        unapplied_minor=before.unapplied_minor,
        total_minor=before.total_minor + facts.counted_minor,
    )


def _amount_in_credit_currency(ledger: Ledger, order: Order) -> int:
    """The order's amount; without a profile in its own currency, and 0 where the rate is missing."""
    if ledger.profile is None:
        return order.amount_minor
    return 0 if order.rate is None else ledger.to_credit(order.amount_minor, order.currency, order.rate)
