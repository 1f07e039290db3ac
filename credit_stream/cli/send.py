"""`credit-stream send`: events from files to the running system, over HTTP or to Kafka (interface section 5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from credit_stream.cli.faults import BadInput, RunFailed
from credit_stream.cli.http_client import DEFAULT_URL, HttpClient
from credit_stream.cli.kafka_options import KafkaOptions, is_kafka_meant, kafka_failures, kafka_options
from credit_stream.cli.lines import Line, checked, lines
from credit_stream.cli.progress import Progress

if TYPE_CHECKING:
    from credit_stream.hosts.kafka.sending import Sender

BATCH_LINES_MAX = 1_000
BATCH_BYTES_MAX = 1024 * 1024
"""One line may be larger; it then goes alone."""
REJECTED_SHOWN_MAX = 20


class Rejected(Struct, frozen=True):
    """A line that went into the log and will be a dead letter."""

    file: str
    line: int
    reason: str
    message: str


class Sent(Struct):
    """What has been acknowledged so far."""

    accepted: int = 0
    rejected_count: int = 0
    rejected: list[Rejected] = []
    """The first ones."""

    def reject(self, line: Line, reason: str, message: str) -> None:
        """Counts a line that is no event, and lists it if it is one of the first."""
        self.rejected_count += 1
        if len(self.rejected) < REJECTED_SHOWN_MAX:
            self.rejected.append(Rejected(line.file, line.number, reason, message))


@click.command(
    epilog="\b\nExample:\n"
    "  credit-stream send events.jsonl\n"
    "  cat events.jsonl | credit-stream send - --url http://127.0.0.1:8321\n"
    "  credit-stream send events.jsonl --brokers localhost:9092"
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--url", help=f"Where `credit-stream serve` listens; {DEFAULT_URL} if no Kafka is named either.")
@kafka_options
@click.option("--json", "as_json", is_flag=True, help="Print what was accepted and rejected as one JSON object.")
def command(files: Sequence[str], url: str | None, kafka: KafkaOptions, as_json: bool) -> None:
    """Send the events in JSON Lines FILEs (- is stdin) to the running system.

    Without --url they go to Kafka if options or environment name brokers. A line counts as accepted when the system
    has it durably. After a failure send the whole again: events with the same `event_id` take effect once. Lines that
    are no events become dead letters there and are listed here.
    """
    sent = Sent()
    with Progress("send", checked(files)) as progress:
        if is_kafka_meant(kafka, url):
            _send_to_kafka(kafka, files, sent, progress)
        else:
            _send_over_http(url or DEFAULT_URL, files, sent, progress)
    _report(sent, as_json)


def _send_over_http(url: str, files: Sequence[str], sent: Sent, progress: Progress) -> None:
    """A batch counts when the system has it durably. When the connection is lost a batch is sent again."""
    with HttpClient(url) as client:
        for batch in _batches(lines(files)):
            _send(client, batch, sent)
            progress.show(batch[-1].read_bytes, f"{sent.accepted:,} events")


def _send_to_kafka(kafka: KafkaOptions, files: Sequence[str], sent: Sent, progress: Progress) -> None:
    connection = kafka.connection()
    with kafka_failures():
        from credit_stream.hosts.kafka.failures import DeliveryFailed
        from credit_stream.hosts.kafka.registry import event_encoder
        from credit_stream.hosts.kafka.sending import Sender

        sender: Sender[Line] = Sender(connection, event_encoder(connection))
        done = 0
        try:
            with sender:
                for line in lines(files):
                    _hand_over(sender, line, sent)
                    done = line.read_bytes
                    progress.show(done, f"{sender.acknowledged:,} events")
                sender.wait(lambda: progress.show(done, f"{sender.acknowledged:,} events"))
        except DeliveryFailed as failure:
            raise RunFailed(f"{failure} {_how_far(sender)}") from None
        sent.accepted = sender.acknowledged


def _hand_over(sender: Sender[Line], line: Line, sent: Sent) -> None:
    from credit_stream.hosts.kafka.sending import TooLarge

    try:
        fault = sender.send(line.payload, line)
    except TooLarge as error:
        raise BadInput(f"{line.file}:{line.number} {error}; take it out and send the whole again") from None
    if fault is not None:
        sent.reject(line, fault.reason, fault.message)


def _how_far(sender: Sender[Line]) -> str:
    first = sender.unacknowledged
    place = "" if first is None else f"; {first.file}:{first.number} is the first that was not"
    again = "Send the whole again: what was taken is not taken twice."
    return f"{sender.acknowledged:,} lines were acknowledged{place}. {again}"


def _batches(found: Iterator[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in found:
        if batch and (len(batch) >= BATCH_LINES_MAX or size + len(line.payload) > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.payload)
    if batch:
        yield batch


def _send(client: HttpClient, batch: list[Line], sent: Sent) -> None:
    """Sends one batch until it is acknowledged and adds to what was sent; RunFailed says how far it came."""
    try:
        answer = client.post_lines([line.payload for line in batch])
    except RunFailed as failure:
        first = batch[0]
        failure.message += (
            f" {sent.accepted:,} lines were acknowledged before; {first.file}:{first.number} is the first that was not."
        )
        raise
    sent.accepted += answer.accepted
    sent.rejected_count += answer.rejected_count
    for rejected in answer.rejected[: REJECTED_SHOWN_MAX - len(sent.rejected)]:
        line = batch[rejected.line - 1]
        sent.rejected.append(Rejected(line.file, line.number, rejected.reason, rejected.message))


def _report(sent: Sent, as_json: bool) -> None:
    if as_json:
        listed = [
            {"file": each.file, "line": each.line, "reason": each.reason, "message": each.message}
            for each in sent.rejected
        ]
        click.echo(json.dumps({"accepted": sent.accepted, "rejected_count": sent.rejected_count, "rejected": listed}))
        return
    click.echo(f"{sent.accepted:,} lines accepted")
    if sent.rejected_count:
        click.echo(f"{sent.rejected_count:,} of them are no events and become dead letters:", err=True)
    for each in sent.rejected:
        click.echo(f"  {each.file}:{each.line}: {each.reason}: {each.message}", err=True)
    if sent.rejected_count > len(sent.rejected):
        click.echo(
            f"  and {sent.rejected_count - len(sent.rejected):,} more: credit-stream dead-letters list", err=True
        )
