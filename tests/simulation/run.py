"""One seed from its first event to the verdict: the world is run, replayed and audited."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests import auditing
from tests.simulation.audit import Audit
from tests.simulation.history import Replay
from tests.simulation.world import World

EVENTS = 150
"""That upstream sends in an average run; what it opens and closes with comes on top."""
FINDINGS_MAX = 12
UNDER_WAY = frozenset({"asked", "asked_at", "waiting", "reservations"})
"""Tables of what is asked of groups, and granted by them, and not heard of since."""


@dataclass
class Outcome:
    """What a seed was and what was wrong. No `findings`: all is well."""

    seed: int
    events: int = 0
    """That the run was made with."""
    steps: int = 0
    inputs: int = 0
    decisions: int = 0
    exposures: int = 0
    outputs: int = 0
    checkpoints: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        """Runs this seed alone."""
        size = "" if self.events == EVENTS else f" --events {self.events}"
        return f"python -m tests.simulation --seed {self.seed}{size}"

    def __str__(self) -> str:
        """For people, when something was wrong."""
        return "\n".join([f"seed {self.seed} failed; alone: {self.command}", *(f"  {text}" for text in self.findings)])


def run(seed: int, events: int = EVENTS, *, with_auditor: bool = True) -> Outcome:
    """Runs a seed. The same seed is the same run, step by step. `with_auditor`: the second model looks at it too."""
    world = World(seed, events)
    world.run()
    outcome = Outcome(seed, events, world.steps, faults=dict(world.faults), findings=list(world.troubles))
    if not world.troubles:
        _examine(world, outcome, auditing.Auditing(world.partitions) if with_auditor else None)
    return outcome


def _examine(world: World, outcome: Outcome, auditor: auditing.Auditing | None) -> None:
    """Everything that was committed is computed again and looked at."""
    replay, audit = Replay(world.brokers), Audit(world.partitions)
    told: list[str] = []
    for inputs in replay:
        for taken in inputs:
            audit.take(taken)
            if auditor is not None and len(told) < FINDINGS_MAX:
                told += auditor.take(taken)
        if world.plan.strict:
            audit.check_strictly()
    replay.compare_stores(world.stores())
    audit.close()
    if world.plan.strict and world.plan.document["parameters"]["automatic_release"] != "off":
        audit.check_strictly_at_the_end()
    outcome.inputs, outcome.decisions, outcome.exposures = audit.inputs, audit.decisions, audit.exposures
    outcome.outputs, outcome.checkpoints = replay.outputs, replay.checkpoints
    outcome.findings += (replay.differences + audit.findings + told + _left_over(replay))[:FINDINGS_MAX]


def _left_over(replay: Replay) -> list[str]:
    """Rows that say that something is still under way, though nothing is."""
    return [
        f"partition {partition} still has {len(under)} rows of {table} under {parent!r}"
        for partition, rows in enumerate(replay.rows)
        for (table, parent), under in rows.items()
        if table in UNDER_WAY
    ]
