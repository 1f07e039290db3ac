"""A worker in a process of its own, under either host, which a test may kill, stop and starve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failpoints import VARIABLE as FAILPOINT

ROOT = Path(__file__).resolve().parent.parent.parent
LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
"""A worker is up in 2 s; a machine that is busy with other things has needed half a minute."""

Kind = Literal["librdkafka", "faust"]
KINDS: tuple[Kind, ...] = ("librdkafka", "faust")
"""The hosts."""


class NotInTime(AssertionError):
    """What was waited for did not come."""


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Waits for the condition; raises `NotInTime` when it does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {seconds:.0f} s: {what}")
        time.sleep(LOOK_SECONDS)


class WorkerProcess:
    """Runs from the moment it is made. Its log is one JSON object a line, in a file."""

    def __init__(
        self,
        connection: Connection,
        state: Path,
        log: Path,
        *,
        kind: Kind = "librdkafka",
        session_seconds: int = 6,
        member: str | None = None,
        failpoint: str = "",
        file_bytes_max: int | None = None,
        change: str = "",
    ) -> None:
        """`member` is for librdkafka only. `file_bytes_max`: no file may grow beyond it, as on a disk that is full.
        `change`: Python that is run in the process first, to shorten a wait or to break something."""
        self.kind = kind
        self.state = state
        self.log = log
        command = _command(kind, member, session_seconds, change)
        if file_bytes_max is not None:
            command = ["bash", "-c", f'ulimit -f {file_bytes_max // 1024}; exec "$@"', "bash", *command]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=_environment(connection, state, session_seconds) | ({FAILPOINT: failpoint} if failpoint else {}),
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs or is stopped; below 0: the signal that ended it."""
        return self._process.poll()

    @property
    def text(self) -> str:
        """All that it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log so far. A line that is being written is left out."""
        whole = self.text.rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith('{"')]

    @property
    def failure(self) -> dict[str, Any]:
        """The line in which it says why it ends by itself, with `kind` and `message`; empty if there is none.

        A command that cannot even begin says so in plain words.
        """
        plain = [line for line in self.text.splitlines() if line.startswith("Error: ")]
        kind = "Unreachable" if any("No broker answers" in line for line in plain) else "refused"
        refused = {"kind": kind, "message": plain[-1]} if plain else {}
        return next((line for line in self.lines if line.get("event") in ("failed", "crashed")), refused)

    @property
    def is_stopped(self) -> bool:
        """Whether it has got SIGSTOP."""
        if self.exit_status is not None:
            return False
        return Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] in ("T", "t")

    @property
    def has_started(self) -> bool:
        """Whether it has its directory and knows the topics; it joins the group next."""
        return any(line.get("event") == "started" for line in self.lines)

    def wait_for(self, event: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The first log line of this event."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines if line.get("event") == event), None)

        until(lambda: found() is not None or self.exit_status is not None, f"'{event}' in {self.text}", seconds)
        line = found()
        assert line is not None, f"it ended with {self.exit_status} before '{event}': {self.text}"
        return line

    def wait_until_stopped(self) -> None:
        """Until a failpoint has sent it SIGSTOP."""
        until(lambda: self.is_stopped, f"worker {self.pid} stops: {self.text}")

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it is still there."""
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Waits until it ends by itself; its exit status."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.abort()
            raise NotInTime(f"worker {self.pid} does not end within {seconds:.0f} s: {self.text}") from None

    def abort(self) -> None:
        """Has it write into its log what its threads are doing, and end."""
        self._process.send_signal(signal.SIGABRT)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait()

    def kill(self) -> int:
        """SIGKILL. Its exit status, which is another if it had ended before."""
        self._process.kill()
        return self._process.wait()

    def terminate(self) -> int:
        """SIGTERM, and waits; its exit status."""
        self._process.terminate()
        return self.wait()


def _command(kind: Kind, member: str | None, session_seconds: int, change: str) -> list[str]:
    """Faust's command line is its own: it gets everything from the environment."""
    if kind == "faust":
        module, options = "faust", ["-A", "credit_stream.app", "worker", "-l", "info"]
    else:
        module, options = "credit_stream", ["worker", "--session-seconds", str(session_seconds)]
    if member:
        options += ["--member", member]
    if not change:
        return [sys.executable, "-m", module, *options]
    program = f"{change}\nimport runpy\nrunpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", program, *options]


def _environment(connection: Connection, state: Path, session_seconds: int) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("CREDIT_STREAM_")}
    return mine | {
        "PYTHONFAULTHANDLER": "1",
        "CREDIT_STREAM_BROKERS": connection.brokers,
        "CREDIT_STREAM_APPLICATION_ID": connection.application_id,
        "CREDIT_STREAM_TOPIC_PREFIX": connection.topic_prefix,
        "CREDIT_STREAM_STATE": str(state),
        "CREDIT_STREAM_SESSION_SECONDS": str(session_seconds),
    }
