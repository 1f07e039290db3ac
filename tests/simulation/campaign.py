"""Many seeds, and what they came to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context

from tests.simulation.run import Outcome, run

SEEDS_AT_ONCE = 8
"""That a process gets to do in one piece."""
FIGURES = ("steps", "inputs", "decisions", "exposures", "outputs", "checkpoints")


class Campaign:
    """What all seeds together were."""

    def __init__(self) -> None:
        self.seeds = 0
        self.figures: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.failed: list[Outcome] = []
        self._began = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.seeds += 1
        self.figures.update({name: getattr(outcome, name) for name in FIGURES})
        self.faults.update(outcome.faults)
        if outcome.findings:
            self.failed.append(outcome)

    def text(self) -> str:
        """For people."""
        figures = self.figures
        faults = ", ".join(f"{name} {count:,}" for name, count in sorted(self.faults.items())) or "none"
        return "\n".join(
            [
                f"{self.seeds:,} seeds in {time.monotonic() - self._began:.0f} s, {len(self.failed)} failed",
                f"  {figures['steps']:,} steps, {figures['checkpoints']:,} checkpoints",
                f"  checked: {figures['inputs']:,} events taken, {figures['decisions']:,} decisions, "
                f"{figures['exposures']:,} exposures, {figures['outputs']:,} outputs byte for byte",
                f"  faults: {faults}",
                *(f"  failed: {outcome.command}" for outcome in self.failed),
            ]
        )


def outcomes(seeds: Iterable[int], way: Callable[[int], Outcome] = run, jobs: int = 1) -> Iterator[Outcome]:
    """Runs the seeds in this way, here or in so many processes."""
    if jobs == 1:
        yield from map(way, seeds)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(way, seeds, SEEDS_AT_ONCE)


def conduct(
    seeds: Iterable[int], way: Callable[[int], Outcome], jobs: int, failures_max: int, say: Callable[[str], None]
) -> Campaign:
    """Runs the seeds until so many have failed; `say` is told of each that has."""
    campaign = Campaign()
    for outcome in outcomes(seeds, way, jobs):
        campaign.add(outcome)
        if outcome.findings:
            say(str(outcome))
        if len(campaign.failed) >= failures_max:
            break
        if campaign.seeds % 500 == 0:
            say(f"{campaign.seeds:,} seeds, {len(campaign.failed)} failed")
    return campaign
