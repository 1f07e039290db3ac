"""What every test here shares: nothing is left out unnoticed, every decision proves itself, and random tests say how to
repeat them.

A test that lacks a part that not every machine has (shared data, a broker, a browser) calls `pytest.skip` with the
reason. `make test` lists every such reason at its end. With CREDIT_STREAM_REQUIRE_ALL=1, as in `.ci/run`, leaving out
is a failure.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.every_decision import EXPLAINER, watch

REQUIRE_ALL = "CREDIT_STREAM_REQUIRE_ALL"
SEED = "CREDIT_STREAM_SEED"
ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("here", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

left_out: pytest.StashKey[Counter[str]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Begins the count of what is left out, and to explain every decision."""
    config.stash[left_out] = Counter()
    config.add_cleanup(watch())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Counts a skipped test, or fails it where everything is required; fails one whose decisions are not proven."""
    report = yield
    note_left_out(item.config, report)
    note_contradictions(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """As for a test, for a whole file that is skipped while it is imported."""
    report = yield
    note_left_out(collector.config, report)
    return report


def note_left_out(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    """An expected failure is reported as skipped too, and is none."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if os.environ.get(REQUIRE_ALL) == "1":
        report.outcome = "failed"
        report.longrepr = f"left out though {REQUIRE_ALL}=1 requires everything: {reason}"
        return
    config.stash[left_out][reason] += 1


def note_contradictions(report: pytest.TestReport) -> None:
    """A decision that does not follow from its own figures fails a test that is expected to fail, too (spec 11)."""
    faults = EXPLAINER.take_faults()
    if faults and report.outcome != "failed":
        report.outcome = "failed"
        report.longrepr = "a decision contradicts itself:\n\n" + "\n\n".join(faults)
        vars(report).pop("wasxfail", None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says how many decisions were explained, and plainly what was left out and why."""
    if EXPLAINER.decisions:
        terminalreporter.write_line(f"{EXPLAINER.decisions:,} decisions explained from their own bytes")
    counts = config.stash[left_out]
    if not counts:
        return
    terminalreporter.section("left out")
    for reason, count in sorted(counts.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"left out: {tests}: {reason}")


@pytest.fixture
def seed() -> int:
    """The seed of a random test: printed when it fails, taken back from CREDIT_STREAM_SEED."""
    given = os.environ.get(SEED)
    chosen = int(given) if given else random.SystemRandom().randrange(2**32)
    print(f"to repeat: {SEED}={chosen}")
    return chosen


@pytest.fixture
def shared() -> Iterator[Path]:
    """The folder with the conformance vectors and the real data, which lies beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder `shared` with vectors and data does not lie beside the repository")
    yield folder
