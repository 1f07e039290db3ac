"""The settings document (interface section 3): its types with their defaults, and its check as a whole (spec 12).

`check` finds every fault of a document with its place and the nearest known name; `compiled` turns the JSON text of a
good document into `Settings`. A document is a plain mapping, as TOML and JSON give it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cache, lru_cache
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from credit_stream.core import money
from credit_stream.core.events import CHECKPOINTS, Checkpoint
from credit_stream.core.rules import RULE_OF_TYPE, RULE_TYPES, Look

RULES_MAX = 1_000
"""Rules in one document: every decision looks at all of them."""

ScoringType = Literal[
    "average_payment_days",
    "customer_since",
    "in_business_since",
    "days_sales_outstanding",
    "average_balance",
    "credit_management_group",
    "account_status",
    "country",
    "user_defined",
]


class Fault(Struct, frozen=True):
    """What is wrong in a settings document, and where: `rules[2].scope`."""

    place: str
    message: str


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the document."""


class Parameters(Section, frozen=True, kw_only=True):
    """All parameters with their defaults; each is explained where the spec uses it."""

    exposure_scope: Literal["balance", "balance_and_delivered", "balance_and_orders", "none"] = "balance_and_orders"
    limit_boundary: Literal["above", "at_or_above"] = "above"
    check_credit_limit: bool = True
    check_group_limit: bool = True
    unknown_customer: Literal["hold", "release"] = "hold"
    ignore_blank_expiry: bool = True
    unapplied_payments_reduce_exposure: bool = True
    held_orders_consume_credit: bool = False
    credit_horizon_days: int = -1
    credit_rate_type: str = "default"
    check_payment_terms_rank: bool = True
    check_settlement_discount_rank: bool = True
    allow_edit_after_release: bool = False
    release_tolerance_percent: str = "0"
    release_valid_days: int = 0
    evaluate_on: Literal["event", "command"] = "event"
    automatic_release: Literal["off", "without_posting", "with_posting"] = "off"
    automatic_release_reason: str = "automatic"
    release_priority: Literal["oldest_first", "smallest_first", "largest_first"] = "oldest_first"
    allow_manual_limits: bool = False
    business_time_zone: str = "UTC"
    max_input_age_minutes: int = -1
    stale_policy: Literal["hold", "release"] = "hold"
    statistics_months_1: int = 12
    statistics_months_2: int = 6
    aging_buckets_days: tuple[int, ...] = (30, 60, 90)
    risk_score_update_at: str = "02:00"
    balance_statistics_update_at: str = "03:00"
    event_id_retention_days: int = 400


class CheckpointSettings(Section, frozen=True, kw_only=True):
    """Whether a checkpoint checks, and for how many days the next checks are then skipped (spec 6)."""

    posting: bool = False
    grace_days: int = 0
    pro_forma: bool = False
    pro_forma_grace_days: int = 0


class OrderEntrySettings(CheckpointSettings, frozen=True, kw_only=True):
    """Order entry checks unless it is told not to."""

    posting: bool = True


class Rule(Section, frozen=True, kw_only=True):
    """A blocking rule or an exclusion (spec 5.3, 5.4). `type` is a row of `rules.RULES`; amounts are decimal text."""

    id: str
    type: str
    kind: Literal["blocking", "exclusion"] = "blocking"
    scope: Literal["all", "group", "customer"] = "all"
    account: str = ""
    risk_group: str = ""
    checkpoints: tuple[Checkpoint, ...] = ()
    days: int = 0
    value_type: Literal["days", "amount"] = "days"
    amount: str = "0"
    currency: str = ""
    percent: str = "100"
    value: str = ""
    release_order: bool = False
    enabled: bool = True


class AccountStatus(Section, frozen=True, kw_only=True):
    """An account status and what it does by itself (spec 5.6)."""

    id: str
    effect: Literal["none", "hold_invoicing", "hold_all"] = "none"
    description: str = ""


class ReleaseReason(Section, frozen=True, kw_only=True):
    """A reason that a person may give for a release."""

    id: str
    description: str = ""


class Ranked(Section, frozen=True, kw_only=True):
    """Payment terms or a settlement discount with its rank (spec 5.5)."""

    id: str
    rank: int = 0
    description: str = ""


