"""What the peers need: an environment with quix-streams, and the compiled Kafka Streams job. Made once, in `build/`.

Both stay there for the next time (`make clean` takes them away); neither touches the environment of the project.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL, default_maven_repo
from jgo.maven import MavenContext

from credit_stream.local_kafka.java import find_java
from credit_stream.local_kafka.packages import kafka_class_path

QUIX_STREAMS = "quixstreams==3.28.1"
KAFKA_STREAMS = (
    # What Kafka Streams needs besides the jars of the broker.
    ("org.apache.kafka", "kafka-streams", "4.1.0", "3e275e8a224035b7dab6344eef518fc125f6f17f3ac191b16d5ef5b55dada0a6"),
    ("org.rocksdb", "rocksdbjni", "9.7.3", "5ca63e0e955f101f7af1c1fb8ce260b5d3a5701cea7d8c2852b9d56031a57221"),
)
RELEASE = "17"
"""The oldest Java that Kafka 4 runs on."""
READ_SECONDS_MAX = 30

PEERS = Path(__file__).resolve().parent / "peers"
BUILD = PEERS.parent.parent.parent / "build" / "bench-kafka"
SOURCE = PEERS / "CountPerKey.java"


class NotInstalled(RuntimeError):
    """A peer cannot be made ready on this machine; the message says what is missing."""


@cache
def quix_python() -> Path:
    """The interpreter of an environment that has quix-streams and what it needs, and nothing of ours."""
    folder = BUILD / QUIX_STREAMS
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {QUIX_STREAMS} into {folder.relative_to(BUILD.parent.parent)}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", QUIX_STREAMS], check=True)
        (folder / "complete").touch()
    return python


@cache
def java_command() -> list[str]:
    """The Java command that runs classes of ours with Kafka Streams."""
    classes = BUILD / "classes"
    class_path = os.pathsep.join([str(classes), kafka_class_path(), *map(str, _jars())])
    _compile(classes, class_path)
    return [find_java().program("java"), "-Xmx512m", "-cp", class_path]


def _compile(classes: Path, class_path: str) -> None:
    made = classes / f"{SOURCE.stem}.class"
    if made.exists() and made.stat().st_mtime >= SOURCE.stat().st_mtime:
        return
    home = os.environ.get("JAVA_HOME")
    javac = str(Path(home) / "bin" / "javac") if home else shutil.which("javac")
    if javac is None:
        raise NotInstalled("javac is needed for the Kafka Streams job: install a JDK (17 or newer), or set JAVA_HOME")
    classes.mkdir(parents=True, exist_ok=True)
    subprocess.run([javac, "-Xlint:all", "--release", RELEASE, "-cp", class_path, "-d", classes, SOURCE], check=True)


def _jars() -> list[Path]:
    """Fetched by jgo, from where the machine has them or from a Maven repository."""
    context = MavenContext(
        repo_cache=BUILD / "maven",
        local_repos=[default_maven_repo()],
        remote_repos={"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories},
        timeout=READ_SECONDS_MAX,
    )
    found = []
    for group, artifact, version, expected in KAFKA_STREAMS:
        jar = Path(context.project(group, artifact).at_version(version).artifact("", "jar").resolve())
        sha256 = hashlib.sha256(jar.read_bytes()).hexdigest()
        if sha256 != expected:
            raise NotInstalled(f"{jar} has the SHA-256 {sha256} and not {expected}: delete it and try again")
        found.append(jar)
    return found
