"""`credit-stream serve`: the embedded system on one machine, with HTTP (interface section 5)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Literal

import click

from credit_stream.cli.faults import RunFailed, bad_inputs
from credit_stream.cli.settings_file import read_settings

PARTITIONS_MAX = 1_024


@click.command(
    epilog="\b\nExample:\n"
    "  credit-stream serve --data credit-data\n"
    "  credit-stream serve --data credit-data --settings credit.toml --port 9000"
)
@click.option(
    "--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where log and state are."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8321, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free one.")
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings (TOML) to publish if others are in force.",
)
@click.option(
    "--partitions", type=click.IntRange(1, PARTITIONS_MAX), help="Of a new directory; 4 if not given. Fixed after that."
)
@click.option(
    "--fsync",
    type=click.Choice(["always", "never"]),
    default="always",
    show_default=True,
    help="never: faster; survives a kill, but not a power failure.",
)
def command(
    data: Path, host: str, port: int, settings: Path | None, partitions: int | None, fsync: Literal["always", "never"]
) -> None:
    """Run the embedded system for real use: durable log and state in one directory, HTTP on one port.

    Ends with Ctrl-C or SIGTERM after the batch that it is at. Its log on stderr is one JSON object a line.
    """
    document = None if settings is None else _document(settings)
    from credit_stream.hosts.failures import HostFailure
    from credit_stream.hosts.garbage import leave_garbage_alone
    from credit_stream.service.logs import Log
    from credit_stream.service.published_settings import publish
    from credit_stream.service.run import Address, CannotListen, run
    from credit_stream.service.system import System

    leave_garbage_alone()
    log = Log()
    try:
        with closing(System(data, partitions, fsync=fsync)) as system:
            if document is not None:
                publish(system.host, document)
            status = run(system, Address(host, port), log, lambda url: None)
        log.info("stopped", status=status)
    except (HostFailure, CannotListen) as failure:
        raise RunFailed(str(failure)) from None
    raise SystemExit(status)


def _document(file: Path) -> str:
    document, faults = read_settings(file)
    if faults:
        raise bad_inputs([f"{file}: {fault.place}: {fault.message}" for fault in faults])
    return document
