"""Ends the processes that were put into its care when the process that started them is gone, however that ended.

A process of its own: `python guard.py`, with lines on its standard input: `watch PID`, `forget PID`, `remove PATH`.
When that input ends, or its parent is another one, every watched process is killed and every path removed. Linux could
let the kernel do it (PR_SET_PDEATHSIG), but that signal comes when the *thread* that started the child ends, and macOS
has none. It imports only the standard library, to be small and to start at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys

LOOK_SECONDS = 1.0
"""How often the parent is looked at: a copy of it (fork) may hold the other end of the input open after it is gone."""
LINE_BYTES_MAX = 65_536


def guard(descriptor: int) -> None:
    """Returns when all is done."""
    parent = os.getppid()
    watched: set[int] = set()
    paths: set[str] = set()
    rest = b""
    while os.getppid() == parent:
        if not select.select([descriptor], [], [], LOOK_SECONDS)[0]:
            continue
        read = os.read(descriptor, LINE_BYTES_MAX)
        if not read:
            break
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            _note(line.decode(), watched, paths)
    for process in watched:
        _kill(process)
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


def _note(line: str, watched: set[int], paths: set[str]) -> None:
    word, _, what = line.partition(" ")
    if word == "watch":
        watched.add(int(what))
    elif word == "forget":
        watched.discard(int(what))
    elif word == "remove":
        paths.add(what)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.stdin.fileno())
