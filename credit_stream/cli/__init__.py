"""The command line `credit-stream` (interface section 5). Each command is a module here, imported when it is called."""

from __future__ import annotations


def main() -> None:
    """Runs the command that the arguments name and ends the process: 0 done, 1 failed, 2 wrong usage or bad input."""
    from credit_stream.cli.commands import credit_stream

    credit_stream(prog_name="credit-stream")
