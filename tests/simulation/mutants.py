"""All broken variants, each of which must be caught (`mutation` says how)."""

from __future__ import annotations

from tests.simulation import core_mutants, engine_mutants, group_mutants
from tests.simulation.mutation import MUTANTS, catch

__all__ = ["MUTANTS", "catch", "core_mutants", "engine_mutants", "group_mutants"]
