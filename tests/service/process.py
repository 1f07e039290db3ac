"""`credit-stream serve` as a process of its own, which a test may kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from credit_stream.cli.http_client import HttpClient
from tests.service.running import DEADLINE_SECONDS


class Process:
    """A `serve` on a free port. Its log is one JSON object a line on stderr."""

    def __init__(self, data: Path, *options: str, limit_bytes: int | None = None) -> None:
        command = [sys.executable, "-m", "credit_stream", "serve", "--data", str(data), "--port", "0", *options]
        if limit_bytes is not None:
            # The shell sets the limit: a file may not grow beyond it, as on a disk that is full.
            command = ["bash", "-c", f'ulimit -f {limit_bytes // 1024}; exec "$@"', "bash", *command]
        self.popen = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.log: list[dict[str, Any]] = []
        self.text: list[str] = []
        self.url = self._wait_for("listening")["url"]

    def _wait_for(self, event: str) -> dict[str, Any]:
        """The log line of the event; fails when the process ends before."""
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self._note(line)
            if self.log and self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"it ended with {self.popen.wait()} before it was {event}: {''.join(self.text)}")

    def _note(self, line: str) -> None:
        self.text.append(line)
        if line.startswith("{"):
            self.log.append(json.loads(line))

    def settle(self) -> None:
        """Waits until everything is decided."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with HttpClient(self.url) as client:
            while json.loads(client.get("/health"))["lag"]:
                assert time.monotonic() < deadline, "it does not come to an end"

    def kill(self) -> None:
        """kill -9."""
        self.popen.kill()
        self._finish()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end; its exit status."""
        self.popen.send_signal(number)
        return self._finish()

    def wait(self) -> int:
        """Waits until it ends by itself; its exit status."""
        return self._finish()

    def _finish(self) -> int:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self._note(line)
        self.popen.stderr.close()
        return self.popen.wait(DEADLINE_SECONDS)
