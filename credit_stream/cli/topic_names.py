"""The option `--topics`: names of output topics, checked."""

from __future__ import annotations

from difflib import get_close_matches

import click


def chosen_topics(ctx: click.Context, param: click.Parameter, value: str | None) -> frozenset[str] | None:
    """The topics of a list with commas; an unknown one is refused with the nearest known name."""
    if value is None:
        return None
    from credit_stream.core.topics import TOPIC_OF_OUTPUT

    known = sorted(set(TOPIC_OF_OUTPUT.values()))
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(known)}"
            raise click.BadParameter(f"there is no output topic '{name}'; {hint}", ctx, param)
    return frozenset(names)
