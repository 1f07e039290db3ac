"""A worker of ours: `python -m bench.kafka.our_worker CORE BROKERS APPLICATION_ID TOPIC_PREFIX STATE_DIRECTORY`.

CORE is `counting`, `full` or `groups`. Everything else is what `credit-stream worker` runs.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from bench.kafka.our_programs import PROGRAMS, are_ticking
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.worker import begin
from credit_stream.hosts.librdkafka import LibrdkafkaHost


def main() -> None:
    """Works until it is told to stop."""
    core, brokers, application_id, prefix, state = sys.argv[1:]
    connection = Connection(brokers=brokers, application_id=application_id, topic_prefix=prefix)
    partitions = begin(connection, Path(state), say=print, program=PROGRAMS[core], ticking=are_ticking())
    host = LibrdkafkaHost(connection, partitions)
    signal.signal(signal.SIGTERM, lambda *_: host.stop())
    leave_garbage_alone()
    host.run()


if __name__ == "__main__":
    main()
