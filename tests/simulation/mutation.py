"""How a variant is broken on purpose, registered, and caught: the test of the test.

A mutant is a function that breaks one thing while it is entered, with a name that says what is broken. A new one needs
nothing but its decorator. `catch` runs seeds until one fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice

from tests.simulation.run import Outcome, run

Mutant = Callable[[], AbstractContextManager[None]]

MUTANTS: dict[str, Mutant] = {}


def mutant(breaking: Callable[[], Iterator[None]]) -> Mutant:
    """Registers a mutant under its name."""
    made = contextmanager(breaking)
    MUTANTS[breaking.__name__] = made
    return made


def catch(name: str, seeds: Iterator[int], seeds_max: int) -> Outcome | None:
    """The first seed that finds the mutant out; None when it lives."""
    with MUTANTS[name]():
        for seed in islice(seeds, seeds_max):
            outcome = run(seed)
            if outcome.findings:
                return outcome
    return None
