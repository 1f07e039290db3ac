"""The auditor: takes events and what they led to, and says what does not follow from the specification.

    auditor = Auditor(settings)
    findings = auditor.take(event, outputs)      # outputs: {"topic", "key", "type", "value"}, as JSON Lines says them

    auditor = Auditor(partitions=4)
    findings = auditor.take(event, outputs, partition=2, place={"topic": "credit.orders", "offset": 7, ...})

One call is one step of one partition's task: one input and what it led to, what it sent to other tasks included. What
tasks send each other is taken like any other event when the other task takes it (docs/groups.md), however much later.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.auditor import forms
from tests.auditor.money import fraction
from tests.auditor.partition import Event, Expected, Value
from tests.auditor.world import World

Output = dict[str, Any]
DECISIONS, HOLDS, EXPOSURES = "credit.decisions", "credit.holds", "credit.exposures"
LIMITS, JOURNALS, RUNS, DEAD = "credit.limits", "credit.journals", "credit.runs", "credit.dead-letters"
ADOPTED = ("credit.scores", "credit.statistics")
BETWEEN_TASKS = ("credit.group-requests", "credit.group-answers", "credit.postings")
OF_ALL = [name for name, (topic, _, _) in forms.FORMS.items() if topic in (forms.SETTINGS, forms.CLOCK)]
"""Events that every partition takes."""


@dataclass(frozen=True)
class Finding:
    """Something that does not follow: what it is about, what must be, what is."""

    text: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.text}: expected {self.expected!r}, found {self.found!r}"


class Auditor:
    """Checks a history as it grows; knows nothing of the product but its outputs."""

    def __init__(self, document: Value | None = None, partitions: int = 1) -> None:
        self.world = World(document, partitions)
        self.world.differs = lambda order_id, mine, theirs: any(compare_entry(order_id, mine, theirs))
        self.last: dict[tuple[str, str], Value | None] = {}
        self.last_decision: dict[str, str] = {}
        self.of_event: dict[tuple[Any, ...], list[Value]] = {}
        """The decisions of each event, now or when a group had answered."""
        self.ids: set[str] = set()
        self.partition = 0
        """Whose step it is."""
        self.decisions_checked = 0

    def take(
        self,
        event: Event | str,
        outputs: Iterable[Output],
        partition: int = 0,
        place: Value | None = None,
        refused: Iterable[str] = (),
    ) -> list[Finding]:
        """What is wrong with the outputs that the event led to.

        `place`: where the event lies, else it is the next of its topic. `refused`: ids of events whose dead letter is
        written elsewhere: of what every partition refuses, the first alone says so (12).
        """
        found: dict[str, list[Output]] = defaultdict(list)
        for output in outputs:
            found[output["topic"]].append(output)
        self.partition = partition
        self.adopt(found)
        mentioned = {output["key"]: output["value"] for output in found[HOLDS]}
        letters = [output["value"] for output in found[DEAD] if output["value"]["reason"] != "limit_change_refused"]
        refused = [*refused, *(value["event_id"] for value in letters if value["event_id"] is not None)]
        told = [{"type": output["type"]} | output["value"] for topic in BETWEEN_TASKS for output in found[topic]]
        expected = self.world.take(event, partition, place, mentioned, refused, told)
        if partition and isinstance(event, dict) and event.get("type") in OF_ALL:
            expected.dead = [letter for letter in expected.dead if letter[0] != event.get("event_id")]
        self.adopt_lines(found)
        if expected.repeated is not None:
            return list(self.repeated(expected.repeated, found))
        findings = [Finding(*fault) for fault in expected.faults]
        return findings + list(self.compare(event, expected, found, told))

    def adopt(self, found: dict[str, list[Output]]) -> None:
        """Risk groups are section 9's: taken from the scores as published."""
        for output in found["credit.scores"]:
            value = output["value"] or {}
            for part in self.world.parts:
                customer = part.customers.get(value.get("customer_id", ""))
                if customer is not None:
                    customer.risk_group = value["new_risk_group"]

    def adopt_lines(self, found: dict[str, list[Output]]) -> None:
        """Lines that were generated (8.3) or approved stand in the journal as published."""
        if "*" not in self.world.expected.loose:
            return
        for output in found[JOURNALS]:
            for part in self.world.parts:
                journal = part.journals.get(output["key"])
                if journal is not None:
                    journal.lines = [dict(line) for line in output["value"]["lines"]]
                    journal.status = output["value"]["status"]

    # --- comparing --------------------------------------------------------------------------------------------------

    def compare(
        self, event: Event | str, expected: Expected, found: dict[str, list[Output]], told: list[Value]
    ) -> Iterator[Finding]:
        """Everything of one step."""
        for topic in found.keys() - {
            DECISIONS,
            HOLDS,
            EXPOSURES,
            LIMITS,
            JOURNALS,
            RUNS,
            DEAD,
            *ADOPTED,
            *BETWEEN_TASKS,
        }:
            yield Finding("a topic that is no output", None, topic)
        if "*" in expected.loose:
            yield from self.adopt_outcome(event, found)
            return
        yield from self.compare_decisions(event, expected, found[DECISIONS])
        yield from self.compare_holds(expected, found[HOLDS])
        yield from self.compare_exposures(expected, found[EXPOSURES])
        yield from self.compare_limits(expected, found[LIMITS])
        yield from self.compare_journals(expected, found[JOURNALS])
        yield from self.compare_dead(expected, found[DEAD])
        yield from compare_told(expected, told)
        runs = sorted(output["value"]["event_id"] for output in found[RUNS])
        if runs != sorted(expected.runs):
            yield Finding("runs", sorted(expected.runs), runs)

    def adopt_outcome(self, event: Event | str, found: dict[str, list[Output]]) -> Iterator[Finding]:
        """Approvals (7.6, 8.5) are not modelled: what they led to is taken as it came."""
        for output in found[DECISIONS]:
            yield from self.remember(output["value"])
            self.world.adopt(output["value"])
        for output in found[HOLDS]:
            self.last[HOLDS, output["key"]] = output["value"]
        self.world.adopt_exposures([output["value"] for output in found[EXPOSURES] if output["value"] is not None])

    def compare_decisions(self, event: Event | str, expected: Expected, outputs: list[Output]) -> Iterator[Finding]:
        """Per order, in sequence."""
        wanted: dict[str, list[Value]] = defaultdict(list)
        there: dict[str, list[Value]] = defaultdict(list)
        for value in expected.decisions:
            wanted[value["order_id"]].append(value)
        for output in outputs:
            there[output["value"]["order_id"]].append(output["value"])
            if output["key"] != output["value"]["order_id"]:
                yield Finding("key of a decision", output["value"]["order_id"], output["key"])
        for order_id in sorted(wanted.keys() | there.keys()):
            mine, theirs = wanted[order_id], there[order_id]
            if len(mine) != len(theirs) and not (order_id in expected.loose and not mine):
                yield Finding(f"decisions on {order_id}", shorts(mine), shorts(theirs))
            for one, other in zip(mine, theirs, strict=False):
                yield from self.compare_decision(one, other, expected)
            for value in theirs:
                yield from self.remember(value)

    def remember(self, value: Value) -> Iterator[Finding]:
        """A decision's id is its own, and it supersedes the one before it on the order (11)."""
        self.decisions_checked += 1
        of_event = (self.partition, value["input"]["topic"], value["input"]["event_id"])
        self.of_event.setdefault(of_event, []).append(value)
        if value["decision_id"] in self.ids:
            yield Finding("a decision id twice", None, value["decision_id"])
        self.ids.add(value["decision_id"])
        if not value["pro_forma"]:
            before = self.last_decision.get(value["order_id"])
            if value["supersedes"] != before:
                yield Finding(f"supersedes of {value['decision_id']}", before, value["supersedes"])
            self.last_decision[value["order_id"]] = value["decision_id"]

    def compare_decision(self, mine: Value, theirs: Value, expected: Expected) -> Iterator[Finding]:
        """Field by field; the lines of rules by what they compare."""
        name = theirs["decision_id"]
        for field, value in mine.items():
            if field == "lines":
                yield from compare_rules(name, value, theirs["rules"])
            elif field == "exchange_rate":
                if value != (None if theirs[field] is None else fraction(theirs[field])):
                    yield Finding(f"{name} exchange_rate", value, theirs[field])
            elif field in ("cause", "reasons") and field in expected.loose:
                continue
            elif isinstance(value, dict):
                yield from compare_fields(f"{name} {field}", value, theirs[field])
            elif theirs[field] != value:
                yield Finding(f"{name} {field}", value, theirs[field])
        yield from self.consistent(name, theirs)

    def consistent(self, name: str, value: Value) -> Iterator[Finding]:
        """What a decision says must follow from itself."""
        after, before = value["exposure_after"], value["exposure_before"]
        if money(after["total"]) != money(before["total"]) + money(value["order_open_amount"]):
            yield Finding(f"{name} exposure_after", "before and the open amount", after["total"])
        for exposure in (after, before):
            parts = sum(money(exposure[field]) for field in exposure if field not in ("total", "unapplied"))
            if parts - money(exposure["unapplied"]) != money(exposure["total"]):
                yield Finding(f"{name} buckets", exposure["total"], str(parts))

    def compare_holds(self, expected: Expected, outputs: list[Output]) -> Iterator[Finding]:
        """The last record of each key; what did not change need not be published."""
        last = {output["key"]: output["value"] for output in outputs}
        for order_id in sorted(expected.holds.keys() | last.keys()):
            before = self.last.get((HOLDS, order_id))
            if order_id in expected.loose:
                continue
            if order_id in last:
                wanted = expected.holds.get(order_id, "nothing")
                yield from compare_entry(order_id, wanted, last[order_id])
                came = any(output["key"] == order_id and output["value"] is not None for output in outputs)
                if before is None and last[order_id] is None and not came:
                    yield Finding(f"hold {order_id}", "nothing: it was not on the list", None)
            elif list(compare_entry(order_id, expected.holds[order_id], before)):
                differs = "; ".join(
                    str(finding) for finding in compare_entry(order_id, expected.holds[order_id], before)
                )
                yield Finding(f"hold {order_id} not published anew", differs, "nothing published")
        for order_id, value in last.items():
            self.last[HOLDS, order_id] = value

    def compare_exposures(self, expected: Expected, outputs: list[Output]) -> Iterator[Finding]:
        """The last record of each party; a record only where something changed."""
        there: dict[str, list[Value]] = defaultdict(list)
        for output in outputs:
            if output["value"] is not None:
                there[f"{output['value']['party']}/{output['key']}"].append(output["value"])
        gone = {f"group/{output['key']}" for output in outputs if output["value"] is None}
        if gone != expected.gone:
            yield Finding("exposures that are gone", sorted(expected.gone), sorted(gone))
        for key in sorted(expected.exposures.keys() | there.keys()):
            mine, theirs = expected.exposures.get(key), there.get(key)
            if mine is None and theirs is not None and len(theirs) > 1:
                # There and back within one event that was followed to its end: each step says what changed.
                yield from compare_fields(f"exposure of {key}", self.world.published.get(key, {}), theirs[-1])
            elif mine is None or theirs is None:
                yield Finding(f"exposure of {key}", mine and mine[-1], theirs and theirs[-1])
            else:
                yield from compare_fields(f"exposure of {key}", mine[-1], theirs[-1])

    def compare_limits(self, expected: Expected, outputs: list[Output]) -> Iterator[Finding]:
        """One by one."""
        left = [{"type": output["type"]} | output["value"] for output in outputs]
        for mine in expected.limits:
            match = next((value for value in left if not list(compare_fields("", mine, value))), None)
            if match is None:
                yield Finding("limit record", mine, left)
            else:
                left.remove(match)
        for value in left:
            yield Finding("limit record", None, value)

    def compare_journals(self, expected: Expected, outputs: list[Output]) -> Iterator[Finding]:
        """The last record of each journal."""
        last = {output["key"]: output["value"] for output in outputs}
        for journal_id in sorted(expected.journals.keys() | last.keys()):
            mine, theirs = expected.journals.get(journal_id), last.get(journal_id)
            if mine is None or theirs is None:
                yield Finding(f"journal {journal_id}", mine, theirs)
                continue
            plain = {name: value for name, value in mine.items() if name != "lines"}
            yield from compare_fields(f"journal {journal_id}", plain, theirs)
            if len(mine["lines"]) != len(theirs["lines"]):
                yield Finding(f"lines of journal {journal_id}", len(mine["lines"]), len(theirs["lines"]))
            for one, other in zip(mine["lines"], theirs["lines"], strict=False):
                yield from compare_fields(f"journal {journal_id} line {one['line']}", one, other)

    def compare_dead(self, expected: Expected, outputs: list[Output]) -> Iterator[Finding]:
        """Event id where there is one, and the reason code."""
        left = [(output["value"]["event_id"], output["value"]["reason"]) for output in outputs]
        for event_id, reason in expected.dead:
            reasons = {reason, "event_id_reused"} if "reason" in expected.loose else {reason}
            match = next((row for row in left if row[1] in reasons and event_id in (None, row[0])), None)
            if match is None:
                yield Finding("dead letter", (event_id, reason), left)
            else:
                left.remove(match)
        for row in left:
            yield Finding("dead letter", None, row)

    def repeated(self, event_id: str, found: dict[str, list[Output]]) -> Iterator[Finding]:
        """Spec 2: no effect, and the same decisions again, byte for byte."""
        for topic, outputs in found.items():
            if topic != DECISIONS and outputs:
                yield Finding(f"after a repeat of {event_id}", None, outputs[0])
        of_event = (self.partition, self.world.input["topic"], event_id)
        mine = [json.dumps(value) for value in self.of_event.get(of_event, [])]
        theirs = [json.dumps(output["value"]) for output in found[DECISIONS]]
        if sorted(mine) != sorted(theirs):
            yield Finding(f"decisions after a repeat of {event_id}", mine, theirs)


