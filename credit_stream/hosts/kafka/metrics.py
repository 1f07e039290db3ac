"""Prometheus metrics of a worker. Each is described in `docs/metrics.md`."""

from __future__ import annotations

from collections import Counter as Sums
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from credit_stream.core.outputs import CreditDecision, DeadLetter
from credit_stream.engine.checkpoint import Checkpoint
from credit_stream.engine.sequence import Run

CHECKPOINT_BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
BATCH_BUCKETS = (1, 5, 20, 100, 500, 1_000, 2_000)


class WorkerMetrics:
    """All that a worker counts since its start, and how far it is behind."""

    def __init__(self) -> None:
        # Else every counter has a second series beside it that says when the process began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.events = Counter("credit_stream_events", "Inputs taken.", ["topic"], registry=registry)
        self.decisions = Counter("credit_stream_decisions", "Decisions.", ["verdict"], registry=registry)
        self.dead_letters = Counter("credit_stream_dead_letters", "Dead letters.", ["reason"], registry=registry)
        self.batch = Histogram(
            "credit_stream_batch_events", "Inputs in a checkpoint.", buckets=BATCH_BUCKETS, registry=registry
        )
        self.checkpoint_seconds = Histogram(
            "credit_stream_checkpoint_seconds",
            "From the end of a batch until its checkpoint was visible and stored.",
            buckets=CHECKPOINT_BUCKETS_SECONDS,
            registry=registry,
        )
        self.aborts = Counter("credit_stream_transaction_aborts", "Transactions tried again.", registry=registry)
        self.restored_rows = Counter("credit_stream_restored_rows", "Rows from the changelog.", registry=registry)
        self.lag = Gauge("credit_stream_lag_events", "Events in the topics, not taken yet.", registry=registry)
        self.lag_seconds = Gauge("credit_stream_lag_seconds", "Age of the event that waits longest.", registry=registry)
        self.restoring = Gauge("credit_stream_partitions_restoring", "Partitions being restored.", registry=registry)
        self.owned = Gauge("credit_stream_partitions_owned", "Partitions that are at work.", registry=registry)
        self.restore_progress = Gauge(
            "credit_stream_restore_progress", "Share of the changelog read.", ["partition"], registry=registry
        )
        self.before_scrape: list[Callable[[], None]] = []
        """Called before the metrics are read, to bring the gauges up to date."""

    def count(self, checkpoint: Checkpoint, seconds: float) -> None:
        """A checkpoint was made, and took so long.

        Summed up before the metrics are told: each call takes a lock, and one for each decision took 3 % of a worker.
        """
        events: Sums[str] = Sums()
        for entry in checkpoint.sequence.taken:
            if isinstance(entry, Run):
                events[entry.topic] += entry.count
        _add(self.events, events)
        if events:
            self.batch.observe(events.total())
        self.checkpoint_seconds.observe(seconds)
        records = [publication.record for publication in checkpoint.publications]
        _add(self.decisions, Sums(each.verdict for each in records if isinstance(each, CreditDecision)))
        _add(self.dead_letters, Sums(each.reason for each in records if isinstance(each, DeadLetter)))

    def text(self) -> bytes:
        """The metrics as Prometheus scrapes them."""
        for bring_up_to_date in self.before_scrape:
            bring_up_to_date()
        return generate_latest(self.registry)


def _add(counter: Counter, sums: Sums[str]) -> None:
    for label, count in sums.items():
        counter.labels(label).inc(count)
