"""`credit-stream settings`: every fault of a settings file before it is published, and publishing it (spec 12)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from credit_stream.cli.commands import SuggestingGroup
from credit_stream.cli.faults import FAULTS_SHOWN_MAX, bad_inputs
from credit_stream.cli.kafka_options import KafkaOptions, kafka_failures, kafka_options
from credit_stream.cli.settings_file import read_settings

if TYPE_CHECKING:
    from credit_stream.hosts.kafka.connection import Connection


@click.group(name="settings", cls=SuggestingGroup, epilog="\b\nExample:\n  credit-stream settings check credit.toml")
def command() -> None:
    """Check a settings file, and publish it."""


@command.command(
    epilog="\b\nExample:\n  credit-stream settings check credit.toml\n  credit-stream settings check credit.toml --json"
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the faults as one JSON object.")
def check(file: Path, as_json: bool) -> None:
    """Check the settings in FILE as a whole and print every fault with its place.

    Exit status: 0 without faults, 2 with.
    """
    _, faults = read_settings(file)
    if as_json:
        listed = [{"place": fault.place, "message": fault.message} for fault in faults]
        click.echo(json.dumps({"file": str(file), "ok": not faults, "faults": listed}, ensure_ascii=False))
    elif not faults:
        click.echo(f"{file}: no faults")
    else:
        for fault in faults[:FAULTS_SHOWN_MAX]:
            click.echo(f"{file}: {fault.place}: {fault.message}")
        click.echo(
            f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}; these settings cannot take effect", err=True
        )
    if faults:
        raise SystemExit(2)


@command.command(
    epilog="\b\nExample:\n"
    "  credit-stream settings publish credit.toml --brokers localhost:9092 --actor ana --comment 'grace of 5 days'"
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@kafka_options
@click.option("--actor", help="Who publishes them.")
@click.option("--comment", default="", help="Why.")
@click.option(
    "--at",
    callback=lambda context, parameter, text: None if text is None else _past_instant(text),
    metavar="INSTANT",
    help="Since when they are in force where a history is decided anew (2026-01-01T00:00:00Z).  [default: now]",
)
def publish(file: Path, kafka: KafkaOptions, actor: str | None, comment: str, at: int | None) -> None:
    """Publish the settings in FILE on Kafka as the next version, if they are not in force already.

    They are checked first, as a whole. Every partition takes them at its own place in the stream, and its decisions say
    with which version they were made. (`credit-stream serve --settings FILE` does the same on one machine.)

    A worker that begins over older events takes everything by its time: with --at before the oldest of them the
    settings come first. Where workers are at work already, --at changes nothing that was decided.
    """
    document, faults = read_settings(file)
    if faults:
        raise bad_inputs([f"{file}: {fault.place}: {fault.message}" for fault in faults])
    connection = kafka.connection()
    with kafka_failures():
        version = _publish(connection, document, actor, comment, at)
    click.echo("these settings are in force already" if version is None else f"published as version {version}")


def _past_instant(text: str) -> int:
    from credit_stream.wire.instants import instant_of_text

    try:
        instant = instant_of_text(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no instant; write it like 2026-01-01T00:00:00Z") from None
    if instant > _now():
        raise click.BadParameter(f"{text} is still to come; settings take effect when they are published")
    return instant


def _now() -> int:
    return time.time_ns() // 1_000_000


def _publish(connection: Connection, document: str, actor: str | None, comment: str, at: int | None) -> int | None:
    from credit_stream.core.topics import SETTINGS
    from credit_stream.hosts.kafka.reading import TopicReader
    from credit_stream.hosts.kafka.registry import event_encoder, program_for
    from credit_stream.hosts.kafka.sending import Sender
    from credit_stream.hosts.settings_versions import following, in_force
    from credit_stream.wire.avro import encode_event
    from credit_stream.wire.instants import text_of_instant

    read = program_for(connection).read
    with TopicReader(connection, (SETTINGS,)) as reader:
        published = (((record.key or b"").decode(errors="replace"), record.value) for record in reader.records())
        newest = in_force(published, read)
    event = following(newest, document, _now() if at is None else at, "settings publish", actor, comment)
    if event is None:
        return None
    if at is not None and newest.version and at < newest.occurred_at:
        raise click.ClickException(
            f"version {newest.version} is in force since {text_of_instant(newest.occurred_at)}, and versions are taken "
            "in their order; give an --at that is not before that, or none"
        )
    with Sender[int](connection, event_encoder(connection)) as sender:
        sender.send(encode_event(event), 0)
        sender.wait()
    return event.version
