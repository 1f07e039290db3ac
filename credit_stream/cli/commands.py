"""Which commands there are. Their modules are imported only when they are called, so that `--help` stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module

import click

from credit_stream import __version__

COMMANDS: Mapping[str, str] = {
    "demo": "A year of a made-up trading company on this machine, then live.",
    "process": "Events from files through the real core in memory.",
    "serve": "The embedded system: durable log and state in one directory, HTTP.",
    "worker": "One worker of a Kafka cluster.",
    "broker": "A Kafka broker on this machine, to try things on.",
    "send": "Events from files to the running system.",
    "topics": "Make and check the topics on Kafka, and print what is in them.",
    "settings": "Check a settings file before it is published.",
    "schemas": "Compare the Avro schemas with the last release, and register them.",
    "explain": "Say in words why a decision is what it is.",
    "dead-letters": "What could not be read or accepted, and what to do.",
}
"""Name and one line for `--help`. The command of a name is `command` in the module of that name."""


class SuggestingGroup(click.Group):
    """A group that names the nearest command when one is unknown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a suggestion where it has none."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"There is no command '{name}'. {self._suggestion(ctx, name)}")
        return super().resolve_command(ctx, args)

    def _suggestion(self, ctx: click.Context, name: str) -> str:
        known = self.list_commands(ctx)
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        return f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(known)}."


class LazyGroup(SuggestingGroup):
    """The commands of COMMANDS, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of COMMANDS: what a newcomer wants stands first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"credit_stream.cli.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command), f"{module.__name__}.command is no command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"max_content_width": 110},
    epilog="\b\nExample:\n  credit-stream process events.jsonl --summary",
)
@click.version_option(__version__, message="credit-stream %(version)s")
def credit_stream() -> None:
    """Customer credit management as a stream: orders in, decisions with their proof out.

    Exit status: 0 done, 1 the run failed, 2 wrong usage or bad input.
    """
