"""`credit-stream worker`: one worker of a Kafka cluster, on librdkafka (interface section 5)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from credit_stream.cli.kafka_options import KafkaOptions, kafka_failures, kafka_options

if TYPE_CHECKING:
    from credit_stream.hosts.kafka.connection import Connection


@click.command(
    epilog="\b\nExample:\n"
    "  credit-stream topics create --brokers localhost:9092 --partitions 6\n"
    "  credit-stream worker --brokers localhost:9092 --state worker-1\n"
    "  credit-stream worker --brokers localhost:9092 --state worker-2     (in another terminal)"
)
@kafka_options
@click.option(
    "--state",
    required=True,
    envvar="CREDIT_STREAM_STATE",
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of this worker's rows, a copy of what lies in Kafka. One for each worker.",
)
@click.option(
    "--member",
    metavar="NAME",
    help="A name that outlives restarts (static membership): a worker back within the session disturbs no other.",
)
@click.option(
    "--session-seconds",
    default=10,
    show_default=True,
    type=click.IntRange(1, 1_800),
    help="So long after a worker was killed its partitions go to others; the brokers set bounds to it.",
)
@click.option("--probe-host", default="127.0.0.1", show_default=True, help="Where /metrics, /health and /ready listen.")
@click.option("--probe-port", type=click.IntRange(0, 65_535), help="Their port, 0 for a free one; none if not given.")
def command(
    kafka: KafkaOptions,
    state: Path,
    member: str | None,
    session_seconds: int,
    probe_host: str,
    probe_port: int | None,
) -> None:
    """Run one worker: it takes its share of the partitions, decides, and publishes exactly once.

    Start as many as there are partitions, or fewer. Ends with Ctrl-C or SIGTERM after the checkpoints that are on their
    way; killed at any moment, nothing is lost or doubled. Its log on stderr is one JSON object a line.
    """
    with kafka_failures():
        _run(kafka.connection(), state, member, session_seconds, probe_host, probe_port)


def _run(
    connection: Connection,
    state: Path,
    member: str | None,
    session_seconds: int,
    probe_host: str,
    probe_port: int | None,
) -> None:
    from credit_stream.hosts.garbage import leave_garbage_alone
    from credit_stream.hosts.kafka.probes import Probes
    from credit_stream.hosts.kafka.worker import begin
    from credit_stream.hosts.librdkafka import LibrdkafkaHost
    from credit_stream.service.logs import Log

    log = Log()
    log.take_libraries()
    partitions = begin(connection, state, say=lambda sentence: log.warning("noticed", message=sentence))
    probes = None if probe_port is None else Probes(partitions, probe_host, probe_port)
    host = LibrdkafkaHost(connection, partitions, member, session_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: host.stop())
    leave_garbage_alone()
    log.info("started", partitions=partitions.partitions, probes=None if probes is None else probes.url)
    try:
        host.run()
    except BaseException as error:
        _die(log, error)
    log.info("stopped")


def _die(log: object, error: BaseException) -> None:
    """Ends at once: what is on its way is settled by whoever takes the partitions over, and waiting helps nobody."""
    from credit_stream.hosts.failures import HostFailure
    from credit_stream.service.logs import Log

    assert isinstance(log, Log)
    if isinstance(error, HostFailure):
        log.error("failed", message=str(error), kind=type(error).__name__)
    else:
        log.crash("crashed", error)
    sys.stderr.flush()
    os._exit(1)
