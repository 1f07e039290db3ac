"""A schema registry of this machine that speaks Confluent's interface: Apicurio, in memory."""

from __future__ import annotations

import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from credit_stream.local_kafka.failures import LocalKafkaFailed
from credit_stream.local_kafka.java import find_java
from credit_stream.local_kafka.packages import note_in_log, registry_jar
from credit_stream.local_kafka.processes import Guard, GuardedProcess, check_port, free_ports

START_SECONDS_MAX = 240.0
"""It needs 4 s; 54 s were seen on two cores with twenty processes that wanted them."""
ANSWER_SECONDS_MAX = 2.0
HEAP_MB = 256


class LocalRegistry:
    """A registry on the loopback address, from `start` to `stop` or in a `with`; it forgets all then."""

    def __init__(self, say: Callable[[str], None] = note_in_log, *, port: int = 0) -> None:
        """Starts nothing yet. `say` gets a sentence before packages are fetched. Port 0 takes a free one."""
        self._say = say
        self._wanted_port = port
        self._guard: Guard | None = None
        self._process: GuardedProcess | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its Confluent-compatible interface, for `--schema-registry`."""
        if self._guard is None:
            raise LocalKafkaFailed("this registry does not run; start it first")
        return f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    @property
    def pid(self) -> int | None:
        """The number of its process, None if it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns when it answers. Raises `LocalKafkaUnavailable` and `LocalKafkaFailed` as `LocalKafka.start`."""
        if self._guard is not None:
            raise LocalKafkaFailed("this registry runs already")
        java, jar = find_java(), registry_jar(self._say)
        if self._wanted_port:
            check_port(self._wanted_port)
        self._port = self._wanted_port or free_ports(1)[0]
        self._guard = Guard()
        try:
            directory = Path(tempfile.mkdtemp(prefix="credit-stream-registry-"))
            self._guard.remove(directory)
            command = [java.program("java"), f"-Xmx{HEAP_MB}m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            # Quarkus listens on every address of the machine unless told.
            command += ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={self._port}", "-jar", str(jar)]
            self._process = GuardedProcess("the registry", command, directory / "registry.log", self._guard)
            self._process.start()
            self._process.wait_until(self._answers, "it answered", time.monotonic() + START_SECONDS_MAX)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it. Does nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=ANSWER_SECONDS_MAX) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
