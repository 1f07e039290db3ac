"""Systems on the tests' Kafka: topics of their own, events sent into them, workers in this process or beside it.

What is waited for is a condition with a deadline: that the group has committed all there is, that somebody owns a
partition, that a process has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from msgspec import Struct

from credit_stream.core.events import CustomerUpdated, Event, OrderPlaced, SettingsPublished
from credit_stream.core.outputs import CreditDecision, DeadLetter
from credit_stream.core.topics import DEAD_LETTERS, DECISIONS, INTERNAL_TOPICS, RUNS
from credit_stream.hosts.kafka import worker
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS
from credit_stream.hosts.kafka.reading import TopicReader
from credit_stream.hosts.kafka.topics import create
from credit_stream.hosts.librdkafka import LibrdkafkaHost
from credit_stream.hosts.placing import place
from credit_stream.local_kafka import LocalKafka
from credit_stream.wire.avro import decode, encode_event
from credit_stream.wire.keys import partition_of
from tests.kafka.proof import OUTPUTS

PATIENCE_SECONDS = 90.0
"""For anything that takes a second on a machine that does nothing else."""
LOOK_SECONDS = 0.02
PARTITIONS = 2
SESSION_SECONDS = 6
MONDAY = 1_767_600_000_000
"""2026-01-05, 08:00 UTC: when the small stories of these tests begin."""
ROOT = Path(__file__).resolve().parent.parent.parent

Contents = dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]]
"""By stream and partition, keys and values in their order."""
Published = dict[tuple[str, str], list[bytes | None]]
"""By stream and key, values in their order."""


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Waits for the condition, fails after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(LOOK_SECONDS)


# --- topics and events ------------------------------------------------------------------------------------------


def system(kafka: LocalKafka, topic_prefix: str, partitions: int = PARTITIONS) -> Connection:
    """A connection to topics that were just made."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix.strip("."))
    create(connection, partitions)
    return connection


def settings(at: int = MONDAY - 1) -> SettingsPublished:
    """One rule: an order that takes its customer above the limit is held."""
    document = json.dumps({"rules": [{"id": "limit", "type": "credit_limit_used"}]})
    return SettingsPublished(event_id="settings/1", occurred_at=at, version=1, document=document)


def customer(customer_id: str, limit_minor: int = 100_000, at: int = MONDAY) -> CustomerUpdated:
    """A customer with a limit in EUR."""
    return CustomerUpdated(
        event_id=f"customer/{customer_id}/{at}",
        occurred_at=at,
        customer_id=customer_id,
        credit_currency="EUR",
        credit_limit_minor=limit_minor,
    )


def order(order_id: str, customer_id: str, amount_minor: int = 10_000, at: int = MONDAY + 1) -> OrderPlaced:
    """An order in EUR."""
    return OrderPlaced(
        event_id=f"order/{order_id}",
        occurred_at=at,
        order_id=order_id,
        customer_id=customer_id,
        amount_minor=amount_minor,
        currency="EUR",
    )


def customer_of(partition: int, number: int = 0, partitions: int = PARTITIONS) -> str:
    """The id of a customer whose home is this partition; another one for each number."""
    found = (name for name in (f"C{count}" for count in range(10_000)) if partition_of(name, partitions) == partition)
    return next(name for at, name in enumerate(found) if at == number)


