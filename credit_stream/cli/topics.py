"""`credit-stream topics`: makes and checks the topics on Kafka, and prints what is in them."""

from __future__ import annotations

import json
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from credit_stream.cli.commands import SuggestingGroup
from credit_stream.cli.faults import RunFailed
from credit_stream.cli.kafka_options import KafkaOptions, kafka_failures, kafka_options, known_schemas

if TYPE_CHECKING:
    from credit_stream.hosts.kafka.connection import Connection
    from credit_stream.hosts.kafka.reading import Record
    from credit_stream.hosts.kafka.topics import Created, Inspection
    from credit_stream.wire.avro import SchemaOfId

PARTITIONS_MAX = 1_024
REPLICATION_MAX = 15


@click.group(
    name="topics",
    cls=SuggestingGroup,
    epilog="\b\nExample:\n  credit-stream topics create --brokers localhost:9092 --partitions 6",
)
def command() -> None:
    """Make and check the topics on Kafka, and print what is in them."""


@command.command(
    epilog="\b\nExample:\n"
    "  credit-stream topics create --brokers localhost:9092\n"
    "  credit-stream topics create --connection kafka.toml --partitions 12 --replication 3"
)
@kafka_options
@click.option(
    "--partitions",
    type=click.IntRange(1, PARTITIONS_MAX),
    help="Of new topics; 6 if there are none yet. At most so many workers share the work, and it stays for good.",
)
@click.option(
    "--replication",
    type=click.IntRange(1, REPLICATION_MAX),
    help="Copies of each record; 3 if there are so many brokers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one JSON object.")
def create(kafka: KafkaOptions, partitions: int | None, replication: int | None, as_json: bool) -> None:
    """Make the topics that are missing and leave the others as they are; with a schema registry the schemas too.

    Exit status: 1 if after that a topic is not as the workers need it.
    """
    connection = kafka.connection()
    with kafka_failures():
        from credit_stream.hosts.kafka import topics

        created = topics.create(connection, partitions, replication)
        schemas = _register(connection)
    if as_json:
        click.echo(json.dumps({**_created_json(created), "schemas": schemas}))
    else:
        _tell_created(created, connection.topic_prefix)
        if schemas is not None:
            click.echo(f"{schemas['made']} schemas registered; {schemas['left']} were there")
    _end_with(created.inspection)


@command.command(
    epilog="\b\nExample:\n"
    "  credit-stream topics check --brokers localhost:9092\n"
    "  credit-stream topics check --connection kafka.toml --json"
)
@kafka_options
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON object.")
def check(kafka: KafkaOptions, as_json: bool) -> None:
    """Check partitions, compaction, retention and copies of all topics, as every worker does before it begins.

    Exit status: 0 without faults, 1 with.
    """
    connection = kafka.connection()
    with kafka_failures():
        from credit_stream.hosts.kafka import topics

        inspection = topics.inspect(connection)
    if as_json:
        click.echo(json.dumps(_inspection_json(inspection)))
    else:
        _tell(inspection)
        if not inspection.faults:
            click.echo(f"{len(topics.TOPICS)} topics, {inspection.partitions} partitions: no faults")
    _end_with(inspection)


@command.command(
    epilog="\b\nExample:\n"
    "  credit-stream topics tail credit.decisions --brokers localhost:9092 --follow\n"
    "  credit-stream topics tail credit.decisions --brokers localhost:9092 --count 1 | credit-stream explain -"
)
@click.argument("streams", nargs=-1, required=True, metavar="TOPIC...")
@kafka_options
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--follow", is_flag=True, help="Go on with what comes later, until Ctrl-C.")
def tail(streams: tuple[str, ...], kafka: KafkaOptions, count: int | None, follow: bool) -> None:
    """Print the records of TOPICs as JSON Lines, from the oldest on; only what is committed.

    Outputs are printed as `process` prints them, inputs as `send` takes them. Names are without the prefix.
    """
    connection = kafka.connection()
    _check_streams(streams)
    printed = unreadable = 0
    with kafka_failures(), suppress(*([KeyboardInterrupt] if follow else [])):
        from credit_stream.hosts.kafka.reading import TopicReader

        with known_schemas(connection) as schemas, TopicReader(connection, streams) as reader:
            for record in reader.records(follow=follow):
                try:
                    printed += _print(record, schemas, flush=follow)
                except _NotReadable as reason:
                    unreadable += 1
                    click.echo(f"{record.place}: {reason}", err=True)
                if printed == count:
                    break
    if unreadable:
        raise RunFailed(f"{unreadable:,} records are none of credit-stream's; see above")


