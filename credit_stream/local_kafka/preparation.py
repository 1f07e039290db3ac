"""What is worth doing once before many brokers are started: fetch the packages, archive Kafka's classes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from credit_stream.local_kafka.archive import archive_file
from credit_stream.local_kafka.cluster import QUICK_START, LocalKafka
from credit_stream.local_kafka.java import find_java
from credit_stream.local_kafka.packages import kafka_class_path, locked, note_in_log

_log = logging.getLogger(__name__)


def prepare(say: Callable[[str], None] = note_in_log) -> None:
    """Makes later starts quick; does nothing if that is done. Raises as `LocalKafka.start`."""
    java, class_path = find_java(), kafka_class_path(say)
    place = archive_file(java, class_path)
    if place is None or place.exists():
        return
    with locked(place.with_suffix(".lock")):
        if not place.exists():
            say(f"Archiving Kafka's classes for quick starts in {place.parent}, once on this machine")
            _make_archive(place)


def _make_archive(place: Path) -> None:
    """Lets one broker start, answer and stop in order; Java then writes down what it had loaded."""
    with tempfile.TemporaryDirectory(prefix=f"{place.name}.unfinished-", dir=place.parent) as unfinished:
        file = Path(unfinished) / place.name
        kafka = LocalKafka(
            directory=Path(unfinished) / "kafka", jvm_options=(*QUICK_START, f"-XX:AOTCacheOutput={file}")
        )
        with kafka:
            pass
        if file.exists():
            file.rename(place)
        else:
            _log.warning("Java wrote no archive of Kafka's classes; brokers start, but slowly")
