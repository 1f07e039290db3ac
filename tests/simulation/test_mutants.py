"""The simulator can fail: an engine or a core that is broken in one way is found out."""

from __future__ import annotations

from itertools import count

import pytest

from tests.every_decision import EXPLAINER
from tests.simulation.mutants import MUTANTS, catch

FIRST_SEED = 5_000
"""Fixed, so that what is caught today is caught tomorrow. `python -m tests.simulation --mutants --first N`: others."""
SEEDS_MAX = 60


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_variant_is_caught(name: str) -> None:
    """Within a bounded number of seeds, by what it did and not by where it is broken."""
    with EXPLAINER.overlooking():
        outcome = catch(name, count(FIRST_SEED), SEEDS_MAX)
    assert outcome is not None, f"{name} lives after {SEEDS_MAX} seeds from {FIRST_SEED} on"
    print(outcome)
