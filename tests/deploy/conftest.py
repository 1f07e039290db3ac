"""What the files for containers say, read as Docker reads them. There is no Docker here; everything else is real."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from dockerfile_parse import DockerfileParser
from ruamel.yaml import YAML

from credit_stream.cli.commands import credit_stream

ROOT = Path(__file__).resolve().parent.parent.parent


class Image:
    """What `deploy/Dockerfile` says, in order."""

    def __init__(self, text: bytes) -> None:
        steps = DockerfileParser(fileobj=io.BytesIO(text)).structure
        self.steps = [(step["instruction"], step["value"]) for step in steps if step["instruction"] != "COMMENT"]

    def values(self, instruction: str) -> list[str]:
        """Of every step with this instruction."""
        return [value for name, value in self.steps if name == instruction]

    def last(self, instruction: str) -> str:
        """Of the last step with it, which is the one that counts."""
        return self.values(instruction)[-1]

    @property
    def entry_point(self) -> list[str]:
        """The program; the command goes behind it."""
        return list(json.loads(self.last("ENTRYPOINT")))

    @property
    def command(self) -> list[str]:
        """The default arguments."""
        return list(json.loads(self.last("CMD")))

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the last stage."""
        return dict(pair.split("=", 1) for pair in self.last("ENV").split())


def parse(arguments: list[str], environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> click.Context:
    """Takes a command line as the real program would, without running it. Raises click.UsageError."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command: click.Command = credit_stream
    context = command.make_context("credit-stream", list(arguments))
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found
        context = command.make_context(name, rest, parent=context)
    return context


@pytest.fixture(scope="session")
def image() -> Image:
    """The image that is ours."""
    return Image((ROOT / "deploy" / "Dockerfile").read_bytes())


@pytest.fixture(scope="session")
def compose() -> Any:
    """`docker-compose.yml`, its anchors and merges put in."""
    return YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")


@pytest.fixture(scope="session")
def services(compose: Any) -> Any:
    """Its services by name."""
    return compose["services"]


@pytest.fixture(scope="session")
def ours(services: Any) -> Any:
    """Those of them that run our own image."""
    return {name: service for name, service in services.items() if service["image"] == "credit-stream"}
