"""Simulates seed after seed; a failing one is printed with the command that runs it alone.

python -m tests.simulation --seeds 200 --first 7000
python -m tests.simulation --seed 7003
python -m tests.simulation --mutants
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from itertools import count

from tests.simulation.campaign import conduct
from tests.simulation.mutants import MUTANTS, catch
from tests.simulation.run import EVENTS, run

MUTANT_SEEDS_MAX = 200


def main() -> int:
    """1 when a seed has failed, or a mutant lives."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--events", type=int, default=EVENTS, help="events of an average run")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--failures", type=int, default=10, help="failing seeds after which to stop")
    parser.add_argument("--without-auditor", action="store_true", help="leave the second model out: faster")
    parser.add_argument("--mutants", action="store_true", help="broken variants instead: each must be caught")
    given = parser.parse_args()
    if given.mutants:
        return _mutants(given.first)
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.seeds)
    way = partial(run, events=given.events, with_auditor=not given.without_auditor)
    campaign = conduct(seeds, way, given.jobs, given.failures, lambda text: print(text, flush=True))
    print(campaign.text())
    return 1 if campaign.failed else 0


def _mutants(first: int) -> int:
    alive = 0
    for name in MUTANTS:
        outcome = catch(name, count(first), MUTANT_SEEDS_MAX)
        alive += outcome is None
        found = "LIVES" if outcome is None else f"seed {outcome.seed}: {outcome.findings[0]}"
        print(f"{name.replace('_', ' ')}\n  {found}", flush=True)
    print(f"{len(MUTANTS)} mutants, {alive} alive")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
