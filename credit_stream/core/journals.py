"""Credit limit adjustment journals (spec 8): drafted, then posted line by line to the customers' partitions.

A journal belongs to the partition of its id, a customer or a credit group to another; so posting sends each line as a
request (`JournalLinePosted`, `GroupLimitPosted`), and the partition that it is about applies it.
"""

from __future__ import annotations

from msgspec import convert
from msgspec.structs import replace as changed

from credit_stream.core import reasons as codes
from credit_stream.core.accounts import Ledger
from credit_stream.core.commands import forbidden
from credit_stream.core.events import (
    AddJournalLines,
    CreateLimitJournal,
    GroupLimitPosted,
    JournalLine,
    JournalLinePosted,
    JournalType,
    PostLimitJournal,
    RemoveJournalLines,
)
from credit_stream.core.outputs import JournalLineState, LimitChanged, LimitJournal
from credit_stream.core.rows import COUNTERS, JOURNALS, Counter, Journal, TemporaryLimit
from credit_stream.core.topics import POSTINGS
from credit_stream.core.view import Publication, Refusal
from credit_stream.core.work import Work

PostedLine = JournalLinePosted | GroupLimitPosted
LINES_MAX = 10_000
"""Lines of one journal: it is published whole."""
TEMPORARY_LIMITS_MAX = 1_000
"""Temporary limits of one customer that are not over yet."""


def create_limit_journal(work: Work, event: CreateLimitJournal) -> Refusal | None:
    """A new draft; without an id it gets the next number."""
    journal_id = event.journal_id or _next_number(work)
    if work.get(JOURNALS, "", journal_id) is not None:
        return Refusal(codes.INVALID, f"Journal {journal_id} is there already: give the new one its own id.")
    if refusal := forbidden(work, event) or _unacceptable(event.journal_type, event.lines):
        return refusal
    _write(work, Journal(journal_id, event.journal_type, event.description, "draft", event.lines))
    return None


def _next_number(work: Work) -> str:
    counter = Counter((work.get(COUNTERS, "", "journals") or Counter()).last + 1)
    work.put(COUNTERS, "", "journals", counter)
    return str(counter.last)


def _unacceptable(journal_type: JournalType, lines: tuple[JournalLine, ...]) -> Refusal | None:
    if len(lines) > LINES_MAX:
        return Refusal(codes.INVALID, f"A journal has at most {LINES_MAX} lines: split it.")
    for number, line in enumerate(lines, 1):
        if fault := _fault_of(journal_type, line):
            return Refusal(codes.INVALID, f"Line {number} of the journal {fault}.")
    return None


def _fault_of(journal_type: JournalType, line: JournalLine) -> str | None:
    if (line.customer_id is None) == (line.group_id is None):
        return "must name a customer or a credit group, and not both"
    if line.credit_limit_minor < 0:
        return "has a negative limit: give one from 0 on"
    if journal_type == "credit_limit" and line.expires_on is None:
        return "needs the new expiry date"
    if journal_type == "temporary_credit_limit":
        if line.from_date is None or line.to_date is None:
            return "needs the first and the last day of the temporary limit"
        if line.from_date > line.to_date:
            return "ends before it begins: mend its dates"
    return None


def add_journal_lines(work: Work, event: AddJournalLines) -> Refusal | None:
    """More lines for a draft."""
    journal = _draft(work, event)
    if isinstance(journal, Refusal):
        return journal
    lines = (*journal.lines, *event.lines)
    if refusal := _unacceptable(journal.journal_type, lines):
        return refusal
    _write(work, changed(journal, lines=lines))
    return None


def remove_journal_lines(work: Work, event: RemoveJournalLines) -> Refusal | None:
    """Takes lines out of a draft; the others are numbered anew from 1."""
    journal = _draft(work, event)
    if isinstance(journal, Refusal):
        return journal
    numbers = frozenset(event.line_numbers)
    if unknown := sorted(number for number in numbers if not 1 <= number <= len(journal.lines)):
        return Refusal(codes.INVALID, f"Journal {journal.journal_id} has no line {unknown[0]}: nothing was removed.")
    left = tuple(line for number, line in enumerate(journal.lines, 1) if number not in numbers)
    _write(work, changed(journal, lines=left))
    return None


def post_limit_journal(work: Work, event: PostLimitJournal) -> Refusal | None:
    """Sends every line to the partition of its customer or group; a posted journal never changes (spec 8.4)."""
    journal = _draft(work, event)
    if isinstance(journal, Refusal):
        return journal
    if work.settings.document.limit_approval.steps:
        return Refusal(
            codes.NOT_ALLOWED, "The settings ask for approval of limits, which this version cannot carry out."
        )
    _write(work, changed(journal, status="posted"))
    for number, line in enumerate(journal.lines, 1):
        key = line.customer_id or line.group_id
        assert key is not None, "checked when the line was drafted"
        work.publications.append(Publication(POSTINGS, key, _request(event, journal, number, line)))
    return None


