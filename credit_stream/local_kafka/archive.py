"""An archive of Kafka's loaded classes, from which Java starts a broker in a third of the time.

Java 25 and newer can make one (an "AOT cache"). Measured on two busy cores: 2.8 s to format and 7.8 s to start a broker
without, 1.2 s and 2.2 s with. To make it takes 20 s once, so only who starts many brokers does: see `preparation`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from credit_stream.local_kafka.java import Java
from credit_stream.local_kafka.packages import KAFKA, cache_directory

JAVA_MIN = 25


def archive_file(java: Java, class_path: str) -> Path | None:
    """Where the archive for this runtime and these jars is, or would be; None for a runtime that has none."""
    if java.feature < JAVA_MIN:
        return None
    made_of = hashlib.sha256(f"{java.version}\n{class_path}".encode()).hexdigest()
    return cache_directory() / f"{KAFKA}-{made_of[:16]}.aot"


def archive_options(java: Java, class_path: str) -> list[str]:
    """What makes Java start from the archive, if there is one. It starts without where the archive does not fit."""
    file = archive_file(java, class_path)
    return [f"-XX:AOTCache={file}"] if file is not None and file.exists() else []
