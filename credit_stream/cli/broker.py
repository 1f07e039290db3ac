"""`credit-stream broker`: a Kafka of one broker on this machine, to try things on (design section 7)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from credit_stream.cli.faults import RunFailed
from credit_stream.cli.foreground import ended_by_signals, stay
from credit_stream.cli.kafka_options import kafka_failures
from credit_stream.cli.waiting import Waiting

if TYPE_CHECKING:
    from credit_stream.local_kafka import LocalKafka, LocalRegistry

PORT_MAX = 65_535


@click.command(
    epilog="\b\nExample:\n"
    "  credit-stream broker\n"
    "  credit-stream broker --port 9093 --data kafka-data --registry-port 8081"
)
@click.option("--port", type=click.IntRange(0, PORT_MAX), default=9092, show_default=True, help="0 takes a free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where topics are kept for the next start; without it they go when the broker ends.",
)
@click.option(
    "--registry-port",
    type=click.IntRange(0, PORT_MAX),
    help="A schema registry too, at this port, 0 for a free one; it forgets all when it ends.",
)
def command(port: int, data: Path | None, registry_port: int | None) -> None:
    """Run a Kafka broker on this machine until Ctrl-C, to try things on; not for production.

    A real Kafka, alone: one copy of each record, no login, and it listens to this machine only. Java comes with
    credit-stream[local-kafka]; Kafka's own packages are fetched the first time and kept.
    """
    with kafka_failures(), local_kafka_failures(), ExitStack() as started:
        _run(started, port, data, registry_port)


def _run(started: ExitStack, port: int, data: Path | None, registry_port: int | None) -> None:
    from credit_stream.local_kafka import LocalKafka, LocalRegistry

    started.enter_context(ended_by_signals())
    registry: LocalRegistry | None = None
    try:
        if data is not None:
            started.enter_context(take_directory(data))
        with Waiting("starting Kafka") as waiting:
            kafka = started.enter_context(LocalKafka(directory=data, port=port, say=waiting.say))
        if registry_port is not None:
            with Waiting("starting the registry") as waiting:
                registry = started.enter_context(LocalRegistry(waiting.say, port=registry_port))
        _announce(kafka, registry, data)
        stay(lambda: _look_after(kafka, registry))
    except KeyboardInterrupt:
        click.echo("Stopping" if data is None else f"Stopping; {data} keeps the topics")


def take_directory(directory: Path) -> BinaryIO:
    """The directory for this process alone, as long as what is returned is open."""
    from credit_stream.hosts.directory import take_lock

    try:
        directory.mkdir(parents=True, exist_ok=True)
        return take_lock(directory)
    except OSError as error:
        raise RunFailed(f"{directory} cannot be written ({error.strerror}); give another directory") from None


def _announce(kafka: LocalKafka, registry: LocalRegistry | None, data: Path | None) -> None:
    click.echo(f"brokers {kafka.bootstrap}")
    if registry is not None:
        click.echo(f"schema registry {registry.url}")
    click.echo(f"To try things on, not for production: one broker (process {kafka.pid()}), no copies, no login.")
    click.echo("What is written goes when it ends." if data is None else f"Topics are kept in {data}.")
    click.echo("Ctrl-C ends it.")


def _look_after(kafka: LocalKafka, registry: LocalRegistry | None) -> None:
    from credit_stream.local_kafka import LocalKafkaFailed

    if not kafka.running:
        raise LocalKafkaFailed(f"the broker has ended by itself.\n{kafka.last_lines()}")
    if registry is not None and registry.pid is None:
        raise LocalKafkaFailed("the schema registry has ended by itself")


@contextmanager
def local_kafka_failures() -> Iterator[None]:
    """Ends a command with what keeps a Kafka of this machine from running; exit status 1."""
    from credit_stream.local_kafka import LocalKafkaFailed, LocalKafkaUnavailable

    try:
        yield
    except LocalKafkaUnavailable as error:
        raise RunFailed(f"Kafka cannot be had on this machine: {error}") from None
    except LocalKafkaFailed as error:
        raise RunFailed(str(error)) from None