def _request(
    event: PostLimitJournal, journal: Journal, number: int, line: JournalLine
) -> JournalLinePosted | GroupLimitPosted:
    posted = {
        "event_id": f"{event.event_id}/line/{number}",
        "occurred_at": event.occurred_at,
        "source": event.source,
        "legal_entity": event.legal_entity,
        "actor": event.actor,
        "journal_id": journal.journal_id,
        "journal_type": journal.journal_type,
        "line": number,
        "credit_limit_minor": line.credit_limit_minor,
        "currency": line.currency,
        "expires_on": line.expires_on,
        "from_date": line.from_date,
        "to_date": line.to_date,
        "reason": line.reason,
    }
    if line.customer_id is not None:
        return convert({**posted, "customer_id": line.customer_id}, JournalLinePosted)
    return convert({**posted, "group_id": line.group_id}, GroupLimitPosted)


def _draft(work: Work, event: AddJournalLines | RemoveJournalLines | PostLimitJournal) -> Journal | Refusal:
    journal = work.get(JOURNALS, "", event.journal_id)
    if journal is None:
        return Refusal(
            codes.UNKNOWN_REFERENCE, f"There is no journal {event.journal_id}: create it first, then send this again."
        )
    if journal.status != "draft":
        return Refusal(codes.INVALID, f"Journal {event.journal_id} is {journal.status} and no longer changes.")
    return forbidden(work, event) or journal


def _write(work: Work, journal: Journal) -> None:
    work.put(JOURNALS, "", journal.journal_id, journal)
    lines = tuple(
        JournalLineState(
            line=number,
            customer_id=line.customer_id,
            group_id=line.group_id,
            credit_limit_minor=line.credit_limit_minor,
            currency=line.currency,
            expires_on=line.expires_on,
            from_date=line.from_date,
            to_date=line.to_date,
            reason=line.reason,
            status=journal.status,
        )
        for number, line in enumerate(journal.lines, 1)
    )
    record = LimitJournal(
        journal_id=journal.journal_id,
        journal_type=journal.journal_type,
        description=journal.description,
        status=journal.status,
        lines=lines,
    )
    work.publish(journal.journal_id, record)


# --- in the customer's partition --------------------------------------------------------------------------------


def journal_line_posted(work: Work, ledger: Ledger, event: JournalLinePosted) -> Refusal | None:
    """Applies a posted line: the new limit with its date, or a temporary limit (spec 8.4)."""
    if ledger.profile is None:
        return Refusal(
            codes.UNKNOWN_REFERENCE,
            f"Line {event.line} of journal {event.journal_id} is for {event.customer_id}, "
            f"who has no credit profile: send its CustomerUpdated, then post the line in another journal.",
        )
    if event.currency != ledger.currency:
        return Refusal(
            codes.INVALID,
            f"Line {event.line} of journal {event.journal_id} is in {event.currency}, but the credit "
            f"currency of {event.customer_id} is {ledger.currency}: post it in that.",
        )
    old = ledger.customer.credit_limit_minor
    if event.journal_type == "credit_limit":
        _set_limit(work, ledger, event)
    elif len(ledger.customer.temporary_limits) >= TEMPORARY_LIMITS_MAX:
        return Refusal(codes.INVALID, f"A customer has at most {TEMPORARY_LIMITS_MAX} temporary limits at once.")
    else:
        _add_temporary(work, ledger, event)
    work.publish(event.customer_id, limit_changed(event, old))
    work.free(event.customer_id)
    return None


def _set_limit(work: Work, ledger: Ledger, event: JournalLinePosted) -> None:
    ledger.change_customer(
        changed(
            ledger.customer,
            credit_limit_minor=event.credit_limit_minor,
            credit_limit_date=work.today,
            credit_limit_expires_on=event.expires_on,
        )
    )
    if event.expires_on is not None:
        work.put_on_agenda(event.expires_on + 1, event.customer_id)


def _add_temporary(work: Work, ledger: Ledger, event: JournalLinePosted) -> None:
    limit = temporary_limit(event)
    lasting = [other for other in ledger.customer.temporary_limits if other.to_date >= work.today]
    ledger.change_customer(changed(ledger.customer, temporary_limits=(*lasting, limit)))
    work.put_on_agenda(limit.from_date, event.customer_id)
    work.put_on_agenda(limit.to_date + 1, event.customer_id)


# --- of customers and groups alike ------------------------------------------------------------------------------


def temporary_limit(event: PostedLine) -> TemporaryLimit:
    """The temporary limit that a posted line sets."""
    assert event.from_date is not None and event.to_date is not None, "checked when the line was drafted"
    return TemporaryLimit(event.credit_limit_minor, event.from_date, event.to_date, event.journal_id, event.line)


def limit_changed(event: PostedLine, old_limit_minor: int) -> LimitChanged:
    """What is published of a posted line."""
    return LimitChanged(
        party="group" if isinstance(event, GroupLimitPosted) else "customer",
        customer_id=None if isinstance(event, GroupLimitPosted) else event.customer_id,
        group_id=event.group_id if isinstance(event, GroupLimitPosted) else None,
        currency=event.currency,
        old_limit_minor=old_limit_minor,
        new_limit_minor=event.credit_limit_minor,
        expires_on=event.expires_on,
        from_date=event.from_date,
        to_date=event.to_date,
        journal_id=event.journal_id,
        line=event.line,
        actor=event.actor,
        reason=event.reason,
    )
