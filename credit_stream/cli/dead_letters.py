"""`credit-stream dead-letters list`: what could not be read or accepted, and what to do (spec 12)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from credit_stream.cli.commands import SuggestingGroup
from credit_stream.cli.faults import BadInput, RunFailed
from credit_stream.cli.http_client import DEFAULT_URL, HttpClient
from credit_stream.cli.kafka_options import KafkaOptions, is_kafka_meant, kafka_failures, kafka_options, known_schemas

if TYPE_CHECKING:
    from credit_stream.wire.avro import SchemaOfId

PAGE = 500


class Letter(Struct, frozen=True):
    """What is shown of a dead letter; `payload` is base64."""

    dead_letter_id: str
    topic: str
    partition: int
    offset: int
    reason: str
    message: str
    payload: str
    event_id: str | None = None


class _Page(Struct, frozen=True):
    dead_letters: list[Letter]
    next: str | None


@click.group(
    name="dead-letters",
    cls=SuggestingGroup,
    epilog="\b\nExample:\n  credit-stream dead-letters list --data credit-data",
)
def command() -> None:
    """What could not be read or accepted, and what to do."""


@command.command(
    name="list",
    epilog="\b\nExample:\n"
    "  credit-stream dead-letters list\n"
    "  credit-stream dead-letters list --data credit-data --json\n"
    "  credit-stream dead-letters list --brokers localhost:9092",
)
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A directory of `serve`.")
@click.option("--url", help=f"A running system; {DEFAULT_URL} if neither a directory nor Kafka is named.")
@kafka_options
@click.option("--limit", type=click.IntRange(1), default=1_000, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each.")
def list_(data: Path | None, url: str | None, kafka: KafkaOptions, limit: int, as_json: bool) -> None:
    """List dead letters, the oldest of each partition first, with the reason and what to do."""
    if data is not None and (url is not None or kafka.given):
        raise click.UsageError(f"Give --data or {'--url' if url is not None else kafka.given[0]}, not both.")
    found = _found(data, url, kafka, limit)
    count = 0
    for letter in found:
        count += 1
        click.echo(msgspec.json.encode(letter).decode() if as_json else _shown(letter))
    if not as_json:
        note = f"the first {count:,}; for more give --limit" if count == limit else f"{count:,} in all"
        click.echo(f"{note}." if count else "No dead letters.")


def _found(data: Path | None, url: str | None, kafka: KafkaOptions, limit: int) -> Iterator[Letter]:
    if data is not None:
        return _of_directory(data, limit)
    if is_kafka_meant(kafka, url):
        return _of_kafka(kafka, limit)
    return _of_system(url or DEFAULT_URL, limit)


def _shown(letter: Letter) -> str:
    event = f"  event {letter.event_id}" if letter.event_id is not None else ""
    return f"{letter.dead_letter_id}  {letter.reason}{event}\n    {letter.message}"


def _of_system(url: str, limit: int) -> Iterator[Letter]:
    with HttpClient(url) as client:
        after = ""
        while limit > 0:
            page = msgspec.json.decode(client.get(f"/dead-letters?limit={min(limit, PAGE)}{after}"), type=_Page)
            yield from page.dead_letters
            if page.next is None:
                return
            limit -= len(page.dead_letters)
            after = f"&after={page.next}"


def _of_kafka(kafka: KafkaOptions, limit: int) -> Iterator[Letter]:
    connection = kafka.connection()
    with kafka_failures():
        from credit_stream.core.topics import DEAD_LETTERS
        from credit_stream.hosts.kafka.reading import TopicReader

        with known_schemas(connection) as schemas, TopicReader(connection, (DEAD_LETTERS,)) as reader:
            yield from (_letter(record.value, schemas) for record in islice(reader.records_by_partition(), limit))


def _of_directory(data: Path, limit: int) -> Iterator[Letter]:
    if not (data / "format.json").exists():
        raise BadInput(f"{data} is no directory of credit-stream; give the --data of `credit-stream serve`")
    from credit_stream.core.topics import DEAD_LETTERS
    from credit_stream.hosts.embedded import EmbeddedHost
    from credit_stream.hosts.failures import DirectoryInUse, HostFailure

    try:
        with EmbeddedHost(data) as host:
            for partition in range(host.partitions):
                offset = 0
                while limit > 0 and (page := host.read(DEAD_LETTERS, partition, offset, min(limit, PAGE))):
                    yield from (_letter(record.value) for record in page)
                    limit -= len(page)
                    offset = page[-1].offset + 1
    except DirectoryInUse as failure:
        raise RunFailed(f"{failure} Or ask the running system: credit-stream dead-letters list --url ...") from None
    except HostFailure as failure:
        raise RunFailed(str(failure)) from None


def _letter(value: bytes | None, schemas: SchemaOfId | None = None) -> Letter:
    from credit_stream.core.outputs import DeadLetter
    from credit_stream.core.topics import DEAD_LETTERS
    from credit_stream.wire.avro import decode
    from credit_stream.wire.json_lines import output_to_json

    record = decode(value or b"", schemas)
    assert isinstance(record, DeadLetter)
    written: Any = output_to_json(DEAD_LETTERS, record.dead_letter_id, record)["value"]
    return msgspec.convert(written, Letter)
