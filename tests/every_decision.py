"""Every decision that any test makes in this process is explained from its own bytes, and must prove itself (spec 11).

`watch` looks over the core's shoulder, whichever host runs it; `conftest.py` fails the test in which a decision did not
prove itself. Decisions of programs of their own (workers, `serve`) are read back by the tests that start those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from credit_stream.cli.proof import contradictions
from credit_stream.cli.words import explained
from credit_stream.core.outputs import CreditDecision
from credit_stream.core.work import Work
from credit_stream.wire.avro import decode, encode_output

FAULTS_SHOWN_MAX = 5


class Explainer:
    """Counts the decisions that it explained, and keeps what did not follow from the newest."""

    def __init__(self) -> None:
        self.decisions = 0
        self.faults: list[str] = []

    def explain(self, decision: CreditDecision) -> None:
        """From the bytes that others read, in words and by making again what follows."""
        self.decisions += 1
        read = decode(encode_output(decision))
        assert isinstance(read, CreditDecision)
        words, found = explained(read), contradictions(read)
        if found and len(self.faults) < FAULTS_SHOWN_MAX:
            self.faults.append("\n".join([*words, "", *found]))

    def take_faults(self) -> list[str]:
        """What was found since it was last asked."""
        found, self.faults = self.faults, []
        return found

    @contextmanager
    def overlooking(self) -> Iterator[None]:
        """For tests that break the core on purpose: what its decisions then say is not their question."""
        kept = self.take_faults()
        try:
            yield
        finally:
            self.faults = kept


EXPLAINER = Explainer()


def watch() -> Callable[[], None]:
    """From now on every decision of the core is explained; what is returned ends that."""
    decide = Work.decide

    def decide_and_explain(work: Work, decision: CreditDecision) -> None:
        decide(work, decision)
        EXPLAINER.explain(decision)

    Work.decide = decide_and_explain  # type: ignore[method-assign]

    def end() -> None:
        Work.decide = decide  # type: ignore[method-assign]

    return end
