"""Counts events per key in a plain Faust table: at least once. `python faust_count.py worker` with BENCH_ variables.

The table is in memory with a changelog; `send_soon` buffers outputs, which is Faust's fastest way.
"""

from __future__ import annotations

import os
from pathlib import Path

import faust

input_topic, output_topic = os.environ["BENCH_INPUT"], os.environ["BENCH_OUTPUT"]
partitions = int(os.environ["BENCH_PARTITIONS"])

application = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_BROKERS']}",
    store=os.environ["BENCH_STORE"],
    datadir=Path(os.environ["BENCH_STATE"]),
    topic_partitions=partitions,
    topic_replication_factor=1,
    topic_allow_declare=True,
    web_enabled=False,
)
events = application.topic(input_topic, key_type=str, key_serializer="raw", value_type=bytes, value_serializer="raw")
counted = application.topic(output_topic, key_type=str, key_serializer="raw", value_type=str, value_serializer="raw")
counts = application.Table("counts", default=int, partitions=partitions, key_type=str, value_type=int)


@application.agent(events)
async def count(stream: faust.StreamT[bytes]) -> None:
    """One more for the key."""
    async for key, _ in stream.items():
        now = counts[key] + 1
        counts[key] = now
        counted.send_soon(key=key, value=str(now))


if __name__ == "__main__":
    application.main()
