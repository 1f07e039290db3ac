"""`credit-stream settings check`: every fault of a settings file before it is published (spec 12)."""

from __future__ import annotations

import json
from pathlib import Path

import click

from credit_stream.cli.commands import SuggestingGroup
from credit_stream.cli.faults import FAULTS_SHOWN_MAX
from credit_stream.cli.settings_file import read_settings


@click.group(name="settings", cls=SuggestingGroup, epilog="\b\nExample:\n  credit-stream settings check credit.toml")
def command() -> None:
    """Check a settings file before it is published."""


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
