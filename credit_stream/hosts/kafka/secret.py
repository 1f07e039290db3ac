"""A password or key that no log, message or dump shows."""

from __future__ import annotations

from dataclasses import dataclass

MASK = "********"


@dataclass(frozen=True, init=False, repr=False)
class Secret:
    """Text that is shown as `********` wherever it is printed, formatted or turned into JSON.

    It is a dataclass because JSON encoders know those: msgspec and `dataclasses.asdict` write the field `masked`, and
    leave out what begins with an underscore.
    """

    masked: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "masked", MASK if text else "")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """The text itself, for the client that needs it and for nobody else."""
        text: str = self.__dict__["_text"]
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __bool__(self) -> bool:
        return bool(self.masked)

    def __repr__(self) -> str:
        return f"Secret({self.masked!r})"

    def __str__(self) -> str:
        return self.masked


NO_SECRET = Secret("")