def compare_told(expected: Expected, told: list[Value]) -> Iterator[Finding]:
    """What groups answered and journals sent on; what members told and asked was looked at one by one."""
    left = [value for value in told if value["type"] not in ("GroupMemberReported", "GroupCreditRequested")]
    for mine in expected.told:
        match = next((value for value in left if not list(compare_fields("", mine, value))), None)
        if match is None:
            yield Finding(f"{mine['type']} to another task", mine, left)
        else:
            left.remove(match)
    for value in left:
        yield Finding(f"{value['type']} to another task", None, value)


def shorts(values: list[Value]) -> list[tuple[str, list[str], str]]:
    """Verdict, reasons and cause, for a finding that people read."""
    return [(value["verdict"], value["reasons"], value["cause"]) for value in values]


def money(text: str) -> Fraction:
    """An amount in an output."""
    value = fraction(text)
    assert value is not None, f"money as text: {text!r}"
    return value


def compare_fields(name: str, mine: Value, theirs: Value) -> Iterator[Finding]:
    """The fields that this model has an opinion on; amounts as written."""
    for field, value in mine.items():
        other = theirs.get(field)
        if other != value and not (fraction(value) is not None and fraction(other) == fraction(value)):
            yield Finding(f"{name} {field}", value, other)


def compare_rules(name: str, mine: list[Any], theirs: list[Value]) -> Iterator[Finding]:
    """Every rule looked at, what it saw, and whether it hit."""
    left = list(theirs)
    for line in mine:
        match = next((other for other in left if agrees(line, other)), None)
        if match is None and line.optional:
            continue
        if match is None:
            near = [other for other in theirs if other["rule_id"] == line.rule_id]
            yield Finding(f"{name} rule {line.rule_id}", line, near)
        else:
            left.remove(match)
    for other in left:
        yield Finding(f"{name} rule {other['rule_id']}", None, other)


