"""A worker's beginning, the same under both hosts: looks at the cluster, takes the state directory, makes the tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from credit_stream.core.topics import STATE
from credit_stream.engine.ports import Clock
from credit_stream.engine.task import BatchLimits, Program
from credit_stream.hosts.clock import SystemClock
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import WrongTopics, kafka_failure
from credit_stream.hosts.kafka.metrics import WorkerMetrics
from credit_stream.hosts.kafka.partitions import Partitions
from credit_stream.hosts.kafka.registry import program_for
from credit_stream.hosts.kafka.state import Origin, Say, StateDirectory
from credit_stream.hosts.kafka.topics import inspect

LIMITS = BatchLimits(inputs_max=5_000, bytes_max=8 * 1024 * 1024, linger_ms=100)
"""A batch ends as soon as nothing waits, so the linger bounds only how long one may grow in a backlog: with 10 ms the
brokers were busier with transactions than the worker with inputs, and half as many came through (measured)."""
ANSWER_SECONDS_MAX = 30.0


def begin(
    connection: Connection,
    state: Path,
    *,
    say: Say,
    on_failure: Callable[[BaseException], None] | None = None,
    program: Program | None = None,
    clock: Clock | None = None,
    limits: BatchLimits = LIMITS,
    ticking: bool = True,
    metrics: WorkerMetrics | None = None,
) -> Partitions:
    """The partitions of this worker, of which it has none yet.

    `program`: the credit decisions, with the framing that the connection asks for, unless another is given.
    `say` is told in sentences what was found and done about the state directory and the topics. Raises `WrongTopics`,
    `DirectoryInUse` and other `HostFailure`s.
    """
    found = inspect(connection)
    if found.faults or found.partitions is None:
        raise WrongTopics(found.faults)
    for warning in found.warnings:
        say(warning)
    program = program or program_for(connection)
    directory = StateDirectory(state, _origin(connection), say)
    return Partitions(
        connection,
        found.partitions,
        directory,
        program,
        clock or SystemClock(),
        metrics=metrics,
        limits=limits,
        ticking=ticking,
        say=say,
        on_failure=on_failure,
    )


def _origin(connection: Connection) -> Origin:
    """A topic that was deleted and made again has the same name and another id."""
    settings: dict[str, Any] = {**connection.client()}
    name = connection.topic(STATE)
    admin = AdminClient(settings, logger=QUIET)
    try:
        cluster = admin.describe_cluster(request_timeout=ANSWER_SECONDS_MAX).result()
        asked = admin.describe_topics(TopicCollection([name]), request_timeout=ANSWER_SECONDS_MAX)
        topic = asked[name].result()
    except KafkaException as error:
        raise kafka_failure("asking for the changelog", error.args[0], connection) from error
    return Origin(cluster=str(cluster.cluster_id), changelog=f"{name}/{topic.topic_id}")
