"""What is said of an input that cannot be read or accepted (spec 12)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

FaultReason = Literal["unreadable", "invalid"]
QUOTED_CHARS_MAX = 60
"""How much of a value that somebody sent is repeated in a sentence."""


class Fault(Struct, frozen=True):
    """Why bytes did not become an event, as data.

    `message` says what was wrong, where, and what to do. `event_id` and `event_type` are there if they could be told,
    though nothing else of the event could be used.
    """

    reason: FaultReason
    message: str
    event_id: str | None = None
    event_type: str | None = None


class Refused(Exception):
    """Carries a `Fault` from where it was found to where the bytes came in."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Unreadable(Refused):
    """No Avro of a known schema, or no JSON object."""

    def __init__(self, message: str) -> None:
        super().__init__(Fault("unreadable", message))


class Invalid(Refused):
    """Readable, but a field is not as interface section 1 and 2 say."""

    def __init__(self, message: str, event_id: str | None = None, event_type: str | None = None) -> None:
        super().__init__(Fault("invalid", message, event_id, event_type))


class Misfit(Exception):
    """A value that its field does not take: `problem` goes on from "Field x of T ...".

    Whoever knows in which field the value stands puts the name in front, so that `place` grows from the inside out.
    """

    def __init__(self, problem: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place

    def within(self, name: str | int) -> Misfit:
        """The same fault as seen from outside: in the field or at the index `name`."""
        return Misfit(self.problem, (name, *self.place))

    def sentence(self, record_name: str) -> str:
        """The whole sentence: "Field lines[1].amount of CreateLimitJournal is missing."."""
        subject = f"Field {_path(self.place)} of {record_name}" if self.place else record_name
        return f"{subject} {self.problem}{'' if self.problem.endswith('?') else '.'}"


def quoted(value: str) -> str:
    """The value in quotes, on one line and cut to a readable length."""
    cut = value[:QUOTED_CHARS_MAX]
    shown = f"'{cut}'" if cut.isprintable() else ascii(cut)
    return shown if cut == value else f"{shown[:-1]}...'"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'amount'?` for the nearest known name, or nothing when none is near."""
    if len(name) > QUOTED_CHARS_MAX:
        return ""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {quoted(near[0])}?" if near else ""


def _path(place: tuple[str | int, ...]) -> str:
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if part.isidentifier() and len(part) <= QUOTED_CHARS_MAX else f"[{quoted(part)}]"
    return path.removeprefix(".")
