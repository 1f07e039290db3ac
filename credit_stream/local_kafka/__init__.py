"""A real Kafka and a real schema registry on this machine, from packages: for the demo, tests and benchmarks.

Nothing has to be installed for it: the jars come from a Maven repository, the Java runtime from a Python package, and
both are kept in a cache directory. Not for production: see `docker-compose.yml` and `deploy/` for that.
"""

from __future__ import annotations

from credit_stream.local_kafka.cluster import LocalKafka
from credit_stream.local_kafka.failures import LocalKafkaFailed, LocalKafkaUnavailable
from credit_stream.local_kafka.preparation import prepare
from credit_stream.local_kafka.registry import LocalRegistry

__all__ = ["LocalKafka", "LocalKafkaFailed", "LocalKafkaUnavailable", "LocalRegistry", "prepare"]
