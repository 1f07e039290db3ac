"""Small ledgers as tests: reads the cases of `cases/*.txt`, plays them through the host in memory, compares.

`load` gives the cases, `play` the answers of one, `faults` what does not hold. The format is in `cases/README.md`,
its lines are in `verbs` and `setting_lines`, its expectations in `claims`. What is not understood is an error with file
and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from pathlib import Path

from credit_stream.hosts.memory import MemoryHost
from credit_stream.wire.json_lines import output_to_json
from tests.core import claims as c
from tests.core.claims import Claim, Kind
from tests.core.setting_lines import SETTINGS
from tests.core.verbs import COMMANDS, DATE_OF_EVENT, DEFAULTS, VERBS
from tests.core.words import Json, Misread, Words, did_you_mean

CASES = Path(__file__).parent / "cases"
FIRST_INSTANT = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)
TITLE = re.compile(r"== (?P<title>.+ \(spec [^)]+\))")
LEGAL_ENTITY = "US01"
FIRST_CUSTOMER = "C1"
ONE_CUSTOMER = frozenset("EvaluateHolds ForceHold".split())
"""Commands for one customer only where they name an order."""
NO_CUSTOMER = frozenset(
    """ExchangeRatePublished CreateLimitJournal AddJournalLines RemoveJournalLines PostLimitJournal
    CreditGroupUpdated CreditGroupClosed""".split()
)
TOPIC_AND_KIND: Mapping[str, tuple[str, Kind]] = {
    "exposure": ("credit.exposures", c.EXPOSURE),
    "hold": ("credit.holds", c.HOLD),
    "decision": ("credit.decisions", c.DECISION),
    "limit_of": ("credit.limits", c.LIMIT),
    "journal_of": ("credit.journals", c.JOURNAL),
    "saw": ("credit.decisions", c.OUTCOME),
    "run_of": ("credit.runs", c.RUN),
}
"""Lines that ask for the newest record of a key."""
SPECIAL = ("day", "tick", "publish", "repeat", "raw")


class LedgerError(Exception):
    """A case that is not as `cases/README.md` says; the message names file and line."""


@dataclass(frozen=True)
class Line:
    """A line of a case and where it stands."""

    place: str
    text: str
    expectation: str | None

    @property
    def verb(self) -> str:
        """Its first word."""
        return self.text.split()[0]

    @property
    def is_setting(self) -> bool:
        """Whether it changes the settings."""
        return self.verb in SETTINGS


@dataclass(frozen=True)
class Case:
    """One case: a title, the lines under it, and those at the head of its file, which are those of every case in it."""

    title: str
    theme: str
    head: tuple[Line, ...]
    body: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines in the order in which they count: settings first, so that they are in force from the start."""
        leading = tuple(takewhile(lambda line: line.is_setting, self.body))
        settings = tuple(line for line in self.head if line.is_setting)
        return (*settings, *leading, *(line for line in self.head if not line.is_setting), *self.body[len(leading) :])


@dataclass
class Answer:
    """What a line expects and what came."""

    line: Line
    expected: tuple[Claim, ...]
    facts: tuple[Claim, ...]


# --- reading ----------------------------------------------------------------------------------------------------


def read(text: str, theme: str) -> list[Case]:
    """The cases of one file. Raises `LedgerError`."""
    head: list[Line] = []
    cases: list[Case] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        place = f"{theme}.txt:{number}"
        stripped = raw.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("=="):
            match = TITLE.fullmatch(stripped)
            if match is None:
                raise LedgerError(f"{place}: a title is `== What holds (spec 4.4)`")
            cases.append(Case(match["title"], theme, tuple(head)))
        elif cases:
            cases[-1] = replace(cases[-1], body=(*cases[-1].body, line_of(stripped, place)))
        else:
            head.append(line_of(stripped, place))
    return cases


def line_of(text: str, place: str) -> Line:
    """A line, and what it expects behind `|`. Raises `LedgerError`."""
    said, bar, expectation = text.partition("|")
    said, expectation = said.strip(), expectation.strip()
    if not said or (bar and not expectation):
        raise LedgerError(f"{place}: something must stand on both sides of |")
    return Line(place, said, expectation if bar else None)


@cache
def load() -> tuple[Case, ...]:
    """All cases beside this file."""
    return tuple(case for path in sorted(CASES.glob("*.txt")) for case in read(path.read_text("utf-8"), path.stem))


# --- playing ----------------------------------------------------------------------------------------------------


