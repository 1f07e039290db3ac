"""Every command says how it is used, refuses what it does not know, and starts quickly."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from credit_stream.cli.commands import COMMANDS, credit_stream


def every_command() -> Iterator[tuple[str, ...]]:
    """The words of every command, those of groups too."""
    context = click.Context(credit_stream)
    for name in COMMANDS:
        yield (name,)
        command = credit_stream.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, part) for part in command.commands)


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_command_has_an_example_in_its_help(words: tuple[str, ...]) -> None:
    """`--help` shows a line that can be typed as it stands."""
    result = CliRunner().invoke(credit_stream, [*words, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"Example:\n(.*\n)*.*credit-stream {' '.join(words)}", result.output)


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_option_is_long_and_explained(words: tuple[str, ...]) -> None:
    """Interface section 5: long options only."""
    command: click.Command = credit_stream
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(name.startswith("--") for name in [*parameter.opts, *parameter.secondary_opts])
            assert parameter.help


def test_the_list_of_commands_says_what_each_command_says_of_itself() -> None:
    """The list is made without importing the commands, so it could drift from them."""
    context = click.Context(credit_stream)
    for name, line in COMMANDS.items():
        command = credit_stream.get_command(context, name)
        assert command is not None, name
        assert line.endswith("."), name


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        (["proces"], "Did you mean 'process'?"),
        (["setings"], "Did you mean 'settings'?"),
        (["settings", "chek"], "Did you mean 'check'?"),
        (["dead-letters", "lst"], "Did you mean 'list'?"),
        (["process", "-", "--sumary"], "Did you mean --summary?"),
        (["process", "-", "--topics", "credit.decision"], "did you mean 'credit.decisions'?"),
        (["xyzzy"], "Known are: demo, process"),
    ],
)
def test_an_unknown_word_is_refused_with_the_nearest_known_one(typed: list[str], suggested: str) -> None:
    """Exit status 2, and the name that was probably meant."""
    result = CliRunner().invoke(credit_stream, typed)
    assert result.exit_code == 2
    assert suggested in result.output


def imported_by(*arguments: str) -> set[str]:
    """The modules that a run of the command line imports."""
    code = (
        f"import sys; from credit_stream.cli import main; sys.argv = ['credit-stream', *{list(arguments)!r}]\n"
        "try: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30, input=""
    )
    return set(done.stderr.split())


def test_help_imports_no_command_and_nothing_heavy() -> None:
    """Under 0.3 s: only click is needed."""
    found = imported_by("--help")
    assert "click" in found
    assert not {
        name for name in found if name.startswith("credit_stream.") and not name.startswith("credit_stream.cli")
    }
    assert not {"aiohttp", "asyncio", "fastavro", "rocksdict", "msgspec"} & found


def test_processing_imports_neither_a_web_server_nor_a_database() -> None:
    """Under 0.5 s for an empty file: only what the core and its forms need."""
    assert not {"aiohttp", "asyncio", "rocksdict", "prometheus_client"} & imported_by("process", "-")


def test_the_program_runs_as_a_module() -> None:
    """`python -m credit_stream` is `credit-stream`."""
    done = subprocess.run(
        [sys.executable, "-m", "credit_stream", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    assert re.fullmatch(r"credit-stream \d+\.\d+\.\d+\n", done.stdout)
