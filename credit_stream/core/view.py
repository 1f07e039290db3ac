"""What the core sees of the world, and what it answers: tables of rows, the view of them, the result of a step.

The engine keeps the rows (an overlay over a cache over a store); the core asks for them by typed key and returns what
is to be written. A key is (table, parent, id): `parent` is what rows are listed under (a customer, a day), `id` names
the row in it. Ids of one parent are listed in code-point order, which is the byte order of their UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from credit_stream.core.events import Event
from credit_stream.core.outputs import InputPosition, OutputRecord

R = TypeVar("R", bound=Struct)
Row_co = TypeVar("Row_co", bound=Struct, covariant=True)


class Table(Generic[Row_co]):
    """One kind of row: its name in keys and its type. Every table is declared in `core/rows.py`."""

    __slots__ = ("name", "row_type")

    def __init__(self, name: str, row_type: type[Row_co]) -> None:
        self.name = name
        self.row_type = row_type

    def __repr__(self) -> str:
        return f"Table({self.name})"


Key = tuple[Table[Struct], str, str]


class NotAtHand(Struct, frozen=True):
    """What stands for a row that has to be looked for; None would say that there is no such row."""


NOT_AT_HAND = NotAtHand()


class View(Protocol):
    """The rows of one partition, as they are before a step, and reference data."""

    @property
    def currencies(self) -> Mapping[str, int]:
        """Decimals of every ISO 4217 currency that amounts may be in: EUR 2, JPY 0, KWD 3."""

    @property
    def at_hand(self) -> Mapping[Key, Struct | None]:
        """The rows that need not be looked for; None where it is known that there is none.

        A step asks for six rows and more, and most of them it meets here: a look into a dict is no Python call.
        """

    def get(self, table: Table[R], parent: str, row_id: str) -> R | None:
        """The row wherever it is, or None when there is none."""

    def ids(self, table: Table[R], parent: str) -> Sequence[str]:
        """The ids of all rows under the parent, in code-point order."""


class Publication(Struct, frozen=True, gc=False):
    """A record to be published: an output, a tombstone (None), or a request, an event for another task."""

    topic: str
    key: str
    record: OutputRecord | Event | None


class Refusal(Struct, frozen=True, gc=False):
    """Why an input was not accepted: a reason code of spec 12 and a sentence that says what to do."""

    reason: str
    message: str


class LateRefusal(Struct, frozen=True, gc=False):
    """An event that was taken before, waited for a credit group's answer, and then was not accepted."""

    event: Event
    position: InputPosition
    refusal: Refusal


class StepResult(Struct, frozen=True):
    """What one input led to.

    `writes` maps keys to new rows, None deletes. `publications` stand in the order in which they arose.
    With a `refusal` the engine adds a dead letter with the input's bytes; there may be writes beside it
    (spec 8.1: a refused limit, of which the rest counts). For each `late` one it adds one with that event's.
    """

    writes: dict[Key, Struct | None]
    publications: list[Publication]
    refusal: Refusal | None
    late: Sequence[LateRefusal] = ()