@dataclass
class Ledger:
    """A case while it is played."""

    document: Json = field(default_factory=dict)
    unpublished: str = ""
    version: int = 1
    instant: datetime = FIRST_INSTANT - timedelta(seconds=1)
    sent: dict[str, tuple[bytes, list[Json]]] = field(default_factory=dict)
    customer_of: dict[str, str] = field(default_factory=dict)
    records: list[Json] = field(default_factory=list)
    host: MemoryHost | None = None

    def process(self, payload: bytes) -> list[Json]:
        """What one input leads to, as JSON Lines would say it."""
        if self.host is None:
            self.host = MemoryHost(settings_document=json.dumps(self.document))
        outputs = [_plain(output_to_json(*produced)) for produced in self.host.process(payload)]
        self.records += outputs
        return outputs

    def send(self, body: Json) -> list[Json]:
        """An event with its head; it happens a second after the one before, unless it says when."""
        if "occurred_at" not in body:
            self.instant += timedelta(seconds=1)
        event = {"event_id": f"e{len(self.sent) + 1}", "occurred_at": rfc3339(self.instant), **body}
        payload = json.dumps(event).encode()
        outputs = self.process(payload)
        self.sent[event["event_id"]] = (payload, outputs)
        return outputs

    def newest(self, topic: str, key: str) -> Json | None:
        """The newest record of a key on a topic, None also for a tombstone."""
        found = [each for each in self.records if (each["topic"], each["key"]) == (topic, key)]
        return {"record": found[-1]["type"], **found[-1]["value"]} if found and found[-1]["value"] else None


def _plain(output: Mapping[str, object]) -> Json:
    plain: Json = json.loads(json.dumps(output))
    return plain


def rfc3339(instant: datetime) -> str:
    """As events write instants."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def play(case: Case) -> list[Answer]:
    """Plays a case: one answer for each line that expects something, and for each that had a dead letter unexpected."""
    return play_into(Ledger(), case)


def play_into(ledger: Ledger, case: Case) -> list[Answer]:
    """The same in a ledger of the caller's, who then has all that came out."""
    answers = [answer for line in case.lines if (answer := _played(line, ledger)) is not None]
    if ledger.unpublished:
        raise LedgerError(f"{ledger.unpublished}: a setting among the events counts only with `publish` behind it")
    return answers


def _played(line: Line, ledger: Ledger) -> Answer | None:
    words = Words(line.text, ledger.instant.date())
    verb = words.next("a verb")
    try:
        if verb in SETTINGS:
            SETTINGS[verb](words, ledger.document)
            words.end()
            ledger.unpublished = line.place if ledger.host is not None else ""
            return None
        if verb in TOPIC_AND_KIND:
            return _asked(line, verb, words, ledger)
        if verb in VERBS or verb in SPECIAL:
            return _happened(line, verb, words, ledger)
        every = {**SETTINGS, **TOPIC_AND_KIND, **VERBS, **dict.fromkeys(SPECIAL)}
        raise Misread(f"does not understand {verb!r}; {did_you_mean(verb, every)}")
    except Misread as misread:
        raise LedgerError(f"{line.place}: {misread}") from None


def _asked(line: Line, verb: str, words: Words, ledger: Ledger) -> Answer:
    if line.expectation is None:
        raise Misread(f"{verb!r} asks and so must expect: put | and what should come behind it")
    topic, kind = TOPIC_AND_KIND[verb]
    expected = c.claim_of_query(Words(line.expectation, words.today), kind)
    value = _value_asked_for(verb, topic, words, ledger)
    codes: list[str] = []
    if value is not None and kind is c.HOLD:
        codes = [reason["code"] for reason in value["reasons"]]
    if value is not None and kind is c.DECISION:
        codes = value["reasons"]
    return Answer(line, (expected,), (c.fact(kind, value, codes=codes),))


def _value_asked_for(verb: str, topic: str, words: Words, ledger: Ledger) -> Json | None:
    key = words.next("what is asked for")
    value = ledger.newest(topic, key)
    if verb == "saw":
        rule = words.next("the rule")
        words.end()
        return next((seen for seen in (value or {"rules": []})["rules"] if seen["rule_id"] == rule), None)
    words.end()
    if value is not None and verb == "hold":
        value["gone"] = [reason["code"] for reason in value["reasons"] if not reason["still_valid"]]
        value["rules"] = [reason["rule_id"] for reason in value["reasons"] if reason["rule_id"]]
    if value is not None and verb == "journal_of":
        value["limits"] = [each["credit_limit"] for each in value["lines"]]
    return value


def _happened(line: Line, verb: str, words: Words, ledger: Ledger) -> Answer | None:
    send = VERBS_OF_THEIR_OWN.get(verb, _send_event)
    own_order, outputs, repeated = send(verb, words, ledger)
    if line.expectation is None:
        expected: tuple[Claim, ...] = ()
        facts = tuple(_dead_letters(outputs))
        return Answer(line, expected, facts) if facts else None
    if line.expectation == "same":
        if repeated is None:
            raise Misread("only `repeat` can be the same as before")
        return Answer(line, (_as_a_whole(_decisions_only(repeated)),), (_as_a_whole(outputs),))
    expected = c.claims_after_event(Words(line.expectation, words.today), own_order)
    return Answer(line, expected, (*_decisions(outputs), *_dead_letters(outputs)))


def _as_a_whole(outputs: Sequence[Json]) -> Claim:
    return Claim("put_out", figures={"records": json.dumps(outputs)})


