"""Places where a test may have the process die: `CREDIT_STREAM_FAILPOINT=checkpoint.produced:17` at the 17th time.

What must survive a kill at any moment is killed on purpose at the moments that matter most. Without the variable a
place costs one call.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "CREDIT_STREAM_FAILPOINT"
FAILPOINTS = (
    "open.fenced",
    "open.restoring",
    "open.restored",
    "checkpoint.begun",
    "checkpoint.produced",
    "checkpoint.offsets_sent",
    "checkpoint.committed",
    "revoke.begun",
)
"""In the order in which a worker comes by them."""

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class _Fuse:
    """One place, how often it may still be passed, and what happens then."""

    def __init__(self, setting: str) -> None:
        name, _, rest = setting.partition(":")
        times, _, action = rest.partition(":")
        if name not in FAILPOINTS:
            raise ValueError(f"{VARIABLE} names {name!r}; the places are {', '.join(FAILPOINTS)}")
        self.name = name
        self.times = int(times or 1)
        self.signal = SIGNALS[action or "kill"]


_fuses = [_Fuse(setting) for setting in os.environ.get(VARIABLE, "").split(",") if setting]


def reach(place: str) -> None:
    """The process came by a place; it dies (or stops, `:stop`) there if that was asked for."""
    for fuse in _fuses:
        if fuse.name == place:
            fuse.times -= 1
            if fuse.times == 0:
                os.kill(os.getpid(), fuse.signal)
