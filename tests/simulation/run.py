"""One seed from its first event to the verdict: the world is run, replayed and audited."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.audit import Audit
from tests.simulation.history import Replay
from tests.simulation.world import World

EVENTS = 150
"""That upstream sends in an average run; what it opens and closes with comes on top."""


@dataclass
class Outcome:
    """What a seed was and what was wrong. No `findings`: all is well."""

    seed: int
    steps: int = 0
    inputs: int = 0
    decisions: int = 0
    exposures: int = 0
    outputs: int = 0
    checkpoints: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def run(seed: int, events: int = EVENTS) -> Outcome:
    """Runs a seed. The same seed is the same run, step by step."""
    world = World(seed, events)
    world.run()
    outcome = Outcome(seed, world.steps, faults=dict(world.faults), findings=list(world.troubles))
    if world.troubles:
        return outcome
    replay, audit = Replay(world.brokers), Audit(world.partitions)
    for inputs in replay:
        for taken in inputs:
            audit.take(taken)
        if world.plan.strict:
            audit.check_strictly()
    replay.compare_stores(world.stores())
    audit.close()
    outcome.inputs, outcome.decisions, outcome.exposures = audit.inputs, audit.decisions, audit.exposures
    outcome.outputs, outcome.checkpoints = replay.outputs, replay.checkpoints
    outcome.findings += replay.differences + audit.findings
    return outcome
