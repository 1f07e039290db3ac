"""Whatever has a name that others use has its line in the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from prometheus_client import Counter, Gauge, Histogram

from credit_stream.cli.commands import COMMANDS, credit_stream
from credit_stream.core import reasons
from credit_stream.core.settings import CheckpointSettings, Document, Parameters, Rule
from credit_stream.service.app import ROUTES
from credit_stream.service.metrics import Metrics

DOCS = Path(__file__).resolve().parent.parent / "docs"


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its whole name."""
    context = click.Context(credit_stream)
    for name in COMMANDS:
        command = credit_stream.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {part}", found) for part, found in command.commands.items())
        else:
            yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_is_in_the_docs_with_its_options(name: str, command: click.Command) -> None:
    """`docs/cli.md`: a section with an example, and every option that is not `--help`."""
    _, heading, section = page("cli.md").partition(f"\n## credit-stream {name}\n")
    assert heading
    section = section.partition("\n## ")[0]
    assert re.search(rf"^    .*credit-stream {name}", section, re.MULTILINE)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert f"`{parameter.opts[0]}" in section, parameter.opts[0]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_docs(route: object) -> None:
    """`docs/http.md`: a row in the table."""
    assert f"| `{route.method} {route.path}` |" in page("http.md")  # type: ignore[attr-defined]


def test_every_metric_is_in_the_docs() -> None:
    """`docs/metrics.md`: a row with its type and labels."""
    text = page("metrics.md")
    found = [value for value in vars(Metrics()).values() if isinstance(value, Counter | Gauge | Histogram)]
    assert found
    for metric in found:
        described = metric.describe()[0]
        name = f"{described.name}_total" if described.type == "counter" else described.name
        row = re.search(rf"^\| `{name}` \| {described.type} \|([^|]*)\|", text, re.MULTILINE)
        assert row, name
        assert all(f"`{label}`" in row[1] for label in metric._labelnames), name


@pytest.mark.parametrize("code", [*reasons.HOLDING, *reasons.RELEASING, *reasons.REFUSING])
def test_every_reason_code_is_in_the_docs(code: str) -> None:
    """`docs/settings.md`, or the page it has moved to: what a person reads when an order is held."""
    assert any(f"`{code}`" in path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))


@pytest.mark.parametrize(
    "name",
    [
        field.encode_name
        for section in (Parameters, CheckpointSettings, Rule, Document)
        for field in msgspec.structs.fields(section)
    ],
)
def test_every_setting_is_in_the_docs(name: str) -> None:
    """`docs/settings.md`: parameters, fields of checkpoints and rules, tables."""
    assert f"`{name}`" in page("settings.md")
