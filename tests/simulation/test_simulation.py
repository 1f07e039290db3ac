"""Whatever happens to workers, disks, brokers and clocks: nothing is lost, nothing doubled, no limit passed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import Campaign
from tests.simulation.run import Outcome, run
from tests.simulation.world import World

SEEDS = int(os.environ.get("CREDIT_STREAM_SIMULATION_SEEDS", "200"))
"""In CI. `make simulate BUDGET=10000` is the long form."""
AUDITED = range(100)
"""Seeds at which the auditor looks too, the same each time: it costs three times the run. By hand it looks at all."""
ROOT = Path(__file__).resolve().parent.parent.parent

FAULTS = (
    "changelog compacted",
    "clock jumped",
    "disk came back old",
    "disk lost",
    "fenced",
    "handed over",
    "interleaved",
    "killed",
    "killed at checkpoint.beginning",
    "killed at checkpoint.committed",
    "killed at checkpoint.offsets_sent",
    "killed at checkpoint.produced",
    "killed at checkpoint.stumbling",
    "killed at restoring",
    "killed at store.writing",
    "killed at store.written",
    "taken over",
    "taken over in a checkpoint",
)
"""Between any two steps of a checkpoint and of a restore, and what else befalls a cluster."""


def test_whatever_happens_every_input_counts_once_and_every_decision_holds(seed: int) -> None:
    """Many worlds, each from its own seed; what was committed is computed again, byte for byte, and audited."""
    campaign = Campaign()
    for number in range(seed, seed + SEEDS):
        outcome = run(number, with_auditor=False)
        campaign.add(outcome)
        if outcome.findings:
            print(outcome)
    print(campaign.text())
    assert not campaign.failed
    assert campaign.figures["decisions"] > 20 * SEEDS
    assert campaign.figures["exposures"] > 20 * SEEDS
    assert SEEDS < 100 or set(FAULTS) <= set(campaign.faults), "some faults never happened"


def test_the_second_model_agrees_with_every_step_of_simulated_worlds() -> None:
    """Decisions, holds, exposures, limits, journals, and all that groups and members tell each other."""
    campaign = Campaign()
    for number in AUDITED:
        campaign.add(run(number))
    assert not campaign.failed, "\n".join(str(outcome) for outcome in campaign.failed)
    assert campaign.figures["decisions"] > 20 * len(AUDITED)


def test_a_seed_is_the_same_run_in_every_process() -> None:
    """Else a seed that has failed could not be run again: not even the order of a set may come in."""
    program = (
        "from tests.simulation.run import run\n"
        "from tests.simulation.world import World\n"
        "print([run(seed) for seed in range(40, 44)])\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert texts == {str([run(seed) for seed in range(40, 44)]) + "\n"}


def test_a_failing_seed_says_how_to_run_it_alone() -> None:
    """As it would be printed."""
    assert str(Outcome(seed=7, events=30, findings=["lost"])) == (
        "seed 7 failed; alone: python -m tests.simulation --seed 7 --events 30\n  lost"
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_that_nobody_injected_is_trouble(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that stops by itself is not taken for one that was killed."""

    def broken(*args: object) -> None:
        raise RuntimeError("a broken invariant")

    monkeypatch.setattr("credit_stream.core.step.step", broken)
    world = World(seed, 20)
    world.run()
    assert "a broken invariant" in world.troubles[0]