class Source:
    """An upstream: it writes what it is given where it is told to. Used with `with`; its end waits for the brokers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._faults: list[str] = []
        settings: dict[str, Any] = {
            **connection.client(),
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
            "message.max.bytes": 16 * 1024 * 1024,
            "message.timeout.ms": int(PATIENCE_SECONDS * 1000),
        }
        self._producer = Producer(settings, logger=QUIET)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait()
        self._producer.close()

    def wait(self) -> None:
        """The brokers have all of it."""
        assert self._producer.flush(PATIENCE_SECONDS) == 0
        assert not self._faults, self._faults

    def write(
        self, stream: str, partition: int, value: bytes | None, key: bytes | str | None = None, at: int = MONDAY
    ) -> None:
        """Bytes, as they are."""
        self._producer.produce(
            self._connection.topic(stream), value, key, partition, on_delivery=self._delivered, timestamp=at
        )

    def send(self, event: Event, partitions: int = PARTITIONS) -> None:
        """An event, where it belongs and with its own time."""
        placement = place(event, partitions)
        for partition in placement.partitions:
            self.write(placement.topic, partition, encode_event(event), placement.key, max(1, event.occurred_at))

    def _delivered(self, error: object, message: object) -> None:
        if error is not None:
            self._faults.append(str(error))


def send(connection: Connection, events: Iterable[Event], partitions: int = PARTITIONS) -> None:
    """Events, where they belong and with their own time; the brokers have them when this returns."""
    with Source(connection) as source:
        for event in events:
            source.send(event, partitions)


# --- workers ----------------------------------------------------------------------------------------------------


class _WatchedHost(LibrdkafkaHost):
    """Notes what the group has given. The consumer itself can be asked by its own thread only: a call from another
    one waits for a gap between two polls, and there is none."""

    given: frozenset[tuple[str, int]] = frozenset()

    def _assigned(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        self.given = frozenset((each.topic, each.partition) for each in given)
        super()._assigned(consumer, given)

    def _revoked(self, consumer: Consumer, taken: list[TopicPartition]) -> None:
        super()._revoked(consumer, taken)
        self.given = frozenset()


class Worker:
    """A worker of this process, under librdkafka, in a thread. Used with `with`."""

    def __init__(
        self, connection: Connection, state: Path, *, session_seconds: int = SESSION_SECONDS, **options: Any
    ) -> None:
        """`options` are those of `hosts.kafka.worker.begin`. Without ticks, unless they say otherwise."""
        self._connection = connection
        self.said: list[str] = []
        """What it noticed, in sentences."""
        self.failure: BaseException | None = None
        """Why it has ended, if it has."""
        self.partitions = worker.begin(connection, state, say=self.said.append, **{"ticking": False, **options})
        self.host = _WatchedHost(connection, self.partitions, session_seconds=session_seconds)
        self._thread = Thread(target=self._run, daemon=True)
        self._has_ended = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Ends it, and after a failure what the end of its process would end."""
        self.host.stop()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the worker did not stop"
        if self.failure is not None and not self._has_ended:
            for consumer in [each for each in vars(self.host).values() if isinstance(each, Consumer)]:
                consumer.close()
            self.partitions.stop()
        self._has_ended = True

    @property
    def given(self) -> set[tuple[str, int]]:
        """The streams and partitions that the group has given to it."""
        return {(self._connection.stream(topic), partition) for topic, partition in self.host.given}

    @property
    def at_work(self) -> set[int]:
        """The partitions that are restored and not being given up."""
        owned = list(self.partitions._owned.values())
        return {each.partition for each in owned if each.log is not None and not each.is_leaving}

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Until the condition holds; raises the worker's failure when it ends before."""
        until(lambda: self.failure is not None or condition(), what)
        if self.failure is not None:
            raise self.failure

    def wait_for_failure(self) -> BaseException:
        """The failure with which it ends."""
        until(lambda: self.failure is not None, "the worker fails")
        self.stop()
        failure, self.failure = self.failure, None
        assert failure is not None
        return failure

    def _run(self) -> None:
        try:
            self.host.run()
        except BaseException as error:
            self.failure = error


LIBRDKAFKA = "librdkafka"
FAUST = "faust"
HOSTS = (LIBRDKAFKA, FAUST)


class WorkerProcess:
    """A worker in a process of its own, under either host. Used with `with`, which kills it if it still runs."""

    def __init__(
        self,
        connection: Connection,
        state: Path,
        host: str = LIBRDKAFKA,
        *,
        session_seconds: int = SESSION_SECONDS,
        environment: Mapping[str, str] | None = None,
        before: str = "",
    ) -> None:
        """`before`: Python that runs in the process first, for limits that a test cannot wait for."""
        self._log = state.with_name(f"{state.name}.{time.monotonic_ns()}.log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"{before}\n{_PROGRAMS[host]}"],
                env={**os.environ, **_environment(connection, state, session_seconds), **(environment or {})},
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        if error is not None:
            print(f"{self._log.name}:\n{self.log}")

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        return self.process.wait(PATIENCE_SECONDS)


_PROGRAMS = {
    LIBRDKAFKA: (
        "import os, sys; seconds = os.environ['CREDIT_STREAM_SESSION_SECONDS'];"
        "sys.argv = ['credit-stream', 'worker', '--session-seconds', seconds];"
        "from credit_stream.cli import main; main()"
    ),
    FAUST: (
        "import sys; sys.argv = ['faust', '-A', 'credit_stream.app', 'worker', '-l', 'info'];"
        "from faust.__main__ import main; main()"
    ),
}


def _environment(connection: Connection, state: Path, session_seconds: int) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "CREDIT_STREAM_BROKERS": connection.brokers,
        "CREDIT_STREAM_TOPIC_PREFIX": connection.topic_prefix,
        "CREDIT_STREAM_APPLICATION_ID": connection.application_id,
        "CREDIT_STREAM_STATE": str(state),
        "CREDIT_STREAM_SESSION_SECONDS": str(session_seconds),
    }


