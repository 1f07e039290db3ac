"""Opens all partitions from their changelogs.

    python -m bench.kafka.our_restore CORE BROKERS APPLICATION_ID TOPIC_PREFIX STATE_DIRECTORY

As a worker does it, but that nothing is taken. Prints how many changelog records that were and how long it took.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from bench.kafka.our_programs import PROGRAMS
from bench.kafka.restore import Restored
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.metrics import WorkerMetrics
from credit_stream.hosts.kafka.worker import begin
from credit_stream.hosts.librdkafka import OPENINGS_MAX


def main() -> None:
    """Restores all there is."""
    core, brokers, application_id, prefix, state = sys.argv[1:]
    leave_garbage_alone()
    connection = Connection(brokers=brokers, application_id=application_id, topic_prefix=prefix)
    metrics = WorkerMetrics()
    partitions = begin(connection, Path(state), say=lambda _: None, program=PROGRAMS[core], metrics=metrics)
    began = time.monotonic()
    with ThreadPoolExecutor(OPENINGS_MAX) as openers:
        for opened in [openers.submit(partitions.open, number) for number in range(partitions.partitions)]:
            opened.result()
    seconds = time.monotonic() - began
    print(msgspec.json.encode(Restored(int(metrics.restored_rows._value.get()), seconds)).decode())
    partitions.stop()


if __name__ == "__main__":
    main()