def _decisions_only(outputs: Sequence[Json]) -> list[Json]:
    return [each for each in outputs if each["topic"] == "credit.decisions"]


def _decisions(outputs: Sequence[Json]) -> Iterator[Claim]:
    """The decisions; what stays on hold after an evaluation may be said again or not."""
    for value in (each["value"] for each in _decisions_only(outputs)):
        if (value["verdict"], value["cause"]) != ("on_hold", "evaluation"):
            yield c.fact(c.DECISION, value, value["order_id"], value["reasons"])


def _dead_letters(outputs: Sequence[Json]) -> Iterator[Claim]:
    for each in outputs:
        if each["topic"] == "credit.dead-letters":
            yield c.fact(c.DEAD, each["value"], codes=[each["value"]["reason"]])


Sent = tuple[str, list[Json], list[Json] | None]
"""The order that the line is about or empty text, what came out, and for a repeat what had come out before."""


def _send_event(verb: str, words: Words, ledger: Ledger) -> Sent:
    body = _whole(VERBS[verb].read(words), verb, words, ledger)
    return str(body.get("order_id", "")), ledger.send(body), None


def _whole(body: Json, verb: str, words: Words, ledger: Ledger) -> Json:
    """The event with all that the line leaves out."""
    kind = body["type"]
    order_ids = body.get("order_ids", [])
    if kind == "ForceHold" and order_ids:
        body["order_id"] = body.pop("order_ids")[0]
    whole: Json = {"legal_entity": LEGAL_ENTITY, **({"actor": "ana"} if verb in COMMANDS else {})}
    if kind in DATE_OF_EVENT:
        whole[DATE_OF_EVENT[kind]] = words.today.isoformat()
    whole |= {**DEFAULTS.get(kind, {}), **body}
    for settled in whole.get("settlements", []):
        settled.setdefault("amount", whole.get("amount"))
    if kind not in NO_CUSTOMER and (kind not in ONE_CUSTOMER or order_ids):
        whole.setdefault("customer_id", _customer(whole, order_ids, ledger))
        _remember(whole, ledger)
    return whole


def _customer(body: Json, order_ids: Sequence[str], ledger: Ledger) -> str:
    settled = [settlement["invoice_id"] for settlement in body.get("settlements", [])]
    ids = [body.get(name) for name in ("order_id", "invoice_id", "payment_id", "policy_id")]
    known = [ledger.customer_of[each] for each in (*ids, *settled, *order_ids) if each in ledger.customer_of]
    return known[0] if known else FIRST_CUSTOMER


def _remember(body: Json, ledger: Ledger) -> None:
    for name in ("order_id", "invoice_id", "payment_id", "policy_id"):
        if name in body:
            ledger.customer_of.setdefault(body[name], body["customer_id"])


def _day(_: str, words: Words, ledger: Ledger) -> Sent:
    """`day 2026-03-05`: the clock goes to nine in the morning of that day, UTC."""
    return _move_clock(f"{words.next('a date')}T09:00:00Z", words, ledger)


def _tick(_: str, words: Words, ledger: Ledger) -> Sent:
    """`tick 2026-03-05T03:00:00Z`."""
    return _move_clock(words.next("an instant"), words, ledger)


def _move_clock(instant: str, words: Words, ledger: Ledger) -> Sent:
    words.end()
    try:
        ledger.instant = datetime.fromisoformat(instant)
    except ValueError as error:
        raise Misread(f"{instant!r}: {error}") from None
    return "", ledger.send({"type": "ClockTicked", "instant": instant, "occurred_at": instant}), None


def _publish(_: str, words: Words, ledger: Ledger) -> Sent:
    """`publish`: the settings as the lines so far make them, as the next version."""
    words.end()
    ledger.unpublished = ""
    ledger.version += 1
    event = {"type": "SettingsPublished", "version": ledger.version, "document": json.dumps(ledger.document)}
    return "", ledger.send(event), None


def _repeat(_: str, words: Words, ledger: Ledger) -> Sent:
    """`repeat e3`: the event with this id once more, byte for byte."""
    event_id = words.next("the id of an event")
    words.end()
    if event_id not in ledger.sent:
        raise Misread(f"no event has the id {event_id!r}")
    payload, before = ledger.sent[event_id]
    return "", ledger.process(payload), before


def _raw(_: str, words: Words, ledger: Ledger) -> Sent:
    """`raw TEXT`: the rest of the line as it stands."""
    return "", ledger.process(words.rest().encode()), None


VERBS_OF_THEIR_OWN: Mapping[str, Callable[[str, Words, Ledger], Sent]] = {
    "day": _day,
    "tick": _tick,
    "publish": _publish,
    "repeat": _repeat,
    "raw": _raw,
}


# --- comparing --------------------------------------------------------------------------------------------------


def faults(answers: Sequence[Answer]) -> list[str]:
    """What does not hold, with file and line."""
    return [
        f"{answer.line.place}: {answer.line.text} | {difference}"
        for answer in answers
        for difference in c.differences(answer.expected, answer.facts)
    ]