def agrees(line: Any, other: Value) -> bool:
    """Whether a published line is this one."""
    plain = (other["rule_id"], other["type"], other["kind"], other["hit"], other["cancelled_by"])
    if plain != (line.rule_id, line.type, line.kind, line.hit, line.cancelled_by):
        return False
    return same(line.observed, other["observed"]) and same(line.threshold, other["threshold"])


def same(value: Fraction | str | None, text: str) -> bool:
    """A number, or a text; None: no opinion."""
    return value is None or (fraction(text) if isinstance(value, Fraction) else text) == value


def validity(reasons: list[Value]) -> list[tuple[str, str | None, bool]]:
    """Reasons and whether they hold still."""
    return [(reason["code"], reason["rule_id"], reason["still_valid"]) for reason in reasons]


def compare_entry(order_id: str, mine: Any, theirs: Any) -> Iterator[Finding]:
    """An entry of the hold list, or that it left."""
    if mine is None or theirs is None or mine == "nothing":
        if mine is not theirs:
            yield Finding(f"hold {order_id}", mine, theirs)
        return
    plain = {name: value for name, value in mine.items() if name not in ("reasons", "held_since")}
    yield from compare_fields(f"hold {order_id}", plain, theirs)
    if not theirs["held_since"].startswith(mine["held_since"]):
        yield Finding(f"hold {order_id} held_since", mine["held_since"], theirs["held_since"])
    codes, others = validity(mine["reasons"]), validity(theirs["reasons"])
    if sorted(map(str, codes)) != sorted(map(str, others)):
        yield Finding(f"hold {order_id} reasons", codes, others)
        return
    by_rule = {(other["code"], other["rule_id"]): other for other in theirs["reasons"]}
    for reason in mine["reasons"]:
        other = by_rule[reason["code"], reason["rule_id"]]
        line = reason["line"]
        if line is not None and not (
            same(line.observed, other["observed"]) and same(line.threshold, other["threshold"])
        ):
            yield Finding(f"hold {order_id} {reason['code']}", line, other)