# --- what came of it ----------------------------------------------------------------------------------------------


_PASSING = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""Librdkafka says of none of these that it may be tried again."""


class Group:
    """What a group has committed, and what there is to be committed."""

    def __init__(self, connection: Connection, partitions: int = PARTITIONS) -> None:
        self._connection = connection
        self._partitions = partitions
        settings: dict[str, Any] = {
            **connection.client(),
            "group.id": connection.application_id,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
        self._consumer = Consumer(settings, logger=QUIET)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def committed(self) -> dict[tuple[str, int], int]:
        """Offsets by stream and partition; 0 where there is none."""
        asked = [
            TopicPartition(self._connection.topic(stream), partition)
            for stream in GROUP_TOPICS
            for partition in range(self._partitions)
        ]
        found: list[TopicPartition] = []

        def are_told() -> bool:
            """A coordinator that has just begun, or has moved, says so first."""
            try:
                found[:] = self._consumer.committed(asked, PATIENCE_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING:
                    raise
            return bool(found)

        until(are_told, "the coordinator tells what the group has committed")
        return {(self._connection.stream(each.topic), each.partition): max(0, each.offset) for each in found}

    def has_all(self) -> bool:
        """Whether all that lies in the inputs is committed."""
        return all(offset >= self._end(*place) for place, offset in self.committed().items())

    def wait(self) -> None:
        """Until it is."""
        until(self.has_all, "the group has committed all inputs")

    def _end(self, stream: str, partition: int) -> int:
        """After the last record. The end of a transaction takes an offset too, and nobody commits beyond it."""
        topic = TopicPartition(self._connection.topic(stream), partition)
        begin, end = self._consumer.get_watermark_offsets(topic, PATIENCE_SECONDS)
        if stream not in INTERNAL_TOPICS or end == begin:
            return 0 if end == begin else int(end)
        with TopicReader(self._connection, (stream,)) as reader:
            offsets = [record.offset for record in reader.records() if record.partition == partition]
        return offsets[-1] + 1 if offsets else 0


def wait_until_taken(connection: Connection, partitions: int = PARTITIONS, who: Worker | None = None) -> None:
    """Until the group has committed all that lies in its inputs; raises when `who` fails meanwhile."""
    with Group(connection, partitions) as group:
        if who is None:
            group.wait()
        else:
            who.wait_for(group.has_all, "all inputs are committed")


def outputs(connection: Connection, streams: Sequence[str] = OUTPUTS) -> Contents:
    """All that a `read_committed` reader sees, by stream and partition, but for offsets and timestamps."""
    found: Contents = defaultdict(list)
    with TopicReader(connection, tuple(streams)) as reader:
        for record in reader.records():
            found[record.stream, record.partition].append((record.key, record.value))
    return dict(found)


def published(connection: Connection) -> Published:
    """All outputs by stream and key.

    The records of a key lie in one partition in the order of their one writer, but between keys of several writers
    there is no order that two runs would share. Runs have several writers for one key, and are sorted here.
    """
    found: Published = defaultdict(list)
    for (stream, _), records in outputs(connection).items():
        for key, value in records:
            found[stream, (key or b"").decode()].append(value)
    return in_order(found)


def in_order(found: Mapping[tuple[str, str], list[bytes | None]]) -> Published:
    """With what has no order of its own in the order of bytes."""
    return {
        place: sorted(values, key=lambda value: value or b"") if place[0] == RUNS else values
        for place, values in found.items()
    }


def decisions(connection: Connection) -> dict[str, CreditDecision]:
    """The newest decision of each order."""
    found = _records(connection, DECISIONS)
    return {record.order_id: record for _, record in found if isinstance(record, CreditDecision)}


def dead_letters(connection: Connection) -> list[tuple[str, DeadLetter]]:
    """All of them, each with its key."""
    return [(key, record) for key, record in _records(connection, DEAD_LETTERS) if isinstance(record, DeadLetter)]


def _records(connection: Connection, stream: str) -> list[tuple[str, Struct]]:
    found = outputs(connection, (stream,)).values()
    return [((key or b"").decode(), decode(value)) for records in found for key, value in records if value]
