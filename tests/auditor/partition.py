"""One partition as the second model has it, and what one event must lead to there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from tests.auditor import forms
from tests.auditor.books import Rates
from tests.auditor.facts import Customer
from tests.auditor.pool import Group
from tests.auditor.rulebook import RuleBook

Event = dict[str, Any]
Value = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY = EPOCH.date()
NUMBERED = ("credit.group-requests", "credit.group-answers")
"""What tells by its own numbers what was here before."""
OWN_IDS = (forms.SETTINGS, "credit.postings")
"""Topics whose event ids are a name space of their own."""


class Refused(Exception):
    """The event is a dead letter; the reason is its text."""


@dataclass
class Journal:
    """A limit adjustment journal with its lines as they came."""

    journal_id: str
    journal_type: str
    lines: list[Value]
    status: str = "draft"


@dataclass
class Expected:
    """What one event must lead to. Of compacted streams the last record of a key counts."""

    decisions: list[Value] = field(default_factory=list)
    holds: dict[str, Value | None] = field(default_factory=dict)
    exposures: dict[str, list[Value]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Keys of exposures that get a tombstone."""
    told: list[Value] = field(default_factory=list)
    """What other tasks must be told: answers of groups, and lines of journals."""
    faults: list[tuple[str, Any, Any]] = field(default_factory=list)
    """What did not follow from the books: text, what must be, what is."""
    limits: list[Value] = field(default_factory=list)
    journals: dict[str, Value] = field(default_factory=dict)
    dead: list[tuple[str | None, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    repeated: str | None = None
    loose: set[str] = field(default_factory=set)
    """Keys about which this model does not say everything."""


@dataclass
class Part:
    """One partition: its clock, its settings, how many inputs of each topic it took."""

    number: int
    book: RuleBook
    rates: Rates = field(default_factory=Rates)
    now: datetime = EPOCH
    today: date = FIRST_DAY
    taken: Counter[str] = field(default_factory=Counter)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys((forms.INVOICES, forms.PAYMENTS), -1))
    """The newest offset whose event was accepted."""
    newest: datetime | None = None
    customers: dict[str, Customer] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    published: int = 0
    """The version of the settings that were published last."""
    next_journal: int = 1
    seen: dict[tuple[str, str], str] = field(default_factory=dict)
