"""The process of a job: started, watched, stopped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
STOP_S = 20.0
"""So long a worker may take to stop when it is asked to."""
LAST_LINES = 30


class WorkerDied(RuntimeError):
    """A worker ended by itself; the message has what it said last."""


class Worker:
    """A child process and all its threads. What it prints goes to a file."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(environment or {})}
            )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def cpu_seconds(self) -> float:
        """Processor seconds so far, all threads. Raises `WorkerDied`."""
        if self._process.poll() is not None:
            raise WorkerDied(f"the worker ended with {self._process.returncode}; it said:\n{self.said()}")
        return cpu_seconds(self._process.pid)

    def peak_mib(self) -> float:
        """The most memory that it has had, in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def said(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LAST_LINES:])

    def stop(self) -> None:
        """Asks it to stop, and kills it if it does not."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kills it."""
        self._process.kill()
        self._process.wait()


def cpu_seconds(pid: int) -> float:
    """Processor seconds of a process, user and system, all threads. Its name may hold blanks and brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