class ScoreRange(Section, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """`from` <= value <= `to` gives the score. Whole numbers or decimal text."""

    start: int | str
    end: int | str
    score: int


class ScoreValue(Section, frozen=True, kw_only=True):
    """This value gives the score."""

    value: str
    score: int


class ScoringGroup(Section, frozen=True, kw_only=True):
    """A scoring group (spec 9.1)."""

    id: str
    type: ScoringType
    default_score: int = 0
    ranges: tuple[ScoreRange, ...] = ()
    values: tuple[ScoreValue, ...] = ()
    attribute: str = ""


class RiskGroup(Section, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """A risk group and its range of scores (spec 9.2)."""

    id: str
    description: str = ""
    indicator: str = ""
    start: int | str
    end: int | str


class AutomaticLimitLine(Section, frozen=True, kw_only=True):
    """A credit limit that is proposed when the scoring group's value compares as said (spec 9.4)."""

    scoring_group: str
    comparison: Literal["equal", "at_least", "at_most", "above", "below"]
    value: int | str
    credit_limit: str


class AutomaticLimit(Section, frozen=True, kw_only=True):
    """Automatic limits of a risk group in a currency (spec 9.4)."""

    risk_group: str
    currency: str
    maximum_revenue: str
    lines: tuple[AutomaticLimitLine, ...] = ()


class ApprovalStep(Section, frozen=True, kw_only=True):
    """Above this amount so many people with this role approve (spec 7.6)."""

    above: str = "0"
    currency: str
    role: str
    people: int = 1


class ReleaseApproval(Section, frozen=True, kw_only=True):
    """The steps that a release takes; none: a release acts at once."""

    steps: tuple[ApprovalStep, ...] = ()
    then: Literal["with_posting", "without_posting", "manual"] = "without_posting"


class LimitApproval(Section, frozen=True, kw_only=True):
    """The steps that a limit journal takes; none: it is posted at once."""

    by: Literal["journal", "line"] = "journal"
    steps: tuple[ApprovalStep, ...] = ()
    then: Literal["post", "manual"] = "post"


class Actor(Section, frozen=True, kw_only=True):
    """A person and what they may do."""

    id: str
    roles: tuple[str, ...] = ()


class CheckpointTable(Section, frozen=True, kw_only=True):
    """The five checkpoints; only order entry checks by default."""

    order_entry: OrderEntrySettings = OrderEntrySettings()
    confirmation: CheckpointSettings = CheckpointSettings()
    picking_list: CheckpointSettings = CheckpointSettings()
    packing_slip: CheckpointSettings = CheckpointSettings()
    invoice: CheckpointSettings = CheckpointSettings()


class Document(Section, frozen=True, kw_only=True):
    """The whole document."""

    parameters: Parameters = Parameters()
    checkpoints: CheckpointTable = CheckpointTable()
    rules: tuple[Rule, ...] = ()
    account_statuses: tuple[AccountStatus, ...] = ()
    release_reasons: tuple[ReleaseReason, ...] = ()
    payment_terms: tuple[Ranked, ...] = ()
    settlement_discounts: tuple[Ranked, ...] = ()
    scoring_groups: tuple[ScoringGroup, ...] = ()
    risk_groups: tuple[RiskGroup, ...] = ()
    automatic_limits: tuple[AutomaticLimit, ...] = ()
    release_approval: ReleaseApproval = ReleaseApproval()
    limit_approval: LimitApproval = LimitApproval()
    actors: tuple[Actor, ...] = ()


Looking = tuple[Rule, Look]
"""A rule, and the function that says what it sees."""

DOCUMENTS_KEPT_MAX = 16
"""Of settings documents, what was compiled: the partitions of a process have one or two at a time."""
CHOICES_KEPT_MAX = 4_096
"""Of one checkpoint and kind, choices of rules that are remembered. There are a few for each customer that rules name,
and for each group."""


Who = tuple[str | None, str | None, str | None, bool]
"""Customer, credit management group and risk group, and whether something of the order counts, so that limits may hold
it (spec 15, 5.1)."""


class RulesAt:
    """The rules of one kind that run at a checkpoint, found by whom they speak for.

    A company may have a rule of its own for each of hundreds of customers; a check looks at those of one. The order is
    that of spec 5.3, and within a type that of the document.
    """

    __slots__ = ("_chosen", "_customers", "_groups", "_risk_groups", "_rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._customers = frozenset(rule.account for rule in rules if rule.scope == "customer")
        self._groups = frozenset(rule.account for rule in rules if rule.scope == "group")
        self._risk_groups = frozenset(rule.risk_group for rule in rules)
        self._chosen: dict[Who, tuple[Looking, ...]] = {}

    def of(self, customer_id: str, group: str | None, risk_group: str | None, is_counted: bool) -> tuple[Looking, ...]:
        """Those for all, for the customer and for its group; those for a risk group only if it is the customer's."""
        if not self._rules:
            return ()
        who = (
            customer_id if customer_id in self._customers else None,
            group if group in self._groups else None,
            risk_group if risk_group in self._risk_groups else None,
            is_counted,
        )
        chosen = self._chosen.get(who)
        if chosen is None:
            if len(self._chosen) >= CHOICES_KEPT_MAX:
                self._chosen.clear()
            chosen = self._chosen[who] = tuple(_looking(rule) for rule in self._rules if _speaks(rule, who))
        return chosen


def _speaks(rule: Rule, who: Who) -> bool:
    """Whether a rule is about an order: its scope, its risk group, and that no limit holds a return.

    An exclusion about the limit may release one all the same: it would release the smallest order (spec 5.1, 5.4).
    """
    customer_id, group, risk_group, is_counted = who
    if rule.scope == "group" and rule.account != group:
        return False
    if rule.scope == "customer" and rule.account != customer_id:
        return False
    if rule.risk_group and rule.risk_group != risk_group:
        return False
    return is_counted or rule.kind == "exclusion" or not RULE_OF_TYPE[rule.type].limit


def _looking(rule: Rule) -> Looking:
    row = RULE_OF_TYPE[rule.type]
    return rule, row.holds if rule.kind == "blocking" else row.excuses


class Settings:
    """A checked document, arranged for deciding. Made by `compiled`; never changed."""

    __slots__ = (
        "account_effects",
        "actors",
        "blocking_at",
        "checkpoints",
        "counts_exposure_plainly",
        "document",
        "exclusions_at",
        "has_grace",
        "parameters",
        "posting_somewhere",
        "ranks_checked_of_discounts",
        "ranks_checked_of_terms",
        "release_reasons",
    )

    def __init__(self, document: Document) -> None:
        self.document = document
        self.parameters = document.parameters
        self.counts_exposure_plainly = (
            self.parameters.exposure_scope in ("balance_and_orders", "none")
            and self.parameters.unapplied_payments_reduce_exposure
            and not self.parameters.held_orders_consume_credit
        )
        self.checkpoints: dict[str, CheckpointSettings] = {
            name: getattr(document.checkpoints, name) for name in CHECKPOINTS
        }
        self.posting_somewhere = any(checkpoint.posting for checkpoint in self.checkpoints.values())
        self.has_grace = any(marked.posting and marked.grace_days for marked in self.checkpoints.values())
        enabled = sorted((rule for rule in document.rules if rule.enabled), key=lambda r: RULE_TYPES.index(r.type))
        looks_at_limit = self.parameters.check_credit_limit and self.parameters.exposure_scope != "none"
        enabled = [rule for rule in enabled if looks_at_limit or rule.type != "credit_limit_used"]
        blocking = [rule for rule in enabled if rule.kind == "blocking"]
        exclusions = [rule for rule in enabled if rule.kind == "exclusion"]
        self.blocking_at = {name: RulesAt(_rules_at(blocking, name)) for name in CHECKPOINTS}
        self.exclusions_at = {name: RulesAt(_rules_at(exclusions, name)) for name in CHECKPOINTS}
        self.account_effects = {status.id: status.effect for status in document.account_statuses}
        self.release_reasons = frozenset(reason.id for reason in document.release_reasons)
        terms = document.payment_terms if self.parameters.check_payment_terms_rank else ()
        self.ranks_checked_of_terms = {one.id: one.rank for one in terms}
        discounts = document.settlement_discounts if self.parameters.check_settlement_discount_rank else ()
        self.ranks_checked_of_discounts = {one.id: one.rank for one in discounts}
        self.actors = {actor.id: frozenset(actor.roles) for actor in document.actors}


def _rules_at(rules: Sequence[Rule], checkpoint: Checkpoint) -> tuple[Rule, ...]:
    """The rules that run at a checkpoint: those without a list, and those that have it on theirs."""
    return tuple(rule for rule in rules if not rule.checkpoints or checkpoint in rule.checkpoints)


@lru_cache(maxsize=DOCUMENTS_KEPT_MAX)
def compiled(document: str) -> Settings:
    """The settings of a document that was checked (JSON text); a fault here is a broken invariant."""
    return Settings(msgspec.convert(json.loads(document), Document))


def check(document: Mapping[str, object], currencies: Mapping[str, int]) -> list[Fault]:
    """Every fault of a settings document, in its order; none when it can take effect.

    `currencies` are the currencies that amounts may be in, with their decimals.
    """
    faults = list(_shape_faults(document, Document, ""))
    if faults:
        return [*faults, *_faults_of_sound_tables(document, currencies)]
    parsed = msgspec.convert(document, Document)
    return [*_parameter_faults(parsed.parameters), *_rule_faults(parsed, currencies), *_list_faults(parsed, currencies)]


def _faults_of_sound_tables(document: Mapping[str, object], currencies: Mapping[str, int]) -> Iterator[Fault]:
    """What the values of parameters and rules say that have the right shape, in a document that has it not."""
    with suppress(msgspec.ValidationError):
        yield from _parameter_faults(msgspec.convert(document.get("parameters", {}), Parameters))
    rules = document.get("rules")
    for index, row in enumerate(rules if isinstance(rules, list) else ()):
        with suppress(msgspec.ValidationError):
            yield from _faults_of_rule(msgspec.convert(row, Rule), f"rules[{index}]", currencies)


def check_text(text: str, currencies: Mapping[str, int]) -> list[Fault]:
    """The faults of a document as JSON text."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return [Fault("document", f"is no JSON ({error}); publish the settings as one JSON object")]
    if not isinstance(document, dict):
        return [Fault("document", "is no JSON object; publish the settings as one JSON object")]
    return check(document, currencies)


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} stands twice in one table")
    return table


# --- shape: names and types -------------------------------------------------------------------------------------


def nearest(name: str, known: Sequence[str]) -> str:
    """A half sentence that names the nearest known name, or all of them."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}"


@cache
def _types_of(section: type[Struct]) -> dict[str, object]:
    return get_type_hints(section)


def _shape_faults(table: Mapping[str, object], section: type[Struct], place: str) -> Iterator[Fault]:
    types = _types_of(section)
    fields = {field.encode_name: field for field in msgspec.structs.fields(section)}
    for name, value in table.items():
        at = f"{place}.{name}" if place else name
        if name not in fields:
            yield Fault(at, f"is unknown; {nearest(name, tuple(fields))}")
        else:
            yield from _value_faults(value, types[fields[name].name], at)
    for name, field in fields.items():
        if field.required and name not in table:
            yield Fault(f"{place}.{name}" if place else name, "is missing and has no default")


def _value_faults(value: object, kind: object, place: str) -> Iterator[Fault]:
    section = _section_of(kind)
    if section is not None and get_origin(kind) is tuple:
        if not isinstance(value, list):
            yield Fault(place, "must be a list of tables")
            return
        for index, item in enumerate(value):
            yield from _table_faults(item, section, f"{place}[{index}]")
    elif section is not None:
        yield from _table_faults(value, section, place)
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            yield Fault(place, _in_words(value, kind, error))


def _table_faults(value: object, section: type[Struct], place: str) -> Iterator[Fault]:
    if isinstance(value, dict):
        yield from _shape_faults(value, section, place)
    else:
        yield Fault(place, "must be a table")


def _section_of(kind: object) -> type[Struct] | None:
    candidate = get_args(kind)[0] if get_origin(kind) is tuple else kind
    return candidate if isinstance(candidate, type) and issubclass(candidate, Section) else None


def _in_words(value: object, kind: object, error: msgspec.ValidationError) -> str:
    choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
    if get_origin(kind) is Literal and isinstance(value, str):
        return f"cannot be {value!r}; {nearest(value, choices)}"
    if kind is str or (get_origin(kind) in (Union, UnionType) and isinstance(value, float)):
        return f'must be text in quotation marks, such as "100", not {value!r}'
    return f"cannot be {value!r}: {str(error).split(' - at')[0]}"


# --- what the values say ----------------------------------------------------------------------------------------

CLOCK_TEXT = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
MACHINE_ZONES = frozenset({"localtime", "posixrules", "Factory"})
"""Names in the zone database that mean something else on every machine."""
DAYS_MAX = 36_500
PARAMETER_RANGES = {
    "credit_horizon_days": (-1, DAYS_MAX),
    "release_valid_days": (0, DAYS_MAX),
    "max_input_age_minutes": (-1, DAYS_MAX * 1_440),
    "statistics_months_1": (1, 120),
    "statistics_months_2": (1, 120),
    "event_id_retention_days": (1, DAYS_MAX),
}


def _parameter_faults(parameters: Parameters) -> Iterator[Fault]:
    for name, (lowest, highest) in PARAMETER_RANGES.items():
        value = getattr(parameters, name)
        if not lowest <= value <= highest:
            yield Fault(f"parameters.{name}", f"is {value}; it goes from {lowest} to {highest}")
    yield from _decimal_faults("parameters.release_tolerance_percent", parameters.release_tolerance_percent)
    try:
        if parameters.business_time_zone in MACHINE_ZONES:
            raise KeyError
        ZoneInfo(parameters.business_time_zone)
    except (KeyError, ValueError, OSError):
        yield Fault("parameters.business_time_zone", 'is no IANA time zone such as "Europe/Berlin" or "UTC"')
    for name in ("risk_score_update_at", "balance_statistics_update_at"):
        value = getattr(parameters, name)
        if value and CLOCK_TEXT.fullmatch(value) is None:
            yield Fault(f"parameters.{name}", f'is {value!r}; write a time of day such as "02:00", or "" for never')
    buckets = parameters.aging_buckets_days
    if not buckets or buckets[0] < 1 or any(b <= a for a, b in itertools.pairwise(buckets)):
        yield Fault("parameters.aging_buckets_days", "must be rising numbers of days from 1 on, such as [30, 60, 90]")


def _decimal_faults(place: str, value: str) -> Iterator[Fault]:
    if not money.is_decimal(value) or money.ratio(value).numerator < 0:
        yield Fault(place, f'is {value!r}; write a decimal number from 0 on, such as "12.5"')


def _amount_faults(place: str, field: str, value: str, currency: str, currencies: Mapping[str, int]) -> Iterator[Fault]:
    if currency and currency not in currencies:
        close = nearest(currency, tuple(currencies)) if len(currency) <= 3 else 'use an ISO 4217 code such as "EUR"'
        yield Fault(f"{place}.currency", f"is {currency!r}, which is no currency; {close.split('known are')[0]}")
        return
    minor = money.minor(value, currencies.get(currency, 4))
    if minor is None or minor < 0:
        yield Fault(f"{place}.{field}", f"is {value!r}; write an amount from 0 on with the decimals of its currency")


def _rule_faults(document: Document, currencies: Mapping[str, int]) -> Iterator[Fault]:
    if len(document.rules) > RULES_MAX:
        yield Fault("rules", f"are {len(document.rules)}; at most {RULES_MAX} can be checked for every order")
    for index, rule in enumerate(document.rules):
        yield from _faults_of_rule(rule, f"rules[{index}]", currencies)


def _faults_of_rule(rule: Rule, place: str, currencies: Mapping[str, int]) -> Iterator[Fault]:
    if rule.type not in RULE_TYPES:
        yield Fault(f"{place}.type", f"cannot be {rule.type!r}; {nearest(rule.type, RULE_TYPES)}")
    if rule.scope != "all" and not rule.account:
        what = "credit management group" if rule.scope == "group" else "customer"
        yield Fault(f"{place}.account", f"is missing: with scope {rule.scope!r} name the {what}")
    if rule.scope == "all" and rule.account:
        yield Fault(f"{place}.account", 'has no meaning with scope "all"; set scope to "group" or "customer"')
    if rule.scope == "customer" and rule.risk_group:
        yield Fault(f"{place}.risk_group", 'goes with scope "group" or "all" only')
    if rule.release_order and rule.kind != "exclusion":
        yield Fault(f"{place}.release_order", 'goes with kind "exclusion" only')
    if rule.type in ("account_status", "payment_terms", "risk_group") and not rule.value:
        yield Fault(f"{place}.value", f"is missing: name the {rule.type.replace('_', ' ')} that the rule is about")
    if not 0 <= rule.days <= DAYS_MAX:
        yield Fault(f"{place}.days", f"is {rule.days}; it goes from 0 to {DAYS_MAX}")
    yield from _decimal_faults(f"{place}.percent", rule.percent)
    yield from _amount_faults(place, "amount", rule.amount, rule.currency, currencies)


def _list_faults(document: Document, currencies: Mapping[str, int]) -> Iterator[Fault]:
    for name in ("rules", "account_statuses", "release_reasons", "payment_terms", "settlement_discounts"):
        yield from _id_faults(getattr(document, name), name)
    for name in ("scoring_groups", "risk_groups", "actors"):
        yield from _id_faults(getattr(document, name), name)
    for index, group in enumerate(document.scoring_groups):
        yield from _range_faults(group.ranges, f"scoring_groups[{index}].ranges")
        if group.type == "user_defined" and not group.attribute:
            yield Fault(f"scoring_groups[{index}].attribute", "is missing: name the customer's attribute")
    yield from _range_faults(document.risk_groups, "risk_groups")
    yield from _grace_faults(document.checkpoints)
    yield from _automatic_limit_faults(document, currencies)
    for name, approval in (
        ("release_approval", document.release_approval),
        ("limit_approval", document.limit_approval),
    ):
        for index, step in enumerate(approval.steps):
            place = f"{name}.steps[{index}]"
            yield from _amount_faults(place, "above", step.above, step.currency, currencies)
            if step.people < 1:
                yield Fault(f"{place}.people", f"is {step.people}; at least one person approves")


def _id_faults(rows: Sequence[Rule | AccountStatus | ReleaseReason | Ranked | Actor], name: str) -> Iterator[Fault]:
    known: set[str] = set()
    for index, row in enumerate(rows):
        if not row.id:
            yield Fault(f"{name}[{index}].id", "is empty; give it a name of its own")
        elif row.id in known:
            yield Fault(f"{name}[{index}].id", f"is {row.id!r} a second time; every id is there once")
        known.add(row.id)


def _range_faults(ranges: Sequence[ScoreRange | RiskGroup], place: str) -> Iterator[Fault]:
    exact: list[tuple[int, int, int]] = []
    for index, row in enumerate(ranges):
        ends = [_scaled(row.start), _scaled(row.end)]
        if ends[0] is None or ends[1] is None:
            yield Fault(f"{place}[{index}]", "needs whole numbers or decimal text for from and to")
        elif ends[0] > ends[1]:
            yield Fault(f"{place}[{index}]", f"goes from {row.start} down to {row.end}; from must not be above to")
        else:
            exact.append((ends[0], ends[1], index))
    exact.sort()
    for (_, end, before), (start, _, after) in itertools.pairwise(exact):
        if start <= end:
            yield Fault(f"{place}[{after}]", f"overlaps {place}[{before}]; a value may fall into one range only")


def _scaled(value: int | str) -> int | None:
    """The value times 10**18, or None when it is no number."""
    if isinstance(value, str) and not money.is_decimal(value):
        return None
    exact = money.ratio(value) if isinstance(value, str) else money.Ratio(value, 0)
    return int(exact.numerator * 10 ** (18 - exact.places))


def _grace_faults(checkpoints: CheckpointTable) -> Iterator[Fault]:
    table = {name: getattr(checkpoints, name) for name in CHECKPOINTS}
    for name, checkpoint in table.items():
        for field in ("grace_days", "pro_forma_grace_days"):
            if not 0 <= getattr(checkpoint, field) <= DAYS_MAX:
                yield Fault(f"checkpoints.{name}.{field}", f"goes from 0 to {DAYS_MAX}")
    posting = {name: checkpoint.grace_days for name, checkpoint in table.items() if checkpoint.posting}
    without = [name for name, days in posting.items() if days == 0]
    if without and len(without) < len(posting):
        where = ", ".join(without)
        yield Fault("checkpoints", f"have grace days on some posting checkpoints but not on {where}: on all or on none")


def _automatic_limit_faults(document: Document, currencies: Mapping[str, int]) -> Iterator[Fault]:
    groups = tuple(group.id for group in document.scoring_groups)
    for index, limit in enumerate(document.automatic_limits):
        place = f"automatic_limits[{index}]"
        yield from _amount_faults(place, "maximum_revenue", limit.maximum_revenue, limit.currency, currencies)
        if not limit.currency:
            yield Fault(f"{place}.currency", "is empty; name the currency of its amounts")
        for number, line in enumerate(limit.lines):
            at = f"{place}.lines[{number}]"
            if line.scoring_group not in groups:
                yield Fault(f"{at}.scoring_group", f"is {line.scoring_group!r}; {nearest(line.scoring_group, groups)}")
            yield from _amount_faults(at, "credit_limit", line.credit_limit, limit.currency, currencies)
