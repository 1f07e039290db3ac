"""Counts events per key with quix-streams, exactly once. Runs in an environment of its own (see `../installed.py`).

    python quix_count.py BROKERS GROUP INPUT OUTPUT STATE_DIRECTORY [COMMIT_INTERVAL_S]

Without an interval all is as quix-streams has it by default (5 s). With one, for latency, its producer also gets the
`retry.backoff.ms` that ours has: with librdkafka's default every transaction after another waits 100 ms.
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application, State  # type: ignore[import-not-found]

arguments = sys.argv[1:]
brokers, group, input_topic, output_topic, state_directory = arguments[:5]
options: dict[str, Any] = {}
if len(arguments) > 5:
    options["commit_interval"] = float(arguments[5])
    options["producer_extra_config"] = {"retry.backoff.ms": 1, "retry.backoff.max.ms": 5}

application = Application(
    broker_address=brokers,
    consumer_group=group,
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir=state_directory,
    loglevel="WARNING",
    **options,
)
events = application.topic(input_topic, key_deserializer="str", value_deserializer="bytes")
counts = application.topic(output_topic, key_serializer="str", value_serializer="str")


def count(_: bytes, state: State) -> str:
    """One more for the key."""
    counted = state.get("count", 0) + 1
    state.set("count", counted)
    return str(counted)


counting = application.dataframe(events)
counting = counting.apply(count, stateful=True)
counting.to_topic(counts)
application.run()
