"""`credit-stream process`: files of events through the real core in memory (interface section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from credit_stream.cli.faults import bad_inputs
from credit_stream.cli.lines import checked, lines
from credit_stream.cli.progress import Progress
from credit_stream.cli.settings_file import read_settings
from credit_stream.cli.topic_names import chosen_topics

if TYPE_CHECKING:
    from credit_stream.hosts.memory import MemoryHost, Produced


@click.command(
    epilog="\b\nExample:\n"
    "  credit-stream process events.jsonl\n"
    "  credit-stream process events.jsonl --settings credit.toml --topics credit.decisions\n"
    "  cat events.jsonl | credit-stream process - --summary"
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--settings", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The settings (TOML).")
@click.option("--topics", callback=chosen_topics, metavar="TOPIC,...", help="Print outputs of these topics only.")
@click.option("--summary", is_flag=True, help="Print a table of what came out instead of the outputs.")
@click.option("--json", "as_json", is_flag=True, help="With --summary: the summary as one JSON object.")
def command(
    files: Sequence[str], settings: Path | None, topics: frozenset[str] | None, summary: bool, as_json: bool
) -> None:
    """Take events from JSON Lines FILEs (- is stdin) and print what comes out as JSON Lines.

    Outputs stand in the order in which they arise; each event is followed to its end before the next. The same input
    gives the same bytes. A line that cannot be accepted becomes a dead letter and the run goes on.
    """
    host = _host(settings)
    produced = _outputs(host, files)
    if summary:
        _summarize(produced, as_json)
    else:
        _print(produced, topics, click.get_binary_stream("stdout"))


def _host(settings: Path | None) -> MemoryHost:
    document: str | None = None
    if settings is not None:
        document, faults = read_settings(settings)
        if faults:
            raise bad_inputs([f"{settings}: {fault.place}: {fault.message}" for fault in faults])
    from credit_stream.hosts.garbage import leave_garbage_alone
    from credit_stream.hosts.memory import MemoryHost

    leave_garbage_alone()
    return MemoryHost(settings_document=document)


def _outputs(host: MemoryHost, files: Sequence[str]) -> Iterator[Produced]:
    """What every line leads to, with a progress bar by bytes where they are known."""
    with Progress("process", checked(files)) as progress:
        for count, line in enumerate(lines(files), start=1):
            yield from host.process(line.payload)
            progress.show(line.read_bytes, f"{count:,} events")


def _print(produced: Iterator[Produced], topics: frozenset[str] | None, out: BinaryIO) -> None:
    from credit_stream.cli.json_out import output_line

    for topic, key, record in produced:
        if topics is None or topic in topics:
            out.write(output_line(topic, key, record))
    out.flush()


def _summarize(produced: Iterator[Produced], as_json: bool) -> None:
    import json

    from credit_stream.cli.summary import Summary

    found = Summary()
    for topic, key, record in produced:
        found.add(topic, key, record)
    click.echo(json.dumps(found.as_json(), ensure_ascii=False) if as_json else "\n".join(found.lines()))
