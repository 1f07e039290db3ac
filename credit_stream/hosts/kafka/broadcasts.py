"""The streams that every task reads whole: settings, rates, the clock. One consumer for a worker, outside its group.

They are short, so all of them stay in memory: a partition that comes later is fed from where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from credit_stream.core.topics import BROADCAST_TOPICS
from credit_stream.engine.ports import InputRecord
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import KafkaFailure, kafka_failure
from credit_stream.hosts.kafka.input_records import input_record
from credit_stream.hosts.kafka.log import KafkaLog
from credit_stream.hosts.kafka.patience import PASSING

POLL_SECONDS = 0.25
"""How long closing may take; a record that comes ends the wait at once."""


class Broadcasts:
    """Feeds the logs that are attached to it, from a thread of its own."""

    def __init__(self, connection: Connection, wake: Callable[[], None], fail: Callable[[KafkaFailure], None]) -> None:
        """`wake` is called after something was fed, `fail` when the streams cannot be read any more."""
        self._connection = connection
        self._wake = wake
        self._fail = fail
        self._lock = Lock()
        self._records: dict[str, list[InputRecord]] = {topic: [] for topic in BROADCAST_TOPICS}
        self._ended: set[str] = set()
        self._logs: list[KafkaLog] = []
        self._is_closing = False
        self._consumer = Consumer(_settings(connection), logger=QUIET)
        self._consumer.assign([TopicPartition(connection.topic(topic), 0, 0) for topic in sorted(BROADCAST_TOPICS)])
        self._thread = Thread(target=self._run, name="credit-stream-broadcasts", daemon=True)
        self._thread.start()

    def attach(self, log: KafkaLog) -> None:
        """Feeds a log with what it lacks, and from now on with all that comes."""
        with self._lock:
            for topic, records in self._records.items():
                for record in records:
                    log.streams[topic].feed(record)
                log.streams[topic].is_live = topic in self._ended
            self._logs.append(log)

    def detach(self, log: KafkaLog) -> None:
        """Feeds it no more."""
        with self._lock:
            self._logs.remove(log)

    def close(self) -> None:
        """Ends the thread."""
        self._is_closing = True
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_closing:
                message = self._consumer.poll(POLL_SECONDS)
                if message is not None:
                    self._take(message)
        except KafkaFailure as failure:
            self._fail(failure)
        finally:
            self._consumer.close()

    def _take(self, message: Message) -> None:
        stream = self._connection.stream(message.topic() or "")
        error = message.error()
        with self._lock:
            if error is None:
                record = input_record(stream, 0, message)
                self._records[stream].append(record)
                for log in self._logs:
                    log.streams[stream].feed(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended.add(stream)
                for log in self._logs:
                    log.streams[stream].is_live = True
            elif error.code() not in PASSING or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                # librdkafka tells of a missing topic only after it has looked for it for half a minute.
                raise kafka_failure(f"reading {message.topic()}", error, self._connection)
        self._wake()


def _settings(connection: Connection) -> dict[str, Any]:
    return {
        **connection.client(),
        "group.id": connection.application_id,  # librdkafka wants one; this consumer never joins it.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,  # The first end is waited for by every partition that catches up.
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
    }
