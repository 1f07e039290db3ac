"""The company's luck: one seeded source of chance, drawn from in the order of time.

Only `Random.random()` is used, with additions and multiplications of doubles on top: these give the same figures on
every platform and Python version, which `Random.choice`, `shuffle` or `math.log` do not promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Draws; `roll()` is a double in [0, 1)."""

    __slots__ = ("roll",)

    def __init__(self, seed: int) -> None:
        self.roll = Random(seed).random

    def happens(self, share: float) -> bool:
        """True in `share` of the cases, 0 never, 1 always."""
        return self.roll() < share

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.roll() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.roll() * len(options))]

    def pick_by_share(self, options: Sequence[T], shares: Sequence[float]) -> T:
        """One of the options by shares that add up to 1; the last takes what rounding leaves."""
        rest = self.roll()
        for option, share in zip(options, shares, strict=True):
            rest -= share
            if rest < 0:
                return option
        return options[-1]
