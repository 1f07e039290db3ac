"""Processes that are started, watched, paused and ended, and never outlive the process that started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import SystemRandom

from credit_stream.local_kafka import guard
from credit_stream.local_kafka.failures import LocalKafkaFailed, LocalKafkaUnavailable

LOG_LINES_SHOWN = 25
POLL_SECONDS = 0.05
"""How often a condition that is waited for is looked at."""
STOP_SECONDS_MAX = 30.0
"""Then a process that was asked to stop is killed."""
PORTS = range(10_000, 32_000)
"""Below the ports that systems give to outgoing connections (from 32,768 on Linux). A client that calls a broker which
is down can be given the broker's own port as its end of the connection, is then connected with itself, and the
broker cannot start again on its port."""
PORT_TRIES_MAX = 1_000


class Guard:
    """The guard process (see `guard`) of whatever is started here."""

    def __init__(self) -> None:
        # A session of its own, so that Ctrl-C in the terminal reaches only us and we stop everything in order.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def watch(self, process: int) -> None:
        """This process is killed when we are gone."""
        self._tell(f"watch {process}")

    def forget(self, process: int) -> None:
        """This process has ended: its number may be given to another one."""
        self._tell(f"forget {process}")

    def remove(self, path: Path) -> None:
        """This directory is removed when all is over."""
        self._tell(f"remove {path}")

    def close(self) -> None:
        """Kills what still runs, removes what is to be removed, and waits until that is done."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()


class GuardedProcess:
    """One process, whose output goes to a file, and which is killed when we are gone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        guard: Guard,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`name` stands in messages: "broker 1". `environment`: ours, unless another is given."""
        self.name = name
        self._command = command
        self._log = log
        self._guard = guard
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()
        self.paused = False

    @property
    def pid(self) -> int | None:
        """The number of the process while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_status(self) -> int | None:
        """How it has ended by itself: a negative number is the signal that killed it. None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Starts it; `pid` tells whether it still runs. Does nothing if it does."""
        with self._changing:
            if self.pid is not None:
                return
            with self._log.open("ab") as log:
                try:
                    self._process = subprocess.Popen(
                        self._command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        cwd=self._log.parent,
                        env=self._environment,
                        start_new_session=True,
                    )
                except OSError as error:
                    raise LocalKafkaFailed(f"{self.name} cannot be started: {error}") from error
            self._guard.watch(self._process.pid)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes longer than `STOP_SECONDS_MAX`."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)
        self.paused = False

    def wait_until(self, condition: Callable[[], bool], what: str, deadline: float) -> None:
        """Waits, raises `LocalKafkaFailed` with the end of its log if it ends or the deadline (monotonic) passes."""
        while not condition():
            if self.pid is None:
                raise LocalKafkaFailed(f"{self.name} ended before {what}.\n{self.last_lines()}")
            if time.monotonic() >= deadline:
                raise LocalKafkaFailed(f"{self.name} runs, but in the time allowed not: {what}.\n{self.last_lines()}")
            time.sleep(POLL_SECONDS)

    def last_lines(self) -> str:
        """The end of what it said, and where the whole is."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join([f"The last lines of {self._log}:", *lines[-LOG_LINES_SHOWN:]])

    def _signal(self, number: signal.Signals) -> None:
        process = self.pid
        if process is None:
            raise LocalKafkaFailed(f"{self.name} does not run; start it first")
        os.kill(process, number)

    def _end(self, number: signal.Signals) -> None:
        with self._changing:
            if self._process is None:
                return
            if self._process.poll() is None:
                self._process.send_signal(number)
                # A paused process takes SIGTERM only when it goes on.
                self._process.send_signal(signal.SIGCONT)
                try:
                    self._process.wait(STOP_SECONDS_MAX)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            self._guard.forget(self._process.pid)
            self._process = None
            self.paused = False


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    chosen: list[int] = []
    random = SystemRandom()
    for _ in range(PORT_TRIES_MAX):
        if len(chosen) == count:
            return chosen
        port = random.choice(PORTS)
        if port not in chosen and _is_free(port):
            chosen.append(port)
    raise LocalKafkaUnavailable(f"of the ports {PORTS.start} to {PORTS.stop - 1} no {count} are free")


def check_port(port: int) -> None:
    """Raises `LocalKafkaFailed` if somebody listens on the port, or if it is not to be had."""
    with socket.socket() as tried:
        # As the brokers do. Else a port would be refused for a minute after whoever had it last.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise LocalKafkaFailed(
                f"127.0.0.1:{port} cannot be listened on ({error.strerror}); give another port, or 0 for a free one"
            ) from error


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
