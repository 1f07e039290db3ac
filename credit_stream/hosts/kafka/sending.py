"""Sends events to Kafka: each to its topic and partition, with its own time, and waits until the brokers have it.

Sending something again does no harm: an `event_id` takes effect once. So there is no transaction here, and after a
failure the whole is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from credit_stream.core.events import Event
from credit_stream.hosts.kafka.admin import QUIET, Complaints
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import DeliveryFailed, kafka_failure
from credit_stream.hosts.kafka.topics import RECORD_BYTES_MAX, partitions_of
from credit_stream.hosts.placing import Placement, place
from credit_stream.wire.avro import encode_event
from credit_stream.wire.faults import Fault
from credit_stream.wire.read import read_event

Origin = TypeVar("Origin")

HEAD_BYTES = 4_096
"""Of a record, besides its value: the key of at most 200 characters, headers, Kafka's own numbers."""
VALUE_BYTES_MAX = RECORD_BYTES_MAX - HEAD_BYTES
DELIVERY_SECONDS_MAX = 120.0
"""So long a record is tried for: a broker starts again, or another becomes leader, in much less."""
LINGER_MS = 20
QUEUED_RECORDS_MAX = 20_000
"""What may be on its way. More would only take memory; the brokers are busy with less."""
POLL_SECONDS = 0.1


class TooLarge(ValueError):
    """Bytes that no topic takes."""


class Sender(Generic[Origin]):
    """A producer of inputs. Used with `with`; `wait` says that everything has arrived.

    An origin is what the caller knows a payload by; `unacknowledged` names the oldest that has not arrived.
    """

    def __init__(self, connection: Connection, encode: Callable[[Event], bytes] = encode_event) -> None:
        """Asks for the number of partitions. Raises KafkaFailure."""
        self.acknowledged = 0
        """Payloads of which every record has arrived."""
        self._connection = connection
        self._encode = encode
        self._partitions = partitions_of(connection)
        self._complaints = Complaints()
        self._failed: KafkaError | None = None
        self._on_the_way: dict[int, tuple[Origin, int]] = {}
        self._number = 0
        self._producer = Producer(self._settings(), logger=QUIET)

    def __enter__(self) -> Sender[Origin]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # Else the producer would go on trying for minutes while the process ends.
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        # After a fatal error, which was raised already, closing raises it once more in the place of ours.
        with suppress(KafkaException):
            self._producer.close()

    @property
    def unacknowledged(self) -> Origin | None:
        """Where the first payload comes from that has not arrived."""
        return next((origin for origin, _ in self._on_the_way.values()), None)

    def send(self, payload: bytes, origin: Origin) -> Fault | None:
        """Sends bytes in any form of an event. What is none goes on as it came, to become a dead letter.

        Raises TooLarge for what no topic takes, and DeliveryFailed when something sent before has not arrived.
        """
        found = read_event(payload)
        if isinstance(found, Fault):
            self._produce(place(found, self._partitions), payload, _now_ms(), origin)
            return found
        placement = place(found, self._partitions)
        self._produce(placement, self._encode(found), min(found.occurred_at, _now_ms()), origin)
        return None

    def wait(self, on_progress: Callable[[], None] = lambda: None) -> None:
        """Returns when everything has arrived. Raises DeliveryFailed when something has not, and will not."""
        while self._on_the_way:
            self._producer.flush(POLL_SECONDS)
            self._raise_failure()
            on_progress()

    def _settings(self) -> dict[str, object]:
        return {
            **self._connection.client(),
            "error_cb": self._complaints,
            "client.id": f"{self._connection.application_id}-send",
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            "message.max.bytes": RECORD_BYTES_MAX,
            "queue.buffering.max.messages": QUEUED_RECORDS_MAX,
            "delivery.timeout.ms": int(DELIVERY_SECONDS_MAX * 1000),
        }

    def _produce(self, placement: Placement, value: bytes, timestamp_ms: int, origin: Origin) -> None:
        if len(value) > VALUE_BYTES_MAX:
            raise TooLarge(f"has {len(value):,} bytes; Kafka takes at most {VALUE_BYTES_MAX:,} here")
        self._number += 1
        self._on_the_way[self._number] = (origin, len(placement.partitions))
        key = None if placement.key is None else placement.key.encode()
        for partition in placement.partitions:
            self._enqueue(self._connection.topic(placement.topic), partition, key, value, timestamp_ms)
        self._producer.poll(0)
        self._raise_failure()

    def _enqueue(self, topic: str, partition: int, key: bytes | None, value: bytes, timestamp_ms: int) -> None:
        delivered = partial(self._delivered, self._number)
        while True:
            try:
                # A timestamp of 0 would mean now.
                self._producer.produce(
                    topic, value, key, partition, on_delivery=delivered, timestamp=max(1, timestamp_ms)
                )
            except BufferError:
                self._producer.poll(POLL_SECONDS)
                self._raise_failure()
            except KafkaException as error:
                self._failed = error.args[0]
                self._raise_failure()
            else:
                return

    def _delivered(self, number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed = self._failed or error
            return
        origin, left = self._on_the_way[number]
        if left > 1:
            self._on_the_way[number] = (origin, left - 1)
            return
        del self._on_the_way[number]
        self.acknowledged += 1

    def _raise_failure(self) -> None:
        """A login that is refused is refused again; nothing else ends the waiting before its time."""
        error = self._failed
        if error is None and self._complaints.are_final:
            error = self._complaints.last
        if error is not None:
            raise DeliveryFailed(
                str(kafka_failure("sending the events", error, self._connection, self._complaints.last))
            )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
