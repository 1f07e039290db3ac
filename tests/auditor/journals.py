"""Limit adjustment journals, and their lines where their customers and groups are (spec 8)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from tests.auditor import forms
from tests.auditor.facts import Customer, TemporaryLimit
from tests.auditor.money import minor
from tests.auditor.partition import Event, Journal, Part, Refused, Value
from tests.auditor.pool import Group

if TYPE_CHECKING:
    from tests.auditor.world import World


def created(world: World, event: Event, part: Part) -> None:
    """`CreateLimitJournal`."""
    journal_id = event.get("journal_id") or str(part.next_journal)
    if journal_id in part.journals:
        raise Refused("invalid")
    journal = Journal(journal_id, event["journal_type"], [])
    journal.lines = [line_of(journal, line) for line in event.get("lines") or ()]
    if not event.get("journal_id"):
        part.next_journal += 1
    part.journals[journal_id] = journal
    show_journal(world, journal)


def line_of(journal: Journal, line: Value) -> Value:
    """A line that may stand in a journal (8.2)."""
    fields = {"customer_id", "group_id", "credit_limit", "currency", "expires_on", "from_date", "to_date", "reason"}
    currency = line.get("currency")
    if set(line) - fields or bool(line.get("customer_id")) == bool(line.get("group_id")):
        raise Refused("invalid")
    amount = minor(line.get("credit_limit"), currency) if forms.is_currency(currency) else None
    if amount is None or amount < 0:
        raise Refused("invalid")
    first, last, expires = line.get("from_date"), line.get("to_date"), line.get("expires_on")
    if any(day is not None and not forms.is_date(day) for day in (first, last, expires)):
        raise Refused("invalid")
    if journal.journal_type == "credit_limit":
        good = expires is not None and first is None and last is None
    else:
        good = first is not None and last is not None and first <= last and expires is None
    if not good:
        raise Refused("invalid")
    return line


def show_journal(world: World, journal: Journal) -> None:
    """The journal as it must be published."""
    lines = [
        {"line": number, "customer_id": line.get("customer_id"), "group_id": line.get("group_id")}
        | {"credit_limit": line["credit_limit"], "currency": line["currency"], "expires_on": line.get("expires_on")}
        | {"from_date": line.get("from_date"), "to_date": line.get("to_date"), "reason": line.get("reason")}
        for number, line in enumerate(journal.lines, 1)
    ]
    kind = {"journal_id": journal.journal_id, "journal_type": journal.journal_type, "status": journal.status}
    world.expected.journals[journal.journal_id] = kind | {"lines": lines}


def known_journal(event: Event, part: Part) -> Journal:
    """A journal that still changes."""
    journal = part.journals.get(event["journal_id"])
    if journal is None:
        raise Refused("unknown_reference")
    if journal.status == "posted":
        raise Refused("invalid")
    return journal


def lines_added(world: World, event: Event, part: Part) -> None:
    """`AddJournalLines`."""
    journal = known_journal(event, part)
    journal.lines = journal.lines + [line_of(journal, line) for line in event["lines"]]
    show_journal(world, journal)


def lines_removed(world: World, event: Event, part: Part) -> None:
    """`RemoveJournalLines`."""
    journal = known_journal(event, part)
    numbers = event["line_numbers"]
    if any(not 1 <= number <= len(journal.lines) for number in numbers):
        raise Refused("unknown_reference")
    journal.lines = [line for number, line in enumerate(journal.lines, 1) if number not in numbers]
    show_journal(world, journal)


def generated(world: World, event: Event, part: Part) -> None:
    """`GenerateJournalLines`: the lines are taken from what is published, `Auditor` brings them."""
    known_journal(event, part)
    world.expected.loose.add("*")


def journal_posted(world: World, event: Event, part: Part) -> None:
    """`PostLimitJournal` (8.4): every line is applied; a line that cannot be is a dead letter of its own."""
    journal = known_journal(event, part)
    if part.book.limit_approval:
        world.expected.loose.add("*")
        return
    journal.status = "posted"
    show_journal(world, journal)
    fields = ("customer_id", "group_id", "credit_limit", "currency", "expires_on", "from_date", "to_date", "reason")
    for number, line in enumerate(journal.lines, 1):
        kind = "JournalLinePosted" if line.get("customer_id") else "GroupLimitPosted"
        value = {"type": kind, "journal_id": journal.journal_id, "journal_type": journal.journal_type, "line": number}
        value |= {"actor": event["actor"]} | {name: line[name] for name in fields if line.get(name)}
        world.expected.told.append(value)


def line_posted(world: World, event: Event, part: Part) -> None:
    """`JournalLinePosted`, `GroupLimitPosted`: one line, where its customer or group is (8.4)."""
    party: Customer | Group | None
    if event.get("customer_id"):
        party = world.customer(part, event["customer_id"])
        party = party if party.profile is not None else None
    else:
        party = part.groups.get(event["group_id"])
        party = party if party is not None and party.is_known else None
    if party is None or party.currency != event["currency"]:
        raise Refused("unknown_reference" if party is None else "invalid")
    old, amount = party.limit, minor(event["credit_limit"], event["currency"]) or 0
    if event["journal_type"] == "credit_limit":
        party.limit, party.expires = amount, date.fromisoformat(event["expires_on"])
    else:
        first, last = date.fromisoformat(event["from_date"]), date.fromisoformat(event["to_date"])
        count = len(party.temporary)
        party.temporary.append(TemporaryLimit(amount, first, last, count, event["journal_id"], event["line"]))
    value = {"type": "LimitChanged", "old_limit": world.show(party, old), "new_limit": world.show(party, amount)}
    value |= {name: event.get(name) for name in ("expires_on", "from_date", "to_date", "actor", "reason")}
    value |= {"journal_id": event["journal_id"], "line": event["line"]}
    world.expected.limits.append(value | world.party_of(party))
    if isinstance(party, Group):
        world.touched_groups.add(party.group_id)
        party.freed = True
    elif part.book["evaluate_on"] == "event":
        world.to_evaluate[party.customer_id] = party