def _register(connection: Connection) -> dict[str, int] | None:
    """How many schemas the registry had not, and how many it had; None without a registry."""
    if not connection.schema_registry:
        return None
    from credit_stream.hosts.kafka.registry import register_all

    registered = register_all(connection)
    made = sum(each.is_new for each in registered)
    return {"made": made, "left": len(registered) - made}


# --- what is told of topics -------------------------------------------------------------------------------------


def _tell_created(created: Created, prefix: str) -> None:
    partitions, copies = created.partitions, "1 copy" if created.replication == 1 else f"{created.replication} copies"
    if created.made:
        click.echo(f"made {len(created.made)} topics with {partitions} partitions and {copies}:")
        for stream in created.made:
            click.echo(f"  {prefix}{stream}")
    if created.left:
        click.echo(f"{len(created.left)} topics were there and are left as they are")
    _tell(created.inspection)


def _tell(inspection: Inspection) -> None:
    for fault in inspection.faults:
        click.echo(f"fault: {fault}")
    for warning in inspection.warnings:
        click.echo(f"warning: {warning}")


def _created_json(created: Created) -> dict[str, object]:
    return {
        "replication": created.replication,
        "made": created.made,
        "left": created.left,
        **_inspection_json(created.inspection),
    }


def _inspection_json(inspection: Inspection) -> dict[str, object]:
    return {
        "ok": not inspection.faults,
        "partitions": inspection.partitions,
        "faults": inspection.faults,
        "warnings": inspection.warnings,
    }


def _end_with(inspection: Inspection) -> None:
    if inspection.faults:
        number = "1 fault" if len(inspection.faults) == 1 else f"{len(inspection.faults)} faults"
        raise RunFailed(f"{number}; no worker begins with these topics")


# --- records as lines -------------------------------------------------------------------------------------------


class _NotReadable(Exception):
    """A record that no program of ours has written."""


def _check_streams(streams: tuple[str, ...]) -> None:
    from credit_stream.core.topics import INPUT_TOPICS, TOPIC_OF_OUTPUT

    known = [*INPUT_TOPICS, *dict.fromkeys(TOPIC_OF_OUTPUT.values())]
    for stream in streams:
        if stream not in known:
            close = get_close_matches(stream, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(known)}"
            raise click.BadParameter(f"there is no topic '{stream}' to print; {hint}", param_hint="TOPIC")


def _print(record: Record, schemas: SchemaOfId | None, *, flush: bool) -> bool:
    """Prints one record; False for one that another line stands for."""
    from credit_stream.core.topics import INPUT_TOPICS

    line = _input_line(record, schemas) if record.stream in INPUT_TOPICS else _output_line(record, schemas)
    if line is None:
        return False
    out = click.get_binary_stream("stdout")
    out.write(line)
    if flush:
        out.flush()
    return True


def _output_line(record: Record, schemas: SchemaOfId | None) -> bytes:
    from credit_stream.cli.json_out import output_line
    from credit_stream.core.topics import TOPIC_OF_OUTPUT
    from credit_stream.wire.avro import decode
    from credit_stream.wire.faults import Refused

    key = (record.key or b"").decode("utf-8", "replace")
    if record.value is None:
        return output_line(record.stream, key, None)
    try:
        found = decode(record.value, schemas)
    except Refused as refused:
        raise _NotReadable(refused.fault.message) from None
    if TOPIC_OF_OUTPUT.get(type(found)) != record.stream:
        raise _NotReadable(f"a {type(found).__name__} does not belong on this topic")
    return output_line(record.stream, key, found)  # type: ignore[arg-type]


def _input_line(record: Record, schemas: SchemaOfId | None) -> bytes | None:
    """What goes to every partition is printed once, from the first: `send` would spread it again."""
    from credit_stream.core.topics import BROADCAST_TOPICS
    from credit_stream.wire.faults import Fault
    from credit_stream.wire.json_lines import event_to_json
    from credit_stream.wire.keys import target_of
    from credit_stream.wire.read import read_event

    event = read_event(record.value or b"", schema_of_id=schemas)
    if isinstance(event, Fault):
        raise _NotReadable(event.message)
    if record.partition != 0 and record.stream not in BROADCAST_TOPICS and target_of(event) == "all":
        return None
    return json.dumps(event_to_json(event)).encode() + b"\n"
