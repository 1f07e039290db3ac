"""Prometheus metrics of the service, in a registry of their own. Each is described in `docs/metrics.md`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

DECIDED_BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """All that the service counts since its start."""

    def __init__(self) -> None:
        # Else every counter has a second series beside it that says when the process began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.events = Counter("credit_stream_events", "Lines durably in the log.", ["topic"], registry=registry)
        self.decisions = Counter("credit_stream_decisions", "Decisions.", ["verdict"], registry=registry)
        self.dead_letters = Counter("credit_stream_dead_letters", "Dead letters.", ["reason"], registry=registry)
        self.lag = Gauge("credit_stream_lag_events", "Events in the log, not decided yet.", registry=registry)
        self.held = Gauge("credit_stream_orders_on_hold", "Orders on hold now.", registry=registry)
        self.queued = Gauge("credit_stream_queued_lines", "Posted lines, not in the log yet.", registry=registry)
        self.append_seconds = Histogram(
            "credit_stream_append_seconds",
            "Until a batch of lines was durably in the log.",
            buckets=DECIDED_BUCKETS_SECONDS,
            registry=registry,
        )
        self.decided_seconds = Histogram(
            "credit_stream_decided_seconds",
            "From a batch of lines being in the log until the checkpoint with what they led to.",
            buckets=DECIDED_BUCKETS_SECONDS,
            registry=registry,
        )
        self.requests = Counter("credit_stream_http_requests", "HTTP requests.", ["route", "status"], registry=registry)

    def text(self) -> bytes:
        """The metrics as Prometheus scrapes them."""
        return generate_latest(self.registry)
