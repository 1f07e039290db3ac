"""Faust's sensors as Prometheus metrics, in the registry of the worker. Each is described in `docs/metrics.md`."""

from __future__ import annotations

import time
from typing import Any

from faust.sensors import Sensor
from faust.types import TP, AppT, EventT, StreamT
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS

REBALANCE_BUCKETS_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class PrometheusSensor(Sensor):
    """What happens between the consumer and the agents. What is decided and committed, `WorkerMetrics` counts."""

    def __init__(self, registry: CollectorRegistry, connection: Connection) -> None:
        super().__init__()
        self.received = Counter(
            "credit_stream_faust_received", "Records that agents were given.", ["topic"], registry=registry
        )
        self.buffer_full = Counter(
            "credit_stream_faust_buffer_full",
            "Times that fetching a partition was stopped because an agent did not keep up.",
            ["topic"],
            registry=registry,
        )
        self.rebalances = Counter("credit_stream_faust_rebalances", "Rebalances of the group.", registry=registry)
        self.join_seconds = Histogram(
            "credit_stream_faust_join_seconds",
            "From partitions being taken away until the group has given new ones.",
            buckets=REBALANCE_BUCKETS_SECONDS,
            registry=registry,
        )
        self.rebalance_seconds = Histogram(
            "credit_stream_faust_rebalance_seconds",
            "From partitions being taken away until records come again, restoring goes on beside it.",
            buckets=REBALANCE_BUCKETS_SECONDS,
            registry=registry,
        )
        self.is_rebalancing = Gauge(
            "credit_stream_faust_rebalancing", "1 while the partitions are being shared out anew.", registry=registry
        )
        # Looked up once: by its labels a counter is found in 5 us, and this is done for every record.
        self._received = {connection.topic(stream): self.received.labels(stream) for stream in GROUP_TOPICS}
        self._buffer_full = {connection.topic(stream): self.buffer_full.labels(stream) for stream in GROUP_TOPICS}

    def on_stream_event_in(self, tp: TP, offset: int, stream: StreamT[Any], event: EventT[Any]) -> None:
        """An agent is given an event."""
        self._received[tp.topic].inc()

    def on_topic_buffer_full(self, tp: TP) -> None:
        """The queue of an agent is nearly full."""
        self._buffer_full[tp.topic].inc()

    def on_rebalance_start(self, app: AppT) -> dict[str, float]:
        """Partitions are being taken away; Faust gives this back at the later stages."""
        self.rebalances.inc()
        self.is_rebalancing.set(1)
        return {"began": time.monotonic()}

    def on_rebalance_return(self, app: AppT, state: dict[str, float]) -> None:
        """The group has given partitions."""
        self.join_seconds.observe(time.monotonic() - state["began"])

    def on_rebalance_end(self, app: AppT, state: dict[str, float]) -> None:
        """Records come again."""
        self.rebalance_seconds.observe(time.monotonic() - state["began"])
        self.is_rebalancing.set(0)
