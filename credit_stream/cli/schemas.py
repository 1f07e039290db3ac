"""`credit-stream schemas`: whether the schemas go with what was released, and putting them into a registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from credit_stream.cli.commands import SuggestingGroup
from credit_stream.cli.faults import FAULTS_SHOWN_MAX, BadInput, RunFailed
from credit_stream.cli.kafka_options import KafkaOptions, kafka_failures

if TYPE_CHECKING:
    from credit_stream.hosts.kafka.registry import Registration
    from credit_stream.wire.compatibility import Incompatibility

UNASKED_BROKERS = "localhost:9092"
"""A connection has brokers. The registry is not on them, so nobody need know them to register schemas."""


@click.group(name="schemas", cls=SuggestingGroup, epilog="\b\nExample:\n  credit-stream schemas check")
def command() -> None:
    """Compare the Avro schemas with the last release, and register them."""


@command.command(epilog="\b\nExample:\n  credit-stream schemas check\n  credit-stream schemas check --json")
@click.option(
    "--schemas",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with .avsc files; those of this program if not given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON object.")
def check(folder: Path | None, as_json: bool) -> None:
    """Compare the schemas with those of every release, both ways, and print what does not go together.

    What a release wrote must stay readable, its readers must be able to read what is written now, and the names stay.

    Exit status: 0 if all goes together, 1 if not.
    """
    from credit_stream.wire.released import last_release, released_schemas

    try:
        from credit_stream.wire.compatibility import incompatibilities
    except ImportError:
        raise RunFailed("Apache's avro package, which compares schemas, is not installed: pip install avro") from None
    present = _schemas_in(folder)
    found = incompatibilities(present, released_schemas())
    if as_json:
        listed = msgspec.to_builtins(found)
        click.echo(json.dumps({"ok": not found, "last_release": last_release(), "incompatibilities": listed}))
    elif not found:
        click.echo(f"{len(present)} schemas go with every release up to {last_release()}")
    else:
        _tell(found)
    if found:
        raise SystemExit(1)


def _schemas_in(folder: Path | None) -> dict[str, str]:
    """The text of each schema by the name of its record."""
    from credit_stream.wire.schemas import schema_folder

    files = (folder or schema_folder()).iterdir()
    texts = {file.name: file.read_text(encoding="utf-8") for file in files if file.name.endswith(".avsc")}
    if not texts:
        raise BadInput(f"{folder} has no .avsc files; name the folder schemas of a checkout")
    for name, text in texts.items():
        _refuse_rubbish(name, text)
    return {name.removesuffix(".avsc"): text for name, text in sorted(texts.items())}


def _refuse_rubbish(name: str, text: str) -> None:
    from avro.errors import AvroException
    from avro.schema import parse

    try:
        parse(text)
    except AvroException as error:
        raise BadInput(f"{name} is no Avro schema: {error}") from None


def _tell(found: list[Incompatibility]) -> None:
    for each in found[:FAULTS_SHOWN_MAX]:
        click.echo(each.sentence())
    if len(found) > FAULTS_SHOWN_MAX:
        click.echo(f"and {len(found) - FAULTS_SHOWN_MAX} more")
    number = "1 thing does" if len(found) == 1 else f"{len(found)} things do"
    click.echo(f"{number} not go with what was released; only a new optional field with a default does", err=True)


@command.command(
    epilog="\b\nExample:\n"
    "  credit-stream schemas register --schema-registry http://localhost:8081\n"
    "  credit-stream schemas register --connection kafka.toml --json"
)
@click.option(
    "--connection",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A connection file (TOML), for the login at the registry.  [env: CREDIT_STREAM_CONNECTION]",
)
@click.option("--schema-registry", metavar="URL", help="The schema registry.  [env: CREDIT_STREAM_SCHEMA_REGISTRY]")
@click.option("--json", "as_json", is_flag=True, help="Print the ids as one JSON object.")
def register(connection: Path | None, schema_registry: str | None, as_json: bool) -> None:
    """Put the schema of every record into a registry, under the name of the record; harmless when they are there.

    Exit status: 1 if the registry refuses one, because versions of it that are there do not go with it.
    """
    options = KafkaOptions(connection, UNASKED_BROKERS, schema_registry)
    registered = _register(options)
    if as_json:
        listed = [{"subject": each.subject, "id": each.schema_id, "new": each.is_new} for each in registered]
        click.echo(json.dumps({"schemas": listed}))
        return
    new = [each for each in registered if each.is_new]
    for each in new:
        click.echo(f"{each.subject}: id {each.schema_id}")
    click.echo(f"{len(new)} schemas registered; {len(registered) - len(new)} were there")


def _register(options: KafkaOptions) -> list[Registration]:
    from credit_stream.cli.progress import Progress
    from credit_stream.wire.records import RECORD_TYPES

    connection = options.connection()
    if not connection.schema_registry:
        raise BadInput("No schema registry is named: give --schema-registry URL")
    with kafka_failures(), Progress("registering", len(RECORD_TYPES)) as progress:
        from credit_stream.hosts.kafka.registry import register_all

        return register_all(connection, on_progress=progress.show)
