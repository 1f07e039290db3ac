"""The two workers of `demo --kafka`: processes of their own, one under each host, in one group."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from credit_stream.hosts.faust.environment import PROBE_PORT, STATE
from credit_stream.hosts.kafka.configuration import ENVIRONMENT_PREFIX
from credit_stream.local_kafka.processes import Guard, GuardedProcess

LIBRDKAFKA = ("credit_stream", "worker", "--probe-port", "0")
FAUST = ("faust", "-A", "credit_stream.app", "worker", "-l", "info")
BROKERS = ENVIRONMENT_PREFIX + "BROKERS"

_SHOWN = {LIBRDKAFKA: "credit-stream worker", FAUST: " ".join(FAUST)}


class _LogLine(Struct):
    """What interests here of a line that a worker writes when it has started."""

    event: str = ""
    probes: str | None = None


class DemoWorker:
    """One of them: its rows in the directory of its name, and its log beside that."""

    def __init__(self, directory: Path, name: str, arguments: tuple[str, ...], brokers: str, guard: Guard) -> None:
        self.name = name
        self.state = directory / name
        self.log = directory / f"{name}.log"
        self.shown_command = _SHOWN[arguments]
        variables = {BROKERS: brokers, STATE: str(self.state)}
        self.again = " ".join([*(f"{name}={value}" for name, value in variables.items()), self.shown_command])
        """What starts it again, typed in a terminal."""
        environment = {**_environment(), **variables, PROBE_PORT: "0"}
        command = [sys.executable, "-P", "-m", *arguments]
        self.process = GuardedProcess(name, command, self.log, guard, environment)
        self.pid = 0
        """Of the process that was started last."""
        self._probes: str | None = None

    def start(self) -> None:
        """With a new log. Raises LocalKafkaFailed."""
        self.log.unlink(missing_ok=True)
        self.process.start()
        self.pid = self.process.pid or 0

    @property
    def probes(self) -> str | None:
        """Where its metrics are; None until it has begun."""
        if self._probes is None:
            self._probes = next((line.probes for line in self._lines() if line.event == "started"), None)
        return self._probes

    @property
    def end(self) -> str | None:
        """How it has ended by itself; None if it has not."""
        status = self.process.exit_status
        if status is None:
            return None
        if status < 0:
            return f"{self.name} (process {self.pid}) was ended by {signal.Signals(-status).name}."
        return f"{self.name} (process {self.pid}) has ended with exit status {status}.\n{self.process.last_lines()}"

    def _lines(self) -> Iterator[_LogLine]:
        for line in self.log.read_bytes().splitlines() if self.log.exists() else ():
            try:
                yield msgspec.json.decode(line, type=_LogLine)
            except msgspec.MsgspecError:  # Faust has a table at its beginning
                continue


class DemoWorkers:
    """Both of them, from `start` on until the end of the `with`, or of this process."""

    def __init__(self, directory: Path, brokers: str) -> None:
        self._guard = Guard()
        self.all = [
            # As whole paths: the processes have another working directory, and so has the terminal that is opened next.
            DemoWorker(directory.resolve(), f"worker-{number}", arguments, brokers, self._guard)
            for number, arguments in enumerate((LIBRDKAFKA, FAUST), start=1)
        ]
        self._missed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets them finish their checkpoints, both at once."""
        with ThreadPoolExecutor(len(self.all)) as threads:
            list(threads.map(lambda worker: worker.process.stop(), self.all))
        self._guard.close()

    @property
    def alive(self) -> list[DemoWorker]:
        """Those that run."""
        return [worker for worker in self.all if worker.process.pid is not None]

    @property
    def have_begun(self) -> bool:
        """Whether those that run are ready to join the group."""
        return all(worker.probes is not None for worker in self.alive)

    def start(self) -> None:
        """Starts both. Raises LocalKafkaFailed."""
        for worker in self.all:
            worker.start()

    def ended(self) -> Iterator[DemoWorker]:
        """Those that have ended by themselves since this was asked last."""
        for worker in self.all:
            if worker.end is not None and worker.name not in self._missed:
                self._missed.add(worker.name)
                yield worker


def _environment() -> dict[str, str]:
    """Ours, with the same packages, and without the settings of some other system."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
