"""The options that every command shares which talks to Kafka, and how its failures end a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click
from msgspec import Struct

from credit_stream.cli.faults import BadInput, RunFailed, bad_inputs

if TYPE_CHECKING:
    from credit_stream.hosts.kafka.connection import Connection
    from credit_stream.wire.avro import SchemaOfId

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS = (
    click.option(
        "--connection",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="How to reach Kafka (TOML), secrets included.  [env: CREDIT_STREAM_CONNECTION]",
    ),
    click.option("--brokers", metavar="HOST:PORT,...", help="Kafka's brokers.  [env: CREDIT_STREAM_BROKERS]"),
    click.option("--schema-registry", metavar="URL", help="The schema registry.  [env: CREDIT_STREAM_SCHEMA_REGISTRY]"),
    click.option(
        "--application-id",
        metavar="NAME",
        help="Consumer group and begin of the transactional ids; credit-stream if not given.",
    ),
    click.option("--topic-prefix", metavar="TEXT", help="What stands before the name of every topic."),
)


class KafkaOptions(Struct, frozen=True):
    """What was given on the command line; None where nothing was."""

    connection_file: Path | None = None
    brokers: str | None = None
    schema_registry: str | None = None
    application_id: str | None = None
    topic_prefix: str | None = None

    @property
    def names_a_cluster(self) -> bool:
        """Whether a cluster is meant, by these options themselves."""
        return self.connection_file is not None or self.brokers is not None

    @property
    def given(self) -> list[str]:
        """The options that were given."""
        named = {
            "--connection": self.connection_file,
            "--brokers": self.brokers,
            "--schema-registry": self.schema_registry,
            "--application-id": self.application_id,
            "--topic-prefix": self.topic_prefix,
        }
        return [name for name, value in named.items() if value is not None]

    def connection(self) -> Connection:
        """The connection that options, environment and file say together. Raises BadInput with every fault."""
        from credit_stream.hosts.kafka.configuration import read_connection
        from credit_stream.hosts.kafka.failures import BadConnection

        options = {
            "brokers": self.brokers,
            "schema_registry": self.schema_registry,
            "application_id": self.application_id,
            "topic_prefix": self.topic_prefix,
        }
        try:
            return read_connection(self.connection_file, options=options)
        except BadConnection as failure:
            raise bad_inputs(failure.faults) from None


def kafka_options(command: Callable[P, R]) -> Callable[..., R]:
    """Gives a command the shared options, as one argument `kafka`."""

    @wraps(command)
    def collected(
        *args: object,
        connection: Path | None,
        brokers: str | None,
        schema_registry: str | None,
        application_id: str | None,
        topic_prefix: str | None,
        **kwargs: object,
    ) -> R:
        kafka = KafkaOptions(connection, brokers, schema_registry, application_id, topic_prefix)
        return command(*args, kafka=kafka, **kwargs)  # type: ignore[arg-type]

    decorated: Callable[..., R] = collected
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


@contextmanager
def kafka_failures() -> Iterator[None]:
    """Ends a command with what went wrong between us and Kafka; exit status 1, or 2 where settings are to be mended."""
    from credit_stream.hosts.failures import HostFailure
    from credit_stream.hosts.kafka.failures import BadConnection, client_missing

    try:
        yield
    except BadConnection as failure:
        raise bad_inputs(failure.faults) from None
    except HostFailure as failure:
        # Those about topics and schemas list what is to be mended.
        raise RunFailed(bad_inputs(getattr(failure, "faults", [str(failure)])).message) from None
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in ("confluent_kafka", "aiokafka", "faust"):
            raise RunFailed(str(client_missing())) from None
        raise


@contextmanager
def known_schemas(connection: Connection) -> Iterator[SchemaOfId | None]:
    """What a command that reads asks for a schema; None without a registry."""
    if not connection.schema_registry:
        yield None
        return
    from credit_stream.hosts.kafka.registry import COMMAND_SECONDS_MAX, Registry

    with Registry(connection, COMMAND_SECONDS_MAX) as registry:
        yield registry.schema_of_id


def is_kafka_meant(kafka: KafkaOptions, url: str | None) -> bool:
    """Whether a command that can talk to either is to talk to Kafka. Raises BadInput where both are named."""
    from credit_stream.hosts.kafka.configuration import is_configured

    if url is not None and kafka.given:
        raise BadInput(f"--url is a system that `serve` runs, {kafka.given[0]} is for Kafka: give one of them")
    return url is None and (kafka.names_a_cluster or is_configured())
