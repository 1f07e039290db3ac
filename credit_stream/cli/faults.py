"""How a command ends when it cannot go on: what was wrong, where, what to do; and the exit status."""

from __future__ import annotations

import click

FAULTS_SHOWN_MAX = 200
"""So many faults of one file are listed; nobody mends more at a time."""


class RunFailed(click.ClickException):
    """The run failed; exit status 1."""

    exit_code = 1


class BadInput(click.ClickException):
    """What was given cannot be used; exit status 2."""

    exit_code = 2


def bad_inputs(faults: list[str]) -> BadInput:
    """Several faults at once, so that they can be mended at once."""
    shown = faults[:FAULTS_SHOWN_MAX]
    if len(faults) > len(shown):
        shown.append(f"and {len(faults) - len(shown)} more")
    return BadInput("\n       ".join(shown))
