"""From other threads into the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


def call_soon(loop: asyncio.AbstractEventLoop, action: Callable[P, object], *args: P.args, **_: P.kwargs) -> None:
    """Has the loop call it soon; if the loop has ended in the meantime, nobody needs to be told."""
    try:
        loop.call_soon_threadsafe(action, *args)
    except RuntimeError:
        return
